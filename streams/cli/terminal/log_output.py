"""The log of a running service on standard error: lines for a person on a terminal, JSON lines otherwise."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from streams.cli.terminal.text import ascii_json, printable
from streams.codec.json_lines import json_line

TEXT_CHARS_MAX = 8_000


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        fields = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage()[:TEXT_CHARS_MAX],
        }
        # Fields for programs: `extra={"fields": {...}}`.
        fields |= getattr(record, "fields", {})
        if record.exc_info is not None:
            fields["error"] = self.formatException(record.exc_info)[-TEXT_CHARS_MAX:]
        return ascii_json(json_line(fields))


class LineFormatter(logging.Formatter):
    """Formats a record as its time, its level unless that is `info`, and its text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, or as several if there is a traceback."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{_instant(record)[11:19]} {level}{printable(record.getMessage()[:TEXT_CHARS_MAX], lines=True)}"
        if record.exc_info is not None:
            text += f"\n{printable(self.formatException(record.exc_info), lines=True)}"
        # Text of an attacker that contains a line end must not look like a line of the log.
        return text.replace("\n", "\n  ")


def configure_logging(as_json: bool | None = None) -> None:
    """Log to standard error from now on.

    Args:
        as_json: whether to write JSON. None: JSON unless standard error is a terminal.
    """
    if as_json is None:
        as_json = not sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("streams").setLevel(logging.INFO)


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
