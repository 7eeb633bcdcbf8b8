"""Notice clients that read no more, and report no error.

After brokers that stood still for longer than a group's session, librdkafka (2.16) sometimes leaves a client silent for
good: it keeps its partitions and fetches nothing of them. No error reports it, and only a new client helps. (For a
member that is not assigned anything again, see `streams.kafka.joining`.)

So another client is asked. A partition that is read to its end stands still as well, and so does everything while the
brokers are away. A client is silent only if the brokers say that there is more to read, and nothing of it comes. The
alternative, to replace each client that has returned nothing for some time, would replace those of idle topics, and
those that wait for brokers: these go on by themselves, and sooner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from streams.ports import LogError, TopicPartition, UnansweredError

QUIET_S = 10.0
"""The brokers are asked once nothing has come for this long."""

ASK_PAUSE_S = 2.0
"""The pause between an answer and the next question."""

SILENT_S_MAX = 10.0
"""A client for which the brokers have had something to read for this long is given up."""

LookForEnds = Callable[[Sequence[TopicPartition]], dict[TopicPartition, int] | None]


class SilenceWatch:
    """Raises an error once a client reads nothing although there is something to read. One per client, for one thread.

    The high watermark is looked at first, over a connection that most clients have anyway. It is behind an open
    transaction, which nobody can read, so the last stable offset decides.
    """

    def __init__(self, client: str, look_for_ends: LookForEnds, look_for_stable_ends: LookForEnds) -> None:
        """Start the watch.

        Args:
            client: its name in error messages.
            look_for_ends: returns the high watermark of each partition that is asked for; None until the answer has
                come. Must not block.
            look_for_stable_ends: likewise the last stable offset.
        """
        self._client = client
        self._looks = {False: look_for_ends, True: look_for_stable_ends}
        self._heard_s = time.monotonic()
        self._ask_at_s = 0.0
        self._asks_stable = False
        self._unread_since_s: float | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come for QUIET_S, so that a check is due."""
        return time.monotonic() - self._heard_s >= QUIET_S

    def heard(self) -> None:
        """Note that the client has returned something or is to read from elsewhere."""
        self._heard_s = time.monotonic()
        self._asks_stable = False
        self._unread_since_s = None

    def check_reading(self, read_to: Mapping[TopicPartition, int | None]) -> None:
        """Check that the client has read all that there is. Call this after polls that returned nothing.

        Args:
            read_to: the partitions that are to be read, with the offset below which everything was returned; None
                where the end was not reached.

        Raises:
            UnansweredError: there was something to read for SILENT_S_MAX seconds. Create a new client.
        """
        is_stable = self._asks_stable
        ends = self._answer(list(read_to))
        if ends is None:
            return
        unread = [place for place, end in ends.items() if place in read_to and (read_to[place] or 0) < end]
        if not unread:
            self.heard()
        elif not is_stable:
            self._asks_stable = True
        elif self._unread_since_s is None:
            self._unread_since_s = time.monotonic()
        elif (silent_s := time.monotonic() - self._unread_since_s) >= SILENT_S_MAX:
            topic, partition = min(unread)
            self.heard()
            raise UnansweredError(
                f"{self._client} has read nothing of `{topic}` partition {partition} for {silent_s:.0f} s although the "
                "brokers have more of it: it needs a new client"
            )

    def _answer(self, places: list[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Return the ends of the partitions once they are known; ask for them if it is time."""
        if not places or time.monotonic() < self._ask_at_s:
            return None
        try:
            ends = self._looks[self._asks_stable](places)
        except LogError:
            # While the brokers can't be asked, there is nothing to read, as far as is known.
            self._unread_since_s = None
            ends = {}
        if ends is None:
            return None
        self._ask_at_s = time.monotonic() + ASK_PAUSE_S
        return ends or None
