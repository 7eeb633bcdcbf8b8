"""Runs the work of a service in a thread of its own. A fault delays the work, and never ends it.

Faults that are expected, such as a log that does not answer, are logged in a line. Any other is a bug. It is logged
with its traceback, and the work is tried again anyway: a service that does part of its work is worth more than none.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import ClassVar

STOP_S_MAX = 15.0
"""How long a thread that is stopped is waited for."""

_MS_PER_S = 1_000


class RetryingThread(ABC):
    """Does its work again and again until it is stopped, with a pause after each fault."""

    faults: ClassVar[tuple[type[Exception], ...]]
    """The faults that are expected: of the log, and of the service's store."""

    fault_level: ClassVar[int] = logging.WARNING
    """The level at which these are logged."""

    def __init__(self, thread_name: str) -> None:
        """Prepare, without starting the thread."""
        self._log = logging.getLogger(type(self).__module__)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for it. The next start goes on where it has stopped."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)

    @property
    @abstractmethod
    def _trouble(self) -> str:
        """What is wrong after a fault, for the log: "alerts are not read"."""

    @abstractmethod
    def _work(self) -> None:
        """Do the work until the thread is stopped, or a part of it. It is called again when it returns."""

    @abstractmethod
    def _delay_ms(self, *, is_known: bool) -> int:
        """Return how long to wait after a fault.

        Args:
            is_known: whether it is one of `faults`.
        """

    def _pause(self, pause_ms: int) -> None:
        """Wait, or until the thread is stopped."""
        self._stop.wait(pause_ms / _MS_PER_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work()
            except self.faults as error:
                self._log.log(self.fault_level, "%s: %s", self._trouble, error)
                self._delay(is_known=True)
            except Exception:
                self._log.exception("%s", self._trouble)
                self._delay(is_known=False)

    def _delay(self, *, is_known: bool) -> None:
        if not self._stop.is_set():
            self._pause(self._delay_ms(is_known=is_known))
