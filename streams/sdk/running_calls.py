"""The calls that an executor has begun, so that they can be told to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from streams.model.verdict import Verdict
from streams.sdk.tools import Cancellation
from streams.sdk.verdict_checks import RevocationView, refused_if_revoked


class RunningCalls:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, tuple[Verdict, Cancellation]] = {}

    @contextmanager
    def begun(self, verdict: Verdict) -> Iterator[Cancellation]:
        """The verdict's call is checked and run within. What is taken back from the check on finds it here."""
        cancellation = Cancellation()
        with self._lock:
            self._calls[id(cancellation)] = (verdict, cancellation)
        try:
            yield cancellation
        finally:
            with self._lock:
                del self._calls[id(cancellation)]

    def stop(self, revocations: RevocationView, now_ms: int) -> None:
        """Something was taken back: tell the calls that it concerns to end."""
        with self._lock:
            calls = list(self._calls.values())
        for verdict, cancellation in calls:
            if refused_if_revoked(verdict, revocations, now_ms) is not None:
                cancellation.set()
