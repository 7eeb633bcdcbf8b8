"""The error of this package."""

from __future__ import annotations

from streams.model.errors import StoplogError


class ApprovalError(StoplogError):
    """A decision can't be made, or gates would reject it."""
