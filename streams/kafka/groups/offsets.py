"""The offsets that a group has committed, read and stored outside of transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar

from confluent_kafka import Consumer, KafkaException, cimpl
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.bounded.deadline import StuckError, TimedCalls, within
from streams.kafka.bounded.retry import persist
from streams.kafka.errors import FENCED_CODES, STALE_GROUP_CODES, call_error, error_of
from streams.kafka.partitions import from_client, to_client
from streams.kafka.settings import Settings
from streams.kafka.timeouts import LATE_S_MAX, REQUEST_TIMEOUT_MS, SESSION_TIMEOUT_MS
from streams.ports import FatalLogError, RetriableLogError, TopicPartition
from streams.ports.open_log import TopicNames

# Less than it takes until offsets are stable: those of a member that has died in a transaction are only when somebody
# ends that. The caller may do so as soon as it knows who has died, and does nothing else while it waits here.
COMMITTED_S_MAX = 2.0


# By this, confluent-kafka (2.16) knows who calls: while a thread polls, calls of others wait until the poll has ended,
# and those of the same thread, from within the poll, do not. Earlier versions let nobody wait, and don't have it.
_CALLER: ContextVar[int] | None = getattr(cimpl, "_reentry_identity_var", None)


def _present(thread: int) -> None:
    """Let what this thread asks of clients count as asked by another one."""
    if _CALLER is not None:
        _CALLER.set(thread)


class GroupOffsets:
    """Reads and stores the offsets of a member's group."""

    def __init__(self, client: Consumer, group: str, names: TopicNames, extra: Settings) -> None:
        """Args:
        client: the member; the caller closes it.
        group: the name of the group.
        names: how the deployment's topics are called on the cluster.
        extra: the deployment's librdkafka settings.
        """
        self._client = client
        self._group = group
        self._names = names
        # The library keeps offsets for as long as a session while it looks for the coordinator, and then asks it once.
        missed_s = float(extra.get("session.timeout.ms", SESSION_TIMEOUT_MS)) / 1_000
        answered_s = float(extra.get("socket.timeout.ms", REQUEST_TIMEOUT_MS)) / 1_000
        self._commit_s_max = missed_s + answered_s + LATE_S_MAX
        self._calls: TimedCalls | None = None

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets, once no transaction is writing them any more.

        Blocks for up to COMMITTED_S_MAX seconds.

        Raises:
            RetriableLogError: the broker did not answer in time, or a transaction is still writing them.
        """
        doing = f"read the committed offsets of group `{self._group}`"
        if not partitions:
            return {}
        wanted = [to_client(self._names, partition) for partition in partitions]

        def ask(timeout_s: float) -> list[KafkaPartition]:
            found = self._client.committed(wanted, timeout=timeout_s)
            for partition in found:
                if partition.error is not None:
                    raise KafkaException(partition.error)
            return found

        found = persist(ask, lambda error: call_error(error, doing), within(COMMITTED_S_MAX))
        offsets: dict[TopicPartition, int | None] = {}
        for partition in found:
            offsets[from_client(self._names, partition)] = partition.offset if partition.offset >= 0 else None
        return offsets

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the group's offsets outside of transactions.

        Blocks until the coordinator has answered, at the longest for a session, a request and LATE_S_MAX. The library
        has no time limit for this call, and whoever waits in it polls no more, so no other watch would notice.

        INVARIANT: the client commits with the generation in which the partitions were assigned. It takes on a newer one
        only once the listener has given them up, within `poll`.

        Raises:
            RetriableLogError: nothing was stored, or it is not known.
            FatalLogError: the client library has not returned; this member can't be used any more.
            LogError: see `streams.ports.Consumer.commit`.
        """
        if not offsets:
            return
        doing = f"commit offsets of group `{self._group}`"
        named = [to_client(self._names, partition, offset) for partition, offset in offsets.items()]
        try:
            self._store(named)
        except StuckError as stuck:
            raise FatalLogError(f"can't {doing}: {stuck}") from stuck
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in STALE_GROUP_CODES and error.code() not in FENCED_CODES:
                raise RetriableLogError(f"can't {doing}: {error.str()}; they are assigned again") from exception
            raise call_error(error, doing) from exception

    @property
    def is_stuck(self) -> bool:
        """Whether a commit has not returned: no other call of the client may be waited for."""
        return self._calls is not None and self._calls.stuck

    def close(self) -> None:
        """End the thread of commits, unless it is stuck."""
        if self._calls is not None:
            self._calls.close()

    def _store(self, offsets: list[KafkaPartition]) -> None:
        if self._calls is None:
            self._calls = TimedCalls(f"stoplog commit {self._group}")

        caller = threading.get_ident()

        def store() -> Iterable[KafkaPartition]:
            # INVARIANT: the caller waits here. When it gives partitions up, it is within a poll of the client.
            _present(caller)
            return self._client.commit(offsets=offsets, asynchronous=False) or ()

        for partition in self._calls.call(store, within(self._commit_s_max)):
            if partition.error is not None:
                raise KafkaException(partition.error)
