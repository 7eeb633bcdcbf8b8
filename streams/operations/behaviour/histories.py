"""Runs histories of behaviour through the watch: both of its workers on a log in memory, in the histories' own time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.model.keys import partition_for, session_key_of
from streams.model.topics import AUDIT, VERDICT
from streams.model.types import Record
from streams.operations.behaviour.history_calls import START_MS, calls_of, count_of
from streams.operations.behaviour.history_file import CALLS_MAX, HISTORIES_SUFFIX, History, read_histories
from streams.operations.behaviour.watch_run import NEVER_MS, Raised, Timed, WatchRun
from streams.policy.errors import BundleError, Finding, Findings, Location
from streams.policy.language.bundle import DETECTORS_SUFFIX, load_detector_files
from streams.policy.language.globs import GlobSet
from streams.ports import Outgoing
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.processors.watch.features import Features

PARTITIONS = 2
BATCH_MAX = 1_000
"""Records that lie on the log before the watch reads them."""
PAUSE_MS = 3_600_000
"""A pause of this length ends a batch: time passes, and the timers of the watch come due."""


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


def has_only_detectors(directory: Path) -> bool:
    """Return whether a directory has detectors and, beside their histories, no other YAML files. Blocking.

    Such a directory is a copy of `rules/behaviour`: there are no rules to test. Any other file says that there should
    be some, so that a bundle whose `bundle.yaml` is missing is not taken for detectors.
    """
    names = [path.name for path in Path(directory).rglob("*.yaml")]
    has_detectors = any(name.endswith(DETECTORS_SUFFIX) for name in names)
    return has_detectors and all(name.endswith((DETECTORS_SUFFIX, HISTORIES_SUFFIX)) for name in names)


def run_histories(directory: Path, codec: Codec, pack: str | None = None) -> HistoryReport:
    """Run every history below a directory of rules; an empty report if it declares no detectors. Blocking.

    Args:
        directory: the directory.
        codec: of the records; a run needs no deployment.
        pack: the folder in it whose histories are run; None: all.

    Raises:
        BundleError: the declarations of detectors are wrong.
        BundleReadError: the files can't be read.
    """
    root, findings = Path(directory), Findings()
    files, histories = _read(root, findings, pack)
    if findings.has_errors:
        return HistoryReport(findings=findings.sorted())
    results = tuple(run_history(history, files, codec) for history in histories)
    if histories:
        _report_untested(files, results, findings)
    return HistoryReport(results, findings.sorted())


def check_behaviour(directory: Path) -> tuple[Finding, ...]:
    """Find errors in the declarations of detectors and in the histories below a directory. Nothing is run. Blocking.

    Raises:
        BundleReadError: the files can't be read.
    """
    findings = Findings()
    try:
        _read(Path(directory), findings)
    except BundleError as error:
        return error.findings
    return findings.sorted()


def _read(root: Path, findings: Findings, pack: str | None = None) -> tuple[BehaviourFiles, tuple[History, ...]]:
    """Return what a directory declares, and its histories; report errors in histories to `findings`.

    Raises:
        BundleError, BundleReadError: see `run_histories`.
    """
    if not any(root.rglob(f"*{DETECTORS_SUFFIX}")):
        for path in sorted(root.rglob(f"*{HISTORIES_SUFFIX}")):
            at = Location(path.relative_to(root).as_posix(), 1, 1)
            findings.error("missing_pack", at, f"there are histories, and no file `*{DETECTORS_SUFFIX}` that they test")
        return parse_behaviour({}), ()
    files = parse_behaviour(load_detector_files(root))
    histories = read_histories(root, files.packs, findings, pack)
    for history in histories:
        if (count := count_of(history)) > CALLS_MAX:
            message = f"the history has {count} calls: at most {CALLS_MAX} are run"
            findings.error("too_large", history.location, message)
    return files, histories


def run_history(history: History, files: BehaviourFiles, codec: Codec) -> HistoryResult:
    """Run one history. Blocking.

    Args:
        history: the history.
        files: the declarations that judge it.
        codec: of the records.
    """
    with closing(watch_of(history, files, codec)) as run:
        alerts = [each for batch in batches_of(history, codec) for each in run.write(batch)] + run.settle()
    return HistoryResult(history, count_of(history), tuple(alerts), differences_of(history.alerts, alerts))


def watch_of(history: History, files: BehaviourFiles, codec: Codec, publish_ms: int = NEVER_MS) -> WatchRun:
    """Return a watch that judges the calls of a history, for the caller to close.

    Args:
        history: the history.
        files: the declarations that judge it; the history may name further types of agents.
        codec: of the records.
        publish_ms: how often the watch publishes baselines; never by default.
    """
    features = Features((*history.types, *files.features.cohorts), files.features.extractions)
    return WatchRun(files._replace(features=features), codec, START_MS, PARTITIONS, publish_ms)


def batches_of(history: History, codec: Codec) -> Iterator[Sequence[Timed]]:
    """Yield the records of a history in the order of their time, cut at pauses."""
    batch: list[Timed] = []
    wire = CodecWire(codec)
    for call in calls_of(history):
        if batch and (len(batch) >= BATCH_MAX or call.time_ms - batch[-1].time_ms > PAUSE_MS):
            yield batch
            batch = []
        key = session_key_of(call.verdict.header.tenant_uid, call.verdict.session_id)
        partition = partition_for(key, PARTITIONS)
        records: tuple[tuple[str, Record], ...] = ((VERDICT.name, call.verdict), (AUDIT.name, call.audit))
        for topic, record in records:
            batch.append(Timed(call.time_ms, Outgoing(topic, partition, key, wire.encode(topic, record))))
    if batch:
        yield batch


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
    alerting |= {each.name for each in files.declared.correlations if each.alerts}
    for name in sorted(alerting - fired):
        message = f"no history in which `{name}` fires"
        findings.warning("untested_detector", files.places[name], message)
    for pack in sorted({files.packs[name] for name in alerting}):
        own = [result.history for result in results if result.history.pack == pack]
        for is_quiet, what in ((False, "that fires"), (True, "of honest work, in which nothing fires")):
            if not any(history.is_quiet is is_quiet for history in own):
                place = next(files.places[name] for name in sorted(alerting) if files.packs[name] == pack)
                findings.warning("untested_pack", place, f"pack `{pack}` has no history {what}")
