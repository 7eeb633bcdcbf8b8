"""Make calls of the client library that may not return, even though they have a timeout."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


class StuckError(Exception):
    """A call has not returned in time. The call, its thread and what it uses are abandoned."""


class TimedCalls:
    """Makes calls in a thread of its own, one after the other. For one caller at a time.

    In rare cases, librdkafka waits forever in `send_offsets_to_transaction` for a coordinator that went away, whatever
    timeout the call was given (2.16; a broker that was killed and restarted). Its caller must not wait with it.
    """

    def __init__(self, name: str) -> None:
        """Create the thread when it is first needed.

        Args:
            name: of the thread.
        """
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self.stuck = False

    def call(self, function: Callable[[], _Result], duration_s_max: float) -> _Result:
        """Return the result of `function`. Blocks for up to `duration_s_max`.

        Raises:
            StuckError: the call has not returned; later calls are not made either.
            BaseException: what `function` raises.
        """
        if self.stuck:
            msg = "an earlier call has not returned"
            raise StuckError(msg)
        results: list[_Result] = []
        self._calls.put(lambda: results.append(function()))
        # Set until it has returned, whatever ends the wait: its outcome must not be taken for that of the next call.
        self.stuck = True
        try:
            error = self._ended.get(timeout=duration_s_max)
        except queue.Empty:
            raise StuckError(f"the client library has not returned after {duration_s_max:g} s") from None
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
