"""What people announce of agents, so that the watch raises no alert about it: writes, finds and withdraws it.

An announcement is a record of `ALERT_STATUS`, signed by somebody who may handle alerts: whoever may say that an alert
was false may say so beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.audit.signatures import SigningKey
from streams.model.alert_status import (
    ANNOUNCED_OPEN_MAX,
    AlertState,
    AlertStatus,
    Announced,
    announcement_key,
    announcement_uid,
)
from streams.model.errors import StoplogError
from streams.model.topics import ALERT_STATUS
from streams.operations.alert_handling import (
    NAMED_MAX,
    AlertHandlingError,
    CountedStatuses,
    checked_reason,
    only_meant,
    sign_and_store,
)
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
        AlertHandlingError: it would not count, or too much is announced of an agent; nothing is stored.
        PublishError, LogError: it is not known whether all of it is stored.
    """
    _check_room(read_announcements(operator) or (), announced)
    made = [_status(operator, tenant_uid, it, AlertState.ANNOUNCED, why) for tenant_uid, it in announced]
    return _stored(operator, made, key)


def withdraw_announcement(
    operator: Operator, announcement: Announcement, why: str, key: SigningKey | None
) -> Announcement:
    """Store that an announcement has ended. Likewise."""
    it = announcement.announced
    status = _status(operator, announcement.tenant_uid, it, AlertState.RESOLVED, why, announcement.uid)
    (written,) = _stored(operator, [status], key)
    return written


class AnnouncementsHiddenError(StoplogError):
    """Access control hides what is announced from this client."""


def known_announcements(operator: Operator) -> list[Announcement]:
    """Return what `read_announcements` returns. Blocking.

    Raises:
        AnnouncementsHiddenError: this client may not read it.
        SettingsError, TopicReadError, LogError: see `read_announcements`.
    """
    known = read_announcements(operator)
    if known is None:
        raise AnnouncementsHiddenError(
            f"what is announced can't be read: access control hides `{ALERT_STATUS.name}` from this client"
        )
    return known


def read_announcements(operator: Operator) -> list[Announcement] | None:
    """Return what is announced and neither over nor withdrawn, in the order of its end; None if this client may not
    read it. Blocking.

    Raises:
        SettingsError: the handlers in the settings are invalid.
        TopicReadError, LogError: the topic can't be read.
    """
    if hidden_topics(operator.log, (ALERT_STATUS.name,)):
        return None
    now_ms = operator.clock.now_ms()
    found: dict[tuple[str, str], Announcement | None] = {}
    for _, record, signer in CountedStatuses(operator, announced_only=True):
        if (it := record.announced) is not None:
            is_open = record.status is AlertState.ANNOUNCED and it.until_time > now_ms
            named = (record.header.tenant_uid, record.finding_uid)
            found[named] = _announcement(record, it, signer) if is_open else None
    lasting = [each for each in found.values() if each is not None]
    return sorted(lasting, key=lambda each: (each.announced.until_time, each.uid))


def find_announcement(known: Sequence[Announcement], stated: str) -> Announcement:
    """Return the announcement that is meant.

    Args:
        known: those that are neither over nor withdrawn.
        stated: its id, or the beginning of it. The tenant may stand before it (`tenant|ID`): an id ends with digits of
            the agent and its tenant, but somebody may search for the name of an agent with the digits of another.

    Raises:
        AlertHandlingError: none has such an id, or several have.
    """
    tenant_uid, separator, uid = stated.rpartition("|")
    its = [(each.uid, each) for each in known if not separator or each.tenant_uid == tenant_uid]
    same = [each for its_uid, each in its if its_uid == uid]
    if len(same) > 1:
        named = ", ".join(f"`{each.tenant_uid}|{uid}`" for each in same[:NAMED_MAX])
        raise AlertHandlingError(f"{len(same)} tenants have an announcement with id `{uid}`; name one of them: {named}")
    meant = only_meant(its, uid, "announcements")
    if meant is None:
        raise AlertHandlingError(f"nothing that is announced has id `{stated}`; see `stoplog behaviour announced`")
    return meant


def _check_room(known: Sequence[Announcement], announced: Sequence[tuple[str, Announced]]) -> None:
    """Raises:
    AlertHandlingError: more is announced of an agent than may be open at a time.
    """
    agents = [(each.tenant_uid, each.announced.agent) for each in known]
    agents += [(tenant_uid, it.agent) for tenant_uid, it in announced]
    for (_, agent), number in Counter(agents).items():
        if number > ANNOUNCED_OPEN_MAX:
            text = f"nothing is stored: at most {ANNOUNCED_OPEN_MAX} announcements about `{agent}` can be open"
            raise AlertHandlingError(f"{text}; see `stoplog behaviour announced`, and withdraw what is done")


def _status(
    operator: Operator, tenant_uid: str, it: Announced, state: AlertState, why: str, uid: str = ""
) -> AlertStatus:
    """Return a status of an announcement; without a `uid`, of a new one."""
    header = msgspec.structs.replace(operator.header(), tenant_uid=tenant_uid)
    return AlertStatus(
        header=header,
        finding_uid=uid or announcement_uid(header.id, tenant_uid, it.agent),
        status=state,
        dedup_key=announcement_key(tenant_uid, it.agent),
        by_user=operator.name,
        reason=checked_reason(why),
        announced=it,
    )


def _stored(operator: Operator, statuses: Sequence[AlertStatus], key: SigningKey | None) -> list[Announcement]:
    stored = sign_and_store(operator, statuses, key)
    return [
        _announcement(status, status.announced, signer) for status, signer in stored if status.announced is not None
    ]


def _announcement(status: AlertStatus, it: Announced, signer: str | None) -> Announcement:
    return Announcement(status.finding_uid, status.header.tenant_uid, it, status.by_user, status.reason, signer)
