"""The errors of the desk."""

from __future__ import annotations

from streams.model.errors import StoplogError


class DeskError(StoplogError):
    """The desk can't work with its settings or its file."""
