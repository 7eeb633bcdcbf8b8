"""What tests of memories and budgets share: tools to be counted, and a driven gate with rules of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.records import SessionMaker, report_keys, ruleset, tool_entry
from streams.engine.meter import Meter
from streams.model.catalog import ToolCatalogEntry
from streams.model.intent import Intent
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, RULESET, SESSION
from streams.model.verdict import Verdict
from streams.policy import bundle_from_files, compile_bundle
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.control.schemas import ArgsSchema
from streams.processors.sessions.memory import recall
from streams.processors.settings import GateSettings
from streams.topology import ProcessorSpec
from tests.kit import GATE_SETTINGS, HOUR_MS, GateBench

PRIVATE = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
REFUND = tool_entry("pay", "refund")
LOOKUP = tool_entry("pay", "lookup", output_label=PRIVATE)
PURGE = tool_entry("data", "purge")
SEND = tool_entry("post", "send")

SESSION_LIFE_MS = 24 * HOUR_MS
"""Longer than any test of counting lets pass while its session is to live."""

HEAD = "apiVersion: rules/v1\npack: counting\n"
BUNDLE = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n'


def bundle_files(rules: str) -> dict[str, str]:
    """A bundle of one pack, given without its head."""
    return {"bundle.yaml": BUNDLE, "counting/counting.rules.yaml": HEAD + rules}


class CountingBench(GateBench):
    """A driven gate with a pack of the test's own in force."""

    def __init__(
        self,
        rules: str,
        *,
        settings: GateSettings = GATE_SETTINGS,
        partitions: int = 1,
        meters: Mapping[ProcessorSpec, Meter] | None = None,
    ) -> None:
        super().__init__(settings=settings, partitions=partitions, with_rules=False, with_session=False, meters=meters)
        self.establish(self.session, expires_ms=self.now_ms + SESSION_LIFE_MS)
        for entry in (REFUND, LOOKUP, PURGE, SEND, *(report_keys(server) for server in ("pay", "data", "post"))):
            self.publish(entry)
        self._serial = 0
        self.put_in_force(rules)

    def put_in_force(self, rules: str) -> None:
        self._serial += 1
        self._ruleset = compile_bundle(bundle_from_files(bundle_files(rules)))
        self.driver.pipe(RULESET.name, b"default", ruleset(bundle_files(rules), serial=self._serial))

    def outcome(self, entry: ToolCatalogEntry, args: Mapping[str, Any], **changes: Any) -> str:
        """Of a new intent: `ALLOW`, or the reason that it is not allowed for."""
        verdict: Verdict = self.judge(entry, args, **changes)
        return "ALLOW" if verdict.outcome.value == "ALLOW" else verdict.reason

    def report(self, intent: Intent, *, session: SessionMaker | None = None, **fields: Any) -> None:
        """The executor's report of a result."""
        maker = session or self.session
        event = maker.event(
            SessionEventType.TOOL_RESULT, self.now_ms, intent_id=intent.intent_id, tool=intent.tool, **fields
        )
        self.driver.pipe(SESSION.name, maker.key, event)

    def decide(self, intent: Intent, approver: str, **fields: Any) -> None:
        """A person's decision."""
        decision = self.session.decision(intent, approver, self.now_ms, **fields)
        self.driver.pipe(APPROVAL_DECISION.name, self.session.key, decision)

    def history(self, entry: ToolCatalogEntry, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What the rules of a tool would read now."""
        plan = self._ruleset.plan(CatalogTool(entry, ArgsSchema("{}")).facts)
        return recall(plan, facts, self.session.key, _Rows(self.driver.disk.rows(0)), self.now_ms)

    def rows(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """All committed rows of a kind."""
        return sorted((key, row) for key, row in self.driver.disk.rows(0).items() if key.startswith(prefix))


class _Rows:
    """Committed rows, to be looked at."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        self._rows = rows

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)
