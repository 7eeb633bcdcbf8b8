"""The grants of a workload: valid ones, and forged or invalid ones."""

from __future__ import annotations

from random import Random  # noqa: TID251 - everything of a workload is drawn from one seeded source
from typing import Any

import msgspec

from simulation.records import SessionMaker
from simulation.world import pick
from streams.model.delegation import ArgumentConstraint, AuthorizationDetail, ConstraintType, Delegation, ToolGrant
from streams.model.types import Proof, ProofAlg

KINDS = (("good", 6), ("narrow", 4), ("short", 3), ("wider", 1), ("altered", 1), ("forged", 1), ("stolen", 1))
"""The kinds of grants that a session gets; the last four are not valid."""

_FILES = ToolGrant(server_id="files", name="*")
_MAIL = ToolGrant(
    server_id="mail",
    name="send",
    constraints=(
        ArgumentConstraint(argument="/to", type=ConstraintType.WILDCARD, value_json='"bob@*"'),
        ArgumentConstraint(argument="/ask", type=ConstraintType.ALL, value_json="[]"),
    ),
)
_ALL_MAIL = ToolGrant(server_id="mail", name="send")
replace = msgspec.structs.replace


def uid_of(maker: SessionMaker) -> str:
    """Return the id of the grant that a session stands on."""
    return f"grant-{maker.session_id}"


def made_for(maker: SessionMaker, now_ms: int, rng: Random, parent_id: str | None = None) -> Delegation:
    """Return a grant of one or two hops for a session, delegated by agents that do nothing else.

    Args:
        parent_id: of the session from which the first one gives it; one of its own by default.
    """
    kind = pick(rng, KINDS)
    givers = [SessionMaker(f"{maker.session_id}-giver-{n}", tenant=maker.tenant, sub=maker.sub) for n in range(2)]
    if parent_id is not None:
        givers[0] = SessionMaker(parent_id, tenant=maker.tenant, sub=maker.sub)
    details = (AuthorizationDetail(type="tools", tools=(_FILES, _ALL_MAIL)),)
    fields: dict[str, Any] = {"audience": ("files", "mail"), "authorization_details": details}
    uid = uid_of(maker)
    grant = givers[0].grant(f"{uid}-root", now_ms, exp=now_ms + 60_000, **fields)
    if rng.random() < 0.5:
        grant = givers[0].handed_on(grant, f"{uid}-hop", now_ms, givers[1])
        givers.reverse()
    changes: dict[str, Any] = {}
    unproven: dict[str, Any] = {}
    match kind:
        case "narrow":
            changes["authorization_details"] = (AuthorizationDetail(type="tools", tools=(_FILES, _MAIL)),)
        case "short":
            changes["exp"] = now_ms + rng.randint(1, 8_000)
        case "wider":
            changes["audience"] = ("files", "mail", "web")
        case "altered":
            unproven["exp"] = now_ms + 59_000
        case "forged":
            unproven["proof"] = Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32))
    given = givers[0].handed_on(grant, uid, now_ms, maker, unproven=unproven, **changes)
    # Somebody else's, under this session's name.
    return replace(given, act=givers[0].act) if kind == "stolen" else given
