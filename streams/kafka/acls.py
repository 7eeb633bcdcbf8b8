"""Convert access entries between Kafka's form and the port's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from streams.ports import AclSpec, LogError
from streams.ports.open_log import TopicNames

ANY_HOST = "*"
ANY_NAME = "*"
TOPIC = "TOPIC"
_RESOURCES: Mapping[str, ResourceType] = {
    TOPIC: ResourceType.TOPIC,
    "GROUP": ResourceType.GROUP,
    "TRANSACTIONAL_ID": ResourceType.TRANSACTIONAL_ID,
}
_RESOURCE_NAMES = {kind: name for name, kind in _RESOURCES.items()}


def acl_specs(bindings: Iterable[AclBinding], names: TopicNames) -> set[AclSpec]:
    """Return what the entries allow the deployment, its topics under their plain names.

    Entries for certain hosts only are left out, and those that say nothing about topics of the deployment.
    """
    found = set()
    for binding in bindings:
        if binding.restype in _RESOURCE_NAMES and binding.host == ANY_HOST:
            prefixed = binding.resource_pattern_type == ResourcePatternType.PREFIXED
            kind = _RESOURCE_NAMES[binding.restype]
            operation = AclOperation(binding.operation)
            own = own_acl(AclSpec(binding.principal, kind, binding.name, operation.name, prefixed), names)
            if own is not None:
                found.add(own)
    return found


def own_acl(acl: AclSpec, names: TopicNames) -> AclSpec | None:
    """Return an entry of the log as the deployment sees it; None if it concerns only topics of other deployments."""
    if acl.resource != TOPIC or acl.name == ANY_NAME:
        return acl
    if names.has(acl.name):
        return acl._replace(name=names.own(acl.name))
    if acl.prefixed and names.prefix.startswith(acl.name):
        return acl._replace(name="")
    return None


def acl_binding(spec: AclSpec, names: TopicNames) -> AclBinding:
    """Return the entry as Kafka takes it, for every host.

    Raises:
        LogError: it names an unknown resource or operation.
    """
    if spec.resource not in _RESOURCES:
        raise LogError(f"an access entry for `{spec.name}` names the unknown resource `{spec.resource}`")
    if spec.operation not in AclOperation.__members__:
        raise LogError(f"an access entry for `{spec.name}` names the unknown operation `{spec.operation}`")
    pattern = ResourcePatternType.PREFIXED if spec.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCES[spec.resource],
        names.on_log(spec.name) if spec.resource == TOPIC else spec.name,
        pattern,
        spec.principal,
        ANY_HOST,
        AclOperation[spec.operation],
        AclPermissionType.ALLOW,
    )
