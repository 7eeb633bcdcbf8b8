"""A member of a consumer group: the adapter of `ports.Consumer`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.bounded.bounded_close import close_in_time
from streams.kafka.bounded.deadline import require_few_stuck
from streams.kafka.errors import call_error, error_of, is_gone
from streams.kafka.fetched import fetched
from streams.kafka.groups.joining import JoinWatch
from streams.kafka.groups.members import GroupMembers
from streams.kafka.groups.offsets import GroupOffsets
from streams.kafka.groups.questions import GroupQuestions
from streams.kafka.lookups.offset_lookup import EndsLookup, OffsetLookup
from streams.kafka.noticing.positions import Positions, assign_paused
from streams.kafka.noticing.silence import SilenceWatch
from streams.kafka.partitions import all_from_client, on_log, to_client
from streams.kafka.poll_errors import FaultCounter
from streams.kafka.records import receiver
from streams.kafka.settings import NO_SETTINGS, READING_DEFAULTS, Settings, client_settings
from streams.kafka.timeouts import FETCH_PAUSE_MS, SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS
from streams.ports import (
    AssignmentListener,
    FatalLogError,
    GroupMetadata,
    LogError,
    Membership,
    Received,
    RetriableLogError,
    TopicPartition,
)
from streams.ports.open_log import PLAIN_NAMES, TopicNames

# A newly assigned partition can be sought only after librdkafka has found its committed offset. That may take until the
# transaction of a member that has died is over.
SEEK_S_MAX = TRANSACTION_TIMEOUT_MS / 1_000 + 5.0
SEEK_PAUSE_S = 0.005
# Enough to pass the request to the broker's thread; the answer does not matter.
NUDGE_S = 0.002

DEFAULTS: Settings = {
    **READING_DEFAULTS,
    "session.timeout.ms": SESSION_TIMEOUT_MS,
    # Partitions of a member that left wait until the others' next heartbeat.
    "heartbeat.interval.ms": 250,
    # A seek or resume waits for the current fetch, which waits for records up to this long.
    "fetch.wait.max.ms": 100,
    # With a full prefetch queue the next fetch waits this long (a second by default).
    "fetch.queue.backoff.ms": 100,
    "fetch.error.backoff.ms": FETCH_PAUSE_MS,
}


class _RevokedError(Exception):
    """Ends the client library's poll when partitions were revoked."""


class KafkaConsumer:
    """Reads a group's topics, read_committed, with the eager `range` assignment.

    Only `range` guarantees that partition n of every subscribed topic is assigned to one member; see ADR 0011.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        *,
        instance: str | None = None,
        positioned: bool = False,
        names: TopicNames = PLAIN_NAMES,
        extra: Settings = NO_SETTINGS,
    ) -> None:
        """Create the client.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            group: the consumer group.
            instance: the id of a static member: a restart within the session timeout moves no partitions.
            positioned: see `streams.ports.open_log.Log.consumer`.
            names: how the deployment's topics are called on the cluster.
            extra: further librdkafka settings.

        Raises:
            ValueError: `extra` would change a setting that correctness depends on.
            FatalLogError: too many calls of the client library are stuck in this process.
        """
        require_few_stuck()
        fixed: dict[str, str | int | bool] = {
            "group.id": group,
            "group.protocol": "classic",
            "partition.assignment.strategy": "range",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error" if positioned else "earliest",
            # Tells when a partition was read to its end. The cached watermark can't: it counts open transactions.
            "enable.partition.eof": True,
        }
        if instance is not None:
            fixed["group.instance.id"] = instance
        self._group = group
        self._positioned = positioned
        self._names = names
        self._received = receiver(names)
        self._client = Consumer(client_settings(bootstrap, fixed=fixed, defaults=DEFAULTS, extra=extra))
        self._offsets = GroupOffsets(self._client, group, names, extra)
        self._lookup = OffsetLookup(bootstrap, names, extra)
        self._stable_lookup = OffsetLookup(bootstrap, names, extra, stable=True)
        self._silence = SilenceWatch(
            f"the member of group `{group}`",
            EndsLookup(self._lookup.known_ends).look,
            EndsLookup(self._stable_lookup.known_ends).look,
        )
        self._joining = JoinWatch(group, GroupQuestions(bootstrap, extra))
        self._members = None if instance is None else GroupMembers(bootstrap, group, instance, extra)
        self._faults = FaultCounter(f"group `{group}`", static=instance is not None)
        self._listener: AssignmentListener | None = None
        self._metadata: GroupMetadata | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._paused: set[TopicPartition] = set()
        self._ended: dict[tuple[str, int], int] = {}
        self._positions = Positions(f"the member of group `{group}`")
        self._closed = False

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group; later polls call the listener about partitions."""
        self._listener = listener
        self._joining.begin()
        self._client.subscribe(
            [self._names.on_log(topic) for topic in topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        """Return up to `max_records`, in offset order per partition; wait up to `timeout_ms` for the first one.

        An exception of the listener is raised here, once the assignment is consistent again.

        Raises:
            UnansweredError: the client reads nothing more although the brokers answer; see
                `streams.kafka.noticing.silence` and `streams.kafka.groups.joining`.
            FatalLogError: the client can't continue.
        """
        # Before anything is taken from the client: an error then loses no record.
        self._check_silence()
        deadline_s = time.monotonic() + timeout_ms / 1000
        left_s = timeout_ms / 1000
        while True:
            try:
                messages = fetched(self._client, self._silence, max_records, left_s)
            except _RevokedError:
                self._refuse_fatal()
                return []
            except KafkaException as exception:
                self._faults.take(error_of(exception))
                return []
            records = self._records(messages)
            # Only ends of partitions may have been reported.
            left_s = deadline_s - time.monotonic() if messages and not records else 0.0
            if left_s <= 0:
                return records

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching partitions; records that were already fetched are not returned before `resume`.

        librdkafka drops what it had fetched, and fetches it again from the last returned record on.
        """
        named = list(partitions)
        self._call(self._client.pause, named, "pause")
        self._paused.update(named)
        # Nothing is fetched of them: what is known of their ends gets old.
        for partition in named:
            self._ended.pop(partition, None)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""
        # One that is not paused must not be resumed, see `_unpause`.
        named = [partition for partition in partitions if partition in self._paused]
        self._call(self._client.resume, named, "resume")
        self._paused.difference_update(named)
        # A broker's thread with nothing to fetch sleeps for up to a second and is not woken by `resume`; any
        # request to the broker wakes it. Its answer does not matter.
        if named:
            self._silence.heard(named)
            with contextlib.suppress(KafkaException):
                at_zero = [to_client(self._names, partition, 0) for partition in named]
                self._client.offsets_for_times(at_zero, timeout=NUDGE_S)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading from `offset` (of an assigned partition).

        Raises:
            RetriableLogError: the partition's committed offset could not be found yet.
            LogError: the partition is not assigned.
        """
        name = on_log(self._names, partition)
        if partition not in self._assigned:
            raise LogError(f"can't seek {name}: it is not assigned to this member of `{self._group}`")
        deadline_s = time.monotonic() + SEEK_S_MAX
        while True:
            try:
                self._client.seek(to_client(self._names, partition, offset))
                self._positions.put(partition, offset)
                self._ended.pop(partition, None)
                self._silence.heard([partition])
                return
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() not in (KafkaError._STATE, KafkaError._PREV_IN_PROGRESS):
                    raise self._error(exception, f"seek {name} to {offset}") from exception
                if time.monotonic() > deadline_s:
                    raise RetriableLogError(
                        f"can't seek {name} to {offset}: it was not ready within {SEEK_S_MAX} s"
                    ) from exception
            time.sleep(SEEK_PAUSE_S)

    def has_reached_end(self, partition: TopicPartition) -> bool:
        """Return whether everything was returned that the partition held when it was fetched last.

        That was up to `fetch.wait.max.ms` ago. A paused partition isn't fetched: the answer is no.
        """
        return partition in self._ended

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the high watermark that came with the partition's last fetch; None before the first one."""
        try:
            known = self._client.get_watermark_offsets(to_client(self._names, partition), cached=True)
        except KafkaException:
            return None
        return None if known is None or known[1] < 0 else known[1]

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """See `GroupOffsets.committed`."""
        return self._offsets.committed(partitions)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `GroupOffsets.commit`."""
        self._offsets.commit(offsets)

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that still exists, per partition.

        Raises:
            RetriableLogError: the broker did not answer in time.
        """
        return self._lookup.beginnings(partitions)

    def membership(self) -> Membership | None:
        """Return the static members of the group; None until the coordinator has answered, and for other members.

        Raises:
            LogError: the coordinator refuses to tell.
        """
        return None if self._members is None or self._metadata is None else self._members.look()

    def group_metadata(self) -> GroupMetadata:
        """Return member and generation of the latest assignment, as they were when it was made.

        Raises:
            LogError: nothing was assigned yet.
        """
        if self._metadata is None:
            raise LogError(f"group `{self._group}` has assigned nothing yet: poll until `on_assigned` is called")
        return self._metadata

    def close(self) -> None:
        """Leave the group. Calls `on_revoked` for assigned partitions. Blocks for up to `closing.CLOSE_S_MAX` seconds.

        A static member stays in the group until its session times out.

        Raises:
            LogError: the client library reports an error; the consumer is closed anyway.
        """
        if self._closed:
            return
        try:
            # A change of the assignment that is already known is handled while that is still possible. Not while a
            # commit has not returned: the client library (confluent-kafka 2.16) lets a poll wait for it, for good.
            if not self._offsets.is_stuck:
                with contextlib.suppress(KafkaException, _RevokedError):
                    self._client.poll(0)
        finally:
            self._closed = True
            self._leave()

    def _leave(self) -> None:
        assigned, self._assigned = self._assigned, frozenset()
        try:
            # In this thread, and while the member's generation is good.
            if self._listener is not None and assigned:
                self._listener.on_revoked(sorted(assigned))
        finally:
            self._offsets.close()
            self._lookup.close()
            self._stable_lookup.close()
            self._joining.end()
            if self._members is not None:
                self._members.close()
            try:
                close_in_time(self._client.close, f"a member of group `{self._group}`")
            except KafkaException as exception:
                raise self._error(exception, "leave the group") from exception

    def _records(self, messages: list[Message]) -> list[Received]:
        records: list[Received] = []
        heard: set[tuple[str, int]] = set()
        early: dict[tuple[str, int], int] = {}
        ended, next_offsets = self._ended, self._positions.next_offsets
        for message in messages:
            error = message.error()
            if error is None:
                record = self._received(message)
                place = record[:2]
                offset = record[2]
                if offset < next_offsets.get(place, 0) and self._positioned:
                    early[place] = early.get(place, 0) + 1
                    continue
                next_offsets[place] = offset + 1
                records.append(record)
                ended.pop(place, None)
                heard.add(place)
            elif error.code() == KafkaError._PARTITION_EOF:
                # The client reports it once for each end that is reached, again after a seek or a pause.
                place = self._names.own(message.topic() or ""), message.partition() or 0
                offset = message.offset() or 0
                if offset < next_offsets.get(place, 0) and self._positioned:
                    early.setdefault(place, 0)
                    continue
                ended[place] = offset
                heard.add(place)
                self._faults.clear()
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                name = f"`{message.topic()}` partition {message.partition()}"
                raise FatalLogError(
                    f"group `{self._group}` can't read {name} from offset {message.offset()}: {error.str()}"
                )
            else:
                self._faults.take(error, message.topic(), message.partition())
        self._silence.heard(heard)
        if records:
            self._faults.clear()
        self._positions.settle(heard - early.keys())
        for place, count in early.items():
            self._position_again(TopicPartition(*place), count)
        return records

    def _position_again(self, partition: TopicPartition, dropped_count: int) -> None:
        """Seek a partition again of which the client has returned what is before its position.

        Raises:
            FatalLogError: that does not help. What this poll has taken from the client is read again by the next one.
        """
        offset = self._positions.next_offsets[partition]
        doing = f"read {on_log(self._names, partition)} from offset {offset} on (group `{self._group}`)"
        if not self._positions.may_go_again(partition, dropped_count):
            raise FatalLogError(f"can't {doing}: the client goes back to earlier offsets again and again")
        try:
            self.seek(partition, offset)
        except LogError as error:
            raise FatalLogError(f"can't {doing}: {error}") from error

    def _check_silence(self) -> None:
        if self._joining.is_waiting:
            self._joining.check()
        elif self._silence.is_due:
            ended = self._ended
            self._silence.check({place: ended.get(place) for place in self._assigned - self._paused})

    def _refuse_fatal(self) -> None:
        """Raise the error that has ended the client, if any.

        The client reports a fatal error once, among the records. If the same poll revokes partitions, the error is lost
        with them, and the client would stay silent forever.
        """
        try:
            # With nothing to commit, no broker is asked, and the client says at once whether it may still commit.
            self._client.commit(offsets=[], asynchronous=False)
        except KafkaException as exception:
            error = error_of(exception)
            if is_gone(error):
                self._faults.take(error)

    def _on_assign(self, client: Consumer, partitions: list[KafkaPartition]) -> None:
        if self._closed:
            # The assignment arrived while `close` was called: nobody must start on it.
            return
        # Assigned before the listener is called, so that the listener can seek and pause.
        if self._positioned:
            assign_paused(client, partitions)
        else:
            client.assign(partitions)
        ours = all_from_client(self._names, partitions)
        self._joining.end()
        self._silence.begin(ours)
        self._assigned = frozenset(ours)
        self._ended.clear()
        self._positions.clear()
        if self._positioned:
            self.pause(ours)
        # INVARIANT: an assignment's transactions are fenced by the generation that made it, never by a later one.
        self._metadata = client.consumer_group_metadata()
        if self._members is not None:
            self._members.forget()
        if self._listener is not None:
            self._listener.on_assigned(ours)

    def _on_revoke(self, client: Consumer, partitions: list[KafkaPartition]) -> None:
        self._taken_away(client, None if self._listener is None else self._listener.on_revoked, partitions)

    def _on_lost(self, client: Consumer, partitions: list[KafkaPartition]) -> None:
        self._taken_away(client, None if self._listener is None else self._listener.on_lost, partitions)

    def _taken_away(
        self,
        client: Consumer,
        tell: Callable[[Sequence[TopicPartition]], None] | None,
        partitions: list[KafkaPartition],
    ) -> None:
        try:
            if tell is not None and self._assigned:
                tell(all_from_client(self._names, partitions))
        finally:
            self._assigned = frozenset()
            self._ended.clear()
            self._positions.clear()
            self._joining.begin()
            self._unpause(client)
            client.unassign()
        if not self._closed:
            # What this poll has collected is from the partitions that were just revoked: eager means all of them.
            raise _RevokedError

    def _unpause(self, client: Consumer) -> None:
        """Resume paused partitions: librdkafka keeps them paused through revocation and return, so nothing would be
        fetched.

        Only paused partitions are resumed: a resume drops what was fetched, and without a pause before it the library
        does not know where to start again.
        """
        paused, self._paused = self._paused, set()
        if paused:
            with contextlib.suppress(KafkaException):
                client.resume([to_client(self._names, partition) for partition in paused])

    def _call(
        self, call: Callable[[list[KafkaPartition]], None], partitions: Iterable[TopicPartition], verb: str
    ) -> None:
        named = list(partitions)
        if not named:
            return
        try:
            call([to_client(self._names, partition) for partition in named])
        except KafkaException as exception:
            listed = ", ".join(on_log(self._names, partition) for partition in named)
            raise self._error(exception, f"{verb} {listed}") from exception

    def _error(self, exception: KafkaException, doing: str) -> LogError:
        return call_error(error_of(exception), f"{doing} (group `{self._group}`)")
