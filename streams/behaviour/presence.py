"""Which of its optional parts an activity has, as the bits of one number.

A detector says by these bits what it looks at. So which detectors an activity concerns is looked up at once, and not
asked of each of them (ADR 0099).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

from streams.behaviour.activity import LEARNABLE, Activity
from streams.behaviour.acts import may_send

DESTINATION, OBJECT, OWNER, ROOT, USER, INSTANCE, CALL, EPOCH, AMOUNT, ALLOWED, SENT, DELEGATED = (
    1 << bit for bit in range(12)
)
"""A value of the field or measure of this name; `ALLOWED`: the outcome that baselines learn from; `SENT`: a
destination to which the call may bring data; and `DELEGATED`: another session that has given the session its work."""

DELEGATED_DEPTH = 2
"""From how many grants on a session has been given its work by another one."""

BITS: Mapping[str, int] = MappingProxyType(
    {
        "agent.epoch": EPOCH,
        "agent.instance": INSTANCE,
        "call.amount": AMOUNT,
        "call.digest": CALL,
        "delegation.root": ROOT,
        "dest.domain": DESTINATION,
        "object.id": OBJECT,
        "object.owner": OWNER,
        "user.id": USER,
    }
)
"""The bits of the fields and measures that an activity may lack; it has all others."""


def presence_of(activity: Activity) -> int:
    """Return a bit for each thing that an activity has. As in `FIELDS`, some empty names count as missing."""
    it, amount = activity, activity.amount
    return (
        (0 if it.destination is None else DESTINATION)
        | (0 if it.object is None else OBJECT)
        | (0 if it.owner is None else OWNER)
        | (ROOT if it.root else 0)
        | (USER if it.user else 0)
        | (INSTANCE if it.instance else 0)
        | (CALL if it.call else 0)
        | (EPOCH if it.epoch else 0)
        | (AMOUNT if amount is not None and isfinite(amount) else 0)
        | (ALLOWED if it.outcome == LEARNABLE else 0)
        | (DELEGATED if it.depth >= DELEGATED_DEPTH else 0)
        | (SENT if it.destination is not None and may_send(it.tool, it.size_bytes) else 0)
    )
