"""Runs `stoplog replay`, and shows the outcome."""

from __future__ import annotations

import json

import typer

from streams.cli.main import FAILED, NOT_PROVEN
from streams.cli.options.shared import Connection, Output
from streams.cli.options.stretches import StretchOptions
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.model.plurals import many
from streams.model.types import tool_text
from streams.operations.replay.recorded import RecordedLog, told_beheaded
from streams.operations.replay.run import Difference, ReplayKind, ReplayReport, replay_log, told_fields
from streams.operations.root_key import load_gates_root_key
from streams.wiring.clock import SystemClock
from streams.wiring.logs import open_log
from streams.wiring.replays import setup_replay

_VALUE_CHARS_MAX = 300
_FIELDS_NAMED_MAX = 2
_KINDS = {
    ReplayKind.DIFFERENT: "came out differently",
    ReplayKind.NOT_MADE: "did not come out at all",
    ReplayKind.NOT_RECORDED: "came out, but not on the log",
    ReplayKind.NOT_YET: "not decided by a gate yet",
}


def run_replay(connection: Connection, output: Output, stretch: StretchOptions, *, differences_max: int) -> None:
    """Compare the verdicts, and tell which differ; see `replay`."""
    screen, compared = output.screen(), stretch.stretch()
    settings = connection.settings()
    setup = setup_replay(settings, load_gates_root_key(settings.key_path))
    with open_log(settings, create=False) as opened:
        recorded = RecordedLog(opened, setup.wire, SystemClock(), setup.engine.time_ahead_max_ms)
        report = replay_log(recorded, setup, compared)
        for each in report.wrong()[:differences_max]:
            screen.record(_fields(each))
        screen.record(
            {
                "record": "summary",
                "partitions": report.partitions,
                "inputs": report.inputs_count,
                "verdicts": {kind.value: report.counts[kind] for kind in ReplayKind},
                "beheaded": {topic: sorted(found) for topic, found in sorted(recorded.beheaded.items())},
                "identical": report.is_same if report.compared_count else None,
            }
        )
        _tell(screen, report, recorded, differences_max)
        if not report.compared_count:
            raise typer.Exit(NOT_PROVEN)
        if not report.is_same:
            first = report.first
            if first is not None and not screen.as_json:
                intent = f"rules explain --intent {first.verdict.intent_id}"
                tell_steps(screen, connection, [("how the rules judged the first one", intent)])
            raise typer.Exit(FAILED)


def _fields(difference: Difference) -> dict[str, object]:
    verdict = difference.verdict
    return {
        "record": "difference",
        "kind": difference.kind.value,
        "place": difference.place or None,
        "tenant_uid": verdict.header.tenant_uid,
        "session_id": verdict.session_id,
        "intent_id": verdict.intent_id,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "evaluated_ms": verdict.evaluated_at,
        "fields": told_fields(difference.fields),
    }


def _tell(screen: Screen, report: ReplayReport, recorded: RecordedLog, differences_max: int) -> None:
    if screen.as_json:
        return
    first = report.first
    if first is not None:
        _tell_first(screen, first)
    shown = report.wrong()[:differences_max]
    if len(shown) > 1:
        screen.say()
        screen.table(
            ("at", "recorded verdict", "", "because", "what differs"),
            [
                (
                    format_instant(each.verdict.evaluated_at),
                    each.place.removeprefix("agent.") or "(none)",
                    each.verdict.outcome.value,
                    each.verdict.reason,
                    _named(each),
                )
                for each in shown
            ],
        )
    if shown:
        screen.say()
    for topic in told_beheaded(recorded.beheaded):
        screen.say(f"the first records of {topic} are gone: sessions that began in them can't be replayed", WARN)
    for kind, text in _KINDS.items():
        if report.counts[kind]:
            style = FAINT if kind is ReplayKind.NOT_YET else FAIL
            screen.say(f"{many(report.counts[kind], 'verdict')} {text}", style)
    same, compared = report.counts[ReplayKind.SAME], report.compared_count
    told = f"{many(report.inputs_count, 'record')} of {many(report.partitions, 'partition')} replayed"
    if not compared:
        screen.say(f"{told}: no verdict is recorded in this time", WARN)
    elif report.is_same:
        screen.say(f"{told}: all {same} verdicts are the same byte for byte", OK)
    else:
        screen.say(f"{told}: {same} of {compared} verdicts are the same byte for byte", FAIL)
        if not same:
            screen.say("are these the settings and the root key of the gates that gave them?", WARN)


def _tell_first(screen: Screen, first: Difference) -> None:
    verdict = first.verdict
    at = format_instant(verdict.evaluated_at)
    screen.rich(
        Text.assemble(
            ("the first that differs: ", FAIL),
            (printable(f"{verdict.outcome.value} {tool_text(verdict.tool)}"), STRONG),
            printable(f" in session {verdict.header.tenant_uid}|{verdict.session_id} at {at}"),
        )
    )
    screen.rich(Text(printable(f"  intent {verdict.intent_id}, {first.place or 'not recorded'}"), FAINT))
    if not first.fields:
        screen.say(f"  the verdict: {first.kind.value}")
    for each in first.fields:
        screen.rich(Text.assemble("  ", (printable(each.name), STRONG)))
        screen.rich(Text.assemble(("    recorded  ", FAINT), _value(each.recorded)))
        screen.rich(Text.assemble(("    replayed  ", FAINT), _value(each.replayed)))


def _named(difference: Difference) -> str:
    names = [each.name for each in difference.fields]
    more = f" and {len(names) - _FIELDS_NAMED_MAX} more" if len(names) > _FIELDS_NAMED_MAX else ""
    return ", ".join(names[:_FIELDS_NAMED_MAX]) + more if names else difference.kind.value


def _value(value: object) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return short(printable(text), _VALUE_CHARS_MAX)
