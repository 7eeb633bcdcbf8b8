"""Measures the evaluation of rules, and compares it with the evaluator of the checker library and with other engines.

    python -m bench.parts.rules [--rounds 3] [--no-engines]

Bundles of 10, 100, 1,000 and 10,000 rules are measured, of which up to 30 apply to the tool that is called: the time to
compile the bundle, the first judgement of a tool (which generates its code), and each further judgement. The library
evaluates the applicable conditions one after the other with one shared activation, which is its fastest way, and does
not combine them to a verdict. Other policy engines have the same 1,000 rules and facts, each in its own language and in
its fastest way; see `bench/parts/engines/measure.py`. All times are CPU time of one core, in one run on one machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cel_expr_python import cel

from bench.harness.environments import python_of
from streams.policy import CompiledRuleset, bundle_from_files, compile_bundle
from streams.policy.language.bundle import BundleSource
from streams.policy.language.schema import FACT_NAMES

TOOL = "pay.t0"
APPLICABLE = 30
SIZES = (10, 100, 1_000, 10_000)
CALLS = 3_000
ENGINES = Path(__file__).with_name("engines")
ENGINES_SIZE = 1_000
ENGINES_S_MAX = 150
FACTS: dict[str, Any] = {
    "intent": {"id": "i", "turn": 3, "age_ms": 4, "claimed_sources": []},
    "args": {"amount": 2_500, "currency": "EUR", "to": "bob@example.com", "memo": "thanks for the fish", "n": 4},
    "agent": {"id": "billing-bot", "instance": "b-1"},
    "user": {"id": "alice", "scopes": ["pay:read", "pay:write", "mail:send"]},
    "tenant": "acme",
    "session": {
        "id": "s",
        "age_ms": 60_000,
        "attended": True,
        "intents": 3,
        "allowed": 3,
        "denied": 0,
        "spent": 1_000,
        "calls": {"pay.t0": 2},
        "tainted": False,
        "confidentiality": "public",
        "risk": 1,
    },
    "tool": {"id": "pay.t0", "server_id": "pay", "name": "t0", "version": "1", "read_only": False, "open_world": False,
             "irreversible": False, "external": False, "definition_digest": "ab" * 32},
    "catalog": {"reviewed_digests": ["ab" * 32, "cd" * 32]},
    "provenance": [{"source": f"e{n}", "trust": "trusted"} for n in range(8)],
    "delegation": {"depth": 0, "root_issuer": "https://issuer.example", "hops": [{"actor": "billing-bot", "depth": 0}]},
}  # fmt: skip
CONDITIONS = (
    'agent.id in lists.agents && "pay:write" in user.scopes',
    "session.tainted && (tool.irreversible || tool.external) && args.n != {n}",
    'session.spent + args.amount > {n}00000 || args.currency != "EUR"',
    "!(tool.definition_digest in catalog.reviewed_digests) && args.n != {n}",
    'provenance.exists(p, p.trust != "trusted") && tool.open_world && args.n != {n}',
    'args.to.endsWith("@evil{n}.test") || args.memo.contains("secret{n}")',
    "session.risk > 3 && session.attended == false && args.n != {n}",
    'delegation.hops.exists(h, h.actor == "drift{n}" && h.depth > 2)',
    'args.to.matches("^[a-z]+@bad{n}[.]test$")',
    "size(user.scopes) > 10 || session.denied > {n}0",
)
AGENTS = ("support-refunds", "billing-bot")


def effect_of(number: int) -> str:
    """Return what a rule does."""
    return "permit" if number % 10 == 0 else "deny"


def tool_of(number: int) -> str:
    """Return which tool a rule is for."""
    return TOOL if number < APPLICABLE else f"pay.t{1 + number % 300}"


def make_bundle(count: int) -> BundleSource:
    """Return a bundle of `count` rules, up to 30 of them for the tool `pay.t0` and the others for other tools."""
    rules = []
    for number in range(count):
        condition = CONDITIONS[number % len(CONDITIONS)].replace("{n}", str(number + 1))
        rules.append(
            f"  - id: R-{number:05}\n    effect: {effect_of(number)}\n    match: {{tools: [{tool_of(number)}]}}\n"
            f"    when: '{condition}'\n    reason: rule number {number}\n"
        )
    text = "apiVersion: rules/v1\npack: p\nlists: {agents: [" + ", ".join(AGENTS) + "]}\nrules:\n" + "".join(rules)
    head = 'apiVersion: rules/v1\nbundle: bench\nversion: "1"\n'
    return bundle_from_files({"bundle.yaml": head, "p/p.rules.yaml": text})


def library_judge(ruleset: CompiledRuleset) -> Callable[[], list[bool]]:
    """Return the library's own evaluation of the rules that apply to the tool."""
    config = cel.NewEnvConfigFromYaml("extensions:\n  - name: strings\n")
    names = {**dict.fromkeys(FACT_NAMES, cel.Type.DYN), "lists.p.agents": cel.Type.List(cel.Type.STRING)}
    env = cel.NewEnv(config=config, variables=names)
    expressions = [env.compile(rule.checked.text) for rule in ruleset.applicable("pay", "t0", "1")]
    variables = {**FACTS, "lists.p.agents": list(AGENTS)}

    def judge() -> list[bool]:
        activation = env.Activation(variables)
        return [expression.eval(activation).value() for expression in expressions]

    return judge


def per_call_us(call: Callable[[], Any], calls: int, rounds: int) -> float:
    """Return microseconds of CPU a call, the median of some rounds: others may be at work on the machine."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(calls):
            call()
        found.append((time.process_time() - start) / calls * 1e6)
    return statistics.median(found)


def engines(count: int, answer: str, rounds: int) -> list[dict[str, Any]]:
    """Return what a judgement costs other engines with as many rules, after each has come to the same answer."""
    order = {
        "rules": [
            {
                "id": f"R-{number:05}",
                "number": number,
                "kind": number % len(CONDITIONS),
                "effect": effect_of(number),
                "tool": tool_of(number),
            }
            for number in range(count)
        ],
        "facts": FACTS,
        "agents": list(AGENTS),
        "tool": TOOL,
        "answer": answer,
        "rounds": rounds,
    }
    python = python_of("engines", ENGINES / "requirements.txt")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(order, file)
        file.flush()
        command = [str(python), str(ENGINES / "measure.py"), file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=ENGINES_S_MAX, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print one line for each size, and one for each engine."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts.rules", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-engines", action="store_true", help="leave other policy engines out")
    options = parser.parse_args()
    rounds = options.rounds
    sys.stdout.write(
        f"{'rules':>7} {'apply':>6} {'compile ms':>11} {'first ms':>9} {'ours us':>8} {'ours /s':>9} "
        f"{'library us':>11} {'ratio':>6}\n"
    )
    for size in SIZES:
        source = make_bundle(size)
        start = time.process_time()
        ruleset = compile_bundle(source)
        compile_ms = (time.process_time() - start) * 1e3
        start = time.process_time()
        result = ruleset.evaluate(FACTS)
        first_ms = (time.process_time() - start) * 1e3
        judge = library_judge(ruleset)
        assert [match.rule_id for match in result.rules] == [
            rule.rule.id for rule, hit in zip(ruleset.applicable("pay", "t0", "1"), judge(), strict=True) if hit
        ]
        assert not result.errors
        ours = per_call_us(lambda: ruleset.evaluate(FACTS), CALLS, rounds)  # noqa: B023 - called at once
        theirs = per_call_us(judge, CALLS // 10, rounds)
        sys.stdout.write(
            f"{size:>7,} {min(size, APPLICABLE):>6} {compile_ms:>11,.0f} {first_ms:>9.1f} {ours:>8.1f} "
            f"{1e6 / ours:>9,.0f} {theirs:>11.1f} {theirs / ours:>5.1f}x\n"
        )
        if size == ENGINES_SIZE:
            ours_us, library_us, answer = ours, theirs, result.effect.value
    if options.no_engines:
        return
    rows = [("ours", ours_us), (f"cel-expr-python {version('cel-expr-python')}, conditions alone", library_us)]
    rows += [(found["engine"], found["us"]) for found in engines(ENGINES_SIZE, answer, rounds)]
    sys.stdout.write(f"\n{ENGINES_SIZE:,} rules, {APPLICABLE} for the tool{'':<32} {'us':>9} {'/s':>9} {'ours':>7}\n")
    for name, us in rows:
        sys.stdout.write(f"{name:<58} {us:>9.1f} {1e6 / us:>9,.0f} {us / ours_us:>6.0f}x\n")


if __name__ == "__main__":
    main()
