"""How far an attacker moves a baseline in 30 days, who knows all rows and always stays just below every threshold."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from pathlib import Path
from random import Random  # noqa: TID251 - honest work is drawn from a seed
from typing import NamedTuple

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.watcher import Declared, Watcher
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from tests.unit.behaviour.kit import START_MS, Rows, activity

RULES = Path(__file__).parents[3] / "rules"
SHIPPED = parse_behaviour(load_detector_files(RULES)).declared
HONEST_DAYS = 30
POISONED_DAYS = 30
STEPS = 30
MANY = 1_500

Make = Callable[[int, float], Activity]


def of_kinds(*kinds: str) -> Watcher:
    return Watcher(Declared(tuple(each for each in SHIPPED.detectors if each.kind in kinds)))


def of_names(*names: str) -> Watcher:
    return Watcher(Declared(tuple(each for each in SHIPPED.detectors if each.name in names)))


def alerts_at(watch: Watcher, rows: Rows, make: Make, time_ms: int, size: float) -> bool:
    """Whether a call of this size would alert now, which the attacker tries out on a copy."""
    return bool(watch.observe(Rows(rows), make(time_ms, size)).findings)


def largest_quiet(watch: Watcher, rows: Rows, make: Make, time_ms: int) -> float:
    """The largest size of a call that does not alert now."""
    low, high = 1.0, 1e9
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if alerts_at(watch, rows, make, time_ms, middle) else (middle, high)
    return low


def gain(watch: Watcher, make: Make, honest: Make, per_day: int) -> float:
    """How many times as large a call may be after 30 days of the attacker's work, beside the same honest work."""
    rng = Random(11)  # noqa: S311 - likewise
    rows = Rows()
    first = 0.0
    for day in range(HONEST_DAYS + POISONED_DAYS):
        begin_ms = START_MS + day * DAY_MS + 9 * HOUR_MS
        for at in range(20):
            found = watch.observe(rows, honest(begin_ms + at * 600_000, exp(rng.gauss(0, 0.5)))).findings
            # Whoever keeps a sum just below its threshold is betrayed by the next larger amount, whosever it is.
            assert not found or (day >= HONEST_DAYS and {each.kind for each in found} == {"arg_cusum"})
        if day == HONEST_DAYS:
            first = largest_quiet(watch, rows, make, begin_ms + 5 * HOUR_MS)
        for at in range(per_day if day >= HONEST_DAYS else 0):
            time_ms = begin_ms + 4 * HOUR_MS + at * 1_200_000
            size = largest_quiet(watch, rows, make, time_ms)
            assert not watch.observe(rows, make(time_ms, size)).findings
    return largest_quiet(watch, rows, make, START_MS + (HONEST_DAYS + POISONED_DAYS) * DAY_MS + 14 * HOUR_MS) / first


def payment(time_ms: int, factor: float) -> Activity:
    return activity(time_ms, tool="pay.refund", session=f"s-{time_ms}", amount=100.0 * factor)


def sending(time_ms: int, factor: float) -> Activity:
    return activity(
        time_ms, tool="mail.send", session=f"s-{time_ms}", destination="known.example", size_bytes=int(1_000 * factor)
    )


@pytest.mark.parametrize("per_day", [2, 10, 20])
def test_in_30_days_an_amount_below_all_thresholds_grows_four_times_at_most(per_day: int) -> None:
    """Whether the attacker makes a tenth of all payments or half of them. It grew 39 times without a tether."""
    assert 0 < gain(of_kinds("arg_mad", "arg_cusum"), payment, payment, per_day) < 4


@pytest.mark.parametrize("per_day", [2, 8])
def test_in_30_days_a_volume_below_all_thresholds_grows_four_times_at_most(per_day: int) -> None:
    """It grew by seven orders of magnitude without a tether: each day's peak made the next day's limit wider."""
    assert 1 < gain(of_kinds("egress"), sending, sending, per_day) < 4


class Counted(NamedTuple):
    """What is counted: its detectors by name, honest work (`n` of the day), and what the attacker makes many of."""

    detectors: tuple[str, ...]
    every_ms: int
    honest: Callable[[int, int], dict[str, object]]
    attack: Callable[[int, int], dict[str, object]]


COUNTED = {
    "calls in an hour": Counted(("rate_hour",), 1_000, lambda day, n: {}, lambda day, n: {}),
    "calls in a minute": Counted(("rate_minute",), 20, lambda day, n: {}, lambda day, n: {}),
    "objects at once": Counted(
        ("fan_out_short",), 50, lambda day, n: {"object": f"o-{n}"}, lambda day, n: {"object": f"new-{day}-{n}"}
    ),
    "equal calls": Counted(
        ("loop", "loop_about"), 1_000, lambda day, n: {"object": f"o-{n}"}, lambda day, n: {"object": "x", "call": "x"}
    ),
    "calls of one tool": Counted(
        ("loop_run",), 1_000, lambda day, n: {"tool": ("crm.use", "docs.read")[n % 2]}, lambda day, n: {}
    ),
    "people in a session": Counted(
        ("cross_owner",), 1_000, lambda day, n: {"owner": f"u-{day}"}, lambda day, n: {"owner": f"v-{day}-{n}"}
    ),
    "sessions of a grant": Counted(
        ("delegation_storm",),
        1_000,
        lambda day, n: {"root": f"g-{day}", "depth": 2},
        lambda day, n: {"root": f"h-{day}", "depth": 2, "session": f"h-{day}-{n}"},
    ),
    "new objects": Counted(
        ("sweep",), 1_000, lambda day, n: {"object": f"o-{n}"}, lambda day, n: {"object": f"new-{day}-{n}"}
    ),
    "new objects, where a tenth is": Counted(
        ("sweep",),
        1_000,
        lambda day, n: {"object": f"o-{n}" if n > 1 else f"own-{day}-{n}"},
        lambda day, n: {"object": f"new-{day}-{n}"},
    ),
    "new secrets": Counted(
        ("sweep",),
        1_000,
        lambda day, n: {"tool": "secrets.read", "object": "o"} if n == 0 else {},
        lambda day, n: {"tool": "secrets.read", "object": f"new-{day}-{n}"},
    ),
}


@pytest.mark.parametrize("counted", COUNTED.values(), ids=COUNTED)
def test_in_30_days_a_count_below_all_thresholds_grows_five_times_at_most(counted: Counted) -> None:
    """Each day the attacker makes as many as just raise no alert.

    Calls of one tool once grew 19 times, and new objects without a bound.
    """
    watch = of_names(*counted.detectors)
    rows, quiet = Rows(), list[int]()
    for day in range(HONEST_DAYS + POISONED_DAYS):
        begin_ms = START_MS + day * DAY_MS + 9 * HOUR_MS
        for at in range(20):
            fields = {"session": f"s-{day}", "call": f"s-{day}-{at}", **counted.honest(day, at)}
            assert not watch.observe(rows, activity(begin_ms + at * 600_000, **fields)).findings
        if day < HONEST_DAYS:
            continue
        calls = [
            activity(
                begin_ms + 5 * HOUR_MS + at * counted.every_ms,
                **{"session": f"x-{day}", "call": f"x-{day}-{at}", **counted.attack(day, at)},
            )
            for at in range(MANY)
        ]
        copy = Rows(rows)
        quiet.append(next(at for at, each in enumerate(calls) if watch.observe(copy, each).findings))
        for each in calls[: quiet[-1]]:
            assert not watch.observe(rows, each).findings
    assert 1 <= quiet[-1] / quiet[0] < 5


def test_who_honestly_brings_more_new_objects_is_not_reported_for_good() -> None:
    watch, rows = of_names("sweep"), Rows()
    reported = set[int]()
    for day in range(3 * HONEST_DAYS):
        for at in range(20):
            name = f"new-{day}-{at}" if day >= HONEST_DAYS and at % 2 else f"o-{at}"
            time_ms = START_MS + day * DAY_MS + 9 * HOUR_MS + at * 1_200_000
            if watch.observe(rows, activity(time_ms, session=f"s-{day}", object=name)).findings:
                reported.add(day - HONEST_DAYS)
    assert reported
    assert max(reported) < 30


def test_what_the_attacker_is_denied_moves_nothing() -> None:
    watch, rows = of_kinds("arg_mad", "arg_cusum", "egress"), Rows()
    for at in range(100):
        watch.observe(rows, payment(START_MS + at * HOUR_MS, 1.0 + at % 5 / 10))
    before = largest_quiet(watch, rows, payment, START_MS + 200 * HOUR_MS)
    for at in range(100):
        denied = payment(START_MS + (100 + at) * HOUR_MS, before)
        watch.observe(rows, msgspec.structs.replace(denied, outcome="DENY", session=f"d-{at}"))
    after = largest_quiet(watch, rows, payment, START_MS + 400 * HOUR_MS)
    assert after == pytest.approx(before, rel=0.01)
