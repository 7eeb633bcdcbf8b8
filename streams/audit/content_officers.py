"""Whose orders about captured content count: legal holds, their end, and erasures.

**Idea.** Whoever may write the topic of keys can destroy content; no signature can keep them from it. The signature
says who has ordered it, so that content which is gone without a signed order is noticed. A hold keeps content, so it
counts whoever wrote it; the end of a hold lets content be erased, so it needs a signature, as an erasure does.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError
from streams.audit.signatures import SigningKey
from streams.model.content import ContentOrder, order_message
from streams.model.errors import StoplogError
from streams.model.types import Proof, ProofAlg


class OfficersError(StoplogError):
    """The officers in the settings are invalid, or an order is not signed by one of them."""


class ContentOfficers(msgspec.Struct, frozen=True):
    """The people whose orders about captured content count.

    Attributes:
        ring: their names and keys.
        deployment: the name of the deployment that their signatures are for.
        are_asked: whether an order needs a signature.
    """

    ring: Keyring
    deployment: str = ""
    are_asked: bool = True

    @classmethod
    def of(cls, officers: Mapping[str, str], *, deployment: str = "", allow_unsigned: bool = False) -> ContentOfficers:
        """Read the officers of the settings.

        Args:
            officers: public keys as text, by the names of their owners.
            deployment: see the class.
            allow_unsigned: whether an order needs no signature.

        Raises:
            OfficersError: a key is invalid, two names have the same key, or unsigned orders would count although there
                are officers.
        """
        try:
            ring = Keyring.of(officers, kind="officer", required=1, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise OfficersError(str(error)) from None
        return cls(ring, deployment, not allow_unsigned)

    def signer_of(self, order: ContentOrder) -> str | None:
        """Return the name of the officer who has signed an order; None if no signature is needed.

        Raises:
            OfficersError: no officer has signed it.
        """
        if not self.are_asked:
            return None
        if not self.ring.keys:
            raise OfficersError("no officer is configured; name some in the setting `content.officers`")
        if order.proof is None:
            raise OfficersError("it is not signed; give the key of an officer with `--key`")
        try:
            names = self.ring.signers(order_message(order, self.deployment), (order.proof,))
        except SignatureError as error:
            raise OfficersError(f"it {error}") from None
        if not names:
            raise OfficersError("it is signed with a key that is not among those of the setting `content.officers`")
        return names[0]


def signed_order(order: ContentOrder, key: SigningKey, deployment: str) -> ContentOrder:
    """Return an order with the signature of `key`.

    Args:
        deployment: see `order_message`.
    """
    value = key.sign(order_message(order, deployment))
    return msgspec.structs.replace(order, proof=Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=value))
