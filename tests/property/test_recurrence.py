"""How far an attacker gets who buys silence by alerts (`recurrence`)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.recurrence import (
    RISE_MAX,
    SHARE_MAX,
    SPAN_MS_MAX,
    Recurrence,
    called_false,
    needed,
    reported,
)

SHARES = st.floats(1.0, 1e6)
HOURS = st.integers(0, 60 * 24)
BOUGHT = st.lists(st.tuples(HOURS, SHARES, st.booleans()), max_size=20)
"""Alerts, each some hours after the one before: how strong it is, and whether somebody is talked into closing it."""


def after(bought: list[tuple[int, float, bool]]) -> tuple[Recurrence | None, int]:
    """Return the row after some alerts, and the time of the last one."""
    row, now_ms = None, 100 * DAY_MS
    for hours, share, is_false in bought:
        now_ms += hours * HOUR_MS
        row = reported(row, share, now_ms)
        row = called_false(row, now_ms) if is_false else row
    return row, now_ms


@given(bought=BOUGHT, later=HOURS)
def test_no_number_of_alerts_buys_more_than_twice_the_strongest_or_four_thresholds_for_a_month(
    bought: list[tuple[int, float, bool]], later: int
) -> None:
    row, now_ms = after(bought)
    now_ms += later * HOUR_MS
    wanted = needed(row, now_ms)
    strongest = max((share for _, share, _ in bought), default=1.0)
    assert wanted <= min(SHARE_MAX, RISE_MAX * strongest)
    if later * HOUR_MS >= SPAN_MS_MAX or len(bought) + sum(2 for *_, is_false in bought if is_false) < 2:
        assert wanted == 0.0


@given(day_shares=st.lists(st.floats(1.0, 3.9), min_size=62, max_size=62))
def test_whoever_goes_on_for_two_months_is_reported_at_least_four_times(day_shares: list[float]) -> None:
    """However the strength of what he does each day changes."""
    row, alerts = None, []
    for day, share in enumerate(day_shares):
        now_ms = (100 + day) * DAY_MS
        if share >= needed(row, now_ms):
            row = reported(row, share, now_ms)
            alerts.append(day)
    assert len(alerts) >= 4
    assert alerts[:2] == [0, 1]
    assert all(later - before <= SPAN_MS_MAX // DAY_MS for before, later in pairwise(alerts))


@given(bought=BOUGHT)
def test_the_row_is_bounded_and_time_does_not_go_back(bought: list[tuple[int, float, bool]]) -> None:
    row, now_ms = after(bought)
    assert row is None or (row.count <= 12 and row.strongest <= SHARE_MAX and row.at_ms == now_ms)
    late = reported(row, 1.0, now_ms - DAY_MS)
    assert late.at_ms >= (row.at_ms if row is not None else 0)
