"""The demonstration's own errors."""

from __future__ import annotations

from streams.model.errors import StoplogError


class DemoError(StoplogError):
    """The demonstration can't run."""
