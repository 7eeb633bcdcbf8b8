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

from bisect import insort
from math import expm1, log1p, sqrt
from typing import Any, NamedTuple

import msgspec

from streams.behaviour.activity import Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.estimators import is_number
from streams.behaviour.pages import Place
from streams.behaviour.presence import ALLOWED, BITS
from streams.behaviour.signals import Keyed, Rows, Scored

PAID_MAX = 16
"""How many payments to one counterparty are remembered, the newest."""
PAID_MIN = 5
"""How many there must be: fewer are in order by chance too often."""
CHANCE = 2.5
"""Below how many deviations nothing is reported, not even for risk: one payment in 160 has as much by chance."""
RISE_MIN = log1p(1 / 3)
"""How far the newest payment lies above the first ones (a logarithm): what hardly rises takes little."""


class Payment(NamedTuple):
    """When something was paid, and the logarithm of the amount and one."""

    time_ms: int
    value: float


class Paid(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest payments to one counterparty, sorted by time."""

    payments: tuple[Payment, ...] = ()

    def after(self, payment: Payment, since_ms: int) -> Paid:
        """Return it with one more payment, without those before an instant."""
        found = [each for each in self.payments if each.time_ms >= since_ms]
        insort(found, payment)
        return Paid(tuple(found[-PAID_MAX:]))

    def first_value(self) -> float:
        """Return the median of the first third, of at least three payments."""
        first = sorted([each.value for each in self.payments[: max(3, len(self.payments) // 3)]])
        return first[len(first) // 2]


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

    The term says who that is. What was denied was not paid.
    """

    row_types = (Paid,)
    keys_have_term = True

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.needs |= ALLOWED | BITS.get(declaration.value or "", 0)

    def make_places(self) -> tuple[Place, ...]:
        """Return the place of the payments to one counterparty."""
        return (self.own(self.declaration.term or ""),)

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations more of the payments rise than fall."""
        amount = self._value(activity) if self._value is not None else None
        if not is_number(amount):
            return Scored(rows)
        before, now_ms = rows[0] or Paid(), activity.time_ms
        payment = Payment(now_ms, log1p(abs(amount)))
        paid = before.after(payment, now_ms - self.declaration.history_ms)
        count = len(paid.payments)
        if count < PAID_MIN:
            return Scored((paid,))
        first = paid.first_value()
        if payment.value < first + RISE_MIN:
            return Scored((paid,))
        z = trend_deviations(tuple([each.value for each in paid.payments]))
        if z < max(self.faint, CHANCE):
            return Scored((paid,))
        words: dict[str, Any] = {"amount": amount, "usual": expm1(first), "count": float(count), "z": z}
        return Scored((paid,), z, words)
