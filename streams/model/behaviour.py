"""What the watch is told about a decision: names, digests and measures of a call, never its arguments."""

from __future__ import annotations

from enum import StrEnum

from streams.model.labels import Integrity
from streams.model.types import Actor, Header, Record, Sha256, ToolRef, Uuid
from streams.model.verdict import Outcome


class BehaviourScope(StrEnum):
    """Whose behaviour a record is about: a reader that does not know a scope leaves the record alone."""

    UNKNOWN = "UNKNOWN"
    AGENT = "AGENT"
    DELEGATION = "DELEGATION"


class BehaviourEvent(Record, frozen=True, kw_only=True):
    """One final decision of a gate, on the partition of the agents that are compared with each other.

    The header's id is that of the decision's audit record, its time when the gate decided. `epoch` names the version of
    the agent's behaviour, `cohort` the type of agents that it is compared with. `root_uid` is the first grant of the
    chain, `depth` the number of its grants, and `delegator` the agent of all sessions that the session descends from,
    if it is one and the same. Of a decision about a delegated session there are two records: one about the agent, and
    one about the delegation, on the partition of its root.
    """

    header: Header
    scope: BehaviourScope = BehaviourScope.UNKNOWN
    verdict_id: Uuid
    session_id: str
    sub: str
    act: Actor
    epoch: str
    cohort: str
    root_uid: str | None = None
    depth: int = 0
    tool: ToolRef
    outcome: Outcome = Outcome.DENY
    reason: str
    args_digest: Sha256
    destination: str | None = None
    object: str | None = None
    owner: str | None = None
    amount: float | None = None
    size_bytes: int = 0
    integrity: Integrity = Integrity.UNTRUSTED
    delegator: str | None = None


def cohort_key(tenant_uid: str, cohort: str) -> bytes:
    """Return the key of records about agents of one type."""
    return f"{tenant_uid}|agents {cohort}".encode()


def delegation_key(tenant_uid: str, root_uid: str) -> bytes:
    """Return the key of records about what descends from one grant."""
    return f"{tenant_uid}|grant {root_uid}".encode()
