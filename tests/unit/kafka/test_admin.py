"""Setting up topics on brokers that don't answer: who was asked, and what to check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streams.kafka.admin import KafkaAdmin
from streams.ports import RetriableLogError

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "ask",
    [
        lambda admin: admin.describe(["agent.intent.v1"], ()),
        lambda admin: admin.hidden(["agent.intent.v1"]),
        lambda admin: admin.partition_counts("agent."),
        lambda admin: admin.broker_settings(["transaction.max.timeout.ms"]),
        lambda admin: admin.acls(),
    ],
    ids=["describe", "hidden", "partition_counts", "broker_settings", "acls"],
)
def test_who_is_not_answered_is_told_who_was_asked(ask: Callable[[KafkaAdmin], object]) -> None:
    admin = KafkaAdmin(NOBODY, request_s_max=0.3)
    with pytest.raises(RetriableLogError) as raised:
        ask(admin)
    admin.close()
    assert f"(brokers: `{NOBODY}`)" in str(raised.value)
    assert "check that they run" in str(raised.value)
    assert "settings `bootstrap` and `kafka`" in str(raised.value)


def test_why_nobody_answers_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The answer that does not come in time is only what follows from it."""
    admin = KafkaAdmin("127.0.0.1:2", request_s_max=0.3)
    with pytest.raises(RetriableLogError):
        admin.hidden(["agent.intent.v1"])
    admin.close()
    assert "broker 127.0.0.1:2: Connect to ipv4#127.0.0.1:2 failed: Connection refused" in caplog.text
