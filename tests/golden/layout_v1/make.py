"""Makes the fixture: state and log of a gate with row layout 1, and what that gate answers afterwards.

Run it with the code of commit a224b199, the last one with layout 1, and with this folder's parent packages out of the
way:

    PYTHONPATH=<checkout of a224b199> python tests/golden/layout_v1/make.py

It writes `state.tar.gz` (the embedded log, and the stores of the gate and of the budget allocator, as they are when
both have stopped) and `steps.json` (the records that come next, with the answers of that code).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from player import PARTITIONS, Parts, Player
from streams.app.wire import CodecWire
from streams.engine.control_reader import ControlReader
from streams.processors.catalogue import Catalogue
from streams.processors.compiling import InlineCompiler
from streams.processors.publications import Publications
from streams.testing.clock import ManualClock
from streams.testing.records import (
    ISSUER,
    ROOT_KEY,
    UNTRUSTED,
    SessionMaker,
    entry_key,
    revocation,
    ruleset,
    tool_entry,
)

from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.delegation.anchors import TrustAnchors
from streams.embedded.log import EmbeddedLog
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics
from streams.engine.worker import Ports, Worker
from streams.model import topics
from streams.model.approval import ApprovalStatus
from streams.model.keys import partition_for
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.types import Record
from streams.policy import bundle_from_files, compile_bundle
from streams.ports import TopicSpec
from streams.processors.budgets import BudgetOwner, NothingToControl
from streams.processors.control import ControlState
from streams.processors.gate import Gate
from streams.processors.settings import GateSettings
from streams.stores.rocks import RocksStores
from streams.topology import BUDGETS, GATE

HERE = Path(__file__).resolve().parent
START_MS = 1_764_061_200_000
LIFE_MS = 20 * 3_600_000
PRIVATE = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
READ, FETCH = tool_entry("files", "read"), tool_entry("web", "fetch", output_label=UNTRUSTED)
MAIL, REFUND = tool_entry("mail", "send"), tool_entry("pay", "refund")
LOOKUP, POST = tool_entry("pay", "lookup", output_label=PRIVATE), tool_entry("post", "send")
RULES = """apiVersion: rules/v1
pack: testing
budgets:
  own: {per: session, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100}
  shared: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 150, window: 24h}
  targets: {per: tenant, measure: {distinct: args.to}, match: {tools: [post.send]}, limit: 3, window: 24h}
  reads: {per: agent, measure: calls, match: {tools: [pay.lookup]}, limit: 3, window: 1h}
history:
  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, when: args.amount > 0, key: args.account,
            within: 30m}
  private_reads: {keep: count, on: ran, when: 'label.confidentiality != "public"'}
rules:
  - {id: T-001, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: T-002, effect: deny, match: {tools: [pay.refund]}, when: history.refunds >= 2, reason: third refund to it}
  - {id: T-003, effect: deny, match: {tools: [post.send]}, when: history.private_reads > 1, reason: private reads}
  - id: T-011
    effect: deny
    match: {tools: [mail.send]}
    when: session.tainted && has(args.to) && args.to.endsWith("@outside.example")
    reason: tainted mail to the outside
  - id: T-020
    effect: quarantine
    match: {tools: [mail.send]}
    when: has(args.to) && args.to == "exfil@evil.example"
    reason: exfiltration
  - id: T-030
    effect: require_approval
    match: {tools: [mail.send]}
    when: has(args.ask)
    approval: {group: leads, quorum: 2, ttl: 10m}
    reason: two leads must say so
  - {id: T-040, effect: defer, match: {tools: [mail.send]}, when: has(args.later), defer: 30s, reason: held for a while}
"""
FILES = {
    "bundle.yaml": 'apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [testing]\n',
    "testing/testing.rules.yaml": RULES,
}
OUTPUTS = {
    "verdict": topics.VERDICT.name,
    "approval_request": topics.APPROVAL_REQUEST.name,
    "budget_request": topics.BUDGET_REQUEST.name,
    "budget_grant": topics.BUDGET_GRANT.name,
    "revocation": topics.REVOCATION.name,
    "alert": topics.ALERT.name,
    **{f"dlq.{topic.name}": topic.dlq for topic in GATE.inputs},
}
ENGINE = EngineSettings(idle_poll_ms=0, punctuate_ms=0, idle_margin_ms=0, control_check_ms=0, control_stale_ms=1 << 62)
SETTINGS = GateSettings(root_key=ROOT_KEY, trust_anchors=TrustAnchors.of({ISSUER: "hmac"}))


class Run:
    """The old code on a log and stores in `folder`."""

    def __init__(self, folder: Path, now_ms: int, processors: tuple[str, ...]) -> None:
        self.clock = ManualClock(now_ms)
        self.wire = CodecWire(Codec(CommittedSchemas.load()))
        self.log = EmbeddedLog(folder / "log.db", clock=self.clock)
        self._folder = folder
        admin = self.log.admin()
        for spec in (GATE, BUDGETS):
            for topic in spec.topics():
                if not admin.describe([topic.name], ()):
                    count = 1 if topic.spread is topics.Spread.BROADCAST else PARTITIONS
                    admin.create([TopicSpec(topic.name, count, topic.config())], 1)
        admin.close()
        parts = Parts(self.wire, self.clock, self.log, self._start, partition_for, OUTPUTS)
        self.player = Player(parts, processors)

    def _start(self, name: str) -> Worker:
        spec = GATE if name == "gate" else BUDGETS
        admin = self.log.admin()
        counts = check_topics(spec, admin)
        admin.close()
        sink: Any = NothingToControl()
        processor: Any = BudgetOwner(self.wire)
        if spec is GATE:
            compiler = InlineCompiler(lambda source: compile_bundle(bundle_from_files(dict(source.files))))
            sink = ControlState(Publications("default", UNSIGNED, compiler), Catalogue(ANYBODY))
            processor = Gate(SETTINGS, self.wire, sink)
        reader = ControlReader(
            reader=self.log.reader(),
            topics=tuple(topic.name for topic in spec.broadcast),
            sink=sink,
            wire=self.wire,
            clock=self.clock,
            settings=ENGINE,
        )
        ports = Ports(
            consumer=self.log.consumer(f"stoplog-{name}", "one"),
            producer=self.log.producer(f"stoplog-{name}-one"),
            open_reader=self.log.reader,
            stores=RocksStores(self._folder / "stores" / name),
            clock=self.clock,
        )
        worker = Worker(
            spec=spec, processor=processor, control=reader, wire=self.wire, ports=ports, settings=ENGINE,
            partition_counts=counts,
        )  # fmt: skip
        worker.start()
        return worker

    def close(self) -> None:
        """Stop everything."""
        self.player.close()
        self.log.close()


class Story:
    """What happens before and after the state is packed."""

    def __init__(self, run: Run, sessions: dict[str, SessionMaker] | None = None) -> None:
        self.run = run
        self.steps: list[dict[str, Any]] = []
        self.sessions = sessions or {
            name: SessionMaker(f"s-{name}", sub=sub)
            for name, sub in (
                ("live", "alice"), ("other", "alice"), ("granted", "alice"), ("child", "alice"), ("frozen", "carol"),
                ("ended", "carol"), ("revoked", "carol"), ("late", "dave"), ("early", "dave"), ("nobody", "dave"),
            )
        }  # fmt: skip

    def put(self, name: str, topic: topics.Topic, key: bytes, record: Record, number: int | None = None) -> None:
        """Append a record, and note the step with its answers."""
        value = self.run.wire.encode(topic.name, record)
        at = (0 if topic.spread is topics.Spread.BROADCAST else partition_for(key, PARTITIONS)) if number is None else 0
        self.run.player.put(topic.name, at, key, value)
        encoded = [base64.b64encode(part).decode() for part in (key, value)]
        self._note({"name": name, "put": [topic.name, at, *encoded]})

    def wait(self, name: str, duration_ms: int) -> None:
        """Let time pass."""
        self.run.player.advance(duration_ms)
        self._note({"name": name, "advance_ms": duration_ms})

    def start(self, name: str) -> None:
        """Start a worker."""
        self.run.player.start(name)
        self._note({"name": f"start {name}", "start": name})

    def _note(self, step: dict[str, Any]) -> None:
        self.steps.append({**step, "answers": self.run.player.answers()})

    @property
    def now_ms(self) -> int:
        """The instant."""
        return self.run.clock.now_ms()

    def event(self, name: str, kind: SessionEventType, **fields: Any) -> None:
        """An event of a session."""
        maker = self.sessions[name]
        self.put(f"{kind.value} {name}", topics.SESSION, maker.key, maker.event(kind, self.now_ms, **fields))

    def open(self, name: str, **fields: Any) -> None:
        """Establish a session."""
        maker = self.sessions[name]
        made = maker.established(self.now_ms, expires_ms=self.now_ms + LIFE_MS, **fields)
        self.put(f"establish {name}", topics.SESSION, maker.key, made)

    def propose(self, name: str, entry: Any, args: dict[str, Any], **changes: Any) -> Any:
        """An intent of a session."""
        maker = self.sessions[name]
        intent = maker.intent(entry, args, self.now_ms, **changes)
        self.put(f"{name} calls {entry.name} {args}", topics.INTENT, maker.key, intent)
        return intent

    def again(self, name: str, intent: Any) -> None:
        """The same intent once more."""
        self.put(f"{name} sends {intent.tool.name} again", topics.INTENT, self.sessions[name].key, intent)

    def decide(self, name: str, intent: Any, approver: str, **fields: Any) -> None:
        """A person's decision."""
        maker = self.sessions[name]
        made = maker.decision(intent, approver, self.now_ms, groups=("leads",), **fields)
        self.put(f"{approver} decides for {name}", topics.APPROVAL_DECISION, maker.key, made)


def before(story: Story) -> dict[str, Any]:
    """What the state holds when it is packed."""
    for entry in (READ, FETCH, MAIL, REFUND, LOOKUP, POST):
        story.put("tool", topics.CATALOGUE, entry_key(entry), entry)
    story.put("rules", topics.RULESET, b"default", ruleset(FILES))
    made: dict[str, Any] = {}
    for name in ("live", "other", "frozen", "ended", "revoked"):
        story.open(name)
    mother, child = story.sessions["granted"], story.sessions["child"]
    root = mother.grant("g-1", story.now_ms, exp=story.now_ms + LIFE_MS)
    story.put("grant", topics.DELEGATION, mother.key, root)
    story.open("granted", delegation_uid="g-1")
    hop = mother.handed_on(root, "g-2", story.now_ms, child)
    story.put("hop", topics.DELEGATION, child.key, hop)
    story.open("child", delegation_uid="g-2", parent_session_id=mother.session_id)
    early = story.sessions["early"]
    story.put("early", topics.DELEGATION, early.key, early.grant("g-3", story.now_ms, exp=story.now_ms + LIFE_MS))

    fetched = story.propose("live", FETCH, {"url": "https://example.com"})
    story.put(
        "result", topics.SESSION, story.sessions["live"].key, story.sessions["live"].result(fetched, story.now_ms)
    )
    made["allowed"] = story.propose("live", READ, {"path": "a.txt"})
    made["denied"] = story.propose("live", MAIL, {"to": "x@outside.example"})
    made["forged"] = story.propose("live", READ, {"path": "b.txt"}, unproven={"args_json": '{"path":"c.txt"}'})
    made["refund"] = story.propose("live", REFUND, {"amount": 40, "account": "a"})
    made["refund 2"] = story.propose("other", REFUND, {"amount": 30, "account": "b"})
    made["sent"] = story.propose("live", POST, {"to": ["a", "b"]})
    made["looked"] = story.propose("other", LOOKUP, {})
    story.event("other", SessionEventType.TOOL_RESULT, intent_id=made["looked"].intent_id, tool=made["looked"].tool)
    story.propose("granted", READ, {"path": "d.txt"})
    story.propose("frozen", MAIL, {"to": "exfil@evil.example"})
    story.event("ended", SessionEventType.SESSION_ENDED)
    story.event("revoked", SessionEventType.SESSION_REVOKED)
    story.propose("ended", READ, {"path": "e.txt"})
    story.put("stop", topics.REVOCATION, *revocation(RevocationKind.AGENT, "https://x|y", time_ms=story.now_ms))
    story.wait("a minute", 60_000)
    made["asked"] = story.propose("live", MAIL, {"to": "b@inside.example", "ask": "both"})
    story.decide("live", made["asked"], "erin")
    made["refused"] = story.propose("other", MAIL, {"to": "c@inside.example", "ask": "both"})
    made["unanswered"] = story.propose("other", MAIL, {"to": "d@inside.example", "ask": "both"})
    made["child asked"] = story.propose("child", MAIL, {"to": "e@inside.example", "ask": "both"})
    made["later"] = story.propose("live", MAIL, {"to": "f@inside.example", "later": True})
    made["unknown"] = story.propose("nobody", READ, {"path": "f.txt"})
    story.wait("it is denied", 3_000)
    made["cancelled"] = story.propose("other", MAIL, {"to": "g@inside.example", "later": True})
    return made


def waiting(story: Story, made: dict[str, Any]) -> None:
    """What waits, without an allocator to answer, when the gate stops."""
    made["waits for budget"] = story.propose("other", POST, {"to": ["c"]})
    made["waits for session"] = story.propose("late", READ, {"path": "g.txt"})


def after(story: Story, made: dict[str, Any]) -> None:
    """What comes next."""
    for name, session in (
        ("allowed", "live"), ("denied", "live"), ("forged", "live"), ("refund", "live"), ("asked", "live"),
        ("later", "live"), ("unknown", "nobody"), ("looked", "other"), ("waits for budget", "other"),
    ):  # fmt: skip
        story.again(session, made[name])
    story.start("budgets")
    story.open("late")
    story.open("early")
    story.propose("early", READ, {"path": "h.txt"})
    story.decide("live", made["asked"], "erin")
    story.decide("live", made["asked"], "frank")
    story.again("live", made["asked"])
    story.decide("other", made["refused"], "frank", status=ApprovalStatus.DENIED)
    story.decide("other", made["cancelled"], "frank", status=ApprovalStatus.CANCELLED)
    story.propose("live", MAIL, {"to": "x@outside.example"})
    story.propose("other", MAIL, {"to": "x@outside.example"})
    story.propose("live", REFUND, {"amount": 70, "account": "a"})
    story.propose("live", REFUND, {"amount": 10, "account": "a"})
    story.propose("live", REFUND, {"amount": 10, "account": "a"})
    story.propose("other", REFUND, {"amount": 90, "account": "c"})
    story.event("live", SessionEventType.TOOL_NOT_RUN, intent_id=made["refund"].intent_id, tool=made["refund"].tool)
    story.propose("live", REFUND, {"amount": 60, "account": "d"})
    story.propose("other", REFUND, {"amount": 60, "account": "c"})
    story.propose("other", REFUND, {"amount": 20, "account": "c"})
    story.propose("other", POST, {"to": ["d"]})
    story.event("live", SessionEventType.TOOL_NOT_RUN, intent_id=made["sent"].intent_id, tool=made["sent"].tool)
    story.propose("other", POST, {"to": ["d"]})
    looked = [story.propose("other", LOOKUP, {}) for _ in range(3)]
    story.event("other", SessionEventType.TOOL_RESULT, intent_id=looked[0].intent_id, tool=looked[0].tool)
    story.propose("other", POST, {"to": ["c"]})
    story.propose("granted", READ, {"path": "i.txt"})
    story.propose("child", READ, {"path": "j.txt"})
    for name in ("frozen", "ended", "revoked"):
        story.propose(name, READ, {"path": "k.txt"})
    story.event("live", SessionEventType.PURPOSE_SET, purpose="to test")
    story.wait("the cancel window passes", 31_000)
    mother = story.sessions["granted"]
    target = f"{mother.tenant}|{mother.session_id}"
    story.put("stop", topics.REVOCATION, *revocation(RevocationKind.SESSION, target, time_ms=story.now_ms))
    story.propose("child", READ, {"path": "l.txt"})
    story.wait("approvals expire", 10 * 60_000)
    story.propose("live", READ, {"path": "m.txt"})
    story.wait("sessions are idle", 2 * 3_600_000)
    story.propose("live", READ, {"path": "n.txt"})
    story.wait("leases are over", 24 * 3_600_000)
    story.wait("everything is forgotten", 48 * 3_600_000)


def pack(folder: Path, to: Path) -> None:
    """The folder as an archive that tells nothing of who made it, or when."""

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
        info.mode = 0o700 if info.isdir() else 0o600
        return info

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            # RocksDB's own logs and options name the machine's paths, and are not needed to open a store.
            if path.name.startswith("LOG") or path.name == "LOCK":
                continue
            archive.add(path, str(path.relative_to(folder)), recursive=False, filter=anonymous)
    to.write_bytes(gzip.compress(raw.getvalue(), mtime=0))


def main() -> None:
    """Make both files."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "v1"
        folder.mkdir()
        run = Run(folder, START_MS, ("gate", "budgets"))
        story = Story(run)
        made = before(story)
        now_ms = run.clock.now_ms()
        run.close()
        run = Run(folder, now_ms, ("gate",))
        story.run = run
        waiting(story, made)
        run.close()
        if list(folder.glob("log.db-*")):
            raise RuntimeError("the log was not closed in good order")
        pack(folder, HERE / "state.tar.gz")
        goes_on = Path(scratch) / "on"
        shutil.copytree(folder, goes_on)
        story.run = Run(goes_on, now_ms, ("gate",))
        story.steps = []
        after(story, made)
        story.run.close()
        content = {"now_ms": now_ms, "outputs": OUTPUTS, "steps": story.steps}
        (HERE / "steps.json").write_text(json.dumps(content, indent=1, default=msgspec.to_builtins) + "\n")


if __name__ == "__main__":
    main()
