"""The official CEL conformance suite, and the published list of what is left out of it."""

import math
import re
from collections import Counter
from typing import Any

import pytest
from cel_suite import ROOT, SCOPE, agrees, as_condition, case_id, outcome, read_suite

from streams.policy.language.check import structs_by_type_name
from streams.policy.language.tool_types import UNTYPED
from streams.policy.runtime.codegen import generate
from streams.policy.runtime.evaluate import Conditions

ANSWERED_MIN = 1_000

CASES = read_suite()
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
    assert found == {"core": 1094, "string_ext": 213, "network_ext": 69, "macros2": 46, "bindings": 8}
    assert {case_id(case) for case in CASES} >= SKIPPED
    assert len(SKIPPED) == 4


@pytest.mark.parametrize("case", [case for case in CASES if case_id(case) in SKIPPED], ids=case_id)
def test_what_is_skipped_still_differs(case: dict[str, Any]) -> None:
    assert not agrees(case), "take it off the list in docs/reference/cel-conformance.md"


def test_generated_code_agrees_as_far_as_it_goes() -> None:
    """Each case as a condition: what generated code answers is right, and it hands on the rest."""
    counts: Counter[str] = Counter()
    wrong = []
    for case in CASES:
        if case_id(case) in SKIPPED:
            continue
        try:
            tree, facts = as_condition(case)
        except RuntimeError:
            counts["not read"] += 1
            continue
        structs = structs_by_type_name(UNTYPED.args)
        found = Conditions([tree], {}, structs).run(facts)
        if (bool(found.true), bool(found.failed)) != _wanted(case):
            wrong.append((case_id(case), case["expr"], case["expect"], found))
        made = generate([tree], {}, structs)
        answered = None if made.refused else made.run(facts)
        counts["handed on" if answered is None or answered[1] else "answered"] += 1
    assert wrong == []
    assert counts["answered"] > ANSWERED_MIN, counts


def _wanted(case: dict[str, Any]) -> tuple[bool, bool]:
    """Whether it is true, and whether it is in error."""
    kind, value = case["expect"]
    is_nan = kind == "value" and value[0] == "double" and math.isnan(float(value[1]))
    return kind == "value" and not is_nan, kind != "value"
