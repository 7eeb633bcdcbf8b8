"""Waking the polls that wait for a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streams.ports import LogError

# How often the file is looked at for commits of other processes, while a poll waits.
OTHER_PROCESS_POLL_MS = 5


class Bell:
    """Rung after every commit of this process, and for those of others by the `Watcher`. Thread-safe."""

    def __init__(self) -> None:
        """Not rung yet."""
        self._condition = threading.Condition()
        self._rings = 0
        self._waiting = 0
        self._muted = False

    @property
    def rings(self) -> int:
        """How often it was rung: take it before looking for records, give it to `wait` when there were none."""
        return self._rings

    def ring(self) -> None:
        """Wake all who wait."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, rings: int, timeout_ms: int) -> bool:
        """Block until it has rung since `rings` was taken; False when `timeout_ms` passed first."""
        with self._condition:
            self._waiting += 1
            if self._waiting == 1:
                self._condition.notify_all()
            try:
                return self._condition.wait_for(lambda: self._rings != rings, timeout_ms / 1000)
            finally:
                self._waiting -= 1

    def wait_for_waiter(self) -> bool:
        """Block while nobody waits; False once `mute` was called."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._muted)
            return not self._muted

    def mute(self) -> None:
        """Let `wait_for_waiter` return for good."""
        with self._condition:
            self._muted = True
            self._condition.notify_all()


class Watcher:
    """Rings the bell for commits of other processes: one thread for all waiting polls, idle when none waits."""

    def __init__(self, bell: Bell, look: Callable[[], int]) -> None:
        """Watch what `look` returns; it is called in the watcher's thread only."""
        self._bell = bell
        self._look = look
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless begun."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoplog-watcher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        seen = None
        while self._bell.wait_for_waiter():
            try:
                version = self._look()
            except LogError:
                # The polls meet the same error themselves, and report it.
                version = None
            if version != seen:
                seen = version
                self._bell.ring()
            self._stop.wait(OTHER_PROCESS_POLL_MS / 1000)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._bell.mute()
        if self._thread is not None:
            self._thread.join()
