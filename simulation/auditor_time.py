"""Checks that no wrong clock has moved the time of a partition, and that nothing vanished that came with one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulation.auditor import Evidence
from streams.history.recording import place_of
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.ports.processor import STREAM_TIME_KEY

_ENDS = (SessionEventType.SESSION_ENDED, SessionEventType.SESSION_REVOKED)


def check_times(evidence: Evidence, rows: Iterable[tuple[int, dict[bytes, bytes]]], now_ms: int) -> Iterator[str]:
    """Check stream times, the times of verdicts, and records that a broker has stamped ahead.

    Args:
        evidence: what is committed.
        rows: each partition's number, and its state.
        now_ms: the right time, after everything.
    """
    for number, state in rows:
        time_ms = int.from_bytes(state.get(STREAM_TIME_KEY, b""), "big")
        if time_ms > now_ms:
            yield f"stream time of partition {number} is {time_ms - now_ms} ms ahead"
    for name, judged in evidence.verdicts.items():
        for one in judged:
            if one.verdict.evaluated_at > one.received.timestamp_ms:
                ahead_ms = one.verdict.evaluated_at - one.received.timestamp_ms
                yield f"intent {name[1]} of {name[0].decode()!r} was judged {ahead_ms} ms after its verdict was written"
    set_aside = {
        place
        for audit in evidence.audits
        if audit.reason == DeadLetterReason.BROKER_TIME_AHEAD
        for place in audit.inputs
    }
    for found in evidence.decoded.values():
        for received, record in found:
            place = place_of(received)
            if isinstance(record, SessionEvent) and record.type in _ENDS:
                if place in set_aside:
                    yield f"{place}, the end of a session, was set aside because of its time"
            elif isinstance(record, SessionEvent):
                continue  # some have their effect, others are set aside
            elif received.timestamp_ms > now_ms and not evidence.letters[place]:
                yield f"{place} was stamped ahead, but did not become a dead letter"
