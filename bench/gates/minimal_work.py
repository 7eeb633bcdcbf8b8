"""The minimal work of an engine for an intent: decode it, read and write the row of its session, and answer.

The same work runs in our engine (`bench.gates.minimal_engine`) and in a Faust agent (`bench.faust.agent`). This module
imports only the model, because it must also load in Faust's environment.
"""

from __future__ import annotations

import msgspec

from streams.model.intent import Intent
from streams.model.labels import CLEAN
from streams.model.proof import derived_uuid
from streams.model.types import Header
from streams.model.verdict import Outcome, Verdict, VerdictMode

_TTL_MS = 30_000


class Row(msgspec.Struct, frozen=True, array_like=True):
    """The state of a session."""

    intents_count: int = 0
    last_intent_id: str = ""
    last_ms: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


def advance(row: bytes | None, intent: Intent, now_ms: int) -> tuple[bytes, int]:
    """Return the next row of a session, and the number of its intents."""
    before = Row() if row is None else _decode(row)
    count = before.intents_count + 1
    return _encode(Row(count, intent.intent_id, now_ms)), count


def answer(intent: Intent, count: int, now_ms: int) -> Verdict:
    """Return a verdict which says only that the intent was read."""
    verdict_id = derived_uuid("verdict", intent.header.tenant_uid, intent.intent_id, "final")
    return Verdict(
        header=Header(id=verdict_id, source="bench", time=now_ms, tenant_uid=intent.header.tenant_uid),
        verdict_id=verdict_id,
        intent_id=intent.intent_id,
        session_id=intent.session_id,
        outcome=Outcome.DENY,
        reason="no_permit",
        reason_text="no rule permits the call",
        sub=intent.sub,
        act=intent.act,
        tool=intent.tool,
        args_json=intent.args_json,
        args_digest=intent.args_digest,
        label=CLEAN,
        session_sequence=count,
        revocation_offset=0,
        evaluated_at=now_ms,
        expires_at=now_ms + _TTL_MS,
        mode=VerdictMode.SHADOW,
    )
