"""Whose signatures a rule bundle needs before a gate enforces it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.audit.keyring import KEYS_MAX, SIGNATURES_MAX, Keyring, KeyringError, SignatureError
from streams.audit.signatures import PublicKey
from streams.model.bundle_signature import publication_message
from streams.model.control import RulesetBundle
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason

PUBLISHERS_MAX = KEYS_MAX

__all__ = ["PUBLISHERS_MAX", "SIGNATURES_MAX", "UNSIGNED", "Publishers", "PublishersError"]


class PublishersError(StoplogError):
    """The publishers of the settings make no sense."""


@dataclass(frozen=True)
class Publishers:
    """Who may publish rules.

    Attributes:
        keys: names and public keys, by the key's id.
        required: of how many different ones a publication needs a signature; 0 where unsigned ones are accepted.
    """

    keys: Mapping[str, tuple[str, PublicKey]]
    required: int

    @classmethod
    def of(cls, publishers: Mapping[str, str], *, required: int, allow_unsigned: bool) -> Publishers:
        """From the settings.

        Args:
            publishers: public keys as text, by the names of their owners. With none, every bundle is refused, unless
                `allow_unsigned`.
            required: see the class.

        Raises:
            PublishersError: a key is none, two names have one key, more signatures are required than there are
                publishers, or unsigned bundles would be accepted although there are some.
        """
        try:
            ring = Keyring.of(publishers, kind="publisher", required=required, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise PublishersError(str(error)) from None
        return cls(ring.keys, 0 if allow_unsigned else required)

    def signers(self, bundle: RulesetBundle) -> tuple[str, ...]:
        """Who has signed a publication: names, in order.

        Raises:
            RecordError: too few have, or a signature by one of them does not hold.
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
            f"{self._what(bundle)} has signatures of {count} configured publishers, {self.required} are required; "
            "see `stoplog rules sign`"
        )


UNSIGNED = Publishers({}, 0)
"""Whoever may write the topic decides: for tests, histories and demonstrations."""
