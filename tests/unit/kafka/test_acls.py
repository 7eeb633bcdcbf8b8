"""Access entries of a deployment whose topics have a prefix on the cluster."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from streams.kafka.acls import acl_binding, acl_specs
from streams.ports import AclSpec, LogError
from streams.ports.open_log import TopicNames

BLUE = TopicNames("blue.")


def topic_acl(name: str, *, prefixed: bool = False) -> AclSpec:
    return AclSpec("User:a", "TOPIC", name, "READ", prefixed)


def on_log(*acls: AclSpec) -> list[AclBinding]:
    """The entries as they stand on the cluster, under full names."""
    return [acl_binding(acl, TopicNames()) for acl in acls]


def own(*acls: AclSpec) -> set[AclSpec]:
    return acl_specs(on_log(*acls), BLUE)


def test_entries_are_made_under_full_names_and_seen_under_plain_ones() -> None:
    group = AclSpec("User:a", "GROUP", "g", "READ")
    made = [acl_binding(topic_acl("words"), BLUE), acl_binding(group, BLUE)]
    assert acl_specs(made, TopicNames()) == {topic_acl("blue.words"), group}
    assert acl_specs(made, BLUE) == {topic_acl("words"), group}


def test_entries_of_other_deployments_say_nothing() -> None:
    assert own(topic_acl("words"), topic_acl("green.words"), topic_acl("wor", prefixed=True)) == set()


def test_wider_entries_cover_ours() -> None:
    assert own(topic_acl("*")) == {topic_acl("*")}
    assert own(topic_acl("bl", prefixed=True)) == {topic_acl("", prefixed=True)}
    assert own(topic_acl("blue.wo", prefixed=True)) == {topic_acl("wo", prefixed=True)}


def test_an_entry_for_certain_hosts_allows_less_than_the_port_says() -> None:
    binding = AclBinding(
        ResourceType.TOPIC,
        "blue.words",
        ResourcePatternType.LITERAL,
        "User:a",
        "10.0.0.1",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    assert acl_specs([binding], BLUE) == set()


@pytest.mark.parametrize("field", ["resource", "operation"])
def test_what_kafka_does_not_know_is_refused(field: str) -> None:
    spec = topic_acl("words")._replace(**{field: "NONSENSE"})
    with pytest.raises(LogError, match=f"unknown {field} `NONSENSE`"):
        acl_binding(spec, BLUE)
