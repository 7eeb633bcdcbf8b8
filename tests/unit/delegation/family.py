"""Three sessions that give a grant on to each other, and keys of their own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulation.records import ISSUER, ROOT_KEY, SessionMaker
from streams.delegation.anchors import TrustAnchors
from streams.delegation.digest import grant_message, lineage_of, travelling
from streams.delegation.keys import Ed25519Key, GrantKey
from streams.delegation.verification import Standard, verify
from streams.model.delegation import (
    ArgumentConstraint,
    AuthorizationDetail,
    ConstraintType,
    Delegation,
    GrantBody,
    ToolGrant,
)
from tests.kit import START_MS

FAR_ISSUER = "https://far.example"
NOW_MS = START_MS
MINUTE_MS = 60_000
replace = msgspec.structs.replace


def session_key(number: int) -> Ed25519Key:
    """An Ed25519 key, the same every time."""
    return Ed25519Key.of(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


FAR_KEY, MOTHERS_KEY, STRANGERS_KEY = session_key(1), session_key(2), session_key(3)
ANCHORS = TrustAnchors(hmac_issuers=frozenset({ISSUER}), jkts={FAR_ISSUER: frozenset({FAR_KEY.jkt})})
STANDARD = Standard(anchors=ANCHORS, root_key=ROOT_KEY)


def bound(argument: str, kind: ConstraintType | str, value: Any) -> ArgumentConstraint:
    return ArgumentConstraint(argument=argument, type=ConstraintType(kind), value_json=json.dumps(value))


def tool(server_id: str, name: str, *bounds: ArgumentConstraint) -> ToolGrant:
    return ToolGrant(server_id=server_id, name=name, constraints=bounds)


def tools(*granted: ToolGrant) -> tuple[AuthorizationDetail, ...]:
    return (AuthorizationDetail(type="tools", tools=granted),)


MAIL_INSIDE = tool("mail", "send", bound("/to", "WILDCARD", "*@example.com"), bound("/text", "ALL", []))
FILES = tool("files", "read", bound("/path", "WILDCARD", "docs/*"))


class Family:
    """A mother, her daughter and her granddaughter. All act for alice; each is an agent of its own.

    Attributes:
        now_ms: the instant at which everything is made and checked.
    """

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.mother = SessionMaker("s-1", act="planner")
        self.daughter = SessionMaker("s-2", act="writer")
        self.granddaughter = SessionMaker("s-3", act="sender")

    def root(self, **changes: Any) -> Delegation:
        """The mother's: files and mail to the inside, for ten minutes."""
        fields: dict[str, Any] = {
            "scopes": ("files:read", "mail:send"),
            "audience": ("files", "mail"),
            "authorization_details": tools(FILES, MAIL_INSIDE),
            "exp": self.now_ms + 10 * MINUTE_MS,
            "max_depth": 2,
        }
        return self.mother.grant("g-1", self.now_ms, **(fields | changes))

    def hop(self, parent: Delegation | None = None, **changes: Any) -> Delegation:
        """The daughter's, of the mother's."""
        uid = changes.pop("uid", "g-2")
        return self.mother.handed_on(parent or self.root(), uid, self.now_ms, self.daughter, **changes)

    def last(self, parent: Delegation | None = None, **changes: Any) -> Delegation:
        """The granddaughter's, of the daughter's."""
        uid = changes.pop("uid", "g-3")
        return self.daughter.handed_on(parent or self.hop(), uid, self.now_ms, self.granddaughter, **changes)

    def check(self, grant: Delegation, receiver: SessionMaker, standard: Standard = STANDARD) -> tuple[GrantBody, ...]:
        """Verify it, as the gate does that has received it for a session."""
        return verify(grant, receiver.tenant, receiver.session_id, standard, self.now_ms)


def with_chain(grant: Delegation, *chain: GrantBody) -> Delegation:
    """The grant with another chain."""
    return replace(grant, chain=chain)


def resigned(grant: Delegation, key: GrantKey, **changes: Any) -> Delegation:
    """The grant with its last body changed, and signed again."""
    *chain, body = lineage_of(grant)
    body = replace(body, **changes)
    return travelling((*chain, replace(body, proof=key.prove(grant_message(body)))), grant.header)
