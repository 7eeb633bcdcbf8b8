"""A model may say which acts a message asks for, and nothing else."""

from __future__ import annotations

import json

import pytest

from simulation.records import ROOT_KEY, SessionMaker
from streams.model.session import ScopeSource, SessionEventType
from streams.provenance.digests import atom_key
from streams.provenance.events import described
from streams.provenance.languages import FOREIGN
from streams.provenance.scope import derive_scopes
from streams.sdk.model_deriver import MESSAGE_CHARS_MAX, model_deriver
from tests.unit.processors.talk import PAY, Talk

SWEDISH = "Betala r\u00e4kningen fr\u00e5n elbolaget, tack, och s\u00e4g till n\u00e4r det \u00e4r klart."


def test_a_model_reads_what_the_words_do_not_say() -> None:
    asked: list[str] = []

    def complete(prompt: str) -> str:
        asked.append(prompt)
        return '["pay"]'

    assert FOREIGN in {scope.kind for scope in derive_scopes(SWEDISH)}
    assert [scope.kind for scope in model_deriver(complete)(SWEDISH)] == ["pay"]
    assert json.dumps(SWEDISH) in asked[0]


def test_what_the_words_say_stays() -> None:
    text = "Refund at most 50 EUR to Kim."
    derived = model_deriver(lambda _: '["send", "pay"]')(text)
    assert set(derive_scopes(text)) < set(derived)
    assert {scope.kind for scope in derived} - {scope.kind for scope in derive_scopes(text)} <= {"send", "pay"}
    assert not any(scope.targets or scope.tools or scope.count_max for scope in derived)


@pytest.mark.parametrize("answer", ["", "pay", '{"pay": 1}', '["agree"]', '["pay", "delegate"]', "[1]", "[[]]", "null"])
def test_an_answer_of_another_kind_says_nothing(answer: str) -> None:
    assert model_deriver(lambda _: answer)(SWEDISH) == derive_scopes(SWEDISH)


def test_a_model_that_is_away_keeps_no_message_back() -> None:
    def complete(_prompt: str) -> str:
        raise TimeoutError

    assert model_deriver(complete)(SWEDISH) == derive_scopes(SWEDISH)


def test_a_message_that_is_too_long_is_not_shown() -> None:
    text = "Pay. " * MESSAGE_CHARS_MAX
    assert model_deriver(lambda _: '["send"]')(text) == derive_scopes(text)


@pytest.mark.parametrize(("answer", "is_requested"), [('["pay"]', True), ("[]", False)])
def test_a_gate_takes_what_a_model_has_understood_for_a_request(answer: str, is_requested: bool) -> None:
    talk = Talk()
    event = talk.session.event(SessionEventType.USER_MESSAGE, talk.now_ms)
    key = atom_key(ROOT_KEY, SessionMaker().tenant, talk.session.sub)
    said = talk.session.proven(described(event, SWEDISH, key, derive=model_deriver(lambda _: answer)))
    assert said.scope_source is ScopeSource.DERIVED
    talk.driver.pipe("agent.report.v1", talk.session.key, said)
    verdict = talk.judge(PAY, {"account": "DE02300209000106531065"})
    assert ("P-6" in {rule.rule_id for rule in verdict.rules}) is not is_requested
