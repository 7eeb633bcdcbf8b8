"""Audits what agents are told: each outcome that was asked for once with its verdict, on its tenant's topic alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256

from simulation.auditor import Evidence, Judged
from streams.history.recording import place_of
from streams.inmemory.log import MemoryLog
from streams.model.intent import Intent
from streams.model.outcome import IntentOutcome
from streams.model.topics import OUTCOME, outcome_topic
from streams.ports import Received, TopicPartition
from streams.ports.wire import Wire

_TOLD = ("intent_id", "verdict_id", "session_id", "outcome", "reason", "evaluated_at")


def check_outcomes(evidence: Evidence, log: MemoryLog, wire: Wire, tenants: Sequence[str]) -> Iterator[str]:
    """Check the outcomes of these tenants, whose topics exist.

    Of an intent that came with different reply topics under one id, only what holds for each of them is checked.
    """
    # A verdict's id is that of its intent and outcome: a second question to a person has the id of the first.
    given: dict[str, list[Judged]] = {}
    for judged in evidence.verdicts.values():
        for one in judged:
            given.setdefault(one.verdict.verdict_id, []).append(one)
    counts: Counter[str] = Counter()
    for tenant in tenants:
        for received, told in _outcomes(log, wire, outcome_topic(tenant).name):
            counts[told.verdict_id] += 1
            yield from _faults(tenant, received, told, given.get(told.verdict_id, []))
            if not _is_asked(evidence, received, told):
                yield f"outcome at {place_of(received)} answers no intent that asks for it on this topic"
    for name, judged in evidence.verdicts.items():
        deliveries = evidence.intents.get(name, [])
        asking = [_asks(intent) for _, intent in deliveries]
        letters = sum(evidence.letters[place_of(received)] for received, _ in deliveries)
        for verdict_id in {one.verdict.verdict_id for one in judged}:
            count = len(given[verdict_id])
            low = count if all(asking) else 0
            # Where the bytes of a verdict were dropped, an intent that comes again is a dead letter, and answered.
            high = count + letters if any(asking) else 0
            if not low <= counts[verdict_id] <= high:
                yield f"verdict {verdict_id} of intent {name[1]}: given {count} times, told {counts[verdict_id]}"


def _faults(tenant: str, received: Received, told: IntentOutcome, judged: Sequence[Judged]) -> Iterator[str]:
    where = f"outcome at {place_of(received)}"
    if not judged:
        yield f"{where} has no verdict"
        return
    first = judged[0]
    if (told.header.tenant_uid, first.verdict.header.tenant_uid) != (tenant, tenant):
        yield f"{where} is of tenant {first.verdict.header.tenant_uid}"
    if (received.key, received.partition) != (first.received.key, first.received.partition):
        yield f"{where} lies on another partition than its verdict, or has another key"
    if not any(all(getattr(told, field) == getattr(one.verdict, field) for field in _TOLD) for one in judged):
        yield f"{where} is not what its verdict says"


def _is_asked(evidence: Evidence, received: Received, told: IntentOutcome) -> bool:
    deliveries = evidence.intents.get((received.key or b"", told.intent_id), [])
    return any(_asks(intent) and _digest(intent) == told.intent_proof_digest for _, intent in deliveries)


def _asks(intent: Intent) -> bool:
    own = outcome_topic(intent.header.tenant_uid).name
    return intent.reply_to is not None and intent.reply_to.topic == own


def _digest(intent: Intent) -> bytes:
    return sha256(b"" if intent.proof is None else intent.proof.value).digest()


def _outcomes(log: MemoryLog, wire: Wire, topic: str) -> Iterator[tuple[Received, IntentOutcome]]:
    for number in range(log.partition_count(topic)):
        for received in log.committed_records(TopicPartition(topic, number)):
            record = wire.decode(OUTCOME.name, received.value or b"", received.headers)
            if isinstance(record, IntentOutcome):
                yield received, record
