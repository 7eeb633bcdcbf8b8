"""How much a call moves: a single outlier, amounts that creep upwards, and the first ones by a tool."""

from __future__ import annotations

from math import exp, log, log1p
from typing import Any

import msgspec

from streams.behaviour.activity import LEARNABLE, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import NOT_KNOWN
from streams.behaviour.detectors.terms import SUM_SHARE_MAX, Run
from streams.behaviour.estimators import Median, decay, deviations, is_number, updated_median
from streams.behaviour.pages import Place, without_tool
from streams.behaviour.presence import BITS
from streams.behaviour.signals import Keyed, Rows, Scored

PRIOR_SPREAD = 0.5
SPREAD_FLOOR = 0.15
"""Median deviation of a logarithm at least: equal amounts make no later one an outlier."""
CREEPING_SHARE = 0.2
"""How many of the amounts are those that creep: the others are usual, and say nearly nothing about them."""
STEP_MAX = 3.0
"""What one amount adds to a creeping sum at most; a single outlier is the other detector's."""
ALLOWANCE_MIN = 0.5
"""What is allowed at least, also where nothing is said about it: with none, no amount would say anything."""
EARLY_SHARE = 0.25
EARLY_FACTOR = 4.0 / 3.0
"""From which share of the amounts that have to be known on one is judged, and how much further above the usual it then
has to be: few amounts say less about the next."""
UNKNOWN_SHARE = 0.95
"""What the very first amount has of the threshold, and others have at most as long as little is known of what is usual.
Correlations ask what else is new."""
TOLD_AGAIN = log(1.5)
"""How much larger than one that was reported, as a logarithm, an amount has to be to be reported as well."""
ABOVE_ALLOWED = 1.5
"""How many times the allowance an amount must be to alert: a usual one is not to blame for the sum."""


class ArgMad(Keyed):
    """An amount far above the median, of the agent and of its peers: the smaller of both counts."""

    row_types: tuple[type, ...] = (Median, Median)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self.needs |= BITS.get(declaration.value or "", 0)

    def _measured(self, activity: Activity) -> float | None:
        value = self._value(activity) if self._value is not None else None
        return log1p(abs(value)) if is_number(value) else None

    def _compared(
        self, own: Median | None, peer: Median | None, value: float, share: float = 1.0
    ) -> tuple[float, Median] | None:
        known_min = share * self.declaration.min_support
        known = [m for m in (own, peer) if m is not None and m.count >= known_min]
        found = [(deviations(median, value, SPREAD_FLOOR), median) for median in known]
        return min(found, key=lambda each: each[0]) if found else None

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations the amount lies above the median."""
        value, factor = self._measured(activity) or 0.0, 1.0
        found = self._compared(rows[0], rows[1], value)
        if found is None:
            found, factor = self._compared(rows[0], rows[1], value, EARLY_SHARE), EARLY_FACTOR
        if found is None or found[0] < factor * self.faint:
            return Scored(rows, noted=value)
        z, median = found
        words = {"amount": activity.amount or 0.0, "usual": exp(median.median) - 1.0, "z": z}
        return Scored(rows, z / factor, words, value)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the medians with one more amount."""
        value: float = noted
        return (
            updated_median(rows[0] or Median(), value, PRIOR_SPREAD, activity.time_ms),
            updated_median(rows[1] or Median(), value, PRIOR_SPREAD, activity.time_ms),
        )


def creeping_evidence(z: float, allowance: float) -> float:
    """Return what an amount says about whether some of the amounts creep, in nats.

    It is the logarithm of a likelihood ratio: that one amount of five comes from a distribution which lies twice the
    allowance higher, and that none does. A usual amount takes a little, an amount of the allowance adds nothing.

    Args:
        z: how many deviations the amount lies above the usual.
        allowance: from how many on it counts.
    """
    ratio = exp(min(2.0 * allowance * (z - allowance), 20.0))
    return min(log(1.0 - CREEPING_SHARE + CREEPING_SHARE * ratio), STEP_MAX)


class ArgCusum(ArgMad):
    """Amounts that creep upwards: each is usual, together they are not.

    Other amounts between them are as usual as ever, and mostly many more. So these hardly make the sum smaller.
    """

    row_types: tuple[type, ...] = (Run, Median, Median)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        self._allowance = max(declaration.allowance, ALLOWANCE_MIN)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the sum, and of the medians of the agent and of its peers."""
        return (self.own(part="sum"), *super().make_places())

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the accumulated evidence (a one-sided CUSUM, Page 1954, that fades)."""
        it, run = self.declaration, rows[0] or Run()
        value = self._measured(activity) or 0.0
        own = rows[1] if rows[1] is not None and rows[1].count >= it.min_support else None
        found = self._compared(own, None if own is not None else rows[2], value)
        left = run.total * decay(activity.time_ms - run.at_ms, it.half_life_ms)
        at_ms = max(run.at_ms, activity.time_ms)
        if found is None or activity.outcome != LEARNABLE:
            # What was denied was not paid.
            return Scored((Run(left, at_ms), rows[1], rows[2]), noted=value)
        z, median = found
        total = max(0.0, left + creeping_evidence(z, self._allowance))
        total = min(total, SUM_SHARE_MAX * it.threshold)
        kept = (Run(total, at_ms), rows[1], rows[2])
        if total < self.faint or z < ABOVE_ALLOWED * self._allowance:
            return Scored(kept, noted=value)
        words = {"amount": activity.amount or 0.0, "usual": exp(median.median) - 1.0, "sum": total}
        return Scored(kept, total, words, value)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the medians with one more amount."""
        return (rows[0], *super().learn(rows[1:], activity, noted))


class Paid(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many amounts of a tool were learned from, as long as they are few.

    Attributes:
        count: the number of them.
        told: the logarithm of the largest amount that was reported. Nothing is learned of these.
    """

    count: int = 0
    told: float = 0.0


NONE_PAID = Paid()


class FirstAmount(ArgMad):
    """The first amounts by a tool, beside what was paid with all tools, until it or its peers have enough of the tool.

    Of who has hardly paid anything, nobody knows what is usual. So his very first amount is nearly an alert. What was
    reported is not reported again, as long as no amount is much larger: a person has it to judge.
    """

    row_types: tuple[type, ...] = (Paid, Median, Paid)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of how often the tool was paid with, by the agent and by its peers, and of all amounts."""
        who = without_tool(self.declaration.key)
        return (self.own(), Place(who, f"{self.declaration.name}.all", is_required=False), self.peers())

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how many deviations the amount lies above the median of all; without one, a share of the threshold."""
        it, amount = self.declaration, activity.amount or 0.0
        paid, usual, peers = rows[0] or NONE_PAID, rows[1], rows[2] or NONE_PAID
        few = EARLY_SHARE * it.min_support
        if paid.count >= few or peers.count >= few:
            return Scored(rows)
        value = self._measured(activity) or 0.0
        if paid.told and value <= paid.told + TOLD_AGAIN:
            return Scored(rows)
        if usual is None or usual.count < few:
            words = {"amount": amount, "usual": NOT_KNOWN}
            return Scored(rows) if paid.count else Scored(rows, UNKNOWN_SHARE * it.threshold, words)
        z = deviations(usual, value, SPREAD_FLOOR)
        if usual.count < it.min_support:
            z = min(z, UNKNOWN_SHARE * it.threshold)
        words = {"amount": amount, "usual": exp(usual.median) - 1.0}
        if z < it.threshold or activity.outcome != LEARNABLE:
            return Scored(rows, z, words)
        return Scored((Paid(paid.count, value), usual, rows[2]), z, words)

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more amount."""
        del noted
        paid, usual, peers = rows[0] or NONE_PAID, rows[1] or Median(), rows[2] or NONE_PAID
        enough = EARLY_SHARE * self.declaration.min_support
        if paid.count < enough:
            paid = Paid(paid.count + 1, paid.told)
        if peers.count < enough:
            peers = Paid(peers.count + 1)
        return (paid, updated_median(usual, self._measured(activity) or 0.0, PRIOR_SPREAD, activity.time_ms), peers)
