"""Turns the steps of a scenario into records, as lines of a history: what a step leaves out is filled in there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.codec.history import HistoryError, HistoryLine, parse_line
from streams.codec.history_contents import Contents
from streams.codec.jsonform import named_uuid
from streams.model.approval import ApprovalRequest
from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import StoplogError
from streams.model.keys import tool_key
from streams.operations.catalog.stated_facts import FactError, stated_facts
from streams.policy.authoring.scenario import Scenario, ScenarioStep, SessionSpec, StopKind, ToolEntry, Verb
from streams.policy.authoring.scenario_keys import TOOL_BY_PATH, TOOL_PATH_SETS, TOOL_PATHS, TOOL_TEXTS

ISSUER = "https://id.example"
DEFAULT_USER = "alice"
DEFAULT_AGENT = "assistant"
DEFAULT_TENANT = "acme"
DEFAULT_APPROVER = "carol"
DEFAULT_STOPPER = "security"
DEFAULT_EXPIRES_MS = 31 * 86_400_000
"""How long credentials live, unless a session says otherwise. A gate ends sessions sooner by itself."""

_REVOCATION_KINDS = {StopKind.USER: "SUBJECT"}


class StepError(StoplogError):
    """A step can't be turned into a record; the message says why."""


@dataclass(slots=True)
class MadeCall:
    """A call that a step has made."""

    intent_id: str
    tool: str
    session: str
    args: Mapping[str, Any]
    request: ApprovalRequest | None = None


@dataclass(slots=True)
class RecordMaker:
    """Makes the records of one scenario, the same ones every time.

    Attributes:
        scenario: the scenario.
        root_key: the key from which proofs are made.
        catalog: the entries of its tools, by `tool_key`.
        calls: the calls that were made, by name.
    """

    scenario: Scenario
    root_key: bytes
    catalog: Mapping[bytes, ToolCatalogEntry]
    calls: dict[str, MadeCall] = field(default_factory=dict)
    made_count: int = 0
    contents: Contents = field(init=False)

    def __post_init__(self) -> None:
        """Know the media types of the tools' results."""
        self.contents = Contents(self.catalog.values())

    def opened(self, name: str, now_ms: int) -> HistoryLine:
        """Return the record that opens a session."""
        spec = self._spec(name)
        stated = spec.fields
        value: dict[str, Any] = {
            "type": "SESSION_ESTABLISHED",
            "sub": stated.get("user", DEFAULT_USER),
            "act": _agent(stated),
            "scopes": stated.get("scopes", []),
            "expires": now_ms + stated.get("expires", DEFAULT_EXPIRES_MS),
            "attended": stated.get("attended", False),
            "purpose": stated.get("purpose"),
            "parent_session_id": stated.get("parent"),
            "delegation_uid": stated.get("delegation"),
            "risk_level": _upper(stated.get("risk")),
            "label": label_of(stated.get("label")),
            **_origin(stated),
        }
        return self._line("session_event", self._key(name), value, now_ms)

    def record(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        """Return the record of a step that makes one.

        Raises:
            StepError: it can't be made.
            HistoryError: a value in it is wrong.
        """
        makers = {
            Verb.CALL: self._call,
            Verb.RESULT: self._report,
            Verb.NOT_RUN: self._report,
            Verb.APPROVE: self._decision,
            Verb.REFUSE: self._decision,
            Verb.EVENT: self._event,
            Verb.ENTITY: self._entity,
            Verb.STOP: self._revocation,
            Verb.RELEASE: self._revocation,
        }
        if step.verb is Verb.OPEN:
            return self.opened(step.session, now_ms)
        if step.verb is Verb.RECORD:
            fields = step.fields
            return self._line(fields["record"], fields.get("key"), fields["value"], now_ms)
        return makers[step.verb](step, now_ms)

    def names(self) -> dict[str, str]:
        """Return the names of calls by the ids of their intents."""
        return {call.intent_id: name for name, call in self.calls.items()}

    def _stopped(self, step: ScenarioStep) -> tuple[str, str]:
        """Return the kind and the id of what a step stops or releases, as the record has them."""
        kind = StopKind(step.target)
        name = step.fields.get("name", "*")
        tenant = self._tenant_of_default()
        if kind is StopKind.SESSION:
            name = self._key(name)
        elif kind in (StopKind.AGENT, StopKind.USER):
            name = name if "|" in name else f"{tenant}|{name}"
        elif kind is StopKind.TOOL:
            name = name.replace(".", "/", 1)
        return _REVOCATION_KINDS.get(kind, kind.value.upper()), name

    def _call(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        server_id, _, short_name = step.target.partition(".")
        entry = self.catalog.get(tool_key(server_id, short_name))
        stated = self._spec(step.session).fields
        tool = {"server_id": server_id, "name": short_name}
        if entry is not None:
            tool["definition_digest"] = entry.definition_digest.hex()
        name = f"{step.call} in step {step.number}, record {self.made_count}"
        args = step.fields.get("args", {})
        self.calls[step.call] = MadeCall(named_uuid(name), step.target, step.session, args)
        value = {
            "intent_id": name,
            "sub": step.fields.get("user", stated.get("user", DEFAULT_USER)),
            "act": _agent({**stated, **step.fields}),
            "tool": tool,
            "args": args,
            "claimed_sources": step.fields.get("sources", []),
            "delegation_uid": stated.get("delegation"),
            # An agent states what its session was opened with, unless the step says something else.
            **_origin({**stated, **step.fields}),
        }
        return self._line("intent", self._key(step.session), value, now_ms)

    def _report(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        call = self._made(step)
        server_id, _, short_name = call.tool.partition(".")
        value = {
            "type": "TOOL_RESULT" if step.verb is Verb.RESULT else "TOOL_NOT_RUN",
            "intent_id": call.intent_id,
            "tool": {"server_id": server_id, "name": short_name},
            "is_error": step.fields.get("error", False),
            "label": label_of(step.fields.get("label")),
        }
        return self._line("report", self._key(call.session), value, now_ms)

    def _decision(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        call = self._made(step)
        request = call.request
        groups = step.fields.get("groups", [] if request is None else list(request.eligible_approvers))
        approver = {"iss": ISSUER, "sub": step.fields.get("by", DEFAULT_APPROVER), "sub_profile": "USER"}
        value: dict[str, Any] = {
            "intent_id": call.intent_id,
            "status": "APPROVED" if step.verb is Verb.APPROVE else "DENIED",
            "approver": approver,
            "approver_groups": groups,
            "args": call.args,
        }
        if request is not None:
            value["task_id"] = request.task_id
        return self._line("approval_decision", self._key(call.session), value, now_ms)

    def _event(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        fields = step.fields
        value: dict[str, Any] = {
            "type": step.target.upper(),
            "label": label_of(fields.get("label")),
            "risk_level": _upper(fields.get("risk")),
            "purpose": fields.get("purpose"),
        }
        if "scopes" in fields:
            value["scopes"] = fields["scopes"]
        if "tool" in fields:
            server_id, _, short_name = fields["tool"].partition(".")
            value["tool"] = {"server_id": server_id, "name": short_name}
        return self._line("session_event", self._key(step.session), value, now_ms)

    def attributes(self, entity: str, attributes: Mapping[str, Any], now_ms: int) -> HistoryLine:
        """Return the record that publishes the attributes of an entity, `KIND/ID`."""
        key = f"{self._tenant_of_default()}|{entity}"
        return self._line("attributes", key, {"attributes": attributes}, now_ms)

    def _entity(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        return self.attributes(step.target, step.fields.get("attributes", {}), now_ms)

    def _revocation(self, step: ScenarioStep, now_ms: int) -> HistoryLine:
        kind, name = self._stopped(step)
        value: dict[str, Any] = {
            "kind": kind,
            "id": name,
            "effective_at": now_ms,
            "reason": step.fields.get("reason", f"the scenario says {step.verb}"),
            "initiating_entity": DEFAULT_STOPPER,
        }
        if step.verb is Verb.RELEASE:
            value["state"] = "RELEASED"
        return self._line("revocation", None, value, now_ms)

    def _made(self, step: ScenarioStep) -> MadeCall:
        try:
            return self.calls[step.call]
        except KeyError:
            raise StepError(f"no step before this one has made the call `{step.call}`") from None

    def _line(self, record: str, key: str | None, value: Mapping[str, Any], now_ms: int) -> HistoryLine:
        self.made_count += 1
        line: dict[str, Any] = {"record": record, "time_ms": now_ms}
        if key is not None:
            line["key"] = key
        line["value"] = {name: part for name, part in value.items() if part is not None}
        return parse_line(json.dumps(line), self.made_count, self.scenario.path, self.root_key, contents=self.contents)

    def _spec(self, name: str) -> SessionSpec:
        return self.scenario.sessions.get(name) or SessionSpec(name, self.scenario.location)

    def _key(self, name: str) -> str:
        return f"{self._spec(name).fields.get('tenant', DEFAULT_TENANT)}|{name}"

    def _tenant_of_default(self) -> str:
        """Return the tenant of the first session."""
        first = next(iter(self.scenario.sessions.values()), None)
        return DEFAULT_TENANT if first is None else str(first.fields.get("tenant", DEFAULT_TENANT))


def sessions_to_open(scenario: Scenario) -> Iterator[str]:
    """Yield the names of the sessions that are open from the beginning: those in use that no step opens."""
    opened = {step.session for step in scenario.steps if step.verb is Verb.OPEN}
    seen: set[str] = set()
    for step in scenario.steps:
        for name in (step.session, *_parents(step.session, scenario)):
            if name and name not in opened and name not in seen:
                seen.add(name)
                yield name


def catalog_line(tool: ToolEntry, now_ms: int) -> HistoryLine:
    """Return the catalog entry of a tool of a scenario file.

    Raises:
        HistoryError: a value in it is wrong.
    """
    fields = dict(tool.fields)
    output = fields.pop("output", None)
    facts = _stated(tool, {name: fields.pop(name) for name in _FACTS if name in fields})
    value: dict[str, Any] = {
        "server_id": tool.server_id,
        "name": tool.short_name,
        "state": fields.pop("state", "APPROVED"),
        "input_schema": fields.pop("input_schema", {"type": "object"}),
        "output_label": label_of(output),
        "reviewed_by": "scenario",
        **fields,
        **facts,
    }
    line = {"record": "catalog_entry", "time_ms": now_ms, "value": {k: v for k, v in value.items() if v is not None}}
    return parse_line(json.dumps(line), 1, tool.location.path)


_FACTS = (*TOOL_PATHS, *TOOL_PATH_SETS, *TOOL_TEXTS, *TOOL_BY_PATH)


def _stated(tool: ToolEntry, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of a tool as the JSON of its catalog entry.

    Raises:
        HistoryError: one of them is not of its form.
    """
    try:
        made = stated_facts(facts)
    except FactError as error:
        raise HistoryError(tool.location.path, tool.location.line, f"tool `{tool.name}`: {error}") from None
    return {name: msgspec.to_builtins(getattr(made, name)) for name in facts}


def label_of(text: str | None) -> dict[str, str] | None:
    """Return the JSON of a label that is written as two words."""
    if text is None:
        return None
    integrity, confidentiality = text.upper().split()
    return {"integrity": integrity, "confidentiality": confidentiality}


def _parents(name: str, scenario: Scenario) -> Iterator[str]:
    """Yield the sessions that a session descends from; a circle ends where it closes."""
    seen = {name}
    while (spec := scenario.sessions.get(name)) is not None and "parent" in spec.fields:
        name = spec.fields["parent"]
        if name in seen:
            return
        seen.add(name)
        yield name


def _agent(stated: Mapping[str, Any]) -> dict[str, str]:
    return {"iss": ISSUER, "sub": stated.get("agent", DEFAULT_AGENT), "sub_profile": "AI_AGENT"}


def _origin(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return model, system prompt and tools; prompts and tools are given as text, and recorded as digests."""
    value: dict[str, Any] = {}
    if "model" in stated:
        model = dict(stated["model"])
        value["model"] = {"ai_provider": model.pop("provider"), **model}
    for name, key in (("prompt", "system_prompt_digest"), ("toolset", "toolset_digest")):
        if name in stated:
            value[key] = hashlib.sha256(stated[name].encode()).hexdigest()
    return value


def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()
