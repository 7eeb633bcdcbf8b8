"""The times of the clients against those of the brokers: whoever gives up too early turns a wait into a failure."""

from __future__ import annotations

from streams.kafka import consumer, producer, publisher, reader
from streams.kafka.groups import offsets as group_offsets
from streams.kafka.settings import client_settings
from streams.kafka.timeouts import (
    BROKER_MISSED_MS,
    ELECTION_MS,
    REQUEST_TIMEOUT_MS,
    SESSION_TIMEOUT_MS,
    TRANSACTION_TIMEOUT_MS,
)

WAIT_MS = BROKER_MISSED_MS + ELECTION_MS
# `topics apply` and `doctor` let no writer hold readers up for longer.
TRANSACTION_TIMEOUT_MS_MAX = 15_000


def test_no_client_gives_up_while_a_dead_broker_is_not_yet_missed() -> None:
    for module in (consumer, producer, publisher, reader):
        settings = client_settings("b:9092", fixed={}, defaults=module.DEFAULTS)
        assert settings["socket.timeout.ms"] == REQUEST_TIMEOUT_MS >= WAIT_MS
    assert consumer.DEFAULTS["session.timeout.ms"] == SESSION_TIMEOUT_MS >= WAIT_MS
    assert WAIT_MS < int(producer.DEFAULTS["transaction.timeout.ms"]) <= TRANSACTION_TIMEOUT_MS_MAX
    assert int(publisher.DEFAULTS["message.timeout.ms"]) > WAIT_MS


def test_a_step_of_a_transaction_may_take_until_the_brokers_have_decided() -> None:
    transaction_s = TRANSACTION_TIMEOUT_MS / 1_000
    assert WAIT_MS / 1_000 <= producer.OFFSETS_S_MAX < transaction_s
    assert transaction_s < producer.END_S_MAX
    assert transaction_s < producer.INIT_S_MAX
    assert transaction_s < consumer.SEEK_S_MAX


def test_a_takeover_waits_for_locked_offsets_bit_by_bit() -> None:
    # It may end the transaction that locks them, and must get to it before the brokers do.
    assert group_offsets.COMMITTED_S_MAX <= TRANSACTION_TIMEOUT_MS / 1_000 / 5


def test_a_lost_coordinator_is_looked_for_again_before_the_step_is_given_up() -> None:
    assert int(producer.DEFAULTS["connections.max.idle.ms"]) / 1_000 < producer.OFFSETS_S_MAX / 2


def test_no_client_pauses_for_long_once_other_brokers_lead() -> None:
    assert int(producer.DEFAULTS["retry.backoff.max.ms"]) <= 250
    for module in (consumer, reader):
        assert int(module.DEFAULTS["fetch.error.backoff.ms"]) <= 250


def test_operators_may_choose_other_times() -> None:
    settings = client_settings(
        "b:9092", fixed={}, defaults=consumer.DEFAULTS, extra={"session.timeout.ms": 7_000, "socket.timeout.ms": 6_000}
    )
    assert settings["session.timeout.ms"] == 7_000
    assert settings["socket.timeout.ms"] == 6_000
