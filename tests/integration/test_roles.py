"""Credentials of every role on a broker with an authorizer: each can do its own work, and nobody else's.

What matters most: nothing that decides (rules, catalog, revocations, baselines, approvals, the gate's own topics) can
be written with what an agent or an executor has.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, Message, Producer

from simulation.broker.kafka import KafkaBroker
from simulation.records import ROOT_KEY, SessionMaker, agent, report_keys, tool_entry
from streams.audit.alert_handlers import NOBODY as NOBODY_HANDLES
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKey
from streams.delegation.issuance import sign_root
from streams.delegation.keys import root_grant_key
from streams.kafka.producer import KafkaProducer
from streams.metrics.declared import DESK_ALERTS
from streams.model.alert import Alert
from streams.model.alert_status import AlertState
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import (
    ALERT,
    ALERT_OCSF,
    ALERT_STATUS,
    APPROVAL_DECISION,
    ATTRIBUTES,
    AUDIT,
    AUDIT_REPORTED,
    BASELINE,
    BY_NAME,
    CATALOG,
    CONTENT_KEY,
    CONTENT_ORDER,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    RULESET,
    SESSION,
    TOKEN_USED,
    TOPICS,
    VERDICT,
    Role,
    Spread,
    Topic,
    outcome_topic,
)
from streams.model.types import ToolRef
from streams.model.verdict import Outcome
from streams.operations.alert_handling import find_alerts, read_handling, write_statuses
from streams.operations.alerts import send_alerts
from streams.operations.attributes import entity_name, read_standing, remove_entity, set_attributes
from streams.operations.behaviour.baselines import BaselineMissingError, read_baselines
from streams.operations.catalog.publication import publish_entries
from streams.operations.rules.history import read_history
from streams.operations.rules.publication import draft_directory, publish, sign
from streams.operations.settings import AlertsSection, AttributesSection
from streams.operations.signing_keys import make_key_file
from streams.operations.stops import write_revocation
from streams.operations.topics.access import TOKEN_SERVICE_PREFIX, transactional_ids
from streams.operations.topics.application import carry_out, make_plan
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_to_end
from streams.operations.verify.run import LogSource, verify_reported
from streams.ports import Consumer, LogError, Outgoing, TopicPartition
from streams.ports.open_log import Log
from streams.sdk import Agent, DevTokenService, Executor, ReportKey, SingleUseStore, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.sdk.executor.revocations import RevocationWatch
from streams.services.desk.service import RunningDesk
from streams.services.desk.settings import DeskSection
from streams.services.gate.runner import GateRunner, allocator, keying, notary
from streams.services.gate.transaction_watch import ANALYTIC, TransactionWatch, watching_transactions
from streams.services.sts.session_writer import Ledger, Opening, Refusal
from streams.stores.memory import MemoryStores
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate, build_keying, build_notary, build_watch, read_behaviour
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings
from tests.kit import BUNDLE, BUNDLE_FILES
from tests.unit.desk.alerts import alert as a_finding
from tests.waiting import until

replace = msgspec.structs.replace
pytestmark = pytest.mark.broker

USERS = {
    Role.AGENT: "agent",
    Role.EXECUTOR: "runner",
    Role.TOKEN_SERVICE: "tokens",
    Role.GATE: "gate",
    Role.WATCH: "watch",
    Role.CONSOLE: "console",
    Role.SOC: "soc",
    Role.CATALOG_REVIEW: "reviewer",
    Role.RULE_PUBLISHING: "publisher",
    Role.AUDITOR: "auditor",
    Role.OPERATOR: "operator",
    Role.CONNECTOR: "connector",
    Role.CONTENT_READER: "content-reader",
    Role.PRIVACY: "privacy",
    Role.DESK: "desk",
}
WATCH_INSTANCE = "watch-1"
OTHER_RUNNER, OTHER_GATE = "other-runner", "other-gate"
"""Second principals of the same roles."""

GROUP = "stoplog-executor-files"
DECIDING = (REVOCATION, CATALOG, RULESET, BASELINE, ATTRIBUTES, TOKEN_USED, APPROVAL_DECISION, DELEGATION, VERDICT)
DECIDING += (CONTENT_KEY, CONTENT_ORDER, ALERT_STATUS)
ATTEMPT_MS = 30_000
"""How long the broker may take to refuse something; it takes milliseconds where it has the machine."""
REFUSED = r"(?i)authoriz"
READY_MS = 60_000
WAIT_S = 60.0
FILES_READ = tool_entry(
    "files", "read", schema={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
)


class Cluster:
    """A broker whose topics and access entries `topics apply` has made."""

    def __init__(self, broker: KafkaBroker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.publisher_key: SigningKey = make_key_file(folder / "publisher.pem")
        self.reviewer_key: SigningKey = make_key_file(folder / "reviewer.pem")
        admin_settings = self.settings(None)
        with open_log(admin_settings) as log, closing(log.admin()) as admin:
            asked = (admin_settings.topics, admin_settings.group, admin, [admin_settings.tenant])
            carry_out(make_plan(*asked), admin, 1, lambda step: None)
            assert make_plan(*asked).is_clean

    def settings(self, role: Role | None, user: str | None = None) -> Settings:
        """As the role connects, or one of several users with that role; None is the administrator."""
        where: dict[str, Any] = {"bootstrap": self.broker.bootstrap}
        if role is not None:
            user = user or USERS[role]
            where = {
                "bootstrap": self.broker.bootstrap_for_users,
                "kafka": {
                    "security.protocol": "SASL_PLAINTEXT",
                    "sasl.mechanism": "PLAIN",
                    "sasl.username": user,
                    "sasl.password": f"{user}-secret",
                },
            }
        return Settings(
            log="kafka",
            state_dir=self.folder / str(role),
            topics={
                "partitions": 2,
                "principals": {each.value: [f"User:{name}"] for each, name in USERS.items()}
                | {"executor": ["User:runner", f"User:{OTHER_RUNNER}"], "gate": ["User:gate", f"User:{OTHER_GATE}"]},
                "instances": {"User:gate": ["gate-1"], f"User:{OTHER_GATE}": ["gate-2"], "User:tokens": ["1"]}
                | {f"User:{USERS[Role.WATCH]}": [WATCH_INSTANCE]},
                "executor_groups": {"User:runner": [GROUP], f"User:{OTHER_RUNNER}": ["stoplog-executor-other"]},
                "tenants": {"acme": ["User:agent"], "zeta": ["User:stranger"]},
            },
            rules={"publishers": {"ann": str(self.publisher_key.public)}},
            catalog={"reviewers": {"rita": str(self.reviewer_key.public)}},
            **where,
        )

    def log(self, role: Role, user: str | None = None) -> Log:
        return open_log(self.settings(role, user))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    users = {name: f"{name}-secret" for name in (*USERS.values(), OTHER_RUNNER, OTHER_GATE)}
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka"), acls=True, users=users) as broker:
        yield Cluster(broker, tmp_path_factory.mktemp("roles"))


def errors_of_writing(cluster: Cluster, role: Role, topics: Iterable[Topic]) -> dict[str, str | None]:
    """What the broker says to a record on each topic; None where it took it."""
    settings = cluster.settings(role)
    said: dict[str, str | None] = {}

    def note(error: KafkaError | None, message: Message) -> None:
        said[message.topic() or ""] = None if error is None else error.name()

    producer = Producer({"bootstrap.servers": settings.bootstrap, **settings.kafka, "message.timeout.ms": ATTEMPT_MS})
    for topic in topics:
        producer.produce(topic.name, b"\x00forged", b"acme|s-1", partition=0, on_delivery=note)
    assert producer.flush(4 * ATTEMPT_MS / 1_000) == 0
    return said


def ends(cluster: Cluster, topics: Iterable[Topic]) -> dict[TopicPartition, int]:
    """Where the topics end, as the administrator sees it."""
    with open_log(cluster.settings(None)) as log, closing(log.reader()) as reader:
        return reader.end_offsets([TopicPartition(topic.name, 0) for topic in topics])


@pytest.mark.parametrize("role", [Role.AGENT, Role.EXECUTOR])
def test_agents_and_executors_write_nothing_that_decides(cluster: Cluster, role: Role) -> None:
    forbidden = [topic for topic in TOPICS if role not in topic.writers]
    assert set(DECIDING) <= set(forbidden)
    before = ends(cluster, forbidden)
    said = errors_of_writing(cluster, role, forbidden)
    assert said == dict.fromkeys((topic.name for topic in forbidden), "TOPIC_AUTHORIZATION_FAILED")
    assert ends(cluster, forbidden) == before


def test_nobody_but_the_publishers_writes_rules(cluster: Cluster) -> None:
    for role in set(Role) - {Role.RULE_PUBLISHING}:
        assert errors_of_writing(cluster, role, [RULESET]) == {RULESET.name: "TOPIC_AUTHORIZATION_FAILED"}, role


def test_nobody_but_watches_writes_what_is_usual_for_agents(cluster: Cluster) -> None:
    """Whoever writes it can hide what is unusual from rules, or have calls stopped; nobody can permit any by it."""
    for role in set(Role) - {Role.WATCH}:
        assert errors_of_writing(cluster, role, [BASELINE]) == {BASELINE.name: "TOPIC_AUTHORIZATION_FAILED"}, role


def test_nobody_but_gates_writes_the_records_of_verdicts(cluster: Cluster) -> None:
    before = ends(cluster, [AUDIT])
    for role in set(Role) - {Role.GATE}:
        assert errors_of_writing(cluster, role, [AUDIT]) == {AUDIT.name: "TOPIC_AUTHORIZATION_FAILED"}, role
    assert ends(cluster, [AUDIT]) == before


def test_an_agent_reads_its_tenants_outcomes_and_neither_calls_nor_other_tenants_outcomes(cluster: Cluster) -> None:
    own, foreign = (outcome_topic(tenant).name for tenant in ("acme", "zeta"))
    with cluster.log(Role.AGENT) as log, closing(log.reader()) as reader:
        assert reader.end_offsets([TopicPartition(own, 0)])[TopicPartition(own, 0)] >= 0
    for topic in (VERDICT.name, AUDIT.name, foreign):
        with cluster.log(Role.AGENT) as log, closing(log.reader()) as reader, pytest.raises(LogError):
            reader.end_offsets([TopicPartition(topic, 0)])


def test_nobody_but_gates_writes_outcomes(cluster: Cluster) -> None:
    own = outcome_topic("acme")
    for role in set(Role) - {Role.GATE}:
        assert errors_of_writing(cluster, role, [own]) == {own.name: "TOPIC_AUTHORIZATION_FAILED"}, role


def test_a_desk_delivers_alerts_reports_what_it_cant_read_and_decides_nothing(cluster: Cluster, tmp_path: Path) -> None:
    forbidden = [topic for topic in TOPICS if Role.DESK not in topic.writers]
    assert {REVOCATION, ALERT, ALERT_STATUS} <= set(forbidden)
    said = errors_of_writing(cluster, Role.DESK, forbidden)
    assert said == dict.fromkeys((topic.name for topic in forbidden), "TOPIC_AUTHORIZATION_FAILED")
    out = tmp_path / "out.jsonl"
    section = DeskSection.model_validate(
        {"routes": [{"name": "all", "sinks": ["out"]}], "files": {"out": {"path": str(out)}}}
    )
    codec = build_codec(cluster.settings(None))
    with (
        open_log(cluster.settings(None)) as admin_log,
        Transport(admin_log, codec, SystemClock()) as writer,
        cluster.log(Role.DESK) as log,
        Transport(log, codec, SystemClock()) as transport,
    ):
        writer.store([Outgoing(ALERT.name, 0, b"key", b"not an alert")], READY_MS)
        send_alerts(writer, [a_finding()])
        with RunningDesk(section, transport, NOBODY_HANDLES, folder=tmp_path / "desk") as desk:
            deadline_s = time.monotonic() + WAIT_S
            while not out.exists() or not desk.metrics.value(DESK_ALERTS, "rejected"):
                assert time.monotonic() < deadline_s, "it is not delivered"
                time.sleep(0.1)
    assert json.loads(out.read_text())["finding"] == a_finding().finding_uid


def test_a_watch_proves_what_an_analyst_does_and_each_has_no_more_rights_than_that(
    cluster: Cluster, tmp_path: Path
) -> None:
    key = make_key_file(tmp_path / "sam.pem")
    handlers = AlertsSection(handlers={"sam": str(key.public)})
    watching = cluster.settings(Role.WATCH).model_copy(update={"alerts": handlers, "instance": WATCH_INSTANCE})
    analyst = cluster.settings(Role.SOC).model_copy(update={"alerts": handlers})
    found = msgspec.structs.replace(a_finding(), finding_uid="f-watched", dedup_key='["rule_denied", "acme", "w"]')
    codec, files = build_codec(watching), read_behaviour(watching, None)
    with open_log(cluster.settings(None)) as log, Transport(log, codec, SystemClock()) as gate:
        send_alerts(gate, [found])
    with cluster.log(Role.WATCH) as log:
        runner = GateRunner(
            lambda: build_watch(watching, log, codec, files, MemoryStores()),
            SystemClock(),
            beside=[keying(lambda: build_keying(watching, log, codec, files, MemoryStores()))],
            name="watch",
            worker="watch",
        )
        runner.start()
        try:
            assert runner.wait_ready(READY_MS) == [0, 1]
            with open_operator(analyst, "sam") as sam:
                for state in (AlertState.ACKNOWLEDGED, AlertState.RESOLVED):
                    (handled,) = find_alerts(read_handling(sam), ["f-watched"])
                    write_statuses(sam, [handled.alert], state, "a release", key)
                until(lambda: _told_a_siem(analyst, "f-watched") == ["Create", "Update", "Close"])
                (handled,) = find_alerts(read_handling(sam), ["f-watched"])
                assert (handled.state, handled.signer) == (AlertState.RESOLVED, "sam")
        finally:
            runner.stop()
    with cluster.log(Role.SOC) as log, pytest.raises(BaselineMissingError):
        read_baselines(log, codec, SystemClock(), "acme", "nobody")


def _told_a_siem(analyst: Settings, finding_uid: str) -> list[str]:
    """What a SIEM knows of a finding, with the rights of an analyst."""
    with open_log(analyst) as log:
        events = [json.loads(each.value or b"") for each in read_to_end(log, (ALERT_OCSF.name,), SystemClock())]
    return [each["activity_name"] for each in events if each["finding_info"]["uid"] == finding_uid]


@pytest.mark.parametrize("role", [Role.AGENT, Role.EXECUTOR])
def test_nobody_takes_the_gates_place(cluster: Cluster, role: Role) -> None:
    with cluster.log(role) as log:
        # Its transactional id would fence it, its group would take partitions from it, or skip what it has not judged.
        with closing(log.producer("stoplog-gate-gate-1")) as producer, pytest.raises(LogError, match=REFUSED):
            producer.init_transactions()
        heard: list[object] = []
        with closing(log.consumer("stoplog-gate", "usurper")) as consumer:
            consumer.subscribe([INTENT.name], _Listener(heard))
            with pytest.raises(LogError, match=REFUSED):
                poll_until_refused(consumer)
        assert heard == []


def test_no_executor_takes_the_place_of_another_or_opens_a_transaction(cluster: Cluster) -> None:
    heard: list[object] = []
    with cluster.log(Role.EXECUTOR, OTHER_RUNNER) as log, closing(log.consumer(GROUP, "e-1")) as consumer:
        consumer.subscribe([VERDICT.name], _Listener(heard))
        with pytest.raises(LogError, match=REFUSED):
            poll_until_refused(consumer)
    assert heard == []
    for user in (USERS[Role.EXECUTOR], OTHER_RUNNER):
        for name in (f"{GROUP}-e-1", "anything"):
            with (
                cluster.log(Role.EXECUTOR, user) as log,
                closing(log.producer(name)) as producer,
                pytest.raises(LogError, match=REFUSED),
            ):
                producer.init_transactions()


def test_the_gate_names_the_producer_and_an_administrator_its_transactional_id(cluster: Cluster) -> None:
    place = TopicPartition(SESSION.name, 0)
    with open_log(cluster.settings(None)) as log, closing(log.producer("a-stranger")) as hanging:
        assert isinstance(hanging, KafkaProducer)
        hanging.init_transactions()
        hanging.begin()
        hanging.send(Outgoing(SESSION.name, 0, b"acme|s-1", b"never visible"))
        hanging._client.flush(10)
        with closing(log.reader()) as reader:
            as_administrator = reader.oldest_transaction(place)
        settings, clock = cluster.settings(Role.GATE), SystemClock()
        with cluster.log(Role.GATE) as own, Transport(own, build_codec(settings), clock) as transport:
            with closing(own.reader()) as reader:
                as_gate = reader.oldest_transaction(place)
            with watching_transactions(TransactionWatch(transport, clock, lambda: [0])):
                until(lambda: bool(stuck_texts(log, settings)))
        (text,) = stuck_texts(log, settings)
        # The brokers may have ended it by now.
        with suppress(LogError):
            hanging.abort()
    assert as_administrator is not None
    start = as_administrator.start_offset
    assert (as_administrator.producer_id, as_administrator.epoch) == stored_producer(cluster.broker, place, start)
    assert as_administrator.transactional_id == "a-stranger"
    assert as_gate == as_administrator._replace(transactional_id=None)
    assert f"producer id {as_gate.producer_id} (epoch {as_gate.epoch}) has had it open since offset {start}" in text
    assert "an administrator's `stoplog doctor` can name it" in text


def stuck_texts(log: Log, settings: Settings) -> list[str]:
    """The descriptions of the alerts about open transactions, as whoever reads the log sees them."""
    codec = build_codec(settings)
    # The desk is given a record there that can't be read.
    found = (decoded(codec, received) for received in read_to_end(log, (ALERT.name,), SystemClock()))
    return [alert.desc for alert in found if isinstance(alert, Alert) and alert.analytic_uid == ANALYTIC]


def stored_producer(broker: KafkaBroker, place: TopicPartition, offset: int) -> tuple[int, int]:
    """The producer id and epoch of the batch that begins at an offset, as the broker has stored them."""
    (path,) = (broker._workdir / "data" / f"{place.topic}-{place.partition}").glob("*.log")
    content, at = path.read_bytes(), 0
    while at < len(content):
        first, size = struct.unpack_from(">qi", content, at)
        if first == offset:
            # Behind leader epoch, magic, checksum, attributes, last offset delta and two times.
            return struct.unpack_from(">qh", content, at + 43)
        at += 12 + size
    raise AssertionError(f"no batch begins at {offset}")


def test_no_gate_fences_another(cluster: Cluster) -> None:
    for user, other in ((USERS[Role.GATE], "gate-2"), (OTHER_GATE, "gate-1")):
        for name in transactional_ids("stoplog-gate", other):
            with (
                cluster.log(Role.GATE, user) as log,
                closing(log.producer(name)) as producer,
                pytest.raises(LogError, match=REFUSED),
            ):
                producer.init_transactions()


def test_the_token_service_opens_sessions_in_transactions_that_nobody_else_can_fence(cluster: Cluster) -> None:
    name = f"{TOKEN_SERVICE_PREFIX}1"
    for role in (Role.AGENT, Role.EXECUTOR, Role.GATE):
        with cluster.log(role) as log, closing(log.producer(name)) as producer, pytest.raises(LogError, match=REFUSED):
            producer.init_transactions()
    issuer, now_ms = "https://sts.example", SystemClock().now_ms()
    grant = replace(SessionMaker("s-of-the-service").grant("g-1", now_ms), issuer_uid=issuer)
    lineage = (sign_root(grant, root_grant_key(ROOT_KEY, grant.tenant_uid, issuer)),)
    codec = build_codec(cluster.settings(Role.TOKEN_SERVICE))
    with (
        cluster.log(Role.TOKEN_SERVICE) as log,
        Transport(log, codec, SystemClock()) as transport,
        RevocationWatch(transport) as watch,
        closing(Ledger(transport, ROOT_KEY, issuer=issuer, name=name, entropy=SYSTEM)) as ledger,
    ):
        assert not watch.is_stale()
        ledger.open_session(Opening(lineage, False, None, "a test", None))
        ledger.end_session(lineage[0], 1)
        ledger.refused(Refusal(TokenReason.SCOPE_TOO_WIDE, "a test", grant.tenant_uid))
    with open_log(cluster.settings(None)) as log:
        found = list(read_to_end(log, (AUDIT_REPORTED.name,), SystemClock()))
    records = [codec.decode(AUDIT_REPORTED.name, r.value, r.headers) for r in found]
    reasons = [record.reason for record in records if isinstance(record, AuditEvent)]
    assert {"token_issued", "token_revoked", "scope_too_wide"} <= set(reasons)


def test_everybody_can_do_their_own_work(cluster: Cluster, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    for path, text in {**BUNDLE_FILES, "bundle.yaml": BUNDLE}.items():
        (rules / path).parent.mkdir(parents=True, exist_ok=True)
        (rules / path).write_text(text)
    with open_operator(cluster.settings(Role.RULE_PUBLISHING), "ann") as operator:
        drafted = draft_directory(operator, rules, "default", serial=read_history(operator, "default").next_serial)
        assert publish(operator, sign(drafted, cluster.publisher_key)).bundle.version == "1"
    with open_operator(cluster.settings(Role.CATALOG_REVIEW), "rita") as operator:
        entries = [replace(entry, proposed_by="somebody") for entry in (FILES_READ, report_keys("files"))]
        publish_entries(operator, entries, cluster.reviewer_key)
    settings = cluster.settings(Role.GATE)
    codec = build_codec(settings)
    with cluster.log(Role.GATE) as log:
        runner = GateRunner(
            lambda: build_gate(settings, log, codec, ROOT_KEY, MemoryStores()),
            SystemClock(),
            beside=[
                allocator(lambda: build_budgets(settings, log, codec, MemoryStores())),
                notary(lambda: build_notary(settings, log, codec, ROOT_KEY, MemoryStores())),
            ],
        )
        runner.start()
        try:
            assert runner.wait_ready(READY_MS) == [0, 1]
            _one_call(cluster, tmp_path)
            until(lambda: _others_are_sealed(cluster))
        finally:
            runner.stop()


def _others_are_sealed(cluster: Cluster) -> bool:
    """Whether an auditor, with no more rights than that, finds all that others have put on the record sealed."""
    settings = cluster.settings(Role.AUDITOR)
    with cluster.log(Role.AUDITOR) as log:
        source, keys = LogSource(log, SystemClock()), SealKeys.derived(ROOT_KEY)
        found = list(verify_reported(source, build_codec(settings), keys, since={}, is_whole=True))
    assert [each.offence for each in found] == [None, None]
    return sum(each.reported for each in found) > 0 and not any(each.unknown for each in found)


def _one_call(cluster: Cluster, folder: Path) -> None:
    """A session is opened, a call proposed, judged, run and reported; then the SOC ends it. The auditor reads along."""
    codec, clock = build_codec(cluster.settings(None)), SystemClock()
    ran: list[Mapping[str, object]] = []
    stop = threading.Event()
    with (
        cluster.log(Role.TOKEN_SERVICE) as tokens_log,
        cluster.log(Role.AGENT) as agent_log,
        cluster.log(Role.EXECUTOR) as executor_log,
        Transport(tokens_log, codec, clock) as tokens_transport,
        Transport(agent_log, codec, clock) as agent_transport,
        Transport(executor_log, codec, clock) as executor_transport,
        SingleUseStore(folder / "used", "e-1") as store,
        Executor(
            executor_transport,
            ["files"],
            {"files/read": ran.append},
            store,
            report_keys=ReportKey.derived(ROOT_KEY, "files"),
            seal_keys=SealKeys.derived(ROOT_KEY),
        ) as executor,
    ):
        tokens = DevTokenService(tokens_transport, ROOT_KEY, issuer="https://issuer.example", tenant_uid="acme")
        credential = tokens.open_session("alice", agent("assistant"), ())
        loop = VerdictLoop(executor, executor_transport, group=GROUP, instance="e-1")
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        tool = ToolRef(server_id="files", name="read", definition_digest=FILES_READ.definition_digest)
        with Agent(agent_transport, credential) as asking:
            assert asking.propose(tool, {"path": "a"}).outcome is Outcome.ALLOW
            until(lambda: ran == [{"path": "a"}])
            until(lambda: _is_reported(cluster, credential.session_id))
            assert asking.report(SessionEventType.USER_MESSAGE).session_id == credential.session_id
            with open_operator(cluster.settings(Role.SOC), "sam") as soc:
                target = f"acme|{credential.session_id}"
                write_revocation(soc, RevocationKind.SESSION, target, RevocationState.REVOKED, why="it is over")
            until(lambda: asking.propose(tool, {"path": "b"}).reason == "session_revoked")
        stop.set()
        thread.join(WAIT_S)
    assert not thread.is_alive()
    with open_log(cluster.settings(None)) as log:
        assert len(list(read_to_end(log, (REPORT.name,), SystemClock()))) >= 2
        assert list(read_to_end(log, (REPORT.dlq,), SystemClock())) == []


def _is_reported(cluster: Cluster, session_id: str) -> bool:
    with open_operator(cluster.settings(Role.AUDITOR), "audrey") as auditor:
        records = [found.record for topic in (AUDIT, AUDIT_REPORTED) for found in auditor.find(topic)]
        assert [found.record for found in auditor.find(SESSION)]
    events = [r for r in records if isinstance(r, AuditEvent)]
    are_published = any(r.event_type is AuditEventType.CONTROL and r.reason == "rules_published" for r in events)
    return are_published and any(r.event_type is AuditEventType.OUTCOME and r.session_id == session_id for r in events)


def test_a_connector_writes_attributes_and_sees_what_is_known(cluster: Cluster) -> None:
    unsigned = AttributesSection(allow_unsigned=True)
    settings = cluster.settings(Role.CONNECTOR).model_copy(update={"attributes": unsigned})
    name = entity_name("customer/C-1", "acme")
    with open_operator(settings, "crm") as connector:
        set_attributes(connector, name, {"tier": "gold"})
        set_attributes(connector, name, {"limit": 5})
        standing = read_standing(connector, name)
        assert standing is not None
        assert (standing.attributes, standing.fault) == ({"tier": "gold", "limit": 5}, None)
        assert remove_entity(connector, name)
        assert read_standing(connector, name) is None


def test_every_topic_is_covered() -> None:
    """Broadcast topics are what decides; whoever adds one must say here who may not write it."""
    broadcast = {topic for topic in BY_NAME.values() if topic.spread is Spread.BROADCAST and topic.record is not None}
    assert broadcast <= set(DECIDING)


def poll_until_refused(consumer: Consumer) -> None:
    """Poll until an error says why there is nothing; what goes by itself, such as a slow connection, is none."""
    until(lambda: consumer.poll(1, 100) is None)


class _Listener:
    def __init__(self, heard: list[object]) -> None:
        self._heard = heard

    def on_assigned(self, partitions: object) -> None:
        self._heard.append(partitions)

    def on_revoked(self, partitions: object) -> None:
        pass

    def on_lost(self, partitions: object) -> None:
        pass
