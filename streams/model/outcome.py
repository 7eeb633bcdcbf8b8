"""The outcome: what an agent is told about its intent, on a topic of its tenant."""

from __future__ import annotations

from streams.model.canonical import sha256
from streams.model.intent import Intent
from streams.model.types import Header, Millis, Record, Sha256, Uuid
from streams.model.verdict import Outcome


class IntentOutcome(Record, frozen=True, kw_only=True):
    """What was decided about an intent, without anything of the call: agents of one tenant read each other's outcomes.

    Attributes:
        verdict_id: of the verdict, which executors read.
        reason: the verdict's stable code. Its text is left out, because it may quote arguments.
        evaluated_at: when the verdict was given.
        intent_proof_digest: SHA-256 of the proof in the intent that is answered (of nothing if it has none). The agent
            recognizes its own intent by it, and nobody else learns anything from it.
    """

    header: Header
    intent_id: Uuid
    verdict_id: Uuid
    session_id: str
    outcome: Outcome = Outcome.DENY
    reason: str
    evaluated_at: Millis
    intent_proof_digest: Sha256


def intent_proof_digest(intent: Intent) -> bytes:
    """Return what an outcome names its intent by: the SHA-256 of its proof."""
    return sha256(b"" if intent.proof is None else intent.proof.value)
