"""Checks that verdicts are sealed before anything runs: the executor's side of `streams.audit.seals`.

**Idea.** Verdicts that concern an executor are held until a seal that counts follows them in their partition. Those
whose hashes it has are proven; what is left is not the gate's, for a seal ends its transaction, and no two transactions
of a partition overlap. A seal that does not count (a forged one, one of another partition, one of a log that was rolled
back) is skipped, so that whoever writes it changes nothing about the verdicts that wait.

Where nobody waits, a seal is not even decoded. So an executor pays for the seals of its own calls alone, with one
signature for a batch.

It does not matter where a reader begins: a seal has the hashes of its whole batch, also of what is not read. The newest
head that counted is kept on disk (`seal_heads`): a seal that somebody writes again doesn't count after a restart
either. A log that was set back or replaced, and sealed again by a gate, is noticed once it contradicts that head
(`_opened`). Until then its seals count, because one head does not say what the records before it were.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from streams.audit.merkle import leaf_hash
from streams.audit.receipts import Receipt
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import SealedBatch, SealError
from streams.model.audit import Seal
from streams.model.errors import RecordError
from streams.model.topics import SEAL, SEAL_KEY, VERDICT
from streams.model.types import Record
from streams.ports import Headers, Received
from streams.ports.wire import SCHEMA_ID_HEADER
from streams.sdk.entropy import SYSTEM
from streams.sdk.executor.seal_heads import SealedHead

HELD_MAX = 50_000
"""Verdicts of one partition that may wait for their seals. A gate's transaction has far fewer."""

HELD_MS_MAX = 60_000
"""How long a verdict waits for its seal. A seal can be read at the same instant as what it covers."""

NO_RECEIPT_TEXT = "it was handed over without a receipt (`VerdictReader.receipt` returns one)"
NO_SEAL_TEXT = "no seal that counts has followed it"

_log = logging.getLogger(__name__)


class Unproven:
    """Stands for the keys of seals where an executor is to do without. See `UNPROVEN`."""

    def __repr__(self) -> str:
        return "UNPROVEN"


UNPROVEN = Unproven()
"""Has an executor run verdicts that nothing proves. **Whoever may write `agent.verdict.v1`, or hands the executor a
verdict, then decides what runs**, and what has run need not be on the record. For tests, and for the time in which the
gates of a deployment are updated."""

SealKeySource = Callable[[], SealKeys]
"""Returns the keys whose seals count now; asked for each batch, so that keys can come and go while an executor runs."""


class SealCodec(Protocol):
    """Reads seals."""

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        """Return the record in a value of `topic`."""


class Checked(NamedTuple):
    """The verdicts that need not wait any longer, in the order of the log.

    Attributes:
        proven: those that a seal covers.
        unproven: those that nothing proves, each with the reason.
    """

    proven: list[Received]
    unproven: list[tuple[Received, str]]


class _Held(NamedTuple):
    received: Received
    leaf: bytes
    since_ms: int


class PartitionSeals:
    """The verdicts of one partition that wait for their seals. Not thread-safe.

    Attributes:
        fault: why the newest seal did not count; empty if it did.
        origin: that of the newest head; empty before the first one.
        head: the newest head that counted; None before the first one.
    """

    def __init__(
        self,
        partition: int,
        keys: SealKeySource,
        codec: SealCodec,
        anchors: Mapping[str, SealedHead] | None = None,
        now_ms: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        """Hold nothing yet.

        Args:
            partition: the partition of the verdict topic.
            keys: the keys whose seals count.
            codec: reads seals.
            anchors: by origin, the newest heads that counted in an earlier run: logs must go on from them.
            now_ms: the clock that the ends of retired keys are compared with.
        """
        self._now_ms = now_ms
        self.fault = ""
        self.origin = ""
        self.head: SealedHead | None = None
        self._anchors = anchors or {}
        self._partition = partition
        self._keys = keys
        self._codec = codec
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def restart(self) -> None:
        """Forget what waits: the partition is read again from where it was done."""
        self._held.clear()
        self.fault = ""

    def hold(self, received: Received, now_ms: int) -> None:
        """Let a verdict wait for its seal.

        Args:
            received: its record.
            now_ms: of a clock that never goes back.
        """
        # INVARIANT: what is decoded is what was sealed. A header could name another schema for the same bytes.
        has_schema = any(name == SCHEMA_ID_HEADER for name, _ in received.headers)
        leaf = b"" if has_schema else leaf_hash(received.value or b"")
        self._held.append(_Held(received, leaf, now_ms))

    def sealed(self, received: Received) -> Checked:
        """Take a seal, and return what it proves of the verdicts that wait, and what it leaves."""
        if not self._held:
            return Checked([], [])
        try:
            batch = self._opened(received)
        except (RecordError, SealError) as error:
            self.fault = str(error)
            _log.warning("seal %d of partition %d does not count: %s", received.offset, received.partition, error)
            return Checked([], [])
        self.fault = ""
        covered = batch.verdicts()
        proven = [held.received for held in self._held if held.leaf in covered]
        left = [held for held in self._held if held.leaf not in covered]
        if batch.seal.continues:  # the rest of the batch is in the next seal
            self._held = deque(left)
            return Checked(proven, [])
        self._held.clear()
        text = f"the seal at offset {received.offset} does not cover it"
        return Checked(proven, [(held.received, text) for held in left])

    def overdue(self, now_ms: int) -> list[tuple[Received, str]]:
        """Return the verdicts that have waited too long, or of which there are too many, each with the reason."""
        text = f"{NO_SEAL_TEXT}: {self.fault}" if self.fault else NO_SEAL_TEXT
        found = []
        while self._held and (len(self._held) > HELD_MAX or now_ms - self._held[0].since_ms > HELD_MS_MAX):
            found.append((self._held.popleft().received, text))
        return found

    def _opened(self, received: Received) -> SealedBatch:
        """Return what a seal says.

        Raises:
            RecordError: it can't be read.
            SealError: it does not count.
        """
        seal = self._codec.decode(SEAL.name, received.value, received.headers)
        if not isinstance(seal, Seal):
            raise SealError("the record is not a seal")
        batch = self._keys().opened(seal, self._partition, self._now_ms())
        origin = batch.head.origin
        head = self._anchors.get(origin) if self.head is None else self.head
        if head is None or received.offset > head.offset:
            self._check_order(batch, head)
            self.origin, self.head = origin, SealedHead(received.offset, batch.head.size, batch.head.root)
        elif batch.head.size > head.size or (received.offset == head.offset and batch.head.root != head.root):
            # A log that is read a second time has, at each offset, the head that it had.
            text = "another log was sealed at offsets that were read before: it was rolled back or replaced"
            raise SealError(text)
        return batch

    @staticmethod
    def _check_order(batch: SealedBatch, head: SealedHead | None) -> None:
        """Check that a head goes on where the one before it ends, as far as that can be seen.

        Raises:
            SealError: it begins before that, or is that of another log.
        """
        if head is None or batch.seal.first > head.size:
            return  # what is between them was not looked at, or is deleted
        if batch.seal.first < head.size:
            text = f"the seal begins at record {batch.seal.first}, and the one before it ended at {head.size}"
            raise SealError(f"{text}: it was written again, or the log was rolled back")
        if batch.before.root() != head.root:
            raise SealError(f"the log was forked: its first {head.size} records are not those that were sealed before")


class SealGuard:
    """What proves verdicts to an executor.

    Attributes:
        are_required: whether nothing runs without a seal or a receipt.
    """

    def __init__(
        self,
        keys: SealKeys | SealKeySource | Unproven,
        codec: SealCodec,
        anchors: Mapping[str, SealedHead] | None = None,
        now_ms: Callable[[], int] = SYSTEM.now_ms,
    ) -> None:
        """Take the keys.

        Args:
            keys: see `Executor`.
            codec: reads seals.
            anchors, now_ms: see `PartitionSeals`.
        """
        self._now_ms = now_ms
        self.are_required = not isinstance(keys, Unproven)
        if isinstance(keys, Unproven):
            _log.warning(
                "this executor runs verdicts that nothing proves: who may write `%s` decides what runs", VERDICT.name
            )
        self._keys = _source(keys)
        self._codec = codec
        self._anchors = dict(anchors or {})
        self._partitions: dict[int, PartitionSeals] = {}

    def of(self, partition: int) -> PartitionSeals | None:
        """Return what waits for its seal on a partition, always the same object; None if nothing has to."""
        if not self.are_required:
            return None
        found = self._partitions.get(partition)
        if found is None:
            found = PartitionSeals(partition, self._keys, self._codec, self._anchors, self._now_ms)
            self._partitions[partition] = found
        return found

    def new_heads(self) -> dict[str, SealedHead]:
        """Return the newest heads that are not kept yet, by their origins."""
        heads = {each.origin: each.head for each in self._partitions.values() if each.head is not None}
        return {origin: head for origin, head in heads.items() if self._anchors.get(origin) != head}

    def note_kept(self, heads: Mapping[str, SealedHead]) -> None:
        """Note that heads are kept."""
        self._anchors.update(heads)

    def fault_of(self, receipt: Receipt) -> str | None:
        """Explain why a receipt proves nothing; None if it proves its verdict."""
        if not self.are_required:
            return None
        try:
            receipt.check(self._keys(), self._now_ms())
        except SealError as error:
            return str(error)
        return None


def _source(keys: SealKeys | SealKeySource | Unproven) -> SealKeySource:
    if isinstance(keys, SealKeys):
        return lambda: keys
    if isinstance(keys, Unproven):
        return _no_keys
    return keys


def _no_keys() -> SealKeys:
    raise SealError("there are no keys of seals")


def is_seal(received: Received) -> bool:
    """Return whether a record of the verdict topic is a seal, or says so."""
    return received.key == SEAL_KEY
