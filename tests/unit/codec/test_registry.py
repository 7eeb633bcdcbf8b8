"""Schema ids from a registry."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from streams.codec.avro import Codec
from streams.codec.registry import REFRESH_AFTER_FAILURE_MS, REFRESH_INTERVAL_MS, RegistrySchemas
from streams.codec.schema_types import SchemaError
from streams.codec.schemas import CommittedSchemas
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from tests.records import INTENT, RECORD_TOPICS
from tests.unit.codec.registry_server import Registry

COMMITTED = CommittedSchemas.load()
TOPIC = "agent.intent.v1"
SUBJECT = "agent.intent.v1-value"
TEXT = COMMITTED.current(TOPIC).text
FAST = {"max.retries": "0"}


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    yield server
    server.close()


class Time:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def source(registry: Registry, clock: Time | None = None, **config: str) -> RegistrySchemas:
    return RegistrySchemas(
        registry.url,
        COMMITTED,
        FAST | {name.replace("_", "."): value for name, value in config.items()},
        topics=(TOPIC,),
        monotonic_ms=clock or Time(),
    )


def refusal(codec: Codec, value: bytes, topic: str = TOPIC) -> RecordError:
    with pytest.raises(RecordError) as raised:
        codec.decode(topic, value)
    return raised.value


def newer(symbol: str = "ROBOT") -> str:
    """The intent's schema with one more kind of principal."""
    schema = json.loads(TEXT)
    actor = next(field for field in schema["fields"] if field["name"] == "act")["type"]
    next(field for field in actor["fields"] if field["name"] == "sub_profile")["type"]["symbols"].append(symbol)
    return json.dumps(schema)


def test_an_empty_registry_gets_todays_schemas(registry: Registry) -> None:
    schemas = RegistrySchemas(registry.url, COMMITTED, FAST)
    assert set(registry.subjects) == {f"{topic}-value" for topic in RECORD_TOPICS}
    assert registry.compatibility == dict.fromkeys(registry.subjects, "FULL_TRANSITIVE")
    codec = Codec(schemas)
    value = codec.encode(TOPIC, INTENT)
    assert int.from_bytes(value[1:5], "big") == registry.subjects[SUBJECT][0]["id"]
    assert codec.decode(TOPIC, value) == INTENT
    guid = schemas.current(TOPIC).guid
    assert codec.decode(TOPIC, value[5:], (("__value_schema_id", b"\x01" + guid),)) == INTENT


def test_a_schema_that_is_there_is_only_looked_up(registry: Registry) -> None:
    registry.add("other-value", '"string"')
    expected = registry.add(SUBJECT, TEXT)
    assert source(registry).current(TOPIC).id == expected
    assert registry.compatibility == {}
    assert len(registry.subjects[SUBJECT]) == 1


def test_a_schema_that_may_not_be_registered(registry: Registry) -> None:
    with pytest.raises(SchemaError, match=r"lacks today's schema of `agent\.intent\.v1-value`: register it"):
        source(registry, auto_register_schemas="false")
    assert registry.subjects == {}


def test_values_are_told_by_the_ids_of_their_registry(registry: Registry) -> None:
    codec = Codec(source(registry))
    assert refusal(codec, b"\x00\x00\x00\x03\xe7abc").reason == DeadLetterReason.SCHEMA_UNKNOWN


def test_ids_of_the_lock_file_stay_readable(registry: Registry) -> None:
    before = Codec(COMMITTED).encode(TOPIC, INTENT)
    codec = Codec(source(registry))
    asked = len(registry.requests)
    assert codec.decode(TOPIC, before) == INTENT
    guid = COMMITTED.current(TOPIC).guid
    assert codec.decode(TOPIC, before[5:], (("__value_schema_id", b"\x01" + guid),)) == INTENT
    assert len(registry.requests) == asked


def test_an_id_of_another_subject(registry: Registry) -> None:
    schemas = RegistrySchemas(registry.url, COMMITTED, FAST)
    codec = Codec(schemas)
    verdict_id = schemas.current("agent.verdict.v1").id.to_bytes(4, "big")
    error = refusal(codec, b"\x00" + verdict_id + b"abc")
    assert error.reason == DeadLetterReason.SCHEMA_MISMATCH
    assert "belongs to subject `agent.verdict.v1-value`" in str(error)


def test_a_version_that_comes_later_is_found(registry: Registry) -> None:
    clock = Time()
    codec = Codec(source(registry, clock))
    value = codec.encode(TOPIC, INTENT)
    added = registry.add(SUBJECT, newer()).to_bytes(4, "big")
    assert codec.decode(TOPIC, b"\x00" + added + value[5:]) == INTENT


def test_unknown_ids_ask_the_registry_once_in_a_while(registry: Registry) -> None:
    clock = Time()
    codec = Codec(source(registry, clock))
    asked = len(registry.requests)
    for schema_id in range(1_000, 1_050):
        assert refusal(codec, b"\x00" + schema_id.to_bytes(4, "big") + b"abc").reason == DeadLetterReason.SCHEMA_UNKNOWN
    assert len(registry.requests) == asked + 1
    clock.now_ms += REFRESH_INTERVAL_MS
    refusal(codec, b"\x00\x00\x00\x07\xd0abc")
    assert len(registry.requests) == asked + 2


def test_a_registry_that_fails_while_running_is_left_alone(registry: Registry) -> None:
    clock = Time()
    codec = Codec(source(registry, clock))
    value = codec.encode(TOPIC, INTENT)
    asked = len(registry.requests)
    registry.broken = True
    for _ in range(20):
        clock.now_ms += REFRESH_INTERVAL_MS
        assert codec.decode(TOPIC, value) == INTENT
        assert refusal(codec, b"\x00\x00\x00\x07\xd0abc").reason == DeadLetterReason.SCHEMA_UNKNOWN
    assert len(registry.requests) - asked <= 1 + 20 * REFRESH_INTERVAL_MS // REFRESH_AFTER_FAILURE_MS


@pytest.mark.parametrize("text", ['"string"', "not json", json.dumps({"type": "record", "name": "X", "fields": []})])
def test_a_version_that_is_not_usable_refuses_its_own_records_only(registry: Registry, text: str) -> None:
    bad = registry.add(SUBJECT, text).to_bytes(4, "big")
    codec = Codec(source(registry))
    assert refusal(codec, b"\x00" + bad + b"abc").reason == DeadLetterReason.SCHEMA_MISMATCH
    assert codec.decode(TOPIC, codec.encode(TOPIC, INTENT)) == INTENT


def test_a_registry_that_fails_at_the_start_refuses_the_start(registry: Registry) -> None:
    registry.broken = True
    with pytest.raises(SchemaError, match="schema registry"):
        source(registry)


def test_no_registry_at_all() -> None:
    nowhere = "http://user:secret@127.0.0.1:9"
    with pytest.raises(SchemaError, match="schema registry") as raised:
        RegistrySchemas(nowhere, COMMITTED, FAST, topics=(TOPIC,))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("config", [{"no.such": "setting"}, {"timeout": "soon"}, {"basic.auth.user.info": "alice"}])
def test_settings_that_are_wrong(registry: Registry, config: dict[str, str]) -> None:
    with pytest.raises(SchemaError, match="settings of the schema registry"):
        RegistrySchemas(registry.url, COMMITTED, config, topics=(TOPIC,))
