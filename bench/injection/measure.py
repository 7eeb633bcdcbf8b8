"""Measures how well rule bundles tell attacks from honest work, on the cases of `bench/injection/histories`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from bench.injection import simple_policies, variants
from bench.injection.cases import Case, read_cases
from bench.injection.domain import Domain, read_domains
from bench.injection.results import Judged, figures
from bench.injection.runner import Runner
from streams.wiring.shipped import rules_directory

STARTER = "starter packs"
BLOCK_ACTS = Path(__file__).with_name("policies") / "block_acts"
QUICK_EVERY = 8
Judge = Callable[[Case], Judged]
Variant = Callable[[list[Case], Mapping[str, Domain]], tuple[list[Case], Callable[[], AbstractContextManager[None]]]]
ISSUERS_SCOPE, DETECTOR_OFF, IMPERATIVES = "issuer's scope", "detector off", "imperatives"
VARIANTS: dict[str, Variant] = {
    ISSUERS_SCOPE: lambda cases, domains: (
        [variants.with_issuer_scope(case, domains[case.domain]) for case in cases],
        nullcontext,
    ),
    DETECTOR_OFF: lambda cases, _: (cases, variants.detector_off),
    IMPERATIVES: lambda cases, domains: (variants.with_imperatives(cases, domains.values()), nullcontext),
}
"""Other forms of the cases: what to judge, and what makes the context in which it is judged."""


def run(*, quick: bool) -> dict[str, Any]:
    """Judge the half to develop on by the shipped rules and the simple policies."""
    return measure(read_cases(["develop"]), {STARTER: rules_directory()}, half="develop", quick=quick)


def measure(cases: Iterable[Case], bundles: Mapping[str, Path], *, half: str, quick: bool = False) -> dict[str, Any]:
    """Judge cases, and return the figures of each policy, and those of the first bundle by domain.

    Args:
        cases: the cases.
        bundles: directories of rules by the name under which their figures appear.
        half: the name of the half, for the table.
        quick: take only some of the cases.

    Raises:
        BundleError, BundleReadError: rules are invalid, or can't be read.
    """
    chosen = list(cases)[:: QUICK_EVERY if quick else 1]
    return _result({name: list(map(judge, chosen)) for name, judge in _judges(bundles).items()}, half)


def measure_variants(
    cases: Iterable[Case], bundles: Mapping[str, Path], names: Iterable[str], *, half: str
) -> dict[str, Any]:
    """Judge cases by bundles as they are, and in other forms, and return the figures of each.

    Args:
        cases: the cases.
        bundles: directories of rules by the name under which their figures appear.
        names: any of `VARIANTS`.
        half: the name of the half, for the table.

    Raises:
        BundleError, BundleReadError: rules are invalid, or can't be read.
    """
    return _result(judge_in_forms(cases, bundles, names), half)


def judge_in_forms(cases: Iterable[Case], bundles: Mapping[str, Path], names: Iterable[str]) -> dict[str, list[Judged]]:
    """Judge cases by bundles as they are, and in other forms; return what was judged by the name of bundle and form.

    Args:
        cases: the cases.
        bundles: directories of rules by their names.
        names: any of `VARIANTS`.

    Raises:
        BundleError, BundleReadError: rules are invalid, or can't be read.
    """
    chosen, domains = list(cases), {domain.domain: domain for domain in read_domains()}
    forms = {variant: VARIANTS[variant](chosen, domains) for variant in names}
    judged: dict[str, list[Judged]] = {}
    for name, rules in bundles.items():
        runner = Runner(rules)
        judged[name] = list(map(runner.judge, chosen))
        for variant, (made, context) in forms.items():
            with context():
                judged[f"{name}, {variant}"] = list(map(runner.judge, made))
    return judged


def _result(judged: Mapping[str, list[Judged]], half: str) -> dict[str, Any]:
    first = next(iter(judged.values()))
    domains = {
        domain: figures(each for each in first if each.case.domain == domain)
        for domain in sorted({each.case.domain for each in first})
    }
    return {"half": half, "policies": {name: figures(each) for name, each in judged.items()}, "domains": domains}


def _judges(bundles: Mapping[str, Path]) -> dict[str, Judge]:
    domains = {domain.domain: domain for domain in read_domains()}
    judges: dict[str, Judge] = {name: Runner(rules).judge for name, rules in bundles.items()}
    judges["block every act after untrusted data"] = Runner(BLOCK_ACTS).judge

    def simply(policy: simple_policies.SimplePolicy) -> Judge:
        return lambda case: simple_policies.judge(case, domains[case.domain], policy)

    return judges | {name: simply(policy) for name, policy in simple_policies.SIMPLE.items()}
