"""Small bundles for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.policy import BundleSource, CompiledRuleset, ToolTypes, bundle_from_files, compile_bundle

HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'
PACK = "apiVersion: rules/v1\npack: p\nrules:\n"
PERMIT = '  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: always}\n'


def rule(**changes: Any) -> str:
    """A rule as text: a sound one, with keys replaced by raw YAML or, where None, left out."""
    keys: dict[str, Any] = {
        "id": "R-1",
        "effect": "deny",
        "match": '{tools: ["*"]}',
        "when": "session.tainted",
        "reason": "because",
    }
    keys |= changes
    lines = [f"{key}: {value}" for key, value in keys.items() if value is not None]
    return "  - " + "\n    ".join(lines) + "\n"


def files(rules: str = PERMIT, *, head: str = HEAD, before: str = "") -> dict[str, str]:
    """The files of a bundle with one pack; `before` stands in front of its rules."""
    return {"bundle.yaml": head, "p/p.rules.yaml": PACK.replace("rules:\n", before + "rules:\n") + rules}


def source(rules: str = PERMIT, *, head: str = HEAD, before: str = "") -> BundleSource:
    """`files` as a source."""
    return bundle_from_files(files(rules, head=head, before=before))


def ruleset(
    rules: str = PERMIT, *, head: str = HEAD, before: str = "", tools: Mapping[str, ToolTypes] | None = None
) -> CompiledRuleset:
    """`files` compiled."""
    return compile_bundle(source(rules, head=head, before=before), tools)


def tool(server_id: str, name: str, *, version: str = "1", **more: Any) -> dict[str, Any]:
    """The fact `tool`, with as much of it as is given."""
    return {"server_id": server_id, "name": name, "version": version, **more}


def facts(**changes: Any) -> dict[str, Any]:
    """A few facts of a call of `pay.refund`; top-level names replaced, or left out where None."""
    known: dict[str, Any] = {
        "tool": {"id": "pay.refund", "server_id": "pay", "name": "refund", "version": "1.0", "read_only": False},
        "args": {"amount": 100, "currency": "EUR"},
        "agent": {"id": "helper"},
        "tenant": "acme",
        "user": {"id": "alice", "scopes": ["pay:write"]},
        "session": {"id": "s", "tainted": False, "attended": True, "spent": 0, "risk": 0, "calls": {}},
        "provenance": [{"source": "e", "trust": "trusted"}],
    }
    return {name: value for name, value in (known | changes).items() if value is not None}
