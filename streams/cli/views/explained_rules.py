"""Shows how the rules evaluated one intent: which of them decided, and the parts of their conditions.

**Idea.** A bundle has a hundred rules, and one or two decide. Those come first, with the parts of their conditions. If
they kept the call from running, the others are only counted, because they explain nothing. If the call was allowed, or
no rule has decided it, the others are listed, because the question is why they did not match.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.codec.instants import format_instant
from streams.model.plurals import many
from streams.operations.rules.explanation import Judged
from streams.policy import (
    REDACTED,
    Connective,
    Effect,
    ExplainedPart,
    IntentExplanation,
    Mode,
    RuleExplanation,
    RuleOutcome,
)

if TYPE_CHECKING:
    from rich.tree import Tree

EFFECT_STYLES = {Effect.ALLOW: OK, Effect.DENY: FAIL, Effect.QUARANTINE: FAIL}
_SHOWN = (RuleOutcome.TRUE, RuleOutcome.ERROR, RuleOutcome.FALSE)
_STYLES = {RuleOutcome.TRUE: OK, RuleOutcome.ERROR: FAIL, RuleOutcome.FALSE: FAINT}
_COUNTED = {
    RuleOutcome.FALSE: "did not match",
    RuleOutcome.NOT_FOR_TOOL: "are for other tools",
    RuleOutcome.NOT_FOR_CALLER: "are for other callers",
    RuleOutcome.OFF: "are off",
}
_NO_VALUE = "no value: "
_PART_CHARS_MAX = 160
_WHY_CHARS_MIN = 40
_IS_TEXT = re.compile(r'[\w.]+ == "[^"]*"')
_TEXT_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"')
_CHAINS = frozenset({Connective.AND, Connective.OR})
_JOINED = {Connective.AND: "all of", Connective.OR: "one of", Connective.NOT: "not"}


class Wanted(NamedTuple):
    """What is shown of the rules that have evaluated an intent.

    Attributes:
        only: the ids of the rules that are shown; all if it is empty.
        whole: whether to show all parts of all conditions.
        lacks_facts: whether facts are missing, so that rules which read them have no value.
    """

    only: frozenset[str]
    whole: bool
    lacks_facts: bool

    @property
    def is_each(self) -> bool:
        """Whether each rule is shown with its condition, and not just those that explain the effect."""
        return self.whole or bool(self.only)

    def deciders(self, effect: Effect, rules: Iterable[RuleExplanation]) -> list[RuleExplanation]:
        """Return the rules that have kept the call from running; none if nobody can tell."""
        return [] if self.lacks_facts else _deciders(effect, rules)


def tell_judged(
    screen: Screen,
    judged: Judged,
    wanted: Wanted,
    *,
    before: Judged | None,
    is_one_of_many: bool,
    is_as_recorded: bool,
) -> None:
    """Write how the rules evaluated an intent.

    Args:
        screen: the output.
        judged: the evaluation.
        wanted: what is shown of the rules.
        before: the evaluation that was written before this one. What its rules have shown is not shown again.
        is_one_of_many: whether the intent was judged more than once.
        is_as_recorded: whether the verdict on the log has said the same already.
    """
    explanation = judged.explanation
    effect = explanation.result.effect
    screen.record(_judgement_fields(judged))
    shown = [each for each in explanation.rules if not wanted.only or each.rule_id in wanted.only]
    if screen.as_json:
        for each in shown:
            screen.record({"record": "rule", **_rule_fields(each)})
        return
    when = f" at {format_instant(judged.time_ms)}" if is_one_of_many else ""
    told = f" {explanation.result.reason}: {explanation.result.reason_text}{when}"
    if is_as_recorded:
        told = " from the records of the session, as on the log"
    _tell_head(screen, explanation, told, lacks_facts=wanted.lacks_facts)
    deciders = wanted.deciders(effect, shown)
    repeated = _repeated(shown, [] if before is None else _in_full(before.explanation, wanted))
    shown = [each for each in shown if each.rule_id not in repeated]
    decided = [each for each in deciders if each.rule_id not in repeated]
    if wanted.is_each:
        _tell_trees(screen, shown, _SHOWN, whole=wanted.whole)
        _tell_others(screen, shown)
    elif deciders:
        _tell_decided(screen, decided, [each for each in shown if each not in decided])
    else:
        _tell_undecided(screen, shown, lacks_facts=wanted.lacks_facts)
    if repeated:
        again = ", ".join(each.rule_id for each in deciders if each.rule_id in repeated)
        screen.say()
        told = f"{many(len(repeated), 'rule')} came out as above"
        screen.say(f"{told}, among them those that decided: {again}" if again else told, FAINT)


def _judgement_fields(judged: Judged) -> dict[str, object]:
    """Return an evaluation as JSON, without its rules."""
    explanation, result = judged.explanation, judged.explanation.result
    return {
        "record": "judgement",
        "evaluated_ms": judged.time_ms,
        "bundle": explanation.bundle,
        "version": explanation.version,
        "ruleset_digest": explanation.digest,
        "effect": result.effect.value,
        "reason": result.reason.value,
        "reason_text": result.reason_text,
    }


def _tell_head(screen: Screen, explanation: IntentExplanation, told: str, *, lacks_facts: bool) -> None:
    """Write what the rules came to, and which version of them that was."""
    effect = explanation.result.effect
    screen.say()
    if lacks_facts:
        screen.rich(
            Text.assemble(
                ("rules: ", STRONG), ("those that need the key of the user's values have no value, see below", WARN)
            )
        )
    else:
        style = EFFECT_STYLES.get(effect, WARN)
        screen.rich(Text.assemble(("rules: ", STRONG), (effect.value, style), printable(told)))
    screen.rich(
        Text(
            printable(f"bundle {explanation.bundle}, version {explanation.version}, digest {explanation.digest[:12]}"),
            FAINT,
        )
    )


def _in_full(explanation: IntentExplanation, wanted: Wanted) -> list[RuleExplanation]:
    """Return the rules of an evaluation whose conditions are written."""
    written = [each for each in explanation.rules if each.outcome in _SHOWN]
    deciders = [] if wanted.is_each else wanted.deciders(explanation.result.effect, written)
    return [*deciders, *(each for each in written if each.outcome is RuleOutcome.ERROR)] if deciders else written


def _repeated(rules: Iterable[RuleExplanation], before: Iterable[RuleExplanation]) -> frozenset[str]:
    """Return the rules that have come out as before, with the same values."""
    known = {each.rule_id: each for each in before}
    return frozenset(
        each.rule_id
        for each in rules
        if (was := known.get(each.rule_id)) is not None
        and (was.outcome, was.error, was.mode, was.named) == (each.outcome, each.error, each.mode, each.named)
        and was.whole == each.whole
    )


def _tell_trees(
    screen: Screen, rules: Sequence[RuleExplanation], outcomes: Iterable[RuleOutcome], *, whole: bool = False
) -> None:
    for outcome in outcomes:
        for each in rules:
            if each.outcome is outcome:
                screen.say()
                screen.tree(_tree(each, whole))


def _tell_undecided(screen: Screen, rules: Sequence[RuleExplanation], *, lacks_facts: bool) -> None:
    """Write the rules of a call that was allowed, or that no rule has decided."""
    _tell_trees(screen, rules, (RuleOutcome.TRUE,) if lacks_facts else (RuleOutcome.TRUE, RuleOutcome.ERROR))
    unknown = [each.rule_id for each in rules if each.outcome is RuleOutcome.ERROR]
    if unknown and lacks_facts:
        screen.say()
        screen.say(f"without a value: {', '.join(unknown)}", WARN)
    _tell_false(screen, [each for each in rules if each.outcome is RuleOutcome.FALSE])
    _tell_counts(screen, [each for each in rules if each.outcome not in _SHOWN])


def _deciders(effect: Effect, rules: Iterable[RuleExplanation]) -> list[RuleExplanation]:
    """Return the rules that have kept a call from running; none if it was allowed, or no rule has decided."""
    return [
        each
        for each in rules
        if each.outcome is RuleOutcome.TRUE
        and each.mode is Mode.ENFORCE
        and effect is not Effect.ALLOW
        and each.effect.upper() == effect
    ]


def _tell_decided(screen: Screen, decided: Sequence[RuleExplanation], others: Sequence[RuleExplanation]) -> None:
    _tell_trees(screen, decided, (RuleOutcome.TRUE,))
    _tell_trees(screen, others, (RuleOutcome.ERROR,))
    matched = [each for each in others if each.outcome is RuleOutcome.TRUE]
    if matched:
        screen.say()
        screen.say("rules that matched as well, and weigh less", STRONG)
    id_chars = max((len(each.rule_id) for each in matched), default=0)
    for each in matched:
        screen.prose(f"{each.rule_id:<{id_chars}}  {each.effect}{_mode_of(each)}: {each.reason}")
    _tell_counts(screen, others)


def _tell_counts(screen: Screen, rules: Iterable[RuleExplanation]) -> None:
    counts = Counter(each.outcome for each in rules if each.outcome in _COUNTED)
    if counts:
        told = ", ".join(f"{count} {_COUNTED[outcome]}" for outcome, count in sorted(counts.items()))
        screen.say()
        screen.say(f"of the other rules, {told}", FAINT)


def _mode_of(rule: RuleExplanation) -> str:
    return "" if rule.mode is Mode.ENFORCE else f" ({rule.mode})"


def _tell_false(screen: Screen, rules: Sequence[RuleExplanation]) -> None:
    """Write rules that did not match, one line each: what in the condition decided that."""
    if rules:
        screen.say()
        screen.say("rules that did not match, and what decided that", STRONG)
    id_chars = max((len(each.rule_id) for each in rules), default=0)
    effect_chars = max((len(str(each.effect)) for each in rules), default=0)
    for each in rules:
        decided = (
            "" if each.whole is None else ", ".join(f"{part.text} = {part.value}" for part in _deciding(each.whole))
        )
        head = f"{each.rule_id:<{id_chars}} {each.effect!s:<{effect_chars}} "
        screen.rich(Text.assemble(head, (short(decided, max(_WHY_CHARS_MIN, screen.width_chars - len(head))), FAINT)))


def _deciding(part: ExplainedPart) -> list[ExplainedPart]:
    """Return the parts that make a condition false: those of a conjunction, or the condition itself."""
    part = _undoubled(part)
    if part.connective in _CHAINS:
        return [found for inner in part.decisive_parts() for found in _deciding(inner)]
    if part.connective is Connective.NOT and part.value == "false":
        # `a = true` says the same as `!a = false`, and reads better.
        return [inner for inner in part.parts if inner.connective is Connective.OTHER] or [part]
    return [part]


def _tell_others(screen: Screen, rules: Iterable[RuleExplanation]) -> None:
    others: dict[str, list[str]] = {}
    for each in rules:
        if each.outcome not in _SHOWN:
            others.setdefault(each.outcome, []).append(each.rule_id)
    if others:
        screen.say()
    for outcome, rule_ids in sorted(others.items()):
        screen.prose(f"{outcome}: {', '.join(rule_ids)}", FAINT)


def _tree(rule: RuleExplanation, whole: bool) -> Tree:
    title = Text.assemble(
        (rule.outcome.upper(), _STYLES[rule.outcome]),
        " ",
        (rule.rule_id, STRONG),
        printable(f" {rule.effect}{_mode_of(rule)}: {rule.reason}"),
        # On a line of its own, it can be copied, and a terminal can open it.
        (f"\n{printable(rule.place)}", FAINT),
    )
    from rich.tree import Tree  # noqa: PLC0415 - for a person

    tree = Tree(title.rich(), guide_style=FAINT)
    if rule.error is not None:
        tree.add(Text(printable(f"no value: {rule.error}"), FAIL).rich())
    if rule.whole is not None:
        _grow(tree, rule.whole, whole)
    for name, value in rule.named:
        tree.add(Text.assemble((f"{name}: ", FAINT), (short(value, _PART_CHARS_MAX), STRONG)).rich())
    return tree


def _grow(tree: Tree, part: ExplainedPart, whole: bool) -> None:
    """Add a part and the parts in it: all of them, or only those that decide its value."""
    if not whole:
        part = _undoubled(part)
    inner = part.parts if whole else part.decisive_parts()
    if part.connective is Connective.NOT and inner and inner[0].connective is Connective.OTHER:
        # `!session.attended` reads better in one piece.
        inner, label = inner[0].parts, short(part.text, _PART_CHARS_MAX)
    elif not whole and part.connective in _CHAINS and len(inner) == 1:
        _grow(tree, inner[0], whole)
        return
    else:
        label = _JOINED.get(part.connective) or short(part.text, _PART_CHARS_MAX)
    shown = (short(part.value, _PART_CHARS_MAX), _style_of(part.value))
    branch = tree.add(Text.assemble(label, (" = ", FAINT), shown).rich())
    if part.value == REDACTED and part.connective is not Connective.ELEMENT and not whole:
        return
    if not whole and _names_value(part):
        return
    for each in inner:
        if not _is_constant(each):
            _grow_inner(branch, each, part.connective, whole)


def _grow_inner(branch: Tree, part: ExplainedPart, within: Connective, whole: bool) -> None:
    """Add a part; show `a && b && c` as one conjunction, as its author wrote it."""
    if part.connective is within and within in _CHAINS:
        for inner in part.parts if whole else part.decisive_parts():
            _grow_inner(branch, inner, within, whole)
    else:
        _grow(branch, part, whole)


def _undoubled(part: ExplainedPart) -> ExplainedPart:
    """Return `a` for `!!a`, which is how an exception to an exception reads."""
    while part.connective is Connective.NOT and part.parts and part.parts[0].connective is Connective.NOT:
        if not part.parts[0].parts:
            break
        part = part.parts[0].parts[0]
    return part


def _names_value(part: ExplainedPart) -> bool:
    """Return whether a part says what value a fact has, as `act.kind == "send" = true` does."""
    return part.value == "true" and _IS_TEXT.fullmatch(part.text) is not None


def _is_constant(part: ExplainedPart) -> bool:
    """Return whether the part reads no fact: its text is literals only, such as a long pattern in pieces."""
    return part.connective is Connective.OTHER and not re.search("[A-Za-z_]", _TEXT_LITERAL.sub("", part.text))


def _style_of(value: str) -> str:
    if value.startswith(_NO_VALUE):
        return FAIL
    return {"true": OK, "false": WARN}.get(value, STRONG)


def _rule_fields(rule: RuleExplanation) -> dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "effect": str(rule.effect),
        "mode": rule.mode.value,
        "outcome": rule.outcome.value,
        "error": rule.error,
        "reason": rule.reason,
        "place": rule.place,
        "explain": dict(rule.named),
        "condition": None if rule.whole is None else _part_fields(rule.whole),
    }


def _part_fields(part: ExplainedPart) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": part.text, "value": part.value}
    if part.connective is not Connective.OTHER:
        fields["joins"] = part.connective.value
    if part.parts:
        fields["parts"] = [_part_fields(inner) for inner in part.parts]
    return fields
