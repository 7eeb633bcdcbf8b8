"""Which detectors an activity concerns: those that find in it what they look at."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pytest

from simulation.fleet.fleet import Plan, make_fleet
from streams.behaviour.activity import FIELDS, MEASURES, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.plans import Plans, layout_of
from streams.behaviour.presence import ALLOWED, BITS, SENT, presence_of
from streams.behaviour.signals import Scored
from streams.behaviour.straight import Plan as Planned
from streams.behaviour.straight import put_back
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared
from tests.unit.processors.watch.watch_bench import SHIPPED

ALL = activity(
    START_MS,
    epoch="m1",
    instance="i-1",
    user="u-1",
    root="g-1",
    depth=2,
    call="c-1",
    reason="rule",
    destination="known.example",
    object="o-1",
    owner="u-2",
    amount=5.0,
)
LACKING: dict[str, dict[str, object]] = {
    "agent.epoch": {"epoch": ""},
    "agent.instance": {"instance": ""},
    "call.amount": {"amount": None},
    "call.digest": {"call": ""},
    "delegation.root": {"root": ""},
    "dest.domain": {"destination": None},
    "object.id": {"object": None},
    "object.owner": {"owner": None},
    "user.id": {"user": ""},
}


def without(*fields: str) -> Activity:
    changed = {name: getattr(ALL, name) for name in ALL.__struct_fields__}
    for field in fields:
        changed |= LACKING[field]
    return Activity(**changed)


def concerned(each: Activity, declarations: Iterable[Declaration] = SHIPPED.declared.detectors) -> set[str]:
    """The names of the detectors that an activity concerns."""
    detectors = [DETECTORS[it.kind](it) for it in declarations if it.kind != "risk"]
    layout = layout_of(detectors)
    return {plan.declaration.name for plan in Plans(detectors, layout).chosen_for(each, presence_of(each))}


def test_everything_that_an_activity_may_lack_has_a_bit() -> None:
    assert LACKING.keys() == BITS.keys()
    bare = without(*LACKING)
    read = {**FIELDS, **MEASURES}
    assert {name for name, value in read.items() if value(bare) in (None, "")} == BITS.keys()
    assert {name for name, value in read.items() if value(ALL) in (None, "")} == set()


@pytest.mark.parametrize("field", LACKING)
def test_what_is_lacking_is_the_only_bit_that_is_missing(field: str) -> None:
    sent = SENT if field == "dest.domain" else 0
    assert presence_of(ALL) & ~presence_of(without(field)) == BITS[field] | sent


@pytest.mark.parametrize(
    ("tool", "size_bytes", "wanted"),
    [
        ("mail.send", 100, True),
        ("mail.create_draft", 9_000, False),
        ("web.fetch", 90, False),
        ("web.fetch", 900, True),
        ("crm.get_or_create", 90, True),
    ],
)
def test_what_only_asks_or_prepares_sends_nothing(tool: str, size_bytes: int, *, wanted: bool) -> None:
    it = activity(START_MS, tool=tool, destination="a.example", size_bytes=size_bytes)
    assert bool(presence_of(it) & SENT) is wanted


def test_amounts_that_cannot_be_reckoned_with_are_lacking() -> None:
    for amount in (float("nan"), float("inf")):
        assert not presence_of(activity(START_MS, amount=amount)) & BITS["call.amount"]


def test_only_what_was_allowed_has_happened() -> None:
    assert presence_of(ALL) & ALLOWED
    assert not presence_of(activity(START_MS, outcome="DENY")) & ALLOWED


def test_everything_concerns_an_activity_that_has_everything() -> None:
    assert concerned(ALL) == {it.name for it in SHIPPED.declared.detectors if it.kind != "risk"}


@pytest.mark.parametrize("field", sorted(LACKING.keys() - {"agent.epoch"}))
def test_a_detector_is_left_out_of_activities_without_what_it_looks_at(field: str) -> None:
    look_at_it = {
        it.name for it in SHIPPED.declared.detectors if it.kind != "risk" and field in (*it.key, it.term, it.value)
    }
    assert look_at_it.isdisjoint(concerned(without(field)))


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("loop", "call.digest"),
        ("epoch_drift", "agent.epoch"),
        ("two_places", "agent.instance"),
        ("cross_owner", "object.owner"),
        ("deleg_velocity", "delegation.root"),
    ],
)
def test_so_is_one_that_looks_at_something_that_it_need_not_declare(kind: str, field: str) -> None:
    declarations = (declared(kind, 5.0),)
    assert concerned(ALL, declarations) == {kind}
    assert concerned(without(field), declarations) == set()


def test_a_detector_of_some_tools_is_left_out_of_all_others() -> None:
    declarations = (declared("ceiling", 1.0, limit=9, tools=("crm.read", "mail.send")),)
    assert [concerned(activity(START_MS, tool=tool), declarations) for tool in ("crm.read", "mail.list", "")] == [
        {"ceiling"},
        set(),
        set(),
    ]


@pytest.mark.parametrize("is_taught", [True, False])
def test_detectors_in_one_function_do_what_each_does_by_itself(*, is_taught: bool) -> None:
    """Over a fleet with attacks: what they find, their rows, and which pages change."""
    declarations = [it for it in SHIPPED.declared.by_scope()[0].detectors if it.kind != "risk"]
    detectors = [DETECTORS[it.kind](it) for it in declarations]
    layout = layout_of(detectors)
    plans, rows, found_count = Plans(detectors, layout), OpenRows(Rows(), RememberedRows()), 0
    for planned in make_fleet(3, Plan(agents_count=4, days_count=6, quiet_days_count=2, attacks_each=1)):
        each = planned.activity
        presence = presence_of(each)
        keys = layout.keys(each, presence)
        pages = [
            shape.blank if key is None else rows.page(key, shape)
            for key, shape in zip(keys, layout.shapes, strict=True)
        ]
        before = [[*page] for page in pages]
        concerned, chosen = plans.concerned_by(each, presence), plans.chosen_for(each, presence)
        judge = concerned.learning if is_taught else concerned.scoring
        put_back(pages, concerned.plans, judge(pages, each)[-1])
        assert pages == before
        found, changed, _ = judge(pages, each)
        expected = [_one_by_one(plan, before, each, is_taught=is_taught) for plan in chosen]
        assert found == tuple(
            (plan, scored) for plan, (scored, _) in zip(chosen, expected, strict=True) if scored.score >= plan.faint
        )
        slots = [slot for plan in chosen for slot in plan.slots]
        assert [pages[slot.shape][slot.number] for slot in slots] == [row for _, its in expected for row in its]
        assert {at for at, page in enumerate(pages) if page != before[at]} <= {
            at for at in range(len(pages)) if changed >> at & 1
        }
        found_count += len(found)
    assert found_count > 20


def _one_by_one(
    it: Planned, pages: list[list[object]], each: Activity, *, is_taught: bool
) -> tuple[Scored, tuple[object, ...]]:
    """What a detector finds, and its rows afterwards."""
    scored = it.score(tuple(pages[slot.shape][slot.number] for slot in it.slots), each)
    if not is_taught or it.learn is None:
        return scored, tuple(scored.rows)
    return scored, tuple(it.learn(scored.rows, each, scored.noted))


def test_few_functions_are_made_however_many_kinds_of_activities_there_are() -> None:
    """Whoever chooses what a call has chooses its kind, and functions take milliseconds to be made."""
    detectors = [DETECTORS[it.kind](it) for it in (declared("ceiling", 1.0, limit=9), declared("loop", 5.0))]
    layout = layout_of(detectors)
    plans, made = Plans(detectors, layout), set()
    for count in range(len(LACKING) + 1):
        for fields in combinations(sorted(LACKING), count):
            each = without(*fields)
            made.add(id(plans.concerned_by(each, presence_of(each))))
    assert len(made) == 2
