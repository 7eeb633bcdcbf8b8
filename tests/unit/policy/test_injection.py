"""No text of a bundle can become code: what is generated holds nothing but the generator's own words."""

import builtins
import io
import json
import tokenize
from collections.abc import Callable

import pytest

from streams.policy import BundleError, ToolTypes, bundle_from_files, check_bundle, compile_bundle
from streams.policy.errors import Findings
from streams.policy.language.bundle import BundleSource
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.compile import check_rules, list_constants
from streams.policy.language.parse import parse_bundle
from streams.policy.language.tool_types import UNTYPED
from streams.policy.runtime.codegen import generate
from tests.unit.policy.rulefiles import HEAD, facts, files, rule

PAYLOADS = [
    "__import__('os').system('touch /tmp/owned')",
    "'); import os; os.abort(); ('",
    '"""\nimport os\n"""',
    "\\'); raise SystemExit #",
    "{{7*7}}${7*7}%(x)s{x!r}",
    "k0); raise SystemExit(",
    "True)\n    raise SystemExit\n    (",
    "__builtins__",
    "h.append(0) or",
    "\u202e\u2028raise SystemExit",
    "$(touch /tmp/owned)`touch /tmp/owned`",
    "../../../../etc/passwd",
    "a" * 400,
]

OWN_WORDS = frozenset(
    (
        *("def", "run", "facts", "h", "s", "try", "if", "is", "not", "raise", "except", "Exception", "return", "None"),
        *("append", "and", "or", "in", "for", "all", "any", "sum", "len", "enumerate", "else", "True", "False"),
        *("startswith", "endswith", "search", "encode", "split", "known", "__class__"),
    )
)


def generated(source: BundleSource) -> str:
    """All code that is generated for a bundle's rules."""
    findings = Findings()
    bundle = parse_bundle(source, findings)
    assert bundle is not None
    rules = check_rules(bundle, {}, findings)
    trees = [checked.checked.tree for checked in rules]
    return generate(trees, list_constants(bundle), structs_by_type_name(UNTYPED.args)).source


def words(code: str) -> set[str]:
    """Every word of some code but constants and local variables; texts and numbers are not expected at all."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        assert token.type not in (tokenize.STRING, tokenize.COMMENT), token
        if token.type == tokenize.NAME and not (token.string[0] in "kv" and token.string[1:].isdigit()):
            found.add(token.string)
    return found


TOOLS = "{tools: [pay.refund]}"
ANY = f"{{keep: any, on: ran, match: {TOOLS}}}"
BUDGET = f"{{per: user, measure: calls, limit: 1, window: 1h, match: {TOOLS}}}"
FIELDS: dict[str, Callable[[str], dict[str, str]]] = {
    "bundle name": lambda text: files(head=HEAD.replace("bundle: b", f"bundle: {text}")),
    "bundle version": lambda text: files(head=HEAD.replace('"1"', text)),
    "description": lambda text: files(head=HEAD + f"description: {text}\n"),
    "owner": lambda text: files(head=HEAD + f"owners: [{text}]\n"),
    "pack name": lambda text: files(head=HEAD + f"packs: [{text}]\n"),
    "list name": lambda text: files(before=f"lists: {{{text}: [a]}}\n"),
    "list item": lambda text: files(rule(when="agent.id in lists.a"), before=f"lists: {{a: [{text}]}}\n"),
    "macro name": lambda text: files(before=f"macros: {{{text}: 'true'}}\n"),
    "macro body": lambda text: files(rule(when="macros.m"), before=f"macros: {{m: {text}}}\n"),
    "rule id": lambda text: files(rule(id=text)),
    "rule version": lambda text: files(rule(version=text)),
    "effect": lambda text: files(rule(effect=text)),
    "mode": lambda text: files(rule(mode=text)),
    "tool": lambda text: files(rule(match=f"{{tools: [{text}]}}")),
    "server": lambda text: files(rule(match=f'{{tools: ["*"], servers: [{text}]}}')),
    "tool version": lambda text: files(rule(match=f'{{tools: ["*"], tool_version: {text}}}')),
    "agent": lambda text: files(rule(match=f'{{tools: ["*"], agents: [{text}]}}')),
    "tenant": lambda text: files(rule(match=f'{{tools: ["*"], tenants: [{text}]}}')),
    "condition": lambda text: files(rule(when=text)),
    "literal": lambda text: files(rule(when=json.dumps(f"agent.id == {text}"))),
    "pattern": lambda text: files(rule(when=json.dumps(f"agent.id.matches({text})"))),
    "key": lambda text: files(rule(when=json.dumps(f"session.calls[{text}] > 1"))),
    "variable": lambda text: files(rule(when=json.dumps(f"[1].exists({json.loads(text)}, true)"))),
    "field": lambda text: files(rule(when=json.dumps(f"args.`{json.loads(text)}` == 1"))),
    "reason": lambda text: files(rule(reason=text)),
    "explanation name": lambda text: files(rule(explain=f"{{{text}: agent.id}}")),
    "explanation": lambda text: files(rule(explain=f"{{a: {text}}}")),
    "tag": lambda text: files(rule(tags=f"[{text}]")),
    "obligation id": lambda text: files(rule(effect="permit", obligations=f"[{{id: {text}, type: t}}]")),
    "obligation type": lambda text: files(rule(effect="permit", obligations=f"[{{id: o, type: {text}}}]")),
    "obligation property": lambda text: files(
        rule(effect="permit", obligations=f"[{{id: o, type: t, properties: {{{text}: {text}}}}}]")
    ),
    "group": lambda text: files(rule(effect="require_approval", approval=f"{{group: {text}}}")),
    "binding": lambda text: files(rule(effect="require_approval", approval=f"{{group: g, bind: [{text}]}}")),
    "window": lambda text: files(rule(effect="defer", defer=text)),
    "memory name": lambda text: memory(f"{{{text}: {{keep: any, on: allowed, match: {TOOLS}}}, m: {ANY}}}"),
    "memory": lambda text: memory(f"{{m: {{keep: {text}, on: {text}, within: {text}, match: {TOOLS}}}}}"),
    "memory tool": lambda text: memory(f"{{m: {{keep: any, on: allowed, match: {{tools: [pay.refund, {text}]}}}}}}"),
    "memory condition": lambda text: memory(f"{{m: {{keep: any, on: allowed, match: {TOOLS}, when: {text}}}}}"),
    "memory key": lambda text: memory(f"{{m: {{keep: any, on: allowed, match: {TOOLS}, key: {text}}}}}"),
    "memory sum": lambda text: memory(
        f"{{m: {{keep: sum, on: allowed, match: {TOOLS}, of: {text}}}}}", "history.m > 1"
    ),
    "memory group": lambda text: memory(f"{{m: {{keep: any, on: approved, match: {TOOLS}, group: {text}}}}}"),
    "memory reset": lambda text: memory(
        f"{{m: {{keep: any, on: allowed, match: {TOOLS}, reset: {{on: ran, tools: [pay.refund], when: {text}}}}}}}"
    ),
    "memory in a condition": lambda text: files(
        rule(when=json.dumps(f"history.m || history.{text}")), before=f"history: {{m: {ANY}}}\n"
    ),
    "budget name": lambda text: files(before=f"budgets: {{{text}: {BUDGET}}}\n"),
    "budget": lambda text: files(before=f"budgets: {{b: {{per: {text}, measure: {text}, limit: {text}}}}}\n"),
    "budget condition": lambda text: budget(f"when: {text}"),
    "budget sum": lambda text: budget(f"measure: {{sum: {text}}}"),
    "budget targets": lambda text: budget(f"measure: {{distinct: {text}}}"),
}


def memory(declared: str, when: str = "history.m") -> dict[str, str]:
    return files(rule(when=when), before=f"history: {declared}\n")


def budget(more: str) -> dict[str, str]:
    measured = more if "measure" in more else f"measure: calls, {more}"
    return files(before=f"budgets: {{b: {{per: user, limit: 1, window: 1h, match: {TOOLS}, {measured}}}}}\n")


@pytest.mark.parametrize("field", FIELDS)
def test_no_text_becomes_code(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = builtins.compile

    def recorded(text: str, *args: object, **kwargs: object) -> object:
        compiled.append(text)
        return real(text, *args, **kwargs)

    for payload in PAYLOADS:
        # Once as one JSON text, which keeps every character, and once as it is.
        for text in (json.dumps(payload), payload):
            try:
                broken = bundle_from_files(FIELDS[field](text))
            except ValueError:
                continue
            check_bundle(broken)
            try:
                ruleset = compile_bundle(broken)
            except BundleError:
                continue
            with monkeypatch.context() as patch:
                patch.setattr(builtins, "compile", recorded)
                ruleset.evaluate(facts())
            assert words(generated(broken)) <= OWN_WORDS
    assert all(words(code) <= OWN_WORDS for code in compiled)


def test_names_of_arguments_do_not_become_code() -> None:
    for payload in PAYLOADS:
        types = ToolTypes.from_json_schema({"type": "object", "properties": {payload: {"type": "string"}}})
        ruleset = compile_bundle(
            bundle_from_files(files(rule(when='args["x"] == "y"', match="{tools: [pay.refund]}"))),
            {"pay/refund": types} if payload != "__builtins__" else None,
        )
        assert ruleset.evaluate(facts(args={payload: payload, "x": "y"})).effect == "DENY"


def test_generated_code_can_reach_no_builtins() -> None:
    source = bundle_from_files(files(rule(when="provenance.all(p, p.trust in user.scopes) && size(agent.id) > 1")))
    findings = Findings()
    bundle = parse_bundle(source, findings)
    assert bundle is not None
    (checked,) = check_rules(bundle, {}, findings)
    made = generate([checked.checked.tree], {}, structs_by_type_name(UNTYPED.args))
    reachable = made.run.__globals__
    assert reachable["__builtins__"] == {}
    assert not {"open", "exec", "eval", "getattr", "__import__", "print"} & set(reachable)
