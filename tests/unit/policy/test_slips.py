"""Slips of authors: each is told once, at its place, with what was probably meant."""

import pytest

from streams.policy import BundleError, Finding, bundle_from_files, compile_bundle
from tests.unit.policy.rulefiles import files, rule
from tests.unit.policy.test_broken_bundles import quoted


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("session.tanted", "did you mean `tainted`?"),
        ("sesion.tainted", "did you mean `session`?"),
        ("agent.id.startWith('a')", "did you mean `startsWith`?"),
        ("agent.name == 'a'", "its fields are id, instance"),
        ("args.force", "compare it, as in `... == true`"),
    ],
)
def test_an_error_says_what_to_do(when: str, hint: str) -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(rule(when=when))))
    assert caught.value.findings[0].hint == hint


def refusal(text: str, before: str = "") -> tuple[Finding, ...]:
    """The errors of a bundle with one rule."""
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(text, before=before)))
    return caught.value.findings


@pytest.mark.parametrize(
    ("match", "hint"),
    [
        ("{tools: [refund]}", "write `*.refund` for"),
        ("{tools: [pay/refund]}", "write `pay.refund`:"),
        ("{tools: [pay/*]}", "write `pay.*`:"),
        ("{tools: ['*/refund']}", "write `*.refund`:"),
        ("{tools: ['*'], servers: [pay/refund]}", "write `pay.refund` under `tools`"),
        ("{tools: ['*'], tool_version: '>=3'}", "`int(tool.version) >= 3`"),
    ],
)
def test_a_pattern_that_can_match_nothing_says_what_to_write(match: str, hint: str) -> None:
    (finding,) = refusal(rule(match=match))
    assert finding.hint is not None
    assert hint in finding.hint


LOGIC = "write `&&`, `||` and `!` for and, or and not"
QUOTE = "put the whole value in single quotes, or on a line of its own below `>-`"
BUDGET = "budgets:\n  refunds: {per: session, measure: calls, limit: 3}\n"
MEMORY = "history:\n  reads: {keep: count, on: ran}\n"
DEEP = "(" * 40 + "true" + ")" * 40
LONG_SUM = " + ".join(["session.risk"] * 40) + " == 1"


@pytest.mark.parametrize(
    ("when", "message", "hint"),
    [
        ('agent.id = "x"', "unexpected `=`", "write `==` to compare"),
        ('agent.id === "x"', "unexpected `===`", "write `==`"),
        ('agent.id <> "x"', "unexpected `<>`", "write `!=`"),
        ("session.risk => 2", "unexpected `=>`", "write `>=`"),
        ("session.tainted & true", "unexpected `&`", "write `&&`"),
        ("session.tainted | true", "unexpected `|`", "write `||`"),
        ("session.tainted and session.attended", "unexpected `and`", LOGIC),
        ("session.tainted OR session.attended", "unexpected `OR`", LOGIC),
        ("not session.tainted", "unexpected `not`", LOGIC),
        ("agent.id not in lists.a", "unexpected `not`", "write `!(a in b)`"),
        ("args.a is null", "unexpected `is`", "write `==` to compare"),
        ('agent.id contains "x"', "unexpected `contains`",
         'write it as a method, as in `agent.id.startsWith("a")`'),
        ("args.a == 10,000", "unexpected `,`", "write numbers without commas"),
        ("if session.tainted then true", "`if` is a reserved word",
         "write `CONDITION ? A : B`, or join conditions with `&&`"),
        ("agent.id == \u201cx\u201d", "unexpected `\u201c`", "write straight quotes, `\"` or `'`"),
        ("session.tainted == True", "unknown name `True`, expected a fact or a function", "write `true`"),
        ('agent.id == "x', 'text that begins with `"` is not closed',
         f'close it with `"`; if it is closed, {QUOTE}, because YAML reads ` #` as a comment'),
        ("", "the expression is empty", "write `true` for a condition that always holds"),
        ("session.tainted &&", "the expression is incomplete", "write what follows `&&`"),
        ("agent.id in", "the expression is incomplete", "write what follows `in`"),
        ("(session.tainted", "`)` is missing at the end", None),
        ("agent.id in ['a', 'b'", "`]` is missing at the end", None),
        ("session.tainted ? true", "`:` is missing at the end", None),
        ("session.tainted)", "unexpected `)`", None),
        (DEEP, "the expression is nested more than 32 levels deep",
         "split it into several rules, or search a list with `in`"),
        (LONG_SUM, "the expression is nested more than 32 levels deep",
         "split it into several rules, or search a list with `in`"),
        ('user.scopes.contains("x")', "`contains` can't be applied to (list(string), string)",
         'write `"x" in user.scopes`'),
        ('contains(agent.id, "x")', "`contains` can't be called like this",
         "write it as a method of a text, as in `args.to.contains(...)`"),
        ("agent.id.url()", "`url` can't be called like this", "check the number and the types of its arguments"),
        ('lists.a.contains("x")', "`contains` can't be applied to (list(string), string)", "write `VALUE in LIST`"),
        ('semver("1.0.0") > semver("1.0.1")', "`>` can't be applied to (rules.Semver, rules.Semver)",
         "write `a.isGreaterThan(b)` for versions `a` and `b`"),
        ('semver("1.0.0") <= "1.0.1"', "`<=` can't be applied to (rules.Semver, string)",
         "write `!a.isGreaterThan(b)` for versions `a` and `b`"),
        ("agent.instance == null", "`==` can't be applied to (string, null_type)",
         "`==` compares values of one type; write `!has(agent.instance)` to test whether it is present"),
        ("null != agent.instance", "`!=` can't be applied to (null_type, string)",
         "`==` compares values of one type; write `has(agent.instance)` to test whether it is present"),
        ('user.scopes == "x"', "`==` can't be applied to (list(string), string)",
         "`==` compares values of one type; write `VALUE in LIST` to search a list"),
        ('session.tainted == "yes"', "`==` can't be applied to (bool, string)",
         "`==` compares values of one type; write `true` and `false` without quotes"),
        ('session.risk > "3"', "`>` can't be applied to (int, string)",
         "`>` compares two numbers, or two texts; write a number in quotes only where the other side is a text"),
        ("session.tainted > 1", "`>` can't be applied to (bool, int)", "`>` compares two numbers, or two texts"),
        ("session.tainted && user.scopes", "`&&` can't be applied to (bool, list(string))",
         "a condition is true or false: compare a text or a number, and write `size(LIST) > 0` about a list"),
        ("!agent.id", "`!` can't be applied to (string)",
         "a condition is true or false: compare a text or a number, and write `size(LIST) > 0` about a list"),
        ("refunds > 2", "unknown name `refunds`, expected a fact or a function",
         "a condition can't read a budget: the gate itself denies calls that would exceed it"),
        ("history.refunds > 2", "unknown field `refunds`, expected a field of History",
         "a condition can't read a budget: the gate itself denies calls that would exceed it"),
        ("reed(args.a) == 2", "unknown name `reed`, expected a fact or a function",
         "docs/reference/functions.md lists the functions"),
        ("hostwithin(args.a) == 2", "unknown name `hostwithin`, expected a fact or a function",
         "did you mean `hostWithin`?"),
        ("reads > 2", "unknown name `reads`, expected a fact or a function", "write `history.reads`"),
        ("agent.id in a", "unknown name `a`, expected a fact or a function", "write `lists.a`"),
    ],
)  # fmt: skip
def test_a_slip_is_told_once_and_what_was_meant(when: str, message: str, hint: str | None) -> None:
    (finding,) = refusal(rule(when=quoted(when)), before="lists: {a: [x]}\n" + MEMORY + BUDGET)
    assert (finding.message, finding.hint) == (message, hint)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("session.tainted and not session.attended", [("`and`", 28), ("`not`", 32)]),
        ("session.risk = 1 and agent.id = 'a' or true", [("`=`", 25), ("`and`", 29), ("`=`", 42), ("`or`", 50)]),
        ("session.risk => 1; session.tainted and session.attended)",
         [("`=>`", 25), ("`;`", 29), ("`and`", 47), ("`)`", 67)]),
        # What follows a mistake that can't be repaired with certainty is not guessed.
        ("session.tainted then true and false", [("`then`", 28)]),
        ("true and true and true and true and true and true and true and true and true and true and true",
         [("`and`", 17 + 9 * number) for number in range(9)]),
    ],
)  # fmt: skip
def test_several_syntax_errors_of_a_condition_come_at_once(when: str, told: list[tuple[str, int]]) -> None:
    found = refusal(rule(when=quoted(when)))
    assert [(each.message.removeprefix("unexpected "), each.location.column) for each in found] == told


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"effect": "allow"}, "write `permit`"),
        ({"effect": "DENY"}, "write `deny`"),
        ({"effect": "alow"}, "did you mean `permit`?"),
        ({"effect": "block"}, "write `deny`"),
        ({"effect": "forbid"}, "write `deny`"),
        ({"effect": "reject"}, "write `deny`"),
        ({"effect": "ask"}, "write `require_approval`"),
        ({"mode": "dry-run"}, "write `shadow`"),
        ({"match": "{tools: [*]}"}, 'put text that begins with `*`, `&` or `!` in quotes, as in `["*"]`'),
        ({"match": "{tools: pay.refund}"}, "write it as a list, in brackets"),
        ({"match": '{tools: ["*"}'}, "a bracket before this is not closed, or a text inside it needs quotes"),
        ({"when": "'agent.id"}, "a quote is not closed"),
        ({"when": 'agent.id == "a: b"'}, f"if the text contains `: `, {QUOTE}; otherwise check the indentation"),
        ({"when": "{'a': true}"}, "put the whole value in quotes"),
        ({"when": "{'a': true}.a"}, f"a value that begins with a quote or a bracket must end with it: {QUOTE}"),
        ({"when": '"a" in user.scopes'}, f"a value that begins with a quote or a bracket must end with it: {QUOTE}"),
        ({"when": "!session.tainted"}, "put text that begins with `!` in quotes"),
        ({"when": "*tainted"}, "repeat the value itself; put text that begins with `*` in quotes"),
        ({"when": "&tainted"}, "repeat the value itself; put text that begins with `&` in quotes"),
        ({"when": "> 1"}, f"`>` and `|` begin text on the lines below: {QUOTE}"),
        ({"when": "- 1"}, f"if the text begins with `- `, {QUOTE}; otherwise check the indentation"),
        ({"when": "? 1"}, f"if the text begins with `? `, {QUOTE}; otherwise check the indentation"),
        (
            {"reason": "`x` is not"},
            "put text that begins with this character in quotes; indent with spaces, not with tabs",
        ),
        ({"reason": "x\n   y: z"}, "check the indentation"),
        ({"reason": "x\n\tmode: off"}, "indent with spaces"),
    ],
)
def test_a_slip_of_form_is_told_once_and_what_was_meant(changes: dict[str, str], hint: str) -> None:
    (finding,) = refusal(rule(**changes))
    assert finding.hint == hint


@pytest.mark.parametrize(
    ("when", "column"),
    [
        ("sesion.tainted", 11),
        ("true && sesion.model.text == 'a'", 19),
        ("emailAdresses(agent.id).size() == 1", 11),
        ("true && emailAdresses (agent.id).size() == 1", 19),
        ("agent.id.startWith('a')", 20),
        ("sesion . tainted", 11),
        ("nope", 11),
        ("user.scopes.contains('a')", 23),
        ("session.tainted || tainted", 30),
    ],
)
def test_an_unknown_name_stands_where_it_begins(when: str, column: int) -> None:
    (finding,) = refusal(rule(when=when))
    assert (finding.location.line, finding.location.column) == (7, column)
