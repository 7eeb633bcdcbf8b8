"""Whose signatures a catalog entry needs before a gate lets its tool be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.audit.keyring import Keyring, KeyringError, SignatureError
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_message
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.types import same_person


class ReviewersError(StoplogError):
    """The reviewers of the settings make no sense."""


@dataclass(frozen=True)
class Reviewers:
    """Who may approve tools.

    Attributes:
        ring: their names and keys.
        required: of how many different ones an approval needs a signature; 0 where unsigned ones are accepted.
        separate_duties: whether who has proposed a tool can't be the only one to approve it.
    """

    ring: Keyring
    required: int
    separate_duties: bool = True

    @classmethod
    def of(
        cls, reviewers: Mapping[str, str], *, required: int, allow_unsigned: bool, separate_duties: bool = True
    ) -> Reviewers:
        """From the settings; see the class. With no reviewers every approval is refused, unless `allow_unsigned`.

        Raises:
            ReviewersError: they make no sense.
        """
        try:
            ring = Keyring.of(reviewers, kind="reviewer", required=required, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise ReviewersError(str(error)) from None
        names = [same_person(name) for name in reviewers]
        if len(set(names)) < len(names):
            raise ReviewersError("two names of reviewers read the same; a person has one name")
        return cls(ring, 0 if allow_unsigned else required, separate_duties)

    @property
    def are_asked(self) -> bool:
        """Whether signatures are wanted at all."""
        return self.required > 0

    def signers(self, entry: ToolCatalogEntry) -> tuple[str, ...]:
        """Who of them has signed an entry, whatever it says: names, in order.

        Raises:
            RecordError: a signature by one of them does not hold.
        """
        if not entry.signatures:
            return ()
        try:
            return self.ring.signers(entry_message(entry), entry.signatures)
        except SignatureError as error:
            raise RecordError(DeadLetterReason.CATALOG_SIGNATURE_INVALID, f"{_what(entry)} {error}") from None

    def approvers(self, entry: ToolCatalogEntry) -> tuple[str, ...]:
        """`signers`, if they are enough for the entry's tool to be called.

        Raises:
            RecordError: they are too few, a signature does not hold, or who proposed it is alone.
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
            f"{_what(entry)} has signatures of {count} configured reviewers, {self.required} are required; "
            "see `stoplog catalog sign`"
        )


def _what(entry: ToolCatalogEntry) -> str:
    return f"version {entry.catalog_version} of `{entry.server_id[:80]}/{entry.name[:80]}`"


ANYBODY = Reviewers(Keyring({}), 0)
"""Whoever may write the topic decides: for tests, histories and demonstrations."""

NOBODY = Reviewers(Keyring({}), 1)
"""No tool can be called."""
