"""Follows topics by subject, selects records, and reads dead letters."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from streams.codec.avro import Codec
from streams.codec.deadletter import CONNECT_PREFIX, OWN_PREFIX
from streams.codec.history import format_line
from streams.model.errors import RecordError
from streams.model.topics import (
    ALERT,
    ALERT_OCSF,
    APPROVAL_DECISION,
    APPROVAL_REQUEST,
    ATTRIBUTES,
    AUDIT,
    AUDIT_CHECKPOINT,
    AUDIT_REPORTED,
    DECLARED,
    INTENT,
    REPORT,
    REVOCATION,
    SEAL_KEY,
    SESSION,
    VERDICT,
)
from streams.model.types import Header, Record
from streams.operations.topics.reader import follow, read_in_order
from streams.ports import Clock, Received
from streams.ports.open_log import Log

SUBJECTS: dict[str, tuple[str, ...]] = {
    "verdicts": (VERDICT.name,),
    "audit": (AUDIT.name, AUDIT_REPORTED.name),
    "alerts": (ALERT.name,),
    "ocsf": (ALERT_OCSF.name,),
    "intents": (INTENT.name,),
    "sessions": (SESSION.name, REPORT.name),
    "approvals": (APPROVAL_REQUEST.name, APPROVAL_DECISION.name),
    "revocations": (REVOCATION.name,),
    "attributes": (ATTRIBUTES.name,),
    "checkpoints": (AUDIT_CHECKPOINT.name,),
    "deadletters": tuple(topic.dlq for topic in DECLARED if topic.dead_letters),
}
"""The subjects, each with its topics."""

_SEPARATOR = "|"


class DeadLetter(NamedTuple):
    """A record that could not be read: its place, the reason, and its bytes."""

    topic: str
    partition: str
    offset: str
    reason: str
    text: str
    value: bytes

    @classmethod
    def read(cls, received: Received) -> DeadLetter:
        """Return the letter in a record of a dead-letter topic; missing headers become empty fields."""
        headers = dict(received.headers)

        def header(name: str) -> str:
            return (headers.get(name) or b"").decode("utf-8", "replace")

        return cls(
            topic=header(f"{CONNECT_PREFIX}topic"),
            partition=header(f"{CONNECT_PREFIX}partition"),
            offset=header(f"{CONNECT_PREFIX}offset"),
            reason=header(f"{OWN_PREFIX}reason"),
            text=header(f"{CONNECT_PREFIX}exception.message"),
            value=received.value or b"",
        )


class Seen(NamedTuple):
    """A record that was read. `record` is None if it can't be decoded: then `fault` says why.

    An event of OCSF is in `event`, as its JSON says it. `is_removal` marks a tombstone that removes an entity.
    """

    received: Received
    record: Record | None
    letter: DeadLetter | None
    fault: str
    event: Mapping[str, Any] | None = None
    is_removal: bool = False

    def fields(self) -> dict[str, object]:
        """Return a dead letter, a removal, or an unreadable record, as JSON: histories don't have these."""
        received = self.received
        place = {"key": (received.key or b"").decode("utf-8", "replace"), "time_ms": received.timestamp_ms}
        if self.letter is not None:
            letter = self.letter._asdict()
            letter["value_base64"] = base64.b64encode(letter.pop("value")).decode()
            return {"record": "dead_letter", **place, "value": letter}
        if self.is_removal:
            return {"record": "removal", **place, "value": {"topic": received.topic}}
        where = f"{received.topic}/{received.partition}/{received.offset}"
        return {"record": "unreadable", **place, "value": {"place": where, "fault": self.fault}}

    def line(self) -> str | None:
        """Return the record as a line of a history, or an event as it is; None for anything else."""
        if self.event is not None:
            return (self.received.value or b"").decode()
        if self.record is None:
            return None
        return format_line(self.received.topic, self.received.key or b"", self.received.timestamp_ms, self.record)


class Filter(NamedTuple):
    """Which records to select; None: all. A session can be given with its tenant (`acme|s-1`)."""

    session: str | None = None
    tenant: str | None = None

    def takes(self, seen: Seen) -> bool:
        """Return whether the record matches."""
        if self.session is None and self.tenant is None:
            return True
        tenant, session = _owner(seen)
        if self.tenant is not None and tenant != self.tenant:
            return False
        return self.session is None or self.session in (session, f"{tenant}{_SEPARATOR}{session}")


def look(
    log: Log,
    codec: Codec,
    subject: str,
    wanted: Filter,
    clock: Clock,
    *,
    follows: bool,
    from_beginning: bool,
) -> Iterator[Seen]:
    """Yield the records of a subject in order of time; only roughly in order while it follows. Blocking.

    Args:
        subject: one of `SUBJECTS`.
        follows: whether to wait for more records at the end. Otherwise all existing ones are read.
        from_beginning: whether to begin with the oldest records when it follows.

    Raises:
        TopicReadError: a topic is missing, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    topics = SUBJECTS[subject]
    batches = follow(log, topics, from_beginning=from_beginning)
    records = (record for batch in batches for record in batch) if follows else read_in_order(log, topics, clock)
    for record in records:
        if record.topic == VERDICT.name and record.key == SEAL_KEY:
            continue  # what it proves is seen in the subject `checkpoints`
        seen = _see(codec, record)
        if wanted.takes(seen):
            yield seen


def _see(codec: Codec, received: Received) -> Seen:
    if received.topic in SUBJECTS["deadletters"]:
        return Seen(received, None, DeadLetter.read(received), "")
    if received.topic in SUBJECTS["ocsf"]:
        return _see_event(received)
    if received.value is None and received.topic in SUBJECTS["attributes"]:
        return Seen(received, None, None, "", is_removal=True)
    try:
        return Seen(received, codec.decode(received.topic, received.value, received.headers), None, "")
    except RecordError as error:
        return Seen(received, None, None, str(error))


def _see_event(received: Received) -> Seen:
    try:
        event = json.loads(received.value or b"")
        if not isinstance(event, dict):
            raise ValueError(f"it is of type {type(event).__name__}")
    except ValueError as error:
        return Seen(received, None, None, f"not a JSON object: {error}")
    return Seen(received, None, None, "", event)


def event_text(event: object, *path: str) -> str:
    """Return the text at a place of an event, of whose form nothing is known; empty if there is none."""
    for name in path:
        if isinstance(event, list):
            event = event[0] if event else None
        event = event.get(name) if isinstance(event, dict) else None
    return event if isinstance(event, str) else ""


def _owner(seen: Seen) -> tuple[str, str]:
    """Return tenant and session: of the record if it has them, else of its key."""
    if seen.event is not None:
        found = event_text(seen.event, "evidences", "actor", "session", "uid")
        return event_text(seen.event, "metadata", "tenant_uid"), found
    header, session = getattr(seen.record, "header", None), getattr(seen.record, "session_id", None)
    if isinstance(header, Header) and isinstance(session, str):
        return header.tenant_uid, session
    tenant, _, session_id = (seen.received.key or b"").decode("utf-8", "replace").partition(_SEPARATOR)
    return tenant, session_id
