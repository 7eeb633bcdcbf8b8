"""The credential that an agent has for its session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.model.canonical import sha256
from streams.model.delegation import Delegation
from streams.model.keys import session_key_of
from streams.model.types import Actor, Model
from streams.sdk.errors import ProposalError

if TYPE_CHECKING:
    from streams.delegation.keys import Ed25519Key


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedWith:
    """What an agent says that it opens a session with. Rules see if its later intents state something else.

    Attributes:
        model: the model.
        system_prompt_digest: SHA-256 of the system prompt (`prompt_digest`).
        toolset_digest: SHA-256 of the toolset (`Toolset.digest`).
    """

    model: Model | None = None
    system_prompt_digest: bytes | None = None
    toolset_digest: bytes | None = None


NOTHING_STATED = OpenedWith()


def prompt_digest(text: str) -> bytes:
    """Return the digest of a system prompt, as intents and `OpenedWith` state it: SHA-256 of its UTF-8 form, 32 bytes.

    Raises:
        ProposalError: the text is not valid Unicode.
    """
    try:
        return sha256(text.encode())
    except UnicodeEncodeError as error:
        raise ProposalError("the system prompt is not valid Unicode") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionCredential:
    """A session's credential: bound to a subject and an actor, and short-lived. Whoever has `secret` can act in the
    session.

    Attributes:
        secret: the session's key for proofs; not shown by `repr`.
        sub: the principal on whose behalf the agent acts.
        act: the agent.
        atom_key: the key under which values of what the user says are digested
            (`streams.provenance.extraction.digests`); empty if the token service gives none.
        expires_ms: when the session expires, ms since the epoch.
        delegation_uid: the id of the session's grant, if it has one.
        grant: that grant with its chain; an agent needs it to delegate.
        signing_key: the key that the grant is bound to (`cnf_jkt`), if any. It signs intents and grants.
    """

    tenant_uid: str
    session_id: str
    secret: bytes = field(repr=False)
    atom_key: bytes = field(default=b"", repr=False)
    sub: str
    act: Actor
    scopes: tuple[str, ...] = ()
    purpose: str | None = None
    expires_ms: int
    delegation_uid: str | None = None
    grant: Delegation | None = field(default=None, repr=False)
    signing_key: Ed25519Key | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Take the id of the grant from the grant, if it was not given."""
        if self.delegation_uid is None and self.grant is not None:
            object.__setattr__(self, "delegation_uid", self.grant.uid)

    @property
    def key(self) -> bytes:
        """Return the record key of everything in the session."""
        return session_key_of(self.tenant_uid, self.session_id)
