"""What an agent holds of its session."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.model.keys import session_key
from streams.model.types import Actor


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionCredential:
    """A session's credential: bound to a subject and an actor, short-lived. Whoever has `secret` can act in it.

    Attributes:
        secret: the session's key for proofs; kept out of `repr`.
        sub: on whose behalf.
        act: who acts.
        expires_ms: when the session ends by itself.
        delegation_uid: the grant that it was made from, if any.
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

    @property
    def key(self) -> bytes:
        """The key of all the session's records."""
        return session_key(self.tenant_uid, self.session_id)
