"""Fill in what a person leaves out of a line of a history, as the SDK would; always the same for the same line."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.audit.report_keys import ReportKey
from streams.codec.history_contents import Contents
from streams.codec.history_grant_defaults import fill_grant, prove_grant
from streams.codec.jsonform import JsonFormError, is_utf8, named_uuid
from streams.model.alert import Alert
from streams.model.approval import ApprovalDecision
from streams.model.attributes import EntityAttributes, entity_key
from streams.model.audit import AuditCheckpoint
from streams.model.bundle_signature import publication_key
from streams.model.canonical import CanonicalError, canonical, canonical_args, parse_strict, sha256
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_key
from streams.model.control import Baseline, RulesetBundle
from streams.model.definition import definition_digests
from streams.model.delegation import Delegation, DelegationOp
from streams.model.ids import approval_task_id, verdict_id_of
from streams.model.intent import Intent
from streams.model.keys import baseline_key, revocation_key, session_key_of
from streams.model.proof import (
    derived_uuid,
    make_hmac,
    proof_message,
    proven_event,
    session_report,
    session_secret,
    session_writer_key,
)
from streams.model.revocation import Revocation
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent
from streams.model.topics import ATTRIBUTES, BASELINE, Spread, Topic
from streams.model.types import Header, Proof, ProofAlg, Record
from streams.model.verdict import Outcome

SOURCE = "history"

SESSION_KEY = "tenant|session_id"
ROUND_NO_MAX = 256
_TOOL_PARTS = {
    "inputSchema": "input_schema",
    "outputSchema": "output_schema",
    "annotations": "annotations",
    "_meta": "meta",
}


class Line(NamedTuple):
    """The context of a line, besides its record; `key` is None if it is left out. `contents` is what the lines before
    it say about sessions and tools."""

    topic: Topic
    line_no: int
    text: str
    time_ms: int
    key: bytes | None
    root_key: bytes | None
    deployment: str = ""
    contents: Contents | None = None


def fill(given: dict[str, object], line: Line) -> dict[str, object]:
    """Return the record's JSON with the missing fields filled in.

    Raises:
        JsonFormError: a field that others are derived from is missing or wrong.
    """
    value = dict(given)
    tenant_uid, session_id = _owner(line)
    header = value.get("header", {})
    if isinstance(header, dict):
        value["header"] = {
            "id": derived_uuid("history line", str(line.line_no), line.text),
            "source": SOURCE,
            "time": line.time_ms,
            "tenant_uid": tenant_uid,
        } | header
    record = line.topic.record
    if record in (Intent, SessionEvent, ApprovalDecision) and line.key is not None:
        value.setdefault("session_id", session_id)
    if record is Intent:
        _fill_intent(value, line)
    elif record is SessionEvent:
        _fill_session_event(value, line)
    elif record is Delegation:
        fill_grant(value, tenant_uid, session_id, line.time_ms)
    elif record is ApprovalDecision:
        _fill_approval_decision(value)
    elif record is ToolCatalogEntry:
        _fill_catalog_entry(value)
    elif record is Baseline:
        from streams.codec.history_baselines import fill_baseline  # noqa: PLC0415 - few histories have one

        fill_baseline(value, session_id, line.time_ms)
    elif record is EntityAttributes and line.key is not None:
        kind, _, entity_id = session_id.partition("/")
        value.setdefault("kind", kind)
        value.setdefault("id", entity_id)
    return value


def complete(record: Record, given: dict[str, object], line: Line) -> Record:
    """Return the record with the atoms of its content, and with its proof, if the line does not mention them.

    An intent is proven with its session's key. An event that says what a session may do is proven with its writer's
    key, and a report with a derived key of its server (`ReportKey.derived`) or with its session's key. A grant is
    proven with the key of its issuer or of its parent's session.
    """
    if isinstance(record, Delegation) and record.op is DelegationOp.GRANT and line.root_key is not None:
        return prove_grant(record, given, line.root_key)
    if isinstance(record, SessionEvent) and line.root_key is not None and given.get("proof") is None:
        record = _described(record, given, line, line.root_key)
    if "proof" in given or line.root_key is None:
        return record
    if isinstance(record, SessionEvent) and record.type in PROVEN_EVENTS:
        return proven_event(session_writer_key(line.root_key), record)
    if isinstance(record, SessionEvent) and record.type in REPORTS:
        return _proven_report(record, line.root_key, line.deployment)
    if not isinstance(record, Intent):
        return record
    secret = session_secret(line.root_key, record.header.tenant_uid, record.session_id)
    proof = Proof(alg=ProofAlg.HMAC_SHA256, value=make_hmac(secret, proof_message(record)))
    return msgspec.structs.replace(record, proof=proof)


def _described(event: SessionEvent, given: dict[str, object], line: Line, root_key: bytes) -> SessionEvent:
    content = given.get("content")
    if not isinstance(content, str) or "atoms" in given:
        return event
    return (line.contents or Contents()).described(event, content, root_key)


def _proven_report(event: SessionEvent, root_key: bytes, deployment: str) -> SessionEvent:
    tenant_uid, intent_id = event.header.tenant_uid, event.intent_id
    if event.type not in COMPLETIONS:
        return session_report(session_secret(root_key, tenant_uid, event.session_id), event, deployment)
    tool = event.tool
    if tool is None:
        return event
    if event.verdict_id is None and intent_id is not None:
        verdict_id = verdict_id_of(tenant_uid, event.session_id, intent_id, Outcome.ALLOW)
        event = msgspec.structs.replace(event, verdict_id=verdict_id)
    return ReportKey.derived(root_key, tool.server_id, deployment).proven(event)


def key_of(record: Record) -> bytes:
    """Return the key under which a record is written.

    Raises:
        JsonFormError: the key doesn't follow from the record.
    """
    match record:
        case Revocation(kind=kind, id=target):
            return revocation_key(kind, target)
        case ToolCatalogEntry():
            return entry_key(record)
        case RulesetBundle():
            return publication_key(record)
        case Baseline():
            return baseline_key(record.header.tenant_uid, record.agent, record.epoch)
        case EntityAttributes():
            return entity_key(record.header.tenant_uid, record.kind, record.id)
        case AuditCheckpoint(partition=partition):
            return b"%d" % partition
        case Alert(dedup_key=dedup_key):
            return dedup_key.encode()
    header, session_id = getattr(record, "header", None), getattr(record, "session_id", None)
    if not isinstance(header, Header) or not isinstance(session_id, str):
        raise JsonFormError("`key` is missing")
    try:
        return session_key_of(header.tenant_uid, session_id)
    except ValueError as error:
        raise JsonFormError(f"`key` is missing, and cannot be made: {error}") from None


def _owner(line: Line) -> tuple[str, str]:
    """Return tenant and session (or entity, or agent and epoch), as far as the key contains them."""
    has_owner = line.topic.spread is Spread.CO_PARTITIONED and line.topic.key == SESSION_KEY
    if line.key is None or not (has_owner or line.topic in (ATTRIBUTES, BASELINE)):
        return "", ""
    tenant_uid, _, session_id = line.key.decode("utf-8", "replace").partition("|")
    return tenant_uid, session_id


def _fill_intent(value: dict[str, object], line: Line) -> None:
    value.setdefault("intent_id", derived_uuid("history intent", str(line.line_no), line.text))
    value.setdefault("tool_call_id", value["intent_id"])
    _fill_args_digest(value)


def _fill_session_event(value: dict[str, object], line: Line) -> None:
    value.setdefault("sequence", line.line_no)
    content = value.get("content")
    if isinstance(content, str) and is_utf8(content):
        del value["content"]
        value.setdefault("content_digest", sha256(content.encode()).hex())


def _fill_approval_decision(value: dict[str, object]) -> None:
    """Fill in a decision: it names the intent, its task follows from the intent, and of the arguments it has only the
    digest."""
    _fill_args_digest(value)
    value.pop("args", None)
    value.pop("args_json", None)
    round_no = value.pop("round_no", 0)
    if type(round_no) is not int or not 0 <= round_no <= ROUND_NO_MAX:
        raise JsonFormError(
            f"value: `round_no` must be 0 to {ROUND_NO_MAX}: the number of earlier questions about the intent"
        )
    intent_id, session_id, header = value.get("intent_id"), value.get("session_id"), value["header"]
    tenant_uid = header["tenant_uid"] if isinstance(header, dict) else None
    if not (isinstance(intent_id, str) and isinstance(session_id, str) and isinstance(tenant_uid, str)):
        return
    if is_utf8(intent_id + session_id + tenant_uid):
        value.setdefault("task_id", approval_task_id(tenant_uid, session_id, named_uuid(intent_id), round_no))


def _fill_catalog_entry(value: dict[str, object]) -> None:
    value.setdefault("catalog_version", 1)
    names = ("definition_digest", "description_digest", "input_schema_digest")
    if all(name in value for name in names):
        return
    tool = {name: value.get(name) for name in ("name", "title", "description")}
    tool |= {part: _json_part(value, name) for part, name in _TOOL_PARTS.items()}
    try:
        digests = definition_digests(tool)
    except CanonicalError as error:
        raise JsonFormError(f"value: the tool has no digest: {error}") from None
    for name, digest in zip(names, digests, strict=True):
        value.setdefault(name, digest.hex())


def _fill_args_digest(value: dict[str, object]) -> None:
    """Fill in the digest of `args` or `args_json`. A text without a canonical form gets the digest of itself: the gate
    refuses it anyway."""
    if "args" in value and "args_json" not in value:
        try:
            value["args_json"] = canonical(value.pop("args")).decode()
        except CanonicalError as error:
            raise JsonFormError(f"value.args: {error}; give it as text in `args_json`") from None
    args_json = value.get("args_json")
    if not isinstance(args_json, str) or not is_utf8(args_json):
        return
    try:
        _, form = canonical_args(args_json)
    except CanonicalError:
        form = args_json.encode()
    value.setdefault("args_digest", sha256(form).hex())


def _json_part(value: dict[str, object], name: str) -> object:
    """Return a part of a tool that is given as JSON, or as text."""
    text = value.get(f"{name}_json")
    if name in value or not isinstance(text, str):
        return value.get(name)
    try:
        return parse_strict(text)
    except CanonicalError as error:
        raise JsonFormError(f"value.{name}_json: {error}") from None
