"""Checks the recorded log of one partition: that every verdict is on the record, and that nothing was changed since.

**Idea.** A seal has the hashes of what its transaction has read and written, in order. So the topics are read side by
side: the verdicts with their seals, the audit records, the heads, the reports and the session events. Every record must
be the next leaf of the next seal, and every seal must go on exactly where the one before it ended, which is known by
the frontier of the leaves as they were read. The frontier has at most 64 hashes, so a log of any length is checked in
the memory of one batch.

What stood at the beginning of a topic may have been deleted by retention, or may be from before gates sealed. The log
alone can't tell, so it is said to be unknown. A head that is kept elsewhere tells, and so does whoever knows that the
log is whole.

**Rejected.** Consistency proofs between heads: whoever reads all leaves needs none. To go on after the first offence of
a partition: what follows it is nearly always its consequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.notes import Checkpoint
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import (
    AUDIT_LEAF,
    GATE_LOG,
    NOTARY_LOG,
    REPORT_LEAF,
    SESSION_LEAF,
    VERDICT_LEAF,
    SealedBatch,
    read_leaf,
)
from streams.codec.avro import Codec
from streams.model.audit import Seal
from streams.model.errors import RecordError
from streams.model.topics import AUDIT, REPORT, SEAL_KEY, SESSION, VERDICT
from streams.operations.verify.cursor import Cursor
from streams.operations.verify.heads import Heads, KeptHead
from streams.operations.verify.links import check_link, check_unsigned, log_after, open_seal
from streams.operations.verify.offences import (
    Offence,
    OffenceError,
    OffenceKind,
    difference_of,
    offence_at,
)
from streams.operations.verify.sealed_topic import SealedKind, SealedTopic
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER

UNSEALED_MAX = 1_000_000
"""Verdicts that wait for their seal. A gate's transaction has far fewer."""

REPEATS_MAX = 200_000
"""Verdicts that were given again whose records are looked for in the batches before, by reading the topic again."""

SEALS_AHEAD_MAX = 3
"""Seals with leaves of a kind that are read to tell what has happened to a record of that kind."""

SEALS_LOOKED_AT_MAX = 500
"""Seals that are looked at for them."""

AUDITS = SealedKind(AUDIT_LEAF, lambda record: leaf_hash(record.value or b""), "audit record", "audit topic")
INPUTS = {
    REPORT.name: SealedKind(REPORT_LEAF, read_leaf, "report", "topic of reports"),
    SESSION.name: SealedKind(SESSION_LEAF, read_leaf, "session event", "topic of session events"),
}
"""What gates read and seal, by its topic."""

_INPUT_KINDS = frozenset(each.kind for each in INPUTS.values())
_GATE_KINDS = _INPUT_KINDS | {VERDICT_LEAF, AUDIT_LEAF}
_DIGEST_PATHS = ("verdict_digest",)


class Ends(NamedTuple):
    """Below which offsets each record is sealed: what is above was perhaps being written when the check began."""

    verdicts: int
    audits: int
    heads: int


@dataclass
class Recorded:
    """The records of one partition, as far as they are to be checked.

    Attributes:
        verdicts, audits, heads: open the three topics at their first record; each iterator is read once.
        ends: see `Ends`.
        inputs: by topic, what gates have read, likewise; a topic that is not there is not checked.
        input_ends: the offsets behind them.
    """

    partition: int
    verdicts: Callable[[], Iterator[Received]]
    audits: Callable[[], Iterator[Received]]
    heads: Callable[[], Iterator[Received]]
    ends: Ends
    inputs: Mapping[str, Callable[[], Iterator[Received]]] = field(default_factory=dict)
    input_ends: Mapping[str, int] = field(default_factory=dict)


@dataclass
class PartitionReport:
    """What was found in a partition.

    Attributes:
        log: which of the partition's logs was checked: that of its gate or that of its notary.
        inputs: how many reports and session events were compared.
        reported: how many records were compared that others have put on the record.
        not_compared: how many are sealed, and could not be compared, since their topics are not here.
        unsealed: how many verdicts lie on a partition that has no seal, so that nothing is known of them.
        offence: what is wrong first of all; None if nothing is.
        unknown: what the log alone can't tell, in words.
        head: the newest signed head that was checked; empty if there is none.
        size: how many records it covers.
    """

    partition: int
    verdicts: int = 0
    audits: int = 0
    inputs: int = 0
    reported: int = 0
    not_compared: int = 0
    unsealed: int = 0
    seals: int = 0
    size: int = 0
    head: str = ""
    offence: Offence | None = None
    unknown: list[str] = field(default_factory=list)
    log: str = GATE_LOG

    @property
    def records(self) -> int:
        """How many records were read and found to be sealed, with the seals and heads themselves."""
        heads = 0 if self.log == NOTARY_LOG else self.seals  # a notary's heads are in its seals alone
        return self.verdicts + self.audits + self.inputs + self.reported + self.seals + heads


def check_partition(
    recorded: Recorded, keys: SealKeys, codec: Codec, *, since: Checkpoint | None = None, is_whole: bool = False
) -> PartitionReport:
    """Return what is wrong with a partition, if anything is. Blocking.

    Args:
        recorded: its records.
        keys: the keys whose seals count.
        codec: reads seals, heads and the digests in audit records.
        since: a head of the partition that was kept elsewhere.
        is_whole: whether the log has its beginning: then a record that is missing there is an offence.

    Raises:
        TopicReadError, LogError: the log can't be read.
        ArchiveError: a file of a copy can't be read.
    """
    check = _Check(recorded, keys, codec, since, is_whole)
    try:
        check.run()
    except OffenceError as error:
        check.report.offence = error.offence
    return check.report


class _Check:
    """The check of one partition."""

    def __init__(
        self, recorded: Recorded, keys: SealKeys, codec: Codec, since: Checkpoint | None, is_whole: bool
    ) -> None:
        self.report = PartitionReport(recorded.partition)
        self._recorded = recorded
        self._keys = keys
        self._codec = codec
        self._is_whole = is_whole
        self._log: Frontier | None = None  # None before the first seal
        self._verdicts = Cursor(recorded.verdicts(), recorded.ends.verdicts)
        topic = partial(SealedTopic, is_whole=is_whole, later=self._later, note_unknown=self._unknown)
        self._audits = topic(AUDITS, recorded.audits, recorded.ends.audits)
        self._inputs = {
            INPUTS[name].kind: topic(INPUTS[name], records, recorded.input_ends.get(name, 0))
            for name, records in recorded.inputs.items()
        }
        self._since = KeptHead(since)
        heads = Cursor(recorded.heads(), recorded.ends.heads)
        self._heads = Heads(heads, recorded.partition, keys, codec, self._since)
        self._held: list[Received] = []
        self._held_leaves: list[bytes] = []
        self._held_digests: list[bytes] = []
        self._repeats: dict[bytes, Received] = {}

    def run(self) -> None:
        """Check everything.

        Raises:
            OffenceError: something is wrong.
        """
        verdicts = self._verdicts
        while verdicts.next is not None:
            received = verdicts.take()
            if received.key == SEAL_KEY:
                self._seal(received)
            else:
                self._hold(received)
        self._end()
        self._look_up_repeats()

    def _hold(self, received: Received) -> None:
        value = received.value or b""
        tenant, separator, session = (received.key or b"").partition(b"|")
        # The key is not hashed. But the verdict names its tenant and session.
        if not separator or tenant not in value or session not in value:
            raise offence_at(OffenceKind.CHANGED, received, "the key of the record is not that of its verdict")
        if received.headers and any(name == SCHEMA_ID_HEADER for name, _ in received.headers):
            text = "a header names another schema for the verdict, so that the same bytes would mean another call"
            raise offence_at(OffenceKind.CHANGED, received, text)
        if len(self._held) >= UNSEALED_MAX:
            text = f"no seal follows within {UNSEALED_MAX} verdicts"
            raise offence_at(OffenceKind.UNSEALED, self._held[0], text)
        self._held.append(received)
        self._held_leaves.append(leaf_hash(value))
        self._held_digests.append(sha256(value).digest())

    def _seal(self, received: Received) -> None:
        seal, batch = self._opened(received)
        expected = batch.leaves_of(VERDICT_LEAF)
        is_first = self._log is None
        self._check_place(received, seal, batch)
        # Of a batch with several seals, the verdicts of the later ones are held, too.
        count = len(expected) if seal.continues else len(self._held)
        if self._held_leaves[:count] != expected:
            if not is_first or self._is_whole:
                self._verdicts_differ(received, expected)
            count = self._first_verdicts(received, seal, expected)
        digests, verdicts = self._held_digests[:count], self._held[:count]
        del self._held[:count], self._held_leaves[:count], self._held_digests[:count]
        audits = self._audits.take(received, seal, batch, may_skip=seal.first == 0 or self._verdicts.first > 0)
        self.report.inputs += self._take_inputs(received, seal, batch)
        self._match(verdicts, digests, audits)
        self._log = log_after(received, batch)
        if unknown := self._since.compare_seal(received, seal, batch, is_first=is_first):
            self._unknown(unknown)
        if not seal.continues:
            self._heads.check(received, seal)
        report = self.report
        report.verdicts += len(verdicts)
        report.audits += len(audits)
        report.seals += 1
        report.head, report.size = seal.signed_head, batch.head.size

    def _opened(self, received: Received) -> tuple[Seal, SealedBatch]:
        return open_seal(received, self._codec, self._keys, self._recorded.partition)

    def _check_place(self, received: Received, seal: Seal, batch: SealedBatch) -> None:
        """Check that a seal goes on where the log ends, and that what its signature does not cover agrees with it."""
        log = self._log
        check_link(received, seal, batch, log, has_beginning=self._is_whole or self._verdicts.first == 0)
        if log is None and seal.first:
            self._unknown(f"the records 0 to {seal.first - 1} of the log: their seals are deleted")
            self._heads.skip(received, seal, batch)
        check_unsigned(received, seal, batch, self._recorded.partition, _GATE_KINDS)

    def _first_verdicts(self, received: Received, seal: Seal, expected: list[bytes]) -> int:
        """Take the verdicts before the first seal that was kept: some are gone, or are from before gates sealed.

        Returns:
            How many of those that are held are of this seal.
        """
        held, count = self._held_leaves, len(expected)
        if self._verdicts.first > 0:
            gone = expected.index(held[0]) if held and held[0] in expected else count
            left = count - gone
            if held[:left] == expected[gone:] and (seal.continues or len(held) == left):
                self._unknown(f"{gone} verdicts of the first seal: they are deleted")
                return left
        elif seal.first == 0 and not seal.continues and len(held) > count and held[len(held) - count :] == expected:
            extra = len(held) - count
            self._unknown(f"{extra} verdicts before the first seal: from before gates sealed, or not a gate's")
            del self._held[:extra], self._held_leaves[:extra], self._held_digests[:extra]
            return count
        self._verdicts_differ(received, expected)
        return 0

    def _verdicts_differ(self, received: Received, expected: list[bytes]) -> None:
        kind, at = difference_of(self._held_leaves, expected)
        where = self._held[at] if at < len(self._held) else received
        text = f"the seal at offset {received.offset} has {len(expected)} verdicts, {len(self._held)} stand before it"
        raise offence_at(kind, where, f"the verdict here is not the one that was sealed: {text}")

    def _take_inputs(self, received: Received, seal: Seal, batch: SealedBatch) -> int:
        """Take what the gate has read for a batch; return how many records that are."""
        # Gates of an earlier version have read records that nothing seals, so some can stand before the first.
        taken = [each.take(received, seal, batch, may_skip=True) for each in self._inputs.values()]
        self.report.not_compared += sum(kind in _INPUT_KINDS and kind not in self._inputs for kind in seal.kinds)
        return sum(map(len, taken))

    def _later(self, wanted: int) -> list[bytes]:
        """Return the leaves of a kind of the next seals, as far as they can be read. Ends the reading of verdicts."""
        found: list[bytes] = []
        seals = with_some = 0
        while self._verdicts.next is not None and with_some < SEALS_AHEAD_MAX and seals < SEALS_LOOKED_AT_MAX:
            received = self._verdicts.take()
            if received.key == SEAL_KEY:
                try:
                    _, batch = self._opened(received)
                except OffenceError:
                    break
                leaves = batch.leaves_of(wanted)
                seals, with_some, found = seals + 1, with_some + bool(leaves), found + leaves
        return found

    def _match(self, verdicts: list[Received], digests: list[bytes], audits: list[Received]) -> None:
        """Check that each verdict has a record in its batch. One that was given again has its record in another."""
        if not verdicts:
            return
        recorded = {self._digest_in(each) for each in audits}
        for received, digest in zip(verdicts, digests, strict=True):
            if digest not in recorded:
                self._repeats.setdefault(digest, received)
        if len(self._repeats) > REPEATS_MAX:
            self._look_up_repeats()

    def _digest_in(self, received: Received) -> bytes | None:
        try:
            (digest,) = self._codec.read_fields(AUDIT.name, received.value, received.headers, _DIGEST_PATHS)
        except RecordError as error:
            raise offence_at(OffenceKind.CHANGED, received, f"the audit record can't be read: {error}") from None
        return digest if isinstance(digest, bytes) else None

    def _look_up_repeats(self) -> None:
        """Look for the records of verdicts that were given again in all batches."""
        if not self._repeats:
            return
        is_cut = self._audits.cursor.first > 0
        for received in self._recorded.audits():
            self._repeats.pop(self._digest_in(received) or b"", None)
            if not self._repeats:
                return
        if is_cut:
            self._unknown(f"{len(self._repeats)} verdicts whose audit record is not on the topic any more")
            self._repeats.clear()
            return
        first = min(self._repeats.values(), key=lambda each: each.offset)
        raise offence_at(OffenceKind.UNRECORDED, first, "no audit record has the digest of the verdict")

    def _end(self) -> None:
        """Check that nothing is left that was committed before the check began."""
        ends, size = self._recorded.ends, 0 if self._log is None else self._log.size
        is_deleted = self._log is None and not self._is_whole and self._verdicts.first > 0
        if unknown := self._heads.end(size, ends.heads, is_deleted=is_deleted):
            self._unknown(unknown)
        is_sealed = self._log is not None or self._is_whole
        if self._held and self._held[0].offset < ends.verdicts:
            if is_sealed:
                raise offence_at(OffenceKind.UNSEALED, self._held[0], "no seal follows the verdict")
            self.report.unsealed = len(self._held)
            self._unknown(f"{len(self._held)} verdicts: nothing is sealed on this partition")
        for topic in (self._audits, *self._inputs.values()):
            topic.end()
        record = self._audits.cursor.next
        if record is not None and record.offset < ends.audits:
            if self._audits.is_aligned:
                raise offence_at(OffenceKind.UNSEALED, record, "no seal has the audit record")
            self._unknown(f"the audit records from offset {record.offset} on: no seal of them is on the log")
        self._tell_inputs()
        since = self._since.head
        if since is not None and not self._since.is_compared:
            text = f"the log ends after {size} records, and had {since.size} when its head was kept elsewhere"
            at = self._recorded.partition, ends.verdicts
            raise OffenceError(Offence(OffenceKind.TRUNCATED, VERDICT.name, *at, text))

    def _tell_inputs(self) -> None:
        """Say which input no gate has sealed: none has read it yet, or only gates of an earlier version have."""
        for sealed in INPUTS.values():
            topic = self._inputs.get(sealed.kind)
            record = None if topic is None else topic.cursor.next
            if record is not None:
                self._unknown(f"the {sealed.noun}s from offset {record.offset} on: no gate has sealed them yet")

    def _unknown(self, text: str) -> None:
        self.report.unknown.append(text)
