"""The least that an engine can do with an intent: decode it, read and write its session's row, answer.

The same work runs on our engine (`bench.engine_minimum`) and as a Faust agent (`bench.faust.agent`). Only the model
is imported here, because it loads in Faust's environment, too.
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
    """What is kept of a session."""

    intents_count: int = 0
    last_intent_id: str = ""
    last_ms: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


def advance(row: bytes | None, intent: Intent, now_ms: int) -> tuple[bytes, int]:
    """The session's next row, and how many intents it counts."""
    before = Row() if row is None else _decode(row)
    count = before.intents_count + 1
    return _encode(Row(count, intent.intent_id, now_ms)), count


def answer(intent: Intent, count: int, now_ms: int) -> Verdict:
    """A verdict that says only that the intent was seen."""
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
