"""What a session keeps of its verified grant: small enough to be stored with it, enough to judge every call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streams.delegation.digest import grant_digest
from streams.delegation.tools import ANYTHING, GrantedTool, compile_tool
from streams.model.delegation import ArgumentConstraint, ConstraintType, GrantBody, ToolGrant
from streams.model.reasons import Reason


class HopRow(msgspec.Struct, frozen=True, array_like=True):
    """A grant of the path, as rules see it."""

    uid: str
    issuer: str
    sub: str
    actor: str
    depth: int
    scopes: tuple[str, ...]
    expires_ms: int


ToolRow = tuple[str, str, tuple[tuple[str, str, str], ...]]
"""Server, name, and for each bounded pointer, type and parameter."""


class AuthorityRow(msgspec.Struct, frozen=True, array_like=True):
    """A verified grant. Bounds of its ancestors are included: every hop is narrower than the one before.

    Attributes:
        digest: of its body, to distinguish a repeated grant from another one under the same id.
        lineage: the ids of its path, root first, its own last.
        session_ids: the sessions that its ancestors were granted to.
        nbf_ms: nothing is allowed before this instant, the latest of the path.
        hops: the path, root first.
        calls_max, amount_max: what the session may spend; `currency` is that of the amount.
        root_purpose: the purpose that the first grant of the path states.
    """

    uid: str
    digest: bytes
    lineage: tuple[str, ...]
    session_ids: tuple[str, ...]
    sub: str
    act_iss: str
    act_sub: str
    nbf_ms: int
    exp_ms: int
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    tools: tuple[ToolRow, ...]
    depth: int
    max_depth: int
    hops: tuple[HopRow, ...]
    cnf_jkt: str | None = None
    calls_max: int | None = None
    amount_max: int | None = None
    currency: str | None = None
    root_purpose: str | None = None


class Refused(NamedTuple):
    """Why a call is not allowed."""

    reason: Reason
    detail: str


def authority_row(lineage: tuple[GrantBody, ...]) -> AuthorityRow:
    """Return what is kept of a valid grant. `lineage` is the result of `verify`, root first."""
    last = lineage[-1]
    tools = (tool for detail in last.authorization_details for tool in detail.tools)
    budget = last.budget
    return AuthorityRow(
        uid=last.uid,
        digest=grant_digest(last),
        lineage=tuple(body.uid for body in lineage),
        session_ids=tuple(dict.fromkeys(b.session_id for b in lineage[:-1] if b.session_id is not None)),
        sub=last.sub,
        act_iss=last.act.iss,
        act_sub=last.act.sub,
        nbf_ms=max(body.nbf or 0 for body in lineage),
        exp_ms=last.exp,
        scopes=last.scopes,
        audience=last.audience,
        tools=tuple(
            (t.server_id, t.name, tuple((c.argument, c.type.value, c.value_json) for c in t.constraints)) for t in tools
        ),
        depth=last.depth,
        max_depth=last.max_depth,
        hops=tuple(HopRow(b.uid, b.issuer_uid, b.sub, b.act.sub, b.depth, b.scopes, b.exp) for b in lineage),
        cnf_jkt=last.cnf_jkt,
        calls_max=None if budget is None else budget.calls,
        amount_max=None if budget is None else budget.amount_minor,
        currency=None if budget is None else budget.currency,
        root_purpose=lineage[0].purpose,
    )


class Authority:
    """A kept grant, ready to judge calls.

    Attributes:
        row: the grant as it is kept.
    """

    __slots__ = ("_any_server", "_tools", "_wide", "row")

    def __init__(self, row: AuthorityRow) -> None:
        self.row = row
        self._any_server = ANYTHING in row.audience
        self._wide: list[GrantedTool] = []
        self._tools: dict[tuple[str, str], list[GrantedTool]] = {}
        for server_id, name, bounds in row.tools:
            tool = compile_tool(
                ToolGrant(
                    server_id=server_id,
                    name=name,
                    constraints=tuple(
                        ArgumentConstraint(argument=argument, type=ConstraintType(kind), value_json=parameter)
                        for argument, kind, parameter in bounds
                    ),
                )
            )
            if tool.name == ANYTHING:
                self._wide.append(tool)
            else:
                self._tools.setdefault((server_id, name), []).append(tool)

    def fault(self, server_id: str, name: str, args: Mapping[str, object], now_ms: int) -> Refused | None:
        """Return why the call is not allowed at an instant; None if it is."""
        row = self.row
        if now_ms >= row.exp_ms:
            return Refused(Reason.DELEGATION_EXPIRED, f"{now_ms - row.exp_ms} ms ago")
        if now_ms < row.nbf_ms:
            return Refused(Reason.DELEGATION_NOT_YET_VALID, f"in {row.nbf_ms - now_ms} ms")
        if not self._any_server and server_id not in row.audience:
            return Refused(Reason.DELEGATION_AUDIENCE_MISMATCH, server_id[:200])
        granted = self.tools_for(server_id, name)
        if not granted:
            return Refused(Reason.DELEGATION_TOOL_NOT_GRANTED, f"{server_id}/{name}"[:200])
        fault = ""
        for tool in granted:
            found = tool.fault(args)
            if found is None:
                return None
            fault = fault or found
        return Refused(Reason.DELEGATION_ARGUMENTS_NOT_GRANTED, fault)

    def tools_for(self, server_id: str, name: str) -> list[GrantedTool]:
        """Return the tools of the grant that cover a tool: a call needs one of them to allow it."""
        found = self._tools.get((server_id, name), [])
        if self._wide:
            return [*found, *(tool for tool in self._wide if tool.covers(server_id, name))]
        return found
