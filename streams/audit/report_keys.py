"""The keys with which servers' executors sign what they report, and how a gate checks such a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.signatures import PublicKey, SigningKey
from streams.model.proof import report_key_seed, report_message
from streams.model.session import SessionEvent
from streams.model.types import Proof, ProofAlg


class ReportKey:
    """The private key of a server's executor.

    Attributes:
        public: the key that gates check reports with; it stands in the catalog.
        deployment: the name of the deployment in which its reports count.
    """

    def __init__(self, key: SigningKey, deployment: str = "") -> None:
        """Take the key.

        Args:
            key: made by `stoplog keys server new`.
            deployment: must be the gates' setting `gate.deployment`.
        """
        self._key = key
        self.public = key.public
        self.deployment = deployment

    @classmethod
    def derived(cls, root_key: bytes, server_id: str, deployment: str = "") -> ReportKey:
        """Return the key of a server where nobody issues keys: in development, and in histories.

        Only a holder of the root key can make it, so no executor of a real deployment can use it.
        """
        private = Ed25519PrivateKey.from_private_bytes(report_key_seed(root_key, server_id))
        return cls(SigningKey(private), deployment)

    def proven(self, event: SessionEvent) -> SessionEvent:
        """Return the report with this key's proof, which replaces any other."""
        value = self._key.sign(report_message(event, self.deployment))
        return msgspec.structs.replace(event, proof=Proof(alg=ProofAlg.ED25519, kid=self.public.kid, value=value))

    def __repr__(self) -> str:
        return f"ReportKey({self.public.kid})"


class ServerKeys(msgspec.Struct, frozen=True):
    """The public keys of a server.

    Attributes:
        keys: by their ids.
    """

    keys: Mapping[str, PublicKey]

    @classmethod
    def of(cls, texts: Sequence[str]) -> ServerKeys:
        """Read keys of the form `ed25519:...`.

        Raises:
            SigningKeyError: one is malformed.
        """
        keys = [PublicKey.parse(text) for text in texts]
        return cls({key.kid: key for key in keys})

    def fault(self, event: SessionEvent, deployment: str) -> str | None:
        """Explain why a report is not proven by one of the keys; None if it is."""
        proof = event.proof
        if proof is None or proof.alg is not ProofAlg.ED25519:
            return "it has no signature of a server"
        key = self.keys.get(proof.kid or "")
        if key is None:
            return f"key `{(proof.kid or '')[:_KID_CHARS]}` is not one of the server's"
        if not key.verifies(report_message(event, deployment), proof.value):
            return f"it is not what key `{key.kid}` has signed for deployment `{deployment}`"
        return None


_KID_CHARS = 43
