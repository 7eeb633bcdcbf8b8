"""The topics as an AsyncAPI 3 document."""

from __future__ import annotations

import json

from streams.codec.cloudevents import event_type
from streams.codec.schemas import CommittedSchemas
from streams.model.topics import ALERT_OCSF, DECLARED, PER_TENANT, TOPICS, WITHIN, Role, Topic

CONTRACT_VERSION = "1"

_SHOWN = (*TOPICS, *PER_TENANT)
_BINDING_VERSION = "0.5.0"
_AVRO_FORMAT = "application/vnd.apache.avro+json;version=1.9.0"
_DEAD_LETTER = "DeadLetter"
_INTEGERS = frozenset({"retention.ms", "max.message.bytes"})


def render_asyncapi() -> dict[str, object]:
    """Return the document: a channel for each topic, an operation for each role that writes or reads it."""
    committed = CommittedSchemas.load()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "stoplog",
            "version": CONTRACT_VERSION,
            "description": "Decides, for every tool call that an AI agent proposes, whether it runs.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/avro",
        "channels": {topic.name: _channel(topic) for topic in _SHOWN},
        "operations": dict(
            operation
            for topic in _SHOWN
            for operation in (
                *(_operation(topic, role, "send") for role in topic.writers),
                *(_operation(topic, role, "receive") for role in topic.readers),
            )
        ),
        "components": {
            "messages": {_message_name(kind): _message(kind, committed) for topic in _SHOWN for kind in _kinds(topic)}
        },
    }


def _kinds(topic: Topic) -> tuple[Topic, ...]:
    """Return the declarations of all records of a topic: its own, and those that lie within it."""
    return (topic, *(declared for declared in DECLARED if WITHIN.get(declared.name) is topic))


def _channel(topic: Topic) -> dict[str, object]:
    names = [_message_name(kind) for kind in _kinds(topic)]
    # `{tenant}` is the tenant's name as `streams.model.topics.outcome_topic_name` spells it.
    address = topic.shown_name.replace("<", "{").replace(">", "}")
    parameters = {"tenant": {"description": "the tenant, as topic names spell it"}} if "{" in address else {}
    return {
        "address": address,
        **({"parameters": parameters} if parameters else {}),
        "description": f"{topic.note}; key: {topic.key}; partitions: {topic.spread}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": address,
                "topicConfiguration": {
                    name: [value] if name == "cleanup.policy" else int(value)
                    for name, value in topic.config().items()
                    if name in _INTEGERS or name == "cleanup.policy"
                },
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _operation(topic: Topic, role: Role, action: str) -> tuple[str, dict[str, object]]:
    verb = "writes" if action == "send" else "reads"
    channel = f"#/channels/{topic.name}"
    return f"{role}-{action}-{topic.name}", {
        "action": action,
        "channel": {"$ref": channel},
        "summary": f"{role} {verb} {topic.note}",
        "tags": [{"name": role}],
        "messages": [{"$ref": f"{channel}/messages/{_message_name(kind)}"} for kind in _kinds(topic)],
    }


def _message_name(topic: Topic) -> str:
    if topic.record is not None:
        return topic.record.__name__
    return _DEAD_LETTER if topic.name.endswith(".dlq") else topic.name


def _message(topic: Topic, committed: CommittedSchemas) -> dict[str, object]:
    name = _message_name(topic)
    message: dict[str, object] = {"name": name, "title": name, "contentType": _content_type(topic)}
    key: dict[str, object] = {"type": "string"}
    binding: dict[str, object] = {"bindingVersion": _BINDING_VERSION}
    if name != _DEAD_LETTER:
        key["description"] = topic.key
    if topic.record is not None:
        message["headers"] = _event_headers(topic)
        message["payload"] = {"schemaFormat": _AVRO_FORMAT, "schema": json.loads(committed.current(topic.name).text)}
        binding |= {
            "schemaIdLocation": "payload",
            "schemaIdPayloadEncoding": "confluent",
            "schemaLookupStrategy": "TopicNameStrategy",
        }
    elif topic is ALERT_OCSF:
        message["headers"] = _event_headers(topic)
        message["payload"] = {"type": "object", "description": "OCSF 1.8, Detection Finding (2004)"}
    elif name == _DEAD_LETTER:
        message["headers"] = _letter_headers()
    message["bindings"] = {"kafka": {"key": key, **binding}}
    return message


def _content_type(topic: Topic) -> str:
    if topic.record is not None:
        return "application/avro"
    return "application/json" if topic is ALERT_OCSF else "application/octet-stream"


def _event_headers(topic: Topic) -> dict[str, object]:
    text = {"type": "string"}
    required = {
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_source": text,
        "ce_type": {"type": "string", "const": event_type(topic)},
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": _content_type(topic)},
    }
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, "traceparent": text, "tracestate": text},
    }


def _letter_headers() -> dict[str, object]:
    names = ["topic", "partition", "offset", "stage", "exception.class.name", "exception.message"]
    properties = {f"__connect.errors.{name}": {"type": "string"} for name in names}
    properties |= {f"stoplog.{name}": {"type": "string"} for name in ("reason", "timestamp_ms")}
    return {"type": "object", "required": list(properties), "properties": properties}
