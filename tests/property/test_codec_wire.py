"""The codec against any record, an independent Avro library, and any bytes."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.types import Record
from tests import oracle
from tests.records import RECORD_TOPICS, RECORD_TYPES, records

SCHEMAS = CommittedSchemas.load()
CODEC = Codec(SCHEMAS)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

each_topic = pytest.mark.parametrize("topic", RECORD_TOPICS)


AVRO = {topic: json.loads(SCHEMAS.current(topic).text) for topic in RECORD_TOPICS}


def oracle_read(topic: str, body: bytes) -> Record:
    return msgspec.convert(oracle.read(AVRO[topic], body), RECORD_TYPES[topic], builtin_types=(bytes,))


@each_topic
@SOME
@given(data=st.data())
def test_a_record_comes_back_as_it_was(topic: str, data: st.DataObject) -> None:
    record = data.draw(records(RECORD_TYPES[topic]))
    value = CODEC.encode(topic, record)
    assert CODEC.decode(topic, value) == record
    assert CODEC.decode(topic, value[5:], (("__value_schema_id", b"\x01" + SCHEMAS.current(topic).guid),)) == record


@each_topic
@SOME
@given(data=st.data())
def test_the_bytes_are_those_of_another_library(topic: str, data: st.DataObject) -> None:
    record = data.draw(records(RECORD_TYPES[topic]))
    body = CODEC.encode(topic, record)[5:]
    assert body == oracle.write(AVRO[topic], oracle.plain(record))
    assert oracle_read(topic, body) == record


@each_topic
@SOME
@given(data=st.data())
def test_a_value_that_is_cut_or_goes_on_is_told_as_such(topic: str, data: st.DataObject) -> None:
    value = CODEC.encode(topic, data.draw(records(RECORD_TYPES[topic])))
    cut = data.draw(st.integers(5, len(value) - 1))
    for broken in (value[:cut], value + data.draw(st.binary(min_size=1, max_size=8))):
        with pytest.raises(RecordError) as raised:
            CODEC.decode(topic, broken)
        assert raised.value.reason is DeadLetterReason.RECORD_TRUNCATED


@each_topic
@settings(SOME, max_examples=80)
@given(data=st.data())
def test_a_changed_value_is_a_record_or_an_error(topic: str, data: st.DataObject) -> None:
    value = bytearray(CODEC.encode(topic, data.draw(records(RECORD_TYPES[topic]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(5, len(value)))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=10))
    read_or_refuse(topic, bytes(value))


@each_topic
@settings(SOME, max_examples=80)
@given(data=st.data())
def test_any_bytes_are_a_record_or_an_error(topic: str, data: st.DataObject) -> None:
    prefix = b"\x00" + SCHEMAS.current(topic).id.to_bytes(4, "big")
    read_or_refuse(topic, prefix + data.draw(st.binary(max_size=400)))
    read_or_refuse(topic, data.draw(st.binary(max_size=40)))


@given(value=st.binary(max_size=64), header=st.none() | st.binary(max_size=20))
def test_any_schema_id_is_known_or_an_error(value: bytes, header: bytes | None) -> None:
    headers = (("ce_type", b"x"), ("__value_schema_id", header))
    with pytest.raises(RecordError) as raised:
        CODEC.decode("agent.intent.v1", value, headers)
    assert raised.value.reason in {
        DeadLetterReason.FRAMING_INVALID,
        DeadLetterReason.SCHEMA_UNKNOWN,
        DeadLetterReason.VALUE_MISSING,
    }


def read_or_refuse(topic: str, value: bytes) -> None:
    """What is read must be what another library reads, and can be written again; anything else is a RecordError."""
    record = read(topic, value)
    if isinstance(record, RecordError):
        assert record.reason in set(DeadLetterReason)
        assert str(record)
    else:
        assert repr(oracle_read(topic, value[5:])) == repr(record)
        assert repr(CODEC.decode(topic, CODEC.encode(topic, record))) == repr(record)


def read(topic: str, value: bytes) -> Record | RecordError:
    try:
        return CODEC.decode(topic, value)
    except RecordError as error:
        return error
