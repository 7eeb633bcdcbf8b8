"""Erases captured content: destroys the keys that open it, after the signed record of that is on the log.

The ciphertexts stay where they are, so that the proof of the log holds. The result states what the erasure does not
reach (`docs/adr/0075-sealed-content.md`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from streams.audit.signatures import SigningKey
from streams.model.audit import RetentionClass
from streams.model.content import KIDS_PER_ORDER_MAX, ContentKey, ContentScope, OrderKind, key_name
from streams.model.keys import session_key_of
from streams.model.topics import CONTENT_KEY, CONTENT_ORDER, TOPICS
from streams.operations.contents.orders import (
    GivenOrder,
    OrderError,
    Orders,
    Target,
    made_order,
    read_orders,
    write_order,
)
from streams.operations.operator import Operator
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import partitions_of, places_of_key, read_places_in_order
from streams.ports import TopicPartition

DAY_MS = 86_400_000
TOMBSTONES_AT_ONCE = 500

_BROKERS_LOOK_MS = 600_000
"""Within what time brokers notice that something is due, and remove the file: six minutes by default."""


class FoundKey(NamedTuple):
    """A key as it lies on its topic.

    Attributes:
        place: where.
        name: the key of its record.
    """

    place: TopicPartition
    name: bytes
    key: ContentKey

    @property
    def ordered_name(self) -> str:
        """Return how an order names it."""
        return key_name(self.key.header.tenant_uid, self.key.session_id, self.key.key.kid)


class HeldKey(NamedTuple):
    """A key that a legal hold keeps."""

    found: FoundKey
    hold: GivenOrder


class Plan(NamedTuple):
    """What would be erased.

    Attributes:
        target: whose content it is.
        keys: the keys that would be destroyed.
        held: those that legal holds keep.
        namesakes: the other tenants that have a session or a subject of this name, if this one has neither: perhaps one
            of them was meant.
    """

    target: Target
    keys: tuple[FoundKey, ...]
    held: tuple[HeldKey, ...]
    namesakes: tuple[str, ...] = ()

    @property
    def sessions(self) -> Mapping[tuple[str, str | None], int]:
        """Return how many keys there are of each session, with its subject."""
        return Counter((found.key.session_id, found.key.sub) for found in self.keys)


class Erasure(NamedTuple):
    """What was erased.

    Attributes:
        order_ids: the ids of the signed orders.
        keys_count: how many keys were destroyed.
        complete_ms: from when on nothing of what was erased is left on the log (see `Topic.gone_after_ms`).
    """

    order_ids: tuple[str, ...]
    keys_count: int
    complete_ms: int


def read_keys(operator: Operator, session_key: bytes | None = None) -> Iterator[FoundKey]:
    """Yield the keys that are on their topic, without those that were destroyed. Blocking.

    Args:
        session_key: the session whose partition is read; None reads all of them.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    names = (CONTENT_KEY.name,)
    places = (
        partitions_of(operator.log, names) if session_key is None else places_of_key(operator.log, names, session_key)
    )
    newest: dict[tuple[TopicPartition, bytes], ContentKey] = {}
    for received in read_places_in_order(operator.log, places, operator.clock):
        if received.key is None:
            continue
        name = (TopicPartition(received.topic, received.partition), received.key)
        record = decoded(operator.codec, received)
        if isinstance(record, ContentKey):
            newest[name] = record
        elif received.value is None:
            newest.pop(name, None)
    yield from (FoundKey(place, name, key) for (place, name), key in newest.items())


def plan_erasure(operator: Operator, target: Target) -> Plan:
    """Return what an erasure would destroy, and what holds keep. Blocking.

    Raises:
        OrderError: there is an order that can't be read.
        TopicReadError, LogError: a topic can't be read.
    """
    meant: list[FoundKey] = []
    namesakes: set[str] = set()
    for found in read_keys(operator):
        if target.holds(found.key):
            meant.append(found)
        elif target.has_namesake_in(found.key):
            namesakes.add(found.key.header.tenant_uid)
    plan = _plan(target, meant, orders_of(operator))
    return plan if meant else plan._replace(namesakes=tuple(sorted(namesakes)))


def plan_expired(operator: Operator, tenant_uid: str, days: Mapping[RetentionClass, int | None]) -> Plan:
    """Return what is older than its retention class allows. Blocking.

    Args:
        tenant_uid: whose content.
        days: how long content of each class is kept; None or no entry: for good.

    Raises:
        OrderError: there is an order that can't be read.
        TopicReadError, LogError: a topic can't be read.
    """
    now_ms, target = operator.clock.now_ms(), Target(ContentScope.TENANT, tenant_uid, tenant_uid)
    meant = []
    for found in read_keys(operator):
        key, kept_days = found.key, days.get(found.key.retention_class)
        if kept_days is not None and target.holds(key) and key.header.time + kept_days * DAY_MS <= now_ms:
            meant.append(found)
    return _plan(target, meant, orders_of(operator))


def erase(operator: Operator, plan: Plan, why: str, key: SigningKey | None) -> Erasure:
    """Carry out a plan: the signed orders are on the log before the first key is destroyed. Blocking.

    If it ends before its end, repeat it: what is left is found again. Holds are looked for again before each order and
    after it, because a plan can be old. A hold that comes later than that is too late.

    Args:
        why: the reason, which is recorded.
        key: the key of an officer; None where orders need no signature.

    Raises:
        OrderError: the order would not count, or there is a hold now that the plan does not know.
        PublishError, TopicReadError, LogError: it is not known whether all is stored.
    """
    batches = [plan.keys[at : at + KIDS_PER_ORDER_MAX] for at in range(0, len(plan.keys), KIDS_PER_ORDER_MAX)]
    orders = [
        made_order(operator, OrderKind.ERASURE, plan.target, why, key, (found.ordered_name for found in batch))
        for batch in batches
    ]
    for order, batch in zip(orders, batches, strict=True):
        _check_holds(operator, batch)
        write_order(operator, order)
        _check_holds(operator, batch)
        destroy(operator, batch)
    gone_after_ms = max(topic.gone_after_ms or 0 for topic in TOPICS if topic.outlives_erasure)
    complete_ms = operator.clock.now_ms() + gone_after_ms + _BROKERS_LOOK_MS
    return Erasure(tuple(order.header.id for order in orders), len(plan.keys), complete_ms)


def _check_holds(operator: Operator, keys: Sequence[FoundKey]) -> None:
    """Check that no hold keeps one of these keys now.

    Raises:
        OrderError: there is one, or an order that can't be read.
        TopicReadError, LogError: the topic can't be read.
    """
    orders = orders_of(operator)
    for found in keys:
        hold = orders.hold_on(found.key)
        if hold is not None:
            text = f"{hold.target} was put under legal hold meanwhile ({hold.order.reason[:80]})"
            raise OrderError(f"{text}; its keys were not destroyed. Look again with `--dry-run`")


def destroy(operator: Operator, keys: Sequence[FoundKey]) -> None:
    """Write the tombstones of keys, each where the key lies. An order that names them must be on the log before.

    Raises:
        PublishError, LogError: it is not known whether all are stored.
    """
    for at in range(0, len(keys), TOMBSTONES_AT_ONCE):
        operator.delete_at(
            CONTENT_KEY, [(found.place.partition, found.name) for found in keys[at:][:TOMBSTONES_AT_ONCE]]
        )


def _plan(target: Target, meant: Sequence[FoundKey], orders: Orders) -> Plan:
    free: list[FoundKey] = []
    held: list[HeldKey] = []
    for found in meant:
        hold = orders.hold_on(found.key)
        if hold is None:
            free.append(found)
        else:
            held.append(HeldKey(found, hold))
    return Plan(target, tuple(free), tuple(held))


def orders_of(operator: Operator) -> Orders:
    """Return the orders on the log.

    Raises:
        OrderError: there is one that can't be read.
        TopicReadError, LogError: the topic can't be read.
    """
    orders = read_orders(operator.log, operator.codec, operator.clock, operator.deployment.content.trusted())
    if orders.unreadable_count:
        text = f"{orders.unreadable_count} orders on `{CONTENT_ORDER.name}` can't be read, and could be legal holds"
        raise OrderError(
            f"{text}; erase with the version of stoplog that has written them, or replace them: set a hold on the same "
            "content, and lift it"
        )
    return orders


def keys_of_session(operator: Operator, tenant_uid: str, session_id: str) -> dict[str, ContentKey]:
    """Return the keys of a session by their ids. Blocking.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    target = Target(ContentScope.SESSION, tenant_uid, session_id)
    own = read_keys(operator, session_key_of(tenant_uid, session_id))
    return {found.key.key.kid: found.key for found in own if target.holds(found.key)}
