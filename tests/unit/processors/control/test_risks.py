"""Risks that watches have published: of an agent, of a user with whatever agent, of peers; they fade, and go."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker
from streams.behaviour.activity import HOUR_MS
from streams.behaviour.profiles import RISKS_MAX, Profile, RiskPoint, with_risk
from streams.model.keys import baseline_key
from streams.model.topics import BASELINE
from streams.model.verdict import Outcome
from streams.processors.control.baselines import AGENTS_MAX, Baselines
from tests.baselines import baseline, settled
from tests.kit import START_MS
from tests.unit.processors.control.test_baselines import bench, differences

RISKY = (
    '  - {id: R-1, effect: deny, match: {tools: ["*"]}, when: "signal.agent_risk >= 100", reason: the agent}\n'
    '  - {id: R-2, effect: deny, match: {tools: ["*"]}, when: "signal.user_risk >= 100", reason: the user}\n'
    '  - {id: R-3, effect: deny, match: {tools: ["*"]}, when: "signal.peers_risk >= 100", reason: the peers}\n'
)


def risky(agent: str, *points: RiskPoint, cohort: str = "helpers", epoch: str = "e1") -> Profile:
    return settled(agent=agent, epoch=epoch, cohort=cohort, risks=points)


def of(share: float, user: str = "", at_ms: int = START_MS) -> RiskPoint:
    return RiskPoint(user, share, at_ms, HOUR_MS)


def held(*profiles: Profile) -> Baselines:
    made = Baselines()
    for number, profile in enumerate(profiles):
        made.offer(baseline_key("acme", profile.agent, profile.epoch), baseline(profile, version=number + 1), START_MS)
    return made


def test_a_risk_is_the_agents_its_users_and_for_others_of_its_type_their_peers() -> None:
    made = held(risky("a", of(1.2), of(0.8, "alice")), risky("b"), risky("c", cohort="clerks"))
    told = made.risks.of
    assert told("acme", "a", "alice", START_MS) == (120, 80, 0)
    assert told("acme", "b", "bob", START_MS) == (0, 0, 120)
    assert told("acme", "c", "alice", START_MS) == (0, 80, 0)
    assert told("other", "a", "alice", START_MS) == (0, 0, 0)


def test_a_risk_fades_and_the_highest_of_several_counts() -> None:
    made = held(risky("a", of(1.0), of(1.0, "alice")), risky("b", of(0.6, at_ms=START_MS + HOUR_MS), of(0.2, "alice")))
    assert made.risks.of("acme", "c", "alice", START_MS) == (0, 100, 0)
    later_ms = START_MS + HOUR_MS
    assert made.risks.of("acme", "a", "alice", later_ms) == (50, 50, 60)
    assert made.risks.of("acme", "b", "alice", later_ms) == (60, 50, 50)


def test_a_later_snapshot_takes_the_place_of_the_one_before_and_a_deleted_one_leaves_nothing() -> None:
    made = held(risky("a", of(1.2), of(0.8, "alice")), risky("a", of(0.4)))
    assert made.risks.of("acme", "a", "alice", START_MS) == (40, 0, 0)
    made.forget(baseline_key("acme", "a", "e1"))
    assert made.risks.of("acme", "a", "alice", START_MS) == (0, 0, 0)
    again = held(risky("a", of(1.2), epoch="e1"), risky("a", of(0.2), epoch="e2"))
    assert again.risks.of("acme", "a", "x", START_MS) == (120, 0, 0)
    again.clear()
    assert again.risks == Baselines().risks


def test_agents_that_make_room_take_their_risks_with_them() -> None:
    made = held(*(risky(f"a-{number}", of(1.0), of(1.0, "alice")) for number in range(AGENTS_MAX + 1)))
    assert made.risks.of("acme", "a-0", "bob", START_MS)[0] == 0
    assert len(made.risks._of_users["acme", "alice"]) == AGENTS_MAX


def test_what_a_watch_keeps_is_bounded_and_rises_in_steps() -> None:
    profile = settled()
    for number in range(RISKS_MAX + 5):
        profile = with_risk(profile, of(0.5 + number / 100, f"u-{number:02d}")) or profile
    assert len(profile.risks) == RISKS_MAX
    assert [each.user for each in profile.risks] == sorted(each.user for each in profile.risks)
    assert "u-00" not in {each.user for each in profile.risks}
    assert with_risk(profile, of(0.6, "u-20")) is None
    assert with_risk(profile, of(0.6, "u-20", START_MS + 2 * HOUR_MS)) is not None


@pytest.mark.parametrize(
    ("points", "denied"),
    [((of(1.1),), "the agent"), ((of(1.1, "alice"),), "the user"), ((of(0.9), of(0.9, "alice")), None)],
)
def test_rules_deny_by_it(points: tuple[RiskPoint, ...], denied: str | None) -> None:
    gate = bench(RISKY)
    profile = risky("assistant", *points)
    gate.driver.pipe(BASELINE.name, baseline_key("acme", "assistant", "e1"), baseline(profile))
    verdict = gate.judge()
    assert (verdict.outcome is Outcome.DENY, verdict.reason_text) == (denied is not None, denied or "fine")
    clerk = SessionMaker("s-9", act="clerk", sub="carol")
    gate.establish(clerk)
    assert gate.judge(session=clerk).outcome is Outcome.ALLOW
    assert differences(gate) == []
