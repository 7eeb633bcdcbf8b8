"""Checks reports of calls: what counted was signed by the call's server, and was the only report of its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulation.auditor import Evidence
from streams.history.recording import place_of
from streams.model.proof import report_message
from streams.model.session import SessionEvent
from streams.model.session import SessionEventType as Kind
from streams.model.topics import REPORT
from streams.model.types import ProofAlg
from streams.model.verdict import Outcome, Verdict

_OF_CALLS = (Kind.TOOL_RESULT, Kind.TOOL_NOT_RUN)


def check_reports(evidence: Evidence, keys: Mapping[str, bytes]) -> Iterator[str]:
    """Check every report of a call that counted.

    Args:
        evidence: what is committed.
        keys: the public key of each server, 32 bytes.
    """
    counted: dict[str, tuple[str, object]] = {}
    for received, event in evidence.decoded.get(REPORT.name, []):
        if not isinstance(event, SessionEvent) or event.type not in _OF_CALLS or place_of(received) in evidence.letters:
            continue
        where = f"{event.type.value} at {place_of(received)}, which counted,"
        verdict = _allowed(evidence, received.key or b"", event)
        if verdict is None:
            yield f"{where} is about no call that was allowed in its session"
            continue
        if not _is_signed(event, keys.get(verdict.tool.server_id)):
            yield f"{where} is not signed by `{verdict.tool.server_id}`, whose call it is"
        said = (event.type.value, event.is_error, event.label, event.content_digest)
        place, before = counted.setdefault(verdict.verdict_id, (place_of(received), said))
        if before != said:
            yield f"{where} says something else than the report at {place}, which counted, too"


def _allowed(evidence: Evidence, key: bytes, event: SessionEvent) -> Verdict | None:
    judged = evidence.verdicts.get((key, str(event.intent_id)), [])
    return next(
        (
            one.verdict
            for one in judged
            if one.verdict.outcome is Outcome.ALLOW
            and one.verdict.verdict_id == event.verdict_id
            and event.tool is not None
            and (event.tool.server_id, event.tool.name) == (one.verdict.tool.server_id, one.verdict.tool.name)
        ),
        None,
    )


def _is_signed(event: SessionEvent, key: bytes | None) -> bool:
    if key is None or event.proof is None or event.proof.alg is not ProofAlg.ED25519:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(event.proof.value, report_message(event, ""))
    except InvalidSignature:
        return False
    return True
