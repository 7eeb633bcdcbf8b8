"""Every exemption from the linter and the type checker says why."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Put together, so that this file has none.
_NOQA = "no" + "qa"
_IGNORE = "type: " + "ignore"
_LINT = re.compile(rf"# {_NOQA}\b(?!: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)* - \S)")
_TYPES = re.compile(rf"# {_IGNORE}\b(?!\[[a-z, -]+\]  # (?:\S))")


def unexplained(line: str) -> bool:
    return bool(_LINT.search(line) or _TYPES.search(line))


def test_no_exemption_is_without_its_reason() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = listed.splitlines()
    assert len(names) > 500
    found = [
        f"{name}:{number}"
        for name in names
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1)
        if unexplained(line)
    ]
    assert found == []


def test_the_tests_have_none_of_types() -> None:
    """The type checker doesn't read them, so an exemption there would say nothing."""
    lines = [(path, line) for path in (ROOT / "tests").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    assert [str(path) for path, line in lines if f"# {_IGNORE}" in line] == []


def test_exemptions_of_whole_folders_say_why() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for table in re.findall(r"^(?:ignore|\"[\w/*]+\") = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL):
        for line in table.splitlines():
            assert re.fullmatch(r'  "[A-Z]+[0-9]*",  # \S.*', line), line


@pytest.mark.parametrize(
    ("line", "is_unexplained"),
    [
        (f"import x  # {_NOQA}: PLC0415", True),
        (f"import x  # {_NOQA}", True),
        (f"import x  # {_NOQA}: PLC0415 -", True),
        (f"import x  # {_NOQA}: PLC0415 - heavy", False),
        (f"import x  # {_NOQA}: F401, PLC0415 - heavy", False),
        (f"x = y  # {_IGNORE}[misc]", True),
        (f"x = y  # {_IGNORE}", True),
        (f"x = y  # {_IGNORE}[misc]  # as the library has it", False),
        (f"x = y  # {_IGNORE}[misc]  # {_NOQA}: E731 - a word", False),
        (f"x = y  # {_IGNORE}[misc]  # {_NOQA}: E731", True),
    ],
)
def test_what_is_found(line: str, is_unexplained: bool) -> None:
    assert unexplained(line) is is_unexplained
