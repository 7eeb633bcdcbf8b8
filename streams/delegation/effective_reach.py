"""What an agent can reach for a user at most: which tools, with which arguments, and by which grant.

It is an upper bound: rules, schemas, budgets and approvals restrict it further, and a session may have ended. A session
with a grant cannot call anything that is not listed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from streams.delegation.authority import Authority, AuthorityRow, authority_row
from streams.delegation.constraints import Room, admits_anything, compile_constraint
from streams.delegation.digest import lineage_of
from streams.delegation.errors import GrantError
from streams.delegation.tools import ANYTHING
from streams.delegation.verification import Standard, verify
from streams.model.delegation import ArgumentConstraint, ConstraintType, Delegation, DelegationOp
from streams.model.reasons import REASON_TEXTS, Reason
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.types import Actor, Model, ToolRef

Bounds = tuple[tuple[str, str, str], ...]
"""For each bounded pointer, type and parameter as JSON."""

ANY_ARGUMENT = "*"
"""Stands for every argument of a tool. Pointers to single arguments begin with a slash."""

_NO_TOOL = ToolRef(server_id="", name="")
_ANY_MODEL = Model(ai_provider="", name="")
"""Stands for any model: a grant does not mention models, so the revocation of a model invalidates no grant."""


class Way(NamedTuple):
    """A grant that allows a tool to be called.

    Attributes:
        bounds: bounds on the arguments; without any, all arguments are allowed.
        lineage: the ids of its path, root first.
        session_id: the session that it is for.
        scopes: what it conveys.
        expires_ms: when it ends.
        gives_on: whether it may be delegated further.
        cnf_jkt: thumbprint of the key that calls must be signed with, if it is bound to one.
        calls_max: how many calls it allows; None for any number.
        amount_max: how much may be spent with it, in minor units of `currency`; None for any amount.
    """

    bounds: Bounds
    lineage: tuple[str, ...]
    session_id: str
    scopes: tuple[str, ...]
    expires_ms: int
    gives_on: bool
    cnf_jkt: str | None
    calls_max: int | None
    amount_max: int | None
    currency: str | None

    @property
    def unbounded_arguments(self) -> tuple[str, ...]:
        """Return pointers to the arguments that nothing bounds; `ANY_ARGUMENT` alone if no argument has a bound."""
        if not self.bounds:
            return (ANY_ARGUMENT,)
        room = Room()
        free: dict[str, bool] = {}
        for argument, kind, value_json in self.bounds:
            stated = ArgumentConstraint(argument=argument, type=ConstraintType(kind), value_json=value_json)
            free[argument] = free.get(argument, True) and admits_anything(compile_constraint(stated, room))
        return tuple(argument for argument, is_free in free.items() if is_free)


class ReachableTool(NamedTuple):
    """A tool of the catalog, and every way to call it."""

    server_id: str
    name: str
    ways: tuple[Way, ...]


class DeadGrant(NamedTuple):
    """A grant of the agent's that allows nothing, and why."""

    uid: str
    session_id: str
    reason: Reason
    text: str


class Reach(NamedTuple):
    """The answer: what can be called, and which grants cannot be used."""

    tools: tuple[ReachableTool, ...]
    dead: tuple[DeadGrant, ...]


class Question(NamedTuple):
    """The agent and the user: names as in the grants' `act.sub` and `sub`."""

    tenant_uid: str
    agent: str
    user: str


def effective_reach(
    question: Question,
    records: Iterable[Delegation],
    tools: Sequence[tuple[str, str]],
    revocations: RevocationSet,
    standard: Standard,
    now_ms: int,
) -> Reach:
    """Compute what the agent can call for the user at most.

    Args:
        records: grants and their revocations from the topic, in the order of each session.
        tools: server and name of the tools that the catalog allows.
        revocations: everything that is revoked.
        standard: what a gate verifies grants with.
        now_ms: the instant of the question, ms since the epoch.
    """
    living: list[tuple[Authority, str]] = []
    dead: list[DeadGrant] = []
    for grant in _standing(question, records):
        session_id = grant.session_id or ""
        try:
            row = authority_row(verify(grant, question.tenant_uid, session_id, standard, now_ms))
        except GrantError as error:
            dead.append(DeadGrant(grant.uid, session_id, error.reason, str(error)))
            continue
        reason = revocations.reason_against(_call(question, row, session_id, _NO_TOOL), now_ms)
        if reason is not None:
            dead.append(DeadGrant(grant.uid, session_id, reason, REASON_TEXTS[reason]))
            continue
        living.append((Authority(row), session_id))
    found = (_reachable(server_id, name, living, revocations, question, now_ms) for server_id, name in sorted(tools))
    return Reach(tuple(tool for tool in found if tool.ways), tuple(dead))


def _standing(question: Question, records: Iterable[Delegation]) -> Iterator[Delegation]:
    """Return the grants of agent and user that were not revoked on their own topic."""
    held: dict[tuple[str, str], Delegation] = {}
    for record in records:
        if record.header.tenant_uid != question.tenant_uid:
            continue
        session_id = record.session_id or ""
        if record.op is DelegationOp.GRANT:
            if (record.act.sub, record.sub) == (question.agent, question.user):
                held.setdefault((session_id, record.uid), record)
            continue
        gone = [
            key
            for key, grant in held.items()
            if key[0] == session_id and record.uid in {body.uid for body in lineage_of(grant)}
        ]
        for key in gone:
            del held[key]
    yield from held.values()


def _reachable(
    server_id: str,
    name: str,
    living: Sequence[tuple[Authority, str]],
    revocations: RevocationSet,
    question: Question,
    now_ms: int,
) -> ReachableTool:
    ways: list[Way] = []
    for authority, session_id in living:
        row = authority.row
        if ANYTHING not in row.audience and server_id not in row.audience:
            continue
        call = _call(question, row, session_id, ToolRef(server_id=server_id, name=name))
        if revocations.reason_against(call, now_ms) is not None:
            continue
        for own_server, own_name, bounds in row.tools:
            if own_server in (ANYTHING, server_id) and own_name in (ANYTHING, name):
                ways.append(_way(row, session_id, bounds))
    return ReachableTool(server_id, name, tuple(ways))


def _way(row: AuthorityRow, session_id: str, bounds: Bounds) -> Way:
    return Way(
        bounds=bounds,
        lineage=row.lineage,
        session_id=session_id,
        scopes=row.scopes,
        expires_ms=row.exp_ms,
        gives_on=row.depth < row.max_depth,
        cnf_jkt=row.cnf_jkt,
        calls_max=row.calls_max,
        amount_max=row.amount_max,
        currency=row.currency,
    )


def _call(question: Question, row: AuthorityRow, session_id: str, tool: ToolRef) -> Call:
    return Call(
        tenant_uid=question.tenant_uid,
        session_id=session_id,
        sub=row.sub,
        act=Actor(iss=row.act_iss, sub=row.act_sub),
        delegation_uids=row.lineage,
        tool=tool,
        model=_ANY_MODEL,
        ancestor_session_ids=row.session_ids,
        ancestor_actors=tuple(hop.actor for hop in row.hops[:-1]),
    )
