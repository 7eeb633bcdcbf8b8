"""The starter packs before a real gate: every permit can fire on the facts that it makes, and nothing is in error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simulation.records import UNTRUSTED, ruleset, tool_entry
from streams.model.topics import RULESET
from streams.model.verdict import Outcome
from streams.policy import RuleEffect, compile_bundle, load_bundle
from tests.kit import GateBench

RULES = Path(__file__).parents[4] / "rules"
SOURCE = load_bundle(RULES)
PERMITS = {rule.rule.id for rule in compile_bundle(SOURCE).rules if rule.rule.effect is RuleEffect.PERMIT}

READS = {"read_only": True, "destructive": False, "open_world": False, "reversible": True}
CHANGES = {"read_only": False, "destructive": False, "open_world": False, "reversible": True}
DESTROYS = {"read_only": False, "destructive": True, "open_world": False, "reversible": False}
REACHES = {"read_only": False, "destructive": False, "open_world": True, "reversible": False}
FETCHES = {"read_only": True, "destructive": False, "open_world": True, "reversible": True}


class Call(NamedTuple):
    """A call, the scopes it is made with, and the permits that must fire."""

    tool: str
    facts: dict[str, bool]
    args: dict[str, Any]
    scopes: tuple[str, ...]
    permits: set[str]
    outcome: Outcome = Outcome.ALLOW


CALLS = (
    Call("crm.lookup", READS, {"id": "c-1"}, ("crm:read",), {"BASE-001"}),
    Call("crm.update", CHANGES, {"id": "c-1"}, ("crm:write",), {"BASE-002"}),
    Call("mail.read", READS, {"id": "m-1"}, ("mail:read",), {"BASE-001", "MAIL-001"}),
    Call("mail.send", REACHES, {"to": "bob@example.com", "body": "hi"}, ("mail:send",), {"MAIL-002"}),
    Call("git.git_log", READS, {"repo_path": "/srv/app"}, ("git:read",), {"BASE-001", "GIT-001"}),
    Call("git.git_commit", CHANGES, {"repo_path": "/srv/app"}, ("git:write",), {"BASE-002", "GIT-002"}),
    Call("fetch.fetch", FETCHES, {"url": "https://docs.example.org/"}, ("web:read",), {"EGR-001"}),
    Call("http.post", REACHES, {"url": "https://www.example.com/"}, ("web:write",), {"EGR-002"}),
    Call("web.search", FETCHES, {"query": "weather"}, ("web:read",), {"EGR-003"}),
    Call("filesystem.read_file", READS, {"path": "/workspace/a"}, ("filesystem:read",), {"BASE-001"}),
    Call("filesystem.write_file", DESTROYS, {"path": "a"}, ("filesystem:write",), {"FS-001"}),
    Call("shell.run", DESTROYS, {"command": "ls -la | head"}, ("shell:run",), {"SH-001"}),
    Call("shell.run", DESTROYS, {"command": "make"}, ("shell:run",), {"SH-001"}, Outcome.REQUIRE_APPROVAL),
    Call("postgres.query", DESTROYS, {"sql": "select 1"}, ("postgres:read",), {"DB-001"}),
    Call("sqlite.read_query", DESTROYS, {"query": "select 1"}, ("sqlite:write",), {"DB-002"}),
    Call("vault.read", READS, {"name": "x"}, ("secrets:read",), {"SEC-010"}),
    Call("pay.refund", CHANGES, {"amount": 100, "currency": "EUR"}, ("payments:write",), {"PAY-001"}),
)


def bench_for(call: Call) -> tuple[GateBench, Any]:
    bench = GateBench(with_rules=False, with_session=False)
    bench.driver.pipe(RULESET.name, b"default", ruleset(SOURCE.files))
    server_id, _, name = call.tool.partition(".")
    schema = {"type": "object", "properties": {name: {} for name in call.args}}
    entry = tool_entry(server_id, name, schema=schema, sink_args=(), **call.facts)
    bench.publish(entry)
    maker = type(bench.session)(act="billing-bot")
    bench.session = maker
    bench.establish(maker, scopes=call.scopes)
    return bench, entry


@pytest.mark.parametrize("call", CALLS, ids=[f"{call.tool} {call.outcome}" for call in CALLS])
def test_a_permit_fires_and_nothing_is_in_error(call: Call) -> None:
    bench, entry = bench_for(call)
    verdict = bench.judge(entry, call.args)
    assert verdict.errors == ()
    assert {hit.rule_id for hit in verdict.rules} & PERMITS == call.permits
    assert verdict.outcome is call.outcome, verdict.reason_text


def test_every_permit_is_among_them() -> None:
    assert set().union(*(call.permits for call in CALLS)) == PERMITS


@pytest.mark.parametrize("call", CALLS, ids=[f"{call.tool} {call.outcome}" for call in CALLS])
def test_without_scopes_nothing_is_permitted(call: Call) -> None:
    bench, entry = bench_for(call._replace(scopes=()))
    verdict = bench.judge(entry, call.args)
    assert verdict.errors == ()
    assert verdict.outcome is Outcome.DENY


def test_a_tool_that_no_pack_knows_meets_no_rule_in_error() -> None:
    odd = Call("zoo.feed", DESTROYS, {"animal": {"deep": ["a", {"b": None}]}, "n": 1.5}, ("zoo:write",), set())
    bench, entry = bench_for(odd)
    verdict = bench.judge(entry, odd.args)
    assert verdict.errors == ()
    assert verdict.reason == "no_permit"
    assert not {hit.rule_id for hit in verdict.rules} & PERMITS


def test_what_was_read_closes_the_way_out() -> None:
    mail = next(call for call in CALLS if call.tool == "mail.send")
    bench, entry = bench_for(mail._replace(scopes=("mail:send", "crm:read")))
    notes = tool_entry("crm", "notes", output_label=UNTRUSTED, **READS)
    bench.publish(notes)
    outside = {"to": "x@other.example.net", "body": "hi"}
    assert bench.judge(entry, outside).outcome is Outcome.ALLOW
    assert bench.judge(notes, {}).outcome is Outcome.ALLOW
    verdict = bench.judge(entry, outside)
    assert (verdict.outcome, verdict.errors) == (Outcome.DENY, ())
    assert "MAIL-010" in {hit.rule_id for hit in verdict.rules}
    # Inside of the organization, a person decides: no user has asked for it.
    assert bench.judge(entry, mail.args).outcome is Outcome.REQUIRE_APPROVAL


def test_only_what_rules_deny_counts_towards_stopping_a_session() -> None:
    call = CALLS[0]
    bench, entry = bench_for(call)
    bench.driver.pipe(RULESET.name, b"default", ruleset({}, serial=2))
    for _ in range(30):
        assert bench.judge(entry, call.args).reason == "no_ruleset"
    bench.driver.pipe(RULESET.name, b"default", ruleset(SOURCE.files, serial=3))
    assert bench.judge(entry, call.args).outcome is Outcome.ALLOW
    odd = tool_entry("zoo", "feed", schema={"type": "object"}, **DESTROYS)
    bench.publish(odd)
    for _ in range(25):
        assert bench.judge(odd, {}).outcome is Outcome.DENY
    verdict = bench.judge(entry, call.args)
    assert verdict.outcome is Outcome.QUARANTINE
    assert "ASI08-001" in {hit.rule_id for hit in verdict.rules}
