"""Order the levels of risk that session events report."""

from __future__ import annotations

RISK_LEVELS = {"LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_RISK_UNKNOWN = 4


def risk_of(level: str | None) -> int:
    """Return the number of a level of risk: 0 if none is stated, the highest if the level is unknown."""
    return 0 if level is None else RISK_LEVELS.get(level, _RISK_UNKNOWN)
