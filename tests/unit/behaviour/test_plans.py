"""Which detectors an activity concerns: those that find in it what they look at."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from streams.behaviour.activity import FIELDS, MEASURES, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.registry import DETECTORS
from streams.behaviour.pages import Layout
from streams.behaviour.plans import Plans
from streams.behaviour.presence import ALLOWED, BITS, presence_of
from tests.unit.behaviour.kit import START_MS, activity, declared
from tests.unit.processors.watch.test_watch import SHIPPED

ALL = activity(
    START_MS,
    epoch="m1",
    instance="i-1",
    user="u-1",
    root="g-1",
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
    layout = Layout([pair for it in detectors for pair in zip(it.places, it.row_types, strict=True)])
    _, missing = layout.keys_and_missing(each)
    return {plan.declaration.name for plan in Plans(detectors, layout).concerned_by(each, missing).plans}


def test_everything_that_an_activity_may_lack_has_a_bit() -> None:
    assert LACKING.keys() == BITS.keys()
    bare = without(*LACKING)
    read = {**FIELDS, **MEASURES}
    assert {name for name, value in read.items() if value(bare) in (None, "")} == BITS.keys()
    assert {name for name, value in read.items() if value(ALL) in (None, "")} == set()


@pytest.mark.parametrize("field", LACKING)
def test_what_is_lacking_is_the_only_bit_that_is_missing(field: str) -> None:
    assert presence_of(ALL) & ~presence_of(without(field)) == BITS[field]


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
