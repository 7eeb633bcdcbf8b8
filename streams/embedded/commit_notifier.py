"""Wake the polls that wait for a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streams.ports import LogError

# How often the file is checked for commits of other processes, while a poll waits.
OTHER_PROCESS_POLL_MS = 5


class CommitNotifier:
    """Notified after every commit of this process, and by the `Watcher` after those of other processes. Thread-safe."""

    def __init__(self) -> None:
        """Start with no commits."""
        self._condition = threading.Condition()
        self._commits = 0
        self._waiting = 0
        self._closed = False

    @property
    def commits(self) -> int:
        """Return how many commits there were. Read it before looking for records, and pass it to `wait` if there were
        none."""
        return self._commits

    def notify(self) -> None:
        """Wake all polls that wait."""
        with self._condition:
            self._commits += 1
            self._condition.notify_all()

    def wait(self, commits: int, timeout_ms: int) -> bool:
        """Block until there is a commit after the first `commits`; return False if `timeout_ms` passed first."""
        with self._condition:
            self._waiting += 1
            if self._waiting == 1:
                self._condition.notify_all()
            try:
                return self._condition.wait_for(lambda: self._commits != commits, timeout_ms / 1000)
            finally:
                self._waiting -= 1

    def wait_for_waiter(self) -> bool:
        """Block until somebody waits; return False once `close` was called."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            return not self._closed

    def close(self) -> None:
        """Let `wait_for_waiter` return from now on."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class Watcher:
    """Notifies polls of commits of other processes: one thread for all waiting polls, idle when none waits."""

    def __init__(self, notifier: CommitNotifier, look: Callable[[], int]) -> None:
        """Watch the value that `look` returns; it is called only in the watcher's thread."""
        self._notifier = notifier
        self._look = look
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoplog-watcher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        seen = None
        while self._notifier.wait_for_waiter():
            try:
                version = self._look()
            except LogError:
                # The polls get the same error themselves, and report it.
                version = None
            if version != seen:
                seen = version
                self._notifier.notify()
            self._stop.wait(OTHER_PROCESS_POLL_MS / 1000)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._notifier.close()
        if self._thread is not None:
            self._thread.join()
