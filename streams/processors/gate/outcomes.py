"""Tell agents what was decided about their intents, on the topic of their tenant, and nothing of the call."""

from __future__ import annotations

from streams.model.ids import verdict_id_of
from streams.model.intent import Intent
from streams.model.outcome import IntentOutcome, intent_proof_digest
from streams.model.proof import derived_uuid
from streams.model.topics import OUTCOME, outcome_topic
from streams.model.verdict import Outcome
from streams.ports.processor import Output
from streams.ports.wire import Encoder
from streams.processors.headers import reply_header


def outcome_outputs(
    encoder: Encoder, session_key: bytes, intent: Intent, outcome: Outcome, reason: str, judged_ms: int
) -> list[Output]:
    """Return the outcome of an intent that asks for it; nothing if it names a topic that is not its tenant's.

    INVARIANT: an outcome has the partition of its verdict and is written in the same transaction.

    Args:
        encoder: encodes the record.
        session_key: of the intent's session.
        intent: the intent, as it has just been read: if it comes again, this one is answered.
        outcome: of its verdict.
        reason: the verdict's code.
        judged_ms: when the verdict was given.
    """
    reply_to, tenant_uid = intent.reply_to, intent.header.tenant_uid
    if reply_to is None:
        return []
    topic = outcome_topic(tenant_uid)
    if reply_to.topic != topic.name:
        return []
    verdict_id = verdict_id_of(tenant_uid, intent.session_id, intent.intent_id, outcome)
    record = IntentOutcome(
        header=reply_header(derived_uuid("outcome", verdict_id), intent, judged_ms),
        intent_id=intent.intent_id,
        verdict_id=verdict_id,
        session_id=intent.session_id,
        outcome=outcome,
        reason=reason,
        evaluated_at=judged_ms,
        intent_proof_digest=intent_proof_digest(intent),
    )
    return [Output(topic, session_key, encoder.encode(OUTCOME.name, record), record.header)]
