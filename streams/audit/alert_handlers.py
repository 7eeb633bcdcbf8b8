"""Who may handle alerts: acknowledge them, close them, and call them false positives.

**Idea.** Records carry no principal, and what is closed as a false positive makes the watch raise fewer alerts of that
kind. So a status counts only with the signature of a person whom the settings name, for the tenants that this person
handles. The signature covers the time, which must be the broker's within `STATUS_AGE_MAX_MS`: a status that was signed
long ago can't be written again after another one. It also covers the id, by which readers recognise a status that is
written again within that time (`streams.model.alert_status.with_status`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import msgspec

from streams.audit.keyring import Keyring, KeyringError, SignatureError
from streams.audit.signatures import SigningKey
from streams.model.alert_status import (
    AHEAD_MS_MAX,
    ANNOUNCED_CALLS_MAX,
    ANNOUNCED_MS_MAX,
    ANNOUNCED_NAMES_MAX,
    REASON_CHARS_MAX,
    STATUS_AGE_MAX_MS,
    AlertState,
    AlertStatus,
    alert_status_key,
    alert_status_message,
    announcement_key,
    announcement_uid,
)
from streams.model.errors import RecordError, StoplogError
from streams.model.reasons import DeadLetterReason
from streams.model.types import Proof, ProofAlg

DAY_MS = 86_400_000
NAME_CHARS_MAX = 512
"""How long the name of a person, a finding or a session in a status may be, and the title of the alert."""


class AlertHandlersError(StoplogError):
    """The handlers in the settings are invalid."""


class AlertHandlers(msgspec.Struct, frozen=True):
    """The people who handle alerts.

    Attributes:
        ring: their names and keys.
        tenants: for those who may not handle the alerts of every tenant: the tenants whose alerts they may handle.
        deployment: the name of the deployment that their signatures are for.
        are_asked: whether a status needs a signature. Otherwise the newest one of an alert counts, whoever wrote it.
    """

    ring: Keyring
    tenants: Mapping[str, frozenset[str]] = {}
    deployment: str = ""
    are_asked: bool = True

    @classmethod
    def of(
        cls,
        handlers: Mapping[str, str],
        *,
        tenants: Mapping[str, Sequence[str]] | None = None,
        deployment: str = "",
        allow_unsigned: bool = False,
    ) -> AlertHandlers:
        """Read the handlers of the settings.

        Args:
            handlers: public keys as text, by the names of their owners. Without any, no status counts, unless
                `allow_unsigned` is set.
            tenants: tenants by the names of handlers; a handler who is not named may handle the alerts of all.
            deployment: see the class.
            allow_unsigned: whether a status needs no signature.

        Raises:
            AlertHandlersError: a key is invalid, two names have the same key, `tenants` names somebody who isn't a
                handler, or unsigned records would count although there are handlers.
        """
        try:
            ring = Keyring.of(handlers, kind="handler", required=1, allow_unsigned=allow_unsigned)
        except KeyringError as error:
            raise AlertHandlersError(str(error)) from None
        stranger = next((name for name in tenants or {} if name not in handlers), None)
        if stranger is not None:
            raise AlertHandlersError(f"`tenants` names `{stranger}`, who is not among the `handlers`")
        return cls(
            ring, {name: frozenset(own) for name, own in (tenants or {}).items()}, deployment, not allow_unsigned
        )

    def check(self, status: AlertStatus, key: bytes | None, appended_ms: int) -> str | None:
        """Return who has signed a status that counts; None if no signature is needed.

        Whoever reads statuses asks here, so that a status counts for all of them or for none.

        Args:
            status: the status.
            key: the key of its record.
            appended_ms: broker time of the record.

        Raises:
            RecordError: its key is that of another alert, a text is too long, its state is not known, nobody who may
                handle the alert has signed it, or its time is not the broker's.
        """
        _check_form(status, key)
        tenant_uid = status.header.tenant_uid
        is_announcement = status.announced is not None
        what = f"the {'announcement' if is_announcement else 'status of alert'} `{status.finding_uid[:80]}`"
        if abs(appended_ms - status.header.time) > STATUS_AGE_MAX_MS:
            text = f"{what} was made at {status.header.time} and written at {appended_ms}"
            raise _unproven(f"{text}, more than {STATUS_AGE_MAX_MS} ms apart; write it again")
        if not self.are_asked:
            return None
        if not self.ring.keys:
            raise _unproven(f"{what} does not count: no handler is configured; name some in `alerts.handlers`")
        if status.proof is None:
            how = "`--key FILE`" if is_announcement else "`stoplog alerts ack ID --key FILE`, and `close` likewise"
            raise _unproven(f"{what} is not signed; sign with {how}")
        try:
            names = self.ring.signers(alert_status_message(status, self.deployment), (status.proof,))
        except SignatureError as error:
            raise _unproven(f"{what} {error}") from None
        if not names:
            raise _unproven(f"{what} is signed with a key that is not among those of the setting `alerts.handlers`")
        (name,) = names
        if name in self.tenants and tenant_uid not in self.tenants[name]:
            text = f"{what} is signed by `{name}`, who may not handle alerts of tenant `{tenant_uid[:80]}`"
            raise _unproven(f"{text} (setting `alerts.tenants`)")
        return name


def signed_status(status: AlertStatus, key: SigningKey, deployment: str) -> AlertStatus:
    """Return a status with the signature of `key`.

    Args:
        deployment: see `alert_status_message`.
    """
    value = key.sign(alert_status_message(status, deployment))
    return msgspec.structs.replace(status, proof=Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=value))


def _check_form(status: AlertStatus, key: bytes | None) -> None:
    tenant_uid = status.header.tenant_uid
    if key != alert_status_key(tenant_uid, status.finding_uid):
        text = f"the key is not that of alert `{status.finding_uid[:80]}` of tenant `{tenant_uid[:80]}`"
        raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
    names = (status.by_user, status.finding_uid, status.session_id or "", status.title)
    if len(status.reason) > REASON_CHARS_MAX or any(len(name) > NAME_CHARS_MAX for name in names):
        raise RecordError(DeadLetterReason.RECORD_INVALID, "a name or the reason of a status is too long")
    if status.status is AlertState.UNKNOWN:
        raise RecordError(DeadLetterReason.RECORD_INVALID, f"the status `{status.status}` is not known")
    if status.announced is not None or status.status is AlertState.ANNOUNCED:
        _check_announced(status)


def _check_announced(status: AlertStatus) -> None:
    """Raises:
    RecordError: an announcement is not one, or is not within its bounds.
    """
    it, tenant_uid = status.announced, status.header.tenant_uid
    if it is None or status.status not in (AlertState.ANNOUNCED, AlertState.RESOLVED):
        raise _unbounded("what is announced, and that it is announced or withdrawn, belong together")
    if status.dedup_key != announcement_key(tenant_uid, it.agent):
        raise _unbounded("its key is not that of its agent")
    is_new = status.status is AlertState.ANNOUNCED
    made_id = status.header.id if is_new else status.finding_uid
    if status.finding_uid != announcement_uid(made_id, tenant_uid, it.agent):
        raise _unbounded(f"its id is not that of an announcement about agent `{it.agent[:80]}`")
    if not it.agent or not it.tools or not all((*it.tools, *it.destinations)):
        raise _unbounded("it names no agent or no tool, or one without a name")
    if any(len(name) > NAME_CHARS_MAX for name in (it.agent, *it.tools, *it.destinations)):
        raise _unbounded(f"a name has more than {NAME_CHARS_MAX} characters")
    if max(len(it.tools), len(it.destinations)) > ANNOUNCED_NAMES_MAX:
        raise _unbounded(f"it names more than {ANNOUNCED_NAMES_MAX} tools or destinations")
    if not 0 < it.calls_max <= ANNOUNCED_CALLS_MAX:
        raise _unbounded(f"it is about {it.calls_max} calls: 1 to {ANNOUNCED_CALLS_MAX} can be announced")
    if it.amount_max is not None and not 0 < it.amount_max < inf:
        raise _unbounded(f"`{it.amount_max}` is not an amount")
    takes_ms = it.until_time - it.from_time
    if not 0 < takes_ms <= ANNOUNCED_MS_MAX:
        is_long = takes_ms > 0
        raise _unbounded(
            f"it takes more than {ANNOUNCED_MS_MAX // DAY_MS} days" if is_long else "it ends before it begins"
        )
    if is_new and (it.from_time < status.header.time - STATUS_AGE_MAX_MS or it.until_time <= status.header.time):
        raise _unbounded("it begins or ends in the past; what has been judged stays judged")
    if it.from_time > status.header.time + AHEAD_MS_MAX:
        raise _unbounded(f"it begins more than {AHEAD_MS_MAX // DAY_MS} days from now")


def _unbounded(text: str) -> RecordError:
    return RecordError(DeadLetterReason.RECORD_INVALID, f"the announcement does not count: {text}")


def _unproven(text: str) -> RecordError:
    return RecordError(DeadLetterReason.ALERT_STATUS_UNPROVEN, text)


ANYBODY = AlertHandlers(Keyring({}), are_asked=False)
"""Counts every status, so whoever may write the topic decides: for tests, histories and demonstrations."""

NOBODY = AlertHandlers(Keyring({}))
"""Counts no status."""
