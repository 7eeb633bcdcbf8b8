"""The workload of the measurements: tools, rules, sessions, and intents as the SDK makes them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping

from bench.harness.environments import REPOSITORY
from streams.audit.report_keys import ReportKey
from streams.model.canonical import canonical, sha256
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.control import BundleFile, RulesetBundle
from streams.model.intent import Intent
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid, proven_event, session_secret, session_writer_key
from streams.model.session import SessionEvent, SessionEventType
from streams.model.types import Actor, Header, Model, SubProfile, ToolRef
from streams.policy import bundle_from_files, load_bundle
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.intents import CallContext, build_intent
from streams.sdk.mcp.catalog import report_keys_entry

TENANT = "bench"
ACT = Actor(
    iss="https://id.bench.example", sub="support-refunds", sub_profile=SubProfile.AI_AGENT, instance_uid="pod-77f9"
)
MODEL = Model(ai_provider="example", name="large-1", version="2025-08-07")
SCOPES = ("git:read", "git:write", "mail:read", "mail:send", "payments:write")
SESSION_TTL_MS = 3_600_000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_BUNDLE_HEAD = 'apiVersion: rules/v1\nbundle: bench\nversion: "1"\nmode: enforce\nowners: [bench]\n'
_PERMIT_ALL = """apiVersion: rules/v1
pack: all
rules:
  - id: ALL-001
    effect: permit
    match: {tools: ["*"]}
    when: "true"
    reason: everything
"""
RULE_SETS = ("empty", "permit-all", "starter")
SIGNALS = "signals"
"""Lets all calls through, and asks for the behaviour of their session on the way."""
_SIGNALS_PACK = """  - id: ALL-002
    effect: deny
    match: {tools: ["*"]}
    when: signal.repeats > 1000 || signal.run > 1000000 || signal.returns > 1000
    reason: unusual
"""

_TEXT = {"type": "string", "maxLength": 4_000}


def _schema(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


# Name -> schema, read_only, open_world, reversible. What honest work uses, so that the starter rules mostly allow it.
_TOOLS: dict[tuple[str, str], tuple[dict[str, object], bool, bool, bool]] = {
    ("git", "git_log"): (_schema(repo_path=_TEXT, max_count={"type": "integer", "minimum": 1}), True, False, True),
    ("git", "git_commit"): (_schema(repo_path=_TEXT, message=_TEXT), False, False, True),
    ("mail", "list"): (_schema(folder=_TEXT, limit={"type": "integer", "maximum": 100}), True, False, True),
    ("mail", "send"): (
        _schema(to={"type": "array", "items": {"type": "string"}, "maxItems": 20}, subject=_TEXT, body=_TEXT),
        False,
        True,
        False,
    ),
    ("pay", "lookup"): (_schema(order=_TEXT), True, False, True),
}
_CALLS: tuple[tuple[tuple[str, str], dict[str, object]], ...] = (
    (("git", "git_log"), {"repo_path": "/workspace/it/billing", "max_count": 20}),
    (("mail", "list"), {"folder": "inbox/support", "limit": 25}),
    (("pay", "lookup"), {"order": "2025-11-25-000017"}),
    (("git", "git_commit"), {"repo_path": "/workspace/it/billing", "message": "Correct the rounding of refunds"}),
    (
        ("mail", "send"),
        {
            "to": ["bob@example.com"],
            "subject": "Your refund of last week",
            "body": "Dear Bob, the refund for order 2025-11-25-000017 is on its way and will be there by Friday.",
        },
    ),
)
TEXTS: Mapping[tuple[str, str], str] = {
    ("git", "git_log"): "repo_path",
    ("git", "git_commit"): "message",
    ("mail", "list"): "folder",
    ("mail", "send"): "subject",
    ("pay", "lookup"): "order",
}
"""An argument of each tool that may hold any text."""

_OUTPUT = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


def _header(name: str, time_ms: int) -> Header:
    return Header(id=derived_uuid("bench", name), source="bench", time=time_ms, tenant_uid=TENANT)


def catalog_records(root_key: bytes) -> Iterator[ToolCatalogEntry]:
    """Yield the tools, and the keys that their servers report with, approved."""
    made_ms = now_ms()
    for server_id in sorted({server_id for server_id, _ in _TOOLS}):
        key = str(ReportKey.derived(root_key, server_id).public)
        yield report_keys_entry(
            server_id, [key], header=_header(f"report keys {server_id}", made_ms), reviewed_by="bench"
        )
    for (server_id, name), (schema, read_only, open_world, reversible) in _TOOLS.items():
        yield ToolCatalogEntry(
            header=_header(f"{server_id}/{name}", made_ms),
            server_id=server_id,
            name=name,
            catalog_version=1,
            state=EntryState.APPROVED,
            input_schema_json=json.dumps(schema),
            definition_digest=_definition(server_id, name),
            description_digest=sha256(b""),
            input_schema_digest=sha256(canonical(schema)),
            read_only=read_only,
            destructive=False,
            open_world=open_world,
            reversible=reversible,
            output_label=_OUTPUT,
        )


def _definition(server_id: str, name: str) -> bytes:
    return sha256(f"{server_id}/{name}".encode())


def bundle_record(rules: str) -> RulesetBundle:
    """Return a bundle by name: `empty` (no rule, so everything is denied), `permit-all`, `starter`, or `SIGNALS`.

    Raises:
        ValueError: there is none of that name.
    """
    if rules == "empty":
        files = {"bundle.yaml": _BUNDLE_HEAD}
    elif rules == "permit-all":
        files = {"bundle.yaml": _BUNDLE_HEAD + "packs: [all]\n", "all/all.rules.yaml": _PERMIT_ALL}
    elif rules == SIGNALS:
        files = {"bundle.yaml": _BUNDLE_HEAD + "packs: [all]\n", "all/all.rules.yaml": _PERMIT_ALL + _SIGNALS_PACK}
    elif rules == "starter":
        files = dict(load_bundle(REPOSITORY / "rules").files)
    else:
        msg = f"no rules `{rules}`; there are {', '.join(RULE_SETS)}"
        raise ValueError(msg)
    return RulesetBundle(
        header=_header(f"rules {rules}", now_ms()),
        name="default",
        version="1",
        serial=1,
        digest=bundle_from_files(files).digest,
        files=tuple(BundleFile(path=path, content=content) for path, content in sorted(files.items())),
        published_by="bench",
    )


def credential(root_key: bytes, number: int) -> SessionCredential:
    """Return the credential of the session of that number."""
    session_id = f"s-20251125-{number:07d}"
    return SessionCredential(
        tenant_uid=TENANT,
        session_id=session_id,
        secret=session_secret(root_key, TENANT, session_id),
        sub=f"user:{number:07d}@bench.example",
        act=ACT,
        scopes=SCOPES,
        expires_ms=now_ms() + SESSION_TTL_MS,
    )


def established(root_key: bytes, session: SessionCredential) -> SessionEvent:
    """Return the event that opens the session."""
    return _session_event(root_key, session, "open", SessionEventType.SESSION_ESTABLISHED, 0)


def ended(root_key: bytes, session: SessionCredential) -> SessionEvent:
    """Return the event that ends the session."""
    return _session_event(root_key, session, "end", SessionEventType.SESSION_ENDED, 1)


def _session_event(
    root_key: bytes, session: SessionCredential, name: str, kind: SessionEventType, sequence: int
) -> SessionEvent:
    event = SessionEvent(
        header=_header(f"{name} {session.session_id}", now_ms()),
        session_id=session.session_id,
        sequence=sequence,
        type=kind,
        sub=session.sub,
        act=session.act,
        scopes=session.scopes,
        expires=session.expires_ms,
    )
    return proven_event(session_writer_key(root_key), event)


def intent(session: SessionCredential, number: int, *, marked: bool = False) -> Intent:
    """Return an intent as the SDK makes it; the tools take turns.

    Args:
        session: whose it is.
        number: of the intent in the session.
        marked: whether the tool's text (see TEXTS) is to end with the intent's id, so that whoever runs the call knows
            which one it is.
    """
    (server_id, name), args = _CALLS[number % len(_CALLS)]
    intent_id = derived_uuid("intent", session.session_id, str(number))
    if marked:
        text = TEXTS[server_id, name]
        args = {**args, text: f"{args[text]} {intent_id}"}
    return build_intent(
        session,
        ToolRef(server_id=server_id, name=name, definition_digest=_definition(server_id, name), catalog_version=1),
        args,
        intent_id=intent_id,
        header_id=derived_uuid("intent record", session.session_id, str(number)),
        source=f"agent/{session.act.sub}",
        now_ms=now_ms(),
        model=MODEL,
        context=CallContext(
            turn=number,
            tool_call_id=f"call_{number:09d}",
            user_request_digest=sha256(b"request"),
            toolset_digest=sha256(b"tools"),
            traceparent=TRACEPARENT,
        ),
    )
