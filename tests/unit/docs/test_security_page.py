"""Every clause that the threat model claims has tests that exist, and is in a row of the mappings."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.docs.pages import DOCS, squeezed

ROOT = DOCS.parent
PAGE = DOCS / "explanation" / "security.md"
FEWEST_CLAUSES = 70
"""A page of which the form has changed must not pass because nothing is found in it."""

OWASP = [f"ASI{number:02}" for number in range(1, 11)]
AARM = [f"R{number}" for number in range(1, 10)]

_CLAUSE = re.compile(r"^- \*\*(?P<id>[A-Z]{2}\d+)\.\*\* (?P<text>.*?)(?=^- |^\S|\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| ((?:ASI|R)\d+) [^|]*\|(.*)\|$", re.MULTILINE)
_ID = re.compile(r"\b[A-Z]{2}\d+\b")
_NOT_RUN = frozenset({"skip", "skipif", "xfail"})


class Clause(NamedTuple):
    """What is claimed, and the tests that show it."""

    id: str
    claim: str
    evidence: tuple[str, ...]


def clauses(page: str) -> list[Clause]:
    found = []
    for match in _CLAUSE.finditer(page):
        claim, _, evidence = match["text"].partition("Evidence:")
        found.append(Clause(match["id"], squeezed(claim).strip(), tuple(re.findall(r"`([^`]+)`", evidence))))
    return found


def mapped(page: str) -> dict[str, set[str]]:
    """The clauses in the row of each threat or requirement."""
    return {match[1]: set(_ID.findall(match[2])) for match in _ROW.finditer(page)}


@cache
def runnable_in(path: Path) -> frozenset[str]:
    """The names of a file's tests as pytest collects them, without those that are marked not to run."""
    names = set()
    module = ast.parse(path.read_text("utf-8"))

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not _is_not_run(node):
                collect(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _is_not_run(node):
                names.add(prefix + node.name)

    marks = [node.value for node in module.body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)]
    if not _names_not_run(marks):
        collect(module.body, "")
    return frozenset(names)


def _is_not_run(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return _names_not_run(node.decorator_list)


def _names_not_run(marks: list[ast.expr]) -> bool:
    names = {part.attr for mark in marks for part in ast.walk(mark) if isinstance(part, ast.Attribute)}
    return bool(names & _NOT_RUN)


def fault_of_evidence(evidence: str) -> str | None:
    name, _, test = evidence.partition("::")
    path = ROOT / name
    if not (name.startswith("tests/") and path.name.startswith("test_") and path.suffix == ".py" and path.is_file()):
        return f"`{name}` is not a file of tests"
    if test not in runnable_in(path):
        return f"`{name}` has no test `{test}` that runs"
    return None


def faults(page: str) -> list[str]:
    found, rows = clauses(page), mapped(page)
    ids = [clause.id for clause in found]
    in_rows = set().union(*rows.values())
    wrong = [f"{id_} is there twice" for id_ in sorted({id_ for id_ in ids if ids.count(id_) > 1})]
    for clause in found:
        if not clause.claim.endswith(".") or ". " in clause.claim:
            wrong.append(f"{clause.id} is not one sentence")
        if not clause.evidence:
            wrong.append(f"{clause.id} has no evidence")
        wrong += [f"{clause.id}: {fault}" for fault in map(fault_of_evidence, clause.evidence) if fault is not None]
        if clause.id not in in_rows:
            wrong.append(f"{clause.id} is in no row")
    wrong += [f"a row names {id_}, which is not a clause" for id_ in sorted(in_rows - set(ids))]
    if [match[1] for match in _ROW.finditer(page)] != [*OWASP, *AARM]:
        wrong.append("a threat or a requirement has no row, or more than one")
    return wrong


def test_every_clause_has_evidence_and_a_row() -> None:
    page = PAGE.read_text("utf-8")
    assert len(clauses(page)) >= FEWEST_CLAUSES
    assert faults(page) == []


def test_every_bold_label_of_a_clause_is_read_as_one() -> None:
    page = PAGE.read_text("utf-8")
    assert re.findall(r"\*\*([A-Z]{2}\d+)\b", page) == [clause.id for clause in clauses(page)]


def test_the_clauses_of_a_part_are_numbered_without_gaps() -> None:
    numbers: dict[str, list[int]] = {}
    for clause in clauses(PAGE.read_text("utf-8")):
        numbers.setdefault(clause.id[:2], []).append(int(clause.id[2:]))
    assert numbers == {part: list(range(1, len(found) + 1)) for part, found in numbers.items()}


def test_every_part_says_who_attacks_it_and_what_is_not_claimed() -> None:
    sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    parts = [section for section in sections if clauses(section)]
    assert len(parts) == 15
    for part in parts:
        for label in ("**Who may attack:**", "**What is claimed", "**What is not claimed:**"):
            assert part.count(label) == 1, (part.splitlines()[0], label)


SOUND = "tests/unit/docs/test_security_page.py::test_every_clause_has_evidence_and_a_row"


def page_of(clause: str, row: str = "AA1") -> str:
    rows = "".join(f"| {name} Title | {row if name == 'ASI01' else 'none'} | rest |\n" for name in (*OWASP, *AARM))
    return f"{clause}\n**What is not claimed:**\n\n- Nothing.\n\n{rows}"


@pytest.mark.parametrize(
    ("clause", "row", "expected"),
    [
        (f"- **AA1.** It holds.\n  Evidence:\n  `{SOUND}`.\n", "AA1", []),
        ("- **AA1.** It holds.\n", "AA1", ["AA1 has no evidence"]),
        ("- **AA1.** It holds.\n  Evidence: trust us.\n", "AA1", ["AA1 has no evidence"]),
        (f"- **AA1.** It holds. Always.\n  Evidence: `{SOUND}`.\n", "AA1", ["AA1 is not one sentence"]),
        (
            "- **AA1.** It holds.\n  Evidence: `tests/unit/docs/test_gone.py::test_it`.\n",
            "AA1",
            ["AA1: `tests/unit/docs/test_gone.py` is not a file of tests"],
        ),
        (
            "- **AA1.** It holds.\n  Evidence: `tests/unit/docs/pages.py::blocks`.\n",
            "AA1",
            ["AA1: `tests/unit/docs/pages.py` is not a file of tests"],
        ),
        (
            f"- **AA1.** It holds.\n  Evidence: `{SOUND}`, `{SOUND}_more`.\n",
            "AA1",
            [f"AA1: `{SOUND.partition('::')[0]}` has no test `{SOUND.partition('::')[2]}_more` that runs"],
        ),
        (f"- **AA1.** It holds.\n  Evidence: `{SOUND}`.\n", "none", ["AA1 is in no row"]),
        (f"- **AA1.** It holds.\n  Evidence: `{SOUND}`.\n", "AA1, AA2", ["a row names AA2, which is not a clause"]),
        (2 * f"- **AA1.** It holds.\n  Evidence: `{SOUND}`.\n", "AA1", ["AA1 is there twice"]),
    ],
)
def test_what_is_wrong_is_found(clause: str, row: str, expected: list[str]) -> None:
    assert faults(page_of(clause, row)) == expected


def test_a_missing_row_is_found() -> None:
    page = page_of(f"- **AA1.** It holds.\n  Evidence: `{SOUND}`.\n")
    fault = "a threat or a requirement has no row, or more than one"
    for other in ("| R4 Title", "| Title"):
        assert faults(page.replace("| R5 Title", other)) == [fault]
    assert faults(page.replace("| R5 Title", "| R4 Title | none | again |\n| R5 Title")) == [fault]


def test_only_tests_that_run_are_evidence(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(
        "import pytest\n"
        "def helper(): ...\n"
        "def test_one(): ...\n"
        "@pytest.mark.parametrize('x', [1])\n"
        "def test_two(x): ...\n"
        "@pytest.mark.skip\n"
        "def test_three(): ...\n"
        "@pytest.mark.xfail(reason='later')\n"
        "def test_four(): ...\n"
        "class TestSome:\n"
        "    def test_five(self): ...\n"
        "    def helper(self): ...\n"
        "    class TestInner:\n"
        "        def test_six(self): ...\n"
        "class Helper:\n"
        "    def test_seven(self): ...\n"
        "@pytest.mark.skipif(True, reason='not here')\n"
        "class TestOther:\n"
        "    def test_eight(self): ...\n"
    )
    assert runnable_in(file) == {"test_one", "test_two", "TestSome::test_five", "TestSome::TestInner::test_six"}
    whole = tmp_path / "test_whole.py"
    whole.write_text("pytestmark = [pytest.mark.broker, pytest.mark.skip(reason='later')]\ndef test_one(): ...\n")
    assert runnable_in(whole) == frozenset()
