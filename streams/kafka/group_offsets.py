"""The offsets that a group has committed, read and stored outside of transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.deadline import within
from streams.kafka.errors import FENCED_CODES, STALE_GROUP_CODES, call_error, error_of
from streams.kafka.partitions import from_client, to_client
from streams.kafka.retry import persist
from streams.ports import RetriableLogError, TopicPartition
from streams.ports.open_log import TopicNames

# Less than it takes until offsets are stable: those of a member that has died in a transaction are only when somebody
# ends that. The caller may do so as soon as it knows who has died, and does nothing else while it waits here.
COMMITTED_S_MAX = 2.0


class GroupOffsets:
    """Reads and stores the offsets of a member's group."""

    def __init__(self, client: Consumer, group: str, names: TopicNames) -> None:
        """Args:
        client: the member; the caller closes it.
        group: the name of the group.
        names: how the deployment's topics are called on the cluster.
        """
        self._client = client
        self._group = group
        self._names = names

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
        """Store the group's offsets outside of transactions. Blocks until the coordinator has answered.

        INVARIANT: the client commits with the generation in which the partitions were assigned. It takes on a newer one
        only once the listener has given them up, within `poll`.

        Raises:
            RetriableLogError: nothing was stored, or it is not known.
            LogError: see `streams.ports.Consumer.commit`.
        """
        if not offsets:
            return
        doing = f"commit offsets of group `{self._group}`"
        named = [to_client(self._names, partition, offset) for partition, offset in offsets.items()]
        try:
            for partition in self._client.commit(offsets=named, asynchronous=False) or ():
                if partition.error is not None:
                    raise KafkaException(partition.error)
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in STALE_GROUP_CODES and error.code() not in FENCED_CODES:
                raise RetriableLogError(f"can't {doing}: {error.str()}; they are assigned again") from exception
            raise call_error(error, doing) from exception
