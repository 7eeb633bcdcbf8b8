"""Each kind of detector: quiet about usual work, and not about what it is there for."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.declarations import KINDS, Declaration
from streams.behaviour.detectors.registry import DETECTORS, RISK
from tests.unit.behaviour.kit import (
    AFTER_MS,
    FIRST_AMOUNT,
    START_MS,
    Rows,
    activity,
    declared,
    mixed,
    names_found,
    observe_all,
    spaced,
    watcher,
)

CASES: tuple[tuple[Declaration, list[Activity]], ...] = (
    (declared("ceiling", 1, limit=50, window_ms=HOUR_MS), spaced(60)),
    (declared("rate_nb", 13, window_ms=60_000, min_support=30), spaced(60, 500)),
    (declared("new_terms", 7, term="dest.domain", min_support=30), spaced(1, destination="evil.example")),
    (
        declared("novel_cusum", 21, term="object.id", min_support=30, allowance=2),
        spaced(20, object=lambda at: f"secret-{at}"),
    ),
    (
        declared("fan_out", 8, term="object.id", window_ms=600_000, min_support=5),
        spaced(40, object=lambda at: f"new-{at}"),
    ),
    (declared("arg_mad", 3.9, value="call.amount", min_support=30), spaced(1, amount=50_000.0)),
    (
        declared("arg_cusum", 6, value="call.amount", min_support=30, allowance=1.5),
        spaced(12, HOUR_MS // 2, amount=lambda at: 260.0 + 8 * at),
    ),
    (
        declared("arg_trend", 3.5, term="dest.domain"),
        spaced(12, HOUR_MS // 2, destination="payee.example", amount=lambda at: 100.0 + 8 * at),
    ),
    (
        FIRST_AMOUNT,
        spaced(1, tool="bank.pay", amount=9_000.0),
    ),
    (
        declared("egress", 3.5, value="call.bytes", half_life_ms=HOUR_MS, min_support=5),
        spaced(10, size_bytes=90_000, destination="d-1.example"),
    ),
    (declared("dest_daily", 4.7, term="dest.domain", min_support=5), spaced(60, destination="d-1.example")),
    (declared("loop", 10, key=("session.id",), peer=("agent.id",), min_support=5), spaced(20, call="same")),
    (
        declared("loop_run", 18, key=("session.id",), peer=("agent.type",), min_support=100),
        spaced(60, tool="docs.read", call=lambda at: f"page-{at % 7}"),
    ),
    (
        declared("seq_surprise", 15, key=("session.id",), peer=("agent.type",), min_support=100, allowance=0.5),
        spaced(12, tool=lambda at: ("mail.send", "docs.read", "crm.read")[at % 3]),
    ),
    (
        declared("two_places", 1, key=("session.id",), window_ms=300_000),
        spaced(3, instance=lambda at: ("one", "two", "one")[at]),
    ),
    (
        declared("deleg_velocity", 6, key=("delegation.root",), window_ms=600_000, min_support=5),
        spaced(40, session=lambda at: f"child-{at}", root="storm", depth=2),
    ),
    (
        declared("cross_owner", 3, key=("session.id",), peer=("agent.id",), min_support=5),
        spaced(12, owner=lambda at: f"person-{at}"),
    ),
    (
        declared("epoch_drift", 30, min_support=60),
        spaced(
            150,
            HOUR_MS // 60,
            epoch="v2",
            session=lambda at: f"v2-{at // 30}",
            tool=lambda at: ("shell.run", "crm.read")[at % 2],
        ),
    ),
    (
        declared("returns", 4, term="object.owner", window_ms=2 * DAY_MS, min_support=5, deviations=3.0),
        spaced(16, session=lambda at: f"look-{at}", owner="eve"),
    ),
    (declared("off_hours", 8, min_support=10, settle_ms=14 * DAY_MS), spaced(12, night=True)),
    (
        declared("new_contact", 3.2, term="dest.domain", window_ms=10 * DAY_MS, settle_ms=7 * DAY_MS),
        spaced(40, session=lambda at: f"s-{at}", destination="drop.example"),
    ),
    (
        declared(
            "odd_contact",
            4,
            term="dest.domain",
            window_ms=10 * DAY_MS,
            settle_ms=7 * DAY_MS,
            min_support=30,
            allowance=1.5,
        ),
        spaced(
            9,
            session=lambda at: f"s-{at // 3}",
            tool=lambda at: ("docs.read", "notes.recall", "mail.send")[at % 3],
            destination=lambda at: "drop.example" if at % 3 == 2 else None,
        ),
    ),
)
IDS = [case[0].kind for case in CASES]


def test_every_kind_has_a_case() -> None:
    assert {*IDS, RISK} == set(KINDS) == {*DETECTORS, RISK}
    # The 17 of the design, those of hours, new contacts, contacts out of turn, amounts that rise, first amounts, and
    # returns.
    assert len(KINDS) == 23


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_a_detector_finds_what_it_is_for_once(declaration: Declaration, attack: list[Activity]) -> None:
    rows, watch = Rows(), watcher(declaration)
    assert names_found(observe_all(watch, rows, mixed(20))) == []
    found = [finding for each in observe_all(watch, rows, attack) for finding in each.findings]
    assert [each.name for each in found] == [declaration.kind]
    assert found[0].explain == "it is bot"
    assert found[0].activity.session in {each.session for each in attack}
    assert found[0].share >= 1


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_a_detector_is_quiet_about_more_of_the_same(declaration: Declaration, attack: list[Activity]) -> None:
    del attack
    assert names_found(observe_all(watcher(declaration), Rows(), mixed(35))) == []


@pytest.mark.parametrize(("declaration", "attack"), CASES, ids=IDS)
def test_what_alerted_or_was_denied_teaches_nothing(declaration: Declaration, attack: list[Activity]) -> None:
    watch = watcher(declaration)
    rows = Rows()
    observe_all(watch, rows, mixed(20))
    seen = observe_all(watch, rows, attack)
    alerted = next(at for at, each in enumerate(seen) if each.findings)
    after = [each for each, call in zip(seen[alerted:], attack[alerted:], strict=True) if call.session == "attack"]
    assert not any(each.has_learned for each in after)
    for outcome in ("DENY", "QUARANTINE", "REQUIRE_APPROVAL", "DEFER"):
        denied = watch.observe(rows, activity(AFTER_MS + DAY_MS, session="other", outcome=outcome))
        assert not denied.has_learned


@pytest.mark.parametrize("per_day", [(), (1, 6), (20, 38)])
def test_peers_that_differ_from_day_to_day_allow_no_more_than_nothing_known_does(per_day: tuple[int, ...]) -> None:
    """An agent that reads 45 secrets is reported whether nothing is known or peers read one on some days and six on
    others; it is not if they read about as many."""
    it = declared("fan_out", 8, peer=("agent.type",), term="object.id", window_ms=600_000, min_support=5, deviations=5)
    rows, watch = Rows(), watcher(it)
    for day in range(14 if per_day else 0):
        count, at_ms = per_day[day % 2], START_MS + day * DAY_MS
        calls = [activity(at_ms + at, agent="peer", session=f"d{day}", object=f"{day}-{at}") for at in range(count)]
        assert names_found(observe_all(watch, rows, calls)) == []
    sweep = [activity(AFTER_MS + at * 1_000, session="sweep", object=f"new-{at}") for at in range(45)]
    assert names_found(observe_all(watch, rows, sweep)) == ([] if 38 in per_day else ["fan_out"])
