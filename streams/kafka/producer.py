"""A transactional producer: the adapter of `ports.Producer`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Message, Producer

from streams.kafka.bounded.deadline import StuckError, TimedCalls, require_few_stuck
from streams.kafka.bounded.retry import persist
from streams.kafka.errors import error_of, is_gone, transaction_error
from streams.kafka.noticing.lost_brokers import BrokerWatch
from streams.kafka.partitions import on_log, to_client
from streams.kafka.settings import LOGGER, NO_SETTINGS, Settings, client_settings
from streams.kafka.timeouts import (
    HURRIED_S_MAX,
    IDLE_CONNECTION_MS,
    LATE_S_MAX,
    RETRY_PAUSE_MS_MAX,
    SESSION_TIMEOUT_MS,
    STEP_S_MAX,
    TRANSACTION_TIMEOUT_MS,
)
from streams.ports import (
    AbortableTransactionError,
    GroupMetadata,
    LogError,
    Outgoing,
    RetriableLogError,
    TopicPartition,
    UnansweredError,
)
from streams.ports.open_log import PLAIN_NAMES, TopicNames

# Each step is tried again up to its bound. Commit and abort get more than the transaction timeout: by then the
# broker has decided.
INIT_S_MAX = 30.0
SEND_S_MAX = STEP_S_MAX
OFFSETS_S_MAX = STEP_S_MAX
END_S_MAX = TRANSACTION_TIMEOUT_MS / 1_000 + 5.0
CLOSE_S_MAX = 5.0
# Until the coordinator knows of what is sent; see `abort`.
KNOWN_S_MAX = 3.0
QUEUE_PAUSE_S = 0.02
REASON_S_MAX = 1.0
LISTED_S_MAX = 2.0

GATHERING_MS = 100
"""How long records wait for further ones in a producer that gathers. A transaction of half a second is otherwise sent
in a hundred batches to each partition, and each costs a request, a compression and a write of the broker."""

DEFAULTS: Settings = {
    # Never 0: a request for each record costs 20 us of CPU a record; a commit flushes at once in any case.
    "linger.ms": 5,
    # For a moment after a commit the coordinator answers CONCURRENT_TRANSACTIONS, and librdkafka waits this long before
    # it asks again. Back to back, a small transaction takes 27 ms (p50) with 10 here and 11 ms with 2.
    "retry.backoff.ms": 2,
    "retry.backoff.max.ms": RETRY_PAUSE_MS_MAX,
    "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
    "connections.max.idle.ms": IDLE_CONNECTION_MS,
    # The limit of our topics. The library's own limit is lower: a dead letter between the two would stop its partition.
    "message.max.bytes": 1_048_576,
    # Compared with no compression: 2.6 times smaller for 2 us of CPU a record; zstd is not better, and slower in small
    # batches.
    "compression.type": "lz4",
}


class KafkaProducer:
    """Writes records and group offsets in transactions; each record names its partition."""

    def __init__(
        self,
        bootstrap: str,
        transactional_id: str,
        *,
        gathers: bool = False,
        names: TopicNames = PLAIN_NAMES,
        extra: Settings = NO_SETTINGS,
    ) -> None:
        """Create the client. Call `init_transactions` before anything else.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            transactional_id: stable per instance: a restart aborts the transaction that an earlier run left open.
            gathers: whether records wait for further ones before they are sent, for up to GATHERING_MS.
            names: how the deployment's topics are called on the cluster.
            extra: further librdkafka settings.

        Raises:
            ValueError: `extra` would change what correctness rests on, or has a time that is not a number.
            FatalLogError: too many calls of the client library are stuck in this process.
        """
        require_few_stuck()
        fixed: Settings = {"transactional.id": transactional_id, "enable.idempotence": True, "acks": "all"}
        self._id = transactional_id
        self._names = names
        defaults = {**DEFAULTS, "linger.ms": GATHERING_MS} if gathers else DEFAULTS
        self._settings = client_settings(bootstrap, fixed=fixed, defaults=defaults, extra=extra)
        # Whoever has brokers that miss each other sooner says so by this setting of the group.
        missed_s = float(extra.get("session.timeout.ms", SESSION_TIMEOUT_MS)) / 1_000
        self._offsets_s_max = min(missed_s, OFFSETS_S_MAX)
        self._client = Producer(self._settings)
        self._calls = TimedCalls(self._thread_name)
        self._brokers = BrokerWatch()
        # Brokers are asked for with one topic, which may be described, because a cluster may have thousands.
        self._topic: str | None = None
        self._open = False
        self._step_failed = False
        self._is_left_open = False
        self._hurried_until_s: float | None = None
        self._leaving_since_s: float | None = None
        self._closed = False
        self._stored: list[tuple[Callable[[int], None], int]] = []
        self._times_ms: list[int] = []
        self._stored_ms: Sequence[int] = ()

    def init_transactions(self) -> None:
        """Fence earlier producers with the transactional id and finish what they left open.

        Blocks for up to INIT_S_MAX seconds.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            FatalLogError: the broker refuses it.
        """
        self._persist("take over", self._client.init_transactions, INIT_S_MAX)

    def begin(self) -> None:
        """Open a transaction. If one was left open, a new client ends that first, within INIT_S_MAX seconds.

        Raises:
            UnansweredError: the brokers don't answer the new client.
            FatalLogError: a transaction is open, or the producer is fenced.
        """
        self._hurried_until_s = None
        if self._is_left_open:
            self._go_on()
        try:
            self._client.begin_transaction()
        except KafkaException as exception:
            raise self._error(error_of(exception), "begin a transaction") from exception
        self._open = True
        self._step_failed = False

    def send(self, record: Outgoing, on_stored: Callable[[int], None] | None = None) -> None:
        """Queue a record in the open transaction. `on_stored(offset)` is called before `commit` returns.

        Blocks for up to SEND_S_MAX seconds while the queue is full.

        Raises:
            RetriableLogError: the queue stays full.
            FencedError: another instance has taken over.
            FatalLogError: the producer can no longer be used.
            LogError: the record is too large.
        """
        topic, partition = record.topic, record.partition
        key, value, headers = record.key, record.value, record.headers
        delivered = None if on_stored is None else self._remember(on_stored)
        try:
            self._client.produce(self._names.on_log(topic), value, key, partition, delivered, headers=list(headers))
        except BufferError:
            self._send_when_room(record, delivered)
        except KafkaException as exception:
            raise self._send_error(error_of(exception), record) from exception

    def send_offsets(self, offsets: Mapping[TopicPartition, int], group: GroupMetadata) -> None:
        """Commit the group's offsets (next to be read) with this transaction; fenced by `group`.

        Blocks for up to OFFSETS_S_MAX (and LATE_S_MAX) seconds, or as long as the deployment's `session.timeout.ms` if
        that is shorter; less once the cluster has dropped a broker (see `streams.kafka.noticing.lost_brokers`). If
        there is no answer, a new client takes over (see `_go_on`), in a hurry only in `begin`.

        Raises:
            AbortableTransactionError: call `abort`, then rewind.
            FencedError: the group has a newer generation (then `abort` is enough, too), or another instance has
                taken over.
            UnansweredError: the group's coordinator is not found in time, or does not answer, and the new client is not
                answered either.
            FatalLogError: the producer can no longer be used.
        """
        positions = [to_client(self._names, partition, offset) for partition, offset in offsets.items()]
        # A call that is abandoned must not go on with the client that comes after it.
        client = self._client

        def call(timeout_s: float) -> None:
            client.send_offsets_to_transaction(positions, group, timeout_s)

        if positions:
            self._topic = positions[0].topic
        try:
            self._persist("commit offsets", call, self._offsets_s_max, with_offsets=True)
        except (RetriableLogError, UnansweredError) as error:
            self._leave(error)
            if self._is_hurried:
                raise AbortableTransactionError(f"{error}; the transaction is left open") from error
            self._go_on()
            raise AbortableTransactionError(f"{error}; a new client has ended the transaction") from error

    def commit(self) -> None:
        """Make the whole transaction visible at once, or raise an error. Blocks for up to END_S_MAX seconds.

        Raises:
            AbortableTransactionError: call `abort`, then rewind.
            UnansweredError, FatalLogError: the outcome is unknown; create a new producer and restore the state.
        """
        try:
            self._persist("commit", self._client.commit_transaction, END_S_MAX)
        except RetriableLogError as error:
            raise self._unanswered(f"{error}; it is not known whether it was committed") from error
        self._open = False
        stored, self._stored = self._stored, []
        self._stored_ms, self._times_ms = self._times_ms, []
        for on_stored, offset in stored:
            on_stored(offset)

    def abort(self) -> None:
        """Drop the open transaction. Does nothing without one. Blocks for up to KNOWN_S_MAX and END_S_MAX seconds.

        What was queued is sent first, only to be dropped. For a moment after a commit the coordinator takes no
        partitions of the next transaction, and librdkafka asks again. If it is asked to abort meanwhile, it asks the
        coordinator to end a transaction that has not begun there. That is refused as INVALID_TXN_STATE, which is fatal
        (librdkafka 2.16, its issue 4849): the gate would have to start again. A record that is stored has its
        partition registered. Nothing is awaited after a failed step, because librdkafka sends nothing more then.

        In a hurry, a transaction that can't be aborted in time is left open, without an error.

        Raises:
            FatalLogError: the producer can no longer be used; the broker aborts the transaction by itself.
        """
        if not self._open:
            return
        self._open = False
        if not self._step_failed:
            self._client.flush(self._allowed_s(KNOWN_S_MAX))
        try:
            self._persist("abort", self._client.abort_transaction, END_S_MAX)
        except (RetriableLogError, UnansweredError) as error:
            if not self._is_hurried:
                raise self._unanswered(str(error)) from error
            self._leave(error)
        finally:
            self._stored.clear()
            self._times_ms.clear()

    @property
    def stored_ms(self) -> Sequence[int]:
        """Return what the port says."""
        return self._stored_ms

    def hurry(self) -> None:
        """Give all steps until the open transaction has ended HURRIED_S_MAX (and LATE_S_MAX) seconds together."""
        if self._open:
            self._hurried_until_s = time.monotonic() + HURRIED_S_MAX

    def leave(self) -> None:
        """Give each step HURRIED_S_MAX (and LATE_S_MAX) seconds from now on, also the one under way."""
        self._leaving_since_s = time.monotonic()

    def close(self) -> None:
        """Abort the open transaction, if the broker answers within CLOSE_S_MAX seconds. Never raises.

        It does not wait for brokers that have left a step of the transaction unanswered before."""
        if self._closed:
            return
        self._closed = True
        if self._open:
            self._open = False
            with contextlib.suppress(LogError):
                self._persist("abort", self._client.abort_transaction, CLOSE_S_MAX)
        self._abandon()
        del self._client

    def _abandon(self) -> None:
        """Use the client no more. What is left in its queue no longer belongs to a transaction."""
        self._calls.close()
        # Not the library's own `close`, which waits for the brokers without limit.
        if not self._calls.stuck:
            with contextlib.suppress(KafkaException):
                self._client.purge()

    def _leave(self, error: LogError) -> None:
        """Leave the open transaction, and the client with it: it would go on to ask brokers that don't answer."""
        LOGGER.warning("producer `%s` leaves its client and an open transaction: %s", self._id, error)
        self._open = False
        self._is_left_open = True
        self._abandon()

    def _go_on(self) -> None:
        """Go on with a new client, which has ended the transaction that was left open.

        librdkafka may keep using a coordinator that has left the cluster, through aborts and for minutes; a new client
        looks it up. Without it the gate would have to start again, which takes several seconds.

        INVARIANT: nobody has asked to commit the transaction, so it is aborted. The brokers fence what the former
        client may still send.

        Raises:
            UnansweredError: the brokers don't answer the new client either.
            FatalLogError: too many calls of the client library are stuck in this process.
        """
        require_few_stuck()
        self._is_left_open = False
        self._client = Producer(self._settings)
        self._calls = TimedCalls(self._thread_name)
        # Not emptied: what the former client still reports goes to the former lists.
        self._stored, self._times_ms = [], []
        try:
            self.init_transactions()
        except RetriableLogError as unanswered:
            raise self._unanswered(str(unanswered)) from unanswered

    @property
    def _thread_name(self) -> str:
        return f"stoplog producer {self._id}"

    def _remember(self, on_stored: Callable[[int], None]) -> Callable[[KafkaError | None, Message], None]:
        kept, times_ms = self._stored, self._times_ms

        def delivered(error: KafkaError | None, message: Message) -> None:
            # Runs within the flush of the commit, where raising would hide how the commit ended.
            offset = message.offset()
            if error is None and offset is not None:
                kept.append((on_stored, offset))
                kind, time_ms = message.timestamp()
                if kind == TIMESTAMP_LOG_APPEND_TIME:
                    times_ms.append(time_ms)

        return delivered

    def _send_when_room(self, record: Outgoing, delivered: Callable[[KafkaError | None, Message], None] | None) -> None:
        topic, partition = record.topic, record.partition
        key, value, headers = record.key, record.value, record.headers
        topic = self._names.on_log(topic)
        deadline_s = time.monotonic() + self._allowed_s(SEND_S_MAX)
        while time.monotonic() < deadline_s:
            try:
                self._client.poll(QUEUE_PAUSE_S)
                self._client.produce(topic, value, key, partition, delivered, headers=list(headers))
                return
            except BufferError:
                continue
            except KafkaException as exception:
                raise self._send_error(error_of(exception), record) from exception
        raise RetriableLogError(
            f"can't send to `{topic}`: the queue of producer `{self._id}` is full for {SEND_S_MAX} s"
        )

    def _send_error(self, error: KafkaError, record: Outgoing) -> LogError:
        doing = f"send to {on_log(self._names, TopicPartition(record.topic, record.partition))}"
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            size = len(record.value or b"")
            return LogError(f"can't {doing}: a value of {size} bytes is over `message.max.bytes`")
        if error.code() == KafkaError._FATAL:
            # `produce` says only that the client is unusable; an abort says why.
            try:
                self._client.abort_transaction(REASON_S_MAX)
            except KafkaException as exception:
                reason = error_of(exception)
                error = reason if is_gone(reason) else error
        return self._error(error, doing)

    def _persist(
        self, doing: str, call: Callable[[float], None], duration_s_max: float, *, with_offsets: bool = False
    ) -> None:
        begun_s = time.monotonic()
        is_over = False

        def allowed_s() -> float:
            # In the thread of the calls. A step that was given up must not be tried again there: its client is left.
            return 0.0 if is_over else self._until_s(begun_s, duration_s_max) - time.monotonic()

        def attempt() -> None:
            persist(call, lambda error: self._error(error, doing, with_offsets=with_offsets), allowed_s)

        def left_s() -> float:
            limit_s = self._until_s(begun_s, duration_s_max) + LATE_S_MAX - time.monotonic()
            # Asked while any step waits: the offsets of the next transaction may be what waits in vain.
            without_broker_s = self._brokers.left_s()
            return min(limit_s, without_broker_s) if with_offsets and without_broker_s is not None else limit_s

        self._step_failed = True
        self._brokers.begin(None if self._topic is None else partial(_listed, self._client, self._topic))
        try:
            self._calls.call(attempt, left_s)
        except StuckError as error:
            raise self._unanswered(f"can't {doing} (producer `{self._id}`): {error}") from error
        finally:
            is_over = True
            self._brokers.end(are_offsets=with_offsets)
        self._step_failed = False

    @property
    def _is_hurried(self) -> bool:
        return self._hurried_until_s is not None or self._leaving_since_s is not None

    def _allowed_s(self, duration_s_max: float) -> float:
        """Return how long a step may take that begins now: less in a hurry."""
        begun_s = time.monotonic()
        return self._until_s(begun_s, duration_s_max) - begun_s

    def _until_s(self, begun_s: float, duration_s_max: float) -> float:
        """Return the time of the clock that never goes back until which a step may take that has begun at `begun_s`."""
        until_s = begun_s + duration_s_max
        if self._leaving_since_s is not None:
            until_s = min(until_s, max(begun_s, self._leaving_since_s) + HURRIED_S_MAX)
        if self._hurried_until_s is not None:
            until_s = min(until_s, max(begun_s, self._hurried_until_s))
        return until_s

    def _unanswered(self, text: str) -> UnansweredError:
        # This client must not abort, for it would wait for the same brokers once more. They end the transaction by
        # themselves when the next client takes the transactional id over, or when it times out.
        self._open = False
        return UnansweredError(text)

    def _error(self, error: KafkaError, doing: str, *, with_offsets: bool = False) -> LogError:
        return transaction_error(error, f"{doing} (producer `{self._id}`)", with_offsets=with_offsets)


def _listed(client: Producer, topic: str) -> frozenset[int]:
    return frozenset(client.list_topics(topic, LISTED_S_MAX).brokers)
