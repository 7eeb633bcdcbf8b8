"""Reading single fields of a record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.codec import avro
from streams.codec.avro import Codec
from streams.codec.decoder import compile_field_reader
from streams.codec.schemas import CommittedSchemas
from streams.codec.source import Compiled
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import VERDICT
from streams.model.types import Model
from streams.model.verdict import Obligation, Outcome, RuleFault, RuleHit, Verdict
from tests.unit.sdk.hands import TOOL, make_verdict

SCHEMAS = CommittedSchemas.load()
CODEC = Codec(SCHEMAS)
TOPIC = VERDICT.name
PATHS = ("outcome", "tool.server_id")
FULL = make_verdict(
    rules=(RuleHit(rule_id="A-1", rule_version="1", reason="r"), RuleHit(rule_id="B-2", rule_version="2", reason="r")),
    errors=(RuleFault(rule_id="C-3", text="t" * 300),),
    obligations=(Obligation(id="o", type="mask", properties_json='{"a":1}'),),
    delegation_path=("d-1", "d-2"),
    ancestor_session_ids=("s-0",),
    ancestor_actors=("planner",),
    model=Model(ai_provider="example", name="large", version="1"),
    reason_text="é" * 200,
)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("server_id", ["mail", "x" * 200])
@pytest.mark.parametrize("base", [make_verdict(), FULL], ids=["bare", "full"])
def test_the_fields_are_those_of_the_whole_record(base: Verdict, outcome: Outcome, server_id: str) -> None:
    verdict = msgspec.structs.replace(base, outcome=outcome, tool=msgspec.structs.replace(TOOL, server_id=server_id))
    value = CODEC.encode(TOPIC, verdict)
    assert CODEC.read_fields(TOPIC, value, (), PATHS) == (outcome, server_id)
    assert CODEC.read_fields(TOPIC, value, (), ("verdict_id", "sub")) == (verdict.verdict_id, "alice")
    assert CODEC.read_fields(TOPIC, value, (), ("header.tenant_uid", "mode")) == ("acme", verdict.mode)
    within = ("header.source", "header.tenant_uid", "act.sub", "evaluated_at")
    assert CODEC.read_fields(TOPIC, value, (), within) == ("gate", "acme", "assistant", verdict.evaluated_at)


def test_what_ends_before_the_last_field_is_refused_and_what_follows_it_is_not_looked_at() -> None:
    value = CODEC.encode(TOPIC, FULL)
    after = value.index(b"\x08mail") + 5
    assert CODEC.read_fields(TOPIC, value[:after], (), PATHS) == (Outcome.ALLOW, "mail")
    for end in range(5, after):
        with pytest.raises(RecordError) as raised:
            CODEC.read_fields(TOPIC, value[:end], (), PATHS)
        assert raised.value.reason == DeadLetterReason.RECORD_TRUNCATED


@pytest.mark.parametrize("value", [None, b"", b"\x00", b"garbage", b"\x00\x00\x00\x00\x07rest"])
def test_a_value_without_its_schema_is_refused_as_when_it_is_read_whole(value: bytes | None) -> None:
    with pytest.raises(RecordError) as whole:
        CODEC.decode(TOPIC, value)
    with pytest.raises(RecordError) as raised:
        CODEC.read_fields(TOPIC, value, (), PATHS)
    assert (raised.value.reason, str(raised.value)) == (whole.value.reason, str(whole.value))


def test_the_schema_may_be_named_in_the_header() -> None:
    value = CODEC.encode(TOPIC, FULL)
    headers = (("__value_schema_id", b"\x01" + SCHEMAS.current(TOPIC).guid),)
    assert CODEC.read_fields(TOPIC, value[5:], headers, PATHS) == (Outcome.ALLOW, "mail")


@pytest.mark.parametrize("paths", [("tool.server_id", "outcome"), ("tool.nothing",), ("nothing",), ("sub.nothing",)])
def test_fields_that_are_not_there_in_this_order_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(RecordError) as raised:
        CODEC.read_fields(TOPIC, CODEC.encode(TOPIC, FULL), (), paths)
    assert raised.value.reason == DeadLetterReason.SCHEMA_MISMATCH


def test_that_they_are_not_there_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay reads millions of records of older versions, which lack a field."""
    tried = []

    def compile_counted(*args: Any) -> Compiled:
        tried.append(args)
        return compile_field_reader(*args)

    monkeypatch.setattr(avro, "compile_field_reader", compile_counted)
    codec, value = Codec(SCHEMAS), CODEC.encode(TOPIC, FULL)
    told = []
    for _ in range(3):
        with pytest.raises(RecordError) as raised:
            codec.read_fields(TOPIC, value, (), ("nothing",))
        told.append((raised.value.reason, str(raised.value)))
    assert len(tried) == 1
    assert told == [told[0]] * 3
    assert "nothing" in told[0][1]
