"""Hold the values of the declared metrics of one process, with bounded labels and no client library.

Whoever counts adds up what a batch has led to, and calls this once for each series. A scrape copies the values under
the same lock.

Rejected: the metric objects of Prometheus' client library. Each increment takes several Python calls and a lock, and
the library is an extra that gates and executors must run without. It renders the scrape (`streams.metrics.exposition`).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from streams.metrics.declared import METRICS, OTHER, Exporter, Kind, Label, Metric
from streams.model.errors import InvariantError

Labels = tuple[str, ...]
_T = TypeVar("_T")


class Distribution(NamedTuple):
    """The values of one series of a histogram.

    Attributes:
        counts: how many values each bucket has, not cumulative; the last one is that of all larger values.
        sum: their sum.
    """

    counts: tuple[int, ...]
    sum: float


class Family(NamedTuple):
    """A metric with its series at one instant.

    Attributes:
        metric: the metric.
        values: the values of a counter or a gauge, by labels.
        distributions: those of a histogram, by labels.
    """

    metric: Metric
    values: dict[Labels, float]
    distributions: dict[Labels, Distribution]


class _Buckets:
    __slots__ = ("counts", "sum")

    def __init__(self, size: int) -> None:
        self.counts = [0] * (size + 1)
        self.sum = 0.0


class Metrics:
    """The metrics of one process. Thread-safe.

    INVARIANT: a metric has at most as many series as its labels have values, whatever they are named.
    """

    def __init__(self, exporter: Exporter) -> None:
        """Create them. Metrics without labels are 0 until something is counted.

        Args:
            exporter: the kind of process; only its metrics can be counted.
        """
        self.exporter = exporter
        self._lock = threading.Lock()
        self._declared = {
            metric.name: metric for metric in METRICS if exporter in metric.exporters and not metric.is_apart
        }
        self._values: dict[str, dict[Labels, float]] = {}
        self._buckets: dict[str, dict[Labels, _Buckets]] = {}
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._looks: list[Callable[[], None]] = []
        for metric in self._declared.values():
            if metric.kind is Kind.HISTOGRAM:
                self._buckets[metric.name] = {} if metric.labels else {(): _Buckets(len(metric.buckets))}
            else:
                self._values[metric.name] = {} if metric.labels else {(): 0.0}

    def add(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        """Increase a counter."""
        with self._lock:
            series = self._of(metric, self._values)
            key = self._bounded(metric, labels)
            series[key] = series.get(key, 0.0) + amount

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._of(metric, self._values)[self._bounded(metric, labels)] = float(value)

    def replace(self, metric: Metric, values: Mapping[Labels, float], *first: str) -> None:
        """Set all series of a gauge, and forget those that it had before.

        Args:
            metric: the gauge.
            values: the new values, by labels.
            first: only series whose labels begin with these are forgotten: several threads may share a gauge.
        """
        with self._lock:
            series = self._of(metric, self._values)
            for key in [key for key in series if key[: len(first)] == first]:
                del series[key]
            for labels, value in values.items():
                series[self._bounded(metric, labels)] = float(value)

    def observe(self, metric: Metric, values: Iterable[float], *labels: str) -> None:
        """Add values to a histogram."""
        with self._lock:
            series = self._of(metric, self._buckets)
            key = self._bounded(metric, labels)
            buckets = series.get(key)
            if buckets is None:
                buckets = series[key] = _Buckets(len(metric.buckets))
            counts, bounds = buckets.counts, metric.buckets
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                buckets.sum += value

    def before_scrape(self, look: Callable[[], None]) -> None:
        """Call `look` before each `collect`, in its thread: it sets gauges that are cheap to ask for."""
        self._looks.append(look)

    def collect(self) -> list[Family]:
        """Return all metrics of this process as they are now."""
        for look in self._looks:
            look()
        with self._lock:
            return [
                Family(
                    metric,
                    dict(self._values.get(name, {})),
                    {
                        labels: Distribution(tuple(buckets.counts), buckets.sum)
                        for labels, buckets in self._buckets.get(name, {}).items()
                    },
                )
                for name, metric in self._declared.items()
            ]

    def value(self, metric: Metric, *labels: str) -> float:
        """Return the value of a counter or a gauge; of a histogram, how many values it has. 0 without a series."""
        with self._lock:
            if metric.kind is Kind.HISTOGRAM:
                buckets = self._buckets[metric.name].get(labels)
                return 0.0 if buckets is None else float(sum(buckets.counts))
            return self._values[metric.name].get(labels, 0.0)

    def _of(self, metric: Metric, table: dict[str, dict[Labels, _T]]) -> dict[Labels, _T]:
        found = table.get(metric.name)
        if found is None:
            raise InvariantError(f"`{metric.name}` is no such metric of a process of kind `{self.exporter}`")
        return found

    def _bounded(self, metric: Metric, labels: Labels) -> Labels:
        """Return the labels with `other` for each value that has no series of its own."""
        if len(labels) != len(metric.labels):
            raise InvariantError(f"`{metric.name}` has {len(metric.labels)} labels, {len(labels)} are given")
        return tuple([self._admitted(metric, label, value) for label, value in zip(metric.labels, labels, strict=True)])

    def _admitted(self, metric: Metric, label: Label, value: str) -> str:
        if label.values is not None:
            return value if value in label.values else OTHER
        seen = self._seen.setdefault((metric.name, label.name), set())
        if value in seen:
            return value
        if len(seen) >= label.limit:
            return OTHER
        seen.add(value)
        return value
