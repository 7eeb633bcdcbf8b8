"""What tests of the gate share: the real codec, a catalog, a bundle with a rule for every outcome, and a driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from simulation.records import (
    ISSUER,
    ROOT_KEY,
    UNTRUSTED,
    SessionMaker,
    entry_key,
    report_keys,
    reviewed,
    ruleset,
    tool_entry,
)
from streams.audit.attribute_writers import ANYBODY as WRITTEN_BY_ANYBODY
from streams.audit.attribute_writers import AttributeWriters
from streams.audit.publishers import UNSIGNED, Publishers
from streams.audit.releasers import ANYBODY as RELEASED_BY_ANYBODY
from streams.audit.releasers import Releasers
from streams.audit.reviewers import ANYBODY, Reviewers
from streams.audit.signatures import SigningKey
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.delegation.anchors import TrustAnchors
from streams.engine.meter import Meter
from streams.engine.settings import EngineSettings
from streams.history.driver import DRIVER_SETTINGS, Driver, gate_driver, make_gate
from streams.inmemory.faults import Call, NoFaults
from streams.model.attributes import USUAL_ROOM, Room
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import ToolCatalogEntry
from streams.model.control import RulesetBundle
from streams.model.intent import Intent
from streams.model.revocation_set import RevocationSet
from streams.model.topics import AUDIT, CATALOG, DELEGATION, INTENT, RULESET, SESSION, VERDICT
from streams.model.verdict import Verdict
from streams.policy import BundleSource, CompiledRuleset, bundle_from_files, compile_bundle
from streams.ports import Headers, RetriableLogError
from streams.ports.processor import Processor
from streams.processors.control.compilation import CompileBundle
from streams.processors.settings import GateSettings
from streams.topology import ProcessorSpec

START_MS = 1_764_061_200_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000

FILES_READ = tool_entry(
    "files",
    "read",
    schema={
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": False,
    },
    read_only=True,
)
WEB_FETCH = tool_entry("web", "fetch", output_label=UNTRUSTED)
MAIL_SEND = tool_entry("mail", "send")
ADMIN_WIPE = tool_entry("admin", "wipe")
CATALOG_ENTRIES = (FILES_READ, WEB_FETCH, MAIL_SEND, ADMIN_WIPE)
REPORT_KEYS = tuple(report_keys(entry.server_id) for entry in CATALOG_ENTRIES)

RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: T-001, effect: permit, match: {tools: [files.read, web.fetch, mail.send]}, when: "true", reason: fine}
  - id: T-010
    effect: deny
    match: {tools: [mail.send]}
    when: has(args.to) && args.to == "attacker@evil.example"
    reason: to the attacker
    tags: [ASI01]
  - id: T-011
    effect: deny
    match: {tools: [mail.send]}
    when: session.tainted && has(args.to) && args.to.endsWith("@outside.example")
    reason: tainted mail to the outside
  - id: T-012
    effect: deny
    match: {tools: [mail.send]}
    when: has(args.divide) && 10 / args.divide > 5
    reason: divides badly
  - id: T-020
    effect: quarantine
    match: {tools: [mail.send]}
    when: has(args.to) && args.to == "exfil@evil.example"
    reason: exfiltration
  - id: T-030
    effect: require_approval
    match: {tools: [mail.send]}
    when: has(args.ask) && args.ask == "leads"
    approval: {group: leads, quorum: 2, ttl: 10m}
    reason: two leads must say so
  - id: T-031
    effect: require_approval
    match: {tools: [mail.send]}
    when: has(args.ask) && (args.ask == "one" || args.ask == "both")
    approval: {group: leads, quorum: 1, ttl: 10m}
    reason: a lead must say so
  - id: T-032
    effect: require_approval
    match: {tools: [mail.send]}
    when: has(args.ask) && args.ask == "both"
    approval: {group: security, quorum: 1, ttl: 10m}
    reason: security must say so, too
  - id: T-040
    effect: defer
    match: {tools: [mail.send]}
    when: has(args.later) && args.later
    defer: 30s
    reason: held for a while
"""
BUNDLE = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [testing]\n'
BUNDLE_FILES: Mapping[str, str] = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}

GATE_SETTINGS = GateSettings(root_key=ROOT_KEY, trust_anchors=TrustAnchors.of({ISSUER: "hmac"}))


@cache
def wire() -> CodecWire:
    """The real codec over the committed schemas."""
    return CodecWire(Codec(CommittedSchemas.load()))


def compile_published(source: BundleSource) -> CompiledRuleset:
    """A published bundle as rules in force. Bundles with the same files share their rules."""
    return _compiled(tuple(sorted(source.files.items())))


@cache
def _compiled(files: tuple[tuple[str, str], ...]) -> CompiledRuleset:
    return compile_bundle(bundle_from_files(dict(files)))


class NoEnds(NoFaults):
    """The log does not say where topics end, so that nobody knows whether there is more to read."""

    def before(self, client: str, call: Call) -> None:
        if call is Call.END_OFFSETS:
            raise RetriableLogError("no answer")


class GateBench:
    """A driven gate with catalog and rules in place, and one live session."""

    def __init__(
        self,
        *,
        settings: GateSettings = GATE_SETTINGS,
        engine_settings: EngineSettings = DRIVER_SETTINGS,
        compiler: CompileBundle = compile_published,
        publishers: Publishers = UNSIGNED,
        reviewers: Reviewers = ANYBODY,
        releasers: Releasers = RELEASED_BY_ANYBODY,
        writers: AttributeWriters = WRITTEN_BY_ANYBODY,
        attributes_room: Room = USUAL_ROOM,
        signed_by: SigningKey | None = None,
        partitions: int = 1,
        before: Sequence[tuple[bytes, RulesetBundle]] = (),
        with_rules: bool = True,
        with_session: bool = True,
        meters: Mapping[ProcessorSpec, Meter] | None = None,
        beside: Mapping[ProcessorSpec, Processor] | None = None,
    ) -> None:
        self._releasers = releasers
        self.revocations = RevocationSet(releasers)
        """The stops that the gate holds that runs now."""
        self.driver: Driver = gate_driver(
            wire=wire(),
            compile_bundle=compiler,
            settings=settings,
            publishers=publishers,
            reviewers=reviewers,
            revocations=self.revocations,
            writers=writers,
            attributes_room=attributes_room,
            start_ms=START_MS,
            partitions=partitions,
            engine_settings=engine_settings,
            before=[(RULESET.name, key, bundle) for key, bundle in before],
            meters=meters,
            beside=beside,
        )
        self._parts = (wire(), compiler, settings, publishers, reviewers)
        for entry in (*CATALOG_ENTRIES, *REPORT_KEYS):
            if signed_by is not None and reviewers.are_asked:
                self.publish(reviewed(msgspec.structs.replace(entry, proposed_by="the kit"), signed_by))
            else:
                self.publish(entry)
        if with_rules:
            self.driver.pipe(RULESET.name, b"default", ruleset(BUNDLE_FILES))
        self.session = SessionMaker()
        if with_session:
            self.establish(self.session)

    @property
    def now_ms(self) -> int:
        return self.driver.clock.now_ms()

    def restart(self) -> None:
        """Another gate takes over the partitions, and reads control state from its beginning."""
        self.revocations = RevocationSet(self._releasers)
        self.driver.restart(make_gate(*self._parts, revocations=self.revocations))

    def wait(self, duration_ms: int) -> None:
        self.driver.advance(self.now_ms + duration_ms)

    def publish(self, entry: ToolCatalogEntry) -> None:
        self.driver.pipe(CATALOG.name, entry_key(entry), entry)

    def establish(self, session: SessionMaker, **fields: Any) -> None:
        self.driver.pipe(SESSION.name, session.key, session.established(self.now_ms, **fields))

    def establish_from(self, parent: SessionMaker, session: SessionMaker, **fields: Any) -> None:
        """A live session to which another one has given on all that it was given."""
        root = parent.grant(f"g-{parent.session_id}", self.now_ms)
        hop = parent.handed_on(root, f"g-{session.session_id}", self.now_ms, session)
        self.driver.pipe(DELEGATION.name, session.key, hop)
        self.establish(session, delegation_uid=hop.uid, parent_session_id=parent.session_id, **fields)

    def propose(
        self,
        entry: ToolCatalogEntry = FILES_READ,
        args: Mapping[str, Any] | str | None = None,
        session: SessionMaker | None = None,
        **changes: Any,
    ) -> Intent:
        """Send an intent of the session."""
        maker = session or self.session
        made = maker.intent(
            entry, {"path": "a.txt"} if args is None else args, changes.pop("time_ms", self.now_ms), **changes
        )
        self.send(made, maker)
        return made

    def send(self, intent: Intent, session: SessionMaker | None = None, headers: Headers = ()) -> None:
        maker = session or self.session
        self.driver.pipe(INTENT.name, maker.key, intent, headers=headers)

    def verdicts(self) -> list[Verdict]:
        """Those that are new."""
        return [_verdict(read.record) for read in self.driver.read(VERDICT.name)]

    def verdict(self) -> Verdict:
        """The only new one."""
        (found,) = self.verdicts()
        return found

    def judge(self, *args: Any, **changes: Any) -> Verdict:
        """Propose, and return the verdict."""
        self.verdicts()
        self.propose(*args, **changes)
        return self.verdict()

    def audits(self, kind: AuditEventType | None = None) -> list[AuditEvent]:
        """New audit records, of one kind."""
        records = (read.record for read in self.driver.read(AUDIT.name))
        return [r for r in records if isinstance(r, AuditEvent) and kind in (None, r.event_type)]

    def dead_letters(self, topic: str) -> list[str]:
        """The reasons of a topic's new dead letters."""
        return [dict(found.headers)["stoplog.reason"].decode() for found in self.driver.read_raw(f"{topic}.dlq")]


def _verdict(record: object) -> Verdict:
    assert isinstance(record, Verdict)
    return record
