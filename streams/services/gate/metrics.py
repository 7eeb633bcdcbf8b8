"""Exports how far a gate's standbys are behind, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric


class StandbyLag:
    """A collector of `stoplog_standby_lag_offsets`, one series for each partition of which a standby is kept."""

    def __init__(self, lags: Callable[[], Mapping[int, int | None]]) -> None:
        """`lags` returns how many offsets each standby is behind; thread-safe."""
        self._lags = lags

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - an extra

        family = GaugeMetricFamily(
            "stoplog_standby_lag_offsets",
            "How many offsets of the changelog a standby of this gate is behind.",
            labels=["partition"],
        )
        for partition, lag in sorted(self._lags().items()):
            if lag is not None:
                family.add_metric([str(partition)], lag)
        yield family
