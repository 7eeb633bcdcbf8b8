"""Make calls of the client library that may not return, even though they have a timeout."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from streams.kafka.settings import LOGGER
from streams.model.plurals import many
from streams.ports import FatalLogError

LOOK_S = 0.25
"""How often it is looked whether a call is still to be waited for."""

STUCK_CALLS_MAX = 32
"""How many calls of a process may be stuck at the same time. Each keeps a client: some ten threads, the connections to
all brokers, and what was queued."""

_Result = TypeVar("_Result")

_stuck: set[threading.Thread] = set()
"""The threads with a call that was given up. It is added to and removed from under `_counting`."""
_counting = threading.Lock()


class StuckError(Exception):
    """A call has not returned in time. The call, its thread and what it uses are abandoned."""


def require_few_stuck() -> None:
    """Refuse to make another client where too many are stuck in calls that don't return.

    A gate that is refused ends after a few attempts, an executor at once, and whatever has started the process starts
    it again: nothing else ends such threads.

    Raises:
        FatalLogError: there are STUCK_CALLS_MAX of them.
    """
    if len(_stuck) >= STUCK_CALLS_MAX:
        raise FatalLogError(
            f"{many(len(_stuck), 'call')} of the Kafka client library did not return, and only the end of this process "
            "ends that: start it again"
        )


def within(duration_s_max: float) -> Callable[[], float]:
    """Return a function that tells how much is left of a duration that begins now, in seconds."""
    until_s = time.monotonic() + duration_s_max
    return lambda: until_s - time.monotonic()


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
        self._is_calling = False
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self.stuck = False

    def call(self, function: Callable[[], _Result], left_s: Callable[[], float]) -> _Result:
        """Return the result of `function`. Blocks while `left_s` returns more than 0.

        Args:
            function: the call.
            left_s: returns for how long to wait, in seconds; asked again at least every LOOK_S.

        Raises:
            StuckError: the call has not returned; later calls are not made either.
            BaseException: what `function` raises.
        """
        if self.stuck:
            msg = "an earlier call has not returned"
            raise StuckError(msg)
        results: list[_Result] = []
        self._is_calling = True
        self._calls.put(lambda: results.append(function()))
        # Set until it has returned, whatever ends the wait: its outcome must not be taken for that of the next call.
        self.stuck = True
        begun_s = time.monotonic()
        while True:
            try:
                error = self._ended.get(timeout=min(LOOK_S, max(0.0, left_s())))
                break
            except queue.Empty:
                if left_s() <= 0:
                    duration_s = time.monotonic() - begun_s
                    self._give_up(duration_s)
                    raise StuckError(f"the client library has not returned after {duration_s:.1f} s") from None
        self.stuck = False
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback has this frame, which would keep it and the client that was called until Python looks
                # for cycles. A gate lets it do that seldom.
                del error
        return results[0]

    def close(self) -> None:
        """End the thread, unless it is stuck."""
        self._calls.put(None)
        if not self.stuck:
            self._thread.join()

    def _give_up(self, duration_s: float) -> None:
        with _counting:
            if self._is_calling:
                _stuck.add(self._thread)
            count = len(_stuck)
        LOGGER.warning(
            "`%s`: a call of the Kafka client library has not returned after %.1f s and is abandoned; %d of %d such "
            "calls that a process may have are stuck. If there are more and more, start the process again",
            self._thread.name,
            duration_s,
            count,
            STUCK_CALLS_MAX,
        )

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            error: BaseException | None = None
            try:
                call()
            except BaseException as raised:
                error = raised
            # Not kept while the thread waits: what it holds may be a client that is to be freed.
            del call
            with _counting:
                self._is_calling = False
                _stuck.discard(self._thread)
            self._ended.put(error)
            # Likewise: its traceback has this frame, and both would keep what was called.
            del error
