"""Keep the rows of behaviour, and delete those that nobody has used for a while.

**Idea.** A row begins with the day on which it expires. Whoever writes it moves that day forward, and leaves a mark
with the new day beside it. After that day, a timer comes due, and the marks of days that are over are read in bounded
steps: a row whose own day is over is deleted, and one that was used meanwhile stays, because it has a later mark. Days
of rows that live long are rounded up to weeks, so a row has a few marks and not one for each day of use. The marks of
one step are written together, some dozens in a row: each decision brings new pages, and a row of the changelog for each
mark cost more than the mark itself.

**Rejected.** A timer for each row: there are as many timers as rows, and each use moves one.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS, KEPT_DAYS
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.ports.processor import StateView
from streams.processors.rows import (
    DAY_BYTES,
    TimerKind,
    behaviour_expired_before,
    behaviour_expiry_key,
    behaviour_row_key,
    timer_payload,
)

SESSION_DAYS = 3
"""How long rows of sessions and incidents are kept after their last use: longer than any latch or hold."""
ROUNDED_DAYS = 7
EXPIRED_PER_STEP_MAX = 500
MARKED_TOGETHER_MAX = 64
"""How many rows a mark is of at most."""
_MARK = b"1"
"""A mark of the row alone that its key names; another one has the keys of further rows that expire on the same day."""
EXPIRY_TIMER = timer_payload(TimerKind.BEHAVIOUR_EXPIRY, b"")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode


class AgingRows:
    """The rows of behaviour of one partition on one day, as the watcher reads and writes them.

    Make one for each step: it remembers what it has read. Call `mark` at its end.
    """

    def __init__(self, state: StateView, now_ms: int, short_lived: frozenset[bytes]) -> None:
        """Args:
        state: the state of the partition.
        now_ms: stream time.
        short_lived: names of rows that are kept for `SESSION_DAYS`; all others are kept for `KEPT_DAYS`.
        """
        self._state = state
        today = now_ms // DAY_MS
        self._short_day = (today + SESSION_DAYS).to_bytes(DAY_BYTES, "big")
        self._long_day = (-(-(today + KEPT_DAYS) // ROUNDED_DAYS) * ROUNDED_DAYS).to_bytes(DAY_BYTES, "big")
        self._short_lived = short_lived
        self._days: dict[bytes, bytes] = {}
        self._marked: dict[bytes, list[bytes]] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""
        found = self._state.get(behaviour_row_key(key))
        if found is None:
            return None
        self._days[key] = found[:DAY_BYTES]
        return found[DAY_BYTES:]

    def put(self, key: bytes, row: bytes) -> None:
        """Set a row, which is kept for a while from now on."""
        if key not in self._days:
            # Of a row that nobody has read in this step, it is not known when it expires.
            self.get(key)
        day = self._days.get(key, b"")
        # None is kept for longer than those that live long: most need not be asked what they are.
        if day < self._long_day:
            is_short = key.partition(b"\x00")[0] in self._short_lived
            wanted = self._short_day if is_short else self._long_day
            if day < wanted:
                day = self._days[key] = wanted
                self._marked.setdefault(day, []).append(key)
        self._state.put(behaviour_row_key(key), day + row)

    def mark(self) -> None:
        """Write the marks of the rows that are kept for longer from now on.

        INVARIANT: no mark is written over another one. A row is marked once for a day, so no two begin with the same.
        """
        for day, keys in self._marked.items():
            number = int.from_bytes(day, "big")
            for start in range(0, len(keys), MARKED_TOGETHER_MAX):
                first, *more = keys[start : start + MARKED_TOGETHER_MAX]
                self._state.put(behaviour_expiry_key(number, first), _encode(more) if more else _MARK)
            self._state.set_timer((number + 1) * DAY_MS, EXPIRY_TIMER)
        self._marked.clear()


class AgingOpenRows(OpenRows):
    """The open rows of a step, whose marks are written with them."""

    def __init__(self, view: AgingRows, remembered: RememberedRows) -> None:
        """Args:
        view: where the rows are kept.
        remembered: rows of earlier steps.
        """
        super().__init__(view, remembered)
        self._aging = view

    def close(self) -> None:
        """Write what has changed, and the marks of rows that are kept for longer."""
        super().close()
        self._aging.mark()


def delete_expired(state: StateView, now_ms: int) -> bool:
    """Delete rows that have expired, a bounded step, and return whether there are none left.

    Args:
        state: the state of the partition.
        now_ms: stream time.
    """
    day = now_ms // DAY_MS
    today, expired = day.to_bytes(DAY_BYTES, "big"), behaviour_expired_before(day)
    marks, keys = list[bytes](), list[bytes]()
    for mark, more in state.scan(*expired):
        marks.append(mark)
        keys.append(mark[len(expired[0]) + DAY_BYTES :])
        if more != _MARK:
            keys += _decode(more)
        if len(keys) >= EXPIRED_PER_STEP_MAX:
            break
    for mark in marks:
        state.delete(mark)
    for key in map(behaviour_row_key, keys):
        row = state.get(key)
        if row is not None and row[:DAY_BYTES] < today:
            state.delete(key)
    return len(keys) < EXPIRED_PER_STEP_MAX
