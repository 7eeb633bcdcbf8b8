"""Delivers the messages of one sink, in a thread of its own, so that a sink that fails delays no other.

Messages go in their order. But a receiver may work, and still refuse one message again and again, without calling it
unreadable: a firewall before it finds an attack in the text of an alert about an attack. Whoever caused that alert
would silence the sink. So after some failures of a message, which the store counts, the first one of another incident
is tried that has failed less often. If the sink takes it, the incident of the first message waits for a while, and the
others go on. If it does not, the sink may be one that does not work: there is a pause, and the order stays. If there is
no such message, the incident waits, and what comes next is tried at once.

A sink that does not work is tried often for the first `STUCK_MAX` messages, because any of them may be one that is
refused. After that, the pauses are the longest, but each turn still tries a message that has failed less often: no
number of refused messages silences the sink for good.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable

from streams.desk.messages import Message
from streams.services.desk.errors import DeskError
from streams.services.desk.outbox import NextDelivery, Outbox
from streams.services.desk.sinks import Fault, Sink
from streams.services.retrying import RetryingThread
from streams.services.sending import Backoff

IDLE_S = 1.0
"""How long a thread waits that nobody wakes."""
_MS_PER_S = 1_000
STUCK_AFTER = 5
"""After how many failures of a message another one is tried."""
STUCK_MAX = 100
"""How many messages may fail, with none accepted in between, until the pauses are the longest."""
FAILURES_MAX = 3
"""How often a message is tried on which the desk itself fails."""


class Courier(RetryingThread):
    """Sends what waits for a sink, one message after the other.

    Attributes:
        name: the name of the sink.
    """

    faults = (DeskError,)
    fault_level = logging.ERROR

    def __init__(
        self,
        name: str,
        sink: Sink,
        outbox: Outbox,
        backoff: Backoff,
        count: Callable[[str, str], None],
    ) -> None:
        """Prepare, without starting the thread.

        Args:
            name: the name of the sink.
            sink: the sink.
            outbox: what waits.
            backoff: the pauses before a message is sent again; the thread alone takes them.
            count: is called with the name and the result of each attempt: `delivered`, `failed` or `set_aside`.
        """
        super().__init__(f"stoplog-desk-{name}")
        self.name = name
        self._sink = sink
        self._outbox = outbox
        self._backoff = backoff
        self._count = count
        self._wake = threading.Event()
        self._waits_until_s: dict[str, float] = {}
        self._failed_in_a_row = 0

    def wake(self) -> None:
        """Say that there may be a message."""
        self._wake.set()

    def stop(self) -> None:
        """Stop the thread; what was not delivered waits for the next start."""
        self._stop.set()
        self._wake.set()
        super().stop()
        self._sink.close()

    @property
    def _trouble(self) -> str:
        return f"sink `{self.name}` is delayed"

    def _work(self) -> None:
        if not self._deliver_next():
            self._wake.wait(self._idle_s())
            self._wake.clear()

    def _idle_s(self) -> float:
        """Return how long to wait for a message: no longer than until an incident has waited."""
        return max(0.0, min((IDLE_S, *(until_s - time.monotonic() for until_s in self._waits_until_s.values()))))

    def _deliver_next(self) -> bool:
        """Try the next message once. Return False if there is none."""
        found = self._outbox.next_delivery(self.name, self._waiting())
        if found is None:
            return False
        fault = self._attempt(found)
        if fault is None or fault.is_final:
            return True
        if _is_stuck(found, fault):
            self._try_others(found, fault)
        else:
            self._retry_later(found, fault)
        return True

    def _attempt(self, found: NextDelivery) -> Fault | None:
        """Try a message once, and note the result."""
        number, message = found.number, found.message
        fault = self._send(message, found.attempts)
        if fault is None:
            self._outbox.note_delivered(number)
            self._note_taken(found)
            self._count(self.name, "delivered")
            return None
        self._outbox.note_fault(number, fault.text, sets_aside=fault.is_final)
        self._count(self.name, "set_aside" if fault.is_final else "failed")
        if fault.is_final:
            text = "sink `%s` can't take message `%s` (%s): it is set aside; see `stoplog desk show`"
            self._log.error(text, self.name, message.uid, fault.text)
        elif found.attempts == 0:
            self._failed_in_a_row += 1
        return fault

    def _note_taken(self, found: NextDelivery) -> None:
        self._backoff.reset()
        self._failed_in_a_row = 0
        if found.attempts >= STUCK_AFTER:
            # The sink may have been down, and not have refused it: then it takes the others that wait, too.
            self._waits_until_s.clear()

    def _waiting(self) -> set[str]:
        """Return the incidents that wait, and forget those that have waited."""
        now_s = time.monotonic()
        self._waits_until_s = {name: until_s for name, until_s in self._waits_until_s.items() if now_s < until_s}
        return set(self._waits_until_s)

    def _try_others(self, stuck: NextDelivery, fault: Fault) -> None:
        """Try messages of other incidents, and let the incident of a message wait unless the sink seems to be down."""
        pause_ms = self._pause_ms(stuck.attempts)
        # One that becomes stuck here is not found again.
        while other := self._next_other(stuck):
            other_fault = self._attempt(other)
            if other_fault is None or other_fault.is_final:
                # The sink works.
                pause_ms = self._backoff.longest_ms
                break
            if not _is_stuck(other, other_fault):
                self._retry_later(other, other_fault)
                return
        text = "sink `%s` does not take message `%s`, whose incident waits for %.0f s, and the others go on: %s"
        self._log.warning(text, self.name, stuck.message.uid, pause_ms / _MS_PER_S, fault.text)
        self._waits_until_s[stuck.message.incident] = time.monotonic() + pause_ms / _MS_PER_S

    def _next_other(self, stuck: NextDelivery) -> NextDelivery | None:
        """Return the next message of another incident that is not stuck itself; None if there is none."""
        left_out = {*self._waiting(), stuck.message.incident}
        return self._outbox.next_delivery(self.name, left_out, attempts_below=STUCK_AFTER)

    def _send(self, message: Message, attempts: int) -> Fault | None:
        """Send a message. One on which the desk itself fails again and again is set aside, and holds up no other."""
        try:
            return self._sink.send(message)
        except Exception as error:
            self._log.exception("message `%s` for `%s`", message.uid, self.name)
            return Fault(f"{type(error).__name__} in the desk", is_final=attempts + 1 >= FAILURES_MAX)

    def _retry_later(self, tried: NextDelivery, fault: Fault) -> None:
        pause_ms = max(fault.retry_after_ms, self._pause_ms(tried.attempts))
        text = "message `%s` could not be sent to `%s`, retrying in %d ms: %s"
        self._log.warning(text, tried.message.uid, self.name, pause_ms, fault.text)
        self._pause(pause_ms)

    def _pause_ms(self, attempts: int) -> int:
        """Return the pause after a message has failed once more than so often."""
        is_down = self._failed_in_a_row > STUCK_MAX
        return _shortened(self._backoff.longest_ms if is_down else self._backoff.after_ms(attempts))

    def _delay_ms(self, *, is_known: bool) -> int:
        """Return the next pause after a fault of the desk itself."""
        del is_known
        return _shortened(self._backoff.take_ms())


def _is_stuck(found: NextDelivery, fault: Fault) -> bool:
    """Return whether a message that has failed again may be one that the sink refuses, although it works."""
    return found.attempts + 1 >= STUCK_AFTER and not fault.retry_after_ms


def _shortened(full_ms: int) -> int:
    """Return a pause that chance shortens, so that desks that were cut off together do not come back so."""
    return full_ms - secrets.randbelow(full_ms // 2 + 1)
