"""Says why a client finds no topic: there is none, or access control hides it."""

from __future__ import annotations

from streams.model.topics import BY_NAME, OUTCOME, OUTCOME_PREFIX
from streams.ports import Admin


def why_missing(topic: str, admin: Admin, log_name: str) -> str:
    """Return why a topic was not found, and what to do about it. Blocking.

    Args:
        topic: its name.
        admin: of the log, with the rights of the client.
        log_name: what to call the log.

    Raises:
        LogError: the log did not answer.
    """
    is_tenants = topic.startswith(OUTCOME_PREFIX)
    if topic not in admin.hidden([topic]):
        if is_tenants:
            advice = "name the tenant and its agents in `topics.tenants`, and run `stoplog topics apply`"
            return f"there is no topic `{topic}` on the {log_name}: {advice}"
        return f"topic `{topic}` does not exist on the {log_name}; run `stoplog topics apply`"
    where = "`topics.principals`, and for agents under the tenant in `topics.tenants`"
    if not is_tenants:
        where = "`topics.principals`"
    declared = OUTCOME if is_tenants else BY_NAME[topic]
    roles = ", ".join(dict.fromkeys(role.value for role in (*declared.writers, *declared.readers)))
    return (
        f"this client may not see topic `{topic}` of the {log_name}: only these roles may: {roles}. Connect with the "
        f"credentials of one, or name this principal in {where}, and ask an administrator to run `stoplog topics apply`"
    )
