"""The command of `stoplog rules` that runs rules over recorded history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import ChangesMaxOption, Connection, Output
from streams.cli.options.stretches import StretchOptions
from streams.cli.terminal.screen import FAINT, OK, WARN, Screen
from streams.cli.terminal.text import short
from streams.cli.views.findings import refusal_recorded
from streams.cli.views.histories import record_alert_changes, tell_alert_changes
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import instant_text
from streams.model.plurals import many
from streams.operations.behaviour.backtest import AlertChanges, backtest_behaviour
from streams.operations.behaviour.histories import has_only_detectors
from streams.operations.replay.backtest import BacktestReport, backtest
from streams.operations.replay.recorded import RecordedLog, told_beheaded
from streams.operations.replay.run import Stretch
from streams.operations.root_key import load_gates_root_key
from streams.operations.rules.shadow import rules_in_shadow
from streams.operations.trial import bundle_of
from streams.policy.language.bundle import DETECTORS_SUFFIX
from streams.ports.open_log import Log
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import read_behaviour
from streams.wiring.logs import open_log
from streams.wiring.replays import setup_replay
from streams.wiring.settings import Settings

_SESSION_CHARS = 16
"""The beginning of a session's id, by which commands know it; the whole one is wider than a terminal."""

_SHADOW_NAMED_MAX = 5


@takes_groups
def run_backtest(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The rules to try.")],
    changes_max: ChangesMaxOption = 20,
    fail: Annotated[
        bool, typer.Option("--fail-on-change", help="Exit with status 1 if any call would be decided otherwise.")
    ] = False,
    stretch: StretchOptions,
    connection: Connection,
    output: Output,
) -> None:
    """Run rules over the recorded history, and list the calls that they would decide otherwise, and because of what.

    A call is compared only if the rules that judged it decide it again as recorded, so that every change comes from the
    rules in the folder. What followed a verdict is as recorded: a call that was denied has no result in the history,
    and nobody was asked about a call that now needs approval. It needs the settings and the root key of the gates.
    Rules in shadow decide nothing here, either: to try one enforced, remove its `mode: shadow` in the folder.

    If the folder has detectors (`*.detectors.yaml`), the recorded verdicts also go through the watch: with these
    detectors and with the present ones (the setting `watch.rules`). Alerts that would come or go are listed. For a
    folder of detectors alone, no root key is needed.
    """
    screen, compared = output.screen(), stretch.stretch()
    settings = connection.settings()
    if has_only_detectors(directory):
        _run_detectors(screen, settings, directory, compared, changes_max, fail=fail)
        return
    with refusal_recorded(screen):
        bundle = bundle_of(directory, settings.gate.bundle_name, 0)
    setup = setup_replay(settings, load_gates_root_key(settings.key_path))
    with open_log(settings, create=False) as opened:
        recorded = RecordedLog(opened, setup.wire, SystemClock(), setup.engine.time_ahead_max_ms)
        report = backtest(recorded, setup, bundle, compared)
        alerts = _backtest_behaviour(settings, directory, opened, compared)
    _record(screen, report, alerts, changes_max)
    _tell(screen, report, recorded, changes_max)
    if in_shadow := rules_in_shadow(bundle):
        named = ", ".join(in_shadow) if len(in_shadow) <= _SHADOW_NAMED_MAX else many(len(in_shadow), "rule")
        screen.say(f"in shadow, so without effect here: {named}; to try one enforced, remove its `mode: shadow`", FAINT)
    if alerts is not None:
        tell_alert_changes(screen, alerts, changes_max)
    if report.changes and not screen.as_json:
        named = report.changes[0].intent_id
        step = ("how these rules judge the first one", f"rules explain {directory} --intent {named}")
        tell_steps(screen, connection, [step])
    if fail and (report.changed_count or (alerts is not None and alerts.changed_count)):
        raise typer.Exit(FAILED)


def _run_detectors(
    screen: Screen, settings: Settings, directory: Path, stretch: Stretch, changes_max: int, *, fail: bool
) -> None:
    """Tell what the detectors of a directory without rules change. It needs no root key: calls are not judged again."""
    with open_log(settings, create=False) as opened, refusal_recorded(screen):
        alerts = _backtest_behaviour(settings, directory, opened, stretch)
    _record(screen, BacktestReport(), alerts, changes_max)
    screen.say("there are no rules in this folder, only detectors, so no call is decided otherwise")
    if alerts is not None:
        tell_alert_changes(screen, alerts, changes_max)
        if fail and alerts.changed_count:
            raise typer.Exit(FAILED)


def _backtest_behaviour(settings: Settings, directory: Path, opened: Log, stretch: Stretch) -> AlertChanges | None:
    """Return what the detectors of a directory change; None if it has none."""
    if not any(directory.rglob(f"*{DETECTORS_SUFFIX}")):
        return None
    present, other = read_behaviour(settings, None), read_behaviour(settings, directory)
    return backtest_behaviour(opened, build_codec(settings), SystemClock(), present, other, stretch)


def _record(screen: Screen, report: BacktestReport, alerts: AlertChanges | None, changes_max: int) -> None:
    for group, count in report.groups.most_common():
        screen.record({"record": "group", **group._asdict(), "count": count})
    for change in report.changes[:changes_max]:
        session = {"tenant_uid": change.tenant_uid, "session_id": change.session_id}
        call = {"intent_id": change.intent_id, **session, "evaluated_ms": change.time_ms}
        screen.record({"record": "change", **call, **change.group._asdict()})
    counts = {} if alerts is None else record_alert_changes(screen, alerts, changes_max)
    screen.record(
        {
            "record": "summary",
            "compared": report.compared_count,
            "changed": report.changed_count,
            "left_out": report.left_out_count,
            **counts,
        }
    )


def _tell(screen: Screen, report: BacktestReport, recorded: RecordedLog, changes_max: int) -> None:
    if report.groups:
        screen.table(
            ("calls", "tool", "was", "would be", "because of"),
            [
                (str(count), group.tool, group.before, group.after, group.rule)
                for group, count in report.groups.most_common()
            ],
        )
        screen.say()
        screen.table(
            ("at", "intent", "session", "would be"),
            [
                (
                    instant_text(change.time_ms),
                    change.intent_id,
                    short(change.session_id, _SESSION_CHARS),
                    change.group.after,
                )
                for change in report.changes[:changes_max]
            ],
        )
        screen.say()
    if report.changed_count > changes_max:
        screen.say(f"{many(report.changed_count - changes_max, 'more call')} would change; see them with `--max`")
    for topic in told_beheaded(recorded.beheaded):
        screen.say(f"the first records of {topic} are gone: sessions that began in them are left out", WARN)
    if report.left_out_count:
        screen.say(
            f"{many(report.left_out_count, 'call')} left out, as the recorded rules don't lead to the recorded "
            "verdict here: see `stoplog replay`",
            WARN,
        )
    told = f"{many(report.compared_count, 'call')} compared, {report.changed_count} would be decided otherwise"
    screen.say(told, WARN if report.changed_count or not report.compared_count else OK)
