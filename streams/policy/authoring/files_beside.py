"""Checks the files beside the rules of a bundle: cases, scenarios and attacks, without running them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streams.policy.authoring.attack_file import read_corpora
from streams.policy.authoring.case_file import read_cases
from streams.policy.authoring.fixtures import Fixtures
from streams.policy.authoring.scenario_file import read_scenarios
from streams.policy.errors import BundleError, Finding, Findings
from streams.policy.language.bundle import BundleSource
from streams.policy.language.fact_types import Facts
from streams.policy.language.tool_types import ToolTypes
from streams.policy.runtime.ruleset import compile_bundle


class FilesBeside(NamedTuple):
    """What the files beside the rules hold.

    Attributes:
        findings: errors in them, ordered by location.
        left_out_count: how many findings there were beyond `FINDINGS_MAX`.
        facts: the facts of every readable case.
    """

    findings: tuple[Finding, ...] = ()
    left_out_count: int = 0
    facts: tuple[Facts, ...] = ()


def check_files_beside(
    directory: Path, source: BundleSource, tools: Mapping[str, ToolTypes] | None = None
) -> FilesBeside:
    """Find errors in the cases, scenarios and attacks of a bundle; nothing if the bundle itself is rejected. Blocking.

    Args:
        directory: the directory that contains `bundle.yaml`.
        source: the files of the bundle.
        tools: see `compile_bundle`.
    """
    root, findings = Path(directory), Findings()
    try:
        ruleset = compile_bundle(source, tools)
    except BundleError:
        # What cases expect can't be compared with rules that have errors.
        return FilesBeside()
    fixtures = Fixtures(root, ruleset, findings)
    cases = read_cases(root, ruleset, findings, fixtures)
    read_scenarios(root, ruleset, findings)
    for _ in read_corpora(root, ruleset, fixtures, findings):
        pass
    return FilesBeside(findings.sorted(), findings.left_out_count, tuple(case.facts for case in cases))
