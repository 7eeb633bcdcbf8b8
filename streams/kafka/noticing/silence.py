"""Notice clients that read no more of a partition, and report no error.

After brokers that stood still for longer than a group's session, librdkafka (2.16) sometimes leaves a client silent for
good: it keeps its partitions and fetches nothing of them. No error reports it, and only a new client helps. (For a
member that is not assigned anything again, see `streams.kafka.groups.joining`.)

So another client is asked. A partition that is read to its end stands still as well, and so does everything while the
brokers are away. A partition is silent only if the brokers say that it has more to read, and nothing of it comes. The
alternative, to replace each client that has returned nothing for some time, would replace those of idle topics, and
those that wait for brokers: these go on by themselves, and sooner.

Each partition has its own clock: others that deliver say nothing about it. But what was fetched of them may be queued
in the client before its records, so time counts only while a client has nothing queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.ports import LogError, TopicPartition, UnansweredError

QUIET_S = 10.0
"""The brokers are asked about a partition once nothing of it has come for this long."""

ASK_PAUSE_S = 2.0
"""The pause between an answer and the next question."""

SILENT_S_MAX = 10.0
"""A client for which the brokers have had something of a partition for this long is given up."""

LookForEnds = Callable[[Sequence[TopicPartition]], dict[TopicPartition, int] | None]

Place = tuple[str, int]
"""Topic and partition: a `TopicPartition`, or what equals one."""


class SilenceWatch:
    """Raises an error once a client reads nothing of a partition that has something. One per client, for one thread.

    The high watermark is looked at first, over a connection that most clients have anyway. It is behind an open
    transaction, which nobody can read, so the last stable offset decides.

    All times are of a clock that goes on only between two polls that leave nothing in the client's queue. While records
    are left there, a partition waits behind the others, and is not even fetched once they fill the queue.
    """

    def __init__(self, client: str, look_for_ends: LookForEnds, look_for_stable_ends: LookForEnds) -> None:
        """Start the watch.

        Args:
            client: its name in error messages.
            look_for_ends: returns the high watermark of each partition that is asked for, except for those of which
                it is not known; None until the answer has come. Must not block.
            look_for_stable_ends: likewise the last stable offset.
        """
        self._client = client
        self._looks = {False: look_for_ends, True: look_for_stable_ends}
        self._clock_s = 0.0
        self._emptied_s: float | None = None
        self._check_at_s = 0.0
        self._heard_s: dict[Place, float] = {}
        self._unread_since_s: dict[Place, float] = {}
        self._asks_stable = False
        self._asked: list[TopicPartition] = []
        self._asked_s = 0.0

    def begin(self, places: Iterable[Place]) -> None:
        """Note which partitions are read from now on, and forget the others."""
        self._heard_s = dict.fromkeys(places, self._latest_s())
        self._unread_since_s.clear()

    def heard(self, places: Iterable[Place]) -> None:
        """Note that something of these partitions has come, or that they are read on from elsewhere."""
        now_s = self._latest_s()
        for place in places:
            self._heard_s[place] = now_s
            self._unread_since_s.pop(place, None)

    def polled(self, *, is_empty: bool) -> None:
        """Note that records were taken from the client, and whether that has left none in its queue."""
        now_s = time.monotonic()
        if is_empty and self._emptied_s is not None:
            self._clock_s += now_s - self._emptied_s
        self._emptied_s = now_s if is_empty else None

    def _latest_s(self) -> float:
        """Return the time that it is if the next poll leaves nothing, either. What begins now begins then."""
        return self._clock_s + (0.0 if self._emptied_s is None else time.monotonic() - self._emptied_s)

    @property
    def is_due(self) -> bool:
        """Whether `check` has something to do."""
        return bool(self._asked) or self._clock_s >= self._check_at_s

    def check(self, read_to: Mapping[TopicPartition, int | None]) -> None:
        """Check that the client has read all that there is. Call this between polls, while no record is in hand.

        Args:
            read_to: the partitions that are to be read, with the offset below which everything was returned; None
                where the end was not reached.

        Raises:
            UnansweredError: there was something to read of a partition for SILENT_S_MAX seconds. Create a new client.
        """
        if not self._asked:
            self._asked, self._asked_s = self._quiet(read_to), self._clock_s
        if not self._asked:
            return
        try:
            ends = self._looks[self._asks_stable](self._asked)
        except LogError:
            ends = {}
        if ends is None:
            return
        asked, self._asked = self._asked, []
        self._check_at_s = self._clock_s + ASK_PAUSE_S
        # An answer says nothing about a partition that was heard of, or assigned, since the question.
        unread = self._unread({place for place in asked if self._is_quiet_since_asked(place)}, ends, read_to)
        if self._asks_stable:
            self._reject_silent(unread)
        if ends:
            self._asks_stable = bool(unread)

    def _quiet(self, read_to: Mapping[TopicPartition, int | None]) -> list[TopicPartition]:
        """Return the partitions of which nothing has come for long, or note when that will be."""
        now_s = self._clock_s
        heard_s = {place: self._heard_s.setdefault(place, now_s) for place in read_to}
        self._check_at_s = min(heard_s.values(), default=now_s) + QUIET_S
        return [place for place, since_s in heard_s.items() if now_s - since_s >= QUIET_S]

    def _is_quiet_since_asked(self, place: TopicPartition) -> bool:
        return self._heard_s.get(place, self._asked_s) < self._asked_s

    def _unread(
        self,
        asked: set[TopicPartition],
        ends: Mapping[TopicPartition, int],
        read_to: Mapping[TopicPartition, int | None],
    ) -> list[TopicPartition]:
        """Return the partitions that have something to read, in their order, and note what is known of the others."""
        unread = []
        for place in sorted(asked & read_to.keys()):
            if place not in ends:
                # While the brokers don't say, there is nothing to read, as far as is known.
                self._unread_since_s.pop(place, None)
            elif (read_to[place] or 0) < ends[place]:
                unread.append(place)
            else:
                self.heard([place])
        return unread

    def _reject_silent(self, unread: Sequence[TopicPartition]) -> None:
        now_s = self._latest_s()
        for place in unread:
            silent_s = self._clock_s - self._unread_since_s.setdefault(place, now_s)
            if silent_s >= SILENT_S_MAX:
                self.begin(self._heard_s)
                topic, partition = place
                raise UnansweredError(
                    f"{self._client} has read nothing of `{topic}` partition {partition} for {silent_s:.0f} s although "
                    "the brokers have more of it: it needs a new client"
                )
