"""A session in which a user says something and tools return something, with rules that ask where values come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from simulation.records import ROOT_KEY, TRUSTED, UNTRUSTED, SessionMaker, report_keys, ruleset, tool_entry
from streams.model.catalog import OutputLabel, ToolCatalogEntry
from streams.model.intent import Intent
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REPORT, RULESET, SESSION
from streams.model.verdict import ArgumentOrigin, Outcome, Verdict
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import described
from tests.kit import BUNDLE, GateBench

INBOX = tool_entry(
    "post", "open", read_only=True, output_label=UNTRUSTED,
    output_labels=(OutputLabel(path="id", label=TRUSTED), OutputLabel(path="*.id", label=TRUSTED)),
)  # fmt: skip
STAFF = tool_entry("staff", "find", read_only=True, output_label=TRUSTED)
SEND = tool_entry("post", "send", open_world=True, sink_args=("/to/*",))
PAY = tool_entry("bank", "pay", open_world=True, sink_args=("/account",))
ORDERS = tool_entry("shop", "order", read_only=True, output_label=UNTRUSTED, output_owners=("customer",))
CANCEL = tool_entry("shop", "cancel", sink_args=("/order",))
ENTRIES = (INBOX, STAFF, SEND, PAY, ORDERS, CANCEL)
RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: P-2
    effect: deny
    match: {tools: ["*"]}
    when: '!tool.read_only && origins.exists(o, o.sink && o.origin == "text" && o.instructed)'
    reason: instructed
  - id: P-3
    effect: deny
    match: {tools: ["*"]}
    when: '!tool.read_only && read.untrusted && origins.exists(o, o.sink && o.origin == "nowhere")'
    reason: nowhere
  - id: P-4
    effect: deny
    match: {tools: ["*"]}
    when: '!tool.read_only && scope.source == "issuer" && !scope.inside'
    reason: outside
  - id: P-5
    effect: deny
    match: {tools: ["*"]}
    when: "!tool.read_only && owner.other"
    reason: other
  - id: P-6
    effect: deny
    match: {tools: [bank.pay]}
    when: "!act.requested"
    reason: not requested
"""
EVIL = "kim@evil.example"


class Talk(GateBench):
    """A session in which a user says something, and tools return something."""

    def __init__(
        self, files: Mapping[str, str] | None = None, entries: Sequence[ToolCatalogEntry] = ENTRIES, **fields: Any
    ) -> None:
        super().__init__(with_rules=False, with_session=False)
        servers = sorted({entry.server_id for entry in entries})
        for entry in (*entries, *map(report_keys, servers)):
            self.publish(entry)
        files = files or {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}
        self.driver.pipe(RULESET.name, b"default", ruleset(files))
        self.establish(self.session, **fields)

    def describe(self, event: SessionEvent, content: str, session: SessionMaker) -> SessionEvent:
        """What the writer of an event says of its content."""
        return session.proven(described(event, content, atom_key(ROOT_KEY, session.tenant, session.sub)))

    def say(self, text: str, **fields: Any) -> None:
        event = self.session.event(SessionEventType.USER_MESSAGE, self.now_ms, **fields)
        self.driver.pipe(REPORT.name, self.session.key, self.describe(event, text, self.session))

    def answer(self, text: str, **fields: Any) -> None:
        """The agent says something."""
        event = self.session.event(SessionEventType.MODEL_OUTPUT, self.now_ms, **fields)
        self.driver.pipe(REPORT.name, self.session.key, self.describe(event, text, self.session))

    def purpose(self, text: str = "p", **fields: Any) -> None:
        """The purpose of the session is stated."""
        event = self.session.event(SessionEventType.PURPOSE_SET, self.now_ms, purpose=text, **fields)
        self.driver.pipe(SESSION.name, self.session.key, event)

    def read(self, entry: ToolCatalogEntry, args: Mapping[str, Any], content: Any, **fields: Any) -> Intent:
        intent = self.propose(entry, args)
        assert self.verdict().outcome is Outcome.ALLOW
        self.report(intent, content, **fields)
        return intent

    def report(self, intent: Intent, content: Any, **fields: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        event = self.session.result(intent, self.now_ms)
        event = self.describe(event, text, self.session)
        self.driver.pipe(REPORT.name, self.session.key, self.session.proven(msgspec.structs.replace(event, **fields)))

    def origins(self, entry: ToolCatalogEntry, args: Mapping[str, Any]) -> dict[str, ArgumentOrigin]:
        return {each.pointer: each for each in self.judge(entry, args).origins}

    def sends_to(self, address: str) -> Verdict:
        return self.judge(SEND, {"to": [address], "body": "Hello"})


def fired(verdict: Verdict) -> list[str]:
    return [rule.rule_id for rule in verdict.rules if rule.rule_id != "P-1"]
