"""Define the row of a budget lease, and forecast from it how much its partition will use."""

from __future__ import annotations

import msgspec

SPAN_MS_MIN = 100
"""The shortest span in which use is counted."""
STEADY_CALLS = 2
"""From how many calls within a span on its use counts before the span is over. One call says nothing about the next."""

replace = msgspec.structs.replace


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request that has not been answered yet.

    Attributes:
        asked_ms: when it was sent last.
        since_ms: when it was sent first; 0 in rows of earlier versions.
    """

    serial: int
    asked_ms: int
    need: int
    want: int
    targets: tuple[bytes, ...]
    since_ms: int = 0


class LeaseRow(msgspec.Struct, frozen=True, array_like=True):
    """What is leased of a budget.

    Attributes:
        available: units that may be spent.
        targets: values that are reserved, each with the number of calls that use it.
        used: units that were used in the last span, as many as a round trip is long.
        span_units: units that were used in this span so far.
        short_until_ms: until when the allocator is not asked for more than `left`.
        waiting: intents that wait for a grant, as session key and intent id.
        due_ms: when the timer of the row is due; 0 if there is none.
        spent: units that calls here have taken.
        demand: units that the waiting intents need together.
        behind: units that intents needed which are judged again because a grant came, and that it did not cover.
        round_trip_ms: how long the allocator took to answer, as far as known here.
        span_start_ms: when the span began.
        span_calls: how many calls were counted in it.
        ahead_from_ms: from when on the allocator is asked ahead of need again.
        keys_max: how many values of its key the budget may have; 0 for a budget without a key.
        no_room_until_ms: until when the allocator is not asked for a new value of the key.
        warn_at: with how much of the limit an alert is raised; 0: with none.
        is_warned: whether it was raised here.
    """

    tenant_uid: str
    start_ms: int
    end_ms: int
    limit: int
    available: int = 0
    targets: dict[bytes, int] = {}
    asked: Asked | None = None
    used: int = 0
    span_units: int = 0
    short_until_ms: int = 0
    left: int = 0
    waiting: tuple[tuple[bytes, str], ...] = ()
    touched_ms: int = 0
    due_ms: int = 0
    spent: int = 0
    demand: int = 0
    behind: int = 0
    round_trip_ms: int = 0
    span_start_ms: int = 0
    span_calls: int = 0
    ahead_from_ms: int = 0
    keys_max: int = 0
    no_room_until_ms: int = 0
    warn_at: int = 0
    is_warned: bool = False

    @property
    def is_used(self) -> bool:
        """Whether calls have taken something that was not given back."""
        return bool(self.spent) or any(self.targets.values())

    def expected(self) -> int:
        """Return how many units the partition will use within a round trip, at the rate of its last two spans."""
        return max(self.used, self.span_units) if self.span_calls >= STEADY_CALLS else self.used


decode_lease = msgspec.msgpack.Decoder(LeaseRow).decode


def spent_row(row: LeaseRow, amount: int, targets: dict[bytes, int], now_ms: int) -> LeaseRow:
    """Return the row after a call has taken `amount` and uses `targets`; what was used is counted for the forecast."""
    used, start_ms, units, calls = row.used, row.span_start_ms, row.span_units, row.span_calls
    span_ms = max(row.round_trip_ms, SPAN_MS_MIN)
    elapsed_ms = now_ms - start_ms
    if elapsed_ms >= span_ms:
        used, start_ms, units, calls = units * span_ms // elapsed_ms, now_ms, 0, 0
    return replace(
        row,
        available=row.available - amount,
        spent=row.spent + amount,
        targets=targets,
        touched_ms=now_ms,
        used=used,
        span_start_ms=start_ms,
        span_units=units + amount,
        span_calls=calls + 1,
    )
