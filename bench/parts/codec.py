"""Measures encoding and decoding of records, in microseconds: `python -m bench codec`.

Compares our compiled functions with fastavro, which needs msgspec's conversion to and from plain values, on the same
records. The result is the CPU time of the fastest of several runs, because other work on the machine only adds to it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import fastavro
import msgspec
from fastavro.types import Schema

from bench.parts.pydantic_records import model_of
from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.codec.history import format_line, parse_line
from streams.codec.schemas import CommittedSchemas
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.intent import Intent, ReplyTo
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.topics import AUDIT, INTENT, VERDICT
from streams.model.types import Actor, Header, Model, Proof, ProofAlg, Record, SubProfile, ToolRef
from streams.model.verdict import (
    InclusionProof,
    Influence,
    Obligation,
    Origin,
    Outcome,
    RuleEffect,
    RuleHit,
    RuleMode,
    Signal,
    Verdict,
    VerdictMode,
)

RUNS = 7
CALLS = 2_000

_ID = "0192f3c1-7a5b-7c3d-8e9f-0123456789ab"
_DIGEST = bytes(range(32))
_NOW_MS = 1_764_061_200_123
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_HEADER = Header(id=_ID, source="agent/billing-7", time=_NOW_MS, tenant_uid="acme", traceparent=_TRACE)
_ACTOR = Actor(
    iss="https://id.acme.example",
    sub="billing-7",
    sub_profile=SubProfile.AI_AGENT,
    instance_uid="pod-77f9",
    jkt="0" * 43,
)
_TOOL = ToolRef(server_id="mail", name="send_message", definition_digest=_DIGEST, catalog_version=3)
_MODEL = Model(ai_provider="example", name="large-1", version="2025-08-07")
_ARGS = json.dumps({"body": "x" * 160, "subject": "Invoice 42", "to": ["bob@partner.example"]}, separators=(",", ":"))
_RULE = RuleHit(
    rule_id="mail.external",
    rule_version="4",
    effect=RuleEffect.PERMIT,
    mode=RuleMode.ENFORCE,
    reason="named by the user",
)
_LABEL = Label(
    integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE, readers=("alice@a.example", "bob@a.example")
)

SAMPLES: dict[str, Record] = {
    INTENT.name: Intent(
        header=_HEADER,
        intent_id=_ID,
        session_id="s-20251125-000001",
        conversation_id="c-9",
        turn=7,
        tool_call_id="call_abc123",
        sub="user:alice@acme.example",
        act=_ACTOR,
        delegation_uid=_ID,
        tool=_TOOL,
        args_json=_ARGS,
        args_digest=_DIGEST,
        model=_MODEL,
        user_request_digest=_DIGEST,
        system_prompt_digest=_DIGEST,
        toolset_digest=_DIGEST,
        claimed_sources=(_ID,),
        deadline=_NOW_MS + 60_000,
        reply_to=ReplyTo(topic=VERDICT.name, partition=3),
        proof=Proof(alg=ProofAlg.HMAC_SHA256, kid="k1", value=_DIGEST),
    ),
    VERDICT.name: Verdict(
        header=_HEADER,
        verdict_id=_ID,
        intent_id=_ID,
        session_id="s-20251125-000001",
        outcome=Outcome.ALLOW,
        reason="permitted",
        reason_text="a rule permits the call and no rule forbids it",
        rules=(_RULE, _RULE),
        obligations=(Obligation(id="o1", type="redact", properties_json='{"fields":["body"]}'),),
        sub="user:alice@acme.example",
        act=_ACTOR,
        delegation_path=(_ID, _ID),
        tool=_TOOL,
        args_json=_ARGS,
        args_digest=_DIGEST,
        label=_LABEL,
        influences=(Influence(event_id=_ID, arg_pointers=("/to/0",), origin=Origin.USER),) * 2,
        signals=(Signal(name="burst", score=0.25, explain="3 calls in 10 s"),),
        ruleset_digest=_DIGEST,
        session_sequence=12,
        revocation_offset=991,
        evaluated_at=_NOW_MS,
        expires_at=_NOW_MS + 60_000,
        audience="mail-executor",
        mode=VerdictMode.ENFORCE,
        audit_leaf=_DIGEST,
        proof=InclusionProof(
            leaf_index=1_000_001,
            tree_size=1_000_500,
            path=(_DIGEST,) * 20,
            signed_head="gate.example/log/3\n" + "A" * 160,
        ),
    ),
    AUDIT.name: AuditEvent(
        header=_HEADER,
        event_type=AuditEventType.VERDICT,
        phase=AuditPhase.PRE_EXECUTION,
        outcome=Outcome.ALLOW,
        session_id="s-20251125-000001",
        intent_id=_ID,
        verdict_id=_ID,
        sub="user:alice@acme.example",
        act=_ACTOR,
        delegation_path=(_ID, _ID),
        model=_MODEL,
        user_request_commit=_DIGEST,
        system_prompt_commit=_DIGEST,
        system_prompt_fingerprint=_DIGEST,
        toolset_digest=_DIGEST,
        inputs=(_ID,) * 3,
        tool=_TOOL,
        args_commit=_DIGEST,
        verdict_digest=_DIGEST,
        label=_LABEL,
        ruleset_digest=_DIGEST,
        reason="permitted",
        reason_text="a rule permits the call and no rule forbids it",
        rules=(_RULE, _RULE),
        tags=("ASI02",),
        retention_class=RetentionClass.STANDARD,
    ),
}


def us_per_call(call: Callable[[], object]) -> float:
    """Return the best of `RUNS` runs of `CALLS` calls."""
    best = float("inf")
    for _ in range(RUNS):
        before = time.process_time()
        for _ in range(CALLS):
            call()
        best = min(best, time.process_time() - before)
    return best / CALLS * 1e6


def main() -> None:
    """Print a line for each record."""
    schemas = CommittedSchemas.load()
    codec = Codec(schemas)
    print(f"{'us per record':<18}{'bytes':>6}{'encode':>9}{'fastavro':>10}{'decode':>9}{'fastavro':>10}")
    for topic, record in SAMPLES.items():
        schema = fastavro.parse_schema(_without_logical_types(json.loads(schemas.current(topic).text)))
        value = codec.encode(topic, record)
        assert value[5:] == _write(schema, record)
        assert codec.decode(topic, value) == _read(schema, value[5:], type(record)) == record
        figures = [
            us_per_call(partial(codec.encode, topic, record)),
            us_per_call(partial(_write, schema, record)),
            us_per_call(partial(codec.decode, topic, value)),
            us_per_call(partial(_read, schema, value[5:], type(record))),
        ]
        print(f"{topic:<18}{len(value):>6}{figures[0]:>9.1f}{figures[1]:>10.1f}{figures[2]:>9.1f}{figures[3]:>10.1f}")
    intent = SAMPLES[INTENT.name]
    line = format_line(INTENT.name, b"acme|s", _NOW_MS, intent)
    headers_us = us_per_call(partial(event_headers, VERDICT, _HEADER))
    write_us = us_per_call(partial(format_line, INTENT.name, b"acme|s", _NOW_MS, intent))
    read_us = us_per_call(partial(parse_line, line, 1, "history.jsonl"))
    print(f"event headers {headers_us:.2f}; line of a history: write {write_us:.0f}, read {read_us:.0f}")
    print_models(intent)


def print_models(intent: Record) -> None:
    """Print what an intent costs as a record of msgspec and as a model of pydantic."""
    model = model_of(type(intent))
    plain = msgspec.to_builtins(intent, builtin_types=(bytes,))
    same = model.model_validate(plain)
    figures = {
        "read from plain values": (
            us_per_call(partial(msgspec.convert, plain, type(intent), builtin_types=(bytes,))),
            us_per_call(partial(model.model_validate, plain)),
        ),
        "write as plain values": (
            us_per_call(partial(msgspec.to_builtins, intent, builtin_types=(bytes,))),
            us_per_call(same.model_dump),
        ),
        "copy with one other field": (
            us_per_call(partial(msgspec.structs.replace, intent, turn=8)),
            us_per_call(partial(same.model_copy, update={"turn": 8})),
        ),
    }
    print(f"{'us per intent':<28}{'msgspec':>9}{'pydantic':>10}")
    for what, (record_us, model_us) in figures.items():
        print(f"{what:<28}{record_us:>9.2f}{model_us:>10.2f}")


def _write(schema: Schema, record: Record) -> bytes:
    out = io.BytesIO()
    plain = msgspec.to_builtins(record, builtin_types=(bytes,))
    fastavro.schemaless_writer(out, schema, plain, disable_tuple_notation=True)
    return out.getvalue()


def _read(schema: Schema, data: bytes, kind: type[Record]) -> Record:
    return msgspec.convert(fastavro.schemaless_reader(io.BytesIO(data), schema, None), kind, builtin_types=(bytes,))


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node


if __name__ == "__main__":
    main()
