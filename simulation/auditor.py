"""The independent auditor of a simulation.

It reads what is committed on the topics, and the stores, and judges by the promises alone: it shares no code with the
gate's way of deciding. Each check returns what it found wrong, a line each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from streams.history.recording import place_of
from streams.inmemory.log import MemoryLog
from streams.model.approval import ApprovalDecision
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.reasons import DeadLetterReason
from streams.model.revocation import Revocation, RevocationState
from streams.model.topics import APPROVAL_DECISION, AUDIT, BY_NAME, INTENT, REVOCATION, RULESET, VERDICT, Topic
from streams.model.types import Record
from streams.model.verdict import Outcome, Verdict
from streams.ports import Received, TopicPartition
from streams.ports.wire import Wire
from streams.topology import ProcessorSpec

COMMON_PREFIX = "unproven/"
"""Of the place that an audit record names which stands for many dead letters."""

INTERIM = frozenset({Outcome.REQUIRE_APPROVAL, Outcome.DEFER})
IntentName = tuple[bytes, str]
"""The session key that an intent was written with, and its id: together they identify it."""


@dataclass(frozen=True)
class Judged:
    """A verdict as it is on the log."""

    received: Received
    verdict: Verdict


@dataclass
class Evidence:
    """Everything that is committed, decoded if it can be."""

    intents: dict[IntentName, list[tuple[Received, Intent]]] = field(default_factory=dict)
    verdicts: dict[IntentName, list[Judged]] = field(default_factory=dict)
    audits: list[AuditEvent] = field(default_factory=list)
    letters: Counter[str] = field(default_factory=Counter)
    unproven: set[str] = field(default_factory=set)
    """The dead letters that many have one common audit record for."""

    decoded: dict[str, list[tuple[Received, Record]]] = field(default_factory=dict)
    unreadable: list[Received] = field(default_factory=list)


def gather(log: MemoryLog, wire: Wire, spec: ProcessorSpec) -> Evidence:
    """Read all topics of a processor."""
    evidence = Evidence()
    for topic in (*spec.inputs, *spec.broadcast):
        for received, record in _read(log, wire, topic, evidence.unreadable):
            evidence.decoded.setdefault(topic.name, []).append((received, record))
            if isinstance(record, Intent):
                evidence.intents.setdefault((received.key or b"", record.intent_id), []).append((received, record))
        if topic.dead_letters:
            for place, reason in _origins(log, topic.dlq):
                evidence.letters[place] += 1
                if reason == DeadLetterReason.TOO_MANY_UNPROVEN:
                    evidence.unproven.add(place)
    for received, record in _read(log, wire, VERDICT, []):
        if isinstance(record, Verdict):
            name = (received.key or b"", record.intent_id)
            evidence.verdicts.setdefault(name, []).append(Judged(received, record))
    evidence.audits = [record for _, record in _read(log, wire, AUDIT, []) if isinstance(record, AuditEvent)]
    return evidence


def check_intents(evidence: Evidence) -> Iterator[str]:
    """Check that each intent has one final verdict, with the same bytes whenever it is repeated; nothing else has."""
    for name, deliveries in evidence.intents.items():
        accepted = [received for received, _ in deliveries if place_of(received) not in evidence.letters]
        judged = evidence.verdicts.get(name, [])
        finals = [one for one in judged if one.verdict.outcome not in INTERIM]
        forms = {one.received.value for one in finals}
        where = f"intent {name[1]} of {name[0].decode()!r}"
        if accepted and not finals:
            yield f"{where}: no final verdict (interim ones: {len(judged)}), at {place_of(accepted[0])}"
        if len(forms) > 1:
            told = sorted(f"{one.verdict.outcome} {one.verdict.reason}" for one in finals)
            yield f"{where}: {len(forms)} different final verdicts: {', '.join(told)}"
        if len(finals) > len(deliveries):
            yield f"{where}: delivered {len(deliveries)} times, but {len(finals)} final verdicts"
        stated = {(intent.args_digest, intent.session_id) for _, intent in deliveries}
        first_ms = min(received.timestamp_ms for received, _ in deliveries)
        for one in judged:
            if (one.verdict.args_digest, one.verdict.session_id) not in stated:
                yield f"{where}: a verdict about another call"
            if one.verdict.evaluated_at < first_ms:
                yield f"{where}: judged at {one.verdict.evaluated_at}, before it came at {first_ms}"
    for name in sorted(evidence.verdicts.keys() - evidence.intents.keys()):
        yield f"verdict for an intent that nobody has sent: {name[1]} of {name[0].decode()!r}"


def check_audit(evidence: Evidence) -> Iterator[str]:
    """Check that every verdict has one audit record, with the digest of its bytes, and every audit record a verdict."""
    records = (audit for audit in evidence.audits if audit.event_type is AuditEventType.VERDICT)
    recorded = Counter(audit.verdict_digest or b"" for audit in records)
    given = {sha256(one.received.value or b"").digest(): one for judged in evidence.verdicts.values() for one in judged}
    for digest, one in given.items():
        if recorded[digest] != 1:
            yield f"verdict {one.verdict.verdict_id} ({one.verdict.outcome}) has {recorded[digest]} audit records"
    for digest in recorded:
        if digest not in given:
            yield f"audit record of a verdict that was not given: digest {digest.hex()[:16]}"


def check_dead_letters(evidence: Evidence) -> Iterator[str]:
    """Check that every unreadable record is a dead letter once, and every dead letter is audited once."""
    told = Counter(
        place
        for audit in evidence.audits
        if audit.event_type is AuditEventType.DEAD_LETTER
        for place in audit.inputs
        if not place.startswith(("timer/", COMMON_PREFIX))
    )
    for received in evidence.unreadable:
        if not evidence.letters[place_of(received)]:
            yield f"unreadable record at {place_of(received)} vanished"
    left_out = {place for place in evidence.unproven if evidence.letters[place] == 1 and not told[place]}
    yield from _check_common_records(evidence, left_out)
    for place in sorted((evidence.letters.keys() | told.keys()) - left_out):
        if (evidence.letters[place], told[place]) != (1, 1):
            yield f"{place}: {evidence.letters[place]} dead letters, {told[place]} audit records of them"


def _check_common_records(evidence: Evidence, left_out: set[str]) -> Iterator[str]:
    """Check that as many dead letters have no audit record of their own as the common records say, by partition."""
    counted: Counter[str] = Counter()
    for audit in evidence.audits:
        for place in audit.inputs:
            if place.startswith(COMMON_PREFIX):
                counted[place.split("/")[1]] += int((audit.reason_text or "").split(" ", 1)[0])
    found = Counter(place.split("/")[1] for place in left_out)
    for partition in sorted(found.keys() | counted.keys()):
        if found[partition] != counted[partition]:
            text = f"{found[partition]} dead letters have no audit record, and common records speak of"
            yield f"partition {partition}: {text} {counted[partition]}"


def check_intent_ages(evidence: Evidence, age_max_ms: int) -> Iterator[str]:
    """Check that no intent was allowed that was too old when it came."""
    for name, deliveries in evidence.intents.items():
        age_ms = min(received.timestamp_ms - intent.header.time for received, intent in deliveries)
        allowed = any(one.verdict.outcome is Outcome.ALLOW for one in evidence.verdicts.get(name, ()))
        if allowed and age_ms > age_max_ms:
            yield f"intent {name[1]} of {name[0].decode()!r} was allowed, {age_ms} ms old"


def check_decisions(evidence: Evidence) -> Iterator[str]:
    """Check that each decision of a person is audited, or is a dead letter."""
    heard = {audit.parent_event_id for audit in evidence.audits if audit.event_type is AuditEventType.APPROVAL}
    for received, record in evidence.decoded.get(APPROVAL_DECISION.name, []):
        counted = isinstance(record, ApprovalDecision) and record.header.id in heard
        if not counted and place_of(received) not in evidence.letters:
            yield f"decision at {place_of(received)} vanished"


def check_publications(evidence: Evidence) -> Iterator[str]:
    """Check that the outcome of each publication of rules and of each release is audited once."""
    told = Counter(
        place
        for audit in evidence.audits
        if audit.event_type is AuditEventType.CONTROL
        for place in audit.inputs
        if not place.startswith(("remembered/", "missing/"))
    )
    published = {place_of(received) for received, _ in evidence.decoded.get(RULESET.name, [])}
    published |= {
        place_of(received)
        for received, record in evidence.decoded.get(REVOCATION.name, [])
        if isinstance(record, Revocation) and record.state is RevocationState.RELEASED
    }
    # What a tombstone deletes may be over, and then nobody is told.
    tombstones = {place for place in told if place.startswith(REVOCATION.name) and place not in published}
    for place in sorted(published | told.keys()):
        if told[place] != 1 or place not in published | tombstones:
            yield f"publication at {place}: {told[place]} audit records of it"


def check_consumed(log: MemoryLog, group: str, inputs: Iterable[Topic]) -> Iterator[str]:
    """Check that the group has committed offsets beyond every record, and not beyond the end."""
    offsets = log.group(group).offsets
    for topic in inputs:
        for number in range(log.partition_count(topic.name)):
            partition = TopicPartition(topic.name, number)
            records = log.committed_records(partition)
            if records and offsets.get(partition, 0) <= records[-1].offset:
                yield f"{topic.name}/{number} was consumed to {offsets.get(partition)} of {records[-1].offset + 1}"
            if offsets.get(partition, 0) > log.partition(partition).high_watermark:
                yield f"{topic.name}/{number}: the group stands at {offsets[partition]}, beyond the end"


def _read(log: MemoryLog, wire: Wire, topic: Topic, unreadable: list[Received]) -> Iterator[tuple[Received, Record]]:
    """Yield the topic's records that can be decoded and have the right key; tombstones are left out."""
    for number in range(log.partition_count(topic.name)):
        for received in log.committed_records(TopicPartition(topic.name, number)):
            if received.value is None and topic.compacted and received.key is not None:
                continue
            try:
                record = wire.decode(topic.name, received.value or b"", received.headers)
            except RecordError:
                unreadable.append(received)
                continue
            if topic.name == INTENT.name and not _is_in_place(record, received, log.partition_count(topic.name)):
                unreadable.append(received)
                continue
            yield received, record


def _is_in_place(record: Record, received: Received, partitions: int) -> bool:
    """Return whether an intent has its session's key and lies on the partition of that key."""
    if not isinstance(record, Intent):
        return False
    key = f"{record.header.tenant_uid}|{record.session_id}".encode()
    return received.key == key and received.partition == partition_for(key, partitions)


def _origins(log: MemoryLog, dlq: str) -> Iterator[tuple[str, str]]:
    """Yield the origin of each dead letter of a topic, and its reason."""
    for number in range(log.partition_count(BY_NAME[dlq].name)):
        for received in log.committed_records(TopicPartition(dlq, number)):
            headers = dict(received.headers)
            part = [headers[f"__connect.errors.{name}"].decode() for name in ("topic", "partition", "offset")]
            yield "/".join(part), (headers["stoplog.reason"] or b"").decode()
