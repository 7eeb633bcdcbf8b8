"""Examines rules before they are published: the check, their test cases, and their scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streams.codec.avro import Codec
from streams.policy import BundleSource, CaseResult, Finding, Severity, check_bundle, run_plain_cases

if TYPE_CHECKING:
    from streams.operations.scenarios.run import ScenarioReport


@dataclass(frozen=True, slots=True)
class Readiness:
    """What speaks against publishing rules.

    Attributes:
        name: how the rules' own file calls the bundle; empty if it can't be read.
        findings: the findings of the check, and the errors of the test files.
        cases_count: the number of cases that were run.
        failures: the cases that failed.
        scenarios: the results of the scenarios; None if none were run.
    """

    name: str
    findings: tuple[Finding, ...]
    cases_count: int = 0
    failures: tuple[CaseResult, ...] = ()
    scenarios: ScenarioReport | None = None

    @property
    def is_ready(self) -> bool:
        """Return whether the rules may be published: there are no errors, and no case or scenario failed."""
        failed = self.failures or (self.scenarios is not None and self.scenarios.failures)
        return not failed and not any(finding.severity is Severity.ERROR for finding in self.findings)


def examine(source: BundleSource, codec: Codec, directory: Path | None = None) -> Readiness:
    """Check rules, and run the test cases and scenarios in their directory. Blocking.

    The solver, the coverage of the cases and the attacks are left to `rules check` and `rules test`, which take longer.

    Args:
        source: the rules.
        codec: of the records of scenarios.
        directory: where they come from; None for a draft, which has no cases.

    Raises:
        BundleReadError: the directory can't be read.
    """
    report = check_bundle(source)
    if not report.ok or directory is None:
        return Readiness(report.name, report.findings)
    results, findings = run_plain_cases(directory)
    failures = tuple(result for result in results if not result.passed)
    from streams.operations.scenarios.run import run_scenarios  # noqa: PLC0415 - a gate takes long to load

    scenarios = run_scenarios(directory, codec)
    # What is not tested is a warning of `rules test`.
    errors = (finding for finding in scenarios.findings if finding.severity is Severity.ERROR)
    return Readiness(report.name, (*report.findings, *findings, *errors), len(results), failures, scenarios)
