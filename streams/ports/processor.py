"""Defines what a processor is to the engine, and what the engine is to a processor.

**Idea.** A processor is pure: records, timers and broadcasts come in together with a view of one partition's state;
outputs come out, and changes to that state. The engine does everything else (polling, order, transactions, recovery,
dead letters) and knows no processor by name, so that a new one needs no change of the engine. A processor that reads no
broadcast topics says so by having no `broadcast`, and meets nothing of that machinery.

**Rejected.** Letting the engine build the records that describe its own work (dead letters, failed timers, the outcome
of a broadcast record): it would have to know each processor's audit records, and a second writer of them would exist.
A processor is asked for them instead, and the engine writes them in the transaction that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from streams.model.errors import RecordError
from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports.log import Outgoing, Received

BROADCAST_KEY_PREFIX = b"c"
"""The engine's rows about broadcast records: what was reported, and what the processor wants remembered."""
MEMORY_KEY = BROADCAST_KEY_PREFIX + b"+"
"""The engine's row that holds what the processor wants remembered."""
V1_MEMORY_KEY = BROADCAST_KEY_PREFIX + b"*"
"""Where it was in layout 1 of the rows. A gate of that layout reads this row before it processes any record."""
FENCE = b"row layout 2 or later: a newer version has written this state; upgrade this gate"
"""What stands under `V1_MEMORY_KEY` now. A gate of layout 1 expects an array, can't read it, and ends."""
STREAM_TIME_KEY = b"n"
"""The engine's row that holds a partition's stream time."""
TIMER_KEY_PREFIX = b"t"
"""The engine's rows that hold timers. No key of a processor may begin with these three."""


class StateView(Protocol):
    """The state of one partition as the processor sees it: committed rows under its own writes.

    Writes become durable with the outputs of the same transaction, or not at all.
    """

    @property
    def partition(self) -> int:
        """The partition whose state it is."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row, or None."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set the row.

        Raises:
            RecordError: key and row are too large for a record of the changelog.
        """

    def delete(self, key: bytes) -> None:
        """Remove the row."""

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with start <= key < end, in key order. Do not write to the state while iterating."""

    def set_timer(self, due_ms: int, payload: bytes) -> None:
        """Call the processor with `payload` once stream time has reached `due_ms`. Idempotent."""

    def cancel_timer(self, due_ms: int, payload: bytes) -> None:
        """Forget a timer."""

    def savepoint(self) -> Savepoint:
        """Return what has been written for the current record so far, to come back to."""

    def undo_to(self, savepoint: Savepoint) -> None:
        """Forget what was written since `savepoint`."""


Savepoint = dict[bytes, bytes | None]
"""Opaque to processors."""


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to be written, already in wire form.

    Attributes:
        topic: where it goes.
        key: its key; None only on topics that are neither compacted nor placed by key.
        value: its framed bytes; None deletes the key from a compacted topic.
        header: its header, which the envelope is made from.
        partition: where it goes, if not to the partition of whoever writes it. Ignored on broadcast topics (partition
            0) and on topics that are placed by key.
        note: what is measured once the record is committed. The engine only passes it on.
    """

    topic: Topic
    key: bytes | None
    value: bytes | None
    header: Header
    partition: int | None = None
    note: object = None


class SetAsideError(RecordError):
    """Sends a record to the dead-letter topic although it has changed the state.

    Attributes:
        outputs: what is written along with the dead letter; what was written to the state is kept.
    """

    def __init__(self, reason: str, text: str, outputs: Sequence[Output] = ()) -> None:
        super().__init__(reason, text)
        self.outputs = tuple(outputs)


class BroadcastEvent(Protocol):
    """The outcome of a record of a broadcast topic. The engine only asks which record it is about."""

    @property
    def topic(self) -> str:
        """The record's topic."""

    @property
    def offset(self) -> int:
        """The record's offset; that of no record if none has caused the event."""

    @property
    def error(self) -> RecordError | None:
        """Why the record was refused: it becomes a dead letter."""


class BroadcastSink(Protocol):
    """Applies the records of broadcast topics, of which every instance reads all.

    Attributes:
        stale: set by the engine while it cannot tell that everything has been read.
    """

    stale: bool

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has something to do, rather than to wait for another process."""

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int, appended_ms: int) -> bool:
        """Apply one record (None: a tombstone), which has the broker time `appended_ms`.

        Returns:
            Whether an event will report its outcome.

        Raises:
            RecordError: it is not usable; it becomes a dead letter.
        """

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """Assume the worst of a record under this key that could not be read."""

    def on_applied(self, records: Sequence[Received], now_ms: int) -> None:
        """Note that these records, which were written while the worker ran, have been applied.

        Args:
            records: what one poll returned, in order.
            now_ms: the wall clock, for measuring how long it took.
        """

    def advance(self, now_ms: int) -> Sequence[BroadcastEvent]:
        """Continue with what takes time, for some milliseconds.

        Args:
            now_ms: of a clock that never goes back.

        Returns:
            The outcomes of records since this was last asked.
        """

    def take_events(self) -> Sequence[BroadcastEvent]:
        """Return the outcomes of records since this was last asked, as far as they are known."""

    def settle(self) -> Sequence[BroadcastEvent]:
        """Finish what is needed to begin: all topics were read to their end. Blocks; events as with `advance`."""

    def memory(self) -> bytes | None:
        """Return what every partition is to remember of it; the same object until it changes."""

    def recall(self, memory: bytes) -> None:
        """Restore what a partition that was taken over had remembered."""

    def close(self) -> None:
        """Drop what is under way."""


class BroadcastFollower(Protocol):
    """Lets partitions act on what was broadcast."""

    @property
    def broadcast_mark(self) -> int:
        """A number that changes whenever partitions have to follow what was broadcast."""

    def follow_broadcast(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Let a partition's state follow what was broadcast, a bounded step.

        Returns:
            What is to be written, and whether the partition has followed everything.
        """

    def on_broadcast_event(
        self, event: BroadcastEvent, place: str, time_ms: int, state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the records that report an event. The owner of partition 0 asks, once for each event.

        Args:
            event: one that the sink returned.
            place: topic, partition and offset of the record, or whatever else names the event.
            time_ms: broker time of the record.
            state: the state of partition 0.
            now_ms: stream time of partition 0.
        """


class Broadcast(NamedTuple):
    """The two sides of a processor that reads broadcast topics: what it holds, and what its partitions do about it."""

    sink: BroadcastSink
    follower: BroadcastFollower


class CommitHook(Protocol):
    """Adds outputs to a transaction that is about to be committed, such as a seal over what the transaction wrote.

    **Idea.** Whatever must cover a batch of records exactly (a seal, a running digest, a count) has to know where the
    batch ends, and only the commit knows. So just before it commits, the engine calls the hook once for each partition
    that has part in the transaction: that has processed input, fired timers, written rows or records. The hook gets
    what the partition's task wrote, in the order of writing, and the partition's state; it returns outputs. These, and
    what it wrote to the state, are in the same transaction: they are visible with the records that they cover, or
    never.

    **Whose records.** A transaction of a worker spans several partitions, and a task also writes to partitions other
    than its own (alerts by their key, revocations to partition 0, grants to whoever asked). The hook is called for the
    partition that *writes*, and gets all records that its task wrote, wherever they go. The writer's partition is the
    only one that can answer for them: it has one owner at a time, whose offsets, state and order are fenced together.
    A record that goes to the writer's own partition of a co-partitioned topic is written by that task alone, so for
    such topics `written` is everything that the transaction adds to the partition.

    **Promises.**

    - For each committed transaction the hook is called once per partition with part in it, also where the transaction
      holds nothing but timers or dead letters. `written` is empty then if nothing went to `topics`.
    - After an abort everything is as it was before the transaction; the records are processed again, possibly in other
      batches, and the hook is called for these. It must therefore keep its memory in the state and nowhere else.
    - Its outputs come after all other records of the transaction in each partition. They are not shown to it.
    - An exception aborts the transaction; no input is lost. If it fails again and again, the worker gives up: nothing
      is committed without the hook.
    - A processor without a hook pays nothing for it.
    - `read` has each record of `inputs` whose processing the transaction commits, whatever came of it: also what became
      a dead letter. Over all transactions that are committed, these are the records of the partition in the order of
      their offsets, each once, but for those that were deleted before they were read.

    Nothing bounds the number of records of a transaction but the settings `poll_records_max` and `commit_records_max`
    and the processor's own fan-out. A hook whose output grows with `written` must split it over several records.

    **Rejected.**

    - To call it per *destination* partition, with all that the transaction wrote there: several workers write to a
      partition of an alert topic at the same time, so no one knows all of it, and none owns state for it.
    - To call it once per transaction with all partitions: its state would be spread over stores that are given away one
      by one, and what covers a partition would depend on which partitions happened to be with the same worker.
    - To call it after the commit, in a transaction of its own: a crash in between leaves records that nothing covers,
      which readers have already seen.
    - To let the processor cover its records one by one as it emits them: a signature per record instead of per batch.
    """

    @property
    def topics(self) -> frozenset[str]:
        """The names of the topics of which the hook is shown what is written."""

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the input topics of which the hook is shown what was read."""

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Return what is to be written at the end of the transaction.

        Args:
            written: the records that the partition's task wrote to `topics` in this transaction, in that order.
            read: the records of `inputs` that the task has processed in this transaction, in that order.
            state: the partition's state, with everything that the transaction has written to it.
            now_ms: the partition's stream time.

        Raises:
            Exception: the transaction is aborted, and its input is processed again.
        """


class DeletedInput(NamedTuple):
    """Records of an input topic that were deleted before they were processed.

    Attributes:
        topic: the topic.
        partition: the partition.
        first_offset: the first of them.
        next_offset: the first record that is still there, or will be.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int


class TimeReset(NamedTuple):
    """A stream time that was far ahead, and was set back.

    Attributes:
        partition: whose it is.
        from_ms: what it was.
        to_ms: what it is now.
    """

    partition: int
    from_ms: int
    to_ms: int


class Processor(Protocol):
    """Decides what the records of a partition lead to. Subclass it to take the defaults.

    One object serves all partitions of an instance. All memory of a partition must be in its state view: partitions
    move between instances, and what a transaction has done may be rolled back and done again.
    """

    @property
    def broadcast(self) -> Broadcast | None:
        """Where records of broadcast topics go; None for a processor that reads none."""
        return None

    @property
    def commit_hook(self) -> CommitHook | None:
        """What adds outputs before each commit; None for a processor that needs nothing of the kind."""
        return None

    def prepare(self, state: StateView) -> None:
        """Check the rows of a partition that was taken over, and bring them to the layout that the processor knows.

        Called before the partition's first record, in the transaction of that record, and again if that is aborted.

        Raises:
            StoreError: the rows can't be used. The instance ends.
        """
        del state  # by default there is nothing to prepare

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Process one record of an input topic.

        Args:
            topic: the name of the record's topic: several topics may have records of one class.
            key: the record's key as it came.
            record: the decoded record.
            state: the partition's state.
            received_ms: the broker's append time of the record.
            now_ms: stream time, at least `received_ms` of every earlier record of the partition.

        Returns:
            What is to be written, in order.

        Raises:
            RecordError: the record becomes a dead letter; what it wrote to the state is dropped.
            SetAsideError: it becomes a dead letter, and what it wrote to the state is kept.
        """

    def takes_effect_ahead(self, record: Record) -> bool:
        """Return whether a record is processed although its broker time can't be true.

        Others become dead letters. Say so only of records that take something away, and whose time doesn't matter.

        Args:
            record: the decoded record. It is processed with the time of the records before it.
        """
        del record  # by default none is
        return False

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Process a timer that was set in `state` and is due. It is cancelled already."""

    def on_dead_letter(self, record: Received, error: RecordError, state: StateView, now_ms: int) -> list[Output]:
        """Return the records that report an input or broadcast record that becomes a dead letter. Must not fail.

        Args:
            record: the record.
            error: why it becomes one.
            state: the state of the partition that reports it. What is written to it is kept.
            now_ms: stream time of that partition.
        """

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        """Return the records that report a timer at which `on_timer` failed. The timer is cancelled anyway.

        Must not fail. A timer has no dead-letter topic to go to.
        """

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:
        """Return the report of input that was deleted before it was processed. Must not fail.

        Args:
            deleted: what is missing.
            now_ms: the wall clock; the time of the records is not known.
        """

    def on_time_reset(self, reset: TimeReset) -> list[Output]:
        """Return the report of a stream time that an operator had set back. Must not fail."""
