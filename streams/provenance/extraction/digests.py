"""Keyed digests of atoms: the same value has the same digest for one user, and tells nothing to those without the key.

The key belongs to a tenant and a user, not to a session, so that what a user's other sessions have read can be
compared. Executors get it with a verdict that allows a call, an agent's runtime with the credential of its session. So
the gate, and whoever reads its topics, learns no content from the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from streams.model.proof import derived_key, hashed_pads
from streams.provenance.atoms.found import AtomKind

_KEY_INFO = b"stoplog atom key v1"
DIGESTERS_CACHED_MAX = 2_048
"""How many users' digesters are cached (about 1 KB each). For all others, making one takes less than a digest."""
_BEGINNINGS: dict[str, bytes] = {kind: f"{kind}\x00".encode() for kind in AtomKind}
"""What is digested of each kind before the value."""
Digester = Callable[[str, str], bytes]
"""Returns the digest of a kind and a value under one key."""


def atom_key(root_key: bytes, tenant_uid: str, sub: str) -> bytes:
    """Return the key under which the atoms of a user's contents are digested. 32 bytes.

    Args:
        root_key: the deployment's root key.
        tenant_uid: the tenant.
        sub: the user; a session without a user has the empty text.
    """
    return derived_key(root_key, _KEY_INFO, tenant_uid, sub)


def atom_digest(key: bytes, kind: AtomKind | str, value: str) -> bytes:
    """Return the digest of a value: HMAC-SHA-256 over its kind and canonical form. 32 bytes."""
    return atom_digester(key)(kind, value)


@lru_cache(maxsize=DIGESTERS_CACHED_MAX)
def atom_digester(key: bytes) -> Digester:
    """Return what makes the digests under a key, as `atom_digest` does."""
    inner_pad, outer_pad = hashed_pads(key)
    begun_inner, begun_outer = inner_pad.copy, outer_pad.copy

    def digest(kind: str, value: str) -> bytes:
        # As `make_hmac`, in one call: a gate makes several of these for each intent.
        inner = begun_inner()
        try:
            inner.update(_BEGINNINGS[kind] + value.encode())
        except (KeyError, UnicodeEncodeError):  # A kind of a later version, or half of a character.
            inner.update("\x00".join((kind, value)).encode("utf-8", "surrogatepass"))
        outer = begun_outer()
        outer.update(inner.digest())
        return outer.digest()

    return digest


class RecordedKeys:
    """The keys of users' atoms as a log has them, for a run without the root key that they were derived from.

    Args:
        known: the keys by tenant and user.

    Attributes:
        asked: the kind and value of each digest that the run has computed.
    """

    def __init__(self, known: Mapping[tuple[str, str], bytes]) -> None:
        self._known = known
        self.asked: dict[bytes, tuple[str, str]] = {}

    def key_of(self, tenant_uid: str, sub: str) -> bytes | None:
        """Return the key of a user; None if the log has none."""
        return self._known.get((tenant_uid, sub))

    def digester(self, key: bytes) -> Digester:
        """Return what makes the digests under a key, and notes them."""
        return partial(self._digest, key)

    def _digest(self, key: bytes, kind: AtomKind | str, value: str) -> bytes:
        made = atom_digest(key, kind, value)
        self.asked[made] = (str(kind), value)
        return made
