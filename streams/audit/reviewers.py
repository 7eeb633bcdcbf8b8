"""The signatures that a catalog entry needs before a gate lets its tool be called."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError, unnamed_keys
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_message
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.types import same_person


class ReviewersError(StoplogError):
    """The reviewers in the settings are invalid."""


class Reviewers(msgspec.Struct, frozen=True):
    """The people who may approve tools.

    Attributes:
        ring: their names and keys.
        required: how many different reviewers must sign an approval; 0 accepts unsigned ones.
        separate_duties: whether the person who proposed a tool may not be the only one to approve it.
    """

    ring: Keyring
    required: int
    separate_duties: bool = True

    @classmethod
    def of(
        cls, reviewers: Mapping[str, str], *, required: int, allow_unsigned: bool, separate_duties: bool = True
    ) -> Reviewers:
        """Read the reviewers of the settings; see the class.

        Without reviewers every approval is refused, unless `allow_unsigned` is set.

        Raises:
            ReviewersError: the settings are invalid.
        """
        try:
            ring = Keyring.of(reviewers, kind="reviewer", required=required, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise ReviewersError(str(error)) from None
        names = [same_person(name) for name in reviewers]
        if len(set(names)) < len(names):
            raise ReviewersError("two names of reviewers look the same; a person has only one name")
        return cls(ring, 0 if allow_unsigned else required, separate_duties)

    @property
    def are_asked(self) -> bool:
        """Return whether signatures are required."""
        return self.required > 0

    def signers(self, entry: ToolCatalogEntry) -> tuple[str, ...]:
        """Return who has signed an entry, whatever its state: names, in order.

        Raises:
            RecordError: a signature by a reviewer is invalid.
        """
        if not entry.signatures:
            return ()
        try:
            return self.ring.signers(entry_message(entry), entry.signatures)
        except SignatureError as error:
            raise RecordError(DeadLetterReason.CATALOG_SIGNATURE_INVALID, f"{_what(entry)} {error}") from None

    def approvers(self, entry: ToolCatalogEntry) -> tuple[str, ...]:
        """Return `signers`, if they are enough for the entry's tool to be called.

        Raises:
            RecordError: too few have signed, a signature is invalid, or only who proposed the tool has signed.
        """
        names = self.signers(entry)
        if len(names) < self.required:
            raise RecordError(DeadLetterReason.CATALOG_UNSIGNED, self._too_few(entry, len(names)))
        if self.required and self.separate_duties:
            self._check_separation(entry, names)
        return names

    def _check_separation(self, entry: ToolCatalogEntry, names: tuple[str, ...]) -> None:
        proposer = entry.proposed_by
        if proposer is not None and any(same_person(name) != same_person(proposer) for name in names):
            return
        who = "it does not say who proposed it" if proposer is None else f"`{proposer}` has proposed it, too"
        text = f"{_what(entry)} is approved by {', '.join(names)} alone, and {who}; somebody else must approve it"
        raise RecordError(DeadLetterReason.CATALOG_SELF_APPROVED, text)

    def _too_few(self, entry: ToolCatalogEntry, count: int) -> str:
        if not self.ring.keys:
            return (
                f"{_what(entry)} is refused: no reviewer is configured; name some in the setting "
                "`catalog.reviewers`, or, for development, set `catalog.allow_unsigned`"
            )
        return (
            f"{_what(entry)} has {count} of the {self.required} signatures by configured reviewers that it needs; "
            "sign it with `--key FILE`, and let others sign a draft of it (`--out FILE`, `stoplog catalog sign`)"
            f"{unnamed_keys(entry.signatures, count, 'catalog.reviewers')}"
        )


def _what(entry: ToolCatalogEntry) -> str:
    return f"version {entry.catalog_version} of `{entry.server_id[:80]}/{entry.name[:80]}`"


ANYBODY = Reviewers(Keyring({}), 0)
"""Accepts everything, so whoever may write the topic decides: for tests, histories and demonstrations."""

NOBODY = Reviewers(Keyring({}), 1)
"""Accepts nothing: no tool can be called."""
