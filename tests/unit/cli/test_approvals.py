"""`stoplog approvals`: a real gate asks, a person lists, shows and answers, and the gate decides by that."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset, tool_entry
from streams.codec.instants import format_instant, instant_text, parse_instant
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.audit import AuditEvent
from streams.model.catalog import ToolCatalogEntry
from streams.model.revocation import Revocation
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST, AUDIT, REPORT, REVOCATION, RULESET, VERDICT, Topic
from streams.model.types import Header, Record
from streams.model.verdict import ArgumentOrigin, Outcome, ValueOrigin, Verdict
from streams.operations.approvals import followed
from streams.operations.operator import Operator
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.kit import BUNDLE_FILES, MAIL_SEND, RULES, GateBench
from tests.unit.cli.conftest import Stoplog

replace = msgspec.structs.replace
ONE = {"ask": "one"}
LENA = ("--as", "lena", "--group", "leads", "--yes")


class Office:
    """A gate, and the log that commands use. What one of them writes is carried to the other."""

    def __init__(self, stoplog: Stoplog) -> None:
        self.run = stoplog
        self.bench = GateBench(with_session=False)
        with self.operator() as operator:
            # The clock of commands is that of the machine, a minute behind the gate's.
            self.bench.driver.advance(operator.clock.now_ms() + 60_000)
        self.session = SessionMaker("s-1")
        self.bench.establish(self.session)
        self.bench.driver.read_raw()
        self.carried_count = 0

    def operator(self) -> Operator:
        return open_operator(load_settings())

    def ask(self, args: Mapping[str, Any], entry: ToolCatalogEntry = MAIL_SEND, **changes: Any) -> Outcome:
        """Propose a call, and return the last verdict on it."""
        intent = self.bench.propose(entry, args, self.session, **changes)
        return self.carry()[intent.intent_id]

    def carry(self, *, changed: Mapping[type[Record], Any] | None = None) -> dict[str, Outcome]:
        """Bring what the gate wrote to the log of the commands, and return the verdicts."""
        outcomes: dict[str, Outcome] = {}
        with self.operator() as operator:
            for topic in (VERDICT, APPROVAL_REQUEST, AUDIT):
                for read in self.bench.driver.read(topic.name):
                    self._put(operator, topic, read.key or b"", read.record)
                    if isinstance(read.record, Verdict):
                        outcomes[read.record.intent_id] = read.record.outcome
        return outcomes

    def _put(self, operator: Operator, topic: Topic, key: bytes, record: Record | None) -> None:
        assert isinstance(record, Verdict | ApprovalRequest | AuditEvent)
        operator.write(topic, [(key, record, record.header)])

    def decided(self) -> dict[str, Outcome]:
        """Bring what people wrote to the gate, and return the verdicts that follow."""
        with self.operator() as operator:
            for topic, kind in ((APPROVAL_DECISION, ApprovalDecision), (REVOCATION, Revocation)):
                found = [(received.key, record) for received, record in operator.find(topic)]
                for key, record in found:
                    assert isinstance(record, kind)
                    assert key is not None
                    self.bench.driver.pipe(topic.name, key, record)
        self.bench.driver.read_raw("agent.approval.decision.v1.dlq")
        return self.carry()

    def answers(self, intent_id: str) -> list[dict[str, Any]]:
        """What people have answered about a call, as its causes tell."""
        (cause,) = self.run("audit", "why", intent_id).records
        answers: list[dict[str, Any]] = cause["answers"]
        return answers

    def text(self, *args: str) -> str:
        result = self.run("approvals", *args, "--no-json")
        assert (result.status, result.err) == (0, "")
        return result.out


@pytest.fixture
def office(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("STOPLOG_RELEASE__ALLOW_UNSIGNED", "true")
    monkeypatch.setenv("STOPLOG_TENANT", "acme")
    # No gate decides while a command runs.
    monkeypatch.setattr(followed, "WAIT_MS", 0)
    assert stoplog("topics", "apply").status == 0
    return Office(stoplog)


@pytest.fixture
def staffed(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """One whose gate decides as soon as somebody answers."""
    write = Operator.write

    def decided(operator: Operator, topic: Topic, records: Sequence[tuple[bytes, Record, Header]]) -> None:
        write(operator, topic, records)
        if topic is APPROVAL_DECISION:
            office.decided()

    monkeypatch.setattr(followed, "WAIT_MS", 60_000)
    monkeypatch.setattr(Operator, "write", decided)
    return office


def task_of(office: Office) -> str:
    (listed,) = office.run("approvals", "list").records
    return str(listed["task_id"])


def test_nothing_is_asked(office: Office) -> None:
    assert office.text("list").splitlines() == ["no question waits for an answer"]
    assert office.text("grants").splitlines() == ["people have granted nothing that is in force"]
    for command in ("show", "approve", "deny"):
        result = office.run("approvals", command, "abc")
        assert result.status == 1
        assert "there is no question `abc`" in result.err


def test_once_one_group_has_answered_only_the_next_is_asked(office: Office) -> None:
    office.ask({**ONE, "ask": "both"})
    first = task_of(office)
    assert "approvals list" in office.text("approve", first, *LENA)
    assert set(office.decided().values()) == {Outcome.REQUIRE_APPROVAL}
    (listed,) = office.run("approvals", "list").records
    assert listed["eligible_approvers"] == ["security"]
    assert "answered" in office.text("list", "--all")
    now = f"now question {listed['task_id'][:13]} asks security"
    assert f"answered: {now}" in " ".join(office.text("show", first).split())
    again = office.run("approvals", "approve", first, *LENA)
    assert again.status == 1
    assert f"question `{first}` is answered: now question `{listed['task_id']}` asks security" in again.err
    office.run("approvals", "approve", listed["task_id"], "--as", "sam", "--group", "security", "--yes")
    assert set(office.decided().values()) == {Outcome.ALLOW}
    assert office.run("approvals", "list").records == []


def test_who_approves_is_told_who_is_asked_next_and_what_the_gate_has_decided(staffed: Office) -> None:
    staffed.ask({**ONE, "ask": "both"})
    out = staffed.text("approve", task_of(staffed), *LENA)
    second = task_of(staffed)[:13]
    assert f"now question {second} asks security" in out
    assert f"stoplog approvals show {second}" in out
    out = staffed.text("approve", second, "--as", "sam", "--group", "security", "--yes")
    assert "the gate has decided: ALLOW" in out
    assert "stoplog approvals list" not in out


def test_who_approves_first_of_several_is_told_that_others_are_asked(office: Office) -> None:
    rules = RULES.replace("approval: {group: leads, quorum: 1, ttl: 10m}", "approval: {group: leads, quorum: 2}")
    published = replace(ruleset({**BUNDLE_FILES, "testing/testing.rules.yaml": rules}), serial=2)
    office.bench.driver.pipe(RULESET.name, b"default", published)
    office.ask(ONE)
    out = office.text("approve", task_of(office), *LENA)
    assert "2 people have to approve: leads is asked until that many have" in out


def test_one_answer_decides_all_calls_that_were_shown(office: Office) -> None:
    office.ask({**ONE, "to": "ann"})
    office.ask({**ONE, "to": "bob"})
    (listed,) = office.run("approvals", "list").records
    assert len(listed["waiting"]) == 2
    task = listed["task_id"]
    assert "mail/send" in office.text("list")
    shown = office.text("show", task[:13])
    assert "call 2 of 2: mail/send" in shown
    assert "can't be undone" in shown
    assert "approvals approve" in shown
    (decision,) = office.run("approvals", "approve", task, *LENA).records
    assert len(decision["calls"]) == 2
    assert set(office.decided().values()) == {Outcome.ALLOW}
    assert office.run("approvals", "list").records == []
    assert "decided: ALLOW" in office.text("show", task)
    result = office.run("approvals", "approve", task, *LENA)
    assert result.status == 1
    assert "is decided: ALLOW" in result.err


def test_what_the_session_has_read_is_counted_and_not_a_list_of_ids(office: Office) -> None:
    events = [office.session.event(SessionEventType.RETRIEVAL, office.bench.now_ms) for _ in range(2)]
    for event in events:
        office.bench.driver.pipe(REPORT.name, office.session.key, event)
    office.ask({**ONE, "to": "ann"})
    shown = office.text("show", task_of(office)[:13])
    (read,) = [line.strip() for line in shown.splitlines() if line.strip().startswith("has read")]
    assert read.split("  ")[-1].strip() == f"2 inputs: 2 untrusted ({', '.join(each.header.id[:8] for each in events)})"
    assert events[0].header.id not in shown
    assert "stoplog session show 'acme|s-1'" in shown


def test_calls_that_joined_after_the_person_looked_are_not_approved_unseen(office: Office) -> None:
    office.ask({**ONE, "to": "ann"})
    task = task_of(office)
    (step,) = (line for line in office.text("show", task).splitlines() if line.startswith("approve these calls"))
    words = shlex.split(step.removeprefix("approve these calls"))[2:]
    office.ask({**ONE, "to": "attacker"})
    refused = office.run("approvals", *words, *LENA)
    assert refused.status == 1
    assert "is at revision 1, not 0: further calls have joined it" in refused.err
    assert set(office.decided().values()) == set()
    assert office.run("approvals", "approve", task, "--revision", "1", *LENA).status == 0
    assert set(office.decided().values()) == {Outcome.ALLOW}
    assert office.run("approvals", "approve", task, task, "--revision", "1", *LENA).status == 2


def test_one_call_of_several_can_be_denied(office: Office) -> None:
    office.ask({**ONE, "to": "ann"})
    office.ask({**ONE, "to": "bob"})
    task = task_of(office)
    (listed,) = office.run("approvals", "list").records
    first = listed["calls"][0]["intent_id"]
    office.run("approvals", "deny", task, "--call", first, *LENA)
    assert office.decided() == {first: Outcome.DENY}
    (left,) = office.run("approvals", "list").records
    assert first not in left["waiting"]
    assert office.run("approvals", "deny", task, "--call", "no-such", *LENA).status == 1


def test_further_calls_are_approved_within_bounds_until_that_is_revoked(office: Office) -> None:
    office.ask({**ONE, "to": "ann@corp.example"})
    bounds = ("--for", "session", "--match", "to=*@corp.example", "--times", "2", "--within", "30m")
    told = office.text("approve", task_of(office), *LENA, *bounds)
    assert "and approve 2 calls of this session, until " in told
    assert 'mail/send with ask: exactly "one", to: like *@corp.example' in told
    assert set(office.decided().values()) == {Outcome.ALLOW}
    assert office.ask({**ONE, "to": "bob@corp.example"}) is Outcome.ALLOW
    assert office.ask({**ONE, "to": "bob@elsewhere.example"}) is Outcome.REQUIRE_APPROVAL
    (granted,) = office.run("approvals", "grants").records
    assert (granted["used"], granted["state"], granted["by"]) == (1, "in force", "lena")
    assert "1 of 2" in office.text("grants")
    office.run("approvals", "revoke", granted["uid"][:13], "--why", "enough")
    assert office.run("approvals", "grants").records == []
    (kept,) = office.run("approvals", "grants", "--all").records
    assert kept["state"] == "revoked"
    office.decided()
    assert office.ask({**ONE, "to": "eve@corp.example"}) is Outcome.REQUIRE_APPROVAL


def test_the_causes_of_a_call_name_who_has_approved_what(office: Office) -> None:
    office.ask({**ONE, "to": "ann@corp.example"})
    bounds = ("--for", "session", "--match", "to=*@corp.example", "--times", "2")
    office.run("approvals", "approve", task_of(office), *LENA, *bounds)
    (first,) = office.decided()
    second = office.bench.propose(MAIL_SEND, {**ONE, "to": "bob@corp.example"}, office.session).intent_id
    office.carry()
    approved = '2 calls of this session: mail/send with ask: exactly "one", to: like *@corp.example'
    (answer,) = office.answers(first)
    assert (answer["answer"], answer["scope"]) == ("approved by lena", f"this call, and {approved}")
    granted = format_instant(answer["time_ms"])
    (used,) = office.answers(second)
    assert (used["answer"], used["scope"]) == ("approved by a grant of lena", f"{approved} (granted {granted})")
    told = " ".join(office.run("audit", "why", first, "--no-json").out.split())
    assert f"approved by lena: this call, and {approved}".replace(" ", "") in told.replace(" ", "")
    assert instant_text(answer["time_ms"]) in told


def test_the_causes_of_a_call_name_who_has_denied_it(office: Office) -> None:
    office.ask({**ONE, "to": "ann"})
    office.run("approvals", "deny", task_of(office), *LENA)
    (intent,) = office.decided()
    (answer,) = office.answers(intent)
    assert (answer["answer"], answer["scope"]) == ("denied by lena", "")


def test_without_bounds_only_the_same_call_is_approved_again(office: Office) -> None:
    office.ask({**ONE, "to": "ann"})
    office.run("approvals", "approve", task_of(office), *LENA, "--for", "task")
    office.decided()
    assert office.ask({**ONE, "to": "ann"}) is Outcome.ALLOW
    assert office.ask({**ONE, "to": "bob"}) is Outcome.REQUIRE_APPROVAL


@pytest.mark.parametrize(
    ("bound", "is_told"),
    [("to=*@corp.example", False), ("to=*@crop.example", True), ("to=bob@corp.example", True), ("to=*", False)],
)
def test_bounds_that_leave_out_what_was_shown_are_told(office: Office, bound: str, is_told: bool) -> None:
    """They can be meant, as a lower limit from now on; more often they are mistyped."""
    office.ask({**ONE, "to": "ann@corp.example"})
    approved = office.run("approvals", "approve", task_of(office), *LENA, "--for", "task", "--match", bound)
    assert approved.status == 0
    assert ("warning: your bounds leave out what you were shown" in approved.err) is is_told
    office.decided()
    asked = office.ask({**ONE, "to": "ann@corp.example"})
    assert asked is (Outcome.REQUIRE_APPROVAL if is_told else Outcome.ALLOW)


def test_where_json_is_written_nobody_is_asked_and_yes_is_needed(office: Office) -> None:
    office.ask(ONE)
    for answer in ("approve", "deny"):
        left = office.run("approvals", answer, task_of(office), *LENA[:-1])
        assert left.status == 2
        assert "nobody is asked where JSON is written (`--json`, or a pipe): give `--yes`" in left.err
    assert office.decided() == {}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--times", "2"), "give --for, too"),
        (("--for", "task", "--match", "nonsense"), "is not of the form `ARG=PATTERN`"),
        (("--for", "task", "--match", "cc=*"), "have no argument `cc`; their arguments: ask, to"),
        (("--for", "task", "--match", "to<=5"), "both must be numbers"),
        (("--for", "task", "--times", "0"), "invalid value for `--times`: it must be greater than or equal to 1"),
        (("--for", "task", "--until", "2001-01-01T00:00:00Z"), "is not in the future"),
    ],
)
def test_what_can_not_be_granted(office: Office, options: tuple[str, ...], text: str) -> None:
    office.ask({**ONE, "to": "ann"})
    result = office.run("approvals", "approve", task_of(office), *LENA, *options)
    assert result.status in (1, 2)
    assert text in result.err
    assert office.decided() == {}


def test_each_argument_is_shown_with_its_origin(office: Office) -> None:
    office.bench.propose(MAIL_SEND, {**ONE, "to": "x@evil.example", "body": "hello"}, office.session)
    (read,) = office.bench.driver.read(APPROVAL_REQUEST.name)
    request = read.record
    assert isinstance(request, ApprovalRequest)
    event = request.header.id
    origins = (
        ArgumentOrigin(pointer="/to", origin=ValueOrigin.TEXT, instructed=True, event_ids=(event,), paths=("body",)),
        ArgumentOrigin(pointer="/body", origin=ValueOrigin.USER),
    )
    request = replace(request, calls=(replace(request.calls[0], origins=origins),), purpose="bills")
    with office.operator() as operator:
        operator.write(APPROVAL_REQUEST, [(read.key or b"", request, request.header)])
    lines = office.text("show", request.task_id).splitlines()
    assert any(
        "x@evil.example" in line and f"from text that others wrote, beside an instruction ({event[:8]}, body)" in line
        for line in lines
    )
    assert any("hello" in line and "named by the user" in line for line in lines)
    assert any("purpose" in line and "bills" in line for line in lines)


def test_the_end_of_a_long_argument_is_shown_and_the_rest_is_counted(office: Office) -> None:
    body = "Dear Bob, " + "all is well. " * 300 + "PS: the password is hunter2"
    office.ask({**ONE, "to": "bob@corp.example", "body": body})
    shown = " ".join(office.text("show", task_of(office)).split())
    assert "Dear Bob" in shown
    assert "PS: the password is hunter2" in shown
    assert f"[... {len(body) - 400:,} characters not shown, see them with --json ...]" in shown


def test_the_command_to_see_the_verdict_runs_nothing_else(office: Office) -> None:
    session = SessionMaker("x'; rm -rf '")
    office.bench.establish(session)
    office.bench.propose(MAIL_SEND, ONE, session)
    office.carry()
    out = office.text("approve", task_of(office), *LENA)
    (command,) = (line for line in out.splitlines() if line.startswith("to see the verdict"))
    words = shlex.split(command.removeprefix("to see the verdict"))
    assert words == ["stoplog", "tail", "verdicts", "--session", session.key.decode()]


def test_nobody_decides_on_their_own_call_and_only_members_do(office: Office) -> None:
    office.ask(ONE)
    task = task_of(office)
    for options, text in ((("--as", "Alice", "--group", "leads"), "own call"), (("--as", "lena"), "only members of")):
        result = office.run("approvals", "approve", task, "--yes", *options)
        assert result.status == 1
        assert text in result.err


def test_an_answer_that_would_not_count_is_rejected_before_anybody_confirms_it(office: Office) -> None:
    office.ask(ONE)
    rejected = office.run("approvals", "approve", task_of(office), "--as", "lena", "--group", "cooks", "--no-json")
    assert (rejected.status, rejected.out) == (1, "")
    assert rejected.err.startswith("error: only members of leads may decide, and you have named cooks; name your group")


def test_of_a_question_that_is_decided_the_list_has_the_outcome_and_no_command_to_answer_it(office: Office) -> None:
    assert office.text("list", "--all").splitlines() == ["people were asked nothing"]
    office.ask(ONE)
    assert "stoplog approvals deny" in office.text("list", "--all")
    office.run("approvals", "approve", task_of(office), *LENA)
    office.decided()
    shown = office.text("list", "--all")
    assert "decided: ALLOW" in shown
    assert "stoplog approvals show" in shown
    assert "stoplog approvals approve" not in shown


def test_a_question_that_is_decided_says_who_has_answered_and_not_how_to(office: Office) -> None:
    office.ask(ONE)
    task = task_of(office)
    office.run("approvals", "approve", task, *LENA)
    office.decided()
    lines = office.text("show", task).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("an answer covers")] == ["more"]
    assert not [line for line in lines if "stoplog approvals" in line]
    (step,) = [line for line in lines if line.startswith("who has answered")]
    words = shlex.split(step.partition(" stoplog ")[2])
    assert "approved by lena" in office.run(*words, "--no-json").out
    again = office.run("approvals", "deny", task, *LENA, "--call", "0")
    assert (again.status, again.err) == (1, f"error: no call of question `{task}` waits for an answer\n")


def test_where_nobody_can_confirm_the_option_to_give_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.ask(ONE)
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        left = office.run("approvals", "deny", task_of(office), *LENA[:-1], "--no-json")
    assert left.status != 0
    assert "error: standard input ended before the question was answered" in left.err
    assert "`--yes`" in left.err
    assert "decided" not in left.out


def test_numbers_are_bounded_from_above(office: Office) -> None:
    entry = tool_entry("mail", "send")
    office.bench.publish(replace(entry, catalog_version=2))
    office.ask({**ONE, "amount": 50}, replace(entry, catalog_version=2))
    office.run("approvals", "approve", task_of(office), *LENA, "--for", "task", "--match", "amount<=100")
    office.decided()
    found = [office.ask({**ONE, "amount": amount}, replace(entry, catalog_version=2)) for amount in (100, 101)]
    assert found == [Outcome.ALLOW, Outcome.REQUIRE_APPROVAL]


def test_the_time_left_is_told(office: Office) -> None:
    office.ask(ONE)
    (listed,) = office.run("approvals", "list").records
    expires = listed["calls"][0]["expires_at"]
    assert (expires if isinstance(expires, int) else parse_instant(expires)) > 0
    assert "m " in office.text("list").splitlines()[1]


def test_what_the_rules_let_nobody_approve_is_refused_here(office: Office) -> None:
    rules = RULES.replace("approval: {group: leads, quorum: 1, ttl: 10m}", "approval: {group: leads, grants: none}")
    published = replace(ruleset({**BUNDLE_FILES, "testing/testing.rules.yaml": rules}), serial=2)
    office.bench.driver.pipe(RULESET.name, b"default", published)
    office.ask(ONE)
    task = task_of(office)
    assert "nothing: the rules let nobody" in office.text("show", task)
    result = office.run("approvals", "approve", task, *LENA, "--for", "task")
    assert (result.status, "let nobody approve further calls" in result.err) == (1, True)
