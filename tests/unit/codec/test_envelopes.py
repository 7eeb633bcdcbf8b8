"""CloudEvents headers and dead letters."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from streams.codec.avro import VALUE_BYTES_MAX, WRITTEN_BYTES_MAX, Codec
from streams.codec.cloudevents import TIMES_CACHED_MAX, event_headers, event_type
from streams.codec.deadletter import HEADERS_BYTES_MAX, KEY_BYTES_MAX, TEXT_BYTES_MAX, dead_letter
from streams.codec.schemas import CommittedSchemas
from streams.model.errors import InvariantError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ALERT_OCSF, BY_NAME, TOPICS, VERDICT
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER
from tests.records import HEADER, INTENT, UUID

RECEIVED = Received(
    topic="agent.intent.v1",
    partition=3,
    offset=41,
    timestamp_ms=1_764_061_200_500,
    key=b"acme|s-1",
    value=b"\x00junk",
    headers=(("ce_id", b"1"), ("traceparent", b"00-")),
)


class TestCloudEvents:
    def test_binary_mode(self) -> None:
        assert event_headers(VERDICT, HEADER) == (
            ("ce_id", UUID.encode()),
            ("ce_source", b"agent/billing-7"),
            ("ce_type", b"agentstream.v1.Verdict"),
            ("ce_specversion", b"1.0"),
            ("ce_time", b"2025-11-25T09:00:00.123Z"),
            ("content-type", b"application/avro"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        )

    def test_trace_headers_are_there_if_the_record_has_them(self) -> None:
        untraced = msgspec.structs.replace(HEADER, traceparent=None, tracestate="a=b")
        assert len(event_headers(VERDICT, untraced)) == 6
        traced = msgspec.structs.replace(HEADER, tracestate="a=b")
        assert event_headers(VERDICT, traced)[-1] == ("tracestate", b"a=b")

    def test_values_that_are_json_say_so(self) -> None:
        assert ("content-type", b"application/json") in event_headers(ALERT_OCSF, HEADER)
        assert event_type(ALERT_OCSF) == "agent.alert.ocsf.v1"

    def test_the_cache_of_times_stays_right_beyond_its_bound(self) -> None:
        for moment in range(0, 3 * TIMES_CACHED_MAX):
            headers = dict(event_headers(VERDICT, msgspec.structs.replace(HEADER, time=moment)))
            assert headers["ce_time"] == f"1970-01-01T00:00:0{moment // 1000}.{moment % 1000:03}Z".encode()


class TestDeadLetters:
    def test_it_says_where_the_record_was_and_why_it_is_here(self) -> None:
        letter = dead_letter(RECEIVED, DeadLetterReason.SCHEMA_UNKNOWN, "schema id 7 is not known here", "gate-1")
        assert (letter.topic, letter.partition) == ("agent.intent.v1.dlq", 3)
        assert (letter.key, letter.value) == (RECEIVED.key, RECEIVED.value)
        assert letter.headers == (
            ("ce_id", b"1"),
            ("traceparent", b"00-"),
            ("__connect.errors.topic", b"agent.intent.v1"),
            ("__connect.errors.partition", b"3"),
            ("__connect.errors.offset", b"41"),
            ("__connect.errors.connector.name", b"gate-1"),
            ("__connect.errors.task.id", b"3"),
            ("__connect.errors.stage", b"VALUE_CONVERTER"),
            ("__connect.errors.class.name", b"streams.codec"),
            ("__connect.errors.exception.class.name", b"streams.model.errors.RecordError:schema_unknown"),
            ("__connect.errors.exception.message", b"schema id 7 is not known here"),
            ("stoplog.reason", b"schema_unknown"),
            ("stoplog.timestamp_ms", b"1764061200500"),
        )

    @pytest.mark.parametrize("reason", DeadLetterReason)
    def test_every_reason_has_a_stage(self, reason: DeadLetterReason) -> None:
        headers = dict(dead_letter(RECEIVED, reason, "text").headers)
        assert headers["__connect.errors.stage"] in {b"KEY_CONVERTER", b"VALUE_CONVERTER", b"TASK_PUT"}
        assert headers["stoplog.reason"] == reason.value.encode()

    def test_a_record_without_key_or_value(self) -> None:
        letter = dead_letter(RECEIVED._replace(key=None, value=None), DeadLetterReason.KEY_MISSING, "no key")
        assert (letter.key, letter.value) == (None, None)
        assert dict(letter.headers)["__connect.errors.stage"] == b"KEY_CONVERTER"

    def test_it_can_be_read_again_when_its_cause_is_gone(self) -> None:
        codec = Codec(CommittedSchemas.load())
        body = codec.encode("agent.intent.v1", INTENT)[5:]
        guid = CommittedSchemas.load().current("agent.intent.v1").guid
        received = RECEIVED._replace(value=body, headers=((SCHEMA_ID_HEADER, b"\x01" + guid),))
        letter = dead_letter(received, DeadLetterReason.PROCESSING_FAILED, "failed")
        assert codec.decode("agent.intent.v1", letter.value, letter.headers) == INTENT

    def test_headers_that_could_pass_for_ours_are_left_out(self) -> None:
        forged = (("stoplog.reason", b"none"), ("__connect.errors.topic", b"other"), ("kept", b"1"))
        headers = dead_letter(RECEIVED._replace(headers=forged), DeadLetterReason.KEY_MISMATCH, "text").headers
        names = [name for name, _ in headers]
        assert names[0] == "kept"
        assert len(set(names)) == len(names)
        assert dict(headers)["stoplog.reason"] == b"key_mismatch"

    def test_everything_is_bounded(self) -> None:
        received = RECEIVED._replace(
            key=b"k" * 100_000, value=b"v" * VALUE_BYTES_MAX, headers=(("h", b"x" * 100_000), ("n", None))
        )
        letter = dead_letter(received, DeadLetterReason.RECORD_TOO_LARGE, "ü" * 10_000, "s" * 10_000)
        headers = dict(letter.headers)
        assert (len(letter.key or b""), len(letter.value or b"")) == (KEY_BYTES_MAX, WRITTEN_BYTES_MAX)
        assert headers["stoplog.value.bytes"] == b"%d" % VALUE_BYTES_MAX
        assert headers["stoplog.value.sha256"].decode() == hashlib.sha256(received.value or b"").hexdigest()
        assert headers["stoplog.key.bytes"] == b"100000"
        assert headers["stoplog.headers.dropped"] == b"2"
        assert headers["__connect.errors.exception.message"].decode() == "ü" * (TEXT_BYTES_MAX // 2)
        size = sum(len(name) + len(value) for name, value in letter.headers)
        assert size + KEY_BYTES_MAX + WRITTEN_BYTES_MAX + HEADERS_BYTES_MAX < VALUE_BYTES_MAX

    def test_only_what_has_dead_letters(self) -> None:
        for topic in TOPICS:
            received = RECEIVED._replace(topic=topic.name)
            if topic.dead_letters:
                assert dead_letter(received, DeadLetterReason.RECORD_INVALID, "text").topic in BY_NAME
            else:
                with pytest.raises(InvariantError, match="has no dead-letter topic"):
                    dead_letter(received, DeadLetterReason.RECORD_INVALID, "text")
