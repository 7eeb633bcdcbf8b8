"""The command of `stoplog rules` that explains one decision."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from streams.cli.findings import refusal_recorded
from streams.cli.next_steps import tell_steps
from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, HistoryKeyOption, Output
from streams.cli.rules_check import CatalogOption
from streams.cli.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.text import printable, short
from streams.codec.instants import format_instant
from streams.model.verdict import Verdict
from streams.operations.root_key import load_root_key
from streams.operations.rules.explanation import (
    NEEDS_KEY,
    THE_LOG,
    Explained,
    Judged,
    explain_from_history,
    explain_from_log,
)
from streams.operations.trial import DEVELOPMENT_ROOT_KEY
from streams.policy import REDACTED, Connective, Effect, ExplainedPart, Mode, RuleExplanation, RuleOutcome
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.trials import plan_trial

_OF_HISTORIES = "'--root-key' / '--catalog'"
_SHOWN = (RuleOutcome.TRUE, RuleOutcome.ERROR, RuleOutcome.FALSE)
_STYLES = {RuleOutcome.TRUE: OK, RuleOutcome.ERROR: FAIL, RuleOutcome.FALSE: FAINT}
_EFFECTS = {Effect.ALLOW: OK, Effect.DENY: FAIL, Effect.QUARANTINE: FAIL}
_NO_VALUE = "no value: "
_PART_CHARS_MAX = 160
_WHY_CHARS_MIN = 40
_TEXT_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"')
_CHAINS = frozenset({Connective.AND, Connective.OR})
_JOINED = {Connective.AND: "all of", Connective.OR: "one of", Connective.NOT: "not"}


@takes_groups
def explain(
    *,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The rules. By default those of the history, or of the log."),
    ] = None,
    intent: Annotated[
        str | None,
        typer.Option(
            "--intent",
            metavar="ID",
            help="The intent: its id or that of its verdict, event, task or alert, the beginning of one, or "
            "its name in the history.",
        ),
    ] = None,
    line: Annotated[
        int | None, typer.Option("--line", metavar="N", help="The line of the history that has the intent.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="FILE", help="Read the intent from this history, not from the log."),
    ] = None,
    catalog: CatalogOption = None,
    root_key: HistoryKeyOption = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="ID", help="Show only this rule. Can be repeated.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every part of a condition, not only those that decide.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Also show values that the schema marks as sensitive, such as arguments.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Show how every rule evaluates one intent, and why: the parts of its condition, with their values.

    The records before the intent are run through the engine, so that the rules see the same facts as in a gate, under
    the rules that were in force. The log needs no root key: it says what gates have rejected, and the rest is believed.
    """
    screen = output.screen()
    settings = connection.settings()
    with refusal_recorded(screen):
        if history is not None:
            key = DEVELOPMENT_ROOT_KEY if root_key is None else load_root_key(root_key)
            plan = plan_trial(settings, history, key, catalog=catalog, rules=directory)
            explained = explain_from_history(plan, intent=intent, line_no=line, reveal=reveal)
        elif intent is None:
            raise typer.BadParameter("give an intent, or a history with `--history`", param_hint="--intent")
        else:
            if root_key is not None or catalog is not None:
                raise typer.BadParameter("they are for a history; give one with `--history`", param_hint=_OF_HISTORIES)
            plan = plan_trial(settings, THE_LOG, DEVELOPMENT_ROOT_KEY, rules=directory)
            codec = build_codec(settings)
            with open_log(settings, create=False) as opened:
                explained = explain_from_log(
                    opened, codec, SystemClock(), plan, intent=intent, tenant_uid=settings.tenant, reveal=reveal
                )
    _tell_intent(screen, explained, reveal=reveal)
    asked = {judged.explanation.digest for judged in explained.judged}
    for verdict in explained.recorded:
        _tell_verdict(screen, verdict, asked, recorded=True)
    for judged in explained.judged:
        _tell_judged(screen, judged, frozenset(rule or ()), whole=verbose, is_one_of_many=len(explained.judged) > 1)
    # A run without the key of the user's values has no verdict that says anything.
    is_told = explained.agrees is not None and not (explained.recorded and explained.agrees)
    for verdict in explained.verdicts:
        _tell_verdict(screen, verdict, asked, recorded=False, is_shown=is_told)
    if history is None:
        _tell_limits(screen, explained, is_under_own_rules=directory is None)
        _tell_next(screen, explained, connection, verbose=verbose)


def _tell_limits(screen: Screen, explained: Explained, *, is_under_own_rules: bool) -> None:
    """Say where the run can differ from the gate."""
    if explained.hidden:
        topics = ", ".join(explained.hidden)
        screen.record({"kind": "hidden_topics", "topics": list(explained.hidden)})
        screen.say(f"without the records of topics that this client may not read: {topics}", WARN)
    if explained.lacks_key:
        _tell_unknown(screen, explained)
    if not explained.recorded:
        screen.say("no gate has decided this intent yet: its proof was not checked", WARN)
    elif is_under_own_rules and explained.agrees is False:
        screen.say(
            "the gate decided otherwise than this run, which has only what the log still keeps of this session and of "
            "those that it descends from: budgets that sessions share, and other sessions, are not in it",
            WARN,
        )


def _tell_unknown(screen: Screen, explained: Explained) -> None:
    """Say which facts nobody can know without a key, and what the gate has recorded of them."""
    facts = [f"{name}.{field}" for name, fields in NEEDS_KEY.items() for field in sorted(fields)]
    facts += [name for name, fields in NEEDS_KEY.items() if not fields]
    screen.record({"kind": "unknown_facts", "facts": facts, "user": explained.intent.sub})
    screen.say()
    screen.say(
        f"not known here: {', '.join(f'`{fact}`' for fact in facts)}. They follow from what the sessions of "
        f"{explained.intent.sub} have shown, which is recorded under a key of his own. Gates send it with calls that "
        "they allow, and no verdict that this client may read has it. Rules that read these facts have no value above, "
        "so the verdict on the log is neither confirmed nor in doubt",
        WARN,
    )


def _tell_next(screen: Screen, explained: Explained, connection: Connection, *, verbose: bool) -> None:
    intent = explained.intent
    explain = f"rules explain --intent {intent.intent_id}"
    session = shlex.quote(f"{intent.header.tenant_uid}|{intent.session_id}")
    tool = shlex.quote(f"{intent.tool.server_id}/{intent.tool.name}")
    steps = [
        ("in one sentence, with the origins", f"explain {intent.intent_id}"),
        ("what the session read and did", f"session show {session}"),
        ("what the tool is approved for", f"catalog show {tool}"),
        ("with the values of arguments", f"{explain} --reveal"),
    ]
    if not verbose:
        steps.append(("every part of every condition", f"{explain} --verbose"))
    screen.say()
    tell_steps(screen, connection, steps)


def _tell_intent(screen: Screen, explained: Explained, *, reveal: bool) -> None:
    intent = explained.intent
    tool = f"{intent.tool.server_id}/{intent.tool.name}"
    screen.record(
        {
            "kind": "intent",
            "intent": intent.intent_id,
            "session": intent.session_id,
            "tool": tool,
            "place": explained.place,
            "time_ms": explained.time_ms,
            "times_judged": len(explained.judged),
            "agrees": explained.agrees,
        }
    )
    screen.rich(
        Text.assemble(
            (printable(tool), STRONG),
            printable(f" by {intent.act.sub} for {intent.sub}, session {intent.session_id}, "),
            printable(f"{explained.place}, {format_instant(explained.time_ms)}"),
        )
    )
    screen.rich(Text(printable(f"intent {intent.intent_id}"), FAINT))
    if reveal:
        screen.say(f"arguments {intent.args_json}")
    if not explained.judged:
        screen.say()
        screen.say("the rules were not evaluated: an earlier check decided", WARN)


def _tell_judged(screen: Screen, judged: Judged, only: frozenset[str], *, whole: bool, is_one_of_many: bool) -> None:
    explanation = judged.explanation
    result = explanation.result
    screen.record(
        {
            "kind": "judgement",
            "time_ms": judged.time_ms,
            "bundle": explanation.bundle,
            "version": explanation.version,
            "digest": explanation.digest,
            "effect": result.effect.value,
            "reason": result.reason.value,
            "reason_text": result.reason_text,
        }
    )
    shown = [each for each in explanation.rules if not only or each.rule_id in only]
    for each in shown:
        screen.record({"kind": "rule", **_rule_fields(each)})
    if screen.as_json:
        return
    screen.say()
    when = f" at {format_instant(judged.time_ms)}" if is_one_of_many else ""
    screen.rich(
        Text.assemble(
            ("rules: ", STRONG),
            (result.effect.value, _EFFECTS.get(result.effect, WARN)),
            printable(f" {result.reason}: {result.reason_text}{when}"),
        )
    )
    screen.rich(
        Text(
            printable(f"bundle {explanation.bundle}, version {explanation.version}, digest {explanation.digest[:12]}"),
            FAINT,
        )
    )
    for outcome in _SHOWN:
        for each in shown:
            if each.outcome is outcome and (outcome is not RuleOutcome.FALSE or whole or only):
                screen.say()
                screen.tree(_tree(each, whole))
    if not (whole or only):
        _tell_false(screen, [each for each in shown if each.outcome is RuleOutcome.FALSE])
    _tell_others(screen, shown)


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
    if part.connective in _CHAINS:
        return [found for inner in part.decisive_parts() for found in _deciding(inner)]
    return [part]


def _tell_others(screen: Screen, rules: Iterable[RuleExplanation]) -> None:
    others: dict[str, list[str]] = {}
    for each in rules:
        if each.outcome not in _SHOWN:
            others.setdefault(each.outcome, []).append(each.rule_id)
    if others:
        screen.say()
    for outcome, rule_ids in sorted(others.items()):
        screen.say(f"{outcome}: {', '.join(rule_ids)}", FAINT)


def _tree(rule: RuleExplanation, whole: bool) -> Tree:
    mode = "" if rule.mode is Mode.ENFORCE else f" ({rule.mode})"
    title = Text.assemble(
        (rule.outcome.upper(), _STYLES[rule.outcome]),
        " ",
        (rule.rule_id, STRONG),
        printable(f" {rule.effect}{mode}: {rule.reason} "),
        (printable(rule.place), FAINT),
    )
    tree = Tree(title, guide_style=FAINT)
    if rule.error is not None:
        tree.add(Text(printable(f"no value: {rule.error}"), FAIL))
    if rule.whole is not None:
        _grow(tree, rule.whole, whole)
    return tree


def _grow(tree: Tree, part: ExplainedPart, whole: bool) -> None:
    """Add a part and the parts in it: all of them, or only those that decide its value."""
    inner = part.parts if whole else part.decisive_parts()
    if part.connective is Connective.NOT and inner[0].connective is Connective.OTHER:
        # `!session.attended` reads better in one piece.
        inner, label = inner[0].parts, short(part.text, _PART_CHARS_MAX)
    elif not whole and part.connective in _CHAINS and len(inner) == 1:
        _grow(tree, inner[0], whole)
        return
    else:
        label = _JOINED.get(part.connective) or short(part.text, _PART_CHARS_MAX)
    branch = tree.add(Text.assemble(label, (" = ", FAINT), (short(part.value, _PART_CHARS_MAX), _style_of(part.value))))
    if part.value == REDACTED and part.connective is not Connective.ELEMENT and not whole:
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


def _is_constant(part: ExplainedPart) -> bool:
    """Return whether the part reads no fact: its text is literals only, such as a long pattern in pieces."""
    return part.connective is Connective.OTHER and not re.search("[A-Za-z_]", _TEXT_LITERAL.sub("", part.text))


def _style_of(value: str) -> str:
    if value.startswith(_NO_VALUE):
        return FAIL
    return {"true": OK, "false": WARN}.get(value, STRONG)


def _rule_fields(rule: RuleExplanation) -> dict[str, Any]:
    return {
        "rule": rule.rule_id,
        "effect": str(rule.effect),
        "mode": rule.mode.value,
        "outcome": rule.outcome.value,
        "error": rule.error,
        "reason": rule.reason,
        "place": rule.place,
        "condition": None if rule.whole is None else _part_fields(rule.whole),
    }


def _part_fields(part: ExplainedPart) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": part.text, "value": part.value}
    if part.connective is not Connective.OTHER:
        fields["joins"] = part.connective.value
    if part.parts:
        fields["parts"] = [_part_fields(inner) for inner in part.parts]
    return fields


def _tell_verdict(screen: Screen, verdict: Verdict, asked: set[str], *, recorded: bool, is_shown: bool = True) -> None:
    screen.record(
        {
            "kind": "recorded_verdict" if recorded else "verdict",
            "outcome": verdict.outcome.value,
            "reason": verdict.reason,
            "reason_text": verdict.reason_text,
            "time_ms": verdict.evaluated_at,
            "digest": None if verdict.ruleset_digest is None else verdict.ruleset_digest.hex(),
        }
    )
    if not is_shown:
        return
    screen.say()
    digest = "none" if verdict.ruleset_digest is None else verdict.ruleset_digest.hex()
    screen.rich(
        Text.assemble(
            ("verdict on the log: " if recorded else "verdict: ", STRONG),
            (verdict.outcome.value, _EFFECTS.get(Effect(verdict.outcome.value), WARN)),
            printable(f" {verdict.reason}: {verdict.reason_text}"),
            (f" at {format_instant(verdict.evaluated_at)}", FAINT),
            ("" if not asked or digest in asked else f", under other rules: {digest[:12]}", WARN),
        )
    )
