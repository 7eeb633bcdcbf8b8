"""What somebody may try with the credentials of a principal, and how it is refused: one table.

The test of `docs/how-to/run-on-kafka.md` tries every row on the broker that the page has set up, and
`docs/explanation/trust.md` shows the same rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from streams.audit.report_keys import ReportKey
from streams.model.keys import partition_for
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REPORT, TOPICS, outcome_topic
from streams.model.types import Actor, Header, ToolRef
from streams.operations.signing_keys import make_key_file
from streams.ports import Outgoing
from streams.sdk import Agent, DevTokenService, SessionCredential, Transport, connect, load_root_key
from streams.sdk.entropy import SYSTEM
from tests.integration.page_follower import OTHER_TENANT, Reader, password_of

ATTEMPT_MS = 30_000
"""How long the cluster may take to answer an attack. Each connection is encrypted and proves who it is."""
ATTEMPT_S = ATTEMPT_MS / 1_000
NO_TOPIC, NO_GROUP = "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"
NO_TRANSACTION, NO_CLUSTER = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"
OWN, FOREIGN = outcome_topic("acme").name, outcome_topic(OTHER_TENANT).name
EVERY_TOPIC = (*(topic.name for topic in TOPICS), OWN, FOREIGN)
_AUDITED = "dead letter `{}`, and an audit record"


class Attack(NamedTuple):
    """A row of the table.

    Attributes:
        who: whose credentials the attacker has, as the page calls them.
        what: what they try, for people.
        attempt: tries it; returns every answer that came.
        refusal: the only answer that may come.
    """

    who: str
    what: str
    attempt: Callable[[Field, str], set[str]]
    refusal: str


class Field:
    """Where attacks take place: the deployment that the page has made."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.bootstrap = reader.cluster.bootstrap

    def settings(self, user: str) -> dict[str, str]:
        """How a user connects."""
        own = self.reader.cluster.client_settings()
        return {**own, "sasl.username": user, "sasl.password": password_of(user)}

    def client(self, user: str, **more: Any) -> dict[str, Any]:
        """The same with the brokers, for a client of Kafka's library."""
        names = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.bootstrap, **self.settings(user), **names}

    def connect(self, user: str) -> Transport:
        """A transport of the SDK."""
        return connect(self.bootstrap, extra=self.settings(user))

    def open_session(self) -> SessionCredential:
        """A session of somebody."""
        with self.connect("sts") as transport:
            root_key = load_root_key(self.reader.folder / "root.key")
            tokens = DevTokenService(transport, root_key, issuer="https://sts.example", tenant_uid="acme")
            return tokens.open_session("ann@example.com", Actor(iss="https://sts.example", sub="assistant"), ())


def _writes(topics: Sequence[str], value: bytes | None = b"\x00forged") -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        said: set[str] = set()

        def note(error: KafkaError | None, message: Message) -> None:
            said.add(f"stored on {message.topic()}" if error is None else error.name())

        producer = Producer(field.client(user, message_timeout_ms=ATTEMPT_MS))
        for topic in topics:
            producer.produce(topic, value, b"acme|s-1", partition=0, on_delivery=note)
        assert producer.flush(4 * ATTEMPT_S) == 0
        return said

    return attempt


def _reads(topics: Sequence[str]) -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        with closing(Consumer(field.client(user, group_id="stoplog-reader", enable_auto_commit=False))) as consumer:
            return {_read(consumer, topic) for topic in topics}

    return attempt


def _read(consumer: Consumer, topic: str) -> str:
    # The broker says so when it is asked for the topic; a consumer that waits for records is told nothing.
    error = consumer.list_topics(topic, timeout=ATTEMPT_S).topics[topic].error
    if error is not None:
        return str(error.name())
    consumer.assign([TopicPartition(topic, 0, 0)])
    return _heard(consumer)


def _joins(group: str, topic: str) -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        with closing(Consumer(field.client(user, group_id=group, enable_auto_commit=False))) as consumer:
            consumer.subscribe([topic])
            return {_heard(consumer)}

    return attempt


def _heard(consumer: Consumer) -> str:
    message = consumer.poll(ATTEMPT_S)
    if message is None:
        return "nothing"
    error = message.error()
    return f"read {message.topic()}" if error is None else error.name()


def _transacts(name: str) -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        try:
            Producer(field.client(user, transactional_id=name)).init_transactions(ATTEMPT_S)
        except KafkaException as exception:
            return {exception.args[0].name()}
        return {"fenced the owner"}

    return attempt


def _administers(ask: Callable[[AdminClient], Mapping[Any, Future[Any]]]) -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        admin = AdminClient(field.client(user))
        said = set()
        for future in ask(admin).values():
            try:
                future.result(ATTEMPT_S)
            except KafkaException as exception:
                said.add(exception.args[0].name())
            else:
                said.add("done")
        return said

    return attempt


def _deletes_topics(admin: AdminClient) -> Mapping[Any, Future[Any]]:
    return admin.delete_topics(["agent.audit.v1", "agent.intent.v1"])


def _deletes_records(field: Field, user: str) -> set[str]:
    places = [TopicPartition("agent.audit.v1", 0, 0), TopicPartition("agent.intent.v1", 0, 0)]
    said = _administers(lambda admin: admin.delete_records(places))(field, user)
    # Of a topic that is hidden from it, the client library finds no leader that it could ask.
    return {NO_TOPIC if answer == "_NOENT" else answer for answer in said}


def _alters_settings(admin: AdminClient) -> Mapping[Any, Future[Any]]:
    entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    names = ("agent.audit.v1", "agent.intent.v1")
    kind = ConfigResource.Type.TOPIC
    return admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=[entry]) for name in names])


def _grants_itself(admin: AdminClient) -> Mapping[Any, Future[Any]]:
    entry = AclBinding(
        ResourceType.TOPIC,
        "*",
        ResourcePatternType.LITERAL,
        "User:stranger",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    return admin.create_acls([entry])


def _removes_entries(admin: AdminClient) -> Mapping[Any, Future[Any]]:
    every: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY, every, ResourcePatternType.ANY, every, every, AclOperation.ANY, AclPermissionType.ANY
    )
    return admin.delete_acls([everything])


def _sees_topics(field: Field, user: str) -> set[str]:
    seen = AdminClient(field.client(user)).list_topics(timeout=ATTEMPT_S).topics
    return {f"sees {len(seen)} topics"} if seen else {"sees none"}


def _reports_for_another_server(field: Field, user: str) -> set[str]:
    credential = field.open_session()
    now_ms = SYSTEM.now_ms()
    event = SessionEvent(
        header=Header(id=SYSTEM.uuid(now_ms), source="git", time=now_ms, tenant_uid=credential.tenant_uid),
        session_id=credential.session_id,
        sequence=1,
        type=SessionEventType.TOOL_NOT_RUN,
        tool=ToolRef(server_id="mail", name="send"),
        intent_id=SYSTEM.uuid(now_ms),
        verdict_id=SYSTEM.uuid(now_ms),
    )
    signed = ReportKey(make_key_file(field.reader.folder / "git.key")).proven(event)
    with field.connect(user) as transport:
        value = transport.codec.encode(REPORT.name, signed)
        return _put(field, transport, REPORT.name, credential.key, value)


def _sends_nothing(topic: str) -> Callable[[Field, str], set[str]]:
    def attempt(field: Field, user: str) -> set[str]:
        with field.connect(user) as transport:
            return _put(field, transport, topic, field.open_session().key, None)

    return attempt


def _put(field: Field, transport: Transport, topic: str, key: bytes, value: bytes | None) -> set[str]:
    publisher = transport.publisher()
    publisher.publish(Outgoing(topic, partition_for(key, transport.partitions(topic)), key, value))
    publisher.flush(ATTEMPT_MS)
    return {_AUDITED.format(reason) for reason in field.reader.dead_letters_audited(topic, key)}


def _proposes_in_anothers_session(field: Field, user: str) -> set[str]:
    victim = field.open_session()
    forged = SessionCredential(
        tenant_uid=victim.tenant_uid,
        session_id=victim.session_id,
        secret=os.urandom(32),
        sub=victim.sub,
        act=victim.act,
        expires_ms=victim.expires_ms,
        delegation_uid=victim.delegation_uid,
    )
    with field.connect(user) as transport, Agent(transport, forged) as agent:
        told = agent.propose(ToolRef(server_id="mail", name="send"), {"to": "ann@example.com"})
    return {f"{told.outcome.value} `{told.reason}`"}


_MAY_WRITE: Mapping[str, frozenset[str]] = {
    "agents": frozenset({"agent.intent.v1", "agent.report.v1"}),
    "git": frozenset({"agent.report.v1", "agent.audit.reported.v1"}),
    "sts": frozenset(
        {
            "agent.session.v1",
            "agent.delegation.v1",
            "agent.revocation.v1",
            "agent.token.used.v1",
            "agent.audit.reported.v1",
        }
    ),
    "gate-2": frozenset(
        {
            "agent.revocation.v1",
            "agent.verdict.v1",
            OWN,
            FOREIGN,
            "agent.approval.request.v1",
            "agent.audit.v1",
            "agent.audit.reported.v1",
            "agent.audit.checkpoint.v1",
            "agent.audit.seal.v1",
            "agent.content.key.v1",
            "agent.alert.v1",
            "agent.alert.ocsf.v1",
            "agent.budget.request.v1",
            "agent.budget.grant.v1",
            "stoplog.gate.changelog",
            "stoplog.budgets.changelog",
            "stoplog.notary.changelog",
            *(topic.name for topic in TOPICS if topic.name.endswith(".dlq")),
        }
    ),
    "soc": frozenset({"agent.revocation.v1", "agent.alert.status.v1"}),
    "reviewers": frozenset({"agent.catalog.v1", "agent.alert.v1", "agent.alert.ocsf.v1"}),
    "publishers": frozenset({"agent.ruleset.v1"}),
    "console": frozenset({"agent.approval.decision.v1"}),
    "auditors": frozenset(),
    "operators": frozenset(),
    "stranger": frozenset(),
}
"""The topics of which the table does not say that writing them is refused. Written by hand, so that a role that gets
more rights changes the table."""


def _everybodys() -> Iterator[Attack]:
    for who, own in _MAY_WRITE.items():
        rest = [name for name in EVERY_TOPIC if name not in own]
        listed = [f"`{name}`" for name in sorted(own) if not name.endswith(".dlq")]
        but = f" but {', '.join(listed)}" if listed else ""
        but += " and dead letters" if any(name.endswith(".dlq") for name in own) else ""
        yield Attack(who, f"write a record to any topic{but}", _writes(rest), NO_TOPIC)
    for who, own in _MAY_WRITE.items():
        rest = [name for name in EVERY_TOPIC if name not in own]
        yield Attack(who, "delete a key of a topic that it may not write (tombstone)", _writes(rest, None), NO_TOPIC)
        yield Attack(who, "delete topics", _administers(_deletes_topics), NO_TOPIC)
        yield Attack(who, "delete records", _deletes_records, NO_TOPIC)
        yield Attack(who, "change the settings of topics", _administers(_alters_settings), NO_TOPIC)
        yield Attack(who, "grant rights", _administers(_grants_itself), NO_CLUSTER)
        yield Attack(who, "remove access entries", _administers(_removes_entries), NO_CLUSTER)
        if who != "gate-2":
            yield Attack(who, "take the transactional id of a gate", _transacts("stoplog-gate-gate-1"), NO_TRANSACTION)
        if who != "sts":
            yield Attack(
                who, "take the transactional id of the token service", _transacts("stoplog-sts-sts-1"), NO_TRANSACTION
            )


ATTACKS = (
    *_everybodys(),
    Attack("gate-2", "take the transactional id of another gate", _transacts("stoplog-gate-gate-1"), NO_TRANSACTION),
    Attack("gate-2", "join the executors' group", _joins("stoplog-executor-mail", "agent.intent.v1"), NO_GROUP),
    Attack("agents", "read verdicts, which hold all calls", _reads(["agent.verdict.v1"]), NO_TOPIC),
    Attack("agents", "read the outcomes of another tenant", _reads([FOREIGN]), NO_TOPIC),
    Attack("agents", "join the gates' group", _joins("stoplog-gate", OWN), NO_GROUP),
    Attack("agents", "propose a call in another's session", _proposes_in_anothers_session, "DENY `proof_invalid`"),
    Attack(
        "agents", "send an intent without a value", _sends_nothing("agent.intent.v1"), _AUDITED.format("value_missing")
    ),
    Attack("git", "join the group of another server", _joins("stoplog-executor-mail", "agent.verdict.v1"), NO_GROUP),
    Attack("git", "join the gates' group", _joins("stoplog-gate", "agent.verdict.v1"), NO_GROUP),
    Attack("git", "read what agents propose", _reads(["agent.intent.v1"]), NO_TOPIC),
    Attack(
        "git",
        "report for another server, signed with its own key",
        _reports_for_another_server,
        _AUDITED.format("report_unproven"),
    ),
    Attack("git", "send a report without a value", _sends_nothing("agent.report.v1"), _AUDITED.format("value_missing")),
    Attack("soc", "read verdicts, which hold all calls", _reads(["agent.verdict.v1"]), NO_TOPIC),
    Attack("reviewers", "read verdicts, which hold all calls", _reads(["agent.verdict.v1"]), NO_TOPIC),
    Attack("console", "read verdicts, which hold all calls", _reads(["agent.verdict.v1"]), NO_TOPIC),
    Attack("sts", "read what agents propose", _reads(["agent.intent.v1"]), NO_TOPIC),
    Attack("git", "read which tokens were used", _reads(["agent.token.used.v1"]), NO_TOPIC),
    Attack("gate-2", "read which tokens were used", _reads(["agent.token.used.v1"]), NO_TOPIC),
    Attack("stranger", "read any topic", _reads(["agent.verdict.v1"]), NO_TOPIC),
    Attack("stranger", "list topics", _sees_topics, "sees none"),
)
"""Every attack and its refusal."""


def as_table() -> str:
    """The table as Markdown: attacks that several principals try alike, and are refused alike, in one row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for attack in ATTACKS:
        rows.setdefault((attack.what, attack.refusal), []).append(attack.who)
    lines = [
        f"| {_listed(whos)} | {what} | {f'`{refusal}`' if refusal.isupper() else refusal} |"
        for (what, refusal), whos in rows.items()
    ]
    return "\n".join(["| with the credentials of | somebody tries to | and is refused with |", "|---|---|---|", *lines])


def _listed(whos: list[str]) -> str:
    if set(whos) == set(_MAY_WRITE):
        return "anybody in this table"
    return ", ".join(f"`{who}`" for who in whos)
