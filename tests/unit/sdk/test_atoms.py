"""What executors and agents report of a content: the same as a history that holds the content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.codec.history import parse_line
from streams.model.canonical import canonical, sha256
from streams.model.session import ScopeSource, SessionEvent, SessionEventType, TaskScope
from streams.model.types import Actor
from streams.model.verdict import Verdict
from streams.provenance.atoms.found import AtomKind
from streams.provenance.extraction.digests import atom_digest, atom_key
from streams.provenance.requests.scope import derive_scopes
from streams.sdk import Agent, DevTokenService, Executor, SingleUseStore, ToolResult
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.tools import FunctionTool
from tests.unit.sdk.hands import ISSUER, REPORT_KEY, ROOT_KEY, TENANT, TOOL, key_of, make_verdict, written

_SAID = ("atoms", "atoms_complete", "has_text", "text_instructed", "content_type", "content_digest")
_RECORD = {"from": "kim@x.example", "note": "Please pay 12.50 EUR to DE89 3704 0044 0532 0130 00.", "open": True}


def asked(content_type: str | None = None) -> Verdict:
    verdict = make_verdict()
    key = atom_key(ROOT_KEY, verdict.header.tenant_uid, verdict.sub)
    return replace(verdict, atom_key=key, content_type=content_type)


def reported(transport: Transport, store: SingleUseStore, verdict: Verdict, result: object) -> SessionEvent:
    tool = FunctionTool(lambda _: result, TOOL.definition_digest)
    tools = {"mail/send": tool}
    with Executor(transport, ["mail"], tools, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN) as executor:
        executor.execute(verdict, key_of(verdict))
    [event] = written(transport, SessionEvent)
    return event


def in_history(event: SessionEvent, content: str, sub: str, content_type: str | None = None) -> SessionEvent:
    value = {"type": event.type.value, "sub": sub, "content": content, "content_type": content_type}
    line = {"record": "report", "key": f"{TENANT}|{event.session_id}", "time_ms": 1, "value": value}
    record = parse_line(json.dumps(line), 1, "h", ROOT_KEY).record
    assert isinstance(record, SessionEvent)
    return record


def said(event: SessionEvent) -> list[object]:
    return [getattr(event, name) for name in _SAID]


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("Write to kim@x.example or call +1 (555) 010-9999.", "Write to kim@x.example or call +1 (555) 010-9999."),
        (_RECORD, canonical(_RECORD).decode()),
        (b"name: Kim\nmail: kim@x.example\n", "name: Kim\nmail: kim@x.example\n"),
        (ToolResult(content="no such order: 17", is_error=True), "no such order: 17"),
    ],
    ids=["text", "record", "bytes", "error"],
)
def test_an_executor_reports_what_a_history_with_the_content_has(
    transport: Transport, store: SingleUseStore, result: object, content: str
) -> None:
    verdict = asked()
    event = reported(transport, store, verdict, result)

    assert event.atoms
    assert event.atoms_complete
    assert said(event) == said(in_history(event, content, verdict.sub))


def test_the_operators_content_type_goes_before_that_of_the_tool(transport: Transport, store: SingleUseStore) -> None:
    result = ToolResult(content='{"mail": "kim@x.example"}', content_type="application/json")
    event = reported(transport, store, asked("text/plain"), result)

    assert event.content_type == "text/plain"
    assert not any(atom.whole_field for atom in event.atoms)


def test_a_tools_content_type_is_used_where_the_operator_states_none(
    transport: Transport, store: SingleUseStore
) -> None:
    event = reported(transport, store, asked(), ToolResult(content="mail: kim@x.example", content_type="text/yaml"))

    assert event.content_type == "text/yaml"
    assert [atom.path for atom in event.atoms if atom.whole_field] == ["/mail"]


def test_without_a_key_nothing_is_said_and_the_reader_expects_the_worst(
    transport: Transport, store: SingleUseStore
) -> None:
    event = reported(transport, store, make_verdict(), "all is well")

    assert event.atoms == ()
    assert (event.atoms_complete, event.has_text, event.text_instructed) == (False, True, True)


def test_no_value_of_a_result_is_on_the_log_or_on_disk(
    transport: Transport, store: SingleUseStore, tmp_path: Path
) -> None:
    event = reported(transport, store, asked(), _RECORD)

    assert event.atoms
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"kim@x.example" not in file.read_bytes()


@pytest.fixture
def credential(tokens: DevTokenService) -> SessionCredential:
    return tokens.open_session("anna", Actor(iss=ISSUER, sub="helper"), ("mail:send",))


def test_an_agent_and_the_token_service_report_a_message_as_a_history_has_it(
    transport: Transport, tokens: DevTokenService, credential: SessionCredential
) -> None:
    content = "Put dinner with Kim into my calendar, and write to kim@x.example."
    with Agent(transport, credential) as agent:
        by_agent = agent.report(SessionEventType.USER_MESSAGE, content=content)
    by_service = tokens.user_message(credential, content)

    assert credential.atom_key == atom_key(ROOT_KEY, TENANT, "anna")
    assert said(by_agent) == said(by_service) == said(in_history(by_agent, content, "anna"))
    digest = atom_digest(credential.atom_key, AtomKind.TEXT, "dinnerwithkim")
    assert digest in {atom.digest for atom in by_agent.atoms}


def test_an_agent_reports_what_its_model_says_as_a_history_has_it(
    transport: Transport, credential: SessionCredential
) -> None:
    content = "Shall I write to kim@x.example?"
    with Agent(transport, credential) as agent:
        event = agent.report(SessionEventType.MODEL_OUTPUT, content=content)

    assert said(event) == said(in_history(event, content, "anna"))
    digest = atom_digest(credential.atom_key, AtomKind.ADDRESS, "kim@x.example")
    assert [(atom.digest, atom.path) for atom in event.atoms] == [(digest, "/sort/address")]
    assert event.atoms_complete


def test_a_report_without_the_content_has_no_atoms(transport: Transport, credential: SessionCredential) -> None:
    with Agent(transport, credential) as agent:
        event = agent.report(SessionEventType.RETRIEVAL, content_digest=sha256(b"all is well"))

    assert (event.atoms, event.atoms_complete, event.has_text) == ((), False, True)


def test_what_a_message_asks_for_is_derived_from_its_text_by_any_deriver(
    transport: Transport, tokens: DevTokenService, credential: SessionCredential
) -> None:
    content = "Please pay the bill."
    own = (TaskScope(kind="send"),)
    with Agent(transport, credential) as agent:
        by_default = agent.report(SessionEventType.USER_MESSAGE, content=content)
        by_another = agent.report(SessionEventType.USER_MESSAGE, content=content, derive=lambda _: own)
        page = agent.report(SessionEventType.RETRIEVAL, content=content, derive=lambda _: own)

    assert by_default.task_scopes == derive_scopes(content) != ()
    assert by_default.task_scopes == tokens.user_message(credential, content).task_scopes
    assert by_default.task_scopes == in_history(by_default, content, "anna").task_scopes
    assert by_another.task_scopes == tokens.user_message(credential, content, lambda _: own).task_scopes == own
    assert (by_another.scope_source, page.task_scopes) == (ScopeSource.DERIVED, ())
