"""The rules of `bench/parts/rules.py` as Cedar, Rego and Casbin have them, and what a judgement costs there.

Not a command for people: `python measure.py ORDER.json` runs in the environment of requirements.txt and writes JSON to
standard output. Each engine is asked in its fastest way, with policies that are parsed once. What Cedar and Casbin have
no words for (quantifiers, decimals) is computed in Python before they are asked, which counts; Cedar has no regular
expressions either, and gets a pattern that asks for less. Rego runs in regopy, a package of its interpreter in C++;
regorus, the one in Rust, has none on PyPI.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
Judge = Callable[[], set[str]]

CALLS_MAX = 3_000
ROUND_S = 0.7

# By kind of rule, as in `bench.parts.rules.CONDITIONS`. `{n}` is the rule's number counted from 1.
CEDAR = (
    'context.agents.contains(context.agent_id) && context.scopes.contains("pay:write")',
    "context.tainted && (context.irreversible || context.external) && context.n != {n}",
    'context.spent + context.amount > {n}00000 || context.currency != "EUR"',
    "!(context.reviewed.contains(context.digest)) && context.n != {n}",
    "context.untrusted && context.open_world && context.n != {n}",
    'context.to like "*@evil{n}.test" || context.memo like "*secret{n}*"',
    "context.risk > 3 && context.attended == false && context.n != {n}",
    'context.deep_actors.contains("drift{n}")',
    'context.to like "*@bad{n}.test"',
    "context.scopes_count > 10 || context.denied > {n}0",
)
REGO = (
    'input.agent.id in data.agents; "pay:write" in input.user.scopes',
    "input.session.tainted; reaches_out; input.args.n != {n}",
    "spends({n}00000)",
    "not input.tool.definition_digest in input.catalog.reviewed_digests; input.args.n != {n}",
    'some p in input.provenance; p.trust != "trusted"; input.tool.open_world; input.args.n != {n}',
    'names("@evil{n}.test", "secret{n}")',
    "input.session.risk > 3; input.session.attended == false; input.args.n != {n}",
    'some h in input.delegation.hops; h.actor == "drift{n}"; h.depth > 2',
    'regex.match("^[a-z]+@bad{n}[.]test$", input.args.to)',
    "crowded({n}0)",
)
REGO_HELPERS = """package bench
import rego.v1
reaches_out if input.tool.irreversible
reaches_out if input.tool.external
spends(limit) if input.session.spent + input.args.amount > limit
spends(_) if input.args.currency != "EUR"
names(end, _) if endswith(input.args.to, end)
names(_, part) if contains(input.args.memo, part)
crowded(_) if count(input.user.scopes) > 10
crowded(limit) if input.session.denied > limit
"""
CASBIN = (
    'r.f.agent_id in r.f.agents and "pay:write" in r.f.scopes',
    "r.f.tainted and (r.f.irreversible or r.f.external) and r.f.n != {n}",
    'r.f.spent + r.f.amount > {n}00000 or r.f.currency != "EUR"',
    "not (r.f.digest in r.f.reviewed) and r.f.n != {n}",
    "r.f.untrusted and r.f.open_world and r.f.n != {n}",
    'ends(r.f.to, "@evil{n}.test") or "secret{n}" in r.f.memo',
    "r.f.risk > 3 and r.f.attended == False and r.f.n != {n}",
    '"drift{n}" in r.f.deep_actors',
    'found("^[a-z]+@bad{n}[.]test$", r.f.to)',
    "r.f.scopes_count > 10 or r.f.denied > {n}0",
)
CASBIN_MODEL = """
[request_definition]
r = f, tool
[policy_definition]
p = condition, tool, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.tool == p.tool && eval(p.condition)
"""


def flat(facts: Facts) -> Facts:
    """Return facts without lists of records and decimals."""
    session, tool = facts["session"], facts["tool"]
    return {
        "agent_id": facts["agent"]["id"],
        "scopes": facts["user"]["scopes"],
        "scopes_count": len(facts["user"]["scopes"]),
        "n": facts["args"]["n"],
        "to": facts["args"]["to"],
        "memo": facts["args"]["memo"],
        "amount": facts["args"]["amount"],
        "currency": facts["args"]["currency"],
        **{name: session[name] for name in ("tainted", "spent", "risk", "attended", "denied")},
        **{name: tool[name] for name in ("irreversible", "external", "open_world")},
        "digest": tool["definition_digest"],
        "reviewed": facts["catalog"]["reviewed_digests"],
        "untrusted": any(read["trust"] != "trusted" for read in facts["provenance"]),
        "deep_actors": [hop["actor"] for hop in facts["delegation"]["hops"] if hop["depth"] > 2],
    }


def cedar(order: dict[str, Any], tool: str | None) -> Judge:
    """Return a judge by Cedar (cedarpy). With a tool, only its own policies are in the set."""
    import cedarpy  # type: ignore[import-not-found]  # noqa: PLC0415 - of another environment

    texts = []
    for rule in order["rules"]:
        if tool in (None, rule["tool"]):
            word = "permit" if rule["effect"] == "permit" else "forbid"
            when = CEDAR[rule["kind"]].replace("{n}", str(rule["number"] + 1))
            scope = f'principal, action, resource == Tool::"{rule["tool"]}"'
            texts.append(f'@id("{rule["id"]}")\n{word} ({scope}) when {{ {when} }};')
    policies = cedarpy.PolicySet.from_str("\n".join(texts))
    entities = cedarpy.Entities.from_json_str("[]")

    def judge() -> set[str]:
        context = {**flat(order["facts"]), "agents": order["agents"]}
        request = {
            "principal": {"type": "Agent", "id": "a"},
            "action": {"type": "Action", "id": "call"},
            "resource": {"type": "Tool", "id": order["tool"]},
            "context": context,
        }
        result = cedarpy.is_authorized(request, policies, entities)
        return {result.decision.value.upper()}

    return judge


def rego(order: dict[str, Any], tool: str | None) -> Judge:
    """Return a judge by Rego (regopy), compiled to a bundle. With a tool, only its own rules are in it."""
    import regopy  # type: ignore[import-not-found]  # noqa: PLC0415 - of another environment

    lines = [REGO_HELPERS]
    for rule in order["rules"]:
        if tool not in (None, rule["tool"]):
            continue
        when = REGO[rule["kind"]].replace("{n}", str(rule["number"] + 1))
        side = "permits" if rule["effect"] == "permit" else "denies"
        lines.append(f'{side} contains "{rule["id"]}" if {{ input.tool.id == "{rule["tool"]}"; {when} }}')
    interpreter = regopy.Interpreter()
    interpreter.add_module("bench", "\n".join(lines))
    interpreter.add_data({"agents": order["agents"]})
    bundle = interpreter.build("found = [data.bench.permits, data.bench.denies]", [])

    def judge() -> set[str]:
        interpreter.set_input(order["facts"])
        permits, denies = json.loads(str(interpreter.query_bundle(bundle)))["bindings"]["found"]
        return {"ALLOW" if permits and not denies else "DENY"}

    return judge


def casbin(order: dict[str, Any]) -> Judge:
    """Return a judge by Casbin (pycasbin), with a condition in each policy."""
    import casbin as engine  # type: ignore[import-not-found]  # noqa: PLC0415 - of another environment

    model = engine.Model()
    model.load_model_from_text(CASBIN_MODEL)
    enforcer = engine.Enforcer(model)
    enforcer.add_function("ends", lambda text, part: text.endswith(part))
    enforcer.add_function("found", lambda pattern, text: re.search(pattern, text) is not None)
    for rule in order["rules"]:
        when = CASBIN[rule["kind"]].replace("{n}", str(rule["number"] + 1))
        enforcer.add_policy(when, rule["tool"], "allow" if rule["effect"] == "permit" else "deny")

    class Record:
        def __init__(self, values: Facts) -> None:
            self.__dict__.update(values)

    def judge() -> set[str]:
        record = Record({**flat(order["facts"]), "agents": order["agents"]})
        return {"ALLOW" if enforcer.enforce(record, order["tool"]) else "DENY"}

    return judge


def per_call_us(judge: Judge, rounds: int) -> float:
    """Return microseconds of CPU a call, the median of some rounds of about a second."""
    start = time.process_time()
    judge()
    calls = max(1, min(CALLS_MAX, int(ROUND_S / max(time.process_time() - start, 1e-6))))
    found = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(calls):
            judge()
        found.append((time.process_time() - start) / calls * 1e6)
    return statistics.median(found)


def main() -> None:
    """Measure what the order asks for."""
    order = json.loads(Path(sys.argv[1]).read_text())
    makers: dict[str, Callable[[], Judge]] = {
        f"Cedar (cedarpy {version('cedarpy')})": lambda: cedar(order, None),
        f"Cedar (cedarpy {version('cedarpy')}), policies of the tool alone": lambda: cedar(order, order["tool"]),
        f"Rego (regopy {version('regopy')})": lambda: rego(order, None),
        f"Rego (regopy {version('regopy')}), rules of the tool alone": lambda: rego(order, order["tool"]),
        f"Casbin (pycasbin {version('casbin')})": lambda: casbin(order),
    }
    results = []
    for name, make in makers.items():
        judge = make()
        answer = judge()
        if answer != {order["answer"]}:
            raise SystemExit(f"{name} says {answer}, not {order['answer']}")
        results.append({"engine": name, "us": per_call_us(judge, order["rounds"])})
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
