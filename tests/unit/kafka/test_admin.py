"""Setting up topics on brokers that don't answer: who was asked, and what to check."""

from __future__ import annotations

import pytest

from streams.kafka.admin import KafkaAdmin
from streams.ports import RetriableLogError

NOBODY = "127.0.0.1:1"


def test_who_is_not_answered_is_told_who_was_asked() -> None:
    admin = KafkaAdmin(NOBODY, request_s_max=0.3)
    with pytest.raises(RetriableLogError) as raised:
        admin.describe(["agent.intent.v1"], ())
    admin.close()
    assert f"(brokers: `{NOBODY}`)" in str(raised.value)
    assert "check that they run" in str(raised.value)
    assert "settings `bootstrap` and `kafka`" in str(raised.value)
