"""`stoplog topics apply` on a broker with an authorizer: the entries are there, and they are what the roles need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulation.broker.kafka import KafkaBroker
from streams.kafka.admin import KafkaAdmin
from streams.kafka.lookups.rights import KafkaRights
from streams.operations.topics.application import carry_out, make_plan
from streams.operations.topics.plan import GrantAccess, Step
from streams.ports import AclSpec
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings

pytestmark = pytest.mark.broker

PRINCIPALS = {"gate": ["User:gate"], "agent": ["User:a", "User:b"], "executor": ["User:runner"], "soc": ["User:soc"]}


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with KafkaBroker.start(tmp_path_factory.mktemp("kafka"), acls=True) as broker:
        yield broker.bootstrap


@pytest.fixture
def settings(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    topics = {
        "partitions": 2,
        "principals": PRINCIPALS,
        "instances": {"User:gate": ["gate-1"]},
        "executor_groups": {"User:runner": ["stoplog-executor-mail"]},
    }
    return load_settings({"log": "kafka", "bootstrap": bootstrap, "group": "gates", "topics": topics})


def test_entries_are_made_once_and_for_whom_they_are_meant(settings: Settings) -> None:
    done: list[Step] = []
    with closing(KafkaAdmin(settings.bootstrap)) as admin:
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, done.append)
        assert any(isinstance(step, GrantAccess) for step in done)
        acls = admin.acls()
        assert acls is not None
        assert AclSpec("User:a", "TOPIC", "agent.intent.v1", "WRITE") in acls
        assert AclSpec("User:b", "TOPIC", "agent.intent.v1", "WRITE") in acls
        assert AclSpec("User:gate", "TRANSACTIONAL_ID", "gates-gate-1", "WRITE") in acls
        assert AclSpec("User:gate", "TRANSACTIONAL_ID", "gates-gate-1-budgets", "WRITE") in acls
        assert AclSpec("User:gate", "TRANSACTIONAL_ID", "gates-gate-1-notary", "WRITE") in acls
        assert AclSpec("User:runner", "GROUP", "stoplog-executor-mail", "READ") in acls
        assert not any(acl.prefixed for acl in acls)
        # It holds the arguments of all tenants' calls.
        assert not any(acl.principal == "User:a" and acl.name == "agent.verdict.v1" for acl in acls)
        assert AclSpec("User:a", "TOPIC", "agent.outcome.default.v1", "READ") in acls
        assert AclSpec("User:gate", "TOPIC", "agent.outcome.default.v1", "WRITE") in acls
        assert make_plan(settings.topics, settings.group, admin, [settings.tenant]).is_clean


def test_what_a_client_may_is_what_the_broker_says(settings: Settings) -> None:
    """The test itself is a super user, and may do everything."""
    with closing(KafkaAdmin(settings.bootstrap)) as admin:
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
    with closing(KafkaRights(settings.bootstrap)) as rights:
        found = rights.on_topics(["agent.intent.v1", "no.such.topic"])
        assert found["agent.intent.v1"] is not None
        assert {"READ", "WRITE", "DESCRIBE_CONFIGS"} <= found["agent.intent.v1"]
        assert found["no.such.topic"] == frozenset()
        group = rights.on_group("gates")
        assert group is None or "READ" in group
