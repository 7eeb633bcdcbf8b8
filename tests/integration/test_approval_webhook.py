"""The webhook of questions on a real broker: a gate asks, a chat tool is told, and only a sound answer decides.

The gate and the service are real processes. Whatever is not the signed answer of a member, about a question of the
member's own tenant, made now, is refused, and decides nothing; an answer that is sent again decides nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from simulation.records import SessionMaker
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.intent import Intent
from streams.model.reasons import Reason
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST, INTENT, SESSION, Topic
from streams.model.types import Record
from streams.model.verdict import Outcome
from streams.operations.topics.reader import read_to_end
from streams.services.approvals.signing import ID, SIGNATURE, TIMESTAMP
from streams.services.approvals.webhooks import STUCK_AFTER
from streams.wiring.clock import SystemClock
from tests.integration.deployment import PAY, Deployment, Verdicts, now_ms, serving, until
from tests.unit.services.approvals.test_service import SECRETS, signature
from tests.unit.services.ssf.conftest import Other, other
from tests.unit.services.sts.issuers import now_s

pytestmark = pytest.mark.broker

PAUSE_S = 0.1
"""Between two looks at something that another process does."""

RULES = {
    "bundle.yaml": 'apiVersion: rules/v1\nbundle: bank\nversion: "1"\nmode: enforce\nowners: [test]\npacks: [pay]\n',
    "pay/pay.rules.yaml": """apiVersion: rules/v1
pack: pay
rules:
  - {id: PAY-001, effect: permit, match: {tools: [bank.pay]}, when: "true", reason: payments are permitted}
  - id: PAY-002
    effect: require_approval
    match: {tools: [bank.pay]}
    when: "true"
    approval: {group: leads, quorum: 1, ttl: 15m}
    reason: a lead must say so
""",
}


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare(RULES)
        yield made


@pytest.fixture
def chat() -> Iterator[Other]:
    with other() as receiver:
        yield receiver


@contextmanager
def service(deployment: Deployment, url: str) -> Iterator[httpx2.Client]:
    """`stoplog approvals serve`, with a chat tool, and a person who answers for `acme` and one for `globex`."""
    folder = deployment.folder
    for name, text in SECRETS.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
    (folder / "approvals.toml").write_text(
        # All requests come from one address, and how many there are depends on how fast the service reads.
        "[approvals]\nper_address_per_minute = 100_000\nretry_max_ms = 1_000\n"
        f'[approvals.webhooks.chat]\nurl = "{url}"\nsecret_file = "{folder / "chat"}"\ntenants = ["acme"]\n'
        f'[approvals.signers.lena]\nsub = "lena"\ngroups = ["leads"]\nsecret_file = "{folder / "lena"}"\n'
        'tenants = ["acme"]\n'
        f'[approvals.signers.max]\nsub = "max"\ngroups = ["others"]\nsecret_file = "{folder / "max"}"\n'
        'tenants = ["globex"]\n'
    )
    with serving(
        deployment, folder / "approvals.toml", "approvals", "serve", state=folder / "state-approvals"
    ) as client:
        yield client


class Answer:
    """The body of an answer and its signature, as they are sent."""

    def __init__(self, question: dict[str, Any], answer: str, *, by: str = "lena", at_s: int = 0) -> None:
        told = {"task_id": question["task_id"], "revision": question["revision"], "answer": answer}
        self.body = json.dumps(told).encode()
        timestamp = str(at_s or now_s())
        self.headers = {
            "content-type": "application/json",
            ID: f"answer-to-{question['task_id']}",
            TIMESTAMP: timestamp,
            SIGNATURE: signature(by, f"answer-to-{question['task_id']}", timestamp, self.body),
        }

    def send(self, client: httpx2.Client) -> int:
        """Send it, again and again while the service still reads the topic; returns the status."""
        statuses: list[int] = []

        def is_answered() -> bool:
            statuses.append(client.post("/answers", content=self.body, headers=self.headers).status_code)
            return statuses[-1] != 503

        until(is_answered, pause_s=PAUSE_S)
        return statuses[-1]


def question_of(chat: Other, intent: Intent) -> dict[str, Any]:
    """The question about a call, once the chat tool has it, with a signature of the service."""
    found: list[dict[str, Any]] = []

    def is_told() -> bool:
        for headers, body in zip(chat.headers, chat.tokens, strict=False):
            assert headers[SIGNATURE] == signature("chat", headers[ID], headers[TIMESTAMP], body.encode())
            data = json.loads(body)["data"]
            if any(call["intent_id"] == intent.intent_id for call in data["calls"]):
                found.append(data)
        return bool(found)

    until(is_told, pause_s=PAUSE_S)
    return found[-1]


def written(deployment: Deployment, topic: Topic) -> list[Record]:
    """All records of a topic."""
    found = read_to_end(deployment.log, (topic.name,), SystemClock())
    return [deployment.codec.decode(each.topic, each.value or b"", each.headers) for each in found]


def decisions(deployment: Deployment) -> list[ApprovalDecision]:
    """The decisions of people on the log."""
    return [record for record in written(deployment, APPROVAL_DECISION) if isinstance(record, ApprovalDecision)]


def task_of(deployment: Deployment, intent: Intent) -> dict[str, Any]:
    """What names the question about a call, as it is on the log."""
    found: list[ApprovalRequest] = []

    def is_asked() -> bool:
        for record in written(deployment, APPROVAL_REQUEST):
            assert isinstance(record, ApprovalRequest)
            if record.intent_id == intent.intent_id:
                found.append(record)
        return bool(found)

    until(is_asked)
    return {"task_id": found[0].task_id, "revision": found[0].revision}


def wait_until_read(client: httpx2.Client, asked: dict[str, Any]) -> None:
    """Wait until the service has read a question to a tenant of max, who may see it but is in no group that decides.

    A question that it has not read has the same status, 404, as one of another tenant.
    """
    answer = Answer(asked, "approve", by="max")

    def is_read() -> bool:
        status = answer.send(client)
        assert status in (403, 404)
        return status == 403

    until(is_read, pause_s=PAUSE_S)


def test_only_a_sound_answer_of_the_tenants_own_people_decides_and_once(deployment: Deployment, chat: Other) -> None:
    session, foreign = deployment.open_sessions(1)[0], SessionMaker("s-foreign", tenant="globex")
    deployment.send(SESSION, foreign.key, foreign.established(now_ms()))
    deployment.flush()
    gate = deployment.gate("gate")
    gate.wait_serving()
    with closing(Verdicts(deployment)) as verdicts, service(deployment, chat.url) as client:
        first = deployment.pay(session, 1)
        deployment.flush()
        question = question_of(chat, first)

        late = Answer(question, "approve", at_s=now_s() - 3_600)
        strangers = Answer(question, "approve", by="chat")
        changed = Answer(question, "deny")
        changed.body = changed.body.replace(b"deny", b"approve")
        unsigned = Answer(question, "approve")
        del unsigned.headers[SIGNATURE]
        assert [each.send(client) for each in (late, strangers, changed, unsigned)] == [401] * 4
        assert decisions(deployment) == []

        sound = Answer(question, "approve")
        assert sound.send(client) == 202
        assert verdicts.wait_for([first])[0].outcome is Outcome.ALLOW

        # The same call once more is another question: neither the old answer nor its signature is any good for it.
        second = deployment.pay(session, 1)
        deployment.flush()
        again = question_of(chat, second)
        assert again["task_id"] != question["task_id"]
        assert sound.send(client) in (202, 403, 404, 422)
        borrowed = Answer(again, "approve")
        borrowed.headers = sound.headers
        assert borrowed.send(client) == 401
        assert len({each.header.id for each in decisions(deployment)}) == 1
        assert Answer(again, "deny").send(client) == 202
        assert verdicts.wait_for([second])[0].reason == Reason.APPROVAL_DENIED

        # Another tenant's question is not told to this chat tool, and lena's signature is no good for it.
        foreign_call = foreign.intent(PAY, {"number": 2}, now_ms())
        deployment.send(INTENT, foreign.key, foreign_call)
        deployment.flush()
        asked = task_of(deployment, foreign_call)
        wait_until_read(client, asked)
        third = deployment.pay(session, 3)
        deployment.flush()
        question_of(chat, third)
        assert all(asked["task_id"] not in body for body in chat.tokens)
        assert Answer(asked, "approve").send(client) == 404
        verdicts.poll()
        assert foreign_call.intent_id not in verdicts.by_intent
        assert {len(each) for each in verdicts.final.values()} == {1}
    assert gate.stop() == 0


def accepted_calls(chat: Other) -> list[str]:
    """The ids of the calls in the questions that the chat tool has accepted."""
    return [call["intent_id"] for body in chat.tokens for call in json.loads(body)["data"]["calls"]]


def test_a_restart_sends_what_was_put_aside_and_nothing_that_was_accepted(deployment: Deployment, chat: Other) -> None:
    sessions = deployment.open_sessions(4)
    gate = deployment.gate("gate")
    gate.wait_serving()
    chat.forbidden = b'\\"number\\":1}'
    calls: list[Intent] = []
    for is_second_run in (False, True):
        with service(deployment, chat.url):
            for _ in range(2):
                # In a session of its own: a call of the same session would join the question.
                calls.append(deployment.pay(sessions[len(calls)], len(calls) + 1))
                deployment.flush()
            until(lambda: calls[-1].intent_id in accepted_calls(chat))
            if is_second_run:
                chat.forbidden = b""
                until(lambda: calls[0].intent_id in accepted_calls(chat))
            else:
                until(lambda: len(chat.headers) >= STUCK_AFTER + 1)
    assert sorted(accepted_calls(chat)) == sorted(call.intent_id for call in calls)
    assert gate.stop() == 0
