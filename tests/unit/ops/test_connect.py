"""`ops/connect`: topics that exist and that auditors may read, keys that the connectors have, and nothing that loses
records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, AUDIT_REPORTED, AUDIT_SEAL, BY_NAME, Role

FOLDER = Path(__file__).resolve().parents[3] / "ops" / "connect"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
COMMON = {
    "connector.class",
    "topics",
    "tasks.max",
    "key.converter",
    "value.converter",
    "value.converter.schemas.enable",
    "value.converter.schema.registry.url",
    "consumer.override.isolation.level",
    "consumer.override.auto.offset.reset",
    "errors.tolerance",
    "errors.log.enable",
    "errors.log.include.messages",
}
"""Keys of Kafka Connect itself, and of its converters."""

KEYS = {
    "com.splunk.kafka.connect.SplunkSinkConnector": {
        "splunk.hec.uri",
        "splunk.hec.token",
        "splunk.indexes",
        "splunk.sources",
        "splunk.sourcetypes",
        "splunk.hec.raw",
        "splunk.hec.ack.enabled",
        "splunk.hec.use.record.timestamp",
        "splunk.hec.ssl.validate.certs",
        "splunk.hec.max.batch.size",
    },
    "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector": {
        "connection.url",
        "connection.username",
        "connection.password",
        "key.ignore",
        "schema.ignore",
        "behavior.on.null.values",
        "behavior.on.malformed.documents",
        "batch.size",
        "max.retries",
    },
    "com.clickhouse.kafka.connect.ClickHouseSinkConnector": {
        "hostname",
        "port",
        "ssl",
        "database",
        "username",
        "password",
        "exactlyOnce",
        "timeoutSeconds",
        "retryCount",
    },
    "io.confluent.connect.s3.S3SinkConnector": {
        "s3.region",
        "s3.bucket.name",
        "s3.ssea.name",
        "s3.sse.kms.key.id",
        "storage.class",
        "format.class",
        "parquet.codec",
        "schema.compatibility",
        "topics.dir",
        "partitioner.class",
        "path.format",
        "partition.duration.ms",
        "timestamp.extractor",
        "locale",
        "timezone",
        "flush.size",
        "rotate.interval.ms",
    },
}
"""Keys of each connector, from the definitions in its source."""

BOOLEAN = {"true", "false"}
VALUES: dict[str, set[str] | range] = {
    "splunk.hec.raw": BOOLEAN,
    "splunk.hec.ack.enabled": BOOLEAN,
    "splunk.hec.use.record.timestamp": BOOLEAN,
    "splunk.hec.ssl.validate.certs": BOOLEAN,
    "key.ignore": BOOLEAN,
    "schema.ignore": BOOLEAN,
    "behavior.on.null.values": {"ignore", "delete", "fail"},
    "behavior.on.malformed.documents": {"ignore", "warn", "fail"},
    "max.retries": range(0, 2_147_483_648),
    "port": range(1, 65_536),
    "ssl": BOOLEAN,
    "exactlyOnce": BOOLEAN,
    "timeoutSeconds": range(0, 601),
    "retryCount": range(3, 11),
    "s3.ssea.name": {"AES256", "aws:kms"},
    "schema.compatibility": {"NONE", "BACKWARD", "FORWARD", "FULL"},
    "partition.duration.ms": range(-1, 2**63),
    "rotate.interval.ms": range(-1, 2**63),
    "flush.size": range(1, 2**31),
}
"""What they take, from the same definitions; other values are names and addresses."""


def config(name: str) -> dict[str, str]:
    made = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert made["name"] == f"stoplog-{name}"
    assert all(isinstance(value, str) for value in made["config"].values())
    found: dict[str, str] = made["config"]
    return found


def test_there_is_one_for_each_system() -> None:
    assert NAMES == ["clickhouse", "elastic", "s3", "splunk"]
    assert {config(name)["connector.class"] for name in NAMES} == set(KEYS)


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_has_only_keys_that_the_connector_has(self, name: str) -> None:
        made = config(name)
        assert made.keys() - COMMON - KEYS[made["connector.class"]] == set()

    def test_has_only_values_that_the_connector_takes(self, name: str) -> None:
        for key, value in config(name).items():
            taken = VALUES.get(key)
            if isinstance(taken, range):
                assert int(value) in taken, key
            elif taken is not None:
                assert value in taken, key

    def test_reads_topics_that_exist_and_that_auditors_or_the_soc_may_read(self, name: str) -> None:
        for topic in config(name)["topics"].split(","):
            assert {Role.AUDITOR, Role.SOC} & set(BY_NAME[topic].readers), topic

    def test_loses_nothing_and_reads_nothing_that_was_aborted(self, name: str) -> None:
        made = config(name)
        assert made["errors.tolerance"] == "none"
        assert made["consumer.override.isolation.level"] == "read_committed"
        assert made["consumer.override.auto.offset.reset"] == "earliest"

    def test_converts_what_is_on_its_topics(self, name: str) -> None:
        made = config(name)
        is_avro = {BY_NAME[topic].record is not None for topic in made["topics"].split(",")}
        assert is_avro == {made["value.converter"] == "io.confluent.connect.avro.AvroConverter"}

    def test_has_no_secret(self, name: str) -> None:
        secret = ("token", "password", "user", "url", "uri")
        assert all(value.startswith("${env:") for key, value in config(name).items() if key.endswith(secret))

    def test_is_on_the_page(self, name: str) -> None:
        page = (FOLDER / "README.md").read_text("utf-8")
        assert f"`{name}.json`" in page


def test_the_heads_of_all_logs_are_kept_in_s3() -> None:
    """Only heads that are kept elsewhere show that the end of a log was cut off."""
    kept = set(config("s3")["topics"].split(","))
    assert {AUDIT.name, AUDIT_CHECKPOINT.name} <= kept
    assert {AUDIT_REPORTED.name, AUDIT_SEAL.name} <= kept


def test_files_in_s3_follow_from_the_records_alone() -> None:
    made = config("s3")
    assert made["timestamp.extractor"] == "Record"
    assert "rotate.schedule.interval.ms" not in made


def test_the_source_type_is_that_of_the_searches() -> None:
    assert f'sourcetype="{config("splunk")["splunk.sourcetypes"]}"' in (
        FOLDER.parent / "siem" / "splunk" / "savedsearches.conf"
    ).read_text("utf-8")
