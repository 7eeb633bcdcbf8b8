"""Runs histories of behaviour through the watch: both of its workers on a log in memory, in the histories' own time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.history.driver import Driver
from streams.model.alert import Alert
from streams.model.keys import partition_for, session_key_of
from streams.model.topics import ALERT, AUDIT, VERDICT
from streams.model.types import Record
from streams.operations.behaviour.history_calls import Call, calls_of, count_of
from streams.operations.behaviour.history_file import CALLS_MAX, HISTORIES_SUFFIX, History, read_histories
from streams.policy.errors import Finding, Findings, Location
from streams.policy.language.bundle import DETECTORS_SUFFIX, load_detector_files
from streams.policy.language.globs import GlobSet
from streams.ports import Outgoing
from streams.processors.settings import WatchSettings
from streams.processors.watch.alerts import PREFIX
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.processors.watch.features import Features
from streams.processors.watch.keying import Keying
from streams.processors.watch.watch import Watch
from streams.topology import KEYING, WATCH

PARTITIONS = 2
BATCH_MAX = 500
"""Calls that lie on the log before the watch reads them, as behind a watch that is a little behind."""
PAUSE_MS = 3_600_000
"""A pause of this length ends a batch: time passes, and the timers of the watch come due."""
SETTLE_MS = 120_000
NEVER_MS = CALLS_MAX * PAUSE_MS


class Raised(NamedTuple):
    """An alert that a history has raised."""

    name: str
    session: str
    desc: str


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """The result of a history: how many calls it has, its alerts, and a sentence for each difference."""

    history: History
    calls_count: int
    alerts: tuple[Raised, ...]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether exactly the expected alerts were raised."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The results of all histories of a directory, and what is wrong with their files or is tested by none."""

    results: tuple[HistoryResult, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def failures(self) -> tuple[HistoryResult, ...]:
        """Return the results of the histories that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        """Return whether every history passed, and could be read."""
        return not self.failures and not any(finding.severity == "error" for finding in self.findings)

    @property
    def calls_count(self) -> int:
        """Return how many calls were judged."""
        return sum(result.calls_count for result in self.results)


def run_histories(directory: Path, codec: Codec) -> HistoryReport:
    """Run every history below a directory of rules; an empty report if it declares no detectors. Blocking.

    Args:
        directory: the directory.
        codec: of the records; a run needs no deployment.

    Raises:
        BundleError: the declarations of detectors are wrong.
        BundleReadError: the files can't be read.
    """
    root = Path(directory)
    if not any(root.rglob(f"*{DETECTORS_SUFFIX}")):
        return HistoryReport(findings=_without_detectors(root))
    files, findings = parse_behaviour(load_detector_files(root)), Findings()
    histories = read_histories(root, files.packs, findings)
    for history in histories:
        if (count := count_of(history)) > CALLS_MAX:
            message = f"the history has {count} calls: at most {CALLS_MAX} are run"
            findings.error("too_large", history.location, message)
    if findings.has_errors:
        return HistoryReport(findings=findings.sorted())
    results = tuple(run_history(history, files, codec) for history in histories)
    if histories:
        _report_untested(files, results, findings)
    return HistoryReport(results, findings.sorted())


def _without_detectors(root: Path) -> tuple[Finding, ...]:
    findings = Findings()
    for path in sorted(root.rglob(f"*{HISTORIES_SUFFIX}")):
        at = Location(path.relative_to(root).as_posix(), 1, 1)
        findings.error("missing_pack", at, f"there are histories, and no file `*{DETECTORS_SUFFIX}` that they test")
    return findings.sorted()


def run_history(history: History, files: BehaviourFiles, codec: Codec) -> HistoryResult:
    """Run one history. Blocking.

    Args:
        history: the history.
        files: the declarations that judge it.
        codec: of the records.
    """
    with closing(driven(history, files, codec)) as driver:
        alerts = tuple(_raised(found.record for found in driver.read(ALERT.name)))
    return HistoryResult(history, count_of(history), alerts, differences_of(history.alerts, alerts))


def driven(history: History, files: BehaviourFiles, codec: Codec, publish_ms: int = NEVER_MS) -> Driver:
    """Return a log on which the watch has judged all calls of a history, for the caller to close. Blocking.

    Args:
        history: the history.
        files: the declarations that judge it.
        codec: of the records.
        publish_ms: how often the watch publishes baselines; never by default.
    """
    wire, calls = CodecWire(codec), calls_of(history)
    features = Features((*history.types, *files.features.cohorts), files.features.extractions)
    settings = WatchSettings(publish_ms=publish_ms)
    driver = Driver(
        spec=KEYING,
        processor=Keying(wire, features, settings),
        wire=wire,
        start_ms=calls[0].time_ms if calls else 0,
        partitions=PARTITIONS,
        beside={WATCH: Watch(wire, files.declared, settings)},
    )
    for batch in _batches(calls):
        _write(driver, wire, batch)
    driver.advance(driver.clock.now_ms() + SETTLE_MS)
    return driver


def _batches(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    start = 0
    for at in range(1, len(calls) + 1):
        is_end = at == len(calls) or at - start >= BATCH_MAX or calls[at].time_ms - calls[at - 1].time_ms > PAUSE_MS
        if is_end:
            yield calls[start:at]
            start = at


def _write(driver: Driver, wire: CodecWire, batch: Sequence[Call]) -> None:
    driver.advance(max(driver.clock.now_ms(), batch[0].time_ms))
    driver.clock.set_ms(batch[-1].time_ms)
    for call in batch:
        key = session_key_of(call.verdict.header.tenant_uid, call.verdict.session_id)
        partition = partition_for(key, PARTITIONS)
        records: tuple[tuple[str, Record], ...] = ((VERDICT.name, call.verdict), (AUDIT.name, call.audit))
        for topic, record in records:
            outgoing = Outgoing(topic, partition, key, wire.encode(topic, record))
            driver.log.append(outgoing, timestamp_ms=call.time_ms)
    driver.settle()


def _raised(records: Iterator[Record]) -> Iterator[Raised]:
    """Yield alerts. One that is written again, because it has been counted on, is the same alert."""
    seen = set()
    for record in records:
        if isinstance(record, Alert) and record.finding_uid not in seen:
            seen.add(record.finding_uid)
            yield Raised(record.analytic_uid.removeprefix(PREFIX), record.session_id or "", record.desc)


def differences_of(expected: Mapping[str, tuple[str, ...]], alerts: Sequence[Raised]) -> tuple[str, ...]:
    """Return a sentence for each alert that is missing and for each that is too many."""
    left = list(alerts)
    found = []
    for name, sessions in expected.items():
        for glob in sessions:
            matches = GlobSet((glob,)).matches
            hit = next((each for each in left if each.name == name and matches(each.session)), None)
            if hit is None:
                found.append(f"no alert `{name}` about session `{glob}`")
            else:
                left.remove(hit)
    more = (f"an alert `{each.name}` about session `{each.session}`, not expected: {each.desc}" for each in left)
    return (*found, *more)


def _report_untested(files: BehaviourFiles, results: Sequence[HistoryResult], findings: Findings) -> None:
    """Report what no history makes fire, and packs whose histories show one side only."""
    fired = {each.name for result in results for each in result.alerts}
    alerting = {each.name for each in files.declared.detectors if each.alerts}
    alerting |= {each.name for each in files.declared.correlations}
    for name in sorted(alerting - fired):
        message = f"no history in which `{name}` fires"
        findings.warning("untested_detector", files.places[name], message)
    for pack in sorted({files.packs[name] for name in alerting}):
        own = [result.history for result in results if result.history.pack == pack]
        for is_quiet, what in ((False, "that fires"), (True, "of honest work, in which nothing fires")):
            if not any(history.is_quiet is is_quiet for history in own):
                place = next(files.places[name] for name in sorted(alerting) if files.packs[name] == pack)
                findings.warning("untested_pack", place, f"pack `{pack}` has no history {what}")
