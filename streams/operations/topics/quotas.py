"""The quotas that keep one writer from flooding everybody, as commands for an administrator. Pure.

Kafka's client library for Python can't set quotas, so `stoplog topics apply` prints the commands of Kafka's own tool. A
quota holds for a principal on each broker. The brokers hold back whoever writes more, for as long as it takes to bring
the average of the last ten seconds down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from streams.model.topics import Role

REQUEST_PERCENTAGE = 100
"""What requests may take of one thread of a broker: many small records cost a broker more than their bytes."""

_USER = "User:"


def quota_commands(
    quotas: Mapping[Role, int], principals: Mapping[Role, Sequence[str]], bootstrap: str
) -> tuple[str, ...]:
    """Return the commands that limit what the principals of these roles write.

    Args:
        quotas: bytes per second and broker, by role; 0: no limit.
        principals: the Kafka principals, by role. One that has several roles gets the largest of their quotas.
        bootstrap: the brokers.

    Returns:
        One command for each principal; none for principals that are no users, for which Kafka has no quotas.
    """
    limits: dict[str, int] = {}
    unlimited = {name for role, names in principals.items() if not quotas.get(role) for name in names}
    for role, bytes_per_s in quotas.items():
        for principal in principals.get(role, ()):
            if bytes_per_s and principal.startswith(_USER) and principal not in unlimited:
                limits[principal] = max(limits.get(principal, 0), bytes_per_s)
    return tuple(
        f"kafka-configs --bootstrap-server {quote(bootstrap)} --command-config admin.properties --alter "
        f"--entity-type users --entity-name {quote(principal.removeprefix(_USER))} "
        f"--add-config producer_byte_rate={bytes_per_s},request_percentage={REQUEST_PERCENTAGE}"
        for principal, bytes_per_s in limits.items()
    )
