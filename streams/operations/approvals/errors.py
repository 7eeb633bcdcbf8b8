"""The error of this package."""

from __future__ import annotations

from streams.model.errors import FormError, StoplogError


class ApprovalError(StoplogError):
    """A decision can't be made, or gates would reject it."""


class MatchFormError(ApprovalError, FormError):
    """A bound that a person has written has not the form of one."""
