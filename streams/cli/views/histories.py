"""Shows the results of histories of behaviour, and what other detectors would have found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.codec.instants import format_instant
from streams.model.plurals import many

if TYPE_CHECKING:
    from streams.operations.behaviour.backtest import AlertChanges
    from streams.operations.behaviour.histories import HistoryReport, HistoryResult
    from streams.operations.behaviour.watch_run import Raised

_GUTTER = "       = "


def tell_histories(screen: Screen, report: HistoryReport, root: Path, *, verbose: bool) -> None:
    """Write every history as a record; for a person, those that failed, with each difference.

    Args:
        root: the directory of the rules.
        verbose: whether to show a person all histories, each with the sentences of its alerts.
    """
    for result in report.results:
        screen.record({"record": "history", **_fields(result)})
        if not screen.as_json and (verbose or not result.passed):
            _tell(screen, result, root)


def _tell(screen: Screen, result: HistoryResult, root: Path) -> None:
    at = result.history.location
    where = printable(f"{root / at.path}:{at.line}:{at.column}: ")
    state = ("failed: ", FAIL) if not result.passed else ("quiet: ", OK) if not result.alerts else ("alert: ", WARN)
    screen.rich(Text.assemble((where, STRONG), state, printable(f"history `{result.history.name}`")))
    for sentence in result.differences or [f"{each.name}: {each.desc}" for each in result.alerts]:
        screen.rich(Text.assemble((_GUTTER, FAINT), printable(sentence)))


def tell_history_counts(screen: Screen, report: HistoryReport) -> None:
    """Write a table of the packs of detectors, and how many of their histories raise alerts or stay quiet."""
    if not report.results:
        return
    packs = sorted({result.history.pack for result in report.results})
    columns = ("detectors of", "histories", "with alerts", "quiet", "calls", "failed")
    screen.table(columns, [_pack_row(pack, report) for pack in packs])
    failed = len(report.failures)
    ran = f"{many(len(report.results), 'history', 'histories')}, {many(report.calls_count, 'call')}"
    screen.say(
        f"{ran}, {failed:,} failed" if failed else f"{ran} watched, every alert as expected", FAIL if failed else OK
    )


def history_counts(report: HistoryReport) -> dict[str, object]:
    """Return the counts for the summary, as JSON."""
    return {
        "histories": len(report.results),
        "histories_failed": len(report.failures),
        "histories_quiet": sum(result.history.is_quiet for result in report.results),
        "history_calls": report.calls_count,
    }


def _alert_fields(raised: Raised) -> dict[str, object]:
    fields: dict[str, object] = {"name": raised.name, "session_id": raised.session, "desc": raised.desc}
    return {**fields, "time_ms": raised.time_ms} if raised.time_ms else fields


def _fields(result: HistoryResult) -> dict[str, object]:
    history = result.history
    return {
        "history": history.name,
        "pack": history.pack,
        "file": history.location.path,
        "line": history.location.line,
        "passed": result.passed,
        "calls": result.calls_count,
        "alerts": list(map(_alert_fields, result.alerts)),
        "differences": list(result.differences),
    }


def _pack_row(pack: str, report: HistoryReport) -> list[str | Text]:
    results = [result for result in report.results if result.history.pack == pack]
    quiet = sum(result.history.is_quiet for result in results)
    failed = sum(not result.passed for result in results)
    numbers = (len(results), len(results) - quiet, quiet)
    calls = f"{sum(result.calls_count for result in results):,}"
    return [Text(pack, STRONG), *map(str, numbers), calls, Text(str(failed), style=FAIL if failed else "")]


def record_alert_changes(screen: Screen, changes: AlertChanges, count_max: int) -> dict[str, object]:
    """Write the alerts that would come or go as records, and return their counts for the summary."""
    for change, alerts in (("new", changes.new), ("gone", changes.gone)):
        for each in alerts[:count_max]:
            screen.record({"record": "alert", "change": change, **_alert_fields(each)})
    return {"alerts_kept": changes.kept_count, "alerts_new": len(changes.new), "alerts_gone": len(changes.gone)}


def tell_alert_changes(screen: Screen, changes: AlertChanges, count_max: int) -> None:
    """Write the alerts that would come or go, for a person."""
    rows = [("new", each) for each in changes.new[:count_max]] + [("gone", each) for each in changes.gone[:count_max]]
    if rows:
        screen.say()
        columns = ("alert", "detector", "at", "why")
        screen.table(columns, [(what, each.name, format_instant(each.time_ms), each.desc) for what, each in rows])
        screen.say()
    over = changes.changed_count - len(rows)
    if over > 0:
        screen.say(f"{many(over, 'more alert')} would change; see them with `--max`")
    told = f"{changes.kept_count} alerts stay, {len(changes.new)} would be new, {len(changes.gone)} would be gone"
    screen.say(f"{many(changes.records_count, 'record')} watched: {told}", WARN if changes.changed_count else OK)
