"""The commands that keep one writer from flooding everybody."""

from __future__ import annotations

import pytest

from streams.model.topics import Role
from streams.operations.settings import TopicsSection
from streams.operations.topics.access import PrincipalsError
from streams.operations.topics.application import quotas_to_set
from streams.operations.topics.quotas import quota_commands

BROKERS = "b-1:9092,b-2:9092"


def test_each_principal_of_a_limited_role_has_a_command() -> None:
    principals = {"agent": ["User:agents", "User:o'neil"], "executor": ["User:mail"], "gate": ["User:gate"]}
    assert quotas_to_set(TopicsSection(principals=principals), BROKERS) == (
        "kafka-configs --bootstrap-server b-1:9092,b-2:9092 --command-config admin.properties --alter --entity-type "
        "users --entity-name agents --add-config producer_byte_rate=524288,request_percentage=100",
        "kafka-configs --bootstrap-server b-1:9092,b-2:9092 --command-config admin.properties --alter --entity-type "
        "users --entity-name 'o'\"'\"'neil' --add-config producer_byte_rate=524288,request_percentage=100",
        "kafka-configs --bootstrap-server b-1:9092,b-2:9092 --command-config admin.properties --alter --entity-type "
        "users --entity-name mail --add-config producer_byte_rate=4194304,request_percentage=100",
    )


def test_no_quota_where_none_is_wanted() -> None:
    section = TopicsSection(principals={"agent": ["User:a"], "executor": ["User:e"]}, quotas={"agent": 0})
    assert quotas_to_set(section, BROKERS) == ()
    assert quotas_to_set(TopicsSection(), BROKERS) == ()


def test_who_has_an_unlimited_role_as_well_or_is_no_user_is_left_alone() -> None:
    quotas = {Role.AGENT: 10, Role.EXECUTOR: 20}
    principals = {
        Role.AGENT: ("User:both", "User:gate", "Group:agents"),
        Role.EXECUTOR: ("User:both",),
        Role.GATE: ("User:gate",),
    }
    (command,) = quota_commands(quotas, principals, BROKERS)
    assert "--entity-name both --add-config producer_byte_rate=20," in command


def test_a_role_that_does_not_exist_is_named() -> None:
    with pytest.raises(PrincipalsError, match=r"`topics.quotas` names the unknown role `agnet`; did you mean `agent`"):
        quotas_to_set(TopicsSection(quotas={"agnet": 1}), BROKERS)
