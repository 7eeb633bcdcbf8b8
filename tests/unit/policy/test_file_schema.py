"""`rules/schema.json`: current, and at one with the parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from scripts.reference import RULES_SCHEMA
from streams.policy import check_bundle
from streams.policy.authoring.file_schema import file_schema, schema_text
from streams.policy.errors import Findings
from streams.policy.language.located_yaml import read_yaml, to_python
from tests.unit.policy.rulefiles import HEAD, rule, source

RULES = Path(__file__).parents[3] / "rules"
SCHEMA = file_schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
MEMORY = "history: {a: {keep: count, on: allowed, zzz: 1, reset: {tools: ['*'], zzz: 1}}}\n"
BUDGET = "budgets: {a: {per: session, measure: {sum: '1', zzz: 1}, limit: 1, zzz: 1}}\n"


def test_the_committed_schema_is_current() -> None:
    assert RULES_SCHEMA.read_text("utf-8") == schema_text(), "run `make docs`"
    jsonschema_rs.meta.validate(SCHEMA)


BUNDLE_FILES = [path for path in RULES.rglob("*.yaml") if not {".detectors", ".histories"} & set(path.suffixes)]


@pytest.mark.parametrize("path", sorted(BUNDLE_FILES), ids=lambda path: path.name)
def test_every_file_of_the_starter_bundle_is_valid(path: Path) -> None:
    node = read_yaml(path.name, path.read_text(), Findings())
    assert node is not None
    assert [error.message for error in VALIDATOR.iter_errors(to_python(node))] == []


def test_rule_files_say_where_their_schema_is() -> None:
    for path in [RULES / "bundle.yaml", *RULES.rglob("*.rules.yaml")]:
        first = path.read_text().splitlines()[0]
        named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert named, f"{path.name} does not name its schema in its first line"
        assert (path.parent / named[1]).resolve() == RULES_SCHEMA.resolve()


def keys_of_parser(rules: str, before: str = "", head: str = HEAD) -> dict[str, set[str]]:
    """What the parser knows where it finds the key `zzz`."""
    findings = check_bundle(source(rules, before=before, head=head)).findings
    found = {}
    for finding in findings:
        if finding.code == "unknown_key":
            what = finding.message.partition(" has no key")[0]
            found[what] = set((finding.hint or "").removeprefix("known keys are ").split(", "))
    return found


def test_the_schema_knows_the_keys_that_the_parser_knows() -> None:
    defs = SCHEMA["$defs"]
    inner = rule(effect="require_approval", match='{tools: ["*"], zzz: 1}', approval="{group: g, zzz: 1}", zzz="1",
                 obligations="[{id: o, type: t, zzz: 1}]")  # fmt: skip
    known = keys_of_parser(inner, before="zzz: 1\n" + MEMORY + BUDGET, head=HEAD + "zzz: 1\n")
    expected = {
        "a bundle": defs["bundle"],
        "a rule file": defs["rule_file"],
        "a rule": defs["rule"],
        "`match`": defs["match"],
        "`approval`": defs["rule"]["properties"]["approval"],
        "an obligation": defs["rule"]["properties"]["obligations"]["items"],
        "memory `a`": defs["memory"],
        "`reset`": defs["memory"]["properties"]["reset"],
        "budget `a`": defs["budget"],
    }
    assert {what: set(record["properties"]) for what, record in expected.items()} == {
        what: keys for what, keys in known.items() if what in expected
    }


def rule_file(**changes: Any) -> dict[str, Any]:
    one = {"id": "R-1", "effect": "deny", "match": {"tools": ["*"]}, "when": "true", "reason": "because"}
    keys = {key: value for key, value in (one | changes).items() if value is not None}
    return {"apiVersion": "rules/v1", "pack": "p", "rules": [keys]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"when": True},
        {"effect": "require_approval", "approval": {"group": "g", "bind": ["tool", "args", "session", "agent"]}},
        {"effect": "defer", "defer": "30s"},
        {"effect": "permit", "obligations": [{"id": "o", "type": "notify", "properties": {"a": 1}}]},
        {"match": {"tools": ["a.*", "*.b", "*"], "tool_version": "1.*"}},
        {"explain": {"a": "session.spent"}, "tags": ["ASI01"]},
    ],
)
def test_what_is_valid(changes: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(rule_file(**changes))
    assert not [f for f in check_bundle(source(yaml.safe_dump(rule_file(**changes)["rules"]))).findings
                if f.severity == "error"]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "a b"},
        {"effect": "allow"},
        {"mode": "on"},
        {"match": {}},
        {"match": {"tools": []}},
        {"match": {"tools": ["nodot"]}},
        {"match": {"tools": ["a.b c"]}},
        {"match": {"tools": ["a/b"]}},
        {"match": {"tools": ["a/b.c"]}},
        {"match": {"tools": ["*"], "servers": ["a/b"]}},
        {"match": {"tools": ["*"], "tool_version": ">=1"}},
        {"when": None},
        {"when": ["true"]},
        {"reason": None},
        {"reason": ""},
        {"colour": "red"},
        {"effect": "require_approval"},
        {"approval": {"group": "g"}},
        {"effect": "require_approval", "approval": {"quorum": 1}},
        {"effect": "require_approval", "approval": {"group": "g", "quorum": 0}},
        {"effect": "require_approval", "approval": {"group": "g", "bind": ["tool"]}},
        {"effect": "defer"},
        {"effect": "defer", "defer": "30"},
        {"defer": "30s"},
        {"obligations": [{"id": "o", "type": "t"}]},
        {"tags": ["a b"]},
        {"explain": {"a b": "1"}},
    ],
)
def test_what_is_not_valid_for_either(changes: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(rule_file(**changes))
    assert not check_bundle(source(yaml.safe_dump(rule_file(**changes)["rules"]))).ok
