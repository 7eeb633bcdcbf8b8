"""No text of an argument leaves the gate but in the verdict's and the request's own copy of the arguments.

A gate is flooded with arguments that have one text at every place, and with tools and rules that stumble over it in
every way. Then all of its outputs are searched for the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset, tool_entry
from streams.model.alert import Alert
from streams.model.approval import ApprovalRequest
from streams.model.audit import AuditEvent
from streams.model.delegation import ArgumentConstraint, AuthorizationDetail, ConstraintType, ToolGrant
from streams.model.reasons import Reason
from streams.model.topics import ALERT_OCSF, DELEGATION, RULESET
from streams.model.verdict import Verdict
from tests.kit import BUNDLE, GateBench, wire

CANARY = "c4n4ry"
CALLS = (
    "int({})",
    "uint({})",
    "double({})",
    "bool({})",
    "timestamp({})",
    "duration({})",
    "url({})",
    "emailAddress({})",
    "path({})",
    "shell({})",
    "sql({}, 'postgres')",
    "sql('select 1', {})",
    "semver({})",
    "glob({})",
    "skeleton({})",
    "args[{}]",
    "args.none[{}]",
    "'a'.matches({})",
    "'%d'.format([{}])",
    "{}.format([])",
    "{}.charAt(99)",
    "{}.substring(99)",
    "[1][{}]",
    "{{'a': 1}}[{}]",
    "ip({})",
)
SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {"enum": [1, 2]}}},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "propertyNames": {"maxLength": 1}},
    {"type": "object", "properties": {"a": {"anyOf": [{"type": "integer"}, {"items": {"const": 1}}]}}},
)
TEXTS = (
    CANARY,
    f"https://{CANARY}@[::1",
    f"{CANARY}@",
    f"rm '{CANARY}",
    f"select '{CANARY}",
    f"xn--{CANARY}",
    f"9999-99-99T99:99:99Z{CANARY}",
    f"[{CANARY}",
    f"%{CANARY}",
    f"\x00{CANARY}",
)


def rules() -> dict[str, str]:
    conditions = [call.format(name) for call in CALLS for name in ("args.a", "args.a[0]")]
    lines = ["apiVersion: rules/v1", "pack: testing", "rules:"]
    lines += ["  - {id: T-001, effect: permit, match: {tools: ['*.*']}, when: 'true', reason: fine}"]
    lines += ["  - {id: T-002, effect: require_approval, match: {tools: [any.ask]}, when: 'true', reason: ask,"]
    lines += ["     approval: {group: leads, quorum: 1, ttl: 10m}}"]
    for number, condition in enumerate(conditions):
        when = json.dumps(f"dyn({condition}) == dyn('nothing of that kind')")
        tool = f"[any.tool{number}]"
        lines.append(f"  - {{id: T-1{number:02}, effect: deny, match: {{tools: {tool}}}, when: {when}, reason: no}}")
    return {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": "\n".join(lines)}


def shapes(text: str) -> Iterator[dict[str, Any]]:
    yield {"a": text}
    yield {text: 1}
    yield {text: text, "a": [text]}
    yield {"a": {text: {text: text}}}
    yield {"a": [[text]]}


MALFORMED = (
    '{"%s" "a"}',
    '{"a": "%s", "a": 1}',
    '{"%s": 1e999}',
    '{"%s": 12345678901234567890123}',
    '{"a": "\\%s"}',
    '{"a": "%s\\ud800"}',
    '"%s"',
    "%s",
)


@pytest.fixture
def bench() -> GateBench:
    bench = GateBench(with_rules=False)
    bench.driver.pipe(RULESET.name, b"default", ruleset(rules()))
    return bench


def test_no_output_quotes_an_argument(bench: GateBench) -> None:
    count = 2 * len(CALLS)
    entries = [tool_entry("any", f"tool{number}") for number in range(count)] + [tool_entry("any", "ask")]
    entries += [tool_entry("any", f"schema{number}", schema=schema) for number, schema in enumerate(SCHEMAS)]
    for entry in entries:
        bench.publish(entry)
    for entry in entries:
        for text in TEXTS:
            for args in shapes(text):
                bench.propose(entry, args)
    for form in MALFORMED:
        bench.propose(entries[0], form % CANARY)
    found = read_all(bench)
    reasons = {verdict.reason for verdict in found if isinstance(verdict, Verdict)}
    assert reasons >= {
        Reason.ARGS_INVALID,
        Reason.ARGS_NOT_CANONICALIZABLE,
        Reason.RULE_ERROR,
        Reason.APPROVAL_REQUIRED,
    }
    assert sum(isinstance(record, AuditEvent) for record in found) > 1_000
    leaks = [record for record in found if CANARY in str(without_arguments(record))]
    assert leaks == []


def test_a_grant_does_not_name_what_it_does_not_know(bench: GateBench) -> None:
    session = SessionMaker("s-granted")
    entry = tool_entry("any", "tool0")
    bench.publish(entry)
    bound = ArgumentConstraint(argument="/a/b", type=ConstraintType.EXACT, value_json='"fine"')
    tool = ToolGrant(server_id="any", name="tool0", constraints=(bound,))
    grant = session.grant("g-1", bench.now_ms, authorization_details=(AuthorizationDetail(type="x", tools=(tool,)),))
    bench.driver.pipe(DELEGATION.name, session.key, grant)
    bench.establish(session, delegation_uid=grant.uid)
    for args in shapes(CANARY):
        bench.propose(entry, args, session)
    bench.propose(entry, {"a": {"b": "fine", CANARY: 1}}, session)
    found = read_all(bench)
    assert {v.reason for v in found if isinstance(v, Verdict)} == {Reason.DELEGATION_ARGUMENTS_NOT_GRANTED}
    assert [record for record in found if CANARY in str(without_arguments(record))] == []


def read_all(bench: GateBench) -> list[object]:
    raw = bench.driver.read_raw()
    # A dead letter is the input as it was; only what is said about it is searched.
    assert [found.headers for found in raw if CANARY in str(found.headers)] == []
    assert [found.value for found in raw if found.topic == ALERT_OCSF.name and CANARY in str(found.value)] == []
    records = (found for found in raw if not found.topic.endswith(".dlq") and found.topic != ALERT_OCSF.name)
    return [wire().decode(found.topic, found.value or b"", found.headers) for found in records]


def without_arguments(record: object) -> object:
    if isinstance(record, ApprovalRequest):
        calls = tuple(msgspec.structs.replace(call, args_json="") for call in record.calls)
        return msgspec.structs.replace(record, args_json="", calls=calls)
    if isinstance(record, Verdict):
        return msgspec.structs.replace(record, args_json="")
    assert isinstance(record, (AuditEvent, Alert)) or CANARY not in str(record)
    return record
