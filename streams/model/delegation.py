"""Grants: the records that convey authority from one actor to the next."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Actor, Header, Millis, Proof, Record, Sha256

GRANT_LIFE_MS_MAX = 366 * 86_400_000
"""No grant that lives longer is accepted, so it is known how long a stop of one must last."""


class DelegationOp(StrEnum):
    """Whether authority is granted or revoked."""

    REVOKE = "REVOKE"
    GRANT = "GRANT"


class ConstraintType(StrEnum):
    """How an argument is bounded; an unknown type denies."""

    UNKNOWN = "UNKNOWN"
    EXACT = "EXACT"
    RANGE = "RANGE"
    ONE_OF = "ONE_OF"
    NOT_ONE_OF = "NOT_ONE_OF"
    CONTAINS = "CONTAINS"
    SUBSET = "SUBSET"
    WILDCARD = "WILDCARD"
    ALL = "ALL"
    ANY = "ANY"


class ArgumentConstraint(Record, frozen=True, kw_only=True):
    """A bound on one argument: `argument` is a JSON pointer, `value_json` the type's parameter as JSON."""

    argument: str
    type: ConstraintType = ConstraintType.UNKNOWN
    value_json: str = "null"


class ToolGrant(Record, frozen=True, kw_only=True):
    """A tool within an authorization detail, with the bounds on its arguments."""

    server_id: str
    name: str
    constraints: tuple[ArgumentConstraint, ...] = ()


class AuthorizationDetail(Record, frozen=True, kw_only=True):
    """The fields of RFC 9396, and the tools that they allow."""

    type: str
    locations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    datatypes: tuple[str, ...] = ()
    identifier: str | None = None
    privileges: tuple[str, ...] = ()
    tools: tuple[ToolGrant, ...] = ()


class Budget(Record, frozen=True, kw_only=True):
    """What may be spent under the grant: `amount_minor` in integer minor units of `currency`."""

    calls: int | None = None
    amount_minor: int | None = None
    currency: str | None = None


class GrantBody(Record, frozen=True, kw_only=True):
    """A grant without its ancestors: the part that is signed (`streams.delegation.digest`), and an element of the
    chain.

    Lists convey only what they contain: a grant without scopes, audience or tools conveys none of them.
    """

    op: DelegationOp = DelegationOp.REVOKE
    tenant_uid: str
    uid: str
    parent_uid: str | None = None
    root_uid: str
    parent_digest: Sha256 | None = None
    depth: int
    max_depth: int
    issuer_uid: str
    sub: str
    delegator: Actor
    act: Actor
    may_act: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    session_id: str | None = None
    txn: str | None = None
    scopes: tuple[str, ...] = ()
    authorization_details: tuple[AuthorizationDetail, ...] = ()
    purpose: str | None = None
    budget: Budget | None = None
    iat: Millis
    nbf: Millis | None = None
    exp: Millis
    cnf_jkt: str | None = None
    proof: Proof | None = None


class Delegation(GrantBody, frozen=True, kw_only=True):
    """A grant as a record: with its complete ancestors, root first."""

    header: Header
    chain: tuple[GrantBody, ...] = ()
