"""Rows of behaviour expire, whether they were marked together or one by one, as an earlier version has marked them."""

from __future__ import annotations

from itertools import count

from streams.behaviour.activity import DAY_MS
from streams.engine.state import PartitionState
from streams.ports.processor import TIMER_KEY_PREFIX
from streams.processors.row_kinds import RowKind
from streams.processors.rows import all_rows, behaviour_expiry_key, behaviour_row_key
from streams.processors.watch.aging_rows import (
    DAY_BYTES,
    EXPIRED_PER_STEP_MAX,
    MARKED_TOGETHER_MAX,
    SESSION_DAYS,
    AgingRows,
    delete_expired,
)
from streams.stores.memory import MemoryStores
from tests.unit.behaviour.kit import START_MS

SHORT = frozenset({b"session.id"})
START_DAY = START_MS // DAY_MS
AFTER_MS = START_MS + (SESSION_DAYS + 1) * DAY_MS
"""When rows of sessions that nobody has used since the start have expired."""


def opened() -> PartitionState:
    return PartitionState(MemoryStores().open(0))


def use(state: PartitionState, keys: list[bytes], now_ms: int = START_MS) -> None:
    rows = AgingRows(state, now_ms, SHORT)
    for key in keys:
        rows.get(key)
        rows.put(key, b"row")
    rows.mark()
    state.keep_record()


def sessions(rows_count: int) -> list[bytes]:
    return [b"session.id\x00%05d" % number for number in range(rows_count)]


def rows_of(state: PartitionState, kind: RowKind) -> list[bytes]:
    return [key for key, _ in state.scan(*all_rows(kind))]


def steps_to_delete(state: PartitionState, now_ms: int) -> int:
    for steps in count(1):
        before = len(rows_of(state, RowKind.BEHAVIOUR))
        is_done = delete_expired(state, now_ms)
        state.keep_record()
        assert before - len(rows_of(state, RowKind.BEHAVIOUR)) < EXPIRED_PER_STEP_MAX + MARKED_TOGETHER_MAX
        if is_done:
            return steps
    raise AssertionError


def test_rows_of_a_step_are_marked_together_and_all_of_them_expire_in_bounded_steps() -> None:
    state, rows_count = opened(), 1_500
    use(state, sessions(rows_count))
    marks = rows_of(state, RowKind.BEHAVIOUR_EXPIRY)
    assert len(marks) == -(-rows_count // MARKED_TOGETHER_MAX)
    assert delete_expired(state, AFTER_MS - DAY_MS)
    state.keep_record()
    assert len(rows_of(state, RowKind.BEHAVIOUR)) == rows_count
    assert steps_to_delete(state, AFTER_MS) > rows_count // (EXPIRED_PER_STEP_MAX + MARKED_TOGETHER_MAX)
    assert rows_of(state, RowKind.BEHAVIOUR) == rows_of(state, RowKind.BEHAVIOUR_EXPIRY) == []


def test_a_row_that_was_used_meanwhile_stays_and_those_that_were_marked_with_it_go() -> None:
    state, keys = opened(), sessions(10)
    use(state, keys)
    use(state, keys[3:5], START_MS + DAY_MS)
    steps_to_delete(state, AFTER_MS)
    assert rows_of(state, RowKind.BEHAVIOUR) == [behaviour_row_key(key) for key in keys[3:5]]
    steps_to_delete(state, AFTER_MS + DAY_MS)
    assert rows_of(state, RowKind.BEHAVIOUR) == []


def test_rows_that_are_kept_for_long_have_marks_of_another_day() -> None:
    state, agent = opened(), b"agent.id\x00a"
    use(state, [*sessions(2), agent])
    assert {key[1 : 1 + DAY_BYTES] for key in rows_of(state, RowKind.BEHAVIOUR_EXPIRY)} > {
        (START_DAY + SESSION_DAYS).to_bytes(DAY_BYTES, "big")
    }
    assert len([key for key, _ in state.scan(TIMER_KEY_PREFIX, b"u")]) == 2
    steps_to_delete(state, AFTER_MS)
    assert rows_of(state, RowKind.BEHAVIOUR) == [behaviour_row_key(agent)]


def test_rows_that_an_earlier_version_has_marked_one_by_one_expire() -> None:
    state, day = opened(), START_DAY + SESSION_DAYS
    for key in sessions(3):
        state.put(behaviour_row_key(key), day.to_bytes(DAY_BYTES, "big") + b"row")
        state.put(behaviour_expiry_key(day, key), b"1")
    use(state, sessions(5)[3:])
    steps_to_delete(state, AFTER_MS)
    assert rows_of(state, RowKind.BEHAVIOUR) == rows_of(state, RowKind.BEHAVIOUR_EXPIRY) == []


def test_a_row_that_is_put_without_being_read_leaves_the_others_their_mark() -> None:
    state, keys = opened(), sessions(40)
    use(state, keys)
    rows = AgingRows(state, START_MS, SHORT)
    rows.put(keys[0], b"row")
    rows.mark()
    state.keep_record()
    steps_to_delete(state, AFTER_MS + 100 * DAY_MS)
    assert rows_of(state, RowKind.BEHAVIOUR) == []
