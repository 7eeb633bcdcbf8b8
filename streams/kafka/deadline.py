"""Calls of the client library that may not come back, although they are told how long they may take."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


class StuckError(Exception):
    """A call has not come back in time. It, its thread and what it uses are left to themselves."""


class TimedCalls:
    """Makes calls in a thread of its own, one after the other. For one caller at a time.

    librdkafka waits for ever, now and then, for a coordinator that went away within `send_offsets_to_transaction`,
    whatever time the call was given (2.16; a broker killed and run again). Who waits for it must not.
    """

    def __init__(self, name: str) -> None:
        """Args:
        name: of the thread.
        """
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self.stuck = False

    def call(self, function: Callable[[], _Result], duration_s_max: float) -> _Result:
        """What `function` returns. Blocks for up to `duration_s_max`.

        Raises:
            StuckError: it has not come back; nor will any later call be made.
            BaseException: what `function` raises.
        """
        if self.stuck:
            msg = "an earlier call has not come back"
            raise StuckError(msg)
        results: list[_Result] = []
        self._calls.put(lambda: results.append(function()))
        # Until it has come back, whatever ends the waiting: its outcome must not be taken for that of the next call.
        self.stuck = True
        try:
            error = self._ended.get(timeout=duration_s_max)
        except queue.Empty:
            raise StuckError(f"the client library has not come back after {duration_s_max:g} s") from None
        self.stuck = False
        if error is not None:
            raise error
        return results[0]

    def close(self) -> None:
        """End the thread, unless it is stuck."""
        self._calls.put(None)
        if not self.stuck:
            self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:
                self._ended.put(error)
            else:
                self._ended.put(None)
