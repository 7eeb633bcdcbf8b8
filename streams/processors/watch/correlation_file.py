"""Parse the correlations of behaviour files, which are written as Sigma 2.1 has them.

A correlation may refer to rules and to other correlations, in any file. So all are noted first, and read when all files
were, each after those that it refers to. Of correlations that others refer to, and of rules, nothing is reported by
itself, unless a correlation that refers to them says `generate: true`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import FIELDS, MEASURES
from streams.behaviour.correlations import (
    COMPARISONS,
    MATCHES_MAX,
    RULES_MAX,
    Correlation,
    CorrelationType,
    Incident,
    Selection,
)
from streams.behaviour.incidents import ROOT
from streams.behaviour.temporal import ORDERED_RULES_MAX, ConditionError, Expression, names_in, parse_condition
from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode
from streams.policy.language.parse import TAG_FORM, TAG_PATTERN
from streams.policy.language.yaml_mapping import MappingReader
from streams.processors.watch.file_values import (
    ITEMS_MAX,
    SIGNAL_PREFIXES,
    SPAN_MS_MAX,
    Severity,
    flag_of,
    known_field,
    number_of,
)

CHAIN_MAX = 8
"""Correlations that refer to each other, one behind the other."""
_TOO_DEEP = f"at most {CHAIN_MAX} correlations may refer to one behind the other"
ALIASES_MAX = 8
IN_TIME = (CorrelationType.TEMPORAL, CorrelationType.TEMPORAL_ORDERED)
_KEYS = ("type!", "rules", "group-by!", "timespan!", "condition", "aliases", "generate", "x-latch", "x-incident")
replace = msgspec.structs.replace


class _Condition(NamedTuple):
    """What the condition of a correlation says."""

    field: str | None = None
    percentile: float = 50.0
    comparisons: tuple[tuple[str, float], ...] = ()
    expression: Expression | None = None


class CorrelationParser:
    """Reads the correlations of all files.

    Attributes:
        made: the correlations by their names, each after those that it refers to.
        packs: the pack of each correlation, and of each rule that is reported by itself.
        fields_used: the scores that are compared or counted, with their places.

    Args:
        findings: takes what is wrong.
        selections: the rules by their names, and the title of each.
        new_name: reads a name that must be new.
    """

    def __init__(
        self,
        findings: Findings,
        selections: Mapping[str, tuple[Selection, str]],
        new_name: Callable[[MappingReader, str], str | None],
    ) -> None:
        self.made: dict[str, Correlation] = {}
        self.packs: dict[str, str] = {}
        self.fields_used: list[tuple[str, Location]] = []
        self._findings = findings
        self._selections = selections
        self._new_name = new_name
        self._nodes: list[tuple[Node, str]] = []
        self._depths: dict[str, int] = {}
        self._standing_alone: set[str] = set()

    def note(self, node: Node, pack: str) -> None:
        """Note a correlation, to be read when all files were."""
        self._nodes.append((node, pack))

    def read(self) -> tuple[Correlation, ...]:
        """Return all correlations, each after those that it refers to, and rules that are reported by themselves."""
        for node, pack in self._sorted():
            self._correlation(node, pack)
        referred = {rule.name for each in self.made.values() for rule in each.rules if rule.is_chained}
        return tuple(
            replace(each, alerts=False) if name in referred - self._standing_alone else each
            for name, each in self.made.items()
        )

    def _sorted(self) -> Iterator[tuple[Node, str]]:
        """Yield the correlations, each after those that it refers to. What refers to itself is an error."""
        by_name = {name: (node, pack) for node, pack in self._nodes if (name := _name_of(node))}
        done: set[int] = set()

        def after(node: Node, pack: str, above: tuple[str, ...]) -> Iterator[tuple[Node, str]]:
            if id(node) in done:
                return
            done.add(id(node))
            for name in _rules_of(node):
                if name in above or (name == _name_of(node) and name):
                    message = f"correlations refer to each other in a circle: {' -> '.join((*above, name))}"
                    self._findings.error("circle", node.location, message)
                elif name in by_name and len(above) > CHAIN_MAX:
                    # INVARIANT: how deep a file goes does not say how deep this function does.
                    self._findings.error("too_deep", node.location, _TOO_DEEP)
                elif name in by_name:
                    yield from after(*by_name[name], (*above, name))
            yield node, pack

        for node, pack in self._nodes:
            yield from after(node, pack, (_name_of(node),))

    def _correlation(self, node: Node, pack: str) -> None:
        keys = ("title!", "name!", "correlation!", "level", "tags", "description", "generate")
        reader = MappingReader(node, "a correlation", keys, self._findings)
        name, title = self._new_name(reader, "name"), reader.text("title")
        reader.text("description")
        level = reader.choice("level", Severity) or Severity.MEDIUM
        tags = reader.texts("tags", ITEMS_MAX, TAG_PATTERN, TAG_FORM)
        inner = reader.node("correlation")
        if inner is None:
            return
        body = MappingReader(inner, "`correlation`", _KEYS, self._findings)
        kind, span_ms = body.choice("type", CorrelationType), body.duration_ms("timespan", SPAN_MS_MAX)
        latch_ms, incident = body.duration_ms("x-latch", SPAN_MS_MAX), body.choice("x-incident", Incident)
        rules = self._named(body, kind)
        aliases = self._aliases(body, rules)
        groups = self._groups(body, aliases)
        if name is None or title is None or kind is None or span_ms is None or not rules:
            return
        condition = self._condition(body, kind, rules)
        made = Correlation(
            name=name,
            title=title,
            type=kind,
            rules=rules,
            group_by=groups,
            timespan_ms=span_ms,
            field=condition.field,
            percentile=condition.percentile,
            conditions=condition.comparisons,
            expression=condition.expression,
            fields_by_rule=_fields_by_rule(groups, aliases, rules),
            latch_ms=span_ms if latch_ms is None else latch_ms,
            incident="" if incident is None else incident.value,
            severity=level.value,
            tags=tags,
        )
        self._check_chain(body, made)
        self.made[name], self.packs[name] = made, pack
        if flag_of(reader, "generate", default=False) or flag_of(body, "generate", default=False):
            self._generate(made, pack)

    def _generate(self, it: Correlation, pack: str) -> None:
        """Let what a correlation refers to be reported by itself: a rule as a correlation of one event."""
        for number, rule in enumerate(it.rules):
            self._standing_alone.add(rule.name)
            if rule.is_chained or rule.name in self.made:
                continue
            self.packs[rule.name] = pack
            self.made[rule.name] = Correlation(
                name=rule.name,
                title=self._selections[rule.name][1],
                type=CorrelationType.EVENT_COUNT,
                rules=(rule,),
                group_by=it.group_by,
                timespan_ms=it.timespan_ms,
                conditions=(("gte", 1.0),),
                fields_by_rule=it.fields_by_rule[number : number + 1],
                latch_ms=it.latch_ms,
                severity=it.severity,
                tags=it.tags,
            )

    def _named(self, body: MappingReader, kind: CorrelationType | None) -> tuple[Selection, ...]:
        names, at = body.texts("rules", RULES_MAX), body.at("rules")
        condition = _text_of(body.node("condition"))
        if body.node("rules") is None and condition and kind in IN_TIME:
            # As Sigma has it, the condition says which rules there are.
            at = body.at("condition")
            try:
                names = names_in(condition)
            except ConditionError as error:
                body.error("wrong_value", at, str(error))
            if len(names) > RULES_MAX:
                body.error("wrong_length", at, f"`condition` may name at most {RULES_MAX} rules")
                return ()
        elif body.node("rules") is None:
            body.error("missing_key", body.location, "`correlation` needs the key `rules`")
        found = []
        for name in names:
            if name in self._selections:
                found.append(self._selections[name][0])
            elif name in self.made:
                found.append(Selection(name, (), is_chained=True))
            else:
                hint = nearest(name, (*self._selections, *self.made)) or "declare it under `rules`"
                body.error("unknown_rule", at, f"there is no rule `{name[:80]}`", hint)
        return tuple(found)

    def _check_chain(self, body: MappingReader, it: Correlation) -> None:
        inner = [self.made[rule.name] for rule in it.rules if rule.is_chained and rule.name in self.made]
        self._depths[it.name] = 1 + max((self._depths.get(each.name, 1) for each in inner), default=0)
        if self._depths[it.name] > CHAIN_MAX:
            body.error("too_deep", body.at("rules"), _TOO_DEEP)
        for each in inner:
            if (ROOT in each.fields) is not (ROOT in it.fields):
                message = f"`{each.name}` groups by `{ROOT}`, so whoever refers to it must as well, and only then"
                body.error("wrong_value", body.at("group-by"), message)

    def _aliases(self, body: MappingReader, rules: tuple[Selection, ...]) -> dict[str, tuple[str, ...]]:
        """Return the aliases of fields: for each the fields of the rules, in their order."""
        found: dict[str, tuple[str, ...]] = {}
        names = tuple(rule.name for rule in rules)
        for alias, node in body.entries("aliases", ALIASES_MAX):
            if alias.text in FIELDS:
                body.error("wrong_value", alias.location, f"the alias `{alias.text}` has the name of a field")
                continue
            reader = MappingReader(
                node, f"alias `{alias.text[:80]}`", tuple(f"{name}!" for name in names), self._findings
            )
            fields = [self._alias_field(reader, name) for name in names]
            if all(fields):
                found[alias.text] = tuple(field for field in fields if field)
        return found

    def _alias_field(self, reader: MappingReader, name: str) -> str | None:
        text = reader.text(name)
        field = None if text is None else known_field(reader, name, text, FIELDS)
        if field == ROOT:
            message = f"an alias may not stand for `{ROOT}`: write it under `group-by`"
            reader.error("wrong_value", reader.at(name), message)
            return None
        return field

    def _groups(self, body: MappingReader, aliases: Mapping[str, object]) -> tuple[str, ...]:
        found = body.texts("group-by", ITEMS_MAX)
        # If an alias has an error, that is told already.
        named = {alias.text for alias, _ in body.entries("aliases", ALIASES_MAX)} | set(aliases)
        return tuple(each for each in found if each in named or known_field(body, "group-by", each, FIELDS))

    def _condition(self, body: MappingReader, kind: CorrelationType, rules: tuple[Selection, ...]) -> _Condition:
        node = body.node("condition")
        if kind in IN_TIME:
            text = _text_of(node)
            if node is None:
                return _Condition()
            return self._comparisons(node, kind, rules) if text is None else self._expression(body, text, kind, rules)
        if node is None:
            body.error("wrong_value", body.location, f"a correlation of type `{kind}` needs a `condition`")
            return _Condition()
        return self._comparisons(node, kind, rules)

    def _expression(
        self, body: MappingReader, text: str, kind: CorrelationType, rules: tuple[Selection, ...]
    ) -> _Condition:
        if kind is CorrelationType.TEMPORAL_ORDERED and len(rules) > ORDERED_RULES_MAX:
            message = f"a condition in words may have at most {ORDERED_RULES_MAX} rules in an order"
            body.error("too_large", body.at("condition"), message)
            return _Condition()
        try:
            return _Condition(expression=parse_condition(text, [rule.name for rule in rules]))
        except ConditionError as error:
            body.error("wrong_value", body.at("condition"), str(error))
            return _Condition()

    def _comparisons(self, node: Node, kind: CorrelationType, rules: tuple[Selection, ...]) -> _Condition:
        keys: tuple[str, ...] = tuple(COMPARISONS)
        if kind is not CorrelationType.EVENT_COUNT and kind not in IN_TIME:
            keys = ("field!", *keys)
        if kind is CorrelationType.VALUE_PERCENTILE:
            keys = ("percentile!", *keys)
        reader = MappingReader(node, "`condition`", keys, self._findings)
        conditions = tuple((name, number) for name in COMPARISONS if (number := number_of(reader, name)) is not None)
        if not conditions:
            reader.error("missing_key", reader.location, f"`condition` needs one of {', '.join(COMPARISONS)}")
        counts = kind in (CorrelationType.EVENT_COUNT, CorrelationType.VALUE_COUNT)
        for name, number in conditions if counts else ():
            if number >= MATCHES_MAX:
                message = f"a count must be compared with less than {MATCHES_MAX}: more are not kept"
                reader.error("too_large", reader.at(name), message)
        most = MATCHES_MAX if counts else len(rules) if kind in IN_TIME else 0
        if most and conditions and not _can_hold(conditions, most):
            message = f"`condition` can never hold: what it compares is a whole number from 1 to {most}"
            reader.error("wrong_value", reader.location, message)
        field = reader.text("field")
        if field is not None and field.startswith(SIGNAL_PREFIXES):
            self.fields_used.append((field, reader.at("field")))
        elif field is not None:
            counted = kind is CorrelationType.VALUE_COUNT
            field = known_field(reader, "field", field, (*FIELDS, *MEASURES) if counted else tuple(MEASURES))
        share = number_of(reader, "percentile") if kind is CorrelationType.VALUE_PERCENTILE else None
        if share is not None and not 0 < share <= 100:
            reader.error("wrong_value", reader.at("percentile"), "`percentile` must be above 0 and at most 100")
        return _Condition(field, 50.0 if share is None else share, conditions)


def _can_hold(conditions: tuple[tuple[str, float], ...], most: int) -> bool:
    """Return whether any count fulfils all comparisons. A window is looked at when something has matched, so it is at
    least 1."""
    return any(all(COMPARISONS[name](count, number) for name, number in conditions) for count in range(1, most + 1))


def _fields_by_rule(
    groups: tuple[str, ...], aliases: Mapping[str, tuple[str, ...]], rules: tuple[Selection, ...]
) -> tuple[tuple[str, ...], ...]:
    if not any(each in aliases for each in groups):
        return ()
    return tuple(
        tuple(aliases[each][number] if each in aliases else each for each in groups) for number in range(len(rules))
    )


def _text_of(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) and node.is_text else None


def _name_of(node: Node) -> str:
    found = node.get("name") if isinstance(node, MappingNode) else None
    return _text_of(found) or ""


def _rules_of(node: Node) -> tuple[str, ...]:
    """Return what a correlation refers to, as far as it can be read."""
    inner = node.get("correlation") if isinstance(node, MappingNode) else None
    if not isinstance(inner, MappingNode):
        return ()
    rules = inner.get("rules")
    if isinstance(rules, SequenceNode):
        return tuple(text for each in rules.items if (text := _text_of(each)))
    condition = _text_of(inner.get("condition"))
    try:
        return () if condition is None else names_in(condition)
    except ConditionError:
        return ()
