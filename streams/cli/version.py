"""What `stoplog --version` prints: the version, and whether the hottest modules are compiled (ADR 0119)."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from importlib.util import find_spec

HOT_MODULE = "streams.behaviour.watcher"
"""Compiled if any module is."""


def version_text() -> str:
    """Return the version of what is installed."""
    return f"stoplog {version('stoplog')}{' (compiled)' if is_compiled() else ''}"


def is_compiled(module: str = HOT_MODULE) -> bool:
    """Return whether a module is machine code. Loads the packages around it and not the module itself."""
    found = find_spec(module)
    return found is not None and (found.origin or "").endswith(tuple(EXTENSION_SUFFIXES))
