"""Dead letters: records that could not be read, unchanged, with Kafka Connect's headers for their place and the
cause."""

from __future__ import annotations

import hashlib

from streams.codec.avro import WRITTEN_BYTES_MAX
from streams.model.errors import InvariantError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import BY_NAME
from streams.ports import Headers, Outgoing, Received

CONNECT_PREFIX = "__connect.errors."
OWN_PREFIX = "stoplog."

KEY_BYTES_MAX = 16_384
HEADERS_BYTES_MAX = 16_384
"""The record's own headers are kept up to this size. With a key and a value at their limits, a broker still accepts the
letter."""

TEXT_BYTES_MAX = 1_024

_PROCESSING = frozenset(
    {
        DeadLetterReason.PROCESSING_FAILED,
        DeadLetterReason.BROKER_TIME_AHEAD,
        DeadLetterReason.EVENT_FROM_FUTURE,
        DeadLetterReason.SEQUENCE_REPLAYED,
        DeadLetterReason.WRITER_UNPROVEN,
        DeadLetterReason.INTENT_TOO_OLD,
        DeadLetterReason.VERDICT_GIVEN_BEFORE,
        DeadLetterReason.TOO_MANY_UNPROVEN,
        DeadLetterReason.CATALOG_INVALID,
        DeadLetterReason.BUNDLE_INVALID,
        DeadLetterReason.BUNDLE_ROLLED_BACK,
    }
)
_KEY = frozenset({DeadLetterReason.KEY_MISSING, DeadLetterReason.KEY_MISMATCH, DeadLetterReason.PARTITION_MISMATCH})


def dead_letter(record: Received, reason: str, text: str, source: str = "stoplog") -> Outgoing:
    """Return the letter for the dead-letter topic of the record's topic, in the partition of the record.

    Key, value and headers are unchanged, so that the record can be written again once the cause is fixed. A part that
    exceeds its limit is cut, and headers give its size and SHA-256. Headers beyond their limit are left out, and
    counted.

    Args:
        record: the record that could not be read or processed.
        reason: a `DeadLetterReason`.
        text: the cause, for people; cut at `TEXT_BYTES_MAX`.
        source: the name of the writer (`connector.name` in Connect's terms).

    Raises:
        InvariantError: the topic has no dead letters.
    """
    topic = BY_NAME.get(record.topic)
    if topic is None or not topic.dead_letters:
        raise InvariantError(f"topic `{record.topic}` has no dead-letter topic")
    key, key_headers = _cut("key", record.key, KEY_BYTES_MAX)
    value, value_headers = _cut("value", record.value, WRITTEN_BYTES_MAX)
    headers = (
        *_kept_headers(record.headers),
        *_connect_headers(record, reason, text, source),
        (f"{OWN_PREFIX}reason", str(reason).encode()),
        (f"{OWN_PREFIX}timestamp_ms", b"%d" % record.timestamp_ms),
        *key_headers,
        *value_headers,
    )
    return Outgoing(topic.dlq, record.partition, key, value, headers)


def _connect_headers(record: Received, reason: str, text: str, source: str) -> Headers:
    stage = "TASK_PUT" if reason in _PROCESSING else "KEY_CONVERTER" if reason in _KEY else "VALUE_CONVERTER"
    values = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "connector.name": source,
        "task.id": str(record.partition),
        "stage": stage,
        "class.name": "streams.codec",
        "exception.class.name": f"streams.model.errors.RecordError:{reason}",
        "exception.message": text,
    }
    return tuple((CONNECT_PREFIX + name, _text(value)) for name, value in values.items())


def _kept_headers(headers: Headers) -> Headers:
    """Return the record's headers, without those that could be taken for ours."""
    kept = tuple((name, value) for name, value in headers if not name.startswith((CONNECT_PREFIX, OWN_PREFIX)))
    size = sum(len(name.encode("utf-8", "replace")) + len(value or b"") + 1 for name, value in kept)
    if size > HEADERS_BYTES_MAX:
        return ((f"{OWN_PREFIX}headers.dropped", b"%d" % len(kept)),)
    return kept


def _cut(what: str, data: bytes | None, bytes_max: int) -> tuple[bytes | None, Headers]:
    if data is None or len(data) <= bytes_max:
        return data, ()
    return data[:bytes_max], (
        (f"{OWN_PREFIX}{what}.bytes", b"%d" % len(data)),
        (f"{OWN_PREFIX}{what}.sha256", hashlib.sha256(data).hexdigest().encode()),
    )


def _text(value: str) -> bytes:
    """Return the text in UTF-8, cut between two characters."""
    raw = value.encode("utf-8", "replace")
    return raw if len(raw) <= TEXT_BYTES_MAX else raw[:TEXT_BYTES_MAX].decode("utf-8", "ignore").encode()
