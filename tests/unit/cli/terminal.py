"""A terminal to write to, in tests of what is shown on one."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest


def written_to_terminal(monkeypatch: pytest.MonkeyPatch, write: Callable[[], None]) -> bytes:
    """What is written to the standard output while that is a terminal."""
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            write()
        return read_to_end(ours)
    finally:
        os.close(ours)


def read_to_end(terminal: int) -> bytes:
    """What has been written to the other end of a terminal, once that is closed."""
    written = b""
    with suppress(OSError):  # what a terminal says whose other end is closed, once all is read
        while part := os.read(terminal, 65_536):
            written += part
    return written
