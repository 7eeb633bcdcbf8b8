"""From a parsed bundle to checked rules: expands macros, type-checks, and reports every error with its location."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from streams.policy.cel.tree import StaticType, free_names
from streams.policy.errors import Findings
from streams.policy.language.bundle import Bundle, Keep, Match, NamedList, Pack, Rule
from streams.policy.language.check import CheckedExpression, Checker, CheckError, checker_for
from streams.policy.language.fact_types import FactType, Field, Kind, Struct
from streams.policy.language.globs import literal_tool
from streams.policy.language.located_yaml import Scalar
from streams.policy.language.macros import ExpandedText, MacroError, MacroScope
from streams.policy.language.paths import read_paths
from streams.policy.language.schema import ENTITIES, ENTITY_FIELDS, HISTORY, reads_baseline
from streams.policy.language.tool_types import UNTYPED, ToolTypes
from streams.policy.results import RuleEffect

Wanted = Callable[[Rule], bool]
"""Chooses rules to compile: a run over a few calls needs only those that can apply to them."""

_BOOL = StaticType("bool")
_KINDS = {str: Kind.STRING, bool: Kind.BOOL, int: Kind.INT, float: Kind.DOUBLE}


class NamedExpression(msgspec.Struct, frozen=True):
    """One entry of `explain`: a name and its well-typed expression."""

    name: str
    checked: CheckedExpression
    expanded: ExpandedText


class CheckedRule(msgspec.Struct, frozen=True):
    """A rule whose expressions are well typed.

    Attributes:
        expanded: the text of the condition after macro expansion.
        checked: the condition for tools that `variants` does not contain; their arguments are dynamic.
        variants: the condition, checked against the argument types of each tool that the rule names.
        explain: the named expressions.
        facts: the top-level facts that the rule reads.
    """

    rule: Rule
    expanded: ExpandedText
    checked: CheckedExpression
    variants: Mapping[tuple[str, str], CheckedExpression]
    explain: tuple[NamedExpression, ...]
    facts: frozenset[str]


def list_name(pack: Pack, name: str) -> str:
    """Return the full name of a list, which contains the name of its pack: packs can't use each other's lists."""
    return f"lists.{pack.name}.{name}" if pack.name else f"lists.{name}"


def list_constants(bundle: Bundle) -> dict[str, tuple[object, ...]]:
    """Return the values of every list of a bundle, by full name."""
    return {list_name(pack, item.name): item.values for pack in (bundle.shared, *bundle.packs) for item in pack.lists}


def check_rules(
    bundle: Bundle, tools: Mapping[str, ToolTypes], findings: Findings, wanted: Wanted | None = None
) -> tuple[CheckedRule, ...]:
    """Check every rule, macro and explanation of a bundle.

    Args:
        bundle: the parsed bundle.
        tools: argument types by `server_id/name`.
        findings: receives the errors.
        wanted: whether to check a rule. If given, macros are only checked where such a rule uses them.

    Returns:
        The rules without errors, ordered by rule id.
    """
    checked: list[CheckedRule] = []
    for pack in bundle.packs:
        checks = PackChecker(bundle, pack, tools, findings)
        if wanted is None:
            checks.macros(pack)
        rules = pack.rules if wanted is None else filter(wanted, pack.rules)
        checked.extend(rule for rule in map(checks.rule, rules) if rule is not None)
    if wanted is None:
        PackChecker(bundle, Pack("", None), tools, findings).macros(bundle.shared)
    return tuple(sorted(checked, key=lambda item: item.rule.id))


def history_struct(bundle: Bundle) -> Struct:
    """Return the type of the fact `history`: a field for each memory of the bundle."""
    memories = sorted((memory for pack in bundle.packs for memory in pack.memories), key=lambda memory: memory.name)
    fields = {}
    for memory in memories:
        kind = Kind.BOOL if memory.keep is Keep.ANY else Kind.INT
        doc = f"the {memory.keep} of events `{memory.on}`"
        fields[memory.name] = Field(memory.name, kind, doc, optional=memory.keep is Keep.LAST)
        if memory.per is not None:
            doc = f"milliseconds since other partitions were asked about `{memory.name}`"
            fields.setdefault(memory.age_name, Field(memory.age_name, Kind.INT, doc))
    return Struct(HISTORY.name, tuple(fields.values()))


def entities_struct(bundle: Bundle) -> Struct:
    """Return the type of the fact `entities`: a field for each declared entity of the bundle."""
    declared = {entity.name: entity for pack in bundle.packs for entity in pack.entities}
    fields = []
    for name, entity in sorted(declared.items()):
        own = Struct(f"Entity_{name}", (*ENTITY_FIELDS, *entity.fields))
        fields.append(Field(name, own, f"the {entity.kind} that the call is about", optional=True))
    return Struct(ENTITIES.name, tuple(fields))


def _kind(item: NamedList) -> Kind:
    return _KINDS[type(item.values[0])] if item.values else Kind.DYN


class PackChecker:
    """Checks the expressions of one pack."""

    def __init__(self, bundle: Bundle, pack: Pack, tools: Mapping[str, ToolTypes], findings: Findings) -> None:
        both = (bundle.shared, pack)
        named = [(list_name(source, item.name), item) for source in (bundle.shared, *bundle.packs)
                 for item in source.lists]  # fmt: skip
        self._kinds = {name: _kind(item) for name, item in named}
        self._history = history_struct(bundle)
        self._entities = entities_struct(bundle)
        self._entity_names = frozenset(field.name for field in self._entities.fields)
        self._history_names = frozenset(field.name for field in self._history.fields)
        self._budgets = frozenset(budget.name for each in bundle.packs for budget in each.budgets)
        self._tools = tools
        self._findings = findings
        self._scope = MacroScope(
            {macro.name: macro.body for source in both for macro in source.macros},
            {item.name: list_name(source, item.name) for source in both for item in source.lists},
        )

    def _checker(self, args: FactType) -> Checker:
        return checker_for(args, self._kinds, self._history, self._entities)

    def macros(self, pack: Pack) -> None:
        """Check the bodies of a pack's macros, also of those that no rule uses."""
        for macro in pack.macros:
            self._expression(macro.body, None, self._checker(UNTYPED.args))

    def rule(self, rule: Rule) -> CheckedRule | None:
        """Check one rule. Return None if it has errors."""
        typed = self._typed_tools(rule.match)
        generic = self._checker(next(iter(typed.values())).args if self._all_typed(rule, typed) else UNTYPED.args)
        found = self._expression(rule.when, rule, generic)
        if found is None:
            return None
        expanded, checked = found
        if not self._is_condition(rule, checked) or not self._may_read(rule, checked):
            return None
        variants: dict[tuple[str, str], CheckedExpression] = {}
        for tool, types in typed.items():
            variant = self._check(expanded, rule, self._checker(types.args), f"for tool `{tool[0]}.{tool[1]}`")
            if variant is None or not self._is_condition(rule, variant):
                return None
            variants[tool] = variant
        explain = []
        for name, scalar in rule.explain:
            part = self._expression(scalar, rule, generic)
            if part is None:
                return None
            explain.append(NamedExpression(name, part[1], part[0]))
        names = {name.partition(".")[0] for tree in (checked, *(item.checked for item in explain))
                 for name in free_names(tree.tree)}  # fmt: skip
        return CheckedRule(rule, expanded, checked, variants, tuple(explain), frozenset(names - {"lists", "net"}))

    def value(
        self, scalar: Scalar, match: Match | None, kinds: frozenset[str]
    ) -> tuple[ExpandedText, CheckedExpression] | None:
        """Check an expression of a memory or a budget. Return None if it has errors.

        Args:
            scalar: the text in its file.
            match: the calls that it applies to. It is checked against the argument types of each tool that is named.
            kinds: the kinds of type that its value may have.
        """
        found = self._expression(scalar, None, self._checker(UNTYPED.args))
        checkers = [(self._checker(types.args), f"for tool `{server}.{name}`")
                    for (server, name), types in (self._typed_tools(match) if match else {}).items()]  # fmt: skip
        typed = [self._check(found[0], None, checker, context) for checker, context in checkers] if found else []
        if found is None or None in typed:
            return None
        if reads_baseline(read_paths(found[1].tree)):
            message = (
                "memories, budgets and entities can't read what comes from the agent's baseline: read it in a rule"
            )
            self._findings.error("reads_baseline", scalar.location, message)
            return None
        for checked in (found[1], *typed):
            kind = checked.tree.type.kind if checked is not None else "?"
            if kind not in kinds:
                message = f"expected a value of type {' or '.join(sorted(kinds))}, found {kind}"
                self._findings.error("wrong_type", scalar.location, message)
                return None
        return found

    def _typed_tools(self, match: Match) -> dict[tuple[str, str], ToolTypes]:
        """Return the tools that are named without wildcards and whose argument types are known."""
        found = {}
        for pattern in match.tools:
            tool = literal_tool(pattern)
            types = self._tools.get(f"{tool[0]}/{tool[1]}") if tool else None
            if tool is not None and types is not None:
                found[tool] = types
        return found

    def _all_typed(self, rule: Rule, typed: Mapping[tuple[str, str], ToolTypes]) -> bool:
        return bool(typed) and len(typed) == len(rule.match.tools)

    def _is_condition(self, rule: Rule, checked: CheckedExpression) -> bool:
        if checked.tree.type == _BOOL:
            return True
        kind = checked.tree.type
        hint = "compare it, as in `... == true`" if kind.kind == "dyn" else None
        message = f"`when` must be a bool, found a value of type {kind}"
        self._findings.error("not_a_condition", rule.when.location, message, rule_id=rule.id, hint=hint)
        return False

    def _may_read(self, rule: Rule, checked: CheckedExpression) -> bool:
        """Return whether the condition reads only what may permit a call, if that is what the rule does."""
        if rule.effect is not RuleEffect.PERMIT or not reads_baseline(read_paths(checked.tree)):
            return True
        self._findings.error(
            "baseline_permits",
            rule.when.location,
            "a permit can't read what comes from the agent's baseline: whoever writes baselines could permit calls",
            rule_id=rule.id,
            hint="deny, ask for approval or quarantine in a rule of its own that reads it",
        )
        return False

    def _expression(
        self, scalar: Scalar, rule: Rule | None, checker: Checker
    ) -> tuple[ExpandedText, CheckedExpression] | None:
        rule_id = rule.id if rule else None
        try:
            expanded = self._scope.expand(scalar)
        except MacroError as error:
            at = error.scalar.at(error.offset)
            self._findings.error(error.code, at, error.message, rule_id=rule_id, hint=error.hint)
            return None
        checked = self._check(expanded, rule, checker, "")
        return None if checked is None else (expanded, checked)

    def _check(
        self, expanded: ExpandedText, rule: Rule | None, checker: Checker, context: str
    ) -> CheckedExpression | None:
        try:
            return checker.check(expanded.text)
        except CheckError as error:
            for problem in error.problems:
                message = f"{problem.message} {context}".rstrip()
                rule_id = rule.id if rule else None
                at = expanded.at(problem.offset)
                hint = self._hint_for_defined_name(problem.name) or problem.hint
                self._findings.error(problem.code, at, message, rule_id=rule_id, hint=hint)
            return None

    def _hint_for_defined_name(self, name: str | None) -> str | None:
        """Return a hint for an unknown name that the bundle defines, but that is written differently in conditions."""
        if name is None:
            return None
        root = name.partition(".")[0]
        if root in self._budgets or root == "budgets":
            return "a condition can't read a budget: the gate itself denies calls that would exceed it"
        known = (
            ("history", self._history_names),
            ("entities", self._entity_names),
            ("lists", self._scope.lists),
            ("macros", self._scope.macros),
        )
        return next((f"write `{space}.{root}`" for space, names in known if root in names), None)
