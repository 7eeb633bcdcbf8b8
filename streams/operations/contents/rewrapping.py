"""Wraps the keys of captured content with another key of their tenant, so that the one before can be destroyed.

**Idea.** Content stays as it is, under the key of its session. Only what opens that key is replaced: a record with the
same name takes the place of the one before on its compacted topic. Nothing is decrypted. So holds, orders of erasure
and the age of content mean the same before and after.

A run can be repeated: what is wrapped with the tenant's present key is left alone, so it goes on where another has
ended.

INVARIANT: what was erased stays erased. An erasure writes its order before its tombstones. So orders are read again
after each batch is written: a key that one names by then is destroyed again. If the order comes later, so does its
tombstone. A run that was killed in between has left such keys there, and the next one destroys them first.

Rejected: an order that an officer signs. A re-wrapping destroys nothing and shows nothing, and versions of stoplog that
do not know this kind of order would take it for a hold. What somebody could do with it, to wrap with a key that nobody
has, needs the right to write keys, and who has that can write tombstones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.audit.content import ContentError
from streams.model.content import KEYS_REWRAPPED
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT_REPORTED, CONTENT_KEY
from streams.operations.contents.erasing import FoundKey, destroy, orders_of, read_keys
from streams.operations.contents.orders import check_reason, content_audit
from streams.operations.operator import Operator
from streams.sdk.keys.content import KeyRewrapper

KEYS_AT_ONCE = 200
"""Keys between two looks at the orders."""


class RewrapPlan(NamedTuple):
    """What would be done.

    Attributes:
        tenant_uid: whose keys.
        kek: the name of the key that they are to be wrapped with.
        keys: those that are wrapped with another one.
        done_count: how many are wrapped with it already.
        erased: keys that orders have destroyed, and that are there again.
        others: of each other tenant, how many keys are wrapped with another one.
    """

    tenant_uid: str
    kek: str
    keys: tuple[FoundKey, ...]
    done_count: int
    erased: tuple[FoundKey, ...]
    others: Mapping[str, int]

    @property
    def keks(self) -> Counter[str]:
        """Return how many keys are wrapped with each other key."""
        return Counter(found.key.key.kek for found in self.keys)


class Rewrapped(NamedTuple):
    """What was done.

    Attributes:
        keys_count: how many keys are wrapped again.
        destroyed_count: how many were erased before or meanwhile, and are destroyed again.
        faults: why keys are still wrapped as they were, with how many.
    """

    keys_count: int
    destroyed_count: int
    faults: Counter[str]


def plan_rewrap(operator: Operator, tenant_uid: str, kek: str) -> RewrapPlan:
    """Return what would be wrapped again. Blocking.

    Args:
        tenant_uid: whose keys.
        kek: the name of the key that they are to be wrapped with.

    Raises:
        OrderError: there is an order that can't be read.
        TopicReadError, LogError: a topic can't be read.
    """
    orders = orders_of(operator)
    keys, erased, done_count, others = [], [], 0, Counter[str]()
    for found in read_keys(operator):
        is_erased, is_done = orders.destroys(found.ordered_name), found.key.key.kek == kek
        if found.key.header.tenant_uid != tenant_uid:
            others[found.key.header.tenant_uid] += not (is_erased or is_done)
        elif is_erased:
            erased.append(found)
        elif is_done:
            done_count += 1
        else:
            keys.append(found)
    return RewrapPlan(tenant_uid, kek, tuple(keys), done_count, tuple(erased), +others)


def rewrap(
    operator: Operator,
    plan: RewrapPlan,
    rewrapper: KeyRewrapper,
    why: str,
) -> Rewrapped:
    """Carry out a plan. Its audit record is on the log before the first key is used. Blocking.

    Args:
        rewrapper: wraps with the key of the plan.
        why: the reason, which is recorded.

    Raises:
        OrderError: no reason is given, or there is an order that can't be read.
        PublishError, TopicReadError, LogError: it is not known whether all is stored. Repeat it.
    """
    check_reason(why)
    destroy(operator, plan.erased)
    done, destroyed, faults = 0, len(plan.erased), Counter[str]()
    if plan.keys:
        text = f"{len(plan.keys)} keys, to be wrapped with {plan.kek}: {why}"
        event = content_audit(operator, plan.tenant_uid, "", reason=KEYS_REWRAPPED, text=text)
        operator.write(AUDIT_REPORTED, [(session_key_of(plan.tenant_uid, ""), event, event.header)])
    for at in range(0, len(plan.keys), KEYS_AT_ONCE):
        batch = []
        for found in plan.keys[at : at + KEYS_AT_ONCE]:
            try:
                batch.append((found, rewrapper.rewrap(found.key.key)))
            except ContentError as error:
                faults[str(error)] += 1
        # Only the id of the record is new: content is as old as it was, which its retention depends on.
        ids = [operator.header().id for _ in batch]
        changed = [
            found._replace(key=replace(found.key, key=key, header=replace(found.key.header, id=new_id)))
            for (found, key), new_id in zip(batch, ids, strict=True)
        ]
        gone = _erased(operator, [found for found, _ in batch])
        destroyed += len(gone)
        kept = [found for found in changed if found.name not in gone]
        operator.write_at(
            CONTENT_KEY, [(found.place.partition, found.name, found.key, found.key.header) for found in kept]
        )
        back = _erased(operator, kept)
        destroy(operator, [found for found in kept if found.name in back])
        destroyed += len(back)
        done += len(kept) - len(back)
    return Rewrapped(done, destroyed, faults)


def _erased(operator: Operator, keys: Sequence[FoundKey]) -> set[bytes]:
    """Return the names of the keys that an order destroys by now."""
    orders = orders_of(operator)
    return {found.name for found in keys if orders.destroys(found.ordered_name)}
