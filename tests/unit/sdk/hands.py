"""The other side of the log for the SDK's tests: a hand that writes verdicts, and eyes that read what was written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from streams.audit.report_keys import ReportKey
from streams.model.audit import AuditEvent
from streams.model.canonical import canonical, sha256
from streams.model.ids import verdict_id_of
from streams.model.intent import Intent
from streams.model.keys import partition_for, session_key_of
from streams.model.labels import WORST
from streams.model.outcome import IntentOutcome, intent_proof_digest
from streams.model.session import SessionEvent
from streams.model.topics import AUDIT_REPORTED, INTENT, REPORT, SESSION, Topic, outcome_topic
from streams.model.types import Actor, Header, Record, SubProfile, ToolRef
from streams.model.verdict import Outcome, Verdict, VerdictMode
from streams.ports import LogError, Outgoing, Publisher, Received, TopicPartition
from streams.sdk import RevocationWatch, SingleUseStore, Transport
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import WallClock
from streams.sdk.entropy import SYSTEM
from tests.records import BY_RECORD

TENANT = "acme"
ISSUER = "https://issuer.example"
ROOT_KEY = bytes(range(32))
PARTITIONS = 2
ACTOR = Actor(iss=ISSUER, sub="assistant", sub_profile=SubProfile.AI_AGENT)
TOOL = ToolRef(server_id="mail", name="send", definition_digest=b"\x07" * 32, catalog_version=1)
WAIT_S = 60.0
LIFE_MS = 300_000
"""How long a verdict counts here: a call that comes late on a busy machine must not be refused for that."""

STALE_AFTER_MS = 60_000
"""How long an executor here goes on without a confirmation that it knows all stops, for the same reason."""

CONFIRM_MS = 60_000
"""How long such a confirmation may take."""

REPORT_KEY = ReportKey.derived(ROOT_KEY, "mail")
TOPIC_OF = {**BY_RECORD, AuditEvent: AUDIT_REPORTED}
"""Where the SDK, and the hand for the gate, write each record; reports are on a topic of their own."""

_R = TypeVar("_R", bound=Record)
_T = TypeVar("_T", bound=Transport)


class TransportOf(Protocol):
    """Makes one more transport of a test's log, of a kind that the test needs. Whoever asks for it closes it."""

    def __call__(self, kind: type[_T], clock: WallClock = SYSTEM) -> _T: ...


def make_verdict(**changes: object) -> Verdict:
    """An enforced ALLOW of a mail that may run now; every verdict has ids of its own."""
    now_ms = SYSTEM.now_ms()
    args_json = canonical({"to": ["bob@example.com"], "subject": "hi"})
    verdict_id = SYSTEM.uuid()
    verdict = Verdict(
        header=Header(id=verdict_id, source="gate", time=now_ms, tenant_uid=TENANT),
        verdict_id=verdict_id,
        intent_id=SYSTEM.uuid(),
        session_id="s-1",
        outcome=Outcome.ALLOW,
        reason="permitted",
        reason_text="a rule permits it",
        sub="alice",
        act=ACTOR,
        tool=TOOL,
        args_json=args_json.decode(),
        args_digest=sha256(args_json),
        label=WORST,
        session_sequence=0,
        revocation_offset=0,
        evaluated_at=now_ms,
        expires_at=now_ms + LIFE_MS,
        audience="mail",
        mode=VerdictMode.ENFORCE,
    )
    return msgspec.structs.replace(verdict, **changes)


def begun_store(folder: Path, owner: str = "e-1") -> SingleUseStore:
    """The single-use store `used` of a folder, which keeps record of all that was ever decided."""
    store = SingleUseStore(folder / "used", owner)
    store.begin(0)
    return store


def watching(transport: Transport) -> RevocationWatch:
    """What an executor knows all stops from."""
    return RevocationWatch(transport, stale_after_ms=STALE_AFTER_MS)


def key_of(verdict: Verdict) -> bytes:
    return session_key_of(verdict.header.tenant_uid, verdict.session_id)


def verdict_on(intent: Intent, outcome: Outcome = Outcome.ALLOW, **changes: object) -> Verdict:
    """The verdict that a gate would give on an intent."""
    verdict_id = verdict_id_of(intent.header.tenant_uid, intent.session_id, intent.intent_id, outcome)
    verdict = make_verdict(
        header=Header(id=verdict_id, source="gate", time=intent.header.time, tenant_uid=intent.header.tenant_uid),
        verdict_id=verdict_id,
        intent_id=intent.intent_id,
        session_id=intent.session_id,
        outcome=outcome,
        reason=outcome.value.lower(),
        sub=intent.sub,
        act=intent.act,
        tool=intent.tool,
        args_json=intent.args_json,
        args_digest=intent.args_digest,
        audience=intent.tool.server_id,
    )
    return msgspec.structs.replace(verdict, **changes)


def outcome_of(intent: Intent, verdict: Verdict, **changes: object) -> IntentOutcome:
    """What a gate would tell the agent with this verdict."""
    outcome = IntentOutcome(
        header=verdict.header,
        intent_id=intent.intent_id,
        verdict_id=verdict.verdict_id,
        session_id=intent.session_id,
        outcome=verdict.outcome,
        reason=verdict.reason,
        evaluated_at=verdict.evaluated_at,
        intent_proof_digest=intent_proof_digest(intent),
    )
    return msgspec.structs.replace(outcome, **changes)


def write(transport: Transport, record: Record, key: bytes) -> Outgoing:
    """Put a record on its topic."""
    topic = TOPIC_OF[type(record)]
    if isinstance(record, IntentOutcome):
        topic = outcome_topic(record.header.tenant_uid)
    ready = outgoing(transport, topic, key, record, record.header)
    publish(transport, [ready])
    return ready


def written(transport: Transport, kind: type[_R], tenant_uid: str | None = None) -> list[_R]:
    """All records of a kind (of a tenant's sessions) that are readable now, partition after partition."""
    found = []
    topics = (SESSION, REPORT) if kind is SessionEvent else (TOPIC_OF[kind],)
    for received in (received for topic in topics for received in raw_records(transport, topic)):
        if tenant_uid is not None and not (received.key or b"").startswith(f"{tenant_uid}|".encode()):
            continue
        record = transport.codec.decode(received.topic, received.value, received.headers)
        assert isinstance(record, kind)
        found.append(record)
    return found


def raw_records(transport: Transport, topic: Topic) -> list[Received]:
    places = [TopicPartition(topic.name, number) for number in range(transport.partitions(topic.name))]
    reader = transport.reader()
    try:
        ends = reader.end_offsets(places)
        reader.assign(dict.fromkeys(places, 0))
        found: list[Received] = []
        deadline_s = time.monotonic() + WAIT_S
        while any(reader.position(place) < end for place, end in ends.items()):
            assert time.monotonic() < deadline_s, f"`{topic.name}` can't be read to its end"
            found += reader.poll(100, 20)
        return sorted(found, key=lambda received: (received.partition, received.offset))
    finally:
        reader.close()


class FailingPublisher:
    """A publisher whose first flushes fail, with nothing written: each with one of the errors."""

    def __init__(self, publisher: Publisher, errors: Sequence[LogError]) -> None:
        self._publisher = publisher
        self._errors = list(errors)
        self._queue: list[Outgoing] = []
        self.close = publisher.close

    def publish(self, record: Outgoing) -> None:
        self._queue.append(record)

    def flush(self, timeout_ms: int) -> None:
        queue, self._queue = self._queue, []
        if self._errors:
            raise self._errors.pop()
        for record in queue:
            self._publisher.publish(record)
        self._publisher.flush(timeout_ms)


class GateHand:
    """Answers each intent of a tenant with what `answer` makes of it, in a thread of its own.

    With each verdict goes its outcome, as from a gate.
    """

    def __init__(
        self,
        transport: Transport,
        answer: Callable[[Intent], Sequence[Verdict | IntentOutcome]],
        tenant_uid: str = TENANT,
    ) -> None:
        self.intents: list[Intent] = []
        self._prefix = f"{tenant_uid}|".encode()
        self._transport = transport
        self._answer = answer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> GateHand:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)

    def _run(self) -> None:
        places = [TopicPartition(INTENT.name, n) for n in range(self._transport.partitions(INTENT.name))]
        reader = self._transport.reader()
        reader.assign(dict.fromkeys(places, 0))
        while not self._stop.is_set():
            for received in reader.poll(100, 20):
                if not (received.key or b"").startswith(self._prefix):
                    continue
                intent = self._transport.codec.decode(received.topic, received.value, received.headers)
                assert isinstance(intent, Intent)
                self.intents.append(intent)
                for answer in self._answer(intent):
                    write(self._transport, answer, received.key or b"")
                    if isinstance(answer, Verdict):
                        write(self._transport, outcome_of(intent, answer), received.key or b"")
        reader.close()


def partition_of(key: bytes) -> int:
    return partition_for(key, PARTITIONS)
