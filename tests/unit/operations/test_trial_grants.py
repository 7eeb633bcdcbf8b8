"""Histories with grants: what a person writes of them is enough to run them, and what is wrong with them is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.codec.history import format_line, parse_line
from streams.delegation.anchors import TrustAnchors
from streams.delegation.verification import Standard, verify
from streams.model.delegation import Delegation, DelegationOp
from streams.model.topics import DELEGATION
from streams.model.verdict import Verdict
from streams.operations.trial import TryReport, run_history
from streams.operations.trial_engine import Tried
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial

ROOT_KEY = b"a root key of a history, 32 bytes"
START_MS = 1_764_061_200_000
ISSUER = "https://id.example"
ANCHORED = Standard(TrustAnchors(hmac_issuers=frozenset({ISSUER})), ROOT_KEY)
RULES = """
apiVersion: rules/v1
pack: p
rules:
  - {id: P-001, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
TOOLS = [
    {
        "type": "tools",
        "tools": [
            {
                "server_id": "mail",
                "name": "send",
                "constraints": [{"argument": "/to", "type": "WILDCARD", "value": "*@example.com"}],
            }
        ],
    }
]


def agent(name: str) -> dict[str, str]:
    return {"iss": ISSUER, "sub": name, "sub_profile": "AI_AGENT"}


def root(**changes: Any) -> dict[str, Any]:
    return {
        "op": "GRANT",
        "uid": "g-1",
        "issuer_uid": ISSUER,
        "sub": "alice",
        "act": agent("planner"),
        "session_id": "s-1",
        "scopes": ["mail"],
        "audience": ["mail"],
        "authorization_details": TOOLS,
        "exp": START_MS + 60_000,
        **changes,
    }


def hop(**changes: Any) -> dict[str, Any]:
    return {
        "op": "GRANT",
        "uid": "g-2",
        "act": agent("writer"),
        "audience": ["mail"],
        "authorization_details": TOOLS,
        "chain": [root()],
        **changes,
    }


def line(record: str, value: dict[str, Any], session: str = "s-2", time_ms: int = START_MS) -> str:
    return json.dumps({"record": record, "key": f"acme|{session}", "time_ms": time_ms, "value": value})


def established(name: str, uid: str, session: str = "s-2") -> str:
    value = {
        "type": "SESSION_ESTABLISHED",
        "sub": "alice",
        "act": agent(name),
        "expires": START_MS + 60_000,
        "delegation_uid": uid,
    }
    return line("session_event", value, session)


def intent(to: str, uid: str = "g-2", name: str = "writer") -> str:
    value = {
        "sub": "alice",
        "act": agent(name),
        "delegation_uid": uid,
        "tool": {"server_id": "mail", "name": "send"},
        "args": {"to": to},
    }
    return line("intent", value, time_ms=START_MS + 10)


def run(folder: Path, *lines: str) -> list[Tried]:
    rules = folder / "rules"
    rules.mkdir()
    (rules / "bundle.yaml").write_text('apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [p]\n')
    (rules / "p").mkdir()
    (rules / "p" / "a.rules.yaml").write_text(RULES)
    catalog = folder / "catalog.json"
    facts = {"send": {"destructive": False, "open_world": False, "reversible": True}}
    tools = [{"name": "send", "inputSchema": {"type": "object"}}]
    catalog.write_text(json.dumps({"server_id": "mail", "tools": tools, "facts": facts, "reviewed_by": "ann"}))
    history = folder / "history.jsonl"
    history.write_text("\n".join(lines) + "\n")
    report = TryReport()
    plan = plan_trial(load_settings(), history, ROOT_KEY, catalog=catalog, rules=rules)
    outputs = list(run_history(plan, report))
    assert not report.faults
    return outputs


def reasons(outputs: list[Tried]) -> list[str]:
    return [tried.record.reason for tried in outputs if isinstance(tried.record, Verdict)]


@pytest.fixture(autouse=True)
def without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str) -> Delegation:
    record = parse_line(text, 1, "history", root_key=ROOT_KEY).record
    assert isinstance(record, Delegation)
    return record


def test_what_is_left_out_follows_from_the_chain() -> None:
    grant = read(line("delegation", hop()))
    assert verify(grant, "acme", "s-2", ANCHORED, START_MS)[-1].uid == "g-2"
    assert (grant.depth, grant.parent_uid, grant.root_uid, grant.sub) == (1, "g-1", "g-1", "alice")
    assert (grant.issuer_uid, grant.exp, grant.scopes) == ("planner", START_MS + 60_000, ())
    assert read(line("delegation", hop())) == grant
    unstated = {name: value for name, value in hop().items() if name != "op"}
    assert read(line("delegation", unstated)).op is DelegationOp.GRANT


def test_what_was_exported_as_taken_back_is_read_as_taken_back() -> None:
    taken = read(line("delegation", root() | {"op": "REVOKE"}))
    exported = format_line(DELEGATION.name, b"acme|s-2", START_MS, taken)
    assert read(exported) == taken


def test_a_grant_lets_through_what_it_conveys(tmp_path: Path) -> None:
    outputs = run(
        tmp_path,
        established("writer", "g-2"),
        line("delegation", hop()),
        intent("ann@example.com"),
        intent("ann@evil.example"),
    )
    assert reasons(outputs) == ["permitted", "delegation_arguments_not_granted"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": ["mail", "bank"]}, "delegation_widened_audience"),
        ({"proof": None}, "delegation_signature_invalid"),
        ({"parent_digest": "00" * 32}, "delegation_chain_broken"),
        ({"chain": [root(issuer_uid="https://else.example", proof=None)]}, "delegation_signature_invalid"),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    outputs = run(tmp_path, established("writer", "g-2"), line("delegation", hop(**changes)), intent("a@example.com"))
    assert reasons(outputs) == [reason]
    assert [tried.letter.reason for tried in outputs if tried.letter is not None] == ["grant_invalid"]
