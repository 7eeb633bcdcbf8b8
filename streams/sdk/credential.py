"""What an agent holds of its session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.model.delegation import Delegation
from streams.model.keys import session_key_of
from streams.model.types import Actor

if TYPE_CHECKING:
    from streams.delegation.keys import Ed25519Key


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionCredential:
    """A session's credential: bound to a subject and an actor, short-lived. Whoever has `secret` can act in it.

    Attributes:
        secret: the session's key for proofs; kept out of `repr`.
        sub: on whose behalf.
        act: who acts.
        expires_ms: when the session ends by itself.
        delegation_uid: the grant that it was made from, if any.
        grant: that grant with its chain, which an agent needs to give (a part of) it on.
        signing_key: the key that the grant is bound to (`cnf_jkt`), if it is: intents and grants are signed with it.
    """

    tenant_uid: str
    session_id: str
    secret: bytes = field(repr=False)
    sub: str
    act: Actor
    scopes: tuple[str, ...] = ()
    purpose: str | None = None
    expires_ms: int
    delegation_uid: str | None = None
    grant: Delegation | None = field(default=None, repr=False)
    signing_key: Ed25519Key | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """A grant's id need not be said twice."""
        if self.delegation_uid is None and self.grant is not None:
            object.__setattr__(self, "delegation_uid", self.grant.uid)

    @property
    def key(self) -> bytes:
        """The key of all the session's records."""
        return session_key_of(self.tenant_uid, self.session_id)
