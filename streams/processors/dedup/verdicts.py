"""What is kept of the verdicts that were given: no intent is judged twice, whenever it comes again.

For some minutes the bytes of a verdict are kept, and an intent that comes again gets them again. What is kept for
`dedup_retention_ms` is a row of some 70 bytes that identifies the verdict: its outcome and reason, when it was given,
and the digest of its bytes. An intent that comes again then is a dead letter whose text names the verdict.

The row doesn't hold where the verdict is on its topic, because the gate never learns it at a reasonable cost: the
offset is known only once the transaction is committed, and would need a second write of each row. The partition follows
from the session's key, the verdict's id from the intent's, and a reader that starts at the time of the verdict finds it
at once.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.model.canonical import sha256
from streams.model.errors import RecordError
from streams.model.ids import verdict_id_of
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason
from streams.model.verdict import Outcome, Verdict
from streams.ports.processor import StateView
from streams.processors.dedup import segments
from streams.processors.dedup.segments import Place
from streams.processors.rows import verdict_row_key
from streams.processors.session_row import ToolName
from streams.processors.settings import GateSettings
from streams.processors.state import VerdictRow, VerdictRowV1, decode_verdict_row, encode_row

_CODES = {
    Outcome.ALLOW: 1,
    Outcome.DENY: 2,
    Outcome.QUARANTINE: 3,
    Outcome.REQUIRE_APPROVAL: 4,
    Outcome.DEFER: 5,
}
_ALLOW = Outcome.ALLOW
"""Each look at a member of an enumeration costs as much as a call (ADR 0094)."""
_OUTCOMES = {code: outcome for outcome, code in _CODES.items()}


class Given(NamedTuple):
    """A verdict that was given.

    Attributes:
        judged_ms: when.
        digest: SHA-256 of its bytes.
        size: how many there are.
        place: where they are; they themselves for a verdict of row layout 1.
        outcome: None for a verdict of row layout 1, of which the bytes are kept.
        reason: its code; empty where `outcome` is None.
    """

    judged_ms: int
    digest: bytes
    size: int
    place: Place | bytes
    outcome: Outcome | None
    reason: str


def find(session_key: bytes, intent_id: str, state: StateView) -> Given | None:
    """Return which verdict an intent was given, or None. Its bytes are looked up by `value_of`."""
    found = state.get(verdict_row_key(session_key, intent_id))
    if found is None:
        return None
    row = decode_verdict_row(found)
    if isinstance(row, VerdictRowV1):
        return Given(row.judged_ms, sha256(row.verdict), len(row.verdict), row.verdict, None, "")
    place = _place(row)
    return Given(row.judged_ms, row.digest, place.size, place, _OUTCOMES[row.outcome], row.reason)


def value_of(given: Given, state: StateView) -> bytes | None:
    """Return the bytes of a verdict that was given; None where they are not kept any longer."""
    if isinstance(given.place, bytes):
        return given.place
    value = segments.read(given.place, state)
    return value if value is not None and sha256(value) == given.digest else None


def is_given(session_key: bytes, intent_id: str, state: StateView) -> bool:
    """Return whether an intent was given a verdict."""
    return state.get(verdict_row_key(session_key, intent_id)) is not None


def given_before(intent: Intent, outcome: Outcome | None, judged_ms: int, given: Given | None = None) -> RecordError:
    """Return the error for an intent that comes again when its verdict's bytes are not kept any longer.

    Its text tells where the verdict is: its id, what it was, and from which time on its topic is to be searched.

    Args:
        intent: the intent.
        outcome: of its verdict.
        judged_ms: when it was given.
        given: what else is known of it.
    """
    header = intent.header
    name = "a verdict"
    if outcome is not None:
        verdict_id = verdict_id_of(header.tenant_uid, intent.session_id, intent.intent_id, outcome)
        name = f"verdict `{verdict_id}`, {outcome.value}"
    text = f"intent `{intent.intent_id}` was given {name} at {judged_ms}"
    if given is not None:
        text = f"{text} for `{given.reason}`; SHA-256 of its bytes: {given.digest.hex()}"
    return RecordError(DeadLetterReason.VERDICT_GIVEN_BEFORE, text)


def remember(
    session_key: bytes,
    verdict: Verdict,
    verdict_bytes: tuple[bytes, bytes],
    claimed_ms: int,
    state: StateView,
    settings: GateSettings,
) -> None:
    """Keep a verdict that is given now.

    Args:
        session_key: of the intent's session.
        verdict: the verdict.
        verdict_bytes: its bytes, and their SHA-256.
        claimed_ms: the intent's own time. The gate accepts it again as long as this is not too old.
        state: the partition's.
        settings: how long the bytes are kept.

    Raises:
        RecordError: the bytes don't fit into a row.
    """
    value, digest = verdict_bytes
    judged_ms = verdict.evaluated_at
    place = segments.append(value, state, settings, judged_ms)
    row = VerdictRow(
        judged_ms,
        _CODES[verdict.outcome],
        verdict.reason,
        digest,
        claimed_ms - judged_ms if claimed_ms > judged_ms else 0,
        (judged_ms - place.start_ms, place.number, place.at, place.size),
        (verdict.tool.server_id, verdict.tool.name) if verdict.outcome is _ALLOW else None,
    )
    state.put(verdict_row_key(session_key, verdict.intent_id), encode_row(row))


class AllowedCall(NamedTuple):
    """What is kept of a call that was allowed.

    Attributes:
        tool: the tool that may be called; None where an earlier version did not keep it.
        report: the digest of the first report of the outcome of it; empty before there is one.
        row: what else is kept.
    """

    tool: ToolName | None
    report: bytes
    row: VerdictRow | VerdictRowV1


def allowed_call(session_key: bytes, intent_id: str, state: StateView) -> AllowedCall | None:
    """Return the call that an intent's verdict allows; None if there is no verdict that allows one."""
    found = state.get(verdict_row_key(session_key, intent_id))
    if found is None:
        return None
    row = decode_verdict_row(found)
    if isinstance(row, VerdictRowV1):
        return AllowedCall(None, row.report, row) if row.final else None
    return AllowedCall(row.tool, row.report, row) if row.outcome == _CODES[Outcome.ALLOW] else None


def set_reported(session_key: bytes, intent_id: str, call: AllowedCall, report: bytes, state: StateView) -> None:
    """Remember the first report of the outcome of a call, by its digest."""
    row = msgspec.structs.replace(call.row, report=report)
    state.put(verdict_row_key(session_key, intent_id), encode_row(row))


def retained_from_ms(row: VerdictRow | VerdictRowV1) -> int:
    """Return the instant from which the retention of a verdict counts: when it was given, or the intent's own time."""
    if isinstance(row, VerdictRowV1):
        return max(row.judged_ms, row.claimed_ms)
    return row.judged_ms + row.ahead_ms


def _place(row: VerdictRow) -> Place:
    lag_ms, number, at, size = row.place
    return Place(row.judged_ms - lag_ms, number, at, size)
