"""Reads the YAML files that lie beside rules: test cases, attacks, scenarios, and histories of behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import BundleReadError, read_text
from streams.policy.language.located_yaml import Node, read_yaml


def read_located(path: Path, shown: str, findings: Findings) -> Node | None:
    """Return the root node of a YAML file; None after its error was reported. Blocking.

    Args:
        path: the file.
        shown: the path that errors state.
        findings: receives the errors.
    """
    try:
        text = read_text(path)
    except BundleReadError as error:
        findings.error("unreadable", Location(shown, 1, 1), str(error))
        return None
    return read_yaml(shown, text, findings)


def read_files(root: Path, suffix: str, findings: Findings, pack: str | None = None) -> Iterator[tuple[Path, Node]]:
    """Yield each YAML file below a folder, in the order of paths: its path in the folder, and its root node. Blocking.

    Args:
        root: the folder.
        suffix: the end of the files' names, such as `.tests.yaml`.
        findings: receives the errors of files that can't be read; these are left out.
        pack: the folder in it whose files are read; None: all.
    """
    for path in sorted((root / (pack or ".")).rglob(f"*{suffix}")):
        inside = path.relative_to(root)
        node = read_located(path, inside.as_posix(), findings)
        if node is not None:
            yield inside, node
