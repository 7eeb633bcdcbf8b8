"""The codec with a real schema registry, and Confluent's own serializers beside it on a real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from simulation.broker.registry import find_registry
from streams.codec.avro import Codec
from streams.codec.registry import RegistrySchemas
from streams.codec.schema_types import SchemaError
from streams.codec.schemas import CommittedSchemas, subject_name
from streams.kafka.admin import KafkaAdmin
from streams.ports import TopicSpec
from streams.wiring.codecs import build_codec
from streams.wiring.settings import Settings
from tests.records import INTENT, RECORD_TOPICS

COMMITTED = CommittedSchemas.load()
INTENTS = "agent.intent.v1"
SUBJECT = subject_name(INTENTS)
ID_BYTES = 5
WAIT_S = 30.0
CONFLICT = 409
UNPROCESSABLE = 422


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real registry, which a deployment has registered its schemas with."""
    with find_registry(tmp_path_factory.mktemp("registry")) as found:
        RegistrySchemas(found, COMMITTED)
        yield found


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as made:
        yield made


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    """A topic of the shared broker, for this test alone."""
    name = f"registry-{time.monotonic_ns()}"
    with closing(KafkaAdmin(kafka_bootstrap)) as admin:
        admin.create([TopicSpec(name, 1, {})], 1)
    return name


def test_every_subject_has_todays_schema_once_and_may_only_change_compatibly(client: SchemaRegistryClient) -> None:
    subjects = {subject_name(topic) for topic in RECORD_TOPICS}
    assert subjects <= set(client.get_subjects())
    assert {subject: client.get_versions(subject) for subject in subjects} == {each: [1] for each in subjects}
    assert {client.get_compatibility(subject) for subject in subjects} == {"FULL_TRANSITIVE"}


def test_who_may_not_register_finds_the_ids_of_who_did(url: str) -> None:
    first = RegistrySchemas(url, COMMITTED)
    second = RegistrySchemas(url, COMMITTED, {"auto.register.schemas": "false"})
    assert [second.current(topic).id for topic in RECORD_TOPICS] == [first.current(topic).id for topic in RECORD_TOPICS]
    assert first.current(INTENTS).id != COMMITTED.current(INTENTS).id


def test_who_may_not_register_is_told_what_the_registry_lacks(url: str, client: SchemaRegistryClient) -> None:
    lacking = subject_name("agent.session.v1")
    client.delete_subject(lacking)
    try:
        with pytest.raises(SchemaError, match=r"lacks today's schema of `agent\.session\.v1-value`: register it"):
            RegistrySchemas(url, COMMITTED, {"auto.register.schemas": "false"}, topics=("agent.session.v1",))
    finally:
        RegistrySchemas(url, COMMITTED, topics=("agent.session.v1",))
    assert lacking in client.get_subjects()


def changed(field: dict[str, object]) -> Schema:
    """The schema of intents with one more field."""
    schema: dict[str, Any] = json.loads(COMMITTED.current(INTENTS).text)
    return Schema(json.dumps({**schema, "fields": [*schema["fields"], field]}), "AVRO")


def test_the_registry_rejects_a_schema_that_cannot_read_what_is_there(client: SchemaRegistryClient) -> None:
    breaking = changed({"name": "needed", "type": "string"})
    assert client.test_compatibility(SUBJECT, breaking) is False
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(SUBJECT, breaking)
    assert refused.value.http_status_code in {CONFLICT, UNPROCESSABLE}
    assert client.get_versions(SUBJECT) == [1]


def test_records_of_the_codec_are_read_by_confluents_client(
    url: str, client: SchemaRegistryClient, kafka_bootstrap: str, topic: str
) -> None:
    codec = build_codec(Settings(schema_registry_url=url))
    produce(kafka_bootstrap, topic, codec.encode(INTENTS, INTENT))
    value = consume(kafka_bootstrap, topic)
    read: Any = AvroDeserializer(client)(value, SerializationContext(INTENTS, MessageField.VALUE))
    assert (str(read["intent_id"]), read["args_json"]) == (INTENT.intent_id, INTENT.args_json)
    assert codec.decode(INTENTS, value) == INTENT


def test_records_of_confluents_client_are_read_by_the_codec(
    url: str, client: SchemaRegistryClient, kafka_bootstrap: str, topic: str
) -> None:
    codec = build_codec(Settings(schema_registry_url=url))
    context = SerializationContext(INTENTS, MessageField.VALUE)
    fields = AvroDeserializer(client)(codec.encode(INTENTS, INTENT), context)
    settings = {"auto.register.schemas": False, "normalize.schemas": True}
    produce(
        kafka_bootstrap, topic, AvroSerializer(client, COMMITTED.current(INTENTS).text, conf=settings)(fields, context)
    )
    assert codec.decode(INTENTS, consume(kafka_bootstrap, topic)) == INTENT


def test_a_schema_that_is_registered_later_is_found_by_a_running_codec(
    url: str, client: SchemaRegistryClient, kafka_bootstrap: str, topic: str
) -> None:
    codec = Codec(RegistrySchemas(url, COMMITTED, topics=(INTENTS,)))
    newer = changed({"name": "note", "type": ["null", "string"], "default": None})
    assert client.test_compatibility(SUBJECT, newer) is True
    number = client.register_schema(SUBJECT, newer)
    try:
        # The new field is the last one, and empty.
        value = b"\0" + number.to_bytes(4, "big") + codec.encode(INTENTS, INTENT)[ID_BYTES:] + b"\0"
        produce(kafka_bootstrap, topic, value)
        assert codec.decode(INTENTS, consume(kafka_bootstrap, topic)) == INTENT
    finally:
        client.delete_version(SUBJECT, 2)


def produce(bootstrap: str, topic: str, value: bytes | None) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(WAIT_S) == 0


def consume(bootstrap: str, topic: str) -> bytes:
    """The first record of the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(WAIT_S)
        assert message is not None
        assert message.error() is None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()
