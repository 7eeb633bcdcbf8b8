"""An order of calls that peers never take."""

from __future__ import annotations

from math import log2
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import Activity, digest_of, digest_of_call
from streams.behaviour.acts import only_reads
from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.peaks import compared, learned
from streams.behaviour.estimators import Mean, Peak, count_of, counted_up, decay, updated_mean
from streams.behaviour.pages import BEFORE_TOOL, PREVIOUS_TOOL, Place
from streams.behaviour.signals import Keyed, Rows, Scored

ODD_COLD_FACTOR = 2.0
ODD_DAYS_MIN = 5.0
CONTEXT_TOOLS_MAX = 32
SURPRISE_BITS_MAX = 12.0
STEP_BITS_MAX = 4.0
"""What one call adds at most above what is usual: one step that nobody has taken before does not alert."""
RARE_BITS = 7.0
RARE_CALLS = 10
"""From how many bits on it is asked whether peers have hardly used a tool, and how many calls of it are hardly any.
A tool that is new is in no order yet, and is told as a new one."""
BELOW_SHARE = 0.95
"""The share of the threshold that a call has at most which is not odd itself, or the next of a row of reads."""


class Context(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which tools followed: digests and counts, sorted by digest."""

    follow: tuple[tuple[int, int], ...] = ()
    total: int = 0


def after(context: Context | None, tool: int) -> Context:
    """Return a context with one more call of `tool`; the rarest tool makes room for a new one."""
    if context is None:
        return Context(((tool, 1),), 1)
    follow = counted_up(context.follow, tool, CONTEXT_TOOLS_MAX)
    is_full = len(follow) == CONTEXT_TOOLS_MAX
    return Context(follow, sum([count for _, count in follow]) if is_full else context.total + 1)


class Oddness(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence that a session takes an odd order, when it was last added to, and the digest of the last odd call."""

    total: float = 0.0
    at_ms: int = 0
    last: int = 0


def surprise_bits(contexts: tuple[Context | None, ...], tool: int) -> float:
    """Return the bits of a call after its contexts, the longest first (PPM with escape C, Moffat 1990)."""
    bits = 0.0
    for context in contexts:
        if context is None or not context.total:
            continue
        count, kinds = count_of(context.follow, tool), len(context.follow)
        room = context.total + kinds
        if count:
            return bits + log2(room / count)
        bits += log2(room / kinds)
    return bits + log2(CONTEXT_TOOLS_MAX)


class SeqSurprise(Keyed):
    """An order of calls that peers do not take, beside the oddest sessions of usual days.

    Some kinds of work take the same steps in the same order, and others hardly ever. So the evidence about a session
    must also lie above that about the oddest session of usual days, of any agent of the type.

    Of reads with one tool in a row, only the first was chosen, and a call that is tried again has no order at all. How
    often these come is counted for itself (`loop`, `loop_run`, `fan_out`). Reads in a row still add up, but what they
    add is reported with the next call that is odd.
    """

    row_types = (Oddness, Context, Context, Context, Mean, Peak)

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration)
        # Support is of calls; the oddest sessions are of days.
        self._beside_days = replace(declaration, min_support=ODD_DAYS_MIN)

    def make_places(self) -> tuple[Place, ...]:
        """Return the places of the session's evidence, and of contexts, surprise and oddest sessions of the peers."""
        return (
            self.own(),
            self.peers(BEFORE_TOOL, PREVIOUS_TOOL),
            self.peers(PREVIOUS_TOOL),
            self.peers(),
            self.peers(part="usual"),
            self.peers(part="peak"),
        )

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return the accumulated surprise of the session above what is usual."""
        it, (odd, third, second, first, usual, peak) = self.declaration, rows
        odd, usual = odd or Oddness(), usual or Mean()
        now_ms, at_ms, total = activity.time_ms, odd.at_ms, odd.total
        if now_ms > at_ms:
            total, at_ms = total * decay(now_ms - at_ms, it.half_life_ms), now_ms
        tool = digest_of(activity.tool)
        bits = surprise_bits((third, second, first), tool)
        bits = bits if bits < SURPRISE_BITS_MAX else SURPRISE_BITS_MAX
        step, last, is_row = 0.0, odd.last, activity.tool == activity.previous_tool and only_reads(activity.tool)
        if usual.weight >= it.min_support:
            step = bits - usual.mean - usual.var**0.5 - it.allowance
            if step > 0.0:
                before, last = last, digest_of_call(activity.call)
                step = 0.0 if activity.call and last == before else step
            elif is_row:
                # Whoever reads on has not gone back to the usual order.
                step = 0.0
            if bits >= RARE_BITS and first is not None and count_of(first.follow, tool) < RARE_CALLS:
                step = 0.0
            total += step if step < STEP_BITS_MAX else STEP_BITS_MAX
            total = total if total > 0.0 else 0.0
        kept = (Oddness(total, at_ms, last), third, second, first, rows[4], peak)
        if total < self.faint:
            # Beside what is usual it would be less.
            return Scored(kept, noted=(bits, total, tool))
        found = compared(total, self._beside_days, (peak,), ODD_COLD_FACTOR)
        if found.score < self.faint:
            return Scored(kept, noted=(bits, total, tool))
        words, score = {"bits": bits, "sum": total, "usual": found.usual}, found.score
        if score >= it.threshold and (is_row or step <= 0.0):
            # It is not reported, and does not become usual either.
            score, total = BELOW_SHARE * it.threshold, 0.0
        return Scored(kept, score, words, (bits, total, tool))

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows with one more call after its contexts."""
        (bits, total, tool), it = noted, self.declaration
        odd, third, second, first, usual, peak = rows
        usual = usual or Mean()
        if usual.weight >= it.min_support:
            peak = learned(peak, total, activity.time_ms, it)
        usual = updated_mean(usual, bits, activity.time_ms, it.history_ms, 1.0)
        return (odd, after(third, tool), after(second, tool), after(first, tool), usual, peak)
