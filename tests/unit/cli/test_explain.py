"""`stoplog explain`: the story of one intent, from records as gates and executors write them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker, header
from streams.cli.main import run
from streams.embedded.admin import EmbeddedAdmin
from streams.model.approval import GRANT_MADE, GRANT_USED
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import ArgumentRole
from streams.model.session import SessionEventType
from streams.model.topics import VERDICT
from streams.model.types import Actor
from streams.model.verdict import ArgumentOrigin, Outcome, RuleEffect, RuleHit, RuleMode, ValueOrigin
from tests.kit import FILES_READ, MAIL_SEND
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.terminal import written_to_terminal
from tests.unit.cli.test_session import Writer
from tests.unit.sdk.hands import verdict_on

EVIL = {"to": "x@evil.example", "subject": "the plan"}


@pytest.fixture
def deployed(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> Stoplog:
    monkeypatch.setenv("STOPLOG_RELEASE__ALLOW_UNSIGNED", "true")
    assert stoplog("topics", "apply").status == 0
    return stoplog


@pytest.fixture
def writer(deployed: Stoplog) -> Writer:
    return Writer()


def rule(effect: RuleEffect, reason: str) -> RuleHit:
    return RuleHit(rule_id="PRV-005", rule_version="1", effect=effect, mode=RuleMode.ENFORCE, reason=reason)


class Case:
    """A session that was told something, read mail 14, and asked to send a mail."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.maker: SessionMaker = writer.open("s-1")
        self.read = self.maker.intent(FILES_READ, {"path": "mail 14"}, writer.now_ms)
        self.said = self.maker.event(SessionEventType.USER_MESSAGE, writer.now_ms)
        self.result = self.maker.result(self.read, writer.now_ms, label=UNTRUSTED)
        writer.put(self.maker, [self.said, verdict_on(self.read, label=TRUSTED), self.result])
        self.sent = self.maker.intent(MAIL_SEND, EVIL, writer.now_ms + 1)

    def judged(self, outcome: Outcome, *origins: ArgumentOrigin, **changes: Any) -> str:
        self.writer.put(self.maker, [verdict_on(self.sent, outcome, origins=origins, **changes)])
        return self.sent.intent_id

    def answer(self, reason: str, by: str) -> AuditEvent:
        return AuditEvent(
            header=header(f"answer {reason}", self.writer.now_ms, "default"),
            event_type=AuditEventType.APPROVAL,
            session_id="s-1",
            intent_id=self.sent.intent_id,
            act=Actor(iss="https://id.example", sub=by),
            reason=reason,
        )

    def origin(self, pointer: str, origin: ValueOrigin, *, by: str = "", **changes: Any) -> ArgumentOrigin:
        role = ArgumentRole.DESTINATION if pointer == "/to" else ArgumentRole.CONTENT
        made = {"pointer": pointer, "role": role, "origin": origin, "event_ids": (by,) if by else ()}
        return ArgumentOrigin(**made | changes)


@pytest.fixture
def case(writer: Writer) -> Case:
    return Case(writer)


def test_a_denied_call_is_explained_by_the_value_that_came_from_untrusted_text(deployed: Stoplog, case: Case) -> None:
    to = case.origin("/to", ValueOrigin.TEXT, by=case.result.header.id, instructed=True, paths=("/body",))
    subject = case.origin("/subject", ValueOrigin.USER, by=case.said.header.id)
    hit = rule(RuleEffect.DENY, "a destination stands only in untrusted text")
    intent = case.judged(Outcome.DENY, subject, to, reason="rule_denied", rules=(hit,))
    (told,) = deployed("explain", intent).records
    assert told["story"] == (
        "denied: `to` = x@evil.example came only from files/read mail 14 (untrusted), beside an instruction; "
        "the user named no such recipient (rule PRV-005: a destination stands only in untrusted text)"
    )
    assert [value["name"] for value in told["values"]] == ["to", "subject"]
    assert told["rules"] == [
        {"rule_id": "PRV-005", "effect": "DENY", "reason": "a destination stands only in untrusted text"}
    ]
    text = deployed("explain", intent, "--no-json").out
    assert text.startswith("denied: `to` = x@evil.example came only from")
    assert "was named by the user" in text
    assert f"stoplog rules explain --intent {intent}" in text
    assert len(text.splitlines()) <= 24
    # It is what the screen of the session names for "why".
    screen = deployed("session", "show", intent, "--no-json").out
    assert f"why the last one was not allowed  stoplog explain {intent}" in screen


def test_on_a_terminal_no_sentence_of_a_rule_is_broken_within_a_word(
    deployed: Stoplog, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "an instruction that others wrote asks to put an address, a link or a number into what goes out of here"
    hit = rule(RuleEffect.DENY, why)
    intent = case.judged(Outcome.DENY, reason="rule_denied", reason_text=why, rules=(hit,))
    monkeypatch.setenv("COLUMNS", "100")
    for command in (("explain", intent), ("rules", "explain", "--intent", intent)):
        written = written_to_terminal(monkeypatch, lambda asked=command: run([*asked, "--no-json"])).decode()
        sentences = [line for line in re.sub(r"\x1b\[[\d;]+m", "", written).splitlines() if "stoplog " not in line]
        assert why.partition(",")[0] in written
        assert max(map(len, sentences)) <= 100


def test_an_argument_whose_parts_come_from_several_places_is_shown_once(deployed: Stoplog, case: Case) -> None:
    parts = (case.origin("/to", ValueOrigin.NOWHERE), case.origin("/to", ValueOrigin.TEXT, by=case.result.header.id))
    intent = case.judged(Outcome.DENY, parts[0], case.origin("/subject", ValueOrigin.USER), parts[1])
    _, _, table = deployed("explain", intent, "--no-json").out.partition("where it comes from")
    assert table.count("x@evil.example") == 1
    assert table.count("in part: ") == 2
    assert "in part: was named by the user" not in table


@pytest.mark.parametrize(
    ("outcome", "origin", "changes", "story"),
    [
        (Outcome.ALLOW, ValueOrigin.USER, {}, "allowed: `to` = x@evil.example was named by the user (why)"),
        (
            Outcome.REQUIRE_APPROVAL,
            ValueOrigin.NOWHERE,
            {},
            "waits for a person's approval: `to` = x@evil.example stands in nothing that the user said or the session "
            "has read; the user named no such recipient (why)",
        ),
        (
            Outcome.QUARANTINE,
            ValueOrigin.TEXT,
            {"decoded": True},
            "denied, and the session frozen: `to` = x@evil.example came only from text that others have written "
            "(untrusted), in disguise; the user named no such recipient (why)",
        ),
        (
            Outcome.DENY,
            ValueOrigin.USER,
            {},
            "denied: why",
        ),
    ],
)
def test_every_outcome_and_origin_has_its_words(
    deployed: Stoplog, case: Case, outcome: Outcome, origin: ValueOrigin, changes: dict[str, Any], story: str
) -> None:
    intent = case.judged(outcome, case.origin("/to", origin, **changes), reason_text="why")
    (told,) = deployed("explain", intent).records
    assert told["story"] == story


def test_a_call_that_was_held_first_tells_of_both_decisions(deployed: Stoplog, case: Case) -> None:
    case.judged(Outcome.REQUIRE_APPROVAL, case.origin("/to", ValueOrigin.TEXT), reason_text="a lead must agree")
    intent = case.judged(Outcome.ALLOW, case.origin("/to", ValueOrigin.TEXT))
    (told,) = deployed("explain", intent).records
    assert (told["outcome"], told["held"]) == ("ALLOW", "REQUIRE_APPROVAL")
    assert "first it was held (REQUIRE_APPROVAL): a lead must agree" in deployed("explain", intent, "--no-json").out


@pytest.mark.parametrize(
    ("reason", "answer"), [("approved", "approved by lena"), (GRANT_USED, "approved by a grant of lena")]
)
def test_who_has_approved_a_call_is_told(deployed: Stoplog, case: Case, reason: str, answer: str) -> None:
    case.judged(Outcome.REQUIRE_APPROVAL, reason_text="a lead must agree")
    intent = case.judged(Outcome.ALLOW, reason_text="a user who may send")
    for told_as in (GRANT_MADE, reason):
        case.writer.put(case.maker, [case.answer(told_as, "lena")])
    (told,) = deployed("explain", intent).records
    assert (told["story"], told["answers"]) == (f"allowed, {answer}: a user who may send", [answer])
    assert f"a lead must agree; then {answer}" in deployed("explain", intent, "--no-json").out
    (shown,) = deployed("session", "show", intent).records
    assert [call["answers"] for call in shown["intents"] if call["intent_id"] == intent] == [[answer]]
    assert f"; {answer}" in deployed("session", "show", intent, "--no-json").out


def test_the_causes_of_a_call_tell_of_a_grant_what_gates_have_recorded_of_it(deployed: Stoplog, case: Case) -> None:
    intent = case.judged(Outcome.ALLOW)
    case.writer.put(case.maker, [case.answer(GRANT_USED, "lena")])
    (cause,) = deployed("audit", "why", intent).records
    assert [answer["scope"] for answer in cause["answers"]] == ["what the grant approves is not on the log any more"]
    made = msgspec.structs.replace(case.answer(GRANT_MADE, "lena"), reason_text="lena grants 2 calls")
    case.writer.put(case.maker, [made])
    (cause,) = deployed("audit", "why", intent).records
    (answer,) = cause["answers"]
    assert answer["scope"].startswith("lena grants 2 calls (granted 20")


def test_who_has_denied_a_call_is_told(deployed: Stoplog, case: Case) -> None:
    case.judged(Outcome.REQUIRE_APPROVAL, reason_text="a lead must agree")
    intent = case.judged(Outcome.DENY, reason="approval_denied", reason_text="a person denied it")
    case.writer.put(case.maker, [case.answer("denied", "lena")])
    (told,) = deployed("explain", intent).records
    assert (told["story"], told["answers"]) == ("denied: a person denied it", ["denied by lena"])


def test_a_decision_without_origins_is_told_by_its_reason(deployed: Stoplog, case: Case) -> None:
    intent = case.judged(Outcome.DENY, reason="tool_not_approved", reason_text="the tool is blocked")
    (told,) = deployed("explain", intent).records
    assert (told["story"], told["values"]) == ("denied: the tool is blocked", [])
    assert "the verdict does not say where they come from" in deployed("explain", intent, "--no-json").out


def test_without_the_right_to_read_verdicts_there_is_less_to_tell(
    deployed: Stoplog, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = case.judged(Outcome.DENY, case.origin("/to", ValueOrigin.TEXT))
    record = AuditEvent(
        header=header("audit", case.writer.now_ms, "default"),
        event_type=AuditEventType.VERDICT,
        session_id="s-1",
        intent_id=intent,
        verdict_id=intent,
        act=case.maker.act,
        outcome=Outcome.DENY,
        tool=case.sent.tool,
        reason="rule_denied",
        reason_text="a destination stands only in untrusted text",
    )
    case.writer.put(case.maker, [record])

    def hidden(_admin: object, topics: list[str], *, configs: bool = False) -> frozenset[str]:
        return frozenset({VERDICT.name}) & frozenset(topics)

    monkeypatch.setattr(EmbeddedAdmin, "hidden", hidden)
    (told,) = deployed("explain", intent).records
    assert told["story"] == "denied: a destination stands only in untrusted text"
    assert (told["values"], told["hidden_topics"]) == ([], [VERDICT.name])
    assert "may not read `agent.verdict.v1`" in deployed("explain", intent, "--no-json").out


def test_an_intent_that_no_gate_has_judged(deployed: Stoplog, case: Case) -> None:
    case.writer.put(case.maker, [case.sent])
    result = deployed("explain", case.sent.intent_id)
    assert (result.status, "no gate has judged" in result.err) == (1, True)


def test_it_tells_by_what_the_user_has_identified_himself(writer: Writer, deployed: Stoplog) -> None:
    case = Case(writer)
    by = ArgumentOrigin(pointer="/to", origin=ValueOrigin.TRUSTED, identified_by=case.read.intent_id)
    told = deployed("explain", case.judged(Outcome.ALLOW, by), "--no-json").out
    assert "counts as the user: the user named the path by which files/read found it" in " ".join(told.split())
