"""The machine's clock is wrong for a while: the log's time isn't, or not for longer."""

from __future__ import annotations

from streams.embedded import EmbeddedLog
from streams.embedded.steady_time import JUMP_MS_MIN, SETTLED_MS, SteadyTime
from tests.unit.embedded.reading_writing import START_MS, ManualClock, create, put, read_all, write

FAR_MS = 30 * 24 * 3_600_000


def test_a_clock_that_jumps_ahead_for_a_second_stamps_nothing_ahead(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "t")
    write(log, [put(at, None, "before")])
    clock.wall_ms += FAR_MS
    clock.advance(1_000)
    write(log, [put(at, None, "while it is wrong")])
    clock.wall_ms -= FAR_MS
    clock.advance(1_000)
    write(log, [put(at, None, "after")])
    assert [one.timestamp_ms - START_MS for one in read_all(log, at)] == [0, 1_000, 2_000]


def test_what_a_process_with_a_wrong_clock_has_written_does_not_stamp_what_follows(
    log: EmbeddedLog, clock: ManualClock
) -> None:
    at = create(log, "t")
    clock.wall_ms += FAR_MS
    other = EmbeddedLog(log.path, clock=clock)
    write(other, [put(at, None, "ahead")], "other")
    other.close()
    clock.wall_ms -= FAR_MS
    write(log, [put(at, None, "now")])
    assert [one.timestamp_ms - START_MS for one in read_all(log, at)] == [FAR_MS, 0]


def test_retention_deletes_nothing_because_of_a_jump(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "t", config={"retention.ms": str(7 * 24 * 3_600_000)})
    write(log, [put(at, None, "young")])
    clock.wall_ms += FAR_MS
    clock.advance(1_000)
    log.clean(force=True)
    assert len(read_all(log, at)) == 1


def test_a_correction_counts_when_it_has_stayed() -> None:
    """Also after the machine has slept, when only the wall clock goes on."""
    clock = ManualClock()
    time = SteadyTime(clock)
    clock.wall_ms += FAR_MS
    assert time.now_ms() == START_MS
    clock.advance(SETTLED_MS - 1)
    assert time.now_ms() == START_MS + SETTLED_MS - 1
    clock.advance(1)
    assert time.now_ms() == START_MS + FAR_MS + SETTLED_MS


def test_a_clock_that_jumps_again_and_again_does_not_settle() -> None:
    clock = ManualClock()
    time = SteadyTime(clock)
    for number in range(1, 5):
        clock.wall_ms = START_MS + number * FAR_MS
        clock.elapsed_ms += SETTLED_MS - 1
        assert time.now_ms() == START_MS + clock.elapsed_ms


def test_small_corrections_count_at_once() -> None:
    clock = ManualClock()
    time = SteadyTime(clock)
    clock.wall_ms += JUMP_MS_MIN
    assert time.now_ms() == clock.wall_ms
    clock.wall_ms -= JUMP_MS_MIN
    assert time.now_ms() == clock.wall_ms
