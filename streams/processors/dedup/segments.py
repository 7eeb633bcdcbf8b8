"""The bytes of the newest verdicts of a partition, for intents that soon come again.

Bytes are appended to segments: rows of up to 16 KB that hold the verdicts of a moment. A verdict's own row says in
which segment its bytes are, and where. Whole segments are deleted `verdict_bytes_retention_ms` later, or sooner when a
partition holds too many bytes. So the row of a decided intent is written once and never again, and to forget the bytes
costs one deletion for several verdicts.

Rejected: bytes in the verdict's own row, which is written again without them later (a second write and a second
changelog record of each intent, and an index of what is due); a row of bytes of each verdict (one more changelog record
of each intent, and a tombstone that stays in the changelog for a day).

A segment that is open when its transaction ends is written again by the next one. `SEGMENT_SPAN_MS` keeps that rare: it
is as long as a transaction at most is.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from streams.ports.processor import StateView
from streams.processors.rows import (
    VERDICT_BYTES_HEAD_KEY,
    TimerKind,
    segment_row_key,
    segment_start_ms,
    timer_payload,
)
from streams.processors.settings import GateSettings

SEGMENT_BYTES_MAX = 16_384
"""A segment takes no further verdict beyond. One larger verdict has a segment of its own."""

SEGMENT_SPAN_MS = 25
SEGMENTS_PER_STEP_MAX = 64
"""How many segments one step deletes."""

BYTES_PER_STEP_MAX = 1_048_576
"""The size of the segments that one step deletes: a large verdict, of up to 256 KiB, has a segment of its own."""

_HEADS_CACHED_MAX = 256
"""Decoded heads: that of each partition is read for every verdict, and is another one only every few milliseconds."""

_VISITS_PER_RETENTION = 10
_PAYLOAD = timer_payload(TimerKind.VERDICT_BYTES, b"")
replace = msgspec.structs.replace


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where the bytes of a verdict are: the segment's time and number, and the position in it."""

    start_ms: int
    number: int
    at: int
    size: int


class SegmentsRow(msgspec.Struct, frozen=True, array_like=True):
    """What a partition keeps of its segments.

    Attributes:
        start_ms: when the newest segment began.
        number: which of those that began at that instant it is.
        kept_bytes: of all segments but the newest.
        oldest_ms: no segment began before. It spares a scan the segments that are deleted.
        due_ms: when segments are deleted next; 0 while there are none.
    """

    start_ms: int = 0
    number: int = 0
    kept_bytes: int = 0
    oldest_ms: int = -1
    due_ms: int = 0


_NO_SEGMENTS = SegmentsRow()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SegmentsRow).decode
_decode_recent = lru_cache(maxsize=_HEADS_CACHED_MAX)(_decode)


def append(value: bytes, state: StateView, settings: GateSettings, now_ms: int) -> Place:
    """Keep the bytes of a verdict, and return where they are.

    Raises:
        RecordError: they don't fit into a row.
    """
    found = state.get(VERDICT_BYTES_HEAD_KEY)
    head = _NO_SEGMENTS if found is None else _decode_recent(found)
    key = segment_row_key(head.start_ms, head.number)
    segment = state.get(key) if now_ms - head.start_ms <= SEGMENT_SPAN_MS else None
    if segment is None or len(segment) + len(value) > SEGMENT_BYTES_MAX:
        head = _with_new_segment(head, len(value), state, settings, now_ms)
        key, segment = segment_row_key(head.start_ms, head.number), b""
    state.put(key, segment + value)
    return Place(head.start_ms, head.number, len(segment), len(value))


def read(place: Place, state: StateView) -> bytes | None:
    """Return the bytes of a verdict; None where they are gone."""
    segment = state.get(segment_row_key(place.start_ms, place.number))
    return None if segment is None else segment[place.at : place.at + place.size]


def delete_old(state: StateView, settings: GateSettings, now_ms: int) -> None:
    """Delete the segments that are old enough, up to `SEGMENTS_PER_STEP_MAX`; the rest follows at once."""
    found = state.get(VERDICT_BYTES_HEAD_KEY)
    if found is None:
        return
    head = _decode(found)
    horizon_ms = now_ms - settings.verdict_bytes_retention_ms
    old, has_more = _oldest(head, state, segment_row_key(max(0, horizon_ms + 1), 0))
    newest = segment_row_key(head.start_ms, head.number)
    if old and old[-1][0] == newest:
        _delete(old, state)
        state.delete(VERDICT_BYTES_HEAD_KEY)
        return
    head = _without(head, old, state)
    # Not once for each segment: a few times in a retention, as often as it takes.
    pause_ms = 1 if has_more else settings.verdict_bytes_retention_ms // _VISITS_PER_RETENTION
    state.put(VERDICT_BYTES_HEAD_KEY, _encode(_armed(head, state, now_ms + max(1, pause_ms))))


def _with_new_segment(
    head: SegmentsRow, size: int, state: StateView, settings: GateSettings, now_ms: int
) -> SegmentsRow:
    """Close the newest segment and begin another, for a verdict of `size` bytes; the oldest make room for it."""
    closed = state.get(segment_row_key(head.start_ms, head.number))
    # INVARIANT: a number is used once at an instant: places in a segment that was deleted must not lead elsewhere.
    number = head.number + 1 if head.start_ms == now_ms else 0
    head = replace(
        head,
        start_ms=now_ms,
        number=number,
        kept_bytes=head.kept_bytes + (0 if closed is None else len(closed)),
        oldest_ms=now_ms if head.oldest_ms < 0 else head.oldest_ms,
    )
    bytes_max = max(0, settings.verdict_bytes_per_partition_max - max(size, SEGMENT_BYTES_MAX))
    if head.kept_bytes > bytes_max:
        head = _with_less(head, state, bytes_max)
    if not head.due_ms:
        head = _armed(head, state, now_ms + settings.verdict_bytes_retention_ms)
    state.put(VERDICT_BYTES_HEAD_KEY, _encode(head))
    return head


def _with_less(head: SegmentsRow, state: StateView, bytes_max: int) -> SegmentsRow:
    """Delete the oldest closed segments until the others are within `bytes_max`."""
    doomed, kept_bytes = [], head.kept_bytes
    for key, segment in _oldest(head, state, segment_row_key(head.start_ms, head.number))[0]:
        if kept_bytes <= bytes_max:
            break
        kept_bytes -= len(segment)
        doomed.append((key, segment))
    return _without(head, doomed, state)


def _oldest(head: SegmentsRow, state: StateView, end: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Return as many of the oldest segments as one step deletes, and whether there may be more."""
    found: list[tuple[bytes, bytes]] = []
    read_bytes = 0
    for key, segment in state.scan(segment_row_key(head.oldest_ms, 0), end):
        found.append((key, segment))
        read_bytes += len(segment)
        if read_bytes >= BYTES_PER_STEP_MAX or len(found) >= SEGMENTS_PER_STEP_MAX:
            return found, True
    return found, False


def _without(head: SegmentsRow, closed: list[tuple[bytes, bytes]], state: StateView) -> SegmentsRow:
    if not closed:
        return head
    _delete(closed, state)
    kept_bytes = max(0, head.kept_bytes - sum(len(segment) for _, segment in closed))
    return replace(head, kept_bytes=kept_bytes, oldest_ms=segment_start_ms(closed[-1][0]))


def _delete(segments: list[tuple[bytes, bytes]], state: StateView) -> None:
    for key, _ in segments:
        state.delete(key)


def _armed(head: SegmentsRow, state: StateView, due_ms: int) -> SegmentsRow:
    state.set_timer(due_ms, _PAYLOAD)
    return replace(head, due_ms=due_ms)
