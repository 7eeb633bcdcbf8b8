"""The rules: a bundle of YAML files with CEL conditions becomes a ruleset that judges intents.

`load_bundle` or `bundle_from_files` -> `compile_bundle` -> `CompiledRuleset.evaluate(facts)` -> `PolicyResult`.
The facts are declared in `streams.policy.schema`; the rule language is described in docs/reference/rules.md.
"""

from streams.policy.bundle import BundleReadError, BundleSource, bundle_from_files, load_bundle
from streams.policy.casefile import CaseReport, CaseResult, case_facts, run_case_files
from streams.policy.coverage import RuleCoverage
from streams.policy.errors import BundleError, EvaluationError, Finding, Location, PolicyError, Severity
from streams.policy.explain import REDACTED
from streams.policy.explain_intent import IntentExplanation, Joins, Part, RuleExplanation, explain_intent
from streams.policy.lint import LintReport, check_bundle
from streams.policy.mutate import MutationReport, mutate_cases
from streams.policy.outcome import Outcome as RuleOutcome
from streams.policy.results import (
    ApprovalSettings,
    Effect,
    Explanation,
    Mode,
    Obligation,
    PolicyResult,
    Reason,
    RuleEffect,
    RuleFailure,
    RuleMatch,
    ShadowOutcome,
)
from streams.policy.ruleset import CompiledRuleset, compile_bundle
from streams.policy.schema import FACT_NAMES, FACTS, Facts, misfits, now_facts, schema_digest
from streams.policy.solve import solver_is_installed
from streams.policy.tooltypes import UNTYPED, ToolTypes

__all__ = [
    "FACTS",
    "FACT_NAMES",
    "REDACTED",
    "UNTYPED",
    "ApprovalSettings",
    "BundleError",
    "BundleReadError",
    "BundleSource",
    "CaseReport",
    "CaseResult",
    "CompiledRuleset",
    "Effect",
    "EvaluationError",
    "Explanation",
    "Facts",
    "Finding",
    "IntentExplanation",
    "Joins",
    "LintReport",
    "Location",
    "Mode",
    "MutationReport",
    "Obligation",
    "Part",
    "PolicyError",
    "PolicyResult",
    "Reason",
    "RuleCoverage",
    "RuleEffect",
    "RuleExplanation",
    "RuleFailure",
    "RuleMatch",
    "RuleOutcome",
    "Severity",
    "ShadowOutcome",
    "ToolTypes",
    "bundle_from_files",
    "case_facts",
    "check_bundle",
    "compile_bundle",
    "explain_intent",
    "load_bundle",
    "misfits",
    "mutate_cases",
    "now_facts",
    "run_case_files",
    "schema_digest",
    "solver_is_installed",
]
