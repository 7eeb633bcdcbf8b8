"""What the gate sees of a compiled ruleset."""

import hashlib
from typing import Any

import pytest

from streams.policy import Effect, PolicyResult, Reason, ToolTypes, bundle_from_files, compile_bundle
from streams.policy.runtime.codegen import RULES_PER_FUNCTION_MAX
from tests.unit.policy.rulefiles import HEAD, PERMIT, facts, files, rule, ruleset, tool

TYPES = ToolTypes.from_json_schema(
    {
        "type": "object",
        "required": ["amount"],
        "properties": {"amount": {"type": "number"}, "count": {"type": "integer"}, "memo": {"type": "string"}},
    }
)


def permit(**changes: Any) -> str:
    return rule(**({"id": "P-1", "effect": "permit", "when": '"true"'} | changes))


def test_it_tells_what_it_is() -> None:
    compiled = ruleset(PERMIT)
    assert (compiled.name, compiled.version, compiled.mode) == ("b", "1", "enforce")
    assert compiled.digest == bundle_from_files(files(PERMIT)).digest
    assert len(compiled.digest) == hashlib.sha256().digest_size


def test_needs_are_what_the_rules_of_a_tool_read() -> None:
    compiled = ruleset(
        permit(match="{tools: [pay.*]}", when="agent.id == 'a' && size(provenance) > 0")
        + rule(id="D-1", match='{tools: ["git.*"], agents: [bot], tenants: [acme]}', when="now.hour > 3")
        + rule(id="D-2", match='{tools: ["git.push"], tool_version: "2.*"}', when="session.tainted", mode="shadow")
        + rule(id="D-3", match='{tools: ["git.push"]}', when="delegation.hops.exists(h, h.depth > 5)", mode="off")
    )
    assert compiled.plan(tool("pay", "refund")).needs == {"tool", "agent", "provenance"}
    assert compiled.plan(tool("git", "log")).needs == {"tool", "agent", "tenant", "now"}
    assert compiled.plan(tool("git", "push", version="2.0")).needs == {"tool", "agent", "tenant", "now", "session"}
    assert compiled.plan(tool("git", "push", version="1.0")).needs == {"tool", "agent", "tenant", "now"}
    assert compiled.plan(tool("mail", "send")).needs == {"tool"}


def test_needs_count_explanations_and_macros() -> None:
    compiled = ruleset(permit(when="macros.m", explain="{who: user.scopes}"), before="macros: {m: session.tainted}\n")
    assert compiled.plan(tool("a", "b")).needs == {"tool", "session", "user"}


def test_what_a_tool_decides_by_itself_is_not_asked_for() -> None:
    compiled = ruleset(
        permit(when="tool.read_only || session.attended")
        + rule(id="D-1", when="'!tool.read_only && size(provenance) > 3'")
        + rule(id="D-2", when="'tool.destructive ? now.hour > 3 : size(user.id) == 0'")
    )
    reads = tool("a", "b", read_only=True, destructive=False)
    assert compiled.plan(reads).needs == {"tool", "user"}
    assert compiled.evaluate({"tool": reads, "user": {"id": "ann"}}).effect is Effect.ALLOW
    writes = tool("a", "b", read_only=False, destructive=True)
    assert compiled.plan(writes).needs == {"tool", "session", "provenance", "now"}
    assert compiled.evaluate({"tool": writes, "user": {"id": "ann"}}).reason is Reason.RULE_ERROR


def test_a_tool_that_is_described_otherwise_is_judged_anew() -> None:
    compiled = ruleset(permit(when="tool.read_only"))
    for read_only in (True, False, True):
        effect = compiled.evaluate({"tool": tool("a", "b", read_only=read_only)}).effect
        assert effect is (Effect.ALLOW if read_only else Effect.DENY)
    # Also where the very object was changed.
    described = tool("a", "b", read_only=True)
    assert compiled.evaluate({"tool": described}).effect is Effect.ALLOW
    described["read_only"] = False
    assert compiled.evaluate({"tool": described}).effect is Effect.DENY
    # A number is no bool, though 1 equals True.
    assert compiled.evaluate({"tool": tool("a", "b", read_only=1)}).errors[0].rule_id == "P-1"


def test_facts_beyond_the_needs_are_not_asked_for() -> None:
    compiled = ruleset(permit(when="session.tainted == false"))
    needed = {name: value for name, value in facts().items() if name in compiled.plan(facts()["tool"]).needs}
    assert compiled.evaluate(needed).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("match", "server", "name", "version", "applies"),
    [
        ('{tools: ["*"]}', "any", "thing", "", True),
        ("{tools: [pay.refund]}", "pay", "refund", "1", True),
        ("{tools: [pay.refund]}", "pay", "Refund", "1", False),
        ("{tools: [pay.refund]}", "Pay", "refund", "1", False),
        ("{tools: [pay.refund]}", "pay", "refund2", "1", False),
        ('{tools: ["pay.*"]}', "pay", "a.b.c", "1", True),
        ('{tools: ["pay.*"]}', "payroll", "x", "1", False),
        ('{tools: ["*.send"]}', "mail", "send", "1", True),
        ('{tools: ["*.send"]}', "mail", "re.send", "1", False),
        ('{tools: ["m?il.send"]}', "mail", "send", "1", True),
        ('{tools: ["m?il.send"]}', "mil", "send", "1", False),
        ('{tools: ["pay.refund", "mail.*"]}', "mail", "x", "1", True),
        ('{tools: ["a.b.c"]}', "a.b", "c", "1", False),
        ('{tools: ["a.b.c"]}', "a", "b.c", "1", True),
        ('{tools: ["pay.r+"]}', "pay", "rr", "1", False),
        ('{tools: ["pay.r+"]}', "pay", "r+", "1", True),
        ('{tools: ["pay.r.f"]}', "pay", "rxf", "1", False),
        ('{tools: ["*"], servers: [pay]}', "pay", "x", "1", True),
        ('{tools: ["*"], servers: [pay]}', "mail", "x", "1", False),
        ('{tools: ["*"], servers: ["p*"]}', "pay", "x", "1", True),
        ('{tools: ["*"], tool_version: "1.*"}', "a", "b", "1.2", True),
        ('{tools: ["*"], tool_version: "1.*"}', "a", "b", "2.0", False),
        ('{tools: ["*"], tool_version: "1.*"}', "a", "b", "", False),
    ],
)
def test_a_rule_is_for_the_tools_it_names(match: str, server: str, name: str, version: str, applies: bool) -> None:
    compiled = ruleset(permit(match=match))
    tool = {"server_id": server, "name": name, "version": version}
    assert (compiled.evaluate({"tool": tool}).effect is Effect.ALLOW) is applies
    assert bool(compiled.applicable(server, name, version)) is applies


@pytest.mark.parametrize(
    ("match", "agent", "tenant", "applies"),
    [
        ('{tools: ["*"], agents: [helper]}', "helper", "acme", True),
        ('{tools: ["*"], agents: [helper]}', "helper2", "acme", False),
        ('{tools: ["*"], agents: ["help*", x]}', "helper2", "acme", True),
        ('{tools: ["*"], tenants: [acme]}', "helper", "acme", True),
        ('{tools: ["*"], tenants: [acme]}', "helper", "other", False),
        ('{tools: ["*"], agents: [helper], tenants: [acme]}', "helper", "other", False),
    ],
)
def test_a_rule_is_for_the_callers_it_names(match: str, agent: str, tenant: str, applies: bool) -> None:
    for text, effect in ((permit(match=match), Effect.ALLOW), (PERMIT + rule(match=match, when='"true"'), Effect.DENY)):
        result = ruleset(text).evaluate(facts(agent={"id": agent}, tenant=tenant))
        assert (result.effect is effect) is applies


@pytest.mark.parametrize("changes", [{"agent": None}, {"agent": {}}, {"agent": {"id": 1}}, {"tenant": None}])
def test_a_caller_who_cannot_be_told_is_denied_and_never_permitted(changes: dict[str, Any]) -> None:
    match = '{tools: ["*"], agents: [helper], tenants: [acme]}'
    assert ruleset(permit(match=match)).evaluate(facts(**changes)).effect is Effect.DENY
    denied = ruleset(PERMIT + rule(match=match, when='"true"')).evaluate(facts(**changes))
    assert (denied.effect, denied.reason) == (Effect.DENY, Reason.RULE_DENIED)


def test_an_error_in_a_rule_for_others_is_nothing() -> None:
    broken = rule(match='{tools: ["*"], agents: [other]}', when="args.nothing == 1")
    result = ruleset(PERMIT + broken).evaluate(facts())
    assert (result.effect, result.errors) == (Effect.ALLOW, ())


@pytest.mark.parametrize(
    "odd",
    [{}, {"tool": None}, {"tool": "pay.refund"}, {"tool": {}}, {"tool": {"server_id": "pay"}},
     {"tool": {"server_id": 1, "name": "x", "version": "1"}},
     {"tool": {"server_id": "pay", "name": ["x"], "version": "1"}},
     {"tool": {"server_id": "pay", "name": "x", "version": 1}}],
)  # fmt: skip
def test_a_call_without_a_tool_is_denied(odd: dict[str, Any]) -> None:
    result = ruleset(PERMIT).evaluate(odd)
    assert (result.effect, result.reason) == (Effect.DENY, Reason.NO_PERMIT)


def test_a_result_is_the_same_each_time() -> None:
    compiled = ruleset(permit(when="session.tainted == false") + rule())
    first, second = compiled.evaluate(facts()), compiled.evaluate(facts())
    assert first == second
    tainted = compiled.evaluate(facts(session={"tainted": True}))
    assert tainted.effect is Effect.DENY
    assert compiled.evaluate(facts()) == first


def test_results_are_immutable_and_comparable() -> None:
    result = ruleset(PERMIT).evaluate(facts())
    assert isinstance(hash(result), int)
    with pytest.raises(AttributeError):
        result.effect = Effect.DENY


class TestTypedArguments:
    def judge(self, when: str, **args: Any) -> PolicyResult:
        compiled = ruleset(permit(match="{tools: [pay.refund]}", when=when), tools={"pay/refund": TYPES})
        return compiled.evaluate(facts(args=args))

    def test_a_whole_number_is_a_double_where_the_schema_says_number(self) -> None:
        assert self.judge("args.amount * 2.0 == 10.0", amount=5).effect is Effect.ALLOW
        assert self.judge("args.amount * 2.0 == 11.0", amount=5.5).effect is Effect.ALLOW

    def test_a_whole_double_is_an_integer_where_the_schema_says_so(self) -> None:
        assert self.judge("args.count + 1 == 4", amount=1, count=3.0).effect is Effect.ALLOW
        assert self.judge("args.count + 1 == 4", amount=1, count=3).effect is Effect.ALLOW

    def test_a_missing_optional_argument_is_an_error_unless_tested(self) -> None:
        assert self.judge("args.memo == 'x'", amount=1).errors
        assert self.judge("has(args.memo) && args.memo == 'x'", amount=1).errors == ()
        assert self.judge("'!has(args.memo)'", amount=1).effect is Effect.ALLOW

    def test_arguments_of_a_wrong_type_are_errors(self) -> None:
        assert self.judge("args.amount > 1.0", amount="5").errors
        assert self.judge("args.amount > 1.0", amount=None).errors
        assert self.judge("args.memo.startsWith('a')", amount=1, memo=["a"]).errors

    def test_other_tools_stay_dynamic(self) -> None:
        compiled = ruleset(permit(match='{tools: ["pay.*"]}', when="args.anything == 1"), tools={"pay/refund": TYPES})
        assert compiled.evaluate(facts(args={"anything": 1})).effect is Effect.ALLOW

    def test_a_rule_for_two_tools_is_checked_against_both(self) -> None:
        other = ToolTypes.from_json_schema({"type": "object", "properties": {"memo": {"type": "string"}}})
        text = permit(match="{tools: [pay.refund, pay.note]}", when="has(args.memo) && args.memo == 'x'")
        compiled = ruleset(text, tools={"pay/refund": TYPES, "pay/note": other})
        assert compiled.evaluate(facts(args={"amount": 1, "memo": "x"})).effect is Effect.ALLOW


def test_shared_lists_and_macros_are_seen_by_every_pack() -> None:
    head = HEAD + "lists: {friends: [helper]}\nmacros: {friend: agent.id in lists.friends}\n"
    compiled = ruleset(permit(when="macros.friend"), head=head)
    assert compiled.evaluate(facts()).effect is Effect.ALLOW
    assert compiled.evaluate(facts(agent={"id": "stranger"})).effect is Effect.DENY


def test_lists_of_two_packs_do_not_mix() -> None:
    first = files(permit(when="agent.id in lists.a"), before="lists: {a: [helper]}\n")
    second = files(rule(when="agent.id in lists.a"), before="lists: {a: [other]}\n")["p/p.rules.yaml"]
    compiled = compile_bundle(bundle_from_files(first | {"q/q.rules.yaml": second.replace("pack: p", "pack: q")}))
    assert compiled.evaluate(facts()).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("items", "when", "holds"),
    [
        ("[1, 2]", "session.risk in lists.a", False),
        ("[0, 2]", "session.risk in lists.a", True),
        ("[0.5, 0.0]", "double(session.risk) in lists.a", True),
        ("[true]", "session.attended in lists.a", True),
        ("[]", "agent.id in lists.a", False),
        ("['1', '0']", "string(session.risk) in lists.a", True),
        ("[a, b]", "lists.a.all(x, x != agent.id)", True),
        ("[a, b]", "size(lists.a) == 2 && lists.a[1] == 'b'", True),
    ],
)
def test_lists_of_any_type(items: str, when: str, holds: bool) -> None:
    compiled = ruleset(permit(when=when), before=f"lists: {{a: {items}}}\n")
    assert (compiled.evaluate(facts()).effect is Effect.ALLOW) is holds


def test_a_macro_that_ends_in_a_comment_is_whole() -> None:
    compiled = ruleset(
        permit(when='"macros.m && true"'), before='macros: {m: "session.tainted == false // never mind"}\n'
    )
    assert compiled.evaluate(facts()).effect is Effect.ALLOW


def test_a_macro_keeps_its_meaning_within_others() -> None:
    before = "macros: {either: session.tainted || session.attended, both: macros.either && session.tainted}\n"
    compiled = ruleset(permit(when="macros.both"), before=before)
    assert compiled.evaluate(facts()).effect is Effect.DENY


def test_names_in_texts_and_comments_are_not_macros() -> None:
    compiled = ruleset(permit(when="\"agent.id != 'macros.x lists.y' // macros.z\""))
    assert compiled.evaluate(facts()).effect is Effect.ALLOW


def test_many_rules_on_one_tool() -> None:
    count = RULES_PER_FUNCTION_MAX * 2 + 3
    text = "".join(rule(id=f"D-{n:04}", when=f"session.risk == {n}") for n in range(count))
    compiled = ruleset(PERMIT + text)
    for risk in (0, RULES_PER_FUNCTION_MAX, count - 1):
        result = compiled.evaluate(facts(session={"risk": risk}))
        assert [match.rule_id for match in result.rules] == [f"D-{risk:04}", "P-1"]
    assert len(compiled.evaluate(facts(session={})).errors) == count
