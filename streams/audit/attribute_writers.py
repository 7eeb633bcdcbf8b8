"""Who may write the attributes of entities, for which tenants, and about which kinds of entities.

**Idea.** The topic has one access list, and its records carry no principal. So the access list says who may write at
all, and a signature says for whom: a writer that the settings restrict to some tenants or kinds speaks for no others.
Where one connector feeds everything, the access list alone may decide (`allow_unsigned`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError
from streams.audit.signatures import SigningKey
from streams.model.attributes import KIND_PATTERN, EntityAttributes, attributes_message
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.types import Proof, ProofAlg


class AttributeWritersError(StoplogError):
    """The writers in the settings are invalid."""


class AttributeWriters(msgspec.Struct, frozen=True):
    """The writers of attributes.

    Attributes:
        ring: their names and keys.
        tenants: for those who may not speak for every tenant: the tenants that they may speak for.
        kinds: for those who may not speak about every kind of entity: the kinds.
        deployment: the name of the deployment that their signatures are for.
        are_asked: whether a record needs a signature. Otherwise the newest record of an entity counts.
    """

    ring: Keyring
    tenants: Mapping[str, frozenset[str]] = {}
    kinds: Mapping[str, frozenset[str]] = {}
    deployment: str = ""
    are_asked: bool = True

    @classmethod
    def of(
        cls,
        writers: Mapping[str, str],
        *,
        tenants: Mapping[str, Sequence[str]] | None = None,
        kinds: Mapping[str, Sequence[str]] | None = None,
        deployment: str = "",
        allow_unsigned: bool = False,
    ) -> AttributeWriters:
        """Read the writers of the settings.

        Args:
            writers: public keys as text, by the names of their owners. Without any, no record counts, unless
                `allow_unsigned` is set.
            tenants: tenants by the names of writers; a writer who is not named may speak for all of them.
            kinds: kinds of entities by the names of writers; a writer who is not named may speak about all of them.
            deployment: see the class.
            allow_unsigned: whether a record needs no signature.

        Raises:
            AttributeWritersError: a key is invalid, two names have the same key, `tenants` or `kinds` names somebody
                who isn't a writer or a kind that can't be one, or unsigned records would count although there are
                writers.
        """
        try:
            ring = Keyring.of(writers, kind="writer", required=1, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise AttributeWritersError(str(error)) from None
        for setting, named in (("tenants", tenants or {}), ("kinds", kinds or {})):
            for name in named:
                if name not in writers:
                    raise AttributeWritersError(f"`{setting}` names `{name}`, who is not among the `writers`")
        for name, own in (kinds or {}).items():
            wrong = next((kind for kind in own if not KIND_PATTERN.match(kind)), None)
            if wrong is not None:
                text = f"`kinds` of `{name}` has `{wrong[:80]}`; a kind is up to 40 lower-case letters, digits and `_`"
                raise AttributeWritersError(text)
        of_tenants = {name: frozenset(own) for name, own in (tenants or {}).items()}
        of_kinds = {name: frozenset(own) for name, own in (kinds or {}).items()}
        return cls(ring, of_tenants, of_kinds, deployment, not allow_unsigned)

    def check(self, record: EntityAttributes) -> str | None:
        """Return who has signed a record; None if no signature is needed.

        Raises:
            RecordError: no writer who may speak about this entity has signed it.
        """
        if not self.are_asked:
            return None
        tenant_uid = record.header.tenant_uid
        what = f"the attributes of `{record.kind[:40]}/{record.id[:80]}`"
        if not self.ring.keys:
            raise _unproven(f"{what} do not count: no writer is configured; see the setting `attributes.writers`")
        if record.proof is None:
            raise _unproven(f"{what} are not signed; sign with `stoplog attributes set KIND/ID NAME=TEXT --key FILE`")
        try:
            names = self.ring.signers(attributes_message(record, self.deployment), (record.proof,))
        except SignatureError as error:
            raise _unproven(f"the record of {what} {error}") from None
        if not names:
            raise _unproven(f"{what} are signed with a key that is not among those of the setting `attributes.writers`")
        (name,) = names
        if name in self.tenants and tenant_uid not in self.tenants[name]:
            text = f"{what} are signed by `{name}`, who may not speak for tenant `{tenant_uid[:80]}`"
            raise _unproven(f"{text} (setting `attributes.tenants`)")
        if name in self.kinds and record.kind not in self.kinds[name]:
            raise _unproven(f"{what} are signed by `{name}`, who may not speak about them (setting `attributes.kinds`)")
        return name


def signed_attributes(record: EntityAttributes, key: SigningKey, deployment: str) -> EntityAttributes:
    """Return a record with the signature of `key`.

    Args:
        deployment: see `attributes_message`.
    """
    value = key.sign(attributes_message(record, deployment))
    return msgspec.structs.replace(record, proof=Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=value))


def _unproven(text: str) -> RecordError:
    return RecordError(DeadLetterReason.ATTRIBUTES_UNPROVEN, text)


ANYBODY = AttributeWriters(Keyring({}), are_asked=False)
"""Counts every record, so whoever may write the topic decides."""

NOBODY = AttributeWriters(Keyring({}))
"""Counts no record."""
