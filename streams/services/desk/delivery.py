"""Delivers the messages of one sink, in a thread of its own, so that a sink that fails delays no other.

Messages go in their order. But a receiver may work, and still refuse one message again and again, without calling it
unreadable: a firewall before it finds an attack in the text of an alert about an attack. Whoever caused that alert
would silence the sink. So after some failures of a message, the next one of another incident is tried. If the sink
takes it, the incident of the first message waits for a while, and the others go on. If it does not, the sink is taken
for one that does not work, and the order stays.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable

from streams.desk.messages import Message
from streams.services.desk.errors import DeskError
from streams.services.desk.sinks import Fault, Sink
from streams.services.desk.store import DeskStore, NextDelivery
from streams.services.retrying import RetryingThread
from streams.services.sending import Backoff

IDLE_S = 1.0
"""How long a thread waits that nobody wakes."""
_MS_PER_S = 1_000
STUCK_AFTER = 5
"""After how many failures of a message another one is tried."""
STUCK_MAX = 100
"""How many incidents may wait while the messages of others go on."""
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
        store: DeskStore,
        backoff: Backoff,
        count: Callable[[str, str], None],
    ) -> None:
        """Prepare, without starting the thread.

        Args:
            name: the name of the sink.
            sink: the sink.
            store: what waits.
            backoff: the pauses before a message is sent again; the thread alone takes them.
            count: is called with the name and the result of each attempt: `delivered`, `failed` or `set_aside`.
        """
        super().__init__(f"stoplog-desk-{name}")
        self.name = name
        self._sink = sink
        self._store = store
        self._backoff = backoff
        self._count = count
        self._wake = threading.Event()
        self._stuck_until_s: dict[str, float] = {}

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
            self._wake.wait(IDLE_S)
            self._wake.clear()

    def _deliver_next(self) -> bool:
        """Try the next message once. Return False if there is none."""
        found = self._store.next_delivery(self.name, self._waiting())
        if found is None:
            return False
        fault = self._attempt(found)
        if fault is None or fault.is_final:
            return True
        is_stuck = found.attempts + 1 >= STUCK_AFTER and not fault.retry_after_ms
        if is_stuck and self._takes_others(found.message):
            text = "sink `%s` takes others, but not message `%s`, whose incident waits: %s"
            self._log.warning(text, self.name, found.message.uid, fault.text)
            self._stuck_until_s[found.message.incident] = time.monotonic() + self._backoff.longest_ms / _MS_PER_S
        else:
            self._retry_later(found.message.uid, fault)
        return True

    def _attempt(self, found: NextDelivery) -> Fault | None:
        """Try a message once, and note the result."""
        number, message = found.number, found.message
        fault = self._send(message, found.attempts)
        if fault is None:
            self._store.note_delivered(number)
            self._backoff.reset()
            self._stuck_until_s.pop(message.incident, None)
            self._count(self.name, "delivered")
            return None
        self._store.note_fault(number, fault.text, sets_aside=fault.is_final)
        self._count(self.name, "set_aside" if fault.is_final else "failed")
        if fault.is_final:
            text = "sink `%s` can't take message `%s` (%s): it is set aside; see `stoplog desk show`"
            self._log.error(text, self.name, message.uid, fault.text)
        return fault

    def _waiting(self) -> set[str]:
        """Return the incidents that wait."""
        now_s = time.monotonic()
        return {incident for incident, until_s in self._stuck_until_s.items() if now_s < until_s}

    def _takes_others(self, stuck: Message) -> bool:
        """Return whether the sink takes a message of another incident, by trying the next one."""
        others = {*self._stuck_until_s, stuck.incident}
        other = self._store.next_delivery(self.name, others) if len(others) <= STUCK_MAX else None
        if other is None:
            return False
        fault = self._attempt(other)
        return fault is None or fault.is_final

    def _send(self, message: Message, attempts: int) -> Fault | None:
        """Send a message. One on which the desk itself fails again and again is set aside, and holds up no other."""
        try:
            return self._sink.send(message)
        except Exception as error:
            self._log.exception("message `%s` for `%s`", message.uid, self.name)
            return Fault(f"{type(error).__name__} in the desk", is_final=attempts + 1 >= FAILURES_MAX)

    def _retry_later(self, uid: str, fault: Fault) -> None:
        pause_ms = max(fault.retry_after_ms, self._delay_ms(is_known=True))
        self._log.warning(
            "message `%s` could not be sent to `%s`, retrying in %d ms: %s", uid, self.name, pause_ms, fault.text
        )
        self._pause(pause_ms)

    def _delay_ms(self, *, is_known: bool) -> int:
        """Return the next pause. Chance shortens it, so that desks that were cut off together do not come back so."""
        del is_known
        full_ms = self._backoff.take_ms()
        return full_ms - secrets.randbelow(full_ms // 2 + 1)
