"""Writes the warnings of a command that keeps no log as its other messages are written.

Python would write them to standard error bare, without saying that they are warnings.
"""

from __future__ import annotations

import logging

from streams.cli.terminal.text import warn


class LabelledHandler(logging.Handler):
    """Writes a warning, or anything worse, in a line to standard error."""

    def __init__(self) -> None:
        """Write what is at least a warning."""
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record. The command goes on, whatever it is: if it fails, the error comes last."""
        warn(record.getMessage())


def label_warnings() -> None:
    """Label what is logged from now on, until a service configures its log."""
    logging.lastResort = LabelledHandler()
