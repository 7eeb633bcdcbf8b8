"""The interpreted functions of a codec for few records: they do what the compiled ones do, or leave it to them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.codec.avro import Codec
from streams.codec.interpreted import interpret_decoder, interpret_encoder
from streams.codec.schemas import CommittedSchemas
from streams.codec.seldom import CALLS_MAX, SeldomCalled, SeldomCodec
from streams.codec.source import Compiled
from streams.model.errors import RecordError
from tests.records import RECORD_TOPICS, RECORD_TYPES, records

SCHEMAS = CommittedSchemas.load()
COMPILED = Codec(SCHEMAS)
SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DECODERS = {topic: interpret_decoder(SCHEMAS.current(topic).shape, SCHEMAS.current(topic).shape, RECORD_TYPES[topic])
            for topic in RECORD_TOPICS}  # fmt: skip
PREFIX_BYTES = 5

each_topic = pytest.mark.parametrize("topic", RECORD_TOPICS)


@each_topic
def test_every_record_of_ours_is_interpreted(topic: str) -> None:
    assert DECODERS[topic] is not None
    assert interpret_encoder(SCHEMAS.current(topic).shape, b"") is not None


@each_topic
@SOME
@given(data=st.data())
def test_a_record_has_the_same_bytes_and_comes_back(topic: str, data: st.DataObject) -> None:
    record = data.draw(records(RECORD_TYPES[topic]))
    value = COMPILED.encode(topic, record)
    write, read = interpret_encoder(SCHEMAS.current(topic).shape, value[:PREFIX_BYTES]), DECODERS[topic]
    assert write is not None
    assert read is not None
    assert write(record) == value
    assert repr(read(value, PREFIX_BYTES)) == repr(record)


@each_topic
@settings(SOME, max_examples=80)
@given(data=st.data())
def test_what_the_compiled_function_rejects_is_not_read(topic: str, data: st.DataObject) -> None:
    value = bytearray(COMPILED.encode(topic, data.draw(records(RECORD_TYPES[topic]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(PREFIX_BYTES, len(value)))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=10))
    same_reading(topic, bytes(value))


@each_topic
@settings(SOME, max_examples=80)
@given(data=st.data())
def test_any_bytes_are_read_alike(topic: str, data: st.DataObject) -> None:
    same_reading(topic, b"\x00" + SCHEMAS.current(topic).id.to_bytes(4, "big") + data.draw(st.binary(max_size=400)))


@each_topic
@SOME
@given(data=st.data())
def test_older_versions_are_read_alike(topic: str, data: st.DataObject) -> None:
    record = data.draw(records(RECORD_TYPES[topic]))
    for version in SCHEMAS.versions(topic):
        write = interpret_encoder(version.shape, b"\x00" + version.id.to_bytes(4, "big"))
        assert write is not None
        try:
            value = write(record)
        except (KeyError, AttributeError):
            continue  # the older schema has no symbol for a value, or a field that our class has no more
        assert repr(SeldomCodec(SCHEMAS).decode(topic, value)) == repr(COMPILED.decode(topic, value))


def same_reading(topic: str, value: bytes) -> None:
    """Compare what both codecs read, or say, and what the interpreted function alone reads."""
    expected = outcome(COMPILED, topic, value)
    assert outcome(SeldomCodec(SCHEMAS), topic, value) == expected
    read = DECODERS[topic]
    assert read is not None
    try:
        alone = repr(read(value, PREFIX_BYTES))
    except Exception:
        return
    assert alone == expected


def outcome(codec: Codec, topic: str, value: bytes) -> str | tuple[str, str]:
    try:
        return repr(codec.decode(topic, value))
    except RecordError as error:
        return error.reason, str(error)


def counted(calls: list[str], *, fails: bool) -> SeldomCalled:
    """A function whose two forms say that they were called."""

    def interpreted() -> str:
        calls.append("interpreted")
        if fails:
            raise ValueError
        return "interpreted"

    return SeldomCalled(interpreted, lambda: Compiled(lambda: "compiled", ()))


def test_what_is_called_often_is_compiled() -> None:
    calls: list[str] = []
    seldom = counted(calls, fails=False)
    assert [seldom.function() for _ in range(CALLS_MAX)] == ["interpreted"] * CALLS_MAX
    assert [seldom.function() for _ in range(2)] == ["compiled"] * 2
    assert len(calls) == CALLS_MAX


def test_what_fails_is_compiled() -> None:
    calls: list[str] = []
    seldom = counted(calls, fails=True)
    assert [seldom.function() for _ in range(2)] == ["compiled"] * 2
    assert calls == ["interpreted"]
