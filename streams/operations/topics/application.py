"""Reading how the topics of a log stand, and carrying a plan out."""

from __future__ import annotations

from collections.abc import Callable

from streams.model.topics import TOPICS
from streams.operations.topics.plan import (
    CONFIG_NAMES,
    AlterConfig,
    CreateTopic,
    GrantAccess,
    Plan,
    Principals,
    PrincipalsError,
    Step,
    plan_access,
    plan_topics,
    read_principals,
)
from streams.ports import Admin
from streams.wiring.settings import Settings


def principals_of(settings: Settings) -> Principals:
    """Who plays which role, by the settings.

    Raises:
        PrincipalsError: a role or a principal is none, or executors would be given the gates' group.
    """
    prefix = settings.topics.executor_group_prefix
    if settings.group.startswith(prefix):
        raise PrincipalsError(
            f"the gates' group `{settings.group}` begins with `{prefix}`, the setting `topics.executor_group_prefix`: "
            "executors could take the gates' place; choose another prefix"
        )
    return Principals(
        by_role=read_principals(settings.topics.principals), gate_group=settings.group, executor_prefix=prefix
    )


def make_plan(settings: Settings, admin: Admin) -> Plan:
    """What must be done so that the log has every topic as declared. Changes nothing; blocking.

    Raises:
        PrincipalsError: see `principals_of`.
        LogError: the log did not answer, or refused to.
    """
    principals = principals_of(settings)
    states = admin.describe([topic.name for topic in TOPICS], CONFIG_NAMES)
    plan = plan_topics(TOPICS, states, settings.topics.partitions, settings.topics.replication)
    if any(principals.by_role.values()):
        plan += plan_access(TOPICS, admin.acls(), principals)
    return plan


def carry_out(plan: Plan, admin: Admin, replication: int, on_done: Callable[[Step], None]) -> None:
    """Do the steps, one by one; safe to repeat. Never deletes anything. Blocking.

    Args:
        on_done: told of each step once it is done.

    Raises:
        LogError: a step failed; those before it are done.
    """
    for step in plan.steps:
        match step:
            case CreateTopic(spec):
                admin.create([spec], replication)
            case AlterConfig(topic, name, _, wanted):
                admin.alter_config(topic, {name: wanted})
            case GrantAccess(acl):
                admin.create_acls([acl])
        on_done(step)
