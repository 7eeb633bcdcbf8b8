"""What is used for the first time (`new_terms`)."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS
from tests.unit.behaviour.kit import (
    AFTER_MS,
    START_MS,
    Rows,
    activity,
    declared,
    mixed,
    names_found,
    observe_all,
    office_days,
    watcher,
)


def test_peers_make_a_first_time_less_surprising() -> None:
    it = declared("new_terms", 9, term="dest.domain", peer=("agent.type",), min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    observe_all(watch, rows, [activity(AFTER_MS, agent="other", session="o", destination="shared.example")])
    known = watch.observe(rows, activity(AFTER_MS + 1, session="x", destination="shared.example"))
    unknown = watch.observe(rows, activity(AFTER_MS + 2, session="z", destination="evil.example"))
    assert names_found([known]) == []
    assert names_found([unknown]) == ["new_terms"]


def test_the_same_new_term_is_no_news_for_a_month_and_another_one_is() -> None:
    it = declared("new_terms", 7, term="dest.domain", min_support=30)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, mixed(20))
    places = ((0, "evil.example"), (3, "evil.example"), (25, "worse.example"), (33, "evil.example"))
    calls = [activity(AFTER_MS + day * DAY_MS, session=f"x-{day}", destination=place) for day, place in places]
    found = [names_found([each]) for each in observe_all(watch, rows, calls)]
    assert found == [["new_terms"], [], ["new_terms"], ["new_terms"]]


@pytest.mark.parametrize(("epoch", "wanted"), [("", ["bot-0", "bot-1"]), ("v2", ["bot-0"])])
def test_a_new_tool_that_is_rolled_out_to_many_agents_is_found_with_the_first_of_them(
    epoch: str, wanted: list[str]
) -> None:
    it = declared("new_terms", 12, peer=("agent.type",), term="tool.name", min_support=200)
    rows, watch, agents = Rows(), watcher(it), [f"bot-{number}" for number in range(6)]
    for agent in agents:
        observe_all(watch, rows, office_days(20, agent=agent))
    found = []
    for day in range(3):
        for number, agent in enumerate(agents):
            at_ms = AFTER_MS + day * DAY_MS + number * 60_000
            call = activity(at_ms, agent=agent, session=f"{agent} {day}", tool="crm.merge", epoch=epoch)
            found += [(agent, day) for _ in names_found([watch.observe(rows, call)])]
    assert found == [(agent, 0) for agent in wanted]


@pytest.mark.parametrize(
    ("epoch", "at", "wanted"),
    [("v1", 5, ["new_terms"]), ("v2", 5, []), ("v2", 150, ["new_terms"]), ("", 5, ["new_terms"])],
)
def test_a_tool_that_comes_with_a_version_is_what_the_version_is_for(epoch: str, at: int, wanted: list[str]) -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    calls = [activity(AFTER_MS + number * 60_000, session="next", epoch=epoch) for number in range(at)]
    calls.append(activity(AFTER_MS + at * 60_000, session="next", epoch=epoch, tool="crm.merge"))
    assert names_found(observe_all(watch, rows, calls)) == wanted
    # What came with the version is known from then on.
    later = activity(AFTER_MS + 2 * DAY_MS, session="later", epoch=epoch, tool="crm.merge")
    assert (watch.observe(rows, later).signals == ()) is (not wanted)


def test_whoever_states_ever_more_versions_is_not_new_for_longer() -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    calls = [activity(AFTER_MS + at * 60_000, session="next", epoch=f"v{2 + at // 9}") for at in range(95)]
    calls += [activity(AFTER_MS + 2 * HOUR_MS, session="next", epoch="v20", tool="crm.merge")]
    assert names_found(observe_all(watch, rows, calls)) == []
    calls = [activity(AFTER_MS + 3 * HOUR_MS + at, session="next", epoch="v21") for at in range(10)]
    calls += [activity(AFTER_MS + 4 * HOUR_MS, session="next", epoch="v22", tool="crm.wipe")]
    assert names_found(observe_all(watch, rows, calls)) == ["new_terms"]


def test_a_version_does_not_stay_new_while_all_is_denied() -> None:
    """What is denied is not learned: whoever tries out one tool after the other is found with the one that opens."""
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20, epoch="v1"))
    tried = [
        activity(AFTER_MS + at, session="next", epoch=f"v{2 + at // 9}", tool=f"crm.try{at}", outcome="DENY")
        for at in range(150)
    ]
    assert names_found(observe_all(watch, rows, tried)) == []
    opened = activity(AFTER_MS + HOUR_MS, session="next", epoch="v18", tool="crm.try7")
    assert names_found(observe_all(watch, rows, [opened])) == ["new_terms"]


@pytest.mark.parametrize("outcome", ["DENY", "QUARANTINE"])
def test_a_new_tool_that_was_refused_once_is_a_slip_and_is_found_when_it_is_allowed(outcome: str) -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    (slip,) = observe_all(watch, rows, [activity(AFTER_MS, session="slip", tool="crm.wipe", outcome=outcome)])
    assert names_found([slip]) == []
    assert [signal.name for signal in slip.signals] == ["new_terms"]
    later = activity(AFTER_MS + DAY_MS, session="later", tool="crm.wipe")
    assert names_found(observe_all(watch, rows, [later])) == ["new_terms"]


def test_a_new_tool_that_waits_for_approval_is_found_before_somebody_approves_it() -> None:
    it = declared("new_terms", 7, term="tool.name", min_support=200)
    rows, watch = Rows(), watcher(it)
    observe_all(watch, rows, office_days(20))
    asked = activity(AFTER_MS, session="asked", tool="crm.wipe", outcome="REQUIRE_APPROVAL")
    assert names_found(observe_all(watch, rows, [asked])) == ["new_terms"]


def test_a_version_does_not_stay_new_where_nothing_is_learned() -> None:
    """After an alert nothing is learned in its session, and so no call of it is counted."""
    it = declared("new_terms", 7, term="tool.name", min_support=200, severity="high")
    other = declared("arg_mad", 3.9, value="call.amount", min_support=30, severity="low")
    rows, watch = Rows(), watcher(it, other)
    observe_all(watch, rows, office_days(20, epoch="v1", amount=100.0))
    small = activity(AFTER_MS, session="next", epoch="v2", amount=1e6)
    assert names_found([watch.observe(rows, small)]) == ["arg_mad"]
    tools = [activity(AFTER_MS + 1 + at, session="next", epoch="v2", tool=f"crm.new{at}") for at in range(150)]
    assert names_found(observe_all(watch, rows, tools)) == ["new_terms"]


LONG, SHORT = 900, 90


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [((LONG,), [["new_terms"]]), ((SHORT, LONG), [[], ["new_terms"]]), ((SHORT, SHORT), [[], []])],
)
def test_an_agent_that_only_reads_is_found_when_it_first_sends_something_to_a_new_place(
    sizes: tuple[int, ...], wanted: list[list[str]]
) -> None:
    it = declared("new_terms", 7, term="dest.domain", min_support=30)
    rows, watch = Rows(), watcher(it)
    for number, each in enumerate(office_days(20)):
        call = activity(each.time_ms, session=each.session, tool="web.fetch", destination=f"site-{number % 5}.example")
        assert names_found([watch.observe(rows, call)]) == []
    calls = [
        activity(AFTER_MS + at, session=f"x-{at}", tool="web.fetch", size_bytes=size, destination="planted.example")
        for at, size in enumerate(sizes)
    ]
    assert [names_found([each]) for each in observe_all(watch, rows, calls)] == wanted


def test_what_only_reads_does_not_make_a_new_place_more_surprising_for_who_often_sends() -> None:
    it = declared("new_terms", 3, term="dest.domain", min_support=30)
    found = []
    for reads in (0, 500):
        rows, watch = Rows(), watcher(it)
        sent = [
            activity(each.time_ms, session=each.session, tool="mail.send", destination=f"site-{number % 5}.example")
            for number, each in enumerate(office_days(20))
        ]
        read = [
            activity(AFTER_MS - reads + at, session="reads", tool="web.fetch", destination=f"page-{at}.example")
            for at in range(reads)
        ]
        observe_all(watch, rows, [*sent, *read])
        new = activity(AFTER_MS, session="x", tool="mail.send", destination="planted.example")
        found.append([each.score for each in watch.observe(rows, new).signals])
    assert found[0] == found[1] != []


@pytest.mark.parametrize(
    ("others", "tool", "wanted"),
    [
        (0, "crm.export", []),
        (1, "crm.export", ["new_terms"]),
        # What can't be undone is worth a question.
        (0, "k8s.delete_pod", ["new_terms"]),
        (0, "iam.grant_role", ["new_terms"]),
        (0, "vault.read", ["new_terms"]),
    ],
)
def test_that_no_peer_uses_a_tool_says_something_only_if_there_are_peers_or_it_is_grave(
    others: int, tool: str, wanted: list[str]
) -> None:
    it = declared("new_terms", 12, term="tool.name", peer=("agent.type",), min_support=30)
    rows, watch = Rows(), watcher(it)
    for agent in ("bot", "bot-2")[: 1 + others]:
        observe_all(watch, rows, office_days(20, agent=agent))
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="x", tool=tool))]) == wanted


def test_agents_whose_type_is_declared_later_have_peers() -> None:
    it = declared("new_terms", 12, term="tool.name", peer=("agent.type",), min_support=30)
    rows, watch, agents = Rows(), watcher(it), ("bot", "bot-2")
    for agent in agents:
        observe_all(watch, rows, office_days(16, agent=agent, cohort=agent))
    for agent in agents:
        typed = [each for each in office_days(20, agent=agent) if each.time_ms >= START_MS + 16 * DAY_MS]
        observe_all(watch, rows, typed)
    assert names_found([watch.observe(rows, activity(AFTER_MS, session="x", tool="crm.export"))]) == ["new_terms"]
