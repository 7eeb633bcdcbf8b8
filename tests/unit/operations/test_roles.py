"""What the declaration of topics gives to the roles nearest to a hijacked model: nothing that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.model.topics import (
    ALERT,
    ALERT_STATUS,
    APPROVAL_DECISION,
    ATTRIBUTES,
    AUDIT,
    AUDIT_REPORTED,
    AUDIT_SEAL,
    BASELINE,
    BEHAVIOUR,
    CATALOG,
    CONTENT_KEY,
    CONTENT_ORDER,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    RULESET,
    SESSION,
    TOKEN_USED,
    TOPICS,
    Role,
    Topic,
)
from streams.operations.settings import TopicsSection
from streams.operations.topics.access import PrincipalsError, budgets_group, declared_access, notary_group
from streams.operations.topics.application import principals_of
from streams.ports import AclSpec
from streams.topology import KEYING, NOTARY, PROCESSORS, WATCH
from streams.wiring.settings_loading import load_settings

NEAR = (Role.AGENT, Role.EXECUTOR)
MAY_WRITE = {Role.AGENT: {INTENT, REPORT}, Role.EXECUTOR: {REPORT, AUDIT_REPORTED}}
DECIDING = (RULESET, CATALOG, REVOCATION, BASELINE, ATTRIBUTES, TOKEN_USED, APPROVAL_DECISION, DELEGATION, SESSION)
NAMES = {role: f"User:{role.value}" for role in Role}
READING = {"READ", "DESCRIBE"}


@pytest.fixture
def granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[AclSpec, ...]:
    """Every access entry, with a principal for each role."""
    monkeypatch.chdir(tmp_path)
    principals = {role.value: [name] for role, name in NAMES.items()}
    return declared_access(TOPICS, principals_of(_section(principals), load_settings().group))


def _section(principals: dict[str, list[str]], **changes: dict[str, list[str]]) -> TopicsSection:
    instances = {NAMES[Role.GATE]: ["gate-1"], NAMES[Role.TOKEN_SERVICE]: ["sts-1"]}
    groups = {NAMES[Role.EXECUTOR]: ["stoplog-executor-mail"]}
    stated = {"principals": principals, "instances": instances, "executor_groups": groups}
    return TopicsSection(**stated | changes)


def test_only_gates_and_officers_write_keys_of_content_and_auditors_do_not_read_them(
    granted: tuple[AclSpec, ...],
) -> None:
    on_keys = [acl for acl in granted if acl.name == CONTENT_KEY.name]
    writing = {acl.principal for acl in on_keys if acl.operation == "WRITE"}
    reading = {acl.principal for acl in on_keys if acl.operation == "READ"}
    assert writing == {NAMES[Role.GATE], NAMES[Role.PRIVACY]}
    assert reading == {NAMES[Role.CONTENT_READER], NAMES[Role.PRIVACY]}
    ordering = {acl.principal for acl in granted if (acl.name, acl.operation) == (CONTENT_ORDER.name, "WRITE")}
    assert ordering == {NAMES[Role.PRIVACY]}


def test_a_gate_may_run_its_notary_and_nobody_else_may_seal_what_others_put_on_the_record(
    granted: tuple[AclSpec, ...],
) -> None:
    own = {(acl.name, acl.operation) for acl in granted if acl.principal == NAMES[Role.GATE]}
    instance = f"{load_settings().group}-gate-1-notary"
    needed = {(topic.name, "READ") for topic in NOTARY.inputs} | {(topic.name, "WRITE") for topic in NOTARY.outputs}
    needed |= {(NOTARY.changelog.name, "READ"), (NOTARY.changelog.name, "WRITE"), (instance, "WRITE")}
    assert needed <= own
    for topic in (AUDIT_SEAL, NOTARY.changelog):
        writing = {acl.principal for acl in granted if (acl.name, acl.operation) == (topic.name, "WRITE")}
        assert writing == {NAMES[Role.GATE]}
    reading = {acl.principal for acl in granted if (acl.name, acl.operation) == (AUDIT_SEAL.name, "READ")}
    assert reading == {NAMES[Role.AUDITOR]}


def test_only_the_soc_says_what_was_done_with_alerts_and_only_watches_bring_it_to_agents(
    granted: tuple[AclSpec, ...],
) -> None:
    writing = {acl.principal for acl in granted if (acl.name, acl.operation) == (ALERT_STATUS.name, "WRITE")}
    assert writing == {NAMES[Role.SOC]}
    letters = {acl.principal for acl in granted if (acl.name, acl.operation) == (ALERT_STATUS.dlq, "WRITE")}
    on_decisions = {acl.principal for acl in granted if acl.name == BEHAVIOUR.name}
    assert letters == on_decisions == {NAMES[Role.WATCH]}


def test_a_desk_reads_alerts_and_what_people_do_with_them_and_writes_only_what_it_could_not_read(
    granted: tuple[AclSpec, ...],
) -> None:
    own = {(acl.resource, acl.name, acl.operation) for acl in granted if acl.principal == NAMES[Role.DESK]}
    read = {name for kind, name, operation in own if (kind, operation) == ("TOPIC", "READ")}
    assert read == {ALERT.name, ALERT_STATUS.name}
    assert {name for _, name, operation in own if operation == "WRITE"} == {ALERT.dlq, AUDIT_REPORTED.name}
    assert "TRANSACTIONAL_ID" not in {kind for kind, _, _ in own}


@pytest.mark.parametrize("role", NEAR)
def test_what_they_write_is_this_and_no_more(role: Role) -> None:
    assert {topic for topic in TOPICS if role in topic.writers} == MAY_WRITE[role]


@pytest.mark.parametrize("topic", DECIDING, ids=lambda topic: topic.name)
def test_what_decides_is_written_by_neither(topic: Topic) -> None:
    assert not set(NEAR) & set(topic.writers)
    # A gate decides by them, so it must not make them up. What it stops is the exception: that can only take away,
    # and must reach sub-sessions on partitions that it does not have. It writes a stop, and never a release.
    assert (Role.GATE in topic.writers) is (topic is REVOCATION)


def test_what_only_gates_write_is_written_by_neither() -> None:
    outputs = {topic for spec in PROCESSORS for topic in (*spec.outputs, spec.changelog)}
    letters = {topic for topic in TOPICS if topic.name.endswith(".dlq")}
    for topic in (outputs | letters) - {AUDIT_REPORTED}:
        assert not set(NEAR) & set(topic.writers), topic.name


def test_gates_alone_write_the_records_of_verdicts(granted: tuple[AclSpec, ...]) -> None:
    assert AUDIT.writers == (Role.GATE,)
    entries = [acl for acl in granted if acl.resource == "TOPIC" and acl.operation not in READING]
    entries = [acl for acl in entries if acl.operation != "DESCRIBE_CONFIGS"]
    assert not any(acl.prefixed or acl.name == "*" or acl.principal == "User:*" for acl in entries)
    assert {acl.principal for acl in entries if acl.name == AUDIT.name} == {NAMES[Role.GATE]}


def test_of_what_runs_as_a_gate_only_the_gate_itself_writes_them() -> None:
    """The budget allocator has the gate's principal, and other partitions: it would be a second writer."""
    assert [spec.name for spec in PROCESSORS if AUDIT in spec.outputs] == ["gate"]
    assert all({AUDIT, AUDIT_REPORTED} & set(spec.outputs) for spec in PROCESSORS)


def test_all_that_every_gate_reads_is_among_it() -> None:
    assert {topic for spec in PROCESSORS for topic in spec.broadcast} <= set(DECIDING)


def test_attributes_are_written_by_connectors_alone_and_without_transactions(granted: tuple[AclSpec, ...]) -> None:
    """Whoever else could write them would decide; and an open transaction would make gates deny."""
    writing = {acl.principal for acl in granted if (acl.name, acl.operation) == (ATTRIBUTES.name, "WRITE")}
    assert writing == {NAMES[Role.CONNECTOR]}
    assert not ATTRIBUTES.is_written_in_transactions
    own = {acl for acl in granted if acl.principal == NAMES[Role.CONNECTOR]}
    assert not any(acl.resource == "TRANSACTIONAL_ID" for acl in own)
    assert {acl.name for acl in own if acl.resource == "TOPIC"} == {ATTRIBUTES.name}


def test_what_was_used_is_of_token_services_alone(granted: tuple[AclSpec, ...]) -> None:
    """Whoever else could write it would use up tokens of others; whoever could read it would learn when they are."""
    assert {acl.principal for acl in granted if acl.name == TOKEN_USED.name} == {NAMES[Role.TOKEN_SERVICE]}
    operations = {acl.operation for acl in granted if acl.name == TOKEN_USED.name}
    assert {"READ", "WRITE"} <= operations


@pytest.mark.parametrize("role", NEAR)
def test_the_entries_say_the_same(granted: tuple[AclSpec, ...], role: Role) -> None:
    own = [acl for acl in granted if acl.principal == NAMES[role]]
    assert not any(acl.resource == "TOPIC" and acl.prefixed for acl in own)
    written = {acl.name for acl in own if acl.resource == "TOPIC" and acl.operation not in READING}
    assert written == {topic.name for topic in MAY_WRITE[role]}


def test_a_watch_reads_decisions_and_writes_nothing_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    principals, name, group = {role.value: [name] for role, name in NAMES.items()}, NAMES[Role.WATCH], "stoplog-gate"
    instances = {NAMES[Role.GATE]: ["gate-1"], NAMES[Role.TOKEN_SERVICE]: ["sts-1"], name: ["watch-1"]}
    entries = declared_access(TOPICS, principals_of(_section(principals, instances=instances), group))
    own = [acl for acl in entries if acl.principal == name]
    needed = {topic.name for spec in (KEYING, WATCH) for topic in spec.topics()}
    assert {acl.name for acl in own if acl.resource == "TOPIC" and acl.operation == "DESCRIBE_CONFIGS"} >= needed
    written = {acl.name for acl in own if acl.resource == "TOPIC" and acl.operation == "WRITE"}
    assert written >= {topic.name for spec in (KEYING, WATCH) for topic in (*spec.outputs, spec.changelog)}
    assert not written & {topic.name for topic in DECIDING if topic is not BASELINE}
    assert AUDIT.name not in written
    assert {acl.name for acl in own if acl.resource == "TRANSACTIONAL_ID"} == {
        f"{group}-watch-1-watch",
        f"{group}-watch-1-keying",
    }
    groups = {acl.name for acl in own if acl.resource == "GROUP" and acl.operation == "READ"}
    assert groups == {f"{group}-watch", f"{group}-keying"}


def test_a_watch_that_is_named_nowhere_has_no_transactions(granted: tuple[AclSpec, ...]) -> None:
    own = [acl for acl in granted if acl.principal == NAMES[Role.WATCH]]
    assert own
    assert not [acl for acl in own if acl.resource == "TRANSACTIONAL_ID"]


@pytest.mark.parametrize("role", NEAR)
def test_the_gates_groups_and_transactions_are_out_of_reach(granted: tuple[AclSpec, ...], role: Role) -> None:
    own = [acl for acl in granted if acl.principal == NAMES[role] and acl.resource != "TOPIC"]
    group = load_settings().group
    groups = (group, budgets_group(group), notary_group(group))
    for name in (*groups, f"{group}-gate-1", f"{group}-gate-1-budgets", f"{group}-gate-1-notary"):
        assert not any(name.startswith(acl.name) if acl.prefixed else acl.name == name for acl in own)


@pytest.mark.parametrize("beside", ["", "-budgets", "-watch", "-keying", "-notary"])
def test_a_group_of_the_gates_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str) -> None:
    monkeypatch.chdir(tmp_path)
    name, group = NAMES[Role.EXECUTOR], f"stoplog-gate{beside}"
    with pytest.raises(PrincipalsError, match="which is the gates' group"):
        principals_of(_section({"executor": [name]}, executor_groups={name: [group]}), load_settings().group)


def test_whoever_writes_reports_has_no_transactions(granted: tuple[AclSpec, ...]) -> None:
    """An open transaction on the topic of reports would stall the gates, which read it committed."""
    writing = {acl.principal for acl in granted if (acl.name, acl.operation) == (REPORT.name, "WRITE")}
    assert writing == {NAMES[Role.AGENT], NAMES[Role.EXECUTOR]}
    assert not writing & {acl.principal for acl in granted if acl.resource == "TRANSACTIONAL_ID"}
    assert not REPORT.is_written_in_transactions
