"""The service for questions: a gate asks, a real HTTP receiver gets it, people answer, and the gate decides by that."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from simulation.records import SessionMaker
from streams.audit.releasers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.embedded.reader import EmbeddedReader
from streams.http.server import Server, listen, uvicorn_config
from streams.metrics.declared import QUESTIONS_SENT
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST, TOPICS, Spread
from streams.model.verdict import Outcome
from streams.ports import LogError, Received, TopicSpec
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.services.approvals.errors import ApprovalServiceError
from streams.services.approvals.service import RunningApprovals
from streams.services.approvals.settings import ApprovalsSection
from streams.services.approvals.signing import ID, SIGNATURE, TIMESTAMP, read_secret
from streams.wiring.clock import SystemClock
from tests.kit import MAIL_SEND, GateBench
from tests.unit.sdk.hands import written
from tests.unit.services.ssf.conftest import Other, other
from tests.unit.services.sts.issuers import Issuer, now_s
from tests.waiting import WAIT_S, until

LATE_S = 0.3
"""How much later than webhooks the reader of answers gets records in a test."""
FAULTY_S = 0.5
"""How long the disk is full in a test: enough for twenty attempts."""
ONE = {"ask": "one"}
IDP, AUDIENCE = "https://idp.example", "https://approvals.acme.example"
NAMES = ("chat", "lena", "max")
SECRETS = {name: "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode() for name in NAMES}


def signature(name: str, message_id: str, timestamp: str, body: bytes) -> str:
    """As Standard Webhooks has it, made here a second time."""
    secret = base64.b64decode(SECRETS[name].removeprefix("whsec_"))
    made = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


class Desk:
    """A gate, the service, and the people who answer."""

    def __init__(self, folder: Path, transport: Transport) -> None:
        self.folder = folder
        self.transport = transport
        self.bench = GateBench(with_session=False)
        # The clock of the service is that of the machine, a minute behind the gate's.
        self.bench.driver.advance(transport.now_ms() + 60_000)
        self.session = SessionMaker("s-1")
        self.bench.establish(self.session)
        self.bench.driver.read_raw()
        self.idp = Issuer(IDP, AUDIENCE)
        (folder / "idp.json").write_bytes(self.idp.key_set())
        for name, text in SECRETS.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text + "\n")
        self.http: httpx2.Client

    def section(self, url: str | None = None, **changes: Any) -> ApprovalsSection:
        given: dict[str, Any] = {
            "port": 0,
            "retry_first_ms": 20,
            "retry_max_ms": 100,
            "per_address_per_minute": 100_000,
            "signers": {"lena": {"sub": "lena", "groups": ["leads"], "secret_file": str(self.folder / "lena")}},
            "people": {
                "idp": {
                    "issuer": IDP,
                    "jwks": str(self.folder / "idp.json"),
                    "audience": [AUDIENCE],
                    "algorithms": ["ES256"],
                }
            },
        }
        if url is not None:
            given["webhooks"] = {"chat": {"url": url, "secret_file": str(self.folder / "chat")}}
        return ApprovalsSection.model_validate(given | changes)

    def ask(self, *targets: str) -> ApprovalRequest:
        """Propose calls that need approval, and return the last request."""
        for target in targets:
            self.bench.propose(MAIL_SEND, {**ONE, "to": target}, self.session)
        return self.carry()[-1]

    def ask_in(self, *sessions: str) -> None:
        """Propose a call that needs approval in each of other sessions."""
        makers = [SessionMaker(name) for name in sessions]
        for maker in makers:
            self.bench.establish(maker)
        for maker in makers:
            self.bench.propose(MAIL_SEND, ONE, maker)
        self.carry()

    def carry(self) -> list[ApprovalRequest]:
        found = []
        for read in self.bench.driver.read(APPROVAL_REQUEST.name):
            assert isinstance(read.record, ApprovalRequest)
            found.append(read.record)
            publish(
                self.transport,
                [outgoing(self.transport, APPROVAL_REQUEST, read.key or b"", read.record, read.record.header)],
            )
        return found

    def decided(self) -> list[Outcome]:
        """Let the gate read the answers, and return the final outcomes."""
        self.bench.verdicts()
        for decision in written(self.transport, ApprovalDecision):
            self.bench.driver.pipe(APPROVAL_DECISION.name, self.session.key, decision)
        return [verdict.outcome for verdict in self.bench.verdicts()]

    def post(self, body: dict[str, Any] | bytes, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.http.post("/answers", content=content, headers=given)

    def signed(self, body: dict[str, Any], by: str = "lena", at_s: int = 0) -> httpx2.Response:
        content, timestamp = json.dumps(body).encode(), str(at_s or now_s())
        given = {ID: "msg-1", TIMESTAMP: timestamp, SIGNATURE: signature(by, "msg-1", timestamp, content)}
        return self.post(content, **given)

    def with_token(self, body: dict[str, Any], sub: str = "lena", **claims: Any) -> httpx2.Response:
        token = self.idp.token(sub, **({"groups": ["leads"]} | claims))
        return self.post(body, authorization=f"Bearer {token}")


Open = Callable[..., RunningApprovals]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = SystemClock()
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    admin = log.admin()
    admin.create([TopicSpec(t.name, 1 if t.spread is Spread.BROADCAST else 2, t.config()) for t in TOPICS], 1)
    admin.close()
    with Transport(log, Codec(CommittedSchemas.load()), clock, ANYBODY) as transport:
        yield Desk(tmp_path, transport)
    log.close()


@pytest.fixture
def opened(desk: Desk) -> Iterator[Open]:
    with ExitStack() as stack:

        def opening(section: ApprovalsSection) -> RunningApprovals:
            running = stack.enter_context(RunningApprovals(section, desk.transport, folder=desk.folder / "approvals"))
            listening = listen(section)
            stack.callback(listening.close)
            started = threading.Event()
            server = Server(uvicorn_config(running.application, section), lambda *_: started.set())
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            stack.callback(thread.join, WAIT_S)
            stack.callback(setattr, server, "should_exit", True)
            assert started.wait(WAIT_S)
            port = listening.getsockname()[1]
            desk.http = stack.enter_context(
                httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S, trust_env=False)
            )
            until(lambda: not running.health().waits_for, "all questions are read")
            return running

        yield opening


@pytest.fixture
def chat() -> Iterator[Other]:
    with other() as receiver:
        yield receiver


def answer_to(request: ApprovalRequest, answer: str = "approve", **more: Any) -> dict[str, Any]:
    return {"task_id": request.task_id, "revision": request.revision, "answer": answer, **more}


def asked_in(chat: Other) -> list[str]:
    """Return the sessions of the questions that a receiver has accepted, in order."""
    return [json.loads(body)["data"]["session"].rpartition("|")[2] for body in chat.tokens]


class TestWebhooks:
    def test_a_question_is_sent_signed_until_it_is_accepted(self, desk: Desk, opened: Open, chat: Other) -> None:
        chat.answers = [(500, b""), (429, b""), (404, b"")]
        opened(desk.section(chat.url))
        request = desk.ask("ann", "bob")
        until(lambda: len(chat.tokens) == 2, "both forms of the question are accepted")
        assert len(chat.headers) == 5
        for headers, body in zip(chat.headers[3:], chat.tokens, strict=True):
            expected = signature("chat", headers[ID], headers[TIMESTAMP], body.encode())
            assert headers[SIGNATURE] == expected
        assert len({headers[ID] for headers in chat.headers[:4]}) == 1
        message = json.loads(chat.tokens[-1])
        assert message["type"] == "approval.requested"
        data = message["data"]
        assert (data["task_id"], data["revision"], len(data["calls"])) == (request.task_id, 1, 2)
        assert data["answer_url"] == "http://127.0.0.1:8422/answers"
        assert data["summary"] == "mail/send (and 1 more) for alice: a lead must say so"

    def test_a_question_is_an_access_request_of_authzen_as_well(self, desk: Desk, opened: Open, chat: Other) -> None:
        opened(desk.section(chat.url))
        question = desk.ask("ann", "bob")
        until(lambda: len(chat.tokens) == 2, "both forms of the question are accepted")
        asked = json.loads(chat.tokens[-1])["data"]["access_request"]
        assert (asked["task"]["id"], asked["task"]["status"]) == (question.task_id, "pending")
        assert asked["client"]["actor"]["id"] == question.act.sub
        items = {item["denial"]["evaluation_id"]: item for item in asked["items"]}
        assert set(items) == {call.verdict_id for call in question.calls}
        item = items[question.verdict_id]
        assert item["subject"] == {"type": "user", "id": "alice"}
        assert (item["action"]["name"], item["resource"]) == ("tools/call", {"type": "tool", "id": "mail/send"})
        assert item["context"]["arguments"] == json.loads(question.args_json)
        assert item["denial"]["reason"] == "approval_required"

    def test_a_bot_may_answer_a_question_at_once(
        self, desk: Desk, opened: Open, chat: Other, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        poll = EmbeddedReader.poll

        def polled_late(reader: EmbeddedReader, max_records: int, timeout_ms: int) -> list[Received]:
            found = poll(reader, max_records, timeout_ms)
            if threading.current_thread().name == "stoplog-approvals-questions":
                time.sleep(LATE_S)
            return found

        monkeypatch.setattr(EmbeddedReader, "poll", polled_late)
        opened(desk.section(chat.url))
        request = desk.ask("ann")
        until(lambda: chat.tokens, "the bot has the question")
        assert desk.signed(answer_to(request)).status_code == 202

    def test_nothing_is_lost_or_sent_twice_over_a_restart(self, desk: Desk, opened: Open, chat: Other) -> None:
        chat.answers = [(503, b"")] * 1_000
        desk.ask("ann")
        first = RunningApprovals(desk.section(chat.url), desk.transport, folder=desk.folder / "approvals")
        until(lambda: len(chat.headers) >= 2, "it was tried")
        first.close()
        chat.answers = []
        opened(desk.section(chat.url))
        until(lambda: len(chat.tokens) == 1, "it is sent after the restart")
        desk.ask("bob")
        until(lambda: len(chat.tokens) == 2, "and the next one")
        assert [json.loads(body)["data"]["revision"] for body in chat.tokens] == [0, 1]

    def test_what_the_receiver_can_not_read_holds_up_nothing(self, desk: Desk, opened: Open, chat: Other) -> None:
        chat.answers = [(422, b"")]
        running = opened(desk.section(chat.url))
        desk.ask("ann", "bob")
        until(lambda: len(chat.tokens) == 1, "the second form is accepted")
        # An attempt is counted when its answer has arrived, which is after the receiver has the message.
        until(lambda: running.metrics.value(QUESTIONS_SENT, "chat", "accepted") == 1, "and counted")
        counted = [running.metrics.value(QUESTIONS_SENT, "chat", each) for each in ("rejected", "accepted", "failed")]
        assert counted == [1, 1, 0]

    def test_a_question_that_the_receiver_never_takes_holds_up_no_other(
        self, desk: Desk, opened: Open, chat: Other
    ) -> None:
        chat.forbidden = b"../../etc/passwd"
        running = opened(desk.section(chat.url))
        desk.ask("../../etc/passwd")
        desk.ask_in("s-2", "s-3", "s-4", "s-5")
        until(lambda: len(chat.tokens) == 4, "the others are accepted")
        running.close()
        # A restart forgets none that was put aside.
        chat.forbidden = b""
        opened(desk.section(chat.url))
        until(lambda: b"../../etc/passwd" in "".join(chat.tokens).encode(), "and it is, once it is taken")

    def test_a_question_that_was_put_aside_is_tried_again(self, desk: Desk, opened: Open, chat: Other) -> None:
        chat.answers = [(403, b"")] * 8
        opened(desk.section(chat.url))
        desk.ask("ann")
        until(lambda: len(chat.tokens) == 1, "it is accepted in the end")
        assert len(chat.headers) == 9

    def test_what_was_accepted_is_not_sent_again_for_one_that_is_put_aside(
        self, desk: Desk, opened: Open, chat: Other, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        poll, faults = EmbeddedReader.poll, [LogError("the log is away")]

        def polled_once_more(reader: EmbeddedReader, max_records: int, timeout_ms: int) -> list[Received]:
            if chat.tokens and threading.current_thread().name == "stoplog-approvals-chat" and faults:
                raise faults.pop()
            return poll(reader, max_records, timeout_ms)

        monkeypatch.setattr(EmbeddedReader, "poll", polled_once_more)
        chat.forbidden = b"../../etc/passwd"
        running = opened(desk.section(chat.url))
        desk.ask("../../etc/passwd")
        desk.ask_in("s-2", "s-3", "s-4")
        until(lambda: not faults and len(chat.tokens) >= 3, "the others are accepted, and the log was opened again")
        desk.ask_in("s-5")
        until(lambda: "s-5" in asked_in(chat), "the next one is accepted")
        assert sorted(asked_in(chat)) == ["s-2", "s-3", "s-4", "s-5"]
        running.close()
        # A restart forgets neither what was accepted nor what was put aside.
        opened(desk.section(chat.url))
        desk.ask_in("s-6")
        until(lambda: "s-6" in asked_in(chat), "the next one is accepted")
        chat.forbidden = b""
        until(lambda: "s-1" in asked_in(chat), "and the one that was put aside, once it is taken")
        assert sorted(asked_in(chat)) == ["s-1", "s-2", "s-3", "s-4", "s-5", "s-6"]

    def test_what_was_accepted_is_not_sent_again_because_the_disk_was_full(
        self, desk: Desk, opened: Open, chat: Other
    ) -> None:
        opened(desk.section(chat.url))
        with closing(sqlite3.connect(desk.folder / "approvals" / "sent.sqlite")) as disk:
            disk.execute("CREATE TRIGGER full BEFORE INSERT ON sent BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
            disk.commit()
            desk.ask("ann")
            until(lambda: chat.tokens, "the question is accepted")
            time.sleep(FAULTY_S)
            disk.execute("DROP TRIGGER full")
            disk.commit()
        desk.ask_in("s-2")
        until(lambda: "s-2" in asked_in(chat), "the next one is accepted")
        assert asked_in(chat) == ["s-1", "s-2"]

    def test_a_receiver_that_was_down_gets_the_newest_question_last(
        self, desk: Desk, opened: Open, chat: Other
    ) -> None:
        # Five attempts of the first, five of the second, and two of the third, with one of an older one before each.
        chat.answers = [(503, b"")] * (5 + 10 + 4)
        desk.ask_in("s-2", "s-3", "s-4")
        opened(desk.section(chat.url, retry_max_ms=60_000))
        until(lambda: len(chat.tokens) == 3, "all are accepted")
        tried = [headers[ID] for headers in chat.headers]
        newest = list(dict.fromkeys(tried))[-1]
        assert tried.index(newest) == 5 + 10 + 1
        assert [each == newest for each in tried[-3:]] == [False, False, True]


class TestAnswers:
    def test_a_signed_answer_of_a_person_decides(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        request = desk.ask("ann", "bob")
        until(lambda: desk.signed(answer_to(request)).status_code == 202, "the question is known")
        assert desk.decided() == [Outcome.ALLOW, Outcome.ALLOW]
        (decision, *_) = written(desk.transport, ApprovalDecision)
        assert (decision.approver.sub, decision.approver_groups) == ("lena", ("leads",))

    def test_one_with_a_token_does_too_and_counts_once(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        request = desk.ask("ann")
        body = answer_to(request, "deny", comment="not him")
        until(lambda: desk.with_token(body, acr="gold", amr=["hwk"]).status_code == 202, "the question is known")
        assert desk.with_token(body, acr="gold", amr=["hwk"]).json()["status"] == "DENIED"
        assert desk.decided() == [Outcome.DENY]
        decisions = written(desk.transport, ApprovalDecision)
        assert len({decision.header.id for decision in decisions}) == 1
        assert (decisions[0].approver.iss, decisions[0].acr, decisions[0].amr) == (IDP, "gold", ("hwk",))

    def test_an_answer_is_about_what_was_shown(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        first = desk.ask("ann")
        desk.ask("attacker")
        until(lambda: desk.signed(answer_to(first)).status_code == 202, "the question is known")
        assert desk.decided() == [Outcome.ALLOW]

    def test_once_one_group_has_answered_only_the_next_may(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        desk.bench.propose(MAIL_SEND, {**ONE, "ask": "both"}, desk.session)
        (first,) = desk.carry()
        until(lambda: desk.signed(answer_to(first)).status_code == 202, "the question is known")
        for decision in written(desk.transport, ApprovalDecision):
            desk.bench.driver.pipe(APPROVAL_DECISION.name, desk.session.key, decision)
        (second,) = desk.carry()
        until(lambda: desk.with_token(answer_to(second)).status_code == 403, "the next question is known")
        again = desk.signed(answer_to(first))
        told = f"question `{first.task_id}` is answered: now question `{second.task_id}` asks security"
        assert (again.status_code, again.json()["error"]) == (403, told)
        assert desk.with_token(answer_to(second), groups=["security"]).status_code == 202

    def test_further_calls_can_be_approved(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        request = desk.ask("ann@corp.example")
        body = answer_to(request, **{"for": "session", "match": ["to=*@corp.example"], "times": 1, "until": "30m"})
        until(lambda: desk.signed(body).status_code == 202, "the question is known")
        assert desk.decided() == [Outcome.ALLOW]
        judged = desk.bench.judge(MAIL_SEND, {**ONE, "to": "bob@corp.example"}, session=desk.session)
        assert judged.outcome is Outcome.ALLOW

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"by": "lena"}, 400),
            ({"approver": {"sub": "lena"}}, 400),
            ({"answer": "yes"}, 400),
            ({"revision": 7}, 404),
            ({"task_id": "00000000-0000-0000-0000-000000000000"}, 404),
            ({"calls": ["no-such"]}, 422),
            ({"times": 3}, 422),
            ({"for": "session", "match": ["cc=*"]}, 422),
        ],
    )
    def test_what_an_answer_can_not_say(self, desk: Desk, opened: Open, change: dict[str, Any], status: int) -> None:
        opened(desk.section())
        request = desk.ask("ann")
        until(lambda: desk.signed(answer_to(request, **change)).status_code == status, "it is refused")
        assert written(desk.transport, ApprovalDecision) == []

    def test_who_is_not_identified_does_not_answer(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        body = answer_to(desk.ask("ann"))
        assert desk.post(body).status_code == 401
        assert desk.post(body, authorization="Basic bGVuYQ==").status_code == 401
        assert desk.signed(body, by="chat").status_code == 401
        assert desk.signed(body, at_s=now_s() - 3_600).status_code == 401
        stranger = Issuer(IDP, AUDIENCE).token("lena", groups=["leads"])
        assert desk.post(body, authorization=f"Bearer {stranger}").status_code == 401
        assert desk.with_token(body, aud="https://other.example").status_code == 401
        assert desk.with_token(body, exp=now_s() - 1).status_code == 401
        assert written(desk.transport, ApprovalDecision) == []

    def test_no_agent_answers_in_the_name_of_a_person(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        body = answer_to(desk.ask("ann"))
        for claims in ({"act": {"sub": "assistant"}}, {"sub_profile": "ai_agent"}):
            refused = desk.with_token(body, **claims)
            assert (refused.status_code, "a person must answer" in refused.json()["error"]) == (403, True)

    @pytest.mark.parametrize(("tenant", "status"), [("acme", 202), ("globex", 404)])
    def test_people_answer_the_questions_of_their_tenants_alone(
        self, desk: Desk, opened: Open, tenant: str, status: int
    ) -> None:
        section = desk.section()
        known = {"sub": "max", "groups": ["others"], "secret_file": str(desk.folder / "chat")}
        lena = {**section.signers["lena"].model_dump(), "tenants": [tenant]}
        idp = {**section.people["idp"].model_dump(), "tenants": [tenant]}
        opened(desk.section(signers={"lena": lena, "max": known}, people={"idp": idp}))
        request = desk.ask("ann")
        until(lambda: desk.signed(answer_to(request), by="chat").status_code == 403, "the question is known")
        assert desk.signed(answer_to(request)).status_code == status
        assert desk.with_token(answer_to(request)).status_code == status
        assert len(written(desk.transport, ApprovalDecision)) == (2 if tenant == "acme" else 0)

    def test_only_members_answer_and_nobody_their_own_call(self, desk: Desk, opened: Open) -> None:
        opened(desk.section())
        body = answer_to(desk.ask("ann"))
        until(lambda: desk.with_token(body, groups=["others"]).status_code == 403, "the question is known")
        assert "own call" in desk.with_token(body, sub="Alice").json()["error"]


class TestSettings:
    def test_without_anybody_it_does_not_run(self, desk: Desk) -> None:
        with pytest.raises(ApprovalServiceError, match=r"\[approvals.webhooks.NAME\]"):
            RunningApprovals(ApprovalsSection(), desk.transport, folder=desk.folder)

    @pytest.mark.parametrize(
        "changes",
        [
            {"host": "0.0.0.0"},  # noqa: S104 - refused
            {"webhooks": {"chat": {"url": "http://chat.example", "secret_file": "x"}}},
            {"webhooks": {"chat": {"url": "chat", "secret_file": "x"}}},
            {"tls_key": "x"},
        ],
    )
    def test_what_makes_no_sense(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            ApprovalsSection.model_validate(changes)

    @pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "c2hvcnQ=", "whsec_%%%"])
    def test_secrets_that_are_none(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "secret"
        path.touch(mode=0o600)
        path.write_text(text)
        with pytest.raises(ApprovalServiceError, match="has no secret"):
            read_secret(path)

    def test_a_secret_that_others_can_read(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text(SECRETS["chat"])
        path.chmod(0o644)
        with pytest.raises(ApprovalServiceError, match="can be read by others"):
            read_secret(path)
