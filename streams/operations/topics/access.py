"""Says which access entries each role's principals need, and plans those that a log lacks. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from streams.model.errors import StoplogError
from streams.model.keys import is_tenant_name
from streams.model.topics import OUTCOME_PREFIX, REPORT, VERDICT, Role, Topic, outcome_topic_name
from streams.operations.topics.plan import GrantAccess, Plan, Trouble
from streams.ports import AclSpec

READER_GROUP = "stoplog-reader"
"""The group id of readers that join no group (`streams.kafka.reader`): librdkafka finds its coordinator anyway."""

TOKEN_SERVICE_PREFIX = "stoplog-sts-"  # noqa: S105 - a prefix of names
"""What the transactional ids of token services begin with; their instance follows."""

_EVERYBODY = "User:*"
_ANY_NAME = "*"
_ALL_OPERATIONS = "ALL"
_USES: Mapping[str, str] = {"GROUP": "READ", "TRANSACTIONAL_ID": "WRITE"}
_REMOVE = "restart its clients with this version, then remove the entry with `kafka-acls --remove`"
# Kafka's rule: whoever may read or write a resource may also describe it.
_IMPLIED_BY: Mapping[str, tuple[str, ...]] = {"DESCRIBE": ("READ", "WRITE", "DELETE", "ALTER")}


class PrincipalsError(StoplogError):
    """The settings name a role that doesn't exist, or a principal that isn't one."""


def transactional_ids(gate_group: str, instance: str) -> tuple[str, str, str]:
    """Return the transactional ids of a gate, and of the budget allocator and the notary that run beside it."""
    return f"{gate_group}-{instance}", f"{gate_group}-{instance}-budgets", f"{gate_group}-{instance}-notary"


def budgets_group(gate_group: str) -> str:
    """Return the consumer group of the budget allocators, which run beside the gates of `gate_group`."""
    return f"{gate_group}-budgets"


def notary_group(gate_group: str) -> str:
    """Return the consumer group of the notaries, which run beside the gates of `gate_group`."""
    return f"{gate_group}-notary"


def watch_group(gate_group: str) -> str:
    """Return the consumer group of the watches of what the gates of `gate_group` decide."""
    return f"{gate_group}-watch"


def keying_group(gate_group: str) -> str:
    """Return the consumer group of the workers that run beside the watches, and bring decisions to them."""
    return f"{gate_group}-keying"


def watch_transactional_ids(gate_group: str, instance: str) -> tuple[str, str]:
    """Return the transactional ids of a watch, and of the worker that runs beside it."""
    return f"{gate_group}-{instance}-watch", f"{gate_group}-{instance}-keying"


def _groups_of(gate_group: str) -> set[str]:
    """Return the groups whose members take partitions from each other, and that nobody else may join."""
    beside = budgets_group(gate_group), notary_group(gate_group)
    return {gate_group, *beside, watch_group(gate_group), keying_group(gate_group)}


@dataclass(frozen=True, slots=True)
class Principals:
    """The principals of each role, and the names of their groups and transactional ids.

    Attributes:
        by_role: Kafka principals (`User:gate-1`).
        gate_group: the gates' consumer group; their transactional ids are `<group>-<instance>`.
        instances: the names of the gates and token services that a principal runs.
        executor_groups: the consumer groups of an executor's principal.
        by_tenant: the agents' principals of each tenant, which may read its outcomes and no other tenant's.
        gate_takeover: whether each gate may end the transactions of the others.

    Raises:
        PrincipalsError: two principals would share something, or one lacks what it needs.
    """

    by_role: Mapping[Role, tuple[str, ...]]
    gate_group: str
    instances: Mapping[str, tuple[str, ...]]
    executor_groups: Mapping[str, tuple[str, ...]]
    by_tenant: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gate_takeover: bool = False

    def __post_init__(self) -> None:
        """Check that what must be one principal's alone is not shared."""
        for role in (Role.GATE, Role.TOKEN_SERVICE, Role.WATCH):
            principals = self.by_role.get(role, ())
            for principal in principals:
                # A watch that is named nowhere gets no transactions, as one that ran before there were any.
                if not self.instances.get(principal) and role is not Role.WATCH:
                    raise PrincipalsError(
                        f"setting `topics.instances` names no instance of `{principal}` ({role.value}), so it could "
                        f'not write: add `"{principal}" = ["NAME"]`, with the setting `instance` of its host'
                    )
            _refuse_shared("instances", {each: self.instances.get(each, ()) for each in principals})
            for other in REPORT.writers:
                for principal in set(principals) & set(self.by_role.get(other, ())):
                    raise PrincipalsError(
                        f"setting `topics.principals` makes `{principal}` both {role.value} and {other.value}: whoever "
                        "writes reports must not have transactions, which could stall the gates; give each its own"
                    )
        executors = self.by_role.get(Role.EXECUTOR, ())
        groups = {each: self.executor_groups[each] for each in executors if each in self.executor_groups}
        _refuse_shared("executor_groups", groups)
        for principal, names in groups.items():
            for name in set(names) & _groups_of(self.gate_group):
                raise PrincipalsError(
                    f"setting `topics.executor_groups` lets `{principal}` join `{name}`, which is the gates' group"
                )


def read_owners(setting: str, stated: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return what is a principal's alone, by principal.

    Args:
        setting: the name of the setting in `[topics]`.
        stated: its value.

    Raises:
        PrincipalsError: a principal has no type, or a name is empty.
    """
    for principal in _checked_principals(f"topics.{setting}", tuple(stated)):
        if not stated[principal] or not all(stated[principal]):
            raise PrincipalsError(f"setting `topics.{setting}` has an empty name for `{principal}`")
    return {principal: tuple(names) for principal, names in stated.items()}


def _refuse_shared(setting: str, owned: Mapping[str, tuple[str, ...]]) -> None:
    owners: dict[str, str] = {}
    for principal, names in owned.items():
        for name in names:
            other = owners.setdefault(name, principal)
            if other != principal:
                raise PrincipalsError(
                    f"setting `topics.{setting}` gives `{name}` to `{other}` and to `{principal}`: each could take the "
                    "other's place; give each its own"
                )


def read_principals(stated: Mapping[str, Sequence[str]]) -> dict[Role, tuple[str, ...]]:
    """Return the principals of the settings (`topics.principals`), by role.

    Raises:
        PrincipalsError: a role is unknown, or a principal has no type.
    """
    read: dict[Role, tuple[str, ...]] = {}
    for name, principals in stated.items():
        role = read_role(name, "topics.principals")
        read[role] = _checked_principals(f"topics.principals.{name}", principals)
    return read


def read_role(name: str, setting: str) -> Role:
    """Return the role of that name.

    Args:
        name: as somebody has written it.
        setting: where.

    Raises:
        PrincipalsError: there is none.
    """
    roles = {role.value: role for role in Role}
    role = roles.get(name.replace("_", "-").lower())
    if role is None:
        near = difflib.get_close_matches(name, roles, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"the roles are {', '.join(roles)}"
        raise PrincipalsError(f"setting `{setting}` names the unknown role `{name}`; {hint}")
    return role


def read_tenants(stated: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the agents' principals of the settings (`topics.tenants`), by tenant.

    Raises:
        PrincipalsError: a principal has no type, or a tenant's name is one that no record may have.
    """
    for tenant_uid in stated:
        if not is_tenant_name(tenant_uid):
            text = f"setting `topics.tenants` names `{tenant_uid}`; a tenant must not be empty or contain `|` or NUL"
            raise PrincipalsError(text)
    return {tenant: _checked_principals(f"topics.tenants.{tenant}", named) for tenant, named in stated.items()}


def _checked_principals(setting: str, principals: Sequence[str]) -> tuple[str, ...]:
    for principal in principals:
        if not principal.partition(":")[2]:
            raise PrincipalsError(f"setting `{setting}` names `{principal}`; write a principal as `User:name`")
    return tuple(principals)


def plan_access(topics: Sequence[Topic], existing: Iterable[AclSpec] | None, principals: Principals) -> Plan:
    """Plan the access entries to add, and report existing ones that permit too much.

    Args:
        topics: the declared topics.
        existing: the existing allow entries; None if the log has no authorizer.
        principals: the principals of each role; a role without principals gets no entries.
    """
    wanted = declared_access(topics, principals)
    if not wanted:
        return Plan((), ())
    if existing is None:
        trouble = Trouble(
            "the log has no authorizer, so anybody who can connect may read and write everything",
            "set `authorizer.class.name` on the brokers, or leave the settings `topics.principals` and "
            "`topics.tenants` empty",
        )
        return Plan((), (trouble,))
    there = set(existing)
    steps = tuple(GrantAccess(acl) for acl in wanted if not _is_covered(acl, there))
    troubles = [
        *_write_troubles(topics, there, principals),
        *_agent_troubles(there, principals),
        *_sharing_troubles(there, set(wanted), principals),
    ]
    return Plan(steps, tuple(troubles))


def _agent_troubles(existing: set[AclSpec], principals: Principals) -> Iterator[Trouble]:
    """Report agents that may read what other agents' calls contain, or other tenants' outcomes.

    Earlier versions let agents read the verdict topic.
    """
    by_role = principals.by_role
    other_readers = {name for role in VERDICT.readers for name in by_role.get(role, ())}
    tenants_agents = {name for agents in principals.by_tenant.values() for name in agents}
    agents = {*by_role.get(Role.AGENT, ()), *tenants_agents} - other_readers - set(by_role.get(Role.GATE, ()))
    own = {(name, outcome_topic_name(tenant)) for tenant, names in principals.by_tenant.items() for name in names}
    for acl in sorted(existing, key=lambda acl: (acl.principal, acl.name)):
        reads = acl.resource == "TOPIC" and acl.operation in ("READ", _ALL_OPERATIONS) and not acl.prefixed
        if not reads or acl.principal not in agents:
            continue
        is_foreign = acl.name.startswith(OUTCOME_PREFIX) and (acl.principal, acl.name) not in own
        if acl.name == VERDICT.name or is_foreign:
            yield Trouble(
                f"`{acl.principal}` may read topic `{acl.name}`, although it is an agent",
                "restart its agents with this version, then remove the entry with `kafka-acls --remove`",
            )


def _write_troubles(topics: Sequence[Topic], existing: set[AclSpec], principals: Principals) -> Iterator[Trouble]:
    """Report entries of declared principals for topics that none of their roles writes.

    An earlier version may have made them, when the role did write the topic. Wider entries are an administrator's.
    """
    writers = {
        topic.name: {principal for role in topic.writers for principal in principals.by_role.get(role, ())}
        for topic in topics
    }
    declared = {principal for each in principals.by_role.values() for principal in each}
    for acl in sorted(existing, key=lambda acl: (acl.principal, acl.name)):
        writes = acl.resource == "TOPIC" and acl.operation in ("WRITE", _ALL_OPERATIONS) and not acl.prefixed
        if writes and acl.principal in declared and acl.principal not in writers.get(acl.name, {acl.principal}):
            yield Trouble(
                f"`{acl.principal}` may write topic `{acl.name}`, although none of its roles does",
                _REMOVE,
            )


def _sharing_troubles(existing: set[AclSpec], wanted: set[AclSpec], principals: Principals) -> Iterator[Trouble]:
    """Report groups and transactional ids that a declared principal may use, although they are another's.

    Whoever has another's can take its place in a group, or end its transactions. And whoever may write reports must
    have no transactional id at all: its open transaction would stall the gates.
    """
    declared = {principal for each in principals.by_role.values() for principal in each}
    reporting = {principal for role in REPORT.writers for principal in principals.by_role.get(role, ())}
    for acl in sorted(existing - wanted, key=lambda acl: (acl.principal, acl.resource, acl.name)):
        uses = acl.resource in _USES and acl.operation in (_USES[acl.resource], _ALL_OPERATIONS)
        if acl.principal not in declared or not uses:
            continue
        others = sorted(
            {own.name for own in wanted if own.resource == acl.resource and own.operation != "DESCRIBE"}
            - {own.name for own in wanted if own.resource == acl.resource and own.principal == acl.principal}
        )
        taken = [name for name in others if name == acl.name or (acl.prefixed and name.startswith(acl.name))]
        if acl.name == _ANY_NAME:
            taken = others
        kind, name = acl.resource.lower().replace("_", " "), f"{acl.name}*" if acl.prefixed else acl.name
        text = f"`{acl.principal}` may use the {kind} `{name}`"
        if acl.resource == "TRANSACTIONAL_ID" and acl.principal in reporting:
            yield Trouble(f"{text}, although it writes reports: its open transaction would stall the gates", _REMOVE)
        elif taken:
            yield Trouble(f"{text}, although `{taken[0]}` is another's: it could take the other's place", _REMOVE)


def declared_access(topics: Sequence[Topic], principals: Principals) -> tuple[AclSpec, ...]:
    """Return all access entries that these principals need, each once, in a stable order."""
    acls: dict[AclSpec, None] = {}
    readers = {outcome_topic_name(tenant): agents for tenant, agents in principals.by_tenant.items()}
    for topic in topics:
        for role, operation in _roles(topic):
            # Of a tenant's topic only the tenant's agents are readers.
            is_tenants = bool(topic.family) and role is Role.AGENT
            named = readers.get(topic.name, ()) if is_tenants else principals.by_role.get(role, ())
            for principal in named:
                acls[AclSpec(principal, "TOPIC", topic.name, operation)] = None
    reading = {role for topic in topics for role in topic.readers}
    for role, names in principals.by_role.items():
        for principal in names:
            acls.update(dict.fromkeys(_group_access(role, principal, principals, reads=role in reading)))
    for agents in principals.by_tenant.values():
        for principal in agents:
            acls.update(dict.fromkeys(_group_access(Role.AGENT, principal, principals, reads=True)))
    return tuple(acls)


def _roles(topic: Topic) -> Iterator[tuple[Role, str]]:
    yield from ((role, "WRITE") for role in topic.writers)
    yield from ((role, "READ") for role in topic.readers)
    for role in (Role.GATE, Role.WATCH):
        if role in (*topic.writers, *topic.readers):
            # Neither starts if it can't check the configuration of a topic.
            yield role, "DESCRIBE_CONFIGS"


def _group_access(role: Role, principal: str, principals: Principals, *, reads: bool) -> Iterator[AclSpec]:
    if reads:
        yield AclSpec(principal, "GROUP", READER_GROUP, "DESCRIBE")
    if role is Role.GATE:
        yield AclSpec(principal, "GROUP", principals.gate_group, "READ")
        yield AclSpec(principal, "GROUP", budgets_group(principals.gate_group), "READ")
        yield AclSpec(principal, "GROUP", notary_group(principals.gate_group), "READ")
        # By their full names, never by a prefix: only gates of this deployment, and only those that are named.
        ended_by = principals.by_role.get(Role.GATE, ()) if principals.gate_takeover else (principal,)
        for instance in (instance for gate in ended_by for instance in principals.instances[gate]):
            for name in transactional_ids(principals.gate_group, instance):
                yield AclSpec(principal, "TRANSACTIONAL_ID", name, "WRITE")
    if role is Role.WATCH:
        yield AclSpec(principal, "GROUP", watch_group(principals.gate_group), "READ")
        yield AclSpec(principal, "GROUP", keying_group(principals.gate_group), "READ")
        # A watch that is named nowhere can read what it watches, but can't run.
        for instance in principals.instances.get(principal, ()):
            for name in watch_transactional_ids(principals.gate_group, instance):
                yield AclSpec(principal, "TRANSACTIONAL_ID", name, "WRITE")
    if role is Role.TOKEN_SERVICE:
        for instance in principals.instances[principal]:
            yield AclSpec(principal, "TRANSACTIONAL_ID", f"{TOKEN_SERVICE_PREFIX}{instance}", "WRITE")
    if role is Role.EXECUTOR:
        for group in principals.executor_groups.get(principal, ()):
            yield AclSpec(principal, "GROUP", group, "READ")


def _is_covered(acl: AclSpec, existing: set[AclSpec]) -> bool:
    """Return whether an entry, or a wider one, exists already."""
    if acl in existing:
        return True
    operations = (acl.operation, _ALL_OPERATIONS, *_IMPLIED_BY.get(acl.operation, ()))
    return any(
        other.principal in (acl.principal, _EVERYBODY)
        and other.resource == acl.resource
        and other.operation in operations
        and _covers_name(other, acl)
        for other in existing
    )


def _covers_name(wider: AclSpec, acl: AclSpec) -> bool:
    if wider.prefixed:
        return acl.name.startswith(wider.name)
    return wider.name == _ANY_NAME or (wider.name == acl.name and not acl.prefixed)
