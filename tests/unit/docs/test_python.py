"""The Python of the pages: every name that they import is there, and agents and executors need one package."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.unit.docs.pages import DOCS

ROOT = DOCS.parent
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "adr" not in path.parts)]

_IMPORT = re.compile(r"^ {4,}from (streams[\w.]*) import \(?([\w, ]+)", re.MULTILINE)
_OFFERED = "streams.sdk"
_BESIDE = frozenset({"streams.sdk.mcp.tools", "streams.sdk.mcp.definition_watch", "streams.sdk.agent.delegation"})
"""Modules of the SDK with names of their own: they need an extra, or their names mean something there only."""


def imports_of(page: str) -> list[tuple[str, str]]:
    """The names that the code of a page imports, each with its module."""
    return [(module, name.strip()) for module, names in _IMPORT.findall(page) for name in names.split(",")]


IMPORTS = {path: found for path in PAGES if (found := imports_of(path.read_text("utf-8")))}


def test_there_is_something_to_check() -> None:
    assert sum(map(len, IMPORTS.values())) > 30
    assert imports_of("    from streams.sdk import Agent, connect\n\ntext\nfrom streams.sdk import Other\n") == [
        ("streams.sdk", "Agent"),
        ("streams.sdk", "connect"),
    ]


@pytest.mark.parametrize("path", IMPORTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_imports_is_there(path: Path) -> None:
    missing = [(module, name) for module, name in IMPORTS[path] if not hasattr(import_module(module), name)]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/embed-the-sdk.md", "docs/how-to/run-the-token-service.md"])
def test_agents_and_executors_import_from_one_package(page: str) -> None:
    modules = {module for module, _ in IMPORTS[ROOT / page]}
    assert modules <= {_OFFERED} | _BESIDE
