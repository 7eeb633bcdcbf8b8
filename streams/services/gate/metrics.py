"""Counts what a gate decides: its verdicts, the intents that wait, its budgets, the stops in force."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from streams.engine.worker_meter import CountNotes, WorkerMeter
from streams.metrics import declared
from streams.metrics.registry import Labels, Metrics
from streams.model.reasons import Reason
from streams.model.revocation_set import RevocationSet
from streams.ports import Clock
from streams.processors.budgets.allocator import Answered
from streams.processors.control.attributes import Attributes
from streams.processors.gate.judged import Judged, Questioned
from streams.processors.row_kinds import RowKind
from streams.processors.state import PendingKind
from streams.processors.watch.watch import CoveredCalls

if TYPE_CHECKING:
    from prometheus_client import Metric

STOPS_COUNTED_MS = 10_000
"""How often stops are counted although none has changed: their time may be over."""

_MS_PER_S = 1_000
_UNREADABLE = 0


class _HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of a `PendingRow`."""

    kind: PendingKind


_decode = msgspec.msgpack.Decoder(_HeldRow).decode


def gate_meter(
    metrics: Metrics, revocations: RevocationSet, room: AttributesRoom, clock: Clock, *more: CountNotes
) -> WorkerMeter:
    """Return what counts for the gate's worker.

    Args:
        metrics: the metrics of the process.
        revocations: the stops of the gate.
        room: tells what the attributes of entities take.
        clock: for the time of stops.
        more: called with what was committed, too.
    """

    def count(notes: Sequence[object], now_ms: int) -> None:
        count_verdicts(metrics, notes, now_ms)
        for tell in more:
            tell(notes, now_ms)

    stops = StopsInForce(metrics, revocations, clock)

    def look() -> None:
        stops.look()
        room.look(metrics)

    return WorkerMeter(metrics, "gate", count_notes=count, census=HeldIntents(metrics), look=look)


class AttributesRoom:
    """Shows how large the attributes of entities are. A gate that starts again has others: `follow` says which."""

    def __init__(self) -> None:
        """Create it without any."""
        self._attributes: Attributes | None = None

    def follow(self, attributes: Attributes) -> Attributes:
        """Show these attributes from now on, and return them."""
        self._attributes = attributes
        return attributes

    def look(self, metrics: Metrics) -> None:
        """Set the gauges."""
        if self._attributes is not None:
            metrics.set(declared.ATTRIBUTES_BYTES, self._attributes.bytes_count, "all_tenants")
            metrics.set(declared.ATTRIBUTES_BYTES, self._attributes.tenant_bytes_count, "largest_tenant")
            metrics.set(declared.ATTRIBUTES_UNCLEAR, self._attributes.unclear_count)


def budgets_meter(metrics: Metrics) -> WorkerMeter:
    """Return what counts for the worker of the budget allocator."""
    return WorkerMeter(metrics, "budgets", count_notes=lambda notes, _now_ms: count_answers(metrics, notes))


def watch_meter(
    metrics: Metrics, covered: CoveredCalls, timer_ns: Callable[[], int] = time.perf_counter_ns
) -> WorkerMeter:
    """Return what counts for the worker of the watch.

    Args:
        metrics: the metrics of the process.
        covered: the announced calls that the watch has not judged.
        timer_ns: a clock that never goes back, in ns.
    """

    def look() -> None:
        metrics.add(declared.ANNOUNCED_CALLS, amount=covered.taken())

    return WorkerMeter(metrics, "watch", look=look, timer_ns=timer_ns)


def plain_meter(metrics: Metrics, worker: str) -> WorkerMeter:
    """Return what counts for a worker without figures of its own: `keying` or `notary`."""
    return WorkerMeter(metrics, worker, count_notes=lambda _notes, _now_ms: None)


def count_verdicts(metrics: Metrics, notes: Sequence[object], now_ms: int) -> None:
    """Count verdicts that were committed at `now_ms`, by this host's clock."""
    verdicts: Counter[Labels] = Counter()
    latencies_s: defaultdict[PendingKind | None, list[float]] = defaultdict(list)
    questions: Counter[str] = Counter()
    numbers: list[float] = []
    answered_s: defaultdict[str, list[float]] = defaultdict(list)
    for note in notes:
        if isinstance(note, Judged):
            asked, verdict = note.asked, note.verdict
            verdicts[verdict.outcome, verdict.reason] += 1
            waited_s = max(0, now_ms - asked.received_ms) / _MS_PER_S
            latencies_s[asked.held_for].append(waited_s)
            if asked.held_for is PendingKind.APPROVAL:
                answered_s[_ending(note)].append(waited_s)
            if note.is_granted:
                questions["granted"] += 1
        elif isinstance(note, Questioned):
            questions["asked" if note.number else "joined"] += 1
            if note.number:
                numbers.append(note.number)
    for labels, count in verdicts.items():
        metrics.add(declared.VERDICTS, *labels, amount=count)
    for kind, values_s in latencies_s.items():
        held = declared.NOT_HELD if kind is None else kind.name.lower()
        metrics.observe(declared.VERDICT_SECONDS, values_s, held)
    for how, count in questions.items():
        metrics.add(declared.QUESTIONS, how, amount=count)
    if numbers:
        metrics.observe(declared.SESSION_QUESTIONS, numbers)
    for ending, values_s in answered_s.items():
        metrics.observe(declared.QUESTION_SECONDS, values_s, ending)


def _ending(judged: Judged) -> str:
    """Return how the wait of a call for people has ended."""
    if judged.asked.progress.approved_now is not None:
        return "approved"
    if judged.is_granted:
        return "granted"
    return {Reason.APPROVAL_DENIED: "denied", Reason.APPROVAL_EXPIRED: "expired"}.get(
        Reason(judged.verdict.reason), "other"
    )


def count_answers(metrics: Metrics, notes: Sequence[object]) -> None:
    """Count what the budget allocator has answered."""
    for note in notes:
        if isinstance(note, Answered):
            budget = _budget_name(note.budget_key)
            metrics.add(declared.BUDGET_ANSWERS, budget, note.answer.value.lower())
            if note.leased is not None:
                metrics.observe(declared.BUDGET_SPENT, [note.leased], budget)


def _budget_name(budget_key: str) -> str:
    """Return the name of a budget, without its owner (`streams.processors.budgets.charges.budget_key`)."""
    try:
        parts = json.loads(budget_key)
    except (ValueError, RecursionError):
        return declared.OTHER
    name = parts[0] if isinstance(parts, list) and parts else None
    return name if isinstance(name, str) else declared.OTHER


class HeldIntents:
    """Counts intents that wait, by what they wait for. See `streams.engine.worker_meter.RowCensus`.

    It remembers the key of each, as the row of one that no longer waits is gone. Their number is bounded by
    `gate.pending_per_session_max` of each session.
    """

    prefix = RowKind.PENDING.prefix

    def __init__(self, metrics: Metrics) -> None:
        """Create it without partitions."""
        self._metrics = metrics
        self._kinds: dict[int, dict[bytes, int]] = {}

    def begin(self, partition: int, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """Count all rows of a partition."""
        self._kinds[partition] = {key: _kind_of(row) for key, row in rows}

    def change(self, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Count committed changes of a partition."""
        kinds = self._kinds.setdefault(partition, {})
        for key, row in rows:
            if row is None:
                kinds.pop(key, None)
            else:
                kinds[key] = _kind_of(row)

    def report(self, partitions: Sequence[int]) -> None:
        """Set the gauge for these partitions, and forget all others."""
        for partition in self._kinds.keys() - set(partitions):
            del self._kinds[partition]
        counts = Counter(kind for kinds in self._kinds.values() for kind in kinds.values())
        for kind in PendingKind:
            self._metrics.set(declared.HELD, counts[kind], kind.name.lower())


def _kind_of(row: bytes) -> int:
    try:
        return _decode(row).kind
    except msgspec.DecodeError:
        return _UNREADABLE


class StopsInForce:
    """Counts the stops in force of one gate."""

    def __init__(self, metrics: Metrics, revocations: RevocationSet, clock: Clock) -> None:
        """Create it; call `look` now and then in the gate's thread."""
        self._metrics = metrics
        self._revocations = revocations
        self._clock = clock
        self._counted: tuple[int, int] | None = None

    def look(self) -> None:
        """Set the gauge, if stops have changed or some may be over."""
        now_ms, offset = self._clock.now_ms(), self._revocations.next_offset
        if self._counted is not None and self._counted[0] == offset and now_ms - self._counted[1] < STOPS_COUNTED_MS:
            return
        self._counted = (offset, now_ms)
        for kind, count in self._revocations.counts(now_ms).items():
            self._metrics.set(declared.STOPS, count, kind.value.lower())


class StandbyLag:
    """A collector of `stoplog_standby_lag_offsets`, one series for each partition of which a standby is kept."""

    def __init__(self, lags: Callable[[], Mapping[int, int | None]]) -> None:
        """`lags` returns how many offsets each standby is behind; thread-safe."""
        self._lags = lags

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - an extra

        declaration = declared.STANDBY_LAG
        family = GaugeMetricFamily(declaration.name, declaration.help, labels=["partition"])
        for partition, lag in sorted(self._lags().items()):
            if lag is not None:
                family.add_metric([str(partition)], lag)
        yield family
