"""What people announce of agents, so that the watch raises no alert about it: writes, finds and withdraws it.

An announcement is a record of `ALERT_STATUS`, signed by somebody who may handle alerts: whoever may say that an alert
was false may say so beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.audit.alert_handlers import signed_status
from streams.audit.signatures import SigningKey
from streams.model.alert_status import (
    REASON_CHARS_MAX,
    AlertState,
    AlertStatus,
    Announced,
    alert_status_key,
    announcement_key,
    with_status,
)
from streams.model.errors import RecordError
from streams.model.topics import ALERT_STATUS
from streams.operations.alert_handling import NAMED_MAX, AlertHandlingError, ReasonFormError
from streams.operations.operator import Operator
from streams.operations.topics.reader import hidden_topics


class Announcement(NamedTuple):
    """What is announced, and who has announced it.

    Attributes:
        uid: its id.
        signer: who has signed it; None if it is not signed.
    """

    uid: str
    tenant_uid: str
    announced: Announced
    by_user: str
    reason: str
    signer: str | None = None


def write_announcements(
    operator: Operator, announced: Sequence[tuple[str, Announced]], why: str, key: SigningKey | None
) -> list[Announcement]:
    """Store what is announced; it is on the log when this returns, and with the watch some hundred milliseconds later.

    Args:
        operator: the person.
        announced: what is announced, each with the tenant of its agent.
        why: the reason, which is recorded.
        key: the key of a handler; None where nobody is asked for a signature.

    Raises:
        AlertHandlingError: it would not count; nothing is stored.
        PublishError, LogError: it is not known whether all of it is stored.
    """
    made = [_status(operator, tenant_uid, it, AlertState.ANNOUNCED, why) for tenant_uid, it in announced]
    return _written(operator, made, key)


def withdraw_announcement(
    operator: Operator, announcement: Announcement, why: str, key: SigningKey | None
) -> Announcement:
    """Store that an announcement has ended. Likewise."""
    uid, it = announcement.uid, announcement.announced
    status = _status(operator, announcement.tenant_uid, it, AlertState.RESOLVED, why)
    (written,) = _written(operator, [msgspec.structs.replace(status, finding_uid=uid)], key)
    return written


def read_announcements(operator: Operator) -> list[Announcement] | None:
    """Return what is announced and neither over nor withdrawn, in the order of its end; None if this client may not
    read it. Blocking.

    Raises:
        SettingsError: the handlers in the settings are invalid.
        TopicReadError, LogError: the topic can't be read.
    """
    if hidden_topics(operator.log, (ALERT_STATUS.name,)):
        return None
    handlers, now_ms = operator.deployment.alerts.trusted(), operator.clock.now_ms()
    found: dict[tuple[str, str], Announcement | None] = {}
    said: dict[tuple[str, str], tuple[str, ...]] = {}
    for received, record in operator.find(ALERT_STATUS):
        if not isinstance(record, AlertStatus) or record.announced is None:
            continue
        try:
            signer = handlers.check(record, received.key, received.timestamp_ms)
        except RecordError:
            continue
        named = (record.header.tenant_uid, record.finding_uid)
        ids = with_status(said.get(named, ()), record.header.id)
        if ids is None:
            continue
        said[named] = ids
        is_open = record.status is AlertState.ANNOUNCED and record.announced.until_time > now_ms
        found[named] = _announcement(record, record.announced, signer) if is_open else None
    lasting = [each for each in found.values() if each is not None]
    return sorted(lasting, key=lambda each: (each.announced.until_time, each.uid))


def find_announcement(known: Sequence[Announcement], stated: str) -> Announcement:
    """Return the announcement that is meant.

    Args:
        known: those that are neither over nor withdrawn.
        stated: its id, or the beginning of it.

    Raises:
        AlertHandlingError: none has such an id, or several have.
    """
    meant = [each for each in known if stated and each.uid.startswith(stated)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        several = f"{len(meant)} announcements have ids that begin with `{stated}`"
        named = ", ".join(sorted(each.uid for each in meant)[:NAMED_MAX])
        raise AlertHandlingError(f"{several}; give more of it: {named}")
    raise AlertHandlingError(f"nothing that is announced has id `{stated}`; see `stoplog behaviour announced`")


def _status(operator: Operator, tenant_uid: str, it: Announced, state: AlertState, why: str) -> AlertStatus:
    if not why.strip() or len(why) > REASON_CHARS_MAX:
        raise ReasonFormError(f"say why in 1 to {REASON_CHARS_MAX} characters (`--why`)")
    header = msgspec.structs.replace(operator.header(), tenant_uid=tenant_uid)
    return AlertStatus(
        header=header,
        finding_uid=header.id,
        status=state,
        dedup_key=announcement_key(tenant_uid, it.agent),
        by_user=operator.name,
        reason=why,
        announced=it,
    )


def _written(operator: Operator, statuses: Sequence[AlertStatus], key: SigningKey | None) -> list[Announcement]:
    section, handlers = operator.deployment.alerts, operator.deployment.alerts.trusted()
    written, records = [], []
    for each in statuses:
        status = each if key is None else signed_status(each, key, section.deployment)
        record_key = alert_status_key(status.header.tenant_uid, status.finding_uid)
        try:
            signer = handlers.check(status, record_key, status.header.time)
        except RecordError as error:
            raise AlertHandlingError(f"nothing is stored: {error}") from None
        if status.announced is not None:
            written.append(_announcement(status, status.announced, signer))
        records.append((record_key, status, status.header))
    operator.write(ALERT_STATUS, records)
    return written


def _announcement(status: AlertStatus, it: Announced, signer: str | None) -> Announcement:
    return Announcement(status.finding_uid, status.header.tenant_uid, it, status.by_user, status.reason, signer)
