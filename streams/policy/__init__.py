"""The rules: a bundle of YAML files with CEL conditions becomes a ruleset that judges intents.

`load_bundle` or `bundle_from_files` -> `compile_bundle` -> `CompiledRuleset.evaluate(facts)` -> `PolicyResult`.
The facts are declared in `streams.policy.language.schema`; the rule language is described in docs/reference/rules.md.
"""

from streams.policy.authoring.case_file import CaseReport, CaseResult, case_facts, run_case_files
from streams.policy.authoring.coverage import RuleCoverage
from streams.policy.authoring.explain_intent import IntentExplanation, Joins, Part, RuleExplanation, explain_intent
from streams.policy.authoring.lint import LintReport, check_bundle
from streams.policy.authoring.mutate import MutationReport, mutate_cases
from streams.policy.authoring.outcome import Outcome as RuleOutcome
from streams.policy.authoring.solve import solver_is_installed
from streams.policy.errors import BundleError, EvaluationError, Finding, Location, PolicyError, Severity
from streams.policy.language.bundle import BundleReadError, BundleSource, bundle_from_files, load_bundle
from streams.policy.language.schema import FACT_NAMES, FACTS, Facts, misfits, now_facts, schema_digest
from streams.policy.language.tool_types import UNTYPED, ToolTypes
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
from streams.policy.runtime.explain import REDACTED
from streams.policy.runtime.ruleset import CompiledRuleset, compile_bundle

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
