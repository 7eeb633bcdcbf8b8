"""Finds out whether what a session said and did was erased, for commands that show it from topics with plain text.

An erasure destroys the keys of captured content. For some days, calls are also on topics in plain text, which nobody
can change. So commands go by the order: what was erased is not shown again, wherever it still is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import NamedTuple

from streams.audit.content_officers import ContentOfficers
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.content import ContentField, key_name
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT, CONTENT_ORDER
from streams.operations.contents.orders import GivenOrder, read_orders
from streams.operations.topics.decoded import Decoder, records_of_key
from streams.operations.topics.lookup import Owner
from streams.ports import Clock
from streams.ports.open_log import Log


class SessionErasure(NamedTuple):
    """What was erased of a session.

    Attributes:
        tenant_uid, session_id: the session.
        erasures: the orders that count, by the names of the keys that they destroy.
        newest: the newest order that names a key of the session.
        kids: by intent, the id of the key that its captured arguments are under.
    """

    tenant_uid: str
    session_id: str
    erasures: Mapping[str, GivenOrder]
    newest: GivenOrder
    kids: Mapping[str, str]

    def of_call(self, intent_id: str, judged_ms: int) -> GivenOrder | None:
        """Return the order that has erased a call; None if none has.

        Where its arguments were captured, their key decides. Where they were not, the session was erased with all that
        it had done by then.

        Args:
            intent_id: the call.
            judged_ms: when a gate first decided it, ms of broker time: a call may be held while it is erased.
        """
        kid = self.kids.get(intent_id)
        if kid is not None:
            return self.erasures.get(key_name(self.tenant_uid, self.session_id, kid))
        return self.newest if judged_ms <= self.newest.order.header.time else None


def captured_of(event: AuditEvent) -> tuple[str, str] | None:
    """Return the event and the field that the content of an audit record belongs to; None if it has none."""
    if event.sensitive is None:
        return None
    if event.event_type is AuditEventType.VERDICT:
        return event.intent_id or "", ContentField.ARGUMENTS
    return event.parent_event_id or "", event.reason or ""


def erasure_text(given: GivenOrder) -> str:
    """Return an erasure in words."""
    from streams.codec.instants import instant_text  # noqa: PLC0415 - only what is erased needs it

    order = given.order
    by = given.signer or order.ordered_by
    doubt = "" if given.fault is None else f" (the order does not count: {given.fault})"
    return f"erased on {instant_text(order.header.time)} by {by}: {order.reason}{doubt}"


def erasure_of_session(
    erasures: Mapping[str, GivenOrder], tenant_uid: str, session_id: str, kids: Mapping[str, str]
) -> SessionErasure | None:
    """Return what was erased of a session; None if nothing was.

    Args:
        erasures: orders of erasure, by the names of the keys that they destroy (`Orders.erasures`).
        kids: see `SessionErasure`.
    """
    own = key_name(tenant_uid, session_id, "")
    # The name of a session may begin that of another one (`night`, `night/2`), and so may those of their keys. Ids of
    # keys have no slash, except for those that somebody else than stoplog has chosen.
    known = {f"{own}{kid}" for kid in kids.values()}
    found = {
        name: given
        for name, given in erasures.items()
        if given.fault is None and name.startswith(own) and ("/" not in name[len(own) :] or name in known)
    }
    if not found:
        return None
    newest = max(found.values(), key=lambda given: given.order.header.time)
    return SessionErasure(tenant_uid, session_id, found, newest, kids)


def read_erasure(
    log: Log, decoder: Decoder, clock: Clock, officers: ContentOfficers, tenant_uid: str, session_id: str
) -> SessionErasure | None:
    """Return what was erased of a session; None if nothing was, or if this client may not read the orders. Blocking.

    Args:
        officers: whose orders count.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    name = CONTENT_ORDER.name
    with closing(log.admin()) as admin:
        if name in admin.hidden((name,)) or name not in admin.describe((name,), ()):
            return None
    erasures = read_orders(log, decoder, clock, officers).erasures
    own = key_name(tenant_uid, session_id, "")
    if not any(name.startswith(own) for name in erasures):
        return None
    kids = _kids(log, decoder, clock, tenant_uid, session_id)
    return erasure_of_session(erasures, tenant_uid, session_id, kids)


def read_erasure_of_call(
    log: Log, decoder: Decoder, clock: Clock, officers: ContentOfficers, owner: Owner, judged_ms: int
) -> GivenOrder | None:
    """Return the order that has erased a call; None if none has, or if this client may not read the orders. Blocking.

    Args:
        officers: whose orders count.
        owner: the intent and its session.
        judged_ms: when a gate first decided it, ms of broker time.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    erasure = read_erasure(log, decoder, clock, officers, owner.tenant_uid, owner.session_id)
    return None if erasure is None else erasure.of_call(owner.intent_id or "", judged_ms)


def _kids(log: Log, decoder: Decoder, clock: Clock, tenant_uid: str, session_id: str) -> dict[str, str]:
    """Return the ids of the keys of a session's captured arguments, by intent."""
    found = {}
    for _, record in records_of_key(log, decoder, clock, (AUDIT,), session_key_of(tenant_uid, session_id)):
        place = captured_of(record) if isinstance(record, AuditEvent) else None
        if isinstance(record, AuditEvent) and record.sensitive is not None and place is not None:
            owner_id, field = place
            if field == ContentField.ARGUMENTS:
                found[owner_id] = record.sensitive.kid
    return found
