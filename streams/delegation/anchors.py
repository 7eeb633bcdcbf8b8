"""Trust anchors: who may issue root grants, and with which keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

import msgspec

from streams.delegation.keys import PUBLIC_BYTES, thumbprint
from streams.model.base64url import base64url
from streams.model.errors import StoplogError

HMAC = "hmac"
ANCHORS_MAX = 256
_PREFIX = "ed25519:"


class AnchorError(StoplogError):
    """The trust anchors in the settings are invalid."""


class TrustAnchors(msgspec.Struct, frozen=True):
    """Issuers of root grants. By default there are none, so no grant is valid.

    Attributes:
        hmac_issuers: issuers that sign with a key derived from the deployment's root key.
        jkts: thumbprints of the Ed25519 keys of the other issuers.
    """

    hmac_issuers: frozenset[str] = frozenset()
    jkts: Mapping[str, frozenset[str]] = {}

    @classmethod
    def of(cls, keys: Mapping[str, str | Iterable[str]]) -> TrustAnchors:
        """Read the trust anchors of the settings.

        Args:
            keys: by issuer, `hmac` or public keys (`ed25519:` and 43 characters of base64url), one or several.

        Raises:
            AnchorError: there are too many, an issuer has no name, or a key is invalid.
        """
        if len(keys) > ANCHORS_MAX:
            raise AnchorError(f"{len(keys)} trust anchors are named, at most {ANCHORS_MAX} are accepted")
        hmac_issuers: set[str] = set()
        jkts: dict[str, frozenset[str]] = {}
        for issuer, named in keys.items():
            texts = [named] if isinstance(named, str) else list(named)
            if not issuer or not texts or len(texts) > ANCHORS_MAX:
                raise AnchorError(f"trust anchor `{issuer}` needs a name, and `hmac` or public keys")
            if HMAC in texts:
                hmac_issuers.add(issuer)
            own = frozenset(_jkt(issuer, text) for text in texts if text != HMAC)
            if own:
                jkts[issuer] = own
        return cls(frozenset(hmac_issuers), jkts)

    @property
    def is_empty(self) -> bool:
        """Whether no issuer is trusted."""
        return not self.hmac_issuers and not self.jkts

    def __contains__(self, issuer: object) -> bool:
        return issuer in self.hmac_issuers or issuer in self.jkts


def _jkt(issuer: str, text: str) -> str:
    encoded = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # Written again it must be the same: base64 has several texts for one key.
    own = _PREFIX + base64url(raw)
    if len(raw) != PUBLIC_BYTES or own != text:
        raise AnchorError(
            f"trust anchor `{issuer}`: `{text[:60]}` is not a key; write `hmac`, or `{_PREFIX}` and 43 characters"
        )
    return thumbprint(raw)
