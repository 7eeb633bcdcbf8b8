"""The work of hostile rules on hostile arguments is bounded; it is counted in calls and bytes, never in seconds."""

from __future__ import annotations

import json
import random  # noqa: TID251 - chance with a seed
import tracemalloc
from typing import Any

import pytest

from bench.parts.counting import calls_of
from streams.policy import bundle_from_files, compile_bundle
from streams.policy.cel import strings, work
from streams.policy.cel.pattern_costs import UNFOLDED_FREE_MAX, unfolded_positions
from streams.policy.results import Effect, Reason
from streams.policy.runtime.ruleset import CompiledRuleset
from tests.starter import starter_fixtures, starter_source

BUDGET = 200_000
CALLS_PER_UNIT = 4
"""Calls of functions, also of built-in ones, that a unit may stand for: a tenth of a microsecond is less than four."""

CALLS_SPARE = 400_000
TOOL = {"server_id": "s", "name": "t", "version": "1"}
HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'

LISTS = ("args.list", "args.texts", "texts(args)", "args.texts.map(t, args.long)", "(args.list + args.list)")
BODIES = (
    "args.texts.exists(y, y == string(x))",
    "x in args.list",
    "x in args.texts",
    "[x] in args.list",
    "args.long.contains(string(x))",
    "args.long.matches(string(x) + '$')",
    "string(x).matches(args.pattern)",
    "size(args.long + string(x)) == 1",
    "size(args.list + [x]) == 1",
    "args.list == args.twin",
    "args.map == args.map2",
    "args.long == args.long2",
    "args.long < args.long2",
    "size(texts(args)) == 0",
    "size(texts(x)) == 1000",
    "size(args.long.split('')) == 0",
    "args.long.replace('x', 'yy') == ''",
    "args.long.lowerAscii() == ''",
    "args.texts.join(args.long) == ''",
    "'%s'.format([args.list]) == ''",
    "size(sql('select ' + string(x), 'postgres').statements) == 0",
    "size(shell('ls ' + string(x)).commands) == 0",
    "url('https://example.com/' + string(x)).host() == ''",
    "isUrl(args.long)",
    "holdsSecret(args)",
    "isEmailAddress(string(x) + '@example.com')",
    "size(emailAddresses(args.addresses)) == 0",
    "isPath('/tmp/' + string(x))",
    "string(x).isLookalikeOf(args.texts)",
    "args.dotted.isLookalikeOf('paypal.com')",
    "skeleton(args.dotted + string(x)) == ''",
    "url('https://example.com').hostWithin(args.domains)",
    "args.list.all(y, args.list.all(z, z != y + x))",
    "size(args.list.filter(y, y > 0).map(y, [y, x])) == 1",
    "cel.bind(a, [x, x], cel.bind(b, [a, a], cel.bind(c, [b, b], cel.bind(d, [c, c], d == d))))",
)
WRAPS = (
    "{list}.exists(x, {body})",
    "{list}.all(x, !({body}))",
    "size({list}.filter(x, {body})) == 77",
    "size({list}.map(x, {body})) == 77",
    "{list}.exists_one(x, {body})",
    "{list}.exists(w, {list}.exists(x, {body}))",
    "size({list}.map(w, args.long + string(w))) == 77",
)


def doubling(levels: int) -> str:
    """A value that contains itself many times over, compared with its like."""
    parts = [f"cel.bind(v{n}, [v{n - 1}, v{n - 1}], " for n in range(1, levels)]
    last = f"v{levels - 1}"
    return f"cel.bind(v0, [args.n, args.n], {''.join(parts)}{last} == [{last}[0], {last}[1]]{')' * levels}"


def hostile_args(rng: random.Random) -> dict[str, Any]:
    count = rng.choice((70, 700, 4_000))
    long = rng.choice(("x", "ab")) * rng.choice((100, 5_000, 60_000))
    rows = [{"k": number, "v": [number]} for number in range(count)]
    return {
        "n": 1,
        "list": list(range(count)),
        "twin": list(range(count)),
        "texts": [f"{rng.random()}{'a' * rng.choice((1, 200))}" for _ in range(count)],
        "long": long,
        "long2": long[:-1] + "y",
        "pattern": "(a|b)*c" * rng.choice((1, 200)),
        "map": {"rows": rows},
        "map2": {"rows": [dict(row) for row in rows]},
        "addresses": ["a@example.com"] * count,
        "dotted": "a." * rng.choice((10, 450)),
        "domains": [f"d{number}.example.com" for number in range(count)],
        "query": "select a" + "[1]" * 490,
    }


def ruleset_of(*conditions: str) -> CompiledRuleset:
    lines = ["apiVersion: rules/v1", "pack: p", "rules:"]
    lines += ["  - {id: P, effect: permit, match: {tools: ['*']}, when: 'true', reason: p}"]
    for number, condition in enumerate(conditions):
        match = "match: {tools: ['*']}"
        lines.append(f"  - {{id: D{number}, effect: deny, {match}, when: {json.dumps(condition)}, reason: d}}")
    return compile_bundle(bundle_from_files({"bundle.yaml": HEAD, "p/p.rules.yaml": "\n".join(lines)}))


@pytest.mark.parametrize("seed", range(24))
def test_no_rule_does_more_work_than_its_budget(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test chooses, nothing is secret
    wrap = rng.choice(WRAPS)
    bodies = [body for number, body in enumerate(BODIES) if number % 4 == seed % 4]
    conditions = [wrap.format(list=rng.choice(LISTS), body=body) for body in bodies]
    ruleset = ruleset_of(*conditions, doubling(24))
    facts = {"tool": TOOL, "args": hostile_args(rng)}
    ruleset.plan(TOOL)
    monkeypatch.setattr(work.Account.__init__, "__defaults__", (BUDGET,))
    results = []
    tracemalloc.start()
    try:
        calls = calls_of(lambda: results.append(ruleset.evaluate(facts)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert calls < CALLS_PER_UNIT * BUDGET + CALLS_SPARE
    assert peak_bytes < 60_000_000
    assert results[0].effect is Effect.DENY


@pytest.mark.parametrize(
    "condition",
    [
        "size(sql(args.query, 'postgres').statements) == 0",
        "size(args.list.map(x, args.long + string(x))) == 77",
        "args.list.exists(x, size(texts(args)) == 0)",
        "args.list.exists(x, size(sql('select ' + args.texts[x], 'postgres').statements) == 0)",
        "args.texts.exists(x, (args.dotted + x).isLookalikeOf(args.domains))",
        doubling(25),
        "args.list.exists(x, args.list.exists(y, args.long.contains(string(x))))",
        "args.list.exists(x, args.texts.exists(y, y == 'z' + string(x)))",
        "args.list.exists(x, args.map == args.map2 && x < 0)",
    ],
)
def test_what_costs_too_much_is_an_error_of_the_rule(condition: str) -> None:
    rng = random.Random(5)  # noqa: S311 - as above
    args = hostile_args(rng) | {"list": list(range(4_000)), "long": "x" * 60_000, "dotted": "a." * 450}
    args |= {"texts": [f"a{number}" for number in range(4_000)]}
    result = ruleset_of(condition).evaluate({"tool": TOOL, "args": args})
    assert (result.effect, result.reason) == (Effect.DENY, Reason.RULE_ERROR)
    assert "work" in result.errors[0].text or "steps" in result.errors[0].text


def test_the_state_of_caches_decides_nothing() -> None:
    ruleset = ruleset_of("size(sql(args.query, 'postgres').statements) == 0")
    facts = {"tool": TOOL, "args": {"query": "select 1"}}
    spent = []
    for _ in range(2):
        token = work.begin()
        try:
            ruleset.plan(TOOL)
            account = work.CURRENT.get()
            program = ruleset._programs["s", "t", "1"]
            program.conditions.true_of(facts)
            assert account is not None
            spent.append(work.WORK_MAX - account.left)
        finally:
            work.end(token)
    assert spent[0] == spent[1] > 1_000


def test_the_starter_rules_need_a_small_part_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ruleset = compile_bundle(starter_source())
    accounts: list[work.Account] = []

    class Watched(work.Account):
        def __init__(self) -> None:
            super().__init__()
            accounts.append(self)

    monkeypatch.setattr("streams.policy.runtime.ruleset.Account", Watched)
    for facts in starter_fixtures():
        ruleset.evaluate(facts)
    assert 0 < max(work.WORK_MAX - account.left for account in accounts) < work.WORK_MAX // 20


UNFOLDING = (
    ("a{1000}", 1_000),
    ("((a?){30}){30}", 900),
    (r"(?:\pL|\pN|\pS){300}", 1_800),
    ("(?i)a(?P<x>b{2}){3}", 6),
    (r"(?:\p{Greek}|[[:alpha:]\]]{4}){5}", 25),
    ("[^]]{3}", 3),
    (r"\Qa{9}\E", 0),
    (r"\x{85}+[0-9a-f]*(ab|cd)?", 0),
    ("a{,5}", 0),
)


@pytest.mark.parametrize(("pattern", "positions"), UNFOLDING)
def test_repetitions_are_unfolded(pattern: str, positions: int) -> None:
    assert unfolded_positions(pattern) == positions


@pytest.mark.parametrize(
    "pattern", [".{1000}", "(.{31}){32}", "((a?){30}){30}", "[01]*1[01]{900}2", r"(?:\pL|\pN|\pS){300}"]
)
def test_a_search_that_takes_seconds_is_an_error_of_the_rule(pattern: str) -> None:
    rules = ruleset_of(f"args.text.matches({json.dumps(pattern)})", f"args.texts.exists(t, t.matches({pattern!r}))")
    args = {"text": "aéж漢" * 60_000, "texts": ["a" * 200_000]}
    for name, value in args.items():
        result = rules.judge({**starter_fixtures()[0], "args": {"text": "", "texts": [], name: value}})
        assert any("units of work" in failure.text for failure in result.errors), name
    short = {"text": "aéж漢", "texts": ["a"]}
    result = rules.judge({**starter_fixtures()[0], "args": short})
    assert not result.errors


def test_patterns_from_arguments_that_are_too_large_are_paid_for() -> None:
    rules = ruleset_of("args.texts.exists(t, 'a'.matches(t))")
    patterns = [rf"\pL{{{999 - number}}}" for number in range(60)]
    result = rules.judge({**starter_fixtures()[0], "args": {"texts": patterns}})
    assert any("units of work" in failure.text for failure in result.errors)


def test_the_patterns_of_the_starter_packs_are_searched_for_freely(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, int] = {}

    def unfolded(pattern: str) -> int:
        return found.setdefault(pattern, unfolded_positions(pattern))

    monkeypatch.setattr(strings, "unfolded_positions", unfolded)
    ruleset = compile_bundle(starter_source())
    for facts in starter_fixtures():
        ruleset.judge(facts)
    assert len(found) > 5
    assert 0 < max(found.values()) <= UNFOLDED_FREE_MAX
