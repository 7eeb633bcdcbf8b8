"""Keep track of the calls that an executor has begun, to be able to end them early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from streams.model.verdict import Verdict
from streams.sdk.executor.verdict_checks import RevocationView, refused_if_revoked
from streams.sdk.tools import Cancellation


class RunningCalls:
    """The calls that run now. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, tuple[Verdict, Cancellation]] = {}

    @contextmanager
    def begun(self, verdict: Verdict) -> Iterator[Cancellation]:
        """Register a call while it is checked and run, so that revocations from the check on reach it."""
        cancellation = Cancellation()
        with self._lock:
            self._calls[id(cancellation)] = (verdict, cancellation)
        try:
            yield cancellation
        finally:
            with self._lock:
                del self._calls[id(cancellation)]

    def stop(self, revocations: RevocationView, now_ms: int) -> None:
        """Ask the calls that a revocation stops to end."""
        with self._lock:
            calls = list(self._calls.values())
        for verdict, cancellation in calls:
            if refused_if_revoked(verdict, revocations, now_ms) is not None:
                cancellation.set()
