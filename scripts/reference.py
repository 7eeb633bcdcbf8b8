"""Reference pages that are made from the code: `python -m scripts.reference` rewrites them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from streams.codec.avro import SCHEMA_ID_HEADER, VALUE_BYTES_MAX, WRITTEN_BYTES_MAX
from streams.codec.cloudevents import event_headers
from streams.codec.deadletter import dead_letter
from streams.codec.schemas import CommittedSchemas, subject_name
from streams.model.reasons import (
    CONTROL_TEXTS,
    DEAD_LETTER_TEXTS,
    REASON_TEXTS,
    REFUSAL_TEXTS,
    SESSION_CHANGE_TEXTS,
    DeadLetterReason,
)
from streams.model.token_reasons import TOKEN_TEXTS
from streams.model.topics import ALERT_OCSF, DECLARED, INTENT, TOPICS, VERDICT, Role, Spread, Topic
from streams.model.types import Header
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.operations.topics.asyncapi import render_asyncapi
from streams.policy.authoring.facts_page import facts_page
from streams.policy.authoring.file_schema import schema_text
from streams.policy.authoring.functions_page import functions_page
from streams.ports import Headers, Received

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
RULES_SCHEMA = FOLDER.parents[1] / "rules" / "schema.json"

_MADE = "<!-- Made by `python -m scripts.reference`; edit the code, not this file. -->"
_DAY_MS = 86_400_000
_C = TypeVar("_C", bound=StrEnum)

OUTCOME_TEXTS: dict[Outcome, str] = {
    Outcome.DENY: "don't run it; the reason is a stable code that an agent can act on",
    Outcome.QUARANTINE: "don't run it; the session is frozen until a person releases it",
    Outcome.REQUIRE_APPROVAL: "wait: a final verdict for the same intent follows once a person has decided, or in time",
    Outcome.DEFER: "wait: the call is held for a cancel window; a final verdict follows when that has passed",
    Outcome.ALLOW: "run exactly the call in the verdict, once, before `expires_at`, with its obligations",
}

_SPREAD_TEXTS: dict[Spread, str] = {
    Spread.CO_PARTITIONED: "equal partition counts on all of these; what belongs to a session lies in one partition",
    Spread.BROADCAST: "one partition, which every instance reads whole",
    Spread.OWN: "any number of partitions",
}

_HEADER_TEXTS = {
    "ce_id": "the record's id",
    "ce_source": "who wrote it",
    "ce_type": "the record's type",
    "ce_specversion": "of CloudEvents",
    "ce_time": "the writer's time; what counts is the broker's",
    "content-type": "of the value",
    "traceparent": "W3C trace context, where the writer has one (`tracestate` likewise)",
}

_LETTER_TEXTS = {
    "topic": "where the record was: its topic,",
    "partition": "partition",
    "offset": "and offset",
    "connector.name": "who could not read it",
    "task.id": "the partition, once more",
    "stage": "`KEY_CONVERTER`, `VALUE_CONVERTER` or `TASK_PUT` (it was read, and could not be processed)",
    "class.name": "what raised it",
    "exception.class.name": "the error and its reason",
    "exception.message": "why, for people",
}


def render_reasons() -> str:
    """`reasons.md`: every code of a verdict, a dead letter or a refusal."""
    outcomes = (
        (_code(outcome), "yes" if outcome in FINAL_OUTCOMES else "no", text) for outcome, text in OUTCOME_TEXTS.items()
    )
    return _page(
        "Outcomes and reasons",
        "Codes are stable: agents, dashboards and alerts act on them. Their wording may change.",
        "## Outcomes\n\nWhat a verdict tells the executor. Whatever a reader doesn't know is read as DENY.",
        _table(("outcome", "final", "meaning"), outcomes),
        f"## Reasons of verdicts\n\n`reason` of a record on `{VERDICT.name}`.",
        _codes(REASON_TEXTS),
        "## Reasons of dead letters\n\n`stoplog.reason` of a record on a `.dlq` topic.",
        _codes(DEAD_LETTER_TEXTS),
        "## Refusals of executors\n\nWhy an executor did not run a call, `reason` of its audit record.",
        _codes(REFUSAL_TEXTS),
        "## Publications of rules and tools\n\n`reason` of an audit record of type CONTROL. What was refused has the "
        "reason of its dead letter.",
        _codes(CONTROL_TEXTS),
        "## Sessions\n\n`reason` of an audit record of type SESSION. One that has ended has the reason of its denials.",
        _codes(SESSION_CHANGE_TEXTS),
        "## The token service\n\n`reason` in its refusals, and of its audit records of type SESSION and REFUSAL.",
        _codes(TOKEN_TEXTS),
    )


def render_topics() -> str:
    """`topics.md`: what is on which topic, how, and who may write and read it."""
    return _page(
        "Topics and wire",
        "Made from the one declaration of the topics (`streams/model/topics.py`), as topic creation and access control "
        "are. The same as AsyncAPI 3: [asyncapi.json](asyncapi.json).",
        "## Topics",
        _table(("topic", "key", "record", "what"), map(_topic_row, TOPICS)),
        "## Partitions and retention\n\nTime is the broker's on every topic (`LogAppendTime`).",
        _table(("topic", "partitions", "cleanup", "kept"), map(_retention_row, TOPICS)),
        "\n".join(f"- **{spread}**: {text}." for spread, text in _SPREAD_TEXTS.items()),
        "## Access\n\nEach role is a Kafka principal, or a group of them.",
        _table(("role", "writes", "reads"), map(_role_row, Role)),
        _wire(),
        _table(("topic", "subject", "record", "version", "id", "guid"), _schema_rows()),
        "## Headers\n\nCloudEvents 1.0 in Kafka's binary mode, and the W3C trace context.",
        _table(("header", "for example", "what"), _event_header_rows()),
        "## Dead letters\n\nA record that cannot be read goes to `<topic>.dlq`, into the partition it had, with key, "
        "value and headers as they were, and Kafka Connect's headers beside them.",
        _table(("header", "for example", "what"), _letter_rows()),
        "A key or value above its bound is cut; `stoplog.value.bytes` and `stoplog.value.sha256` (`stoplog.key.*`) say "
        "what it was. Headers above their bound are left out, and counted in `stoplog.headers.dropped`.",
    )


def render_all() -> dict[str, str]:
    """The text of every page that is made from the code, by its file's name."""
    asyncapi = json.dumps(render_asyncapi(), indent=2, ensure_ascii=False)
    return {
        "reasons.md": render_reasons(),
        "topics.md": render_topics(),
        "facts.md": f"{_MADE}\n{facts_page()}",
        "functions.md": f"{_MADE}\n{functions_page()}",
        "asyncapi.json": f"{asyncapi}\n",
    }


def main() -> int:
    """Rewrite the pages of the source tree, and the schema beside the rules. Returns the exit status."""
    if not FOLDER.is_dir():
        sys.stderr.write(f"`{FOLDER}` is not there: reference pages are made in a source tree\n")
        return 1
    for name, text in render_all().items():
        (FOLDER / name).write_text(text, "utf-8")
    RULES_SCHEMA.write_text(schema_text(), "utf-8")
    return 0


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", _MADE, *parts)) + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _codes(texts: Mapping[_C, str]) -> str:
    return _table(("reason", "meaning"), ((_code(code), text) for code, text in texts.items()))


def _code(text: str) -> str:
    return f"`{text}`"


def _topic_row(topic: Topic) -> tuple[str, ...]:
    return _code(topic.name), topic.key, _record_name(topic), topic.note


def _record_name(topic: Topic) -> str:
    if topic.record is not None:
        return _code(topic.record.__name__)
    return "JSON" if topic is ALERT_OCSF else "bytes"


def _retention_row(topic: Topic) -> tuple[str, ...]:
    kept = "always" if topic.retention_ms is None else f"{topic.retention_ms // _DAY_MS} days"
    return _code(topic.name), topic.spread, topic.config()["cleanup.policy"], kept


def _role_row(role: Role) -> tuple[str, ...]:
    def names(has: Callable[[Topic], tuple[Role, ...]]) -> str:
        return ", ".join(_code(topic.name) for topic in TOPICS if role in has(topic)) or "-"

    return role, names(lambda topic: topic.writers), names(lambda topic: topic.readers)


def _wire() -> str:
    return (
        "## Values\n\n"
        "Avro, in Confluent's framings: `0x00`, the schema's id in four bytes (big-endian), then the record; or the "
        f"record alone, with `0x01` and the schema's GUID in the header `{SCHEMA_ID_HEADER}`. Both are read, the first "
        f"is written. A value of more than {VALUE_BYTES_MAX:,} bytes is not read, one of more than "
        f"{WRITTEN_BYTES_MAX:,} not written. Subjects follow TopicNameStrategy; every version reads every other "
        "(FULL_TRANSITIVE), and a published version never changes ([ADR 0027](../adr/0027-schemas-do-not-change.md)). "
        "The schemas are in `schemas/avro/`.\n\n"
        "Without a schema registry, ids are those of `schemas/ids.lock.json`:"
    )


def _schema_rows() -> Iterable[tuple[str, ...]]:
    committed = CommittedSchemas.load()
    for topic in DECLARED:
        if topic.record is None:
            continue
        for version in committed.versions(topic.name):
            guid = version.guid.hex()
            yield (
                _code(topic.name),
                _code(subject_name(topic.name)),
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
    return ((_code(name), _code(value.decode()), texts[name]) for name, value in headers)


if __name__ == "__main__":
    sys.exit(main())
