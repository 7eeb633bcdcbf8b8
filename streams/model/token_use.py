"""The claim of a token service on tokens that can be used once: the first one on the log counts, for all services."""

from __future__ import annotations

from streams.model.types import Header, Millis, Record

DIGEST_BYTES = 32
DIGESTS_MAX = 8
"""How many tokens, proofs and ids one request can use up."""


class TokenUse(Record, frozen=True, kw_only=True):
    """A claim on all tokens of one request; it counts for all of them, or for none.

    `header.id` is the id of the claim, `service` the name of the service that makes it. `names` are SHA-256 digests of
    the tokens' issuers and ids, of proofs, and of the ids of grants and sessions. `until` is how long they count as
    used.
    """

    header: Header
    service: str
    names: tuple[bytes, ...]
    until: Millis


def is_whole(claim: TokenUse) -> bool:
    """Return whether a claim has a possible number of names, and each is a digest."""
    return 0 < len(claim.names) <= DIGESTS_MAX and all(len(name) == DIGEST_BYTES for name in claim.names)
