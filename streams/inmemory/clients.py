"""Consumer and reader of the in-memory log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.inmemory.broker import MemoryBroker
from streams.inmemory.faults import Call
from streams.inmemory.group import Member, MemoryGroup, MemoryGroupMetadata
from streams.ports import (
    AssignmentListener,
    FatalLogError,
    FencedError,
    GroupMetadata,
    LogError,
    Membership,
    OpenTransaction,
    Received,
    RetriableLogError,
    TopicPartition,
)


class _Positions:
    """The positions at which partitions are read. One of None is looked up when the first record is asked for."""

    def __init__(self, broker: MemoryBroker, client: str, committed: Callable[[TopicPartition], int | None]) -> None:
        self._broker = broker
        self._client = client
        self._committed = committed
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._ready: list[TopicPartition] | None = None
        self._turn = 0

    def assign(self, positions: Mapping[TopicPartition, int | None]) -> None:
        """Read these partitions and no others."""
        self._positions = dict(positions)
        self._paused.clear()
        self._ready = None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue to read a partition at `offset`."""
        self._require(partition)
        self._positions[partition] = offset

    def position(self, partition: TopicPartition) -> int | None:
        """Return the next offset to be read; None if it is not looked up yet."""
        self._require(partition)
        return self._positions[partition]

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether nothing is left to be read of a partition at this moment."""
        position = self._positions.get(partition)
        return position is not None and position >= self._broker.partition(partition).last_stable_offset

    def pause(self, partitions: Iterable[TopicPartition], *, paused: bool) -> None:
        """Leave partitions out of `fetch`, or include them again."""
        for partition in partitions:
            self._require(partition)
            if paused:
                self._paused.add(partition)
            else:
                self._paused.discard(partition)
        self._ready = None

    def fetch(self, records_max: int) -> list[Received]:
        """Return up to `records_max` records. Partitions take turns at being the first."""
        ready = self._ready
        if ready is None:
            ready = self._ready = [each for each in sorted(self._positions) if each not in self._paused]
        if not ready:
            return []
        self._turn = (self._turn + 1) % len(ready)
        turned = ready[self._turn :] + ready[: self._turn]
        found: list[Received] = []
        for partition in self._broker.faults.fetch_order(self._client, turned):
            position = self._positions[partition]
            if position is None:
                position = self._committed(partition)
            if position is None:
                continue
            records, self._positions[partition] = self._broker.partition(partition).read(
                position, records_max - len(found)
            )
            found.extend(records)
            if len(found) >= records_max:
                break
        return found

    def _require(self, partition: TopicPartition) -> None:
        if partition not in self._positions:
            raise LogError(f"partition `{partition.topic}`-{partition.partition} is not assigned")


class _Client:
    """Waits for records by advancing the log's clock by the time for which a real client would wait."""

    def __init__(self, broker: MemoryBroker, client: str, positions: _Positions) -> None:
        self._broker = broker
        self._client = client
        self._reading = positions

    def _fetch_or_wait(self, call: Call, records_max: int, timeout_ms: int) -> list[Received]:
        found = self._fetch(call, records_max)
        if not found and timeout_ms > 0:
            self._broker.clock.sleep_ms(timeout_ms)
            self._broker.faults.waits(self._client)
            found = self._fetch(call, records_max)
        return found

    def _fetch(self, call: Call, records_max: int) -> list[Received]:
        try:
            self._broker.faults.before(self._client, call)
        except RetriableLogError:
            return []
        found = self._reading.fetch(records_max)
        self._broker.faults.after(self._client, call)
        return found


class MemoryReader(_Client):
    """Implements the port `Reader`."""

    def __init__(self, broker: MemoryBroker, client: str) -> None:
        """Create it. Call `MemoryLog.reader` instead."""
        super().__init__(broker, client, _Positions(broker, client, lambda _partition: None))
        self._looked: dict[TopicPartition, int] | None = None

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions, and no others, each from the given offset on."""
        for partition in positions:
            self._broker.partition(partition)
        self._reading.assign(positions)

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`. If there is none, `timeout_ms` pass before it looks again."""
        return self._fetch_or_wait(Call.READ, max_records, timeout_ms)

    def position(self, partition: TopicPartition) -> int:
        """Return the next offset to be read: everything below was returned, or holds no data."""
        return self._reading.position(partition) or 0

    def lag(self, partition: TopicPartition) -> int | None:
        """Return how far the high watermark is ahead of `position`."""
        return self._broker.partition(partition).high_watermark - self.position(partition)

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the high watermarks, open transactions included."""
        self._broker.faults.before(self._client, Call.END_OFFSETS)
        ends = {partition: self._broker.partition(partition).high_watermark for partition in partitions}
        self._broker.faults.after(self._client, Call.END_OFFSETS)
        return ends

    def look_for_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Ask at the first call, and return the ends as they were then at the second: the answer takes its time."""
        if self._looked is None:
            self._looked = self.end_offsets(partitions)
            return None
        ends, self._looked = self._looked, None
        return ends

    def stable_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the last stable offsets."""
        return {partition: self._broker.partition(partition).last_stable_offset for partition in partitions}

    def oldest_transaction(self, partition: TopicPartition) -> OpenTransaction | None:
        """Return None: the log keeps no ids of producers."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class MemoryConsumer(_Client):
    """Implements the port `Consumer`, with the classic group protocol: eager, with ranges."""

    def __init__(self, broker: MemoryBroker, group: str, instance: str) -> None:
        """Create it. Call `MemoryLog.consumer` instead."""
        self._group_name = group
        self._assigned: list[TopicPartition] = []
        self._generation = -1
        self._topics: tuple[str, ...] = ()
        self._member: Member | None = None
        self._listener: AssignmentListener | None = None
        self._closed = False
        super().__init__(broker, instance, _Positions(broker, instance, self._start_of))

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group."""
        if self._listener is not None:
            raise FatalLogError(f"consumer `{self._client}` has subscribed already")
        self._topics = tuple(topics)
        self._listener = listener
        self._member = self._group.join(self._client, self._topics)

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`, and call the listener. If there is none, `timeout_ms` pass before it looks again.

        Raises:
            FencedError: a later consumer took the instance name.
        """
        if self._listener is None or self._closed:
            raise FatalLogError(f"consumer `{self._client}` has not subscribed, or is closed")
        try:
            self._broker.faults.before(self._client, Call.POLL)
        except RetriableLogError:
            self._broker.clock.sleep_ms(timeout_ms)
            return []
        if self._keep_membership(self._listener):
            return []
        return self._fetch_or_wait(Call.POLL, max_records, timeout_ms)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Return no records of these partitions before `resume`."""
        self._reading.pause(partitions, paused=True)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""
        self._reading.pause(partitions, paused=False)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue to read a partition at `offset`."""
        self._reading.seek(partition, offset)

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether `poll` has returned everything that the partition holds at this moment."""
        return self._reading.has_reached_end(partition)

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the high watermark of the partition at this moment."""
        return self._broker.partition(partition).high_watermark

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets.

        Raises:
            RetriableLogError: a transaction that changes them is not ended and marked yet.
        """
        self._broker.faults.before(self._client, Call.COMMITTED)
        if not self._group.is_stable(partitions):
            raise RetriableLogError(f"offsets of group `{self._group_name}` are not stable yet")
        offsets = {partition: self._group.offsets.get(partition) for partition in partitions}
        self._broker.faults.after(self._client, Call.COMMITTED)
        return offsets

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the group's offsets outside of transactions.

        Raises:
            RetriableLogError: nothing was stored: the partitions are assigned again.
        """
        self._broker.faults.before(self._client, Call.SEND_OFFSETS)
        if self._member is None or not self._is_current(self._member):
            raise RetriableLogError(f"the partitions of `{self._client}` in `{self._group_name}` are assigned again")
        self._group.offsets.update(offsets)
        self._broker.faults.after(self._client, Call.SEND_OFFSETS)

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that retention has left."""
        return {partition: self._broker.partition(partition).start_offset for partition in partitions}

    def membership(self) -> Membership | None:
        """Return the members of this consumer's assignment; None during a rebalance."""
        member, group = self._member, self._group
        if member is None or group.preparing or not self._is_current(member):
            return None
        instances = group.instances()
        return Membership(instances, instances.index(self._client))

    def group_metadata(self) -> GroupMetadata:
        """Return the member and generation of the last assignment.

        Raises:
            LogError: it has not joined yet.
        """
        if self._member is None:
            raise LogError(f"consumer `{self._client}` is not in a group yet")
        return MemoryGroupMetadata(self._group_name, self._member.member_id, self._generation)

    def close(self) -> None:
        """Leave the group. Partitions still assigned are revoked, or lost if another member owns them already."""
        if self._closed:
            return
        self._closed = True
        member, listener = self._member, self._listener
        if member is None or listener is None:
            return
        try:
            if self._assigned:
                partitions, self._assigned = self._assigned, []
                tell = listener.on_revoked if self._is_current(member) else listener.on_lost
                tell(partitions)
        finally:
            self._reading.assign({})
            self._group.put_out(member)

    @property
    def _group(self) -> MemoryGroup:
        return self._broker.group(self._group_name)

    def _is_current(self, member: Member) -> bool:
        return self._group.has(member) and self._group.generation == self._generation

    def _keep_membership(self, listener: AssignmentListener) -> bool:
        """Follow the group. Return whether the assignment changed."""
        member, group = self._member, self._group
        if member is None or not group.has(member):
            self._after_loss(listener)
            return True
        if group.preparing and not member.joined:
            self._give_back(listener, member)
            return True
        if group.preparing or self._generation == group.generation:
            return False
        self._generation = group.generation
        self._assigned = sorted(member.assignment)
        self._reading.assign(dict.fromkeys(self._assigned))
        listener.on_assigned(self._assigned)
        return True

    def _after_loss(self, listener: AssignmentListener) -> None:
        lost, self._assigned = self._assigned, []
        self._reading.assign({})
        try:
            if lost:
                listener.on_lost(lost)
        finally:
            if self._group.member(self._client) is not None:
                raise FencedError(f"consumer `{self._client}` was started again elsewhere")
            self._member = self._group.join(self._client, self._topics)

    def _give_back(self, listener: AssignmentListener, member: Member) -> None:
        try:
            if self._assigned:
                partitions, self._assigned = self._assigned, []
                listener.on_revoked(partitions)
        finally:
            self._reading.assign({})
            self._group.rejoin(member)

    def _start_of(self, partition: TopicPartition) -> int | None:
        """Return the group's committed offset, or the beginning if there is none; None while it is not stable."""
        if not self._group.is_stable([partition]):
            return None
        offset = self._group.offsets.get(partition)
        return self._broker.partition(partition).start_offset if offset is None else offset
