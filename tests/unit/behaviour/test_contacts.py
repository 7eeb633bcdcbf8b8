"""How much goes to what is new: over sessions and days, beside what new terms usually get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.correlations import Correlation, CorrelationType, FieldTest, Selection
from streams.behaviour.declarations import Declaration
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.watcher import Declared, Watcher
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, watcher

MINUTE_MS = 60_000


def contact(**more: object) -> Declaration:
    given = {"peer": ("agent.type",), "term": "dest.domain", "window_ms": 10 * DAY_MS, "settle_ms": 7 * DAY_MS}
    return declared("new_contact", 3.2, min_support=5.0, **{**given, **more})


def at(day: int, minute: int, place: str, size: int = 900, **more: object) -> Activity:
    time_ms = START_MS + day * DAY_MS + 9 * HOUR_MS + minute * MINUTE_MS
    given = {"session": f"s-{day}-{minute}", "tool": "mail.send", "destination": place, "size_bytes": size, **more}
    return activity(time_ms, **given)


def usual(days: int) -> Iterator[Activity]:
    """Yield the mail of an agent: six known places, and each day two new ones, which get one or two mails."""
    for day in range(days):
        for number in range(12):
            yield at(day, number * 10, f"known-{number % 6}.example")
        for number in range(2):
            for mail in range(1 + number):
                yield at(day, 130 + number * 10 + mail, f"new-{day}-{number}.example")


def leak(per_day: int, days: int = 5, size: int = 900) -> list[Activity]:
    return [at(21 + day, 200 + mail * 5, "drop.example", size) for day in range(days) for mail in range(per_day)]


def test_a_little_every_day_to_one_new_place_is_found() -> None:
    watch, rows = watcher(contact()), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    found = observe_all(watch, rows, leak(3))
    assert names_found(found) == ["new_contact"]
    finding = next(each for result in found for each in result.findings)
    assert finding.activity.destination == "drop.example"


def test_a_few_replies_to_a_new_place_are_usual() -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(1, days=4))) == []


def test_many_calls_in_the_first_hour_are_found_where_as_many_within_days_are_usual() -> None:
    watch, rows = watcher(contact(window_ms=HOUR_MS)), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    # A new partner gets 30 mails in its first days, never two of them in an hour.
    partner = [at(21 + mail // 5, 100 * (mail % 5), "partner.example") for mail in range(30)]
    assert names_found(observe_all(watch, rows, partner)) == []
    assert names_found(observe_all(watch, rows, [at(28, mail, "drop.example") for mail in range(12)])) == [
        "new_contact"
    ]


def test_a_place_that_is_not_new_may_get_any_number() -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    much = [at(21, 200 + mail, "known-1.example") for mail in range(60)]
    assert names_found(observe_all(watch, rows, much)) == []


def test_in_its_first_week_an_agent_meets_everybody() -> None:
    watch, rows = watcher(contact()), Rows()
    busy = [at(day, mail * 5, f"place-{mail % 3}.example") for day in range(14) for mail in range(60)]
    assert names_found(observe_all(watch, rows, busy)) == []


def test_much_data_is_found_by_its_size_and_not_by_the_number_of_calls() -> None:
    by_bytes = contact(name="bytes", value="call.bytes")
    watch, rows = watcher(contact(), by_bytes), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(1, days=1, size=90_000))) == ["bytes"]


@pytest.mark.parametrize(
    ("place", "size", "closed", "wanted"),
    [
        ("drop.example", 12_000, False, []),
        # Another place is another story. So is what is twice as strong, or goes on after somebody has looked.
        ("other.example", 12_000, False, ["bytes"]),
        ("drop.example", 40_000, False, ["bytes"]),
        ("drop.example", 12_000, True, ["bytes"]),
    ],
)
def test_that_an_agent_begins_to_write_to_a_place_is_one_story(
    place: str, size: int, closed: bool, wanted: list[str]
) -> None:
    watch, rows = watcher(contact(), contact(name="bytes", value="call.bytes")), Rows()
    observe_all(watch, rows, usual(21))
    found = [each for seen in observe_all(watch, rows, leak(4, days=3, size=50)) for each in seen.findings]
    assert [each.name for each in found] == ["new_contact"]
    opened = OpenRows(rows, RememberedRows())
    watch.reports.remember(opened, found[0], "f-1")
    if closed:
        watch.reports.close(opened, "acme", "f-1", "status-1", found[0].activity.time_ms + HOUR_MS, is_false=False)
    opened.close()
    # Days later, the incident is over, and the place is not.
    assert names_found(observe_all(watch, rows, [at(26, 0, place, size)])) == wanted


REFUSED = Selection("refused", (FieldTest("verdict.outcome", "", ("DENY",)),))
MORE_BYTES = Selection("more", (FieldTest("signal.bytes", "gte", (1.6,)), FieldTest("call.bytes", "gte", (1_000.0,))))


@pytest.mark.parametrize(
    ("rule", "outcome", "wanted"), [(REFUSED, "DENY", ["found", "found"]), (MORE_BYTES, "ALLOW", [])]
)
def test_what_else_is_found_of_a_new_place_is_no_part_of_its_story(
    rule: Selection, outcome: str, wanted: list[str]
) -> None:
    found = Correlation(
        name="found", title="Found", type=CorrelationType.EVENT_COUNT, rules=(rule,),
        group_by=("agent.id", "dest.domain"), timespan_ms=HOUR_MS, conditions=(("gte", 1.0),), latch_ms=HOUR_MS,
    )  # fmt: skip
    quiet = contact(name="bytes", value="call.bytes", alerts=False)
    watch, rows = Watcher(Declared((contact(), quiet), (found,))), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(4, days=3, size=50))) == ["new_contact"]
    # Two and five days after the incident is over.
    later = [at(day, 0, "drop.example", 12_000, outcome=outcome) for day in (26, 29)]
    assert names_found(observe_all(watch, rows, later)) == wanted


def test_where_little_is_known_of_new_places_it_takes_more() -> None:
    quiet = [at(day, number * 10, f"known-{number % 6}.example") for day in range(21) for number in range(12)]
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, quiet)
    assert names_found(observe_all(watch, rows, leak(6, days=2))) == []
    assert names_found(observe_all(watch, rows, leak(10, days=4))) == ["new_contact"]


def test_an_agent_that_has_met_nobody_yet_is_compared_with_its_peers() -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    other = [
        at(day, number * 10, f"known-{number % 6}.example", agent="bot-2") for day in range(21) for number in range(12)
    ]
    observe_all(watch, rows, other)
    stolen = [at(21 + day, 300 + mail * 5, "drop.example", agent="bot-2") for day in range(2) for mail in range(7)]
    assert names_found(observe_all(watch, rows, stolen)) == ["new_contact"]


@pytest.mark.parametrize("outcome", ["DENY", "QUARANTINE"])
def test_what_did_not_happen_is_not_counted(outcome: str) -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    tried = [at(21, 200 + mail, "drop.example", outcome=outcome) for mail in range(60)]
    assert names_found(observe_all(watch, rows, tried)) == []


def test_an_attacker_below_the_threshold_raises_what_is_usual_by_little() -> None:
    """For a month, one new place a day gets as many mails as raise no alert. Then one gets three times as many."""
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    for day in range(30):
        fed = [at(21 + day, 200 + mail * 5, f"fed-{day}.example") for mail in range(6)]
        assert names_found(observe_all(watch, rows, fed)) == []
    found = observe_all(watch, rows, [at(51, 200 + mail * 5, "drop.example") for mail in range(36)])
    assert names_found(found) == ["new_contact"]


def test_a_new_service_that_many_agents_begin_to_use_is_found_with_the_first_of_them() -> None:
    watch, rows, agents = watcher(contact()), Rows(), [f"bot-{number}" for number in range(5)]
    for agent in agents:
        observe_all(watch, rows, [replace(each, agent=agent, session=f"{agent} {each.session}") for each in usual(21)])
    found = [
        each.activity.agent
        for mail in leak(4)
        for agent in agents
        for each in watch.observe(
            rows, replace(mail, agent=agent, session=f"{agent} {mail.session}", event_id=f"{agent} {mail.event_id}")
        ).findings
    ]
    assert found == ["bot-0", "bot-1"]


@pytest.mark.parametrize(("day", "wanted"), [(10, []), (18, ["new_contact"])])
def test_a_place_that_a_peer_has_dealt_with_for_a_week_is_not_new(day: int, wanted: list[str]) -> None:
    watch, rows = watcher(contact()), Rows()
    other = [
        replace(each, agent="bot-2", session=f"bot-2 {each.session}", event_id=f"2 {each.event_id}")
        for each in usual(21)
    ]
    observe_all(watch, rows, usual(21))
    observe_all(watch, rows, other)
    observe_all(watch, rows, [at(day, 300, "drop.example", agent="bot-2")])
    assert names_found(observe_all(watch, rows, leak(4))) == wanted


def test_one_letter_as_large_as_the_largest_of_usual_days_may_go_to_anybody() -> None:
    watch, rows = watcher(contact(value="call.bytes")), Rows()
    attached = [at(day, 300, "known-1.example", 60_000) for day in range(21)]
    observe_all(watch, rows, sorted([*usual(21), *attached], key=lambda each: each.time_ms))
    assert names_found(observe_all(watch, rows, [at(21, 200, "customer.example", 58_000)])) == []
    # A second one is more than a letter.
    assert names_found(observe_all(watch, rows, [at(21, 230, "customer.example", 58_000)])) == ["new_contact"]


def test_one_letter_may_be_a_little_larger_than_the_largest_ones_and_what_follows_counts_without_it() -> None:
    watch, rows = watcher(contact(value="call.bytes")), Rows()
    attached = [at(day, 300, "known-1.example", 60_000 if day % 2 else 20_000) for day in range(21)]
    observe_all(watch, rows, sorted([*usual(21), *attached], key=lambda each: each.time_ms))
    assert names_found(observe_all(watch, rows, [at(21, 200, "customer.example", 90_000)])) == []
    assert names_found(observe_all(watch, rows, [at(22, 200, "customer.example")])) == []
    # A second one is more than a letter, and so is one that is far larger.
    assert names_found(observe_all(watch, rows, [at(23, 200, "customer.example", 90_000)])) == ["new_contact"]
    assert names_found(observe_all(watch, rows, [at(25, 200, "other.example", 900_000)])) == ["new_contact"]


def test_the_same_new_place_is_no_news_for_a_month_unless_much_more_goes_there() -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    assert names_found(observe_all(watch, rows, leak(3))) == ["new_contact"]
    assert names_found(observe_all(watch, rows, [at(28, mail, "drop.example") for mail in range(10)])) == []
    much = [at(29, 300, "drop.example", session=f"m-{mail}") for mail in range(900)]
    assert names_found(observe_all(watch, rows, much)) == ["new_contact"]


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        (["same"] * 12, []),
        (["same", "other"] * 6, ["new_contact"]),
        ([f"c-{each}" for each in range(12)], ["new_contact"]),
    ],
    ids=["tried again", "two in turn", "each another one"],
)
def test_who_tries_the_same_call_again_brings_nothing_more_to_a_new_place(calls: list[str], wanted: list[str]) -> None:
    watch, rows = watcher(contact(window_ms=HOUR_MS)), Rows()
    observe_all(watch, rows, usual(21))
    tried = [at(28, minute, "drop.example", call=call) for minute, call in enumerate(calls)]
    assert names_found(observe_all(watch, rows, tried)) == wanted


def test_an_export_that_is_made_again_later_may_bring_something_else() -> None:
    watch, rows = watcher(contact()), Rows()
    observe_all(watch, rows, usual(21))
    tried = [at(21 + day, minute, "drop.example", call="export") for day in range(4) for minute in range(9)]
    assert names_found(observe_all(watch, rows, tried)) == []
    hourly = [at(28 + day, hour * 60, "other.example", call="export") for day in range(5) for hour in range(3)]
    assert names_found(observe_all(watch, rows, hourly)) == ["new_contact"]


def test_each_day_of_a_leak_teaches_nothing_about_the_next() -> None:
    """Two letters a day are too few to be found on any day. They used to make as many usual by the next one."""
    watch, rows = watcher(contact()), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    assert names_found(observe_all(watch, rows, leak(2, days=4))) == []
    assert names_found(observe_all(watch, rows, leak(2, days=6)[8:])) == ["new_contact"]


def test_a_mailing_brings_many_letters_to_a_new_provider_and_is_one_occasion() -> None:
    watch, rows = watcher(contact()), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    mailing = [at(21, 200 + mail, "provider.example", session="mailing") for mail in range(40)]
    assert names_found(observe_all(watch, rows, mailing)) == []
    # As many pieces of work are another matter, also after it.
    later = [at(22 + day, mail * 5, "provider.example") for day in range(4) for mail in range(4)]
    assert names_found(observe_all(watch, rows, later)) == ["new_contact"]


@pytest.mark.parametrize("per_day", [3, 12])
def test_a_session_that_never_ends_is_another_piece_of_work_each_day(per_day: int) -> None:
    """Whoever takes over a daemon leaks in one session."""
    watch, rows = watcher(contact()), Rows()
    assert names_found(observe_all(watch, rows, usual(21))) == []
    of_daemon = [replace(each, session="daemon") for each in leak(per_day, days=8)]
    assert "new_contact" in names_found(observe_all(watch, rows, of_daemon))
