"""How soon stops are in force, as a histogram for Prometheus: of a gate's process, or of an executor's.

Needs the extra `metrics`. What is measured is told by the log (`"event": "stop_in_force"`), so that whoever stops
things knows nothing of who counts.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY, CollectorRegistry, Histogram

STOP_SECONDS = "stoplog_stop_in_force_seconds"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SOURCES = ("streams.processors.control.state", "streams.sdk.revocations")
_MS_PER_S = 1_000


class StopMetrics(logging.Handler):
    """Counts while it is entered. Thread-safe."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Args:
        registry: where the histogram is registered; one of these for each.
        """
        super().__init__(logging.INFO)
        self._registry = registry
        self._latency = Histogram(
            STOP_SECONDS,
            "From the append of a record that takes something back until it is in force in this process",
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._levels: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what was logged. Of stops that came together the slowest one is known, which stands for all."""
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict) and fields.get("event") == "stop_in_force":
            self._latency.observe(fields["latency_ms"] / _MS_PER_S)

    def __enter__(self) -> Self:
        """Begin."""
        for name in SOURCES:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            if not logger.isEnabledFor(logging.INFO):
                logger.setLevel(logging.INFO)
            logger.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and take the histogram out of its registry."""
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.setLevel(level)
        self._registry.unregister(self._latency)
