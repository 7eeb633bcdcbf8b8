"""The command of `stoplog rules` that explains one decision."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.commands.rules.check import CatalogOption
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, HistoryKeyOption, Output
from streams.cli.terminal.screen import FAINT, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.cli.views.explained_rules import EFFECT_STYLES, Wanted, tell_judged
from streams.cli.views.findings import refusal_recorded
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.model.errors import StoplogError
from streams.model.topics import VERDICT
from streams.model.types import tool_text
from streams.model.verdict import Verdict
from streams.operations.root_key import load_gates_root_key
from streams.operations.rules.explanation import (
    NEEDS_KEY,
    THE_LOG,
    Explained,
    Judged,
    explain_from_history,
    explain_from_log,
)
from streams.operations.trial import DEVELOPMENT_ROOT_KEY
from streams.policy import Effect
from streams.sdk.keys.root_key import load_root_key
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.trials import plan_trial

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings

_RULES_NAMED_MAX = 3


class RuleUnknownError(StoplogError):
    """An option names a rule that is not one of those that judged the intent."""


@takes_groups
def explain(
    *,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The rules. By default those of the history, or of the log."),
    ] = None,
    intent: Annotated[
        str | None,
        typer.Option(
            "--intent",
            metavar="INTENT",
            help="An intent, or its verdict, alert or question; the beginning is enough. In a history, also its name.",
        ),
    ] = None,
    line: Annotated[
        int | None, typer.Option("--line", metavar="N", min=1, help="The line of the history that has the intent.")
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
    the rules that were in force. For an intent of the log, what gates have rejected is left out, and the rest is
    believed, so no root key is needed, unless the output says so.
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
        elif catalog is not None:
            raise typer.BadParameter("it is for a history; give one with `--history`", param_hint="--catalog")
        else:
            explained = _explain_logged(settings, intent, directory, root_key, reveal=reveal)
    _check_rules_exist(explained, rule or ())
    _tell_intent(screen, explained, reveal=reveal, is_of_history=history is not None)
    _tell_rules(screen, explained, frozenset(rule or ()), whole=verbose)
    if history is None:
        _tell_limits(screen, explained, is_under_own_rules=directory is None, has_key=root_key is not None)
        _tell_next(screen, explained, connection, settings.key_path, reveal=reveal, verbose=verbose)


def _check_rules_exist(explained: Explained, asked: Sequence[str]) -> None:
    known = {each.rule_id for judged in explained.judged for each in judged.explanation.rules}
    unknown = [each for each in asked if each not in known]
    if known and unknown:
        meant = get_close_matches(unknown[0], known) or sorted(known)[:_RULES_NAMED_MAX]
        named = ", ".join(f"`{each}`" for each in meant)
        raise RuleUnknownError(f"the rules that judged the intent have no `{unknown[0]}`, but for example {named}")


def _explain_logged(
    settings: Settings, intent: str, directory: Path | None, root_key: Path | None, *, reveal: bool
) -> Explained:
    """Explain an intent of the log, under its own rules or under those in a folder."""
    gates_key = None if root_key is None else load_gates_root_key(root_key)
    plan = plan_trial(settings, THE_LOG, DEVELOPMENT_ROOT_KEY, rules=directory, few_records=True)
    codec = build_codec(settings, few_records=True)
    with open_log(settings, create=False) as opened:
        return explain_from_log(
            opened,
            codec,
            SystemClock(),
            plan,
            officers=settings.content.trusted(),
            intent=intent,
            tenant_uid=settings.tenant,
            reveal=reveal,
            gates_key=gates_key,
        )


def _tell_rules(screen: Screen, explained: Explained, only: frozenset[str], *, whole: bool) -> None:
    """Show the recorded verdicts, how each rule has evaluated the intent, and the verdicts that follow.

    Args:
        only: the ids of the rules to show; empty for all.
        whole: whether every part of a condition is shown.
    """
    asked = {judged.explanation.digest for judged in explained.judged}
    for verdict in explained.recorded:
        _tell_verdict(screen, verdict, asked, recorded=True)
    wanted, is_one_of_many = Wanted(only, whole, explained.lacks_facts), len(explained.judged) > 1
    for before, judged in zip((None, *explained.judged), explained.judged, strict=False):
        tell_judged(
            screen,
            judged,
            wanted,
            before=before,
            is_one_of_many=is_one_of_many,
            is_as_recorded=_is_as_recorded(judged, explained) and not is_one_of_many,
        )
    # A run without the key of the user's values has no verdict that says anything.
    is_told = explained.agrees is not None and not (explained.recorded and explained.agrees)
    for verdict in explained.verdicts:
        _tell_verdict(screen, verdict, asked, recorded=False, is_shown=is_told)


def _is_as_recorded(judged: Judged, explained: Explained) -> bool:
    """Return whether the verdict on the log says of the call what these rules say."""
    result = judged.explanation.result
    given = (result.effect.value, result.reason.value, result.reason_text, judged.explanation.digest)
    return any(
        (each.outcome.value, each.reason, each.reason_text, (each.ruleset_digest or b"").hex()) == given
        for each in explained.recorded
    )


def _tell_limits(screen: Screen, explained: Explained, *, is_under_own_rules: bool, has_key: bool) -> None:
    """Say where the run can differ from the gate."""
    if explained.hidden:
        topics = ", ".join(explained.hidden)
        screen.record({"record": "hidden_topics", "topics": list(explained.hidden)})
        screen.say(f"without the records of topics that this client may not read: {topics}", WARN)
    if explained.lacks_facts:
        _tell_unknown(screen, explained)
    if not explained.recorded and VERDICT.name not in explained.hidden:
        screen.say("no gate has decided this intent yet: its proof was not checked", WARN)
    elif is_under_own_rules and explained.agrees is False:
        why = (
            "the gate decided otherwise than this run, which has only what the log still keeps of this session and of "
            "those that it descends from: budgets that sessions share, and other sessions, are not in it"
        )
        screen.prose(f"{why}; or `--root-key` is not the key of the gates" if has_key else why, WARN)


def _tell_unknown(screen: Screen, explained: Explained) -> None:
    """Say which facts nobody can know without a key, and what the gate has recorded of them."""
    facts = [f"{name}.{field}" for name, fields in NEEDS_KEY.items() for field in sorted(fields)]
    facts += [name for name, fields in NEEDS_KEY.items() if not fields]
    screen.record({"record": "unknown_facts", "facts": facts, "sub": explained.intent.sub})
    screen.say()
    is_hidden = VERDICT.name in explained.hidden
    where = f"this client may not read `{VERDICT.name}`" if is_hidden else "the log has none of this user"
    others = ", or run this as somebody who may read verdicts" if is_hidden else ""
    whose = explained.intent.sub or "sessions without a user"
    screen.prose(
        f"missing: the key of the values of {whose}. Without it, nobody can tell where the values of the call come "
        "from, whose they are, and what the user has asked for: "
        f"{', '.join(f'`{fact}`' for fact in facts)}. Rules that read these facts have no value above, so the verdict "
        f"on the log is neither confirmed nor in doubt. Verdicts that allow a call have the key, but {where}. Give the "
        f"root key of the gates, from which it follows, with `--root-key FILE`{others}",
        WARN,
    )


def _tell_next(
    screen: Screen, explained: Explained, connection: Connection, key_path: Path, *, reveal: bool, verbose: bool
) -> None:
    intent = explained.intent
    explain = f"rules explain --intent {intent.intent_id}"
    session = shlex.quote(f"{intent.header.tenant_uid}|{intent.session_id}")
    tool = shlex.quote(tool_text(intent.tool))
    steps = [
        ("in a sentence, with the origins", f"explain {intent.intent_id}"),
        ("what the session read and did", f"session show {session}"),
        ("what the tool is approved for", f"catalog show {tool}"),
    ]
    if not reveal:
        steps.append(("with the values of arguments", f"{explain} --reveal"))
    if explained.lacks_facts:
        key = shlex.quote(str(key_path)) if key_path.is_file() else "FILE"
        steps.insert(0, ("with the key of the values", f"{explain} --root-key {key}"))
    if explained.judged and not verbose:
        steps.append(("all rules, with all their parts", f"{explain} --verbose"))
    screen.say()
    tell_steps(screen, connection, steps)


def _tell_intent(screen: Screen, explained: Explained, *, reveal: bool, is_of_history: bool) -> None:
    intent = explained.intent
    tool = tool_text(intent.tool)
    screen.record(
        {
            "record": "intent",
            "intent_id": intent.intent_id,
            "session_id": intent.session_id,
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
            printable(f" by {intent.act.sub} for {intent.sub}, "),
            printable(f"session {intent.session_id}, {explained.place}, " if is_of_history else ""),
            printable(format_instant(explained.time_ms)),
        )
    )
    screen.rich(Text(printable(f"intent  {intent.intent_id}"), FAINT))
    if not is_of_history:
        screen.rich(Text(printable(f"session {intent.session_id}"), FAINT))
        screen.rich(Text(printable(f"from {explained.place}"), FAINT))
    if reveal:
        screen.say(f"arguments {intent.args_json}")
    if not explained.judged:
        screen.say()
        screen.say("the rules were not evaluated: an earlier check decided", WARN)


def _tell_verdict(screen: Screen, verdict: Verdict, asked: set[str], *, recorded: bool, is_shown: bool = True) -> None:
    screen.record(
        {
            "record": "recorded_verdict" if recorded else "verdict",
            "outcome": verdict.outcome.value,
            "reason": verdict.reason,
            "reason_text": verdict.reason_text,
            "evaluated_ms": verdict.evaluated_at,
            "ruleset_digest": None if verdict.ruleset_digest is None else verdict.ruleset_digest.hex(),
        }
    )
    if not is_shown:
        return
    screen.say()
    digest = "none" if verdict.ruleset_digest is None else verdict.ruleset_digest.hex()
    screen.prose(
        Text.assemble(
            ("verdict on the log: " if recorded else "verdict: ", STRONG),
            (verdict.outcome.value, EFFECT_STYLES.get(Effect(verdict.outcome.value), WARN)),
            printable(f" {verdict.reason}: {verdict.reason_text}"),
            (f" ({format_instant(verdict.evaluated_at)})", FAINT),
            ("" if not asked or digest in asked else f", under other rules: {digest[:12]}", WARN),
        )
    )
