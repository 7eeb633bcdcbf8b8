"""The signature that a release needs before a gate or an executor lifts a stop.

**Idea.** Whoever may write to `agent.revocation.v1` can stop: the token service, the service for security events, gates
and the SOC. None of them may thereby release. A release counts only if it is signed by a person whom the settings name
as a releaser, and that person may release stops of its kind.

What a signature covers makes a release useless a second time: it names the offset before which it lifts stops, so that
it lifts no later stop of the same name, and its time, which must be the broker's within `RELEASE_AGE_MAX_MS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError
from streams.audit.signatures import SigningKey
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.release_signature import release_message
from streams.model.revocation import Revocation, RevocationKind
from streams.model.types import Proof, ProofAlg

RELEASE_AGE_MAX_MS = 900_000
"""How far the time of a release may be from the broker's when it is written."""


class ReleasersError(StoplogError):
    """The releasers in the settings are invalid."""


class Releasers(msgspec.Struct, frozen=True):
    """The people who may release stops.

    Attributes:
        ring: their names and keys.
        kinds: for those who may not release everything: the kinds of stops that they may release.
        deployment: the name of the deployment that their signatures are for.
        are_asked: whether a release needs a signature. Otherwise the newest record of a name counts, whoever wrote it.
    """

    ring: Keyring
    kinds: Mapping[str, frozenset[RevocationKind]] = {}
    deployment: str = ""
    are_asked: bool = True

    @classmethod
    def of(
        cls,
        releasers: Mapping[str, str],
        *,
        kinds: Mapping[str, Sequence[str]] | None = None,
        deployment: str = "",
        allow_unsigned: bool = False,
    ) -> Releasers:
        """Read the releasers of the settings.

        Args:
            releasers: public keys as text, by the names of their owners. Without any, no release counts, unless
                `allow_unsigned` is set.
            kinds: kinds of stops by the names of releasers; a releaser who is not named may release all of them.
            deployment: see the class.
            allow_unsigned: whether a release needs no signature.

        Raises:
            ReleasersError: a key is invalid, two names have the same key, `kinds` names somebody who isn't a
                releaser or a kind that does not exist, or unsigned releases would count although there are releasers.
        """
        try:
            ring = Keyring.of(releasers, kind="releaser", required=1, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise ReleasersError(str(error)) from None
        read: dict[str, frozenset[RevocationKind]] = {}
        for name, own in (kinds or {}).items():
            if name not in releasers:
                raise ReleasersError(f"`kinds` names `{name}`, who is not among the `releasers`")
            kinds_there = [kind.value for kind in RevocationKind if kind is not RevocationKind.UNKNOWN]
            unknown = sorted(set(own).difference(kinds_there))
            if unknown:
                text = f"`kinds` of `{name}` has the unknown kind `{unknown[0]}`"
                raise ReleasersError(f"{text}; the kinds are {', '.join(kinds_there)}")
            read[name] = frozenset(RevocationKind(kind) for kind in own)
        return cls(ring, read, deployment, not allow_unsigned)

    def releaser_of(self, release: Revocation, appended_ms: int) -> str:
        """Return who has signed a release.

        Args:
            release: a record with the state RELEASED.
            appended_ms: broker time of the record.

        Raises:
            RecordError: no releaser who may release this has signed it, or the signature is for another time or
                deployment.
        """
        what = f"the release of {release.kind.value} `{release.id[:80]}`"
        if not self.ring.keys:
            text = f"{what} does not count: no releaser is configured; name some in the setting `release.releasers`"
            raise _unproven(text)
        if release.proof is None or release.lifts_before is None:
            raise _unproven(f"{what} is not signed; write it with `stoplog release --session ID --key FILE --why TEXT`")
        try:
            names = self.ring.signers(release_message(release, self.deployment), (release.proof,))
        except SignatureError as error:
            raise _unproven(f"{what} {error}") from None
        if not names:
            raise _unproven(f"{what} is signed with a key that is not among those of the setting `release.releasers`")
        (name,) = names
        if release.kind not in self.kinds.get(name, RevocationKind):
            raise _unproven(f"{what} is signed by `{name}`, who may not release that (setting `release.kinds`)")
        if abs(appended_ms - release.effective_at) > RELEASE_AGE_MAX_MS:
            text = f"{what} was signed at {release.effective_at} and written at {appended_ms}"
            raise _unproven(f"{text}, more than {RELEASE_AGE_MAX_MS} ms apart; release again")
        return name


def signed_release(release: Revocation, key: SigningKey, deployment: str) -> Revocation:
    """Return a release with the signature of `key`.

    Args:
        release: states what it lifts (`lifts_before`).
        deployment: see `release_message`.
    """
    value = key.sign(release_message(release, deployment))
    return msgspec.structs.replace(release, proof=Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=value))


def _unproven(text: str) -> RecordError:
    return RecordError(DeadLetterReason.RELEASE_UNPROVEN, text)


ANYBODY = Releasers(Keyring({}), are_asked=False)
"""Accepts every release, so whoever may write the topic decides: for tests, histories and demonstrations."""

NOBODY = Releasers(Keyring({}))
"""Accepts no release."""
