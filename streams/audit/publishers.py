"""Whose signatures a rule bundle needs before a gate enforces it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.audit.signing import PublicKey, SigningKeyError
from streams.model.bundle_signature import publication_message
from streams.model.control import RulesetBundle
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.types import ProofAlg

PUBLISHERS_MAX = 64
SIGNATURES_MAX = 16


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
        if len(publishers) > PUBLISHERS_MAX:
            raise PublishersError(f"{len(publishers)} publishers are named, at most {PUBLISHERS_MAX} are accepted")
        keys: dict[str, tuple[str, PublicKey]] = {}
        for name, text in publishers.items():
            try:
                key = PublicKey.parse(text)
            except SigningKeyError as error:
                raise PublishersError(f"publisher `{name}`: {error}") from None
            if key.kid in keys:
                raise PublishersError(f"`{keys[key.kid][0]}` and `{name}` have the same key; give each their own")
            keys[key.kid] = (name, key)
        if keys and allow_unsigned:
            raise PublishersError("`allow_unsigned` would make `publishers` meaningless; leave one of them out")
        if keys and required > len(keys):
            raise PublishersError(f"{required} signatures are required, but there are {len(keys)} publishers")
        return cls(keys, 0 if allow_unsigned else required)

    def signers(self, bundle: RulesetBundle) -> tuple[str, ...]:
        """Who has signed a publication: names, in order.

        Raises:
            RecordError: too few have, or a signature by one of them does not hold.
        """
        names = set()
        message = publication_message(bundle)
        if len(bundle.signatures) > SIGNATURES_MAX:
            count = len(bundle.signatures)
            text = f"{self._what(bundle)} has {count} signatures, at most {SIGNATURES_MAX} are looked at"
            raise RecordError(DeadLetterReason.BUNDLE_SIGNATURE_INVALID, text)
        for signature in bundle.signatures:
            known = self.keys.get(signature.kid or "")
            if known is None:
                continue  # of a publisher of former times, or of another deployment
            name, key = known
            if signature.alg is not ProofAlg.ED25519 or not key.verifies(message, signature.value):
                text = f"{self._what(bundle)} is not what `{name}` has signed"
                raise RecordError(DeadLetterReason.BUNDLE_SIGNATURE_INVALID, text)
            names.add(name)
        if len(names) < self.required:
            raise RecordError(DeadLetterReason.BUNDLE_UNSIGNED, self._too_few(bundle, len(names)))
        return tuple(sorted(names))

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
