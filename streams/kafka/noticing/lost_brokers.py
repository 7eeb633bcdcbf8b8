"""Notice that the cluster has dropped a broker, because offsets may wait in vain for it.

**Why.** librdkafka (2.16) remembers the coordinator of a group. When it fails to connect to that, it looks for another
one, but only once a second, and it stops trying to connect as soon as the cluster no longer lists the broker. So there
are two ways in which it keeps a dead coordinator: it has looked within the second before that, and found the dead one
once more; or it waited for something else just then, and sends its next offsets to a broker that it has dropped itself.
It looks again only when the state of some other connection changes (its issue 5511). Mostly that is when one is idle:
after 3 s (`IDLE_CONNECTION_MS`). Another client looks the coordinator up afresh.

**Rejected.** Longer pauses between attempts to connect, so that the last look is more than a second ago: the pause also
counts after a connection that was closed because it was idle, and then delays every transaction after a quiet time. A
new client whenever a broker is dropped: most brokers don't coordinate the group, and then the old one goes on at once.
To compare only answers of the same slow step: the broker may be gone already when the first one comes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaException

SLOW_S = 1.0
"""Brokers are asked for once a step has taken this long. A healthy one takes milliseconds."""

STILL_SLOW_S = 2.0
"""For this long after that they are asked for in the next steps as well: the cluster may drop a broker between two."""

ASK_PAUSE_S = 0.25
"""Between two questions."""

REFRESH_S = 10.0
"""While steps are quick, offsets are followed by a question for the brokers once in this time. So a slow step takes no
broker for lost that was dropped longer before: an operator may have removed it."""

KNOWN_S_MAX = 30.0
"""Brokers that were listed longer than this before a step began say nothing about what was dropped lately. A client
that was quiet meanwhile has closed its connections, and looks for the coordinator when it opens them."""

FOUND_S_MAX = 1.0
"""Once the cluster has dropped a broker, its others lead and coordinate. The client gets this long to find them, and
they to load what they coordinate."""

QUICK_S_MAX = 0.7
"""Offsets that are sent later than that get this long. They take milliseconds, and some tenths of a second if the
transaction before them has just ended on partitions with new leaders."""

Listed = Callable[[], frozenset[int]]
"""Returns the brokers that the cluster has. May block for some seconds, and raise a `KafkaException`."""


class _Answer(NamedTuple):
    """The brokers that the cluster has listed, and when it was asked."""

    brokers: frozenset[int]
    asked_s: float


class BrokerWatch:
    """Says how long offsets may wait, once the cluster has dropped a broker. For one caller at a time."""

    def __init__(self) -> None:
        """Create it without a step that waits."""
        self._listed: Listed | None = None
        self._known: _Answer | None = None
        self._answer: _Answer | None = None
        self._asking: threading.Thread | None = None
        self._begun_s = self._slow_until_s = 0.0
        self._asked_s = self._answered_s = -math.inf
        self._lost_at_s: float | None = None

    def begin(self, listed: Listed | None) -> None:
        """Note that a step of a transaction begins, during which `listed` is asked, if anybody can be."""
        self._listed = listed
        self._begun_s = time.monotonic()
        self._take()

    def left_s(self) -> float | None:
        """Return how long the step may wait if it sends offsets, in seconds; None unless a broker was dropped since
        offsets were answered, or up to REFRESH_S before. Asks for the brokers while a step waits, and does not block.
        """
        now_s = time.monotonic()
        self._take()
        if now_s - self._begun_s >= SLOW_S:
            self._slow_until_s = now_s + STILL_SLOW_S
        if now_s < self._slow_until_s:
            self._ask(now_s)
        if self._lost_at_s is None:
            return None
        return max(self._lost_at_s + FOUND_S_MAX, self._begun_s + QUICK_S_MAX) - now_s

    def end(self, *, are_offsets: bool) -> None:
        """Note that the step was answered, or that another client takes over. With offsets, ask for the brokers if that
        was not done lately."""
        if are_offsets:
            self._take()
            self._lost_at_s = None
            self._answered_s = now_s = time.monotonic()
            if self._known is None or now_s - self._known.asked_s >= REFRESH_S:
                self._ask(now_s)
        # It may keep a client that is to be freed.
        self._listed = None

    def _ask(self, now_s: float) -> None:
        is_busy = self._asking is not None and self._asking.is_alive()
        if self._listed is None or is_busy or now_s - self._asked_s < ASK_PAUSE_S:
            return
        self._asked_s = now_s
        self._asking = threading.Thread(
            target=self._look, args=(self._listed, now_s), name="stoplog brokers", daemon=True
        )
        self._asking.start()

    def _look(self, listed: Listed, asked_s: float) -> None:
        try:
            self._answer = _Answer(listed(), asked_s)
        except KafkaException:
            return  # nobody has answered: asked again while the step waits

    def _take(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or not answer.brokers:
            return
        # A broker that is missing in an answer to an earlier question was most likely dropped before the offsets were
        # answered: that the cluster drops it is what lets them be answered.
        # The question that follows offsets only renews what is known.
        is_new = answer.asked_s > self._answered_s
        if is_new and self._lost_at_s is None and self._lately_known() - answer.brokers:
            self._lost_at_s = time.monotonic()
        self._known = answer

    def _lately_known(self) -> frozenset[int]:
        if self._known is None or self._begun_s - self._known.asked_s > KNOWN_S_MAX:
            return frozenset()
        return self._known.brokers
