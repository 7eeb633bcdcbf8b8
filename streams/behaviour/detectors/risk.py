"""Everything together: evidence of all detectors about one agent or session, fading.

Of each detector only the strongest evidence counts, so a detector that fires often does not add up by itself. Nor do
several detectors that look at the same: much that leaves in an hour is also much that leaves in a day. Risk
stands beside the alerts of single detectors and not in their place: it finds what is a little unusual in many ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from streams.behaviour.estimators import decay
from streams.behaviour.signals import Signal

SHARE_MAX = 1.5
"""What one detector adds at most, in shares of its threshold."""
CAUSES_MAX = 24
CAUSES_SHOWN = 3
NO_INCIDENTS: Mapping[str, str] = MappingProxyType({})


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The strongest share of one detector, as of an instant."""

    name: str
    share: float
    at_ms: int

    def left(self, now_ms: int, half_life_ms: int) -> float:
        """Return what is left of the share at an instant."""
        return self.share * decay(now_ms - self.at_ms, half_life_ms)


class RiskRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The evidence about one agent or session, sorted by detector."""

    evidence: tuple[Evidence, ...] = ()


class Risk(NamedTuple):
    """A risk and what it comes from, the largest part first."""

    total: float
    causes: tuple[str, ...]


def accumulated(row: RiskRow | None, signals: Iterable[Signal], now_ms: int, half_life_ms: int) -> RiskRow:
    """Return the evidence with new signals."""
    known = {each.name: each for each in row.evidence} if row is not None else {}
    is_sorted = True
    for signal in signals:
        share, before = min(signal.share, SHARE_MAX), known.get(signal.name)
        if before is None:
            known[signal.name], is_sorted = Evidence(signal.name, share, max(now_ms, 0)), False
        elif before.left(now_ms, half_life_ms) < share:
            known[signal.name] = Evidence(signal.name, share, max(now_ms, before.at_ms))
    # What replaces something in a dictionary stands where that stood.
    found = known.values() if is_sorted else [known[name] for name in sorted(known)]
    return RiskRow(tuple(found)[:CAUSES_MAX])


def risk_of(
    row: RiskRow, now_ms: int, half_life_ms: int, allowance: float, incidents: Mapping[str, str] = NO_INCIDENTS
) -> Risk:
    """Return the sum of what each incident has above `allowance`.

    Args:
        row: the evidence.
        now_ms: event time.
        half_life_ms: how fast evidence fades.
        allowance: what each incident is allowed.
        incidents: of detectors that look at the same, the name of the incident that they find. The strongest counts.
    """
    strongest: dict[str, tuple[float, str]] = {}
    for each in row.evidence:
        if each.share <= allowance:
            # As most of it: it fades, and is never more than that.
            continue
        part = each.left(now_ms, half_life_ms) - allowance
        incident = incidents.get(each.name, each.name)
        if part > 0 and (incident not in strongest or (part, each.name) > strongest[incident]):
            strongest[incident] = (part, each.name)
    found = sorted(strongest.values(), reverse=True)
    return Risk(sum(part for part, _ in found), tuple(name for _, name in found[:CAUSES_SHOWN]))
