"""Knows the other instances of the group, and ends the transactions that instances which are gone have left open.

**Idea.** A member that dies mostly dies within a transaction. Nobody can read what comes after it, and its partitions'
offsets are not stable, until the brokers time it out: 15 s, checked every 10 s. Whoever takes its partitions over does
not wait for that. It initialises the transactional id of the member that is gone, which aborts the open transaction at
once and fences the former producer, should it still live (a process that stood still).

INVARIANT: only members that the group has put out are fenced. Their commits are refused anyway, as their generation is
an old one. An instance that comes back at that moment may be fenced once too often; it starts again.

**Rejected.** A shorter transaction timeout: it must be longer than the death of a broker takes (ADR 0028).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from streams.engine.standby_places import range_owners
from streams.ports import Clock, Consumer, LogError, Membership, RetriableLogError

_log = logging.getLogger(__name__)
WAIT_MS_MAX = 1_000
"""How long a takeover waits until it is known who is gone, before it goes on without. If offsets turn out not to be
stable then, it asks on; if nobody answers, it waits until the transactions time out."""

EndTransactions = Callable[[str], None]
"""Ends the transaction that the instance of this name has left open, and fences it.

Raises:
    RetriableLogError: the log did not answer in time.
    LogError: the log refuses.
"""


class Peers:
    """The instances of one group, as one of them sees it."""

    def __init__(
        self, consumer: Consumer, partition_count: int, clock: Clock, end_transactions: EndTransactions | None
    ) -> None:
        """Know nobody yet.

        Args:
            consumer: the member.
            partition_count: how many partitions are assigned to all of them together.
            clock: bounds the wait.
            end_transactions: ends what a member has left open; None to leave that to timeouts.
        """
        self._consumer = consumer
        self._partition_count = partition_count
        self._partitions: Sequence[int] = ()
        self._clock = clock
        self._end_transactions = end_transactions
        self._membership: Membership | None = None
        self._is_current = False
        self._is_refused = False
        self._since_ms = 0
        self._gone: list[str] = []

    @property
    def membership(self) -> Membership | None:
        """The members of the present assignment; None while they are not known."""
        return self._membership if self._is_current else None

    def assigned(self, partitions: Sequence[int]) -> None:
        """Note that there is a new assignment, maybe among other members. These partitions of it are this member's."""
        self._partitions = partitions
        self._is_current = False
        self._since_ms = self._clock.monotonic_ms()

    def look(self) -> bool:
        """Ask for the members if they are not known. Never waits.

        Returns:
            Whether they have become known with this call.
        """
        if self._is_current or self._is_refused:
            return False
        try:
            found = self._consumer.membership()
        except LogError as error:
            _log.warning("standbys and fast takeovers are off: %s", error)
            self._is_refused = True
            return False
        if found is None:
            return False
        if self._membership is not None:
            self._note_gone(self._membership.instances, found.instances)
        self._membership, self._is_current = found, True
        return True

    @property
    def may_take_over(self) -> bool:
        """Whether it is known who is gone, or nobody can be, or the wait for that was long enough."""
        waits = self._membership is not None and not self._is_current and not self._is_refused
        return not waits or self._clock.monotonic_ms() - self._since_ms >= WAIT_MS_MAX

    def end_transactions(self) -> None:
        """End what the members have left open that are gone.

        Raises:
            RetriableLogError: the log did not answer in time; call again.
        """
        while self._gone:
            name = self._gone[-1]
            if self._end_transactions is not None:
                self._end(name, self._end_transactions)
            self._gone.pop()

    def _note_gone(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Note who is gone of those whose partitions are this member's now; the others' are somebody else's matter.

        If the members become known only after a takeover has found stable offsets, the next takeover ends what was left
        open. Who is back by then is not gone any more.
        """
        owners = list(range_owners(len(before), self._partition_count))
        formerly = (before[owners[partition]] for partition in self._partitions)
        self._gone = [name for name in dict.fromkeys((*self._gone, *formerly)) if name not in now]

    def _end(self, name: str, end_transactions: EndTransactions) -> None:
        try:
            end_transactions(name)
        except RetriableLogError:
            raise
        except LogError as error:
            _log.warning("`%s` is gone; what it left open waits for its timeout: %s", name, error)
        else:
            _log.info("`%s` is gone; its open transaction was ended", name)
