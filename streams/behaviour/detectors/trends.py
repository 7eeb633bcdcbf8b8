"""Amounts to one counterparty that rise from payment to payment, whatever is usual of others.

**Idea.** Who takes a little more each time stays within what an agent pays to all together. What one counterparty gets
is in no order, though: an invoice is as often smaller than the one before it as larger. So each pair of payments to one
counterparty is asked whether the later one is larger, and the pairs are counted (Mann 1945, Kendall 1975). That needs
no level, no spread and no baseline: by chance, nine payments rise without a break once in 360,000 times. The sum is
large also if some payments are out of order, or others lie between them.

**Rejected.** A fixed number of payments to the same: in fleets of others, every tenth refund or order is the second
one about the same thing.
"""

from __future__ import annotations

from math import sqrt
from operator import itemgetter
from typing import Any

import msgspec

from streams.behaviour.activity import Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.pages import Place
from streams.behaviour.presence import ALLOWED, AMOUNT
from streams.behaviour.signals import Keyed, Rows, Scored

PAID_MAX = 16
"""How many payments to one counterparty are remembered, the newest."""
PAID_MIN = 5
"""From how many on deviations are reckoned. That only saves work: five that rise without a break have 2.2, which is
below `CHANCE`, so six are the fewest that are reported."""
CHANCE = 2.5
"""Below how many deviations nothing is reported, not even for risk: one payment in 160 has as much by chance."""
RISE_MIN = 4 / 3
"""How many times the median of the first three payments the newest one is: what hardly rises takes little."""


class Paid(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest payments to one counterparty, sorted by time: when, and how much."""

    payments: tuple[tuple[int, float], ...] = ()


def with_payment(
    payments: tuple[tuple[int, float], ...], payment: tuple[int, float], since_ms: int
) -> tuple[tuple[int, float], ...]:
    """Return payments with one more that may have arrived late, sorted by time, without those before an instant.

    Those of one moment stay in the order in which they came: sorted by amount, they would always rise.
    """
    return tuple(sorted([each for each in (*payments, payment) if each[0] >= since_ms], key=itemgetter(0))[-PAID_MAX:])


def trend_deviations(values: tuple[float, ...]) -> float:
    """Return how many standard deviations more pairs rise than fall, beyond what is expected of values in no order.

    Equal values neither rise nor fall.

    Args:
        values: in order of time.
    """
    count, rising = len(values), 0
    for at, later in enumerate(values):
        for earlier in values[:at]:
            rising += (later > earlier) - (later < earlier)
    return (rising - 1) / sqrt(count * (count - 1) * (2 * count + 5) / 18)


class ArgTrend(Keyed):
    """Amounts that rise from one payment to the next, to the same counterparty.

    The term says who that is. What was denied was not paid. Amounts of zero and below do not count.
    """

    row_types = (Paid,)
    keys_have_term = True

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.needs |= ALLOWED | AMOUNT

    def make_places(self) -> tuple[Place, ...]:
        """Return the place of the payments to one counterparty."""
        return (self.own(self.declaration.term or ""),)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations more of the payments rise than fall."""
        amount, now_ms, before = activity.amount, activity.time_ms, rows[0]
        if amount is None or amount <= 0.0:
            return Scored(rows)
        payments = () if before is None else before.payments
        since_ms = now_ms - self.declaration.history_ms
        if payments and payments[0][0] >= since_ms and payments[-1][0] <= now_ms:
            # As of almost all payments; a function would cost as much as the rest.
            payments = (*payments, (now_ms, amount))[-PAID_MAX:]
        else:
            payments = with_payment(payments, (now_ms, amount), since_ms)
        kept = (Paid(payments),)
        if len(payments) < PAID_MIN:
            return Scored(kept)
        # The median of the first three: one large payment before the others would hide them.
        first = sorted([each for _, each in payments[:3]])[1]
        if amount < RISE_MIN * first:
            return Scored(kept)
        z = trend_deviations(tuple([each for _, each in payments]))
        if z < max(self.faint, CHANCE):
            return Scored(kept)
        words: dict[str, Any] = {"amount": amount, "usual": first, "count": float(len(payments)), "z": z}
        return Scored(kept, z, words)
