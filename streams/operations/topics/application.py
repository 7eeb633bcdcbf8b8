"""Reads the state of a log's topics, and carries out a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streams.model.errors import StoplogError
from streams.model.topics import TOPICS, Role, Topic, outcome_topic
from streams.operations.open_transactions import TRANSACTION_TIMEOUT_MS_MAX, TRANSACTION_TIMEOUT_SETTING, is_long
from streams.operations.settings import TopicsSection
from streams.operations.topics.access import (
    Principals,
    plan_access,
    read_owners,
    read_principals,
    read_role,
    read_tenants,
)
from streams.operations.topics.plan import (
    CONFIG_NAMES,
    AlterConfig,
    CreateTopic,
    GrantAccess,
    Plan,
    Step,
    Trouble,
    plan_topics,
)
from streams.operations.topics.quotas import quota_commands
from streams.ports import Admin, DeniedLogError, LogError

ADMINISTRATOR_CHECKS = "an administrator can check them: run `stoplog topics check` with their credentials"
"""What to do about the parts of a plan that can't be seen."""

_ADMINISTRATOR_APPLIES = (
    "run this with the credentials of an administrator, who may create, describe and configure topics, and describe "
    "and alter the cluster (docs/how-to/run-on-kafka.md lists the rights)"
)


class AdministratorNeededError(StoplogError):
    """Topics or access entries can't be seen or changed with the rights of this client."""


def principals_of(section: TopicsSection, gate_group: str, tenants: Iterable[str] = ()) -> Principals:
    """Return the principals of each role and of each tenant, and what is theirs alone.

    Where the settings name no tenants, all agents are of the given ones.

    Args:
        section: `[topics]` of the settings.
        gate_group: the consumer group of the gates.
        tenants: tenants beside those of the settings.

    Raises:
        PrincipalsError: a role or a principal is invalid, two principals would share a transactional id or a group, or
            a gate or token service has no instance.
    """
    by_role, by_tenant = read_principals(section.principals), read_tenants(section.tenants)
    if not by_tenant:
        by_tenant = dict.fromkeys(tenants, by_role.get(Role.AGENT, ()))
    return Principals(
        by_role=by_role,
        gate_group=gate_group,
        instances=read_owners("instances", section.instances),
        executor_groups=read_owners("executor_groups", section.executor_groups),
        by_tenant=by_tenant,
        gate_takeover=section.gate_takeover,
    )


def quotas_to_set(section: TopicsSection, bootstrap: str) -> tuple[str, ...]:
    """Return the commands that limit what principals write, for an administrator: this client can't run them.

    Args:
        section: `[topics]` of the settings.
        bootstrap: the brokers.

    Raises:
        PrincipalsError: a role is unknown, or a principal is invalid.
    """
    quotas = {read_role(name, "topics.quotas"): bytes_per_s for name, bytes_per_s in section.quotas.items()}
    return quota_commands(quotas, read_principals(section.principals), bootstrap)


def topics_of(section: TopicsSection, tenants: Iterable[str] = ()) -> tuple[Topic, ...]:
    """Return the topics that the deployment needs: the declared ones, and those of its tenants.

    Args:
        section: `[topics]` of the settings, which names tenants.
        tenants: further ones.
    """
    return (*TOPICS, *(outcome_topic(tenant) for tenant in dict.fromkeys((*section.tenants, *tenants))))


def make_plan(section: TopicsSection, gate_group: str, admin: Admin, tenants: Iterable[str] = ()) -> Plan:
    """Return what must be done so that the log has every topic as declared. Changes nothing; blocking.

    With few rights, the plan covers only what this client may see, and names the rest (`Plan.unseen`).

    Args:
        section: `[topics]` of the settings.
        tenants: tenants beside those of the settings.
        gate_group: the consumer group of the gates.
        admin: of the log.

    Raises:
        PrincipalsError: see `principals_of`.
        LogError: the log did not answer, or refused to.
    """
    tenants = tuple(tenants)
    principals = principals_of(section, gate_group, tenants)
    topics = topics_of(section, tenants)
    hidden = admin.hidden([topic.name for topic in topics], configs=True)
    seen = tuple(topic for topic in topics if topic.name not in hidden)
    states = admin.describe([topic.name for topic in seen], CONFIG_NAMES)
    plan = plan_topics(seen, states, section.partitions, section.replication)
    plan += Plan((), (), tuple(f"topic `{topic.name}`" for topic in topics if topic.name in hidden))
    plan += Plan((), tuple(_broker_troubles(admin)))
    if any(principals.by_role.values()) or any(principals.by_tenant.values()):
        plan += _plan_access(topics, admin, principals)
    return plan


def _broker_troubles(admin: Admin) -> Iterator[Trouble]:
    """Yield what is wrong with the settings of brokers. Kafka reads them at its start only, so no step changes them."""
    try:
        brokers = admin.broker_settings([TRANSACTION_TIMEOUT_SETTING])
    except LogError:
        # Only administrators may read them; `stoplog doctor` says so.
        return
    for broker, settings in sorted(brokers.items()):
        if is_long(settings, TRANSACTION_TIMEOUT_SETTING, TRANSACTION_TIMEOUT_MS_MAX):
            yield Trouble(
                f"broker {broker} lets a transaction be open for {settings[TRANSACTION_TIMEOUT_SETTING]} ms, and every "
                "reader waits for one that hangs",
                f"put `{TRANSACTION_TIMEOUT_SETTING}={TRANSACTION_TIMEOUT_MS_MAX}` into the settings of the brokers "
                "(server.properties), and restart them one by one",
            )


def _plan_access(topics: tuple[Topic, ...], admin: Admin, principals: Principals) -> Plan:
    try:
        existing = admin.acls()
    except DeniedLogError:
        return Plan((), (), ("the access entries",))
    return plan_access(topics, existing, principals)


def carry_out(plan: Plan, admin: Admin, replication: int, on_done: Callable[[Step], None]) -> None:
    """Do the steps, one by one, access entries together; safe to repeat. Never deletes anything. Blocking.

    Args:
        on_done: called with each step after it is done and visible.

    Raises:
        AdministratorNeededError: this client may not see everything, or may not do a step; those before it are done.
        LogError: a step failed; those before it are done.
    """
    if plan.unseen:
        raise AdministratorNeededError(f"this client may not see {', '.join(plan.unseen)}: {_ADMINISTRATOR_APPLIES}")
    grants = tuple(step for step in plan.steps if isinstance(step, GrantAccess))
    try:
        for step in plan.steps:
            match step:
                case CreateTopic(spec):
                    admin.create([spec], replication)
                case AlterConfig(topic, name, _, wanted):
                    admin.alter_config(topic, {name: wanted})
                case GrantAccess():
                    continue
            on_done(step)
        if grants:
            admin.create_acls([step.acl for step in grants])
    except DeniedLogError as error:
        raise AdministratorNeededError(f"{error}: {_ADMINISTRATOR_APPLIES}") from error
    for step in grants:
        on_done(step)
