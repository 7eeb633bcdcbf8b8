"""Order the levels of risk that session events report."""

from __future__ import annotations

from streams.model.session import SessionEvent

RISK_LEVELS = {"LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_RISK_UNKNOWN = 4
_NOT_KNOWN = "UNSTATED"


def risk_of(level: str | None) -> int:
    """Return the number of a level of risk: 0 if none is stated, the highest if the level is unknown."""
    return 0 if level is None else RISK_LEVELS.get(level, _RISK_UNKNOWN)


def higher_risk(known: str | None, event: SessionEvent) -> str | None:
    """Return the higher of the known level of risk and the level that the event reports."""
    level = level_of(event)
    return known if risk_of(level) < risk_of(known) else level


def level_of(event: SessionEvent) -> str:
    """Return the level that the event reports, or `UNSTATED` if it is none that is known."""
    level = event.risk_level
    return level if level is not None and level in RISK_LEVELS else _NOT_KNOWN
