"""An explanation takes from the verdict whether a text holds a key, and only what the verdict determines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, tool_entry
from streams.audit.content_officers import ContentOfficers
from streams.model.topics import RULESET
from streams.model.verdict import Outcome, Verdict
from streams.operations.rules.explanation import THE_LOG, Explained, explain_from_log
from streams.operations.rules.recorded_answers import RecordedAnswers
from streams.operations.trial import TryPlan
from streams.policy.authoring.explain_intent import ExplainedPart
from streams.policy.ext import held_secrets
from streams.wiring.shipped import rules_directory
from tests.kit import BUNDLE, GATE_SETTINGS, GateBench, ruleset
from tests.recorded_run import MemoryAsLog
from tests.unit.sdk.seal_hand import CODEC

SEND = tool_entry("post", "send")
RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: K-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: K-2, effect: deny, match: {tools: ["*"]}, when: "args.to != 'me' && %s", reason: it holds a key}
"""
ONE, TWO = "holdsSecret(args)", "(holdsSecret(args.body) || holdsSecret(args.more))"
KEY = "glpat-Xk29dLqPz7RtYw3mNvB8"
HARMLESS = "a_word_that_is_long_enough_to_be_one"


class Post(GateBench):
    """A gate with a rule that looks for keys."""

    def __init__(self, condition: str = ONE) -> None:
        super().__init__(with_rules=False)
        self.publish(SEND)
        files = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES % condition}
        self.driver.pipe(RULESET.name, b"default", ruleset(files))

    def sent(self, session: SessionMaker | None = None, **args: str) -> Verdict:
        return self.judge(SEND, {"to": "ann", **args}, session or self.session)

    def explained(self, verdict: Verdict) -> Explained:
        plan = TryPlan(history=THE_LOG, codec=CODEC, gate=GATE_SETTINGS, starter_rules=rules_directory())
        log = MemoryAsLog(self.driver.log)
        return explain_from_log(
            log, CODEC, self.driver.clock, plan, officers=ContentOfficers.of({}), intent=verdict.intent_id, reveal=True
        )


class Detectors:
    """Counts how often the detectors are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        load = held_secrets._scanner

        def counted() -> Any:
            self.count += 1
            return load()

        monkeypatch.setattr(held_secrets, "_scanner", counted)


@pytest.fixture
def detectors(monkeypatch: pytest.MonkeyPatch) -> Detectors:
    return Detectors(monkeypatch)


def values(part: ExplainedPart | None) -> dict[str, str]:
    assert part is not None
    found = {part.text: part.value}
    for inner in part.parts:
        found |= values(inner)
    return found


def parts_of(explained: Explained) -> dict[str, str]:
    (judged,) = explained.judged
    return values(next(rule.whole for rule in judged.explanation.rules if rule.rule_id == "K-2"))


def told(explained: Explained) -> tuple[object, ...]:
    """All that an explanation says."""
    (judged,) = explained.judged
    rules = [(rule.rule_id, rule.outcome, rule.error, rule.whole) for rule in judged.explanation.rules]
    return (replace(explained, judged=()), judged.time_ms, judged.explanation.result, rules)


@pytest.mark.parametrize(
    ("body", "outcome", "value"), [(HARMLESS, Outcome.ALLOW, "false"), (f"use {KEY}", Outcome.DENY, "true")]
)
def test_the_verdict_tells_what_the_detectors_have_found(
    detectors: Detectors, monkeypatch: pytest.MonkeyPatch, body: str, outcome: Outcome, value: str
) -> None:
    post = Post()
    earlier = post.sent(body="another text that is rather_long_in_places")
    verdict = post.sent(body=body)
    assert (earlier.outcome, verdict.outcome) == (Outcome.ALLOW, outcome)
    asked = detectors.count
    assert asked > 0
    found = post.explained(verdict)
    assert parts_of(found)["holdsSecret(args)"] == value
    assert detectors.count == asked, "neither for this call nor for the one before it, nor for the parts that are shown"
    monkeypatch.setattr(RecordedAnswers, "__init__", _knowing_nothing)
    assert told(post.explained(verdict)) == told(found), "the detectors find the same"
    assert detectors.count > asked


def _knowing_nothing(self: RecordedAnswers, verdicts: object) -> None:
    del verdicts
    self._recorded = {}
    self._known = {}


def test_what_the_verdict_leaves_open_the_detectors_find(detectors: Detectors) -> None:
    """The rule matches neither way."""
    post = Post("holdsSecret(args) && false")
    verdict = post.sent(body=f"use {KEY}")
    asked = detectors.count
    assert parts_of(post.explained(verdict))["holdsSecret(args)"] == "true"
    assert detectors.count > asked


def test_of_two_texts_the_verdict_does_not_tell_which_holds_a_key(detectors: Detectors) -> None:
    post = Post(TWO)
    verdict = post.sent(body=HARMLESS, more=f"use {KEY}")
    assert verdict.outcome is Outcome.DENY
    asked = detectors.count
    found = parts_of(post.explained(verdict))
    assert detectors.count > asked
    assert (found["holdsSecret(args.body)"], found["holdsSecret(args.more)"]) == ("false", "true")


def test_a_verdict_of_a_check_before_the_rules_tells_nothing() -> None:
    """It names no rule, as if none had matched."""
    post = Post()
    verdict = post.sent(body=f"use {KEY}")
    (again,) = post.explained(verdict).verdicts
    assert again.rules
    early = RecordedAnswers([_without_rules(again, "revoked")])
    late = RecordedAnswers([_without_rules(again, "no_permit")])
    assert (early._recorded, len(late._recorded)) == ({}, 1)


def _without_rules(verdict: Verdict, reason: str) -> Verdict:
    return msgspec.structs.replace(verdict, rules=(), reason=reason)
