"""What ships with the package besides its code."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def rules_directory() -> Path:
    """Return the folder of the starter rules: in the installed package, or in the source tree."""
    shipped = _PACKAGE / "_shipped" / "rules"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "rules"


def shadow_rules_directory() -> Path:
    """Return the folder of the rules on behaviour in shadow: likewise."""
    shipped = _PACKAGE / "_shipped" / "shadow_rules"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "shadow_rules"
