"""Examines rules before they are published: the check, and their test cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streams.policy import BundleSource, CaseResult, Finding, Severity, check_bundle, run_plain_cases


@dataclass(frozen=True, slots=True)
class Readiness:
    """What speaks against publishing rules.

    Attributes:
        name: how the rules' own file calls the bundle; empty if it can't be read.
        findings: the findings of the check, and the errors of the test files.
        cases_count: the number of cases that were run.
        failures: the cases that failed.
    """

    name: str
    findings: tuple[Finding, ...]
    cases_count: int = 0
    failures: tuple[CaseResult, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Return whether the rules may be published: there are no errors, and no case failed."""
        return not self.failures and not any(finding.severity is Severity.ERROR for finding in self.findings)


def examine(source: BundleSource, directory: Path | None = None) -> Readiness:
    """Check rules, and run the test cases in their directory. Blocking.

    The solver, the coverage of the cases and the attacks are left to `rules check` and `rules test`, which take longer.

    Args:
        source: the rules.
        directory: where they come from; None for a draft, which has no cases.

    Raises:
        BundleReadError: the directory can't be read.
    """
    report = check_bundle(source)
    if not report.ok or directory is None:
        return Readiness(report.name, report.findings)
    results, findings = run_plain_cases(directory)
    failures = tuple(result for result in results if not result.passed)
    return Readiness(report.name, (*report.findings, *findings), len(results), failures)
