"""Tells what the brokers' clocks can show by now, so that one wrong clock moves nobody's stream time.

**Idea.** Records carry the time of the broker that appended them. None can be later than now, but a broker whose clock
is wrong, or a topic with the writers' times, says otherwise. Two things are known of the present: this host's clock,
and the time at which a broker has stored what this host has just written. While they agree (`heard`), that is the
time. From then on it is counted with the host's monotonic clock, which no correction of a clock changes: last agreed
time plus time passed. If one of the two jumps, the other and the monotonic clock go on, and the jump is seen. Records
that are `ahead_max_ms` ahead of that are set aside, and stream time doesn't follow them. See ADR 0036.

**Before they have agreed** (a process has just started), the time is this host's, and not sure. So the worker writes
something first, to hear a broker's time. If the two differ, nobody knows which one is right: input waits until they
agree.

**Rejected.** To take each accepted record for the time: a clock that creeps ahead, record by record, takes the bound
with it. To trust the host's clock alone: it may be the wrong one, and a gate whose host is 30 days behind would set
aside all input.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from streams.ports import Clock

_log = logging.getLogger(__name__)
TOLD_MS = 10_000
"""How often a difference is reported."""


class BrokerTime:
    """What a worker knows of the brokers' time."""

    def __init__(self, clock: Clock, ahead_max_ms: int) -> None:
        """Create it before anything was heard.

        Args:
            clock: this host's.
            ahead_max_ms: how far two clocks may differ and still agree, and how far ahead a record may be.
        """
        self._clock = clock
        self._ahead_max_ms = ahead_max_ms
        self._agreed_ms: int | None = None
        self._agreed_at_ms = 0
        self._told_ms: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether this host's clock and a broker's have agreed since the start."""
        return self._agreed_ms is not None

    @property
    def is_sure(self) -> bool:
        """Whether they have agreed, and this host's clock has gone on as time has passed since."""
        return self._agreed_ms is not None and abs(self._clock.now_ms() - self.now_ms()) <= self._ahead_max_ms

    def now_ms(self) -> int:
        """Return the last agreed time plus the time passed; this host's clock if there was none yet."""
        if self._agreed_ms is None:
            return self._clock.now_ms()
        return self._agreed_ms + self._clock.monotonic_ms() - self._agreed_at_ms

    def idle_ms(self) -> int:
        """Return how far stream time may go without input: the earlier one of this host's clock and `now_ms`."""
        return min(self._clock.now_ms(), self.now_ms())

    def limit_ms(self) -> int:
        """Return the latest time that a record can have."""
        return self.now_ms() + self._ahead_max_ms

    def heard(self, stored_ms: Sequence[int]) -> None:
        """Compare the clocks.

        Args:
            stored_ms: when brokers have stored what this host has just written, by their clocks.
        """
        host_ms, now_ms = self._clock.now_ms(), self.now_ms()
        for broker_ms in stored_ms:
            if abs(broker_ms - host_ms) <= self._ahead_max_ms:
                self._agree(max(broker_ms, host_ms))
                return
        for broker_ms in stored_ms:
            # This host's clock has jumped. The broker's has not, so it corrects the monotonic clock.
            if self._agreed_ms is not None and abs(broker_ms - now_ms) <= self._ahead_max_ms:
                self._agree(broker_ms)
                break
        if stored_ms:
            self._tell(stored_ms[-1], host_ms)

    def _agree(self, time_ms: int) -> None:
        self._agreed_ms, self._agreed_at_ms = time_ms, self._clock.monotonic_ms()

    def _tell(self, broker_ms: int, host_ms: int) -> None:
        monotonic_ms = self._clock.monotonic_ms()
        if self._told_ms is None or monotonic_ms - self._told_ms >= TOLD_MS:
            self._told_ms = monotonic_ms
            going_on = "input waits" if self._agreed_ms is None else "time is counted from when they last agreed"
            _log.error(
                "this host's clock and a broker's differ by %d ms (host %d, broker %d); %s: correct the wrong one, see "
                "`stoplog doctor`",
                abs(broker_ms - host_ms),
                host_ms,
                broker_ms,
                going_on,
            )
