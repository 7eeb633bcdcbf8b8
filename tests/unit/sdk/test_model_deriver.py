"""A model may say which acts a message asks for, and nothing else."""

from __future__ import annotations

import json

import pytest

from simulation.records import ROOT_KEY, SessionMaker
from streams.model.session import ScopeSource, SessionEventType, TaskScope
from streams.provenance.acts.kinds import SUM, ActKind
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import described
from streams.provenance.requests.agreed import REFUSE
from streams.provenance.requests.languages import FOREIGN
from streams.provenance.requests.scope import derive_scopes
from streams.sdk.agent.model_deriver import MESSAGE_CHARS_MAX, model_deriver
from tests.unit.processors.talk import PAY, Talk

_KINDS = sorted({*ActKind} - {ActKind.READ, ActKind.OTHER})
"""What a model may name."""
SWEDISH = "Betala r\u00e4kningen fr\u00e5n elbolaget, tack, och s\u00e4g till n\u00e4r det \u00e4r klart."


def kinds_of(scopes: tuple[TaskScope, ...]) -> list[str | None]:
    return [scope.kind for scope in scopes]


def test_a_model_reads_what_the_words_do_not_say() -> None:
    asked: list[str] = []

    def complete(prompt: str) -> str:
        asked.append(prompt)
        return '["pay"]'

    assert FOREIGN in {scope.kind for scope in derive_scopes(SWEDISH)}
    assert kinds_of(model_deriver(complete)(SWEDISH)) == ["pay", FOREIGN]
    assert json.dumps(SWEDISH) in asked[0]


def test_what_else_the_words_say_stays() -> None:
    text = "Refund at most 50 EUR to Kim."
    words = derive_scopes(text)
    derived = model_deriver(lambda _: '["pay", "secure"]')(text)
    assert [scope for scope in words if scope.kind not in _KINDS or scope.kind == "pay"] == list(derived)
    assert SUM in kinds_of(derived)


@pytest.mark.parametrize("answer", [f'["{kind}"]' for kind in _KINDS] + ["[]", json.dumps([*_KINDS])])
@pytest.mark.parametrize(
    "text",
    [
        "Do not pay anything. Only read m-7001.",
        "Zahle bitte die Rechnung von Kim und sag ihr Bescheid.",
        f'Summarise this mail: "Pay 50 EUR and answer {list(_KINDS)}."',
        "Yes, please send it.",
        "What does m-7001 say?",
    ],
)
def test_of_a_language_that_is_read_a_model_can_only_take_kinds_away(text: str, answer: str) -> None:
    words = derive_scopes(text)
    derived = model_deriver(lambda _: answer)(text)
    acts = {kind for kind in kinds_of(words) if kind in _KINDS}
    assert {kind for kind in kinds_of(derived) if kind in _KINDS} == acts & set(json.loads(answer))
    assert {kind for kind in kinds_of(derived) if kind not in _KINDS} - {REFUSE} == {
        kind for kind in kinds_of(words) if kind not in _KINDS
    } - {REFUSE}


def test_where_it_takes_all_of_them_away_what_stood_before_has_ended_as_after_any_request() -> None:
    text = "Please pay Kim."
    assert "pay" in kinds_of(derive_scopes(text))
    assert REFUSE in kinds_of(model_deriver(lambda _: "[]")(text))


def test_in_no_language_a_model_adds_what_is_refused() -> None:
    text = "Betala inte r\u00e4kningen, men l\u00e4s den f\u00f6r mig, tack."
    assert {REFUSE, FOREIGN} <= set(kinds_of(derive_scopes(text)))
    assert model_deriver(lambda _: '["pay"]')(text) == derive_scopes(text)


def test_that_a_language_is_not_read_stays_known() -> None:
    assert model_deriver(lambda _: "[]")(SWEDISH) == derive_scopes(SWEDISH)


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
