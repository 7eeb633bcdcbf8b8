"""Reads and writes orders about captured content: legal holds, their end, and erasures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.audit.content_officers import ContentOfficers, OfficersError, signed_order
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEvent, AuditEventType, RetentionClass
from streams.model.content import (
    CONTENT_ERASED,
    HOLD_LIFTED,
    HOLD_SET,
    REASON_CHARS_MAX,
    ContentKey,
    ContentOrder,
    ContentScope,
    OrderKind,
    order_key,
)
from streams.model.errors import StoplogError
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT_REPORTED, CONTENT_ORDER
from streams.model.types import Actor
from streams.operations.operator import Operator
from streams.operations.topics.decoded import Decoder, decoded
from streams.operations.topics.reader import read_to_end
from streams.ports import Clock
from streams.ports.open_log import Log

_REASONS = {
    OrderKind.HOLD: HOLD_SET,
    OrderKind.LIFT: HOLD_LIFTED,
    OrderKind.ERASURE: CONTENT_ERASED,
}


class OrderError(StoplogError):
    """An order can't be given: the message says why, and what to do."""


class Target(NamedTuple):
    """Whose content an order is about.

    Attributes:
        id: the session or the subject; of a whole tenant, the tenant.
    """

    scope: ContentScope
    tenant_uid: str
    id: str

    def holds(self, key: ContentKey) -> bool:
        """Return whether content under a key is meant. An unknown scope means everything of the tenant."""
        if key.header.tenant_uid != self.tenant_uid:
            return False
        if self.scope is ContentScope.SESSION:
            return key.session_id == self.id
        return self.scope is not ContentScope.SUBJECT or key.sub == self.id

    def has_namesake_in(self, key: ContentKey) -> bool:
        """Return whether a key is of a session or subject with this name, but of another tenant."""
        tenant_uid = key.header.tenant_uid
        is_named = self.scope in (ContentScope.SESSION, ContentScope.SUBJECT)
        return is_named and tenant_uid != self.tenant_uid and self._replace(tenant_uid=tenant_uid).holds(key)

    def __str__(self) -> str:
        if self.scope is ContentScope.TENANT:
            return f"tenant {self.tenant_uid}"
        return f"{self.scope.value.lower()} {self.tenant_uid}|{self.id}"


class GivenOrder(NamedTuple):
    """An order as it stands on its topic.

    Attributes:
        signer: the officer who has signed it; None if none has.
        fault: why its signature does not count; None if it does, or none is needed.
    """

    order: ContentOrder
    signer: str | None
    fault: str | None

    @property
    def target(self) -> Target:
        """Return whose content it is about."""
        return Target(self.order.scope, self.order.header.tenant_uid, self.order.id)


class Orders(NamedTuple):
    """All orders.

    Attributes:
        holds: the holds in force.
        erasures: by the names of the keys that they destroy (`key_name`).
        unreadable_count: of how many record keys there are orders that can't be read: each could be a hold.
    """

    holds: tuple[GivenOrder, ...]
    erasures: Mapping[str, GivenOrder]
    unreadable_count: int = 0

    def hold_on(self, key: ContentKey) -> GivenOrder | None:
        """Return a hold that keeps the content under a key; None if there is none."""
        return next((hold for hold in self.holds if hold.target.holds(key)), None)

    def destroys(self, name: str) -> bool:
        """Return whether an order that counts destroys the key of a name (`key_name`)."""
        order = self.erasures.get(name)
        return order is not None and order.fault is None


def read_orders(log: Log, decoder: Decoder, clock: Clock, officers: ContentOfficers) -> Orders:
    """Return the orders on the log. Blocking.

    INVARIANT: what can't be read or understood keeps content, until an officer gives an order of the same record key.
    The end of a hold that no officer has signed ends nothing, and one that is written again ends nothing a second time.
    An order that doesn't count takes no other's place.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    holds: dict[bytes, GivenOrder] = {}
    erasures: dict[str, GivenOrder] = {}
    unreadable: set[bytes | None] = set()
    counted: set[str] = set()
    for received in read_to_end(log, (CONTENT_ORDER.name,), clock):
        record = decoded(decoder, received)
        if not isinstance(record, ContentOrder):
            # A tombstone deletes nothing here.
            if received.value is not None:
                unreadable.add(received.key)
            continue
        given = _checked(record, officers)
        name = order_key(record)
        is_new = given.fault is None and record.header.id not in counted
        if record.kind is OrderKind.ERASURE:
            for kid in record.kids:
                if given.fault is None or kid not in erasures:
                    erasures[kid] = given
        elif record.kind is not OrderKind.LIFT:
            if given.fault is None or name not in holds:
                holds[name] = given
        elif is_new:
            holds.pop(name, None)
        if is_new:
            counted.add(record.header.id)
            if received.key == name:
                unreadable.discard(name)
    return Orders(tuple(holds.values()), erasures, len(unreadable))


def set_hold(operator: Operator, target: Target, why: str, key: SigningKey | None) -> ContentOrder:
    """Order that content is kept; the order and its audit record are on the log when this returns.

    Raises:
        OrderError: the order would not count.
        PublishError, LogError: it is not known whether it is stored.
    """
    order = made_order(operator, OrderKind.HOLD, target, why, key)
    write_order(operator, order)
    return order


def lift_hold(operator: Operator, target: Target, why: str, key: SigningKey | None) -> ContentOrder:
    """End a hold; the order and its audit record are on the log when this returns.

    Raises:
        OrderError: there is no such hold, or the order would not count.
        PublishError, TopicReadError, LogError: the topic can't be read, or it is not known whether it is stored.
    """
    officers = operator.deployment.content.trusted()
    holds = read_orders(operator.log, operator.codec, operator.clock, officers).holds
    if all(hold.target != target for hold in holds):
        raise OrderError(f"there is no hold on {target}; `stoplog audit hold list` shows those in force")
    order = made_order(operator, OrderKind.LIFT, target, why, key)
    write_order(operator, order)
    return order


def check_reason(why: str) -> None:
    """Check the reason that somebody gives.

    Raises:
        OrderError: there is none, or it is too long.
    """
    if not why.strip() or len(why) > REASON_CHARS_MAX:
        raise OrderError(f"say why in 1 to {REASON_CHARS_MAX} characters (`--why`)")


def made_order(
    operator: Operator, kind: OrderKind, target: Target, why: str, key: SigningKey | None, kids: Iterable[str] = ()
) -> ContentOrder:
    """Return an order that counts.

    Args:
        key: the key of an officer; None where orders need no signature.
        kids: the keys that an erasure destroys (`key_name`).

    Raises:
        OrderError: it would not count.
    """
    check_reason(why)
    section = operator.deployment.content
    order = ContentOrder(
        header=operator.header(target.tenant_uid),
        kind=kind,
        scope=target.scope,
        id=target.id,
        reason=why,
        ordered_by=operator.name,
        kids=tuple(kids),
    )
    if key is not None:
        order = signed_order(order, key, section.deployment)
    try:
        section.trusted().signer_of(order)
    except OfficersError as error:
        raise OrderError(f"the order would not count: {error}") from None
    return order


def write_order(operator: Operator, order: ContentOrder) -> None:
    """Store an order, and then its audit record. Blocking.

    Raises:
        PublishError, LogError: it is not known whether both are stored.
    """
    operator.write(CONTENT_ORDER, [(order_key(order), order, order.header)])
    session_id = order.id if order.scope is ContentScope.SESSION else ""
    text = f"{order.scope.value.lower()} {order.id}: {order.reason}"
    event = content_audit(operator, order.header.tenant_uid, session_id, reason=_REASONS[order.kind], text=text)
    operator.write(AUDIT_REPORTED, [(session_key_of(event.header.tenant_uid, session_id), event, event.header)])


def content_audit(
    operator: Operator,
    tenant_uid: str,
    session_id: str,
    *,
    reason: str,
    text: str,
    intent_id: str | None = None,
    inputs: Iterable[str] = (),
) -> AuditEvent:
    """Return the audit record of what a person does with captured content.

    Args:
        session_id: the session that it is about; empty if it is about more than one.
        reason: the code of what is done (`streams.model.content`).
        text: the reason that the person gives.
        intent_id: the intent that it is about, if it is about one.
        inputs: the ids of the events whose content it is about.
    """
    return AuditEvent(
        header=operator.header(tenant_uid),
        event_type=AuditEventType.CONTENT,
        session_id=session_id,
        intent_id=intent_id,
        act=Actor(iss="", sub=operator.name),
        inputs=tuple(inputs),
        reason=reason,
        reason_text=text,
        # Who has read or erased something is asked long after single calls are forgotten.
        retention_class=RetentionClass.LONG,
    )


def _checked(order: ContentOrder, officers: ContentOfficers) -> GivenOrder:
    try:
        return GivenOrder(order, officers.signer_of(order), None)
    except OfficersError as error:
        return GivenOrder(order, None, str(error))
