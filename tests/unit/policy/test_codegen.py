"""The generated code: what it is made for, what it leaves to the exact evaluator, and that both agree."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.policy.cel import strings
from streams.policy.cel.exact import compile_exact
from streams.policy.cel.values import DistinctTexts
from streams.policy.cel.work import CURRENT, Account
from streams.policy.errors import EvaluationError
from streams.policy.language.check import checker_for, structs_by_type_name
from streams.policy.language.fact_types import Kind
from streams.policy.language.tool_types import UNTYPED
from streams.policy.runtime import code_folds, code_shared
from streams.policy.runtime.code_folds import CONSTANT_LOOP_MAX
from streams.policy.runtime.codegen import Generated, generate
from streams.policy.runtime.evaluate import EXACT_RUNS_MAX, Conditions, SeldomEvaluated

LISTS: dict[str, tuple[Any, ...]] = {
    "lists.names": ("a", "b"),
    "lists.numbers": (1, 2),
    "lists.doubles": (1.0, float("nan")),
    "lists.none": (),
}
KINDS = {"lists.names": Kind.STRING, "lists.numbers": Kind.INT, "lists.doubles": Kind.DOUBLE, "lists.none": Kind.DYN}
FACTS: dict[str, Any] = {
    "agent": {"id": "a", "instance": "1"},
    "user": {"id": "u", "scopes": ["x", "y"]},
    "session": {"tainted": True, "attended": False, "spent": 5, "risk": 2, "calls": {"a.b": 1}, "changed": ()},
    "tool": {"id": "s.t", "name": "t", "read_only": False},
    "provenance": [{"source": "e1", "trust": "trusted"}, {"source": "e2", "trust": "untrusted"}],
    "delegation": {"depth": 1, "hops": [{"depth": 0}, {"depth": 1}]},
    "args": {"n": 5, "t": "text", "l": ["a", 1], "m": {"k": "v"}, "d": 1.5, "z": None},
}


def trees(*texts: str) -> list[Any]:
    checker = checker_for(UNTYPED.args, KINDS)
    return [checker.check(text).tree for text in texts]


def made(*texts: str) -> Generated:
    return generate(trees(*texts), LISTS, structs_by_type_name(UNTYPED.args))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("session.tainted", True),
        ("!session.tainted", False),
        ("session.tainted && !session.attended", True),
        ("session.attended || session.risk == 2", True),
        ("session.attended ? false : session.tainted", True),
        ("session.spent + 5 * 2 - 1 == 14", True),
        ("session.spent / 2 == 2 && session.spent % 2 == 1", True),
        ("session.spent < 6 && session.spent <= 5 && 4 < session.spent && session.spent >= 5", True),
        ("agent.id < 'b' && agent.id != 'b' && 'a' == agent.id", True),
        ("agent.id in ['a', 'b']", True),
        ("agent.id in lists.names", True),
        ("session.risk in lists.numbers", True),
        ("session.risk in [1, 2]", True),
        ("double(session.risk) in lists.doubles", False),
        ("agent.id in lists.none", False),
        ("args.n in lists.numbers", False),
        ("args.t in lists.names", False),
        ("'x' in user.scopes", True),
        ("agent.id in session.calls", False),
        ("session.calls['a.b'] == 1", True),
        ("size(user.scopes) == 2 && size(agent.id) == 1 && size(session.calls) == 1", True),
        ("agent.id.startsWith('a') && agent.id.endsWith('a') && agent.id.contains('a')", True),
        ("agent.id.matches('^[a-c]$')", True),
        ("args.t.matches('^te')", True),
        ("args.n + 1 == 6", True),
        ("args.n > 4.5", True),
        ("args.l[1] == 1 && args.l[0] == 'a'", True),
        ("args.m.k == 'v' && has(args.m.k) && !has(args.m.j)", True),
        ("args.z == null", True),
        ("args.t != null", True),
        ("has(session.model)", False),
        ("provenance.exists(p, p.trust == 'untrusted')", True),
        ("provenance.all(p, p.trust == 'trusted' || p.source == 'e2')", True),
        ("provenance.exists_one(p, p.trust == 'trusted')", True),
        ("provenance.filter(p, p.trust != 'trusted').map(p, p.source) == ['e2']", True),
        ("provenance.map(p, p.trust == 'trusted', p.source) == ['e1']", True),
        ("provenance.exists(i, p, i == 1 && p.trust == 'untrusted')", True),
        ("args.l.exists(x, x == 1)", True),
        ("args.m.all(k, k == 'k')", True),
        ("delegation.hops.exists(h, double(h.depth) > 0.4)", True),
        ("cel.bind(x, session.spent + 1, x * x == 36)", True),
        ("['a', 'b'].all(x, ['a', 'b', 'c'].exists(y, x == y))", True),
        ("cidr('10.0.0.0/8').containsIP(ip('10.1.2.3'))", True),
        ("duration('90s') > duration('1m')", True),
        ("user.scopes.map(s, s + '!') == ['x!', 'y!']", True),
        ("type(session.spent) == int", True),
        ("[1, 2u, 3.0] == [1u, 2, 3]", True),
        ("session.changed.exists(c, c == 'x') == false", True),
        ("session.changed.all(c, c == 'x') == true", True),
        ("'.' in args.t.split('e') || 'xt' in args.t.split('e')", True),
        ("agent.id + '.b' in session.calls && session.calls[agent.id + '.b'] == 1", True),
        ("lists.names == ['a', 'b']", True),
    ],
)
def test_it_computes(text: str, holds: bool) -> None:
    found = made(text)
    assert found.refused == ()
    assert found.run(FACTS) == (([0] if holds else []), [])


@pytest.mark.parametrize(
    "text",
    [
        "!provenance.all(p, user.scopes.exists(s, s == p.trust))",
        "args.m.exists(k, v, v == 'v')",
        "{'a': 1}.a == 1",
        "provenance.transformMap(i, p, p.trust)[0] == 'trusted'",
        "size([1].transformList(i, v, v)) == 1 && {1: 2}[1] == 2",
        "user.scopes.exists(s, [" + ", ".join(["'x'"] * (CONSTANT_LOOP_MAX + 1)) + "].exists(y, y == s))",
    ],
)
def test_it_leaves_what_is_rare_or_costly_to_the_exact_evaluator(text: str) -> None:
    assert made(text).refused == (0,)
    assert Conditions(trees(text), LISTS, structs_by_type_name(UNTYPED.args)).run(FACTS) == ([0], [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("session.tainted", "yes"), ("session.tainted", 1), ("session.tainted", None), ("session.spent > 1", "5"),
        ("session.spent > 1", True), ("session.spent > 1", 2.5), ("agent.id.startsWith('a')", 1),
        ("size(user.scopes) > 0", "xy"), ("size(user.scopes) > 0", {"a": 1}), ("'x' in user.scopes", {"x": 1}),
        ("'x' in user.scopes", "x"),
        ("has(session.model)", "model"), ("provenance.all(p, p.trust == 'a')", {"trust": 1}),
        ("provenance.exists(p, p.trust == 'trusted')", ["trusted"]), ("agent.id < 'b'", ["a"]),
        ("session.spent == 1", True), ("session.tainted == true", 1),
    ],
)  # fmt: skip
def test_values_of_wrong_types_are_judged_as_the_exact_evaluator_does(text: str, value: Any) -> None:
    (tree,) = trees(text)
    conditions = Conditions([tree], LISTS, structs_by_type_name(UNTYPED.args))
    paths: dict[str, Callable[[Any], dict[str, Any]]] = {
        "session.tainted": lambda odd: {"session": FACTS["session"] | {"tainted": odd}},
        "session.spent": lambda odd: {"session": FACTS["session"] | {"spent": odd}},
        "agent.id": lambda odd: {"agent": FACTS["agent"] | {"id": odd}},
        "user.scopes": lambda odd: {"user": FACTS["user"] | {"scopes": odd}},
        "session.model": lambda odd: {"session": odd},
        "provenance": lambda odd: {"provenance": odd},
    }
    change = next(make for path, make in paths.items() if path in text)
    facts = FACTS | change(value)
    try:
        wanted = compile_exact(tree, LISTS)(facts)
    except EvaluationError:
        wanted = None
    found = conditions.run(facts)
    assert (found.true, bool(found.failed)) == ([0] if wanted is True else [], not isinstance(wanted, bool))


def test_one_missing_field_leaves_other_rules_right() -> None:
    texts = ("session.tainted", "agent.id == 'a'", "args.nothing == 1", "session.attended && args.nothing == 1")
    conditions = Conditions(trees(*texts), LISTS, structs_by_type_name(UNTYPED.args))
    assert conditions.run(FACTS) == ([0, 1], [(2, "no such key: nothing")])
    without = {name: value for name, value in FACTS.items() if name != "session"}
    found = conditions.run(without)
    assert found.true == [1]
    assert [index for index, _ in found.failed] == [0, 2, 3]


def test_a_fold_that_rules_share_is_computed_once() -> None:
    seen: list[int] = []

    shared = "provenance.exists(p, p.trust == 'untrusted')"
    found = made(f"session.tainted && {shared}", f"!session.attended && {shared}", f"session.attended || {shared}")
    assert found.source.count("any(") == 3
    assert found.source.count(":=") == 3
    rows = [{"trust": Row("untrusted", seen)}]
    assert found.run(FACTS | {"provenance": rows}) == ([0, 1, 2], [])
    assert len(seen) == 1


PATTERNS = ("^a", "b$", "(?i)TEXT", "(?P<x>é)", "x|y", "", "[[:digit:]]+", "\\\\.")
SUBJECTS = ("", "a", "b", "ab", "text", "TEXT", "é", "日本", "x", "5", ".", "a\nb", "\ud800")


@pytest.mark.parametrize("subject", ["agent.id", "args.t", "(agent.id + string(session.risk))", "args['t']"])
@pytest.mark.parametrize("text", SUBJECTS)
def test_patterns_that_are_looked_for_together_are_found_as_if_alone(subject: str, text: str) -> None:
    conditions = trees(*(f'{subject}.matches("{pattern}")' for pattern in PATTERNS))
    facts = {**FACTS, "agent": {"id": text}, "args": {"t": text}}
    together = Conditions(conditions, LISTS, structs_by_type_name(UNTYPED.args)).run(facts)
    for index, tree in enumerate(conditions):
        try:
            expected: bool | None = compile_exact(tree, LISTS)(facts)
        except EvaluationError:
            expected = None
        found = None if index in dict(together.failed) else index in together.true
        assert found is expected, PATTERNS[index]


@pytest.mark.parametrize(
    "condition",
    [
        "['zzz', 'yyy'].exists(p, args.t.matches(p))",
        "!['yyy', 'qqq'].all(p, !args.t.matches('zzz') && !args.t.matches(p))",
        "(args.t.matches('zzz') ? user.scopes : lists.names).exists(s, s.startsWith('x'))",
        "cel.bind(x, args.t.matches('zzz'), x)",
        "[args.t].exists(t, t.matches('zzz'))",
    ],
)
def test_what_others_look_for_in_a_text_says_nothing_of_another_pattern(condition: str) -> None:
    others = (
        "args.t.matches('^x')",
        "args.t.matches('[0-9]')",
        "(args.t.matches('zzz') ? user.scopes : lists.names).exists(s, s == 'q')",
    )
    for beside in (others, (*others, condition)):
        conditions = Conditions(trees(condition, *beside), LISTS, structs_by_type_name(UNTYPED.args))
        assert 0 in conditions.run({**FACTS, "args": {"t": "text zzz"}}).true
        assert 0 not in conditions.run({**FACTS, "args": {"t": "text"}}).true


def test_a_text_that_holds_no_pattern_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[str] = []

    class Counting:
        def __init__(self, pattern: Any) -> None:
            self._pattern = pattern

        def search(self, text: bytes) -> Any:
            searches.append(self._pattern.pattern)
            return self._pattern.search(text)

    one, joined = strings.compile_pattern, strings.compile_any_pattern
    monkeypatch.setattr(strings, "compile_pattern", lambda pattern: Counting(one(pattern)))
    monkeypatch.setattr(code_shared, "compile_any_pattern", lambda patterns: Counting(joined(patterns)))
    run = made("args.t.matches('^x')", "session.tainted && args.t.matches('[0-9]')", "args.u.matches('^x')").run
    assert run({**FACTS, "args": {"t": "text", "u": "x"}}) == ([2], [])
    assert searches == ["(?:^x)|(?:[0-9])", "^x"]
    assert run({**FACTS, "args": {"t": "x5", "u": "-"}}) == ([0, 1], [])


@pytest.mark.parametrize(
    "patterns",
    [
        ("\\\\Qa", "b"),  # would quote what follows
        ("a)", "(b"),  # patterns only together
        ("(?P<n>a)", "(?P<n>b)"),  # one name twice
        ("a" * 1_900, *("b" * 1_800 + str(number) for number in range(11))),  # too much
        ("(", "a"),
    ],
)
def test_patterns_that_can_not_be_put_together(patterns: tuple[str, ...]) -> None:
    conditions = trees(*(f'args.t.matches("{pattern}") || false' for pattern in patterns))
    for text in ("", "a", "b", "a)|(?:b", "Qa"):
        facts = {**FACTS, "args": {"t": text}}
        together = Conditions(conditions, LISTS, structs_by_type_name(UNTYPED.args)).run(facts)
        for index, tree in enumerate(conditions):
            try:
                expected: bool | None = compile_exact(tree, LISTS)(facts)
            except EvaluationError:
                expected = None
            assert (None if index in dict(together.failed) else index in together.true) is expected


def test_what_python_forbids_within_a_loop_is_not_written_there() -> None:
    texts = (
        "size(provenance.filter(p, p.trust != 'trusted')) == 1",
        "provenance.filter(p, p.trust != 'trusted').all(q, q.source == 'e2')",
        "size(provenance.filter(p, p.trust != 'trusted')) < 2",
        "(args.n > 3 ? args.l : [args.t]).exists(x, x == 1)",
        "cel.bind(x, args.n + 1, x == 6)",
        "cel.bind(x, provenance.filter(p, p.trust != 'trusted'), size(x) == 1 && args.n > 4)",
        "provenance.map(p, p.source + args.t).exists(s, s.endsWith(args.t) && args.n * 2 == 10)",
    )
    found = made(*texts)
    assert found.source
    assert found.run(FACTS) == (list(range(len(texts))), [])


@pytest.mark.parametrize(
    ("text", "args", "holds"),
    [
        ("args.n == 5", {"n": 5}, True),
        ("args.n == 5", {"n": 5.0}, True),
        ("args.n == 5", {"n": True}, False),
        ("args.n == 1", {"n": True}, False),
        ("args.n != 1", {"n": True}, True),
        ("5 == args.n", {"n": "5"}, False),
        ("args.n > 4", {"n": 5}, True),
        ("args.n > 4", {"n": 4.5}, True),
        ("args.n > 4", {"n": "5"}, None),
        ("args.n > 4.5", {"n": 5}, True),
        ("args.n > 4.5", {"n": 5.0}, True),
        ("args.n > 0", {"n": True}, None),
        ("args.n + 1 == 6", {"n": 5}, True),
        ("args.n + 1 == 6", {"n": 5.0}, None),
        ("args.n + 1 > 0", {"n": 2**63 - 1}, None),
        ("1 - args.n == 0", {"n": 1}, True),
        ("session.spent * args.n == 10", {"n": 2}, True),
        ("args.n + 1 > 0", {"n": True}, None),
        ("args.n.startsWith('a')", {"n": "ab"}, True),
        ("args.n.startsWith('a')", {"n": 1}, None),
        ("args.n.contains('b')", {"n": "ab"}, True),
        ("args.n.contains('b')", {"n": ["b"]}, None),
        ("args.n.contains('b')", {"n": {"b": 1}}, None),
        ("args.n.matches('^a')", {"n": "ab"}, True),
        ("args.n.matches('^a')", {"n": None}, None),
        ("args.n.matches('(')", {"n": "a"}, None),
        ("args.n > 1", {}, None),
        ("'b' in args.n.split('.')", {"n": "a.b"}, True),
        ("'b' in args.n.split('.')", {"n": ["a.b"]}, None),
        ("args.n.split('') == ['a', 'b']", {"n": "ab"}, True),
        ("args['n'] == 'a'", {"n": "a"}, True),
        ("args['n'] == 'a'", {}, None),
        ("args[args.k] == 'a'", {"k": 1, "1": "a"}, None),
        ("args.k in args", {"k": 1}, False),
        ("session.calls[args.k] == 1", {"k": "a.b"}, True),
        ("session.calls[args.k] == 1", {"k": ["a.b"]}, None),
        ("args.k in session.calls", {"k": 1}, False),
    ],
)
def test_dynamic_operands(text: str, args: dict[str, Any], holds: bool | None) -> None:
    found = Conditions(trees(text), LISTS, structs_by_type_name(UNTYPED.args)).run(FACTS | {"args": args})
    assert (found.true, bool(found.failed)) == ([0] if holds else [], holds is None)


class Row:
    """A value that tells when it is compared."""

    def __init__(self, text: str, seen: list[int]) -> None:
        self.text, self.seen = text, seen

    def __eq__(self, other: object) -> bool:
        self.seen.append(1)
        return self.text == other

    def __hash__(self) -> int:
        return hash(self.text)


def test_a_list_of_distinct_texts_is_a_list() -> None:
    texts = ("'x' in user.scopes", "'z' in user.scopes", "user.scopes == ['x', 'y']", "user.scopes.all(s, s < 'z')",
             "user.scopes[1] == 'y'", "size(user.scopes) == 2")  # fmt: skip
    for scopes in (["x", "y"], ("x", "y"), DistinctTexts(("x", "y"))):
        found = made(*texts).run(FACTS | {"user": {"id": "u", "scopes": scopes}})
        assert found == ([0, 2, 3, 4, 5], [])


def test_an_error_in_a_shared_fold_is_an_error_of_each_rule() -> None:
    shared = "provenance.all(p, p.trust == 'trusted')"
    conditions = Conditions(trees(shared, f"!({shared})"), LISTS, structs_by_type_name(UNTYPED.args))
    found = conditions.run(FACTS | {"provenance": [{"source": "x"}]})
    assert found.true == []
    assert [index for index, _ in found.failed] == [0, 1]


def test_an_integer_that_overflows_is_an_error() -> None:
    conditions = Conditions(trees("session.spent * session.spent > 0"), LISTS, structs_by_type_name(UNTYPED.args))
    facts = FACTS | {"session": FACTS["session"] | {"spent": 2**62}}
    assert conditions.run(facts) == ([], [(0, "integer overflow")])


def test_the_source_can_be_read_by_people() -> None:
    (source,) = Conditions(trees("session.tainted"), LISTS, structs_by_type_name(UNTYPED.args)).sources
    assert source.startswith("def run(facts):")


@pytest.mark.parametrize("count", [1_000, 25_001, 110_000, 200_001])
@pytest.mark.parametrize(
    "condition",
    [
        "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].exists(p, args.items.exists(x, x == p))",
        "args.items.exists(x, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].exists(p, x == p))",
        "args.items.all(x, x != 'a') && args.items.all(x, x != 'b')",
        "args.items.map(x, x).exists(x, x == 'a')",
        "args.items.exists(x, x.matches('ab'))",
        "args.items.exists_one(x, x == 'a') || args.items.exists(i, x, i > 200001)",
    ],
)
def test_folds_take_as_many_steps_as_the_exact_evaluator_lets_them(condition: str, count: int) -> None:
    (tree,) = trees(condition)
    facts = {**FACTS, "args": {"items": ["z"] * count}}
    try:
        expected: bool | None = compile_exact(tree, LISTS)(facts)
    except EvaluationError:
        expected = None
    for beside in ((tree,), (tree, *trees("args.items.all(x, x != 'c')")), (tree, tree)):
        found = Conditions(beside, LISTS, structs_by_type_name(UNTYPED.args)).run(facts)
        assert (None if 0 in dict(found.failed) else 0 in found.true) is expected


def test_conditions_that_are_seldom_evaluated_have_the_same_results_before_and_after_their_code_is_made() -> None:
    texts = ("session.tainted", "session.attended", "args.n > 4", "args.missing == 1", "args.t", "session.risk == 2")
    structs = structs_by_type_name(UNTYPED.args)
    seldom = SeldomEvaluated(trees(*texts), LISTS, structs)
    often = Conditions(trees(*texts), LISTS, structs)
    token = CURRENT.set(Account())
    try:
        for run in range(2 * EXACT_RUNS_MAX):
            assert seldom.sources == (() if run < EXACT_RUNS_MAX else often.sources)
            assert seldom.run(FACTS) == often.run(FACTS)
            assert seldom.true_of(FACTS) in (None, often.true_of(FACTS))
    finally:
        CURRENT.reset(token)


@pytest.mark.parametrize("text", ["provenance.exists(p, p.trust == 'untrusted')", "session.calls.all(c, c != 'x')"])
def test_a_list_of_ordinary_length_is_checked_when_it_is_loaded_only(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[int] = []

    def count(value: Any) -> Any:
        visited.append(len(value))
        return value

    monkeypatch.setattr(code_folds, "guard_range", lambda *_: count)
    run = made(text).run
    assert run(FACTS) == ([0], [])
    assert visited == []
    long = {
        "provenance": FACTS["provenance"] * 40,
        "session": {**FACTS["session"], "calls": {str(n): n for n in range(80)}},
    }
    assert run({**FACTS, **long}) == ([0], [])
    assert visited == [80]
    assert run({**FACTS, "provenance": "x", "session": "x"}) is None
