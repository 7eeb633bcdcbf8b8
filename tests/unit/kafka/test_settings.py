"""The settings of the clients, and what is logged of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient

from streams.kafka.log import KafkaLog
from streams.kafka.records import headers_of, received
from streams.kafka.settings import (
    LOG_KINDS_MAX,
    LOGGER,
    OncePerInterval,
    Settings,
    client_settings,
    connection_settings,
)
from streams.model.errors import SettingsError
from streams.ports import Received

UNREACHABLE = "127.0.0.1:1"
SERVED_S_MAX = 60.0


class TestClientSettings:
    def test_fixed_goes_over_extra_over_defaults(self) -> None:
        found = client_settings(
            "host:1", fixed={"acks": "all"}, defaults={"linger.ms": 5, "x": 1}, extra={"linger.ms": 7, "acks": "all"}
        )
        assert (found["bootstrap.servers"], found["acks"], found["linger.ms"], found["x"]) == ("host:1", "all", 7, 1)

    @pytest.mark.parametrize(
        "extra",
        [
            {"acks": 1},
            {"request.required.acks": 1},
            {"metadata.broker.list": "elsewhere:1"},
            {"bootstrap.servers": "elsewhere:1"},
        ],
    )
    def test_what_correctness_rests_on_stays(self, extra: Settings) -> None:
        with pytest.raises(ValueError, match=next(iter(extra))):
            client_settings("host:1", fixed={"acks": "all"}, extra=extra)

    @pytest.mark.parametrize("client", ["producer", "consumer"])
    def test_a_time_that_is_not_a_number_is_named(self, client: str) -> None:
        log = KafkaLog(UNREACHABLE, extra={"session.timeout.ms": "6s"})
        told = r"^setting `kafka`: `session\.timeout\.ms` must be a number of milliseconds, such as 6000, got `6s`$"
        with pytest.raises(SettingsError, match=told):
            log.producer("gate-1") if client == "producer" else log.consumer("gate", "gate-1")

    def test_a_time_may_be_given_as_a_text(self) -> None:
        extra: Settings = {"session.timeout.ms": " 6000 ", "linger.ms": "0.5"}
        KafkaLog(UNREACHABLE, extra=extra).producer("gate-1").close()

    def test_another_name_of_a_default_goes_over_it(self) -> None:
        found = client_settings(
            "host:1", fixed={}, defaults={"message.timeout.ms": 1}, extra={"delivery.timeout.ms": 2}
        )
        assert "message.timeout.ms" not in found
        assert found["delivery.timeout.ms"] == 2

    def test_a_client_beside_another_gets_its_way_in(self) -> None:
        extra: Settings = {
            "sasl.username": "u",
            "ssl.ca.location": "/ca",
            "security.protocol": "SASL_SSL",
            "linger.ms": 3,
        }
        assert set(connection_settings(extra)) == {"sasl.username", "ssl.ca.location", "security.protocol"}


class TestOncePerInterval:
    def record(self, kind: str, client: str, text: str = "") -> logging.LogRecord:
        text = text or f"text of {client}"
        return logging.LogRecord("streams.kafka", logging.ERROR, "", 0, "%s [%s] %s", (kind, client, text), None)

    def test_a_kind_of_a_client_is_told_once(self) -> None:
        now_s = [0.0]
        once = OncePerInterval(lambda: now_s[0])
        assert once.filter(self.record("FAIL", "a"))
        assert not once.filter(self.record("FAIL", "a"))
        assert once.filter(self.record("FAIL", "b"))
        assert once.filter(self.record("FENCED", "a"))
        now_s[0] = 10.0
        assert once.filter(self.record("FAIL", "a"))

    def test_what_all_clients_say_is_told_once(self) -> None:
        once = OncePerInterval(lambda: 0.0)
        refused = "[thrd:b:9/bootstrap]: b:9/bootstrap: Connect to b:9 failed: refused (after {}ms in state CONNECT)"
        assert once.filter(self.record("FAIL", "a", refused.format(0)))
        assert not once.filter(self.record("FAIL", "b", refused.format(7)))

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (
                "[thrd:b-1:9/bootstrap]: b-1:9/bootstrap: Connect to ipv4#1.2.3.4:9 failed: refused (after 0ms in "
                "state CONNECT, 2 identical error(s) suppressed)",
                "broker b-1:9: Connect to ipv4#1.2.3.4:9 failed: refused",
            ),
            (
                "[thrd:sasl_ssl://[::1]:9093/bootstrap]: sasl_ssl://[::1]:9093/1: SSL handshake failed: unknown ca "
                "(after 5ms in state SSL_HANDSHAKE)",
                "broker [::1]:9093: SSL handshake failed: unknown ca",
            ),
            ("[thrd:main]: fetch failed (twice)", "Kafka client: fetch failed (twice)"),
        ],
    )
    def test_it_is_worded_for_a_person(self, text: str, told: str) -> None:
        record = self.record("FAIL", "rdkafka#producer-1", text)
        assert OncePerInterval(lambda: 0.0).filter(record)
        assert record.getMessage() == told
        assert record.__dict__["fields"] == {"kafka_client": "rdkafka#producer-1", "kafka_kind": "FAIL"}

    @pytest.mark.parametrize("client_class", [Producer, AdminClient, Consumer])
    def test_settings_for_other_clients_are_no_news(
        self,
        client_class: Callable[..., Producer | AdminClient | Consumer],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The library warns of them each time a client is made."""
        # Another client may just have told that the broker is away.
        monkeypatch.setattr(LOGGER, "filters", [OncePerInterval()])
        extra: Settings = {"session.timeout.ms": 6_000, "linger.ms": 5}
        client = client_class(client_settings(UNREACHABLE, fixed={"group.id": "g"}, extra=extra))
        deadline_s = time.monotonic() + SERVED_S_MAX
        while "refused" not in caplog.text and time.monotonic() < deadline_s:
            client.poll(0.05)
        client.poll(0.3)
        assert "refused" in caplog.text
        assert "will be ignored" not in caplog.text

    def test_what_it_remembers_is_bounded(self) -> None:
        once = OncePerInterval(lambda: 0.0)
        for number in range(3 * LOG_KINDS_MAX):
            assert once.filter(self.record("FAIL", str(number)))
        assert len(once._told_s) <= LOG_KINDS_MAX

    def test_other_messages_pass(self) -> None:
        once = OncePerInterval(lambda: 0.0)
        for _ in range(2):
            assert once.filter(logging.LogRecord("streams.kafka", logging.WARNING, "", 0, "%s", ("text",), None))


class TestRecords:
    def test_all_fields(self) -> None:
        message = Message("t", 1, 2, b"k", b"v", [("a", b"1"), ("a", None)], None, (2, 99))
        found = received(message)
        assert type(found) is Received
        assert found == ("t", 1, 2, 99, b"k", b"v", (("a", b"1"), ("a", b"")))

    def test_no_headers(self) -> None:
        assert headers_of(Message("t", 0, 0, None, None, None)) == ()
        assert headers_of(Message("t", 0, 0, None, None, [])) == ()
