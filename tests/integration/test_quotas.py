"""The printed commands that set quotas are such that Kafka's own tool takes them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from simulation.broker.kafka import KafkaBroker
from streams.operations.settings import TopicsSection
from streams.operations.topics.application import quotas_to_set

pytestmark = pytest.mark.broker


def test_the_printed_commands_set_the_quotas(tmp_path: Path) -> None:
    section = TopicsSection(principals={"agent": ["User:agents"], "executor": ["User:mail server"]})
    with KafkaBroker.start(tmp_path) as broker:
        for command in quotas_to_set(section, broker.bootstrap):
            program, *arguments = shlex.split(command)
            assert program == "kafka-configs"
            assert arguments[:4] == ["--bootstrap-server", broker.bootstrap, "--command-config", "admin.properties"]
            broker.run_configs(*arguments[4:])
        for user, bytes_per_s in (("agents", section.quotas["agent"]), ("mail server", section.quotas["executor"])):
            told = broker.run_configs("--describe", "--entity-type", "users", "--entity-name", user)
            assert f"producer_byte_rate={float(bytes_per_s)}" in told
            assert "request_percentage=100.0" in told
