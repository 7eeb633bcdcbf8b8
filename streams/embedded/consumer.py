"""A member of a consumer group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.embedded import groups
from streams.embedded.fetch import Fetcher, poll_until_found, start_offsets
from streams.embedded.file import LogConnection, LogFile
from streams.embedded.topics import TopicTable
from streams.ports import (
    AssignmentListener,
    FatalLogError,
    FencedError,
    GroupMetadata,
    LogError,
    Membership,
    Received,
    RetriableLogError,
    TopicPartition,
)
from streams.ports.open_log import TopicNames


class EmbeddedConsumer:
    """The port `Consumer` on the file. For one thread at a time.

    It stays in the group by polling (or committing) at least once per lease.
    """

    def __init__(
        self,
        file: LogFile,
        group: str,
        instance: str,
        *,
        names: TopicNames,
        auto_partitions: int | None,
        lease_ms: int,
    ) -> None:
        """Create it; `EmbeddedLog.consumer` calls this."""
        self._file = file
        self._group = group
        self._instance = instance
        self._names = names
        self._lease_ms = lease_ms
        self._connection = file.connect()
        self._topic_table = TopicTable(self._connection, names, auto_partitions)
        self._fetcher = Fetcher(self._connection)
        self._topics: Sequence[str] = ()
        self._listener: AssignmentListener | None = None
        self._member_id = 0
        self._generation = -1
        self._assigned: list[TopicPartition] = []
        self._view: groups.MemberView | None = None
        self._seen_version: int | None = None
        self._closed = False

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group. Topics that don't exist yet are assigned once they exist.

        Raises:
            FatalLogError: it has joined already.
        """
        if self._listener is not None:
            raise FatalLogError(f"consumer `{self._instance}` of group `{self._group}` has subscribed already")
        self._topics = tuple(topics)
        self._listener = listener
        self._join()

    def _join(self) -> None:
        self._topic_table.refresh()
        self._topic_table.ensure(self._topics)
        with self._connection.writing():
            self._member_id = groups.join(
                self._connection,
                self._group,
                self._instance,
                [self._names.on_log(topic) for topic in self._topics],
                lease_ms=self._lease_ms,
                now_ms=self._file.clock.now_ms(),
            )
        self._generation = -1
        self._look()

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`; wait up to `timeout_ms` for the first one. Calls the listener.

        Raises:
            FencedError: another consumer of the same group and instance name was started.
            FatalLogError: the consumer has not subscribed, or is closed.
        """
        listener = self._listener
        if listener is None or self._closed:
            state = "is closed" if self._closed else "has not subscribed"
            raise FatalLogError(f"consumer `{self._instance}` of group `{self._group}` {state}")

        def attempt() -> list[Received]:
            self._keep_membership(listener)
            return self._fetcher.fetch(max_records)

        # Often enough to renew the lease, and to see that another member's has run out.
        pause_ms_max = max(1, self._lease_ms // 6)
        return poll_until_found(attempt, file=self._file, timeout_ms=timeout_ms, pause_ms_max=pause_ms_max)

    def _keep_membership(self, listener: AssignmentListener) -> None:
        now_ms = self._file.clock.now_ms()
        version = self._connection.data_version()
        view = self._view
        if view is None or version != self._seen_version or view.preparing or view.renewal_due(now_ms):
            self._seen_version = version
            view = self._look()
        else:
            return
        if view is None:
            self._rejoin_after_loss(listener)
        elif view.preparing and not view.joined:
            self._give_back(listener)
        elif view.renewal_due(now_ms) or (
            view.preparing and groups.others_expired(self._connection, self._member_id, now_ms)
        ):
            self._write(groups.renew)
        self._take_assignment(listener)

    def _look(self) -> groups.MemberView | None:
        self._view = groups.look(self._connection, self._member_id)
        return self._view

    def _rejoin_after_loss(self, listener: AssignmentListener) -> None:
        lost, self._assigned = self._assigned, []
        self._fetcher.assign({}, {})
        if lost:
            listener.on_lost(lost)
        if groups.replaced(self._connection, self._group, self._instance, self._member_id):
            raise FencedError(
                f"consumer `{self._instance}` of group `{self._group}` was started again elsewhere: end this one, "
                f"or give each its own instance name"
            )
        with contextlib.suppress(RetriableLogError):
            self._join()

    def _give_back(self, listener: AssignmentListener) -> None:
        if self._assigned:
            listener.on_revoked(self._assigned)
            self._assigned = []
            self._fetcher.assign({}, {})
        self._write(groups.rejoin)

    def _write(self, change: Callable[[LogConnection, int, int], None]) -> None:
        # A file that can't be written to now must not end a reader: the next attempt tries again, and as long as
        # nobody can write, nobody can remove this member either.
        with contextlib.suppress(RetriableLogError), self._connection.writing():
            change(self._connection, self._member_id, self._file.clock.now_ms())
        self._look()

    def _take_assignment(self, listener: AssignmentListener) -> None:
        view = self._view
        if view is None or view.preparing or not view.joined or view.generation <= self._generation:
            return
        assigned = self._names.own_partitions(view.assignment())
        self._topic_table.refresh()
        part_ids = self._topic_table.resolve(assigned)
        committed = self.committed(assigned)
        starts = start_offsets(self._connection, part_ids)
        positions = {}
        for partition in assigned:
            offset = committed[partition]
            positions[partition] = starts[partition] if offset is None else offset
        self._fetcher.assign(positions, part_ids)
        self._generation = view.generation
        self._assigned = assigned
        listener.on_assigned(assigned)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Exclude partitions from `poll`."""
        self._fetcher.pause(partitions, True)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""
        self._fetcher.pause(partitions, False)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading from `offset`.

        Raises:
            LogError: the partition is not assigned.
        """
        self._fetcher.seek(partition, offset)

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether everything was returned that the partition held when the last poll looked."""
        return self._fetcher.has_reached_end(partition)

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the end of the partition when the last poll looked."""
        return self._fetcher.end(partition)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets; None for partitions without one."""
        part_ids = self._topic_table.resolve(partitions)
        group_id = groups.group_id_of(self._connection, self._group)
        rows = self._connection.rows("SELECT part_id, next_offset FROM offsets WHERE group_id = ?", (group_id,))
        by_part: dict[int, int] = dict(rows)
        return {partition: by_part.get(part_id) for partition, part_id in part_ids.items()}

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the group's offsets outside of transactions.

        Raises:
            RetriableLogError: nothing was stored: the partitions are assigned again, or the file is locked.
        """
        part_ids = self._topic_table.resolve(list(offsets))
        rows = [(part_ids[partition], offset) for partition, offset in offsets.items()]
        try:
            with self._connection.writing():
                groups.commit(self._connection, self.group_metadata(), rows, self._file.clock.now_ms())
        except FencedError as error:
            raise RetriableLogError(str(error)) from error

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that retention has left, per partition (compaction does not move it)."""
        return start_offsets(self._connection, self._topic_table.resolve(partitions))

    def membership(self) -> Membership | None:
        """Return the members of this consumer's assignment; None during a rebalance."""
        instances = groups.instances(self._connection, self._group, self._generation)
        if instances is None or self._instance not in instances:
            return None
        return Membership(instances, instances.index(self._instance))

    def group_metadata(self) -> GroupMetadata:
        """Return member and generation of the last assignment.

        Raises:
            LogError: nothing was assigned yet.
        """
        if self._generation < 0:
            raise LogError(f"group `{self._group}` has assigned nothing yet: poll until `on_assigned` is called")
        return groups.EmbeddedGroup(self._group, self._member_id, self._generation)

    def close(self) -> None:
        """Leave the group; `on_revoked` (or `on_lost`) is called for what is still assigned."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._listener is not None:
                self._leave(self._listener)
        finally:
            self._connection.close()

    def _leave(self, listener: AssignmentListener) -> None:
        assigned, self._assigned = self._assigned, []
        if assigned and self._look() is None:
            listener.on_lost(assigned)
        elif assigned:
            listener.on_revoked(assigned)
        with self._connection.writing():
            groups.leave(self._connection, self._member_id, self._file.clock.now_ms())
