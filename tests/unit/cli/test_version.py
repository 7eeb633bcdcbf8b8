"""What `--version` says about how stoplog was built."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from streams.behaviour import watcher
from streams.cli.version import is_compiled, version_text


def test_what_is_compiled_is_told_from_what_is_not() -> None:
    assert is_compiled("msgspec._core")
    assert not is_compiled("msgspec.structs")
    assert not is_compiled("msgspec.nothing_of_this_name")


def test_the_version_says_whether_the_watch_is_compiled() -> None:
    is_python = Path(watcher.__file__).suffix == ".py"
    assert version_text() == f"stoplog {version('stoplog')}" + ("" if is_python else " (compiled)")
