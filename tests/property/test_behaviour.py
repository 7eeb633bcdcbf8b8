"""Properties of the watcher: repetitions change nothing, time never goes back, and the rows are the same bytes."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from itertools import cycle
from math import isfinite
from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.behaviour.activity import Activity
from streams.behaviour.detectors.hours import STRAY_DAYS, STRAY_SHARE, Rhythm
from streams.behaviour.detectors.loops import WAITING_MIN, Lately, is_poll, repeats
from streams.behaviour.detectors.rates import OVERDISPERSION, times_below
from streams.behaviour.detectors.registry import DETECTORS
from streams.behaviour.estimators import count_of, count_surprise, counted_up
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.plans import Plans, layout_of
from streams.behaviour.presence import presence_of
from streams.behaviour.watcher import Watcher
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from tests.unit.behaviour.kit import Rows

ROOT = Path(__file__).parents[2]
SHIPPED = load_detector_files(ROOT / "rules")
START_MS = 1_767_571_200_000

ACTIVITIES = st.builds(
    lambda number, minutes, agent, session, tool, thing, place, amount, outcome, epoch: Activity(
        event_id=f"e-{number}",
        time_ms=START_MS + minutes * 60_000,
        agent=f"bot-{agent}",
        cohort="bots",
        session=f"s-{session}",
        tool=("crm.read", "mail.send", "secrets.get")[tool],
        object=f"o-{thing}",
        owner=f"c-{thing % 5}",
        destination=f"d-{place}",
        amount=amount,
        size_bytes=thing * 100,
        outcome=outcome,
        epoch=f"v{epoch}",
        instance=f"i-{place % 2}",
        root=f"g-{session % 2}",
        call=f"{tool}/{thing}",
    ),
    st.integers(0, 10**9),
    st.integers(0, 40 * 24 * 60),
    st.integers(0, 2),
    st.integers(0, 5),
    st.integers(0, 2),
    st.integers(0, 30),
    st.integers(0, 4),
    st.none() | st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["ALLOW", "ALLOW", "ALLOW", "DENY", "QUARANTINE"]),
    st.integers(0, 1),
)
STREAMS = st.lists(ACTIVITIES, min_size=1, max_size=40, unique_by=lambda each: each.event_id)


def shipped_watcher() -> Watcher:
    return Watcher(parse_behaviour(SHIPPED).declared)


WATCHER = shipped_watcher()


@given(stream=STREAMS, repeated=st.lists(st.integers(0, 39), max_size=10))
@settings(max_examples=60)
def test_records_that_arrive_twice_change_nothing(stream: list[Activity], repeated: list[int]) -> None:
    once, twice = Rows(), Rows()
    for each in stream:
        WATCHER.observe(once, each)
    for at, each in enumerate(stream):
        first = WATCHER.observe(twice, each)
        assert not first.is_repeated
        for back in repeated:
            if back <= at:
                again = WATCHER.observe(twice, stream[back])
                assert again.is_repeated
                assert not again.findings
    assert once == twice


@given(stream=STREAMS)
@settings(max_examples=60)
def test_any_order_and_any_number_leave_finite_rows_and_scores(stream: list[Activity]) -> None:
    rows = Rows()
    for each in stream:
        observed = WATCHER.observe(rows, each)
        assert all(isfinite(signal.score) and signal.score > 0 for signal in observed.signals)
    for row in rows.values():
        assert _all_finite(msgspec.msgpack.decode(row))


def _all_finite(value: object) -> bool:
    if isinstance(value, list):
        return all(_all_finite(each) for each in value)
    return not isinstance(value, float) or isfinite(value)


@given(stream=STREAMS)
@settings(max_examples=40)
def test_a_score_does_not_depend_on_what_is_learned_from_the_same_activity(stream: list[Activity]) -> None:
    """Only outcomes differ at the end of both streams, so learning differs; the scores of the last must not."""
    last = msgspec.structs.replace(stream[-1], outcome="ALLOW", reason="")
    held = msgspec.structs.replace(last, outcome="REQUIRE_APPROVAL")
    left, right = Rows(), Rows()
    for each in stream[:-1]:
        WATCHER.observe(left, each)
        WATCHER.observe(right, each)
    assert left == right
    allowed, waiting = WATCHER.observe(left, last), WATCHER.observe(right, held)
    volumes = {"egress_hour", "egress_day", "dest_daily"}  # what did not leave is not in a volume

    def scores(observed: object) -> dict[str, float]:
        return {s.name: s.score for s in observed.signals if s.name not in volumes}

    assert scores(allowed) == scores(waiting)
    assert not waiting.has_learned


@given(stream=STREAMS, restarts=st.sets(st.integers(0, 39), max_size=6))
@settings(max_examples=40)
def test_a_restart_at_any_point_leads_to_the_same_bytes(stream: list[Activity], restarts: set[int]) -> None:
    rows, restarted = Rows(), Rows()
    watch = shipped_watcher()
    for at, each in enumerate(stream):
        WATCHER.observe(rows, each)
        if at in restarts:
            watch, restarted = shipped_watcher(), Rows(restarted)
        watch.observe(restarted, each)
    assert rows == restarted


_DIGEST = """
from hashlib import sha256
from itertools import cycle
from simulation.fleet.fleet import Plan, make_fleet
from tests.property.test_behaviour import Rows, shipped_watcher
rows, watch = Rows(), shipped_watcher()
for each in make_fleet(7, Plan(agents_count=4, days_count=4, quiet_days_count=1, attacks_each=1)):
    watch.observe(rows, each.activity)
print(sha256(repr(sorted(rows.items())).encode()).hexdigest())
"""


def test_the_rows_of_a_fleet_do_not_depend_on_the_order_of_hashes() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == len(sha256().hexdigest())


@given(stream=STREAMS)
@settings(max_examples=60)
def test_keys_that_are_remembered_are_those_that_would_be_made(stream: list[Activity]) -> None:
    declarations = [each for each in parse_behaviour(SHIPPED).declared.detectors if each.kind != "risk"]
    detectors = [DETECTORS[each.kind](each) for each in declarations]
    lasting = layout_of(detectors)
    for at, each in enumerate(stream):
        before = ("crm.read", "mail.send", "")[at % 3]
        activity = msgspec.structs.replace(each, previous_tool=before, before_tool=before[:3])
        presence = presence_of(activity)
        keys = lasting.keys(activity, presence)
        made = tuple(None if shape.needs & ~presence else shape.key(activity) for shape in lasting.shapes)
        assert keys == made
        # What a detector looks at has a page.
        chosen = Plans(detectors, lasting).chosen_for(activity, presence)
        assert None not in {keys[slot.shape] for plan in chosen for slot in plan.slots}


@given(stream=STREAMS, sizes=st.lists(st.integers(1, 15), min_size=1))
@settings(max_examples=40)
def test_how_many_decisions_a_step_has_makes_no_difference(stream: list[Activity], sizes: list[int]) -> None:
    """Rows are read and written once in a step, by whatever steps the log was cut into."""
    singly, stepwise = Rows(), Rows()
    expected = [WATCHER.observe(singly, each) for each in stream]
    watch, remembered, found, left = shipped_watcher(), RememberedRows(), [], list(stream)
    for size in cycle(sizes):
        rows = OpenRows(stepwise, remembered)
        found += [watch.judge(rows, each) for each in left[:size]]
        rows.close()
        left = left[size:]
        if not left:
            break
    assert found == expected
    assert stepwise == singly


COUNTS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), unique_by=lambda each: each[0], max_size=8)


@given(counts=COUNTS, name=st.integers(0, 12))
def test_one_more_of_sorted_counts_is_what_a_dictionary_says(counts: list[tuple[int, int]], name: int) -> None:
    names_max = 8
    known = dict(counts)
    if name not in known and len(known) >= names_max:
        del known[min(known, key=lambda each: (known[each], each))]
    known[name] = known.get(name, 0) + 1
    before = tuple(sorted(counts))
    after = counted_up(before, name, names_max)
    assert after == tuple(sorted(known.items()))
    assert count_of(after, name) == known[name]
    assert count_of(before, name) == dict(counts).get(name, 0)


@given(mean=st.floats(0.01, 1e5), further=st.floats(0.0, 1e6), share=st.floats(0.0, 1.0), score=st.floats(0.01, 20.0))
def test_a_count_that_is_few_times_its_mean_is_not_surprising(
    mean: float, further: float, share: float, score: float
) -> None:
    count, var = share * times_below(score) * mean, mean + OVERDISPERSION * mean**2 + further
    assert count_surprise(count, mean, var) <= score * 1.001
    assert times_below(score) > 1.0


@given(calls=st.lists(st.integers(0, 3), min_size=1, max_size=32))
def test_repeats_are_the_longest_run_of_a_cycle_that_the_calls_end_with(calls: list[int]) -> None:
    def run_of(length: int) -> int:
        cycle_, count = calls[-length:], 0
        while calls[len(calls) - (count + 1) * length : len(calls) - count * length] == cycle_:
            count += 1
            if (count + 1) * length > len(calls):
                break
        return count

    runs = [run_of(length) for length in range(2, 5) if len(calls) >= length]
    assert repeats(tuple(calls)) == max([calls.count(calls[-1]), *runs])


@given(
    pauses=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 3, 9, 10, 11, 60])), min_size=1, max_size=40),
    pause_s=st.sampled_from([2.5, 10.0]),
)
@example(pauses=[(0, 0), (0, 60), *[(0, 1)] * 6], pause_s=2.5)
@example(pauses=[(0, 0), (0, 1), (0, 1), (0, 1), *[(0, 10)] * 5], pause_s=10.0)
def test_calls_are_slow_if_all_of_them_and_the_last_ones_are_on_average(
    pauses: list[tuple[int, int]], pause_s: float
) -> None:
    calls = tuple(call % 2 for call, _ in pauses)
    times = tuple(1_000 + sum(pause for _, pause in pauses[: at + 1]) for at in range(len(pauses)))
    equal = [at for call, at in zip(calls, times, strict=True) if call == calls[-1]]
    expected = len(equal) >= WAITING_MIN and all(
        (few[-1] - few[0]) / (len(few) - 1) >= pause_s for few in (equal, equal[-WAITING_MIN:])
    )
    assert is_poll(Lately(calls, times=times), pause_s) is expected


@given(
    hours=st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0]), min_size=24, max_size=24),
    days=st.floats(0.0, 30.0),
)
def test_work_away_from_usual_hours_is_that_at_hours_with_little_work_near_them(
    hours: list[float], days: float
) -> None:
    rhythm = Rhythm(days, tuple(hours))
    most = max(STRAY_DAYS, STRAY_SHARE * days)
    little = [count if rhythm.near(hour) <= most else 0.0 for hour, count in enumerate(hours)]
    assert rhythm.strays() == sum(max(0.0, count - little[hour - 1]) for hour, count in enumerate(little))
