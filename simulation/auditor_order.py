"""Checks that topics were joined in the log's order: what was visible before an intent counted for it."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.auditor import Evidence
from streams.history.recording import place_of
from streams.inmemory.log import MemoryLog
from streams.inmemory.partition import Entry, MemoryPartition
from streams.model.reasons import Reason
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import SESSION
from streams.ports import TopicPartition


def check_order(evidence: Evidence, log: MemoryLog) -> Iterator[str]:
    """Check that no intent was denied for an unknown session whose opening could be read before the intent was written.

    Args:
        evidence: what is committed.
        log: tells when a session's opening could be read.
    """
    visible_ms = {
        TopicPartition(SESSION.name, number): _visible_ms(log.partition(TopicPartition(SESSION.name, number)))
        for number in range(log.partition_count(SESSION.name))
    }
    opened: dict[bytes, tuple[int, str]] = {}
    for received, record in evidence.decoded.get(SESSION.name, []):
        is_opening = isinstance(record, SessionEvent) and record.type is SessionEventType.SESSION_ESTABLISHED
        if is_opening and place_of(received) not in evidence.letters:
            time_ms = visible_ms[TopicPartition(received.topic, received.partition)][received.offset]
            opened.setdefault(received.key or b"", (time_ms, place_of(received)))
    for name, judged in evidence.verdicts.items():
        accepted = [
            received for received, _ in evidence.intents.get(name, []) if place_of(received) not in evidence.letters
        ]
        if name[0] not in opened or not accepted:
            continue
        opened_ms, place = opened[name[0]]
        first_ms = min(received.timestamp_ms for received in accepted)
        for one in judged:
            # Of the same instant, nobody can say from the times which could be read first.
            if one.verdict.reason == Reason.SESSION_UNKNOWN.value and opened_ms < first_ms:
                yield (
                    f"intent {name[1]} of {name[0].decode()!r}, written at {first_ms}: its session is unknown, "
                    f"which could be read at {place} since {opened_ms}"
                )


def _visible_ms(partition: MemoryPartition) -> dict[int, int]:
    """Return since when each record could be read, by offset: no transaction that began before it was still open."""
    entries = partition.all_entries()
    first: dict[object, int] = {}
    ended: list[tuple[int, Entry]] = []
    for entry in entries:
        if entry.is_marker:
            ended.append((first.get(entry.transaction, entry.offset), entry))
        elif entry.transaction is not None:
            first.setdefault(entry.transaction, entry.offset)
    return {
        entry.offset: max(
            [entry.timestamp_ms]
            + [marker.timestamp_ms for began, marker in ended if began <= entry.offset < marker.offset]
        )
        for entry in entries
        if not entry.is_marker
    }
