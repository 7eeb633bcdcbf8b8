"""The signatures that a rule bundle needs before a gate enforces it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError, unnamed_keys
from streams.audit.signatures import PublicKey
from streams.model.bundle_signature import publication_message
from streams.model.control import RulesetBundle
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason


class PublishersError(StoplogError):
    """The publishers in the settings are invalid."""


class Publishers(msgspec.Struct, frozen=True):
    """The people who may publish rules.

    Attributes:
        keys: names and public keys, by the key's id.
        required: how many different publishers must sign a publication; 0 accepts unsigned ones.
    """

    keys: Mapping[str, tuple[str, PublicKey]]
    required: int

    @classmethod
    def of(cls, publishers: Mapping[str, str], *, required: int, allow_unsigned: bool) -> Publishers:
        """Read the publishers of the settings.

        Args:
            publishers: public keys as text, by the names of their owners. Without any, every bundle is refused,
                unless `allow_unsigned` is set.
            required: see the class.

        Raises:
            PublishersError: a key is invalid, two names have the same key, more signatures are required than there are
                publishers, or unsigned bundles would be accepted although there are publishers.
        """
        try:
            ring = Keyring.of(publishers, kind="publisher", required=required, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise PublishersError(str(error)) from None
        return cls(ring.keys, 0 if allow_unsigned else required)

    def signers(self, bundle: RulesetBundle) -> tuple[str, ...]:
        """Return who has signed a publication: names, in order.

        Raises:
            RecordError: too few have signed, or a signature by a publisher is invalid.
        """
        try:
            names = Keyring(self.keys).signers(publication_message(bundle), bundle.signatures)
        except SignatureError as error:
            text = f"{self._what(bundle)} {error}"
            raise RecordError(DeadLetterReason.BUNDLE_SIGNATURE_INVALID, text) from None
        if len(names) < self.required:
            raise RecordError(DeadLetterReason.BUNDLE_UNSIGNED, self._too_few(bundle, len(names)))
        return names

    def _what(self, bundle: RulesetBundle) -> str:
        return f"bundle `{bundle.name}` serial {bundle.serial}"

    def _too_few(self, bundle: RulesetBundle, count: int) -> str:
        if not self.keys:
            return (
                f"{self._what(bundle)} is refused: no publisher is configured; name some in the setting "
                "`rules.publishers`, or, for development, set `rules.allow_unsigned`"
            )
        return (
            f"{self._what(bundle)} has {count} of the {self.required} signatures by configured publishers that it "
            "needs; sign it with `--key FILE`, and let others sign a draft of it (`--out FILE`, `stoplog rules sign`)"
            f"{unnamed_keys(bundle.signatures, count, 'rules.publishers')}"
        )


UNSIGNED = Publishers({}, 0)
"""Accepts everything, so whoever may write the topic decides: for tests, histories and demonstrations."""
