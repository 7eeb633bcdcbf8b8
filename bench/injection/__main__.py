"""`python -m bench.injection`: judge recorded agent work by rule bundles, and print what attacks and honest tasks get.

Without options, this judges the half to develop on by the shipped rules, and writes `bench/results/injection.json`.
With options, it only prints. `--scope`, `--detector off` and `--imperatives` judge the cases a second time in
another form, and print both. `--forms` judges them in all three, and writes `bench/results/injection_forms.json`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save
from bench.injection.cases import HALVES, Case, read_cases, tool_of
from bench.injection.domain import DOMAINS
from bench.injection.measure import (
    DETECTOR_OFF,
    IMPERATIVES,
    ISSUERS_SCOPE,
    STARTER,
    judge_in_forms,
    measure,
    measure_variants,
)
from bench.injection.results import listed
from bench.injection.runner import Runner
from bench.tables.injection import printed
from streams.codec.jsonform import named_uuid
from streams.model.verdict import Verdict
from streams.wiring.shipped import rules_directory


def main() -> int:
    """Run the measurement and return the exit status."""
    options = _parser().parse_args()
    forget_settings()
    bundles = dict(options.rules or [(STARTER, rules_directory())])
    if options.case is not None:
        return _show(options.case, bundles)
    if options.list:
        return _list(options, bundles)
    cases = _cases(options)
    if names := _variants(options):
        result = measure_variants(cases, bundles, names, half=options.half)
    else:
        result = measure(cases, bundles, half=options.half)
    print(printed(result))
    if (name := _file_name(options)) is not None:
        save(name, result, describe_machine(), quick=False, folder=options.out)
        print(f"written to {options.out / 'README.md'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.injection", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rules",
        action="append",
        type=_named,
        metavar="NAME=DIR",
        help="a directory of rules to judge by, instead of the shipped rules; may be given several times",
    )
    parser.add_argument(
        "--half",
        choices=(*HALVES, "all"),
        default="develop",
        help="`develop` (default); `once` is for one look at the end, so don't change rules because of it",
    )
    parser.add_argument(
        "--domain",
        action="append",
        choices=sorted(path.stem for path in DOMAINS.glob("*.yaml")),
        help="judge the cases of this domain only; may be given several times",
    )
    parser.add_argument(
        "--scope", choices=("issuer",), help="judge the cases again with the task scope that an issuer would state"
    )
    parser.add_argument(
        "--detector", choices=("off",), help="judge the cases again as if no sentence read like an instruction"
    )
    parser.add_argument(
        "--imperatives",
        action="store_true",
        help="judge the honest tasks again with harmless imperatives in what others have written",
    )
    parser.add_argument("--forms", action="store_true", help="judge the cases again in all three forms")
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the attacks that succeed, and the honest tasks that are stopped, in each form that is asked for",
    )
    parser.add_argument("--case", metavar="ID", help="show what the gate decides about each call of one case")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for results (default: bench/results)")
    return parser


def _named(text: str) -> tuple[str, Path]:
    name, separator, directory = text.rpartition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=DIR")
    if not (Path(directory) / "bundle.yaml").is_file():
        raise argparse.ArgumentTypeError(f"`{directory}` contains no `bundle.yaml`")
    return name, Path(directory)


def _cases(options: argparse.Namespace) -> list[Case]:
    halves = HALVES if options.half == "all" else (options.half,)
    return [case for case in read_cases(halves) if not options.domain or case.domain in options.domain]


def _variants(options: argparse.Namespace) -> list[str]:
    wanted = {ISSUERS_SCOPE: options.scope, DETECTOR_OFF: options.detector, IMPERATIVES: options.imperatives}
    return [name for name, is_wanted in wanted.items() if is_wanted or options.forms]


def _file_name(options: argparse.Namespace) -> str | None:
    """Return the name of the file for the figures; None if they are not those that are kept."""
    if options.half != "develop" or options.rules or options.domain:
        return None
    if options.forms:
        return "injection_forms"
    return None if _variants(options) else "injection"


def _list(options: argparse.Namespace, bundles: dict[str, Path]) -> int:
    for name, judged in judge_in_forms(_cases(options), bundles, _variants(options)).items():
        print(f"{name}:", *listed(judged), "", sep="\n")
    return 0


def _show(case_id: str, bundles: dict[str, Path]) -> int:
    found = [case for case in read_cases() if case.id == case_id]
    if not found:
        print(
            f"no case `{case_id}`; their ids are on the lines `# case:` of bench/injection/histories", file=sys.stderr
        )
        return 1
    (case,) = found
    print(f"{case.id}  ({case.technique}, {case.half})\nuser: {case.request}")
    for name, rules in bundles.items():
        print(f"\n{name}:")
        _show_calls(case, Runner(rules))
    return 0


def _show_calls(case: Case, runner: Runner) -> None:
    verdicts: dict[str, list[Verdict]] = {}
    for record in runner.verdicts(case, answer=False):
        if isinstance(record, Verdict):
            verdicts.setdefault(record.intent_id, []).append(record)
    for line in case.records():
        if line["record"] != "intent":
            continue
        value = line["value"]
        name = value["intent_id"]
        whose = "goal" if name in case.goal else "user" if name in case.own else "aid"
        decided = verdicts.get(named_uuid(name), [])
        rules = sorted({rule.rule_id for verdict in decided for rule in verdict.rules})
        outcome = " then ".join(verdict.outcome.value for verdict in decided) or "no verdict"
        print(f"  {whose}  {tool_of(value):<24} {outcome:<26} {', '.join(rules)}")


if __name__ == "__main__":
    sys.exit(main())
