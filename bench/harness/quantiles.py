"""Quantiles of measured times, which are among the times themselves."""

from __future__ import annotations


def quantile(ordered: list[float], share: float) -> float:
    """Return the value below which that share of them lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
