"""Render the metrics of a process for Prometheus, with its client library. Needs the extra `metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING

from streams.metrics import declared
from streams.metrics.declared import Kind
from streams.metrics.registry import Distribution, Family, Metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric
    from prometheus_client.core import HistogramMetricFamily


class Exposition:
    """A collector of Prometheus' client library over the metrics of this process."""

    def __init__(self, metrics: Metrics) -> None:
        """Create it; register it in a `CollectorRegistry`."""
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        for family in self._metrics.collect():
            yield _rendered(family)


def scraper(metrics: Metrics | None, registry: CollectorRegistry | None = None) -> Callable[[str], tuple[bytes, str]]:
    """Return what renders a scrape, for `streams.http.monitor.monitored`.

    Args:
        metrics: the metrics of this process, with the version that runs.
        registry: a registry with further collectors, to which the metrics are added; by default an empty one.

    Raises:
        ModuleNotFoundError: the extra `metrics` is not installed.
    """
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - likewise

    collectors = registry or CollectorRegistry()
    if metrics is not None:
        metrics.set(declared.BUILD, 1, version("stoplog"))
        collectors.register(Exposition(metrics))

    def scrape(accept: str) -> tuple[bytes, str]:
        encode, media_type = choose_encoder(accept)
        return encode(collectors), media_type

    return scrape


def _rendered(family: Family) -> Metric:
    from prometheus_client.core import (  # noqa: PLC0415 - an extra
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    metric = family.metric
    labels = [label.name for label in metric.labels]
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
        for values, distribution in sorted(family.distributions.items()):
            _add_distribution(histogram, metric.buckets, values, distribution)
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    rendered: CounterMetricFamily | GaugeMetricFamily = kind(metric.name, metric.help, labels=labels)
    for values, value in sorted(family.values.items()):
        rendered.add_metric(list(values), value)
    return rendered


def _add_distribution(
    histogram: HistogramMetricFamily, bounds: tuple[float, ...], labels: tuple[str, ...], distribution: Distribution
) -> None:
    names = [*(str(bound) for bound in bounds), "+Inf"]
    buckets = list(zip(names, map(float, accumulate(distribution.counts)), strict=True))
    histogram.add_metric(list(labels), buckets, distribution.sum)
