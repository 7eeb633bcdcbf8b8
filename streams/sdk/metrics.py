"""Export how soon stops are in force, as a histogram for Prometheus, from a gate's or an executor's process.

Needs the extra `metrics`. The measurements come from log messages (`"event": "stop_in_force"`), so that the code that
stops calls does not depend on this module.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from streams.metrics import declared

STOP_SECONDS = declared.STOP_SECONDS.name
SOURCES = ("streams.processors.control.state", "streams.sdk.executor.revocations")
_MS_PER_S = 1_000


class StopMetrics(logging.Handler):
    """Counts stops while it is entered as a context manager. Thread-safe."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Create the histogram.

        Args:
            registry: where the histogram is registered; only one can be registered in each.
        """
        super().__init__(logging.INFO)
        self._registry = registry
        self._latency = Histogram(
            STOP_SECONDS,
            declared.STOP_SECONDS.help,
            buckets=declared.STOP_SECONDS.buckets,
            registry=registry,
        )
        self._levels: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Count a log record. The slowest of stops that came together stands for all of them."""
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict) and fields.get("event") == "stop_in_force":
            self._latency.observe(fields["latency_ms"] / _MS_PER_S)

    def __enter__(self) -> Self:
        """Start counting."""
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
        """Stop counting, and remove the histogram from its registry."""
        for name, level in self._levels.items():
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.setLevel(level)
        self._registry.unregister(self._latency)
