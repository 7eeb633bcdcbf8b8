"""Keep the stops in force in the state of partitions, and write them to their topic again when it loses them.

**Idea.** The topic of stops is compacted: of a key it keeps the newest record, whoever wrote that. A tombstone, a
release without a valid signature or a stop that ends earlier doesn't lift a stop where somebody has read it, but it
would push its record out of the topic, and a gate that starts later would never know. So a stop is kept where only
gates write, in the state:

- Every partition keeps the stops of more than a session or a grant: there are few of them, and whoever takes over a
  partition knows them before it decides anything in it. Partition 0 keeps all.
- When a partition is taken over, stops that are in its rows and not on the topic are in force again.
- The owner of partition 0 writes a stop again whenever the newest record of its key is not that stop. It reports one
  that was missing; what has pushed out another one was reported when it was read.
- The owner of partition 0 deletes from the topic what ended long ago: expired stops, and releases.

Compaction leaves records alone for a day (`min.compaction.lag.ms` of the topic), so executors and gates that start
before the stop is written again still read the first one.

**Rejected.** Keys that name the writer: no record proves who wrote it, so anybody could choose another's key. A key for
each record, as in the catalog: a tombstone deletes it anyway. Without an approval a gate denies calls, but
without a stop it would let them through. A topic that is not compacted: whoever starts would read every stop that there
ever was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import islice

import msgspec

from streams.model.proof import derived_uuid
from streams.model.reasons import ControlReason
from streams.model.revocation import Revocation, RevocationKind
from streams.model.revocation_set import CHANGES_KEPT_MAX, FOR_GOOD, MISSING, RevocationSet, bounded_end
from streams.model.revocation_targets import named_by, topic_key
from streams.model.topics import REVOCATION
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.control.audit import event_outputs
from streams.processors.control.stops import StopEvent
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.headers import SOURCE, gate_header
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    STOPS_FOLLOWED_KEY,
    all_rows,
    record_key_of_stop,
    record_key_of_stop_end,
    stop_end_row_key,
    stop_row_key,
)
from streams.processors.state import encode_row

STOPS_PER_STEP_MAX = 1_000
CHECKED_PER_STEP_MAX = 20_000
DROPPED_PER_STEP_MAX = 500
KEY_BYTES_MAX = 16_384
"""The longest key of a stop that is kept.

INVARIANT: no name of anything is that long. A name in an intent has up to `record_checks.NAME_CHARS_MAX` characters, a
tool or model has two names, and each character has up to 4 bytes, or 6 in the form in which models are compared.
"""

_PARTITION = 0
"""Whose owner writes the topic."""

_NARROW = frozenset({RevocationKind.SESSION, RevocationKind.DELEGATION})
_OF_A_TENANT = frozenset({RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT, RevocationKind.TENANT})
_ONE_KEY = _NARROW | _OF_A_TENANT | {RevocationKind.TOOL}
"""Kinds in which an entry has one record key. Models are named in any case, and everything under any id."""

_Key = tuple[RevocationKind, str]


class StopRow(msgspec.Struct, frozen=True, array_like=True):
    """Records a stop in force.

    Attributes:
        until_ms: its end.
        stopped_at: the offset of its newest record.
        written_for: the offset of the record because of which it was written again; below 0 if it was not.
    """

    until_ms: int
    stopped_at: int
    written_for: int = -1


class FollowedRow(msgspec.Struct, frozen=True, array_like=True):
    """Records how far the rows follow the topic.

    Attributes:
        done_offset: the rows have what was read below it.
        target_offset: the rows have what was read below it of the keys up to `cursor`.
        cursor: the record key after which the rows go on; empty if they go by single changes.
    """

    done_offset: int = 0
    target_offset: int = 0
    cursor: bytes = b""


_decode_stop = msgspec.msgpack.Decoder(StopRow).decode
_decode_followed = msgspec.msgpack.Decoder(FollowedRow).decode


class StopTable:
    """Keeps rows of stops in step with a set of revocations. Does nothing where releases are not checked."""

    def __init__(self, revocations: RevocationSet, encoder: Encoder, alerts: AlertWindows, kept_ms: int) -> None:
        """Create it.

        Args:
            revocations: the set, which stops from the rows are put back into.
            encoder: encodes what is written.
            alerts: raises alerts.
            kept_ms: how long after its end a stop, or after it was written a release, is kept on the topic.
        """
        self._revocations = revocations
        self._encoder = encoder
        self._alerts = alerts
        self._kept_ms = kept_ms
        # Caches: how far rows were checked, and the sorted keys of a set. What is lost with them is done again.
        self._checked: dict[int, bytes] = {}
        self._sorted: tuple[int, list[bytes]] = (-1, [])

    def follow(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Let a partition's rows follow the set, a bounded step.

        Returns:
            What is to be written to the topic, with audit records and alerts, and whether there is no more to be done.
        """
        if not self._revocations.is_guarded:
            return [], True
        is_checked = self._check(state, now_ms)
        is_done = self._take_over_changes(state, now_ms) and is_checked
        if state.partition != _PARTITION:
            return [], is_done
        outputs, is_written = self._write_again(state, now_ms)
        if not is_done:
            # Tombstones are changes, too: with more of them, the rows would never catch up.
            return outputs, False
        dropped, is_tidy = self._drop_past(state, now_ms)
        return [*outputs, *dropped], is_written and is_tidy

    def _check(self, state: StateView, now_ms: int) -> bool:
        """Put back stops that are in the rows and not in the set. Return whether all rows were looked at."""
        first, end = all_rows(RowKind.STOP)
        start = self._checked.get(state.partition, first)
        if start == end:
            return True
        rows = list(islice(state.scan(start, end), CHECKED_PER_STEP_MAX))
        for row_key, value in rows:
            key, row = named_by(record_key_of_stop(row_key)), _decode_stop(value)
            if key is not None and row.until_ms > now_ms:
                self._revocations.restore(key, row.until_ms, row.stopped_at)
        is_last = len(rows) < CHECKED_PER_STEP_MAX
        self._checked[state.partition] = end if is_last else rows[-1][0] + b"\x00"
        return is_last

    def _take_over_changes(self, state: StateView, now_ms: int) -> bool:
        found = state.get(STOPS_FOLLOWED_KEY)
        followed = FollowedRow() if found is None else _decode_followed(found)
        next_offset = self._revocations.next_offset
        if not followed.cursor:
            if followed.done_offset == next_offset:
                return True
            changes = self._revocations.changes_since(followed.done_offset)
            # Another topic than before, if the offset lies beyond its end: nothing is known of what has changed.
            if changes is not None and followed.done_offset < next_offset:
                has_written = self._sync(dict.fromkeys(changes), state, now_ms)
                if has_written or next_offset - followed.done_offset > CHANGES_KEPT_MAX // 2:
                    state.put(STOPS_FOLLOWED_KEY, encode_row(FollowedRow(next_offset)))
                return True
            followed = FollowedRow(followed.done_offset, next_offset)
        keys = self._sorted_keys()
        start = bisect_right(keys, followed.cursor)
        step = keys[start : start + STOPS_PER_STEP_MAX]
        self._sync([key for each in step if (key := named_by(each)) is not None], state, now_ms)
        if start + len(step) < len(keys):
            followed = FollowedRow(followed.done_offset, followed.target_offset, step[-1])
        else:
            followed = FollowedRow(followed.target_offset)
        state.put(STOPS_FOLLOWED_KEY, encode_row(followed))
        return not followed.cursor and followed.done_offset == next_offset

    def _sorted_keys(self) -> list[bytes]:
        next_offset = self._revocations.next_offset
        if self._sorted[0] != next_offset:
            self._sorted = (next_offset, sorted(topic_key(key) for key in self._revocations.all_keys()))
        return self._sorted[1]

    def _sync(self, keys: Iterable[_Key], state: StateView, now_ms: int) -> bool:
        """Bring the rows of some keys up to date; return whether any had to change."""
        has_written = False
        for key in keys:
            is_kept = state.partition == _PARTITION or key[0] not in _NARROW
            record_key = topic_key(key)
            if is_kept and len(record_key) <= KEY_BYTES_MAX:
                has_written |= self._sync_one(key, record_key, state, now_ms)
        return has_written

    def _sync_one(self, key: _Key, record_key: bytes, state: StateView, now_ms: int) -> bool:
        until_ms, row_key = self._revocations.until_of(key), stop_row_key(record_key)
        value = state.get(row_key)
        row = None if value is None else _decode_stop(value)
        if until_ms is None:
            self._note_end(key, record_key, self._revocations.released_ms(key), state)
            if row is not None:
                state.delete(row_key)
            return row is not None or state.partition == _PARTITION
        weakened_at = self._revocations.weakened.get(key)
        written_for = row.written_for if row is not None and weakened_at is not None else -1
        own = StopRow(until_ms, self._revocations.stopped_at(key), written_for)
        if row == own:
            return False
        self._note_end(key, record_key, until_ms, state)
        if until_ms > now_ms:
            state.put(row_key, encode_row(own))
        return True

    def _note_end(self, key: _Key, record_key: bytes, end_ms: int | None, state: StateView) -> None:
        if state.partition == _PARTITION and end_ms is not None and end_ms < FOR_GOOD and key[0] in _ONE_KEY:
            state.put(stop_end_row_key(max(0, end_ms) + self._kept_ms, record_key), b"")

    def _write_again(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Return the stops whose newest record on the topic is not theirs, and whether those were all for now.

        The others stay weakened until their record has been read, which is a change to follow.
        """
        outputs: list[Output] = []
        weakened = self._revocations.weakened
        found, count = list(islice(weakened.items(), STOPS_PER_STEP_MAX)), len(weakened)
        for key, weakened_at in found:
            record_key = topic_key(key)
            if (self._revocations.until_of(key) or 0) <= now_ms or len(record_key) > KEY_BYTES_MAX:
                # It is not written again, and must not take the place of others.
                del weakened[key]
                continue
            value = state.get(stop_row_key(record_key))
            row = None if value is None else _decode_stop(value)
            if row is None or row.written_for == weakened_at or row.until_ms <= now_ms:
                continue
            state.put(stop_row_key(record_key), encode_row(msgspec.structs.replace(row, written_for=weakened_at)))
            outputs.append(self._stop(key, record_key, row, now_ms))
            if weakened_at == MISSING:
                name = record_key.decode("utf-8", "replace")
                detail = f"{name}, which was stopped at offset {row.stopped_at}"
                event = StopEvent(name, -1, None, ControlReason.STOP_RESTORED, None, detail)
                place = f"missing/{REVOCATION.name}/0/{row.stopped_at}"
                outputs += event_outputs(self._alerts, event, place, now_ms, state, now_ms)
        return outputs, len(weakened) == count or len(found) < STOPS_PER_STEP_MAX

    def _stop(self, key: _Key, record_key: bytes, row: StopRow, now_ms: int) -> Output:
        kind, target = key
        until_ms = bounded_end(kind, row.until_ms)
        tenant = target.partition("|")[0] if kind in _OF_A_TENANT else ""
        record_id = derived_uuid("stop written again", record_key.decode("utf-8", "replace"), str(now_ms))
        stop = Revocation(
            header=gate_header(record_id, tenant, now_ms),
            kind=kind,
            id=record_key.decode().partition(":")[2] if kind is RevocationKind.UNKNOWN else target,
            effective_at=now_ms,
            until=None if until_ms >= FOR_GOOD else until_ms,
            reason=ControlReason.STOP_RESTORED.value,
            initiating_entity=SOURCE,
        )
        return Output(REVOCATION, record_key, self._encoder.encode(REVOCATION.name, stop), stop.header)

    def _drop_past(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """Return tombstones of what has ended long ago, and whether those were all."""
        first, _ = all_rows(RowKind.STOP_END)
        due = list(islice(state.scan(first, stop_end_row_key(max(0, now_ms), b"")), DROPPED_PER_STEP_MAX))
        outputs = []
        for row_key, _ in due:
            state.delete(row_key)
            record_key = record_key_of_stop_end(row_key)
            key = named_by(record_key)
            if key is None or self._lasts(key, now_ms):
                continue
            state.delete(stop_row_key(record_key))
            header = gate_header(derived_uuid("stop dropped", row_key.hex()), "", now_ms)
            outputs.append(Output(REVOCATION, record_key, None, header))
        return outputs, len(due) < DROPPED_PER_STEP_MAX

    def _lasts(self, key: _Key, now_ms: int) -> bool:
        """Return whether a key has an entry that did not end long ago; that one has a row for its own end."""
        ends = (self._revocations.until_of(key), self._revocations.released_ms(key))
        return any(end_ms is not None and end_ms + self._kept_ms > now_ms for end_ms in ends)
