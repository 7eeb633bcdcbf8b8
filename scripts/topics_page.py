"""The reference page of the topics and of the wire format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from scripts.markdown import as_code, page_of, table_of
from streams.codec.avro import VALUE_BYTES_MAX, WRITTEN_BYTES_MAX
from streams.codec.cloudevents import event_headers
from streams.codec.deadletter import dead_letter
from streams.codec.schemas import CommittedSchemas, subject_name
from streams.model.reasons import DeadLetterReason
from streams.model.topics import (
    ALERT_OCSF,
    DECLARED,
    INTENT,
    PER_TENANT,
    RECORD_CLASSES,
    TENANT_CHARS_MAX,
    TOPICS,
    VERDICT,
    WITHIN,
    Role,
    Spread,
    Topic,
)
from streams.model.types import Header
from streams.ports import Headers, Received
from streams.ports.wire import SCHEMA_ID_HEADER

_DAY_MS = 86_400_000

_SPREAD_TEXTS: dict[Spread, str] = {
    Spread.CO_PARTITIONED: "all these topics have the same number of partitions, and all records of a session are in "
    "one partition",
    Spread.BROADCAST: "the topic has one partition, and every instance reads all of it",
    Spread.OWN: "the topic has any number of partitions",
    Spread.PER_TENANT: "each tenant has a topic, with as many partitions as co-partitioned topics; in its name, each "
    "byte of the tenant except letters, digits and `-` is replaced with `_` and two hex digits; if the tenant then has "
    f"more than {TENANT_CHARS_MAX} characters, the name has `__` and its SHA-256 instead",
}
_SHOWN = (*TOPICS, *PER_TENANT)

_HEADER_TEXTS = {
    "ce_id": "the record's id",
    "ce_source": "the writer of the record",
    "ce_type": "the record's type",
    "ce_specversion": "the version of CloudEvents",
    "ce_time": "the writer's time; decisions use the broker's time",
    "content-type": "the format of the value",
    "traceparent": "the W3C trace context, if the writer has one (also `tracestate`)",
}

_LETTER_TEXTS = {
    "topic": "the topic of the record",
    "partition": "the partition of the record",
    "offset": "the offset of the record",
    "connector.name": "the instance that could not read the record",
    "task.id": "the partition of the record",
    "stage": "`KEY_CONVERTER`, `VALUE_CONVERTER`, or `TASK_PUT` if the record was read but could not be processed",
    "class.name": "the component that raised the error",
    "exception.class.name": "the error and its reason code",
    "exception.message": "the reason, for people",
}


def topics_page() -> str:
    """Return `topics.md`: the topics, their records and formats, and who may write and read them."""
    return page_of(
        "Topics and wire format",
        "`streams/model/topics.py` declares the topics. This page, topic creation and access control are generated "
        "from that declaration. The same information as AsyncAPI 3: [asyncapi.json](asyncapi.json).",
        "## Topics",
        table_of(("topic", "key", "record", "content"), map(_topic_row, _SHOWN)),
        "## Partitions and retention\n\nTimestamps are those of the broker on every topic (`LogAppendTime`).",
        table_of(("topic", "partitions", "cleanup", "kept"), map(_retention_row, _SHOWN)),
        "\n".join(f"- **{spread}**: {text}." for spread, text in _SPREAD_TEXTS.items()),
        "## Access\n\nEach role is a Kafka principal or a group of principals.",
        table_of(("role", "writes", "reads"), map(_role_row, Role)),
        _wire(),
        table_of(("topic", "subject", "record", "version", "id", "guid"), _schema_rows()),
        "## Headers\n\nThe headers are those of CloudEvents 1.0 in Kafka's binary mode and of the W3C trace context.",
        table_of(("header", "example", "meaning"), _event_header_rows()),
        "## Dead letters\n\nA record that can't be read or accepted is written to `<topic>.dlq`, to the same "
        "partition, with the same key, value and headers, and with the headers of Kafka Connect.",
        table_of(("header", "example", "meaning"), _letter_rows()),
        "A key or value above its bound is truncated; `stoplog.value.bytes` and `stoplog.value.sha256` "
        "(`stoplog.key.*`) describe the original. Headers above their bound are omitted; "
        "`stoplog.headers.dropped` is their number.",
    )


def _topic_row(topic: Topic) -> tuple[str, ...]:
    return as_code(topic.shown_name), topic.key, _record_name(topic), topic.note


def _record_name(topic: Topic) -> str:
    if topic.record is not None:
        within = [name for name, holder in WITHIN.items() if holder is topic]
        records = (topic.record, *(RECORD_CLASSES[name] for name in within))
        return ", ".join(as_code(record.__name__) for record in records)
    return "JSON" if topic is ALERT_OCSF else "bytes"


def _retention_row(topic: Topic) -> tuple[str, ...]:
    days = None if topic.retention_ms is None else topic.retention_ms // _DAY_MS
    kept = "always" if days is None else f"{days} day{'' if days == 1 else 's'}"
    return as_code(topic.shown_name), topic.spread, topic.config()["cleanup.policy"], kept


def _role_row(role: Role) -> tuple[str, ...]:
    def names(has: Callable[[Topic], tuple[Role, ...]]) -> str:
        return ", ".join(as_code(topic.shown_name) for topic in _SHOWN if role in has(topic)) or "-"

    return role, names(lambda topic: topic.writers), names(lambda topic: topic.readers)


def _wire() -> str:
    return (
        "## Values\n\n"
        "Values are in Avro, in one of Confluent's framings: `0x00`, the schema's id in four bytes (big-endian), then "
        f"the record; or the record alone, with `0x01` and the schema's GUID in the header `{SCHEMA_ID_HEADER}`. Both "
        f"are read, and the first is written. A value of more than {VALUE_BYTES_MAX:,} bytes is rejected, and one of "
        f"more than {WRITTEN_BYTES_MAX:,} bytes is never written. Subjects follow TopicNameStrategy. Every version of "
        "a schema can read every other one (FULL_TRANSITIVE), and a published version never changes "
        "([ADR 0027](../adr/0027-schemas-do-not-change.md)). The schemas are in `schemas/avro/`.\n\n"
        "With a schema registry (`schema_registry_url`), the ids are the registry's, and those of the lock file stay "
        "readable. Stoplog speaks the protocol of the Confluent Schema Registry, and is tested with Apicurio Registry "
        "2.6, too ([ADR 0051](../adr/0051-a-deployment-that-has-been-run.md)). Without one, the ids are those of "
        "`schemas/ids.lock.json`:"
    )


def _schema_rows() -> Iterable[tuple[str, ...]]:
    committed = CommittedSchemas.load()
    for topic in DECLARED:
        if topic.record is None:
            continue
        for version in committed.versions(topic.name):
            guid = version.guid.hex()
            yield (
                as_code(topic.name),
                as_code(subject_name(topic.name)),
                version.shape.name,
                str(version.version),
                str(version.id),
                f"{guid[:8]}-{guid[8:12]}-{guid[12:16]}-{guid[16:20]}-{guid[20:]}",
            )


def _event_header_rows() -> Iterable[tuple[str, ...]]:
    header = Header(
        id="0192f3c1-7a5b-7c3d-8e9f-0123456789ab",
        source="gate/gate-1",
        time=1_764_061_200_123,
        tenant_uid="acme",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return _header_rows(event_headers(VERDICT, header), _HEADER_TEXTS)


def _letter_rows() -> Iterable[tuple[str, ...]]:
    record = Received(INTENT.name, 3, 41, 1_764_061_200_123, b"acme|s-1", b"?")
    headers = dead_letter(record, DeadLetterReason.FRAMING_INVALID, "value begins with no schema id", "gate-1").headers
    texts = {f"__connect.errors.{name}": text for name, text in _LETTER_TEXTS.items()}
    texts |= {"stoplog.reason": "see [reasons](reasons.md)", "stoplog.timestamp_ms": "the record's time on its topic"}
    return _header_rows(headers, texts)


def _header_rows(headers: Headers, texts: Mapping[str, str]) -> Iterable[tuple[str, ...]]:
    return ((as_code(name), as_code(value.decode()), texts[name]) for name, value in headers)
