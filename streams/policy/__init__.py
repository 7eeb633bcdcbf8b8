"""The rules: a bundle of YAML files with CEL conditions is compiled to a ruleset, which judges intents.

`load_bundle` or `bundle_from_files` -> `compile_bundle` -> `CompiledRuleset.evaluate(facts)` -> `PolicyResult`.

The rooms, each of which imports only from those below it:

- `authoring`: tools for rule authors: lint, proofs, case files, coverage, mutation, explanations, reference pages.
- `runtime`: the compiled ruleset: evaluation, generated code, outcomes, memories and budgets.
- `language`: from YAML files to checked CEL; `schema.py` declares the facts (see also docs/reference/rules.md).
- `ext`: functions that CEL does not have: URLs, mail addresses, paths, shell text, SQL.
- `cel`: CEL itself: checked trees, values, functions, the exact evaluator.
- `results` and `errors`: what an evaluation returns, and what a bundle is rejected for.
"""

from typing import TYPE_CHECKING

from streams.model.lazy_names import lazy_names

if TYPE_CHECKING:
    from streams.policy.authoring.attack_file import AttackReport, TechniqueResult
    from streams.policy.authoring.case_file import CaseReport, CaseResult, run_case_files, run_plain_cases
    from streams.policy.authoring.coverage import RuleCoverage
    from streams.policy.authoring.explain_intent import (
        Connective,
        ExplainedPart,
        IntentExplanation,
        RuleExplanation,
        explain_intent,
    )
    from streams.policy.authoring.files_beside import FilesBeside, check_files_beside
    from streams.policy.authoring.lint import LintReport, check_bundle
    from streams.policy.authoring.mutate import MutationReport, mutate_cases
    from streams.policy.authoring.prover import solver_is_installed
    from streams.policy.authoring.rule_outcome import RuleOutcome
    from streams.policy.errors import BundleError, EvaluationError, Finding, Location, PolicyError, Severity
    from streams.policy.language.bundle import BundleReadError, BundleSource, bundle_from_files, load_bundle
    from streams.policy.language.fact_types import Facts
    from streams.policy.language.fact_validation import schema_violations
    from streams.policy.language.schema import FACT_NAMES, FACTS, now_facts, schema_digest
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

_NAMES = {
    "streams.policy.authoring.attack_file": (
        "AttackReport",
        "TechniqueResult",
    ),
    "streams.policy.authoring.case_file": (
        "CaseReport",
        "CaseResult",
        "run_case_files",
        "run_plain_cases",
    ),
    "streams.policy.authoring.coverage": ("RuleCoverage",),
    "streams.policy.authoring.explain_intent": (
        "Connective",
        "ExplainedPart",
        "IntentExplanation",
        "RuleExplanation",
        "explain_intent",
    ),
    "streams.policy.authoring.files_beside": (
        "FilesBeside",
        "check_files_beside",
    ),
    "streams.policy.authoring.lint": (
        "LintReport",
        "check_bundle",
    ),
    "streams.policy.authoring.mutate": (
        "MutationReport",
        "mutate_cases",
    ),
    "streams.policy.authoring.prover": ("solver_is_installed",),
    "streams.policy.authoring.rule_outcome": ("RuleOutcome",),
    "streams.policy.errors": (
        "BundleError",
        "EvaluationError",
        "Finding",
        "Location",
        "PolicyError",
        "Severity",
    ),
    "streams.policy.language.bundle": (
        "BundleReadError",
        "BundleSource",
        "bundle_from_files",
        "load_bundle",
    ),
    "streams.policy.language.fact_types": ("Facts",),
    "streams.policy.language.fact_validation": ("schema_violations",),
    "streams.policy.language.schema": (
        "FACT_NAMES",
        "FACTS",
        "now_facts",
        "schema_digest",
    ),
    "streams.policy.language.tool_types": (
        "UNTYPED",
        "ToolTypes",
    ),
    "streams.policy.results": (
        "ApprovalSettings",
        "Effect",
        "Explanation",
        "Mode",
        "Obligation",
        "PolicyResult",
        "Reason",
        "RuleEffect",
        "RuleFailure",
        "RuleMatch",
        "ShadowOutcome",
    ),
    "streams.policy.runtime.explain": ("REDACTED",),
    "streams.policy.runtime.ruleset": (
        "CompiledRuleset",
        "compile_bundle",
    ),
}

if not TYPE_CHECKING:
    # Type checkers would take every name for one of the package.
    __getattr__ = lazy_names(__name__, _NAMES)


# Bundles: read the files and compile them.
__all__ = [
    "BundleReadError",
    "BundleSource",
    "CompiledRuleset",
    "bundle_from_files",
    "compile_bundle",
    "load_bundle",
]

# Facts: what conditions read.
__all__ += [
    "FACTS",
    "FACT_NAMES",
    "UNTYPED",
    "Facts",
    "ToolTypes",
    "now_facts",
    "schema_digest",
    "schema_violations",
]

# Results: what an evaluation returns.
__all__ += [
    "REDACTED",
    "ApprovalSettings",
    "Effect",
    "Explanation",
    "Mode",
    "Obligation",
    "PolicyResult",
    "Reason",
    "RuleEffect",
    "RuleFailure",
    "RuleMatch",
    "ShadowOutcome",
]

# Errors and findings.
__all__ += [
    "BundleError",
    "EvaluationError",
    "Finding",
    "Location",
    "PolicyError",
    "Severity",
]

# Lint and proofs.
__all__ += [
    "FilesBeside",
    "LintReport",
    "check_bundle",
    "check_files_beside",
    "solver_is_installed",
]

# Case files, attack files, coverage and mutation.
__all__ += [
    "AttackReport",
    "CaseReport",
    "CaseResult",
    "MutationReport",
    "RuleCoverage",
    "TechniqueResult",
    "mutate_cases",
    "run_case_files",
    "run_plain_cases",
]

# Explanations of one intent.
__all__ += [
    "Connective",
    "ExplainedPart",
    "IntentExplanation",
    "RuleExplanation",
    "RuleOutcome",
    "explain_intent",
]
