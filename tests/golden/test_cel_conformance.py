"""The official CEL conformance suite, and the published list of what is left out of it."""

import re
from collections import Counter
from typing import Any

import pytest
from cel_suite import ROOT, SCOPE, agrees, case_id, outcome, read_suite

CASES, WHOLE = read_suite()
PAGE = ROOT / "docs" / "reference" / "cel-conformance.md"
SKIPPED = set(re.findall(r"^\| `([^`]+/[^`]+)` \|", PAGE.read_text(), re.MULTILINE))


@pytest.mark.parametrize("group", sorted(SCOPE))
def test_suite_agrees(group: str) -> None:
    cases = [case for case in CASES if case["file"] in SCOPE[group] and case_id(case) not in SKIPPED]
    assert cases
    wrong = [(case_id(case), case["expr"], case["expect"], outcome(case)) for case in cases if not agrees(case)]
    assert wrong == []


def test_scope_is_as_published() -> None:
    found = Counter({group: sum(case["file"] in files for case in CASES) for group, files in SCOPE.items()})
    if WHOLE:
        assert found == {"core": 1094, "string_ext": 213, "network_ext": 69, "macros2": 46, "bindings": 8}
        assert {case_id(case) for case in CASES} >= SKIPPED
    assert all(found.values())
    assert len(SKIPPED) == 4


@pytest.mark.parametrize("case", [case for case in CASES if case_id(case) in SKIPPED], ids=case_id)
def test_what_is_skipped_still_differs(case: dict[str, Any]) -> None:
    assert not agrees(case), "take it off the list in docs/reference/cel-conformance.md"
