"""A recorded run for tests of replays: whatever makes a verdict depend on more than its intent happens in it.

Rules are published, tried on some sessions and rolled back, a tool is blocked and approved again, sessions, users and
tools are stopped and released, people decide, budgets are leased from an allocator, intents wait for sessions, windows
and persons, gates restart, intents are sent again, and time passes without input.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random  # noqa: TID251 - a run is drawn from one seeded source

import msgspec

from simulation.records import ROOT_KEY, UNTRUSTED, SessionMaker, revocation, ruleset
from streams.audit.attribute_writers import ANYBODY as WRITTEN_BY_ANYBODY
from streams.audit.publishers import UNSIGNED
from streams.audit.releasers import ANYBODY as RELEASED_BY_ANYBODY
from streams.audit.reviewers import ANYBODY
from streams.history.driver import DRIVER_SETTINGS, Driver
from streams.inmemory.log import MemoryLog
from streams.model.attributes import USUAL_ROOM
from streams.model.catalog import EntryState
from streams.model.intent import Intent
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.revocation_targets import principal_target
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_DECISION, REPORT, REVOCATION, RULESET, SESSION, Topic
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplaySetup
from streams.ports import Clock
from streams.ports.open_log import Log
from tests.kit import BUNDLE, GATE_SETTINGS, MAIL_SEND, RULES, WEB_FETCH, GateBench, wire

BUDGETS = """
budgets:
  mails: {per: user, measure: calls, match: {tools: [mail.send]}, limit: 12, window: 1h}
"""
RULE_TEXTS = (
    RULES.replace("rules:\n", f"{BUDGETS.strip()}\nrules:\n", 1),
    RULES.replace("rules:\n", f"{BUDGETS.strip()}\nrules:\n", 1).replace("tainted mail", "tainted letters"),
    RULES.replace("tools: [files.read, web.fetch, mail.send]", "tools: [files.read, mail.send]"),
)
SESSIONS = 12
USERS = ("alice", "bob", "carol")


def bundle_files(text: str) -> dict[str, str]:
    return {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": text}


class MemoryAsLog:
    """The log of a run as operations see a log."""

    name = "log in memory"

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.reader = log.reader
        self.admin = log.admin
        self.publisher = log.publisher

    def close(self) -> None:
        """Keep it."""


def recorded_by(driver: Driver) -> RecordedLog:
    """The log of a run, to be replayed."""
    clock: Clock = driver.clock
    log: Log = MemoryAsLog(driver.log)
    return RecordedLog(log, wire(), clock, DRIVER_SETTINGS.time_ahead_max_ms)


class RecordedRun:
    """A run of some acts that are drawn from a seed."""

    def __init__(self, seed: int, acts: int, partitions: int = 3) -> None:
        self.rng = Random(seed)  # noqa: S311 - it is to be repeatable, not secret
        self.bench = GateBench(partitions=partitions, with_rules=False, with_session=False)
        self.serial = 0
        self.versions: dict[tuple[str, str], int] = {}
        self.sessions: list[SessionMaker] = []
        self.intents: list[tuple[SessionMaker, Intent]] = []
        self.publish()
        for _ in range(SESSIONS):
            self.open()
        plenty: list[tuple[Callable[[], object], int]] = [
            (self.propose, 60), (self.decide, 12), (self.report, 14), (self.pass_time, 14), (self.again, 4),
            (self.open, 3), (self.early, 3), (self.end, 1), (self.stop, 2), (self.publish, 1), (self.block, 1),
            (self.bench.restart, 1),
        ]  # fmt: skip
        chosen = self.rng.choices([act for act, _ in plenty], [weight for _, weight in plenty], k=acts)
        for act in chosen:
            # A broker does not stamp everything with one millisecond.
            self.bench.wait(self.rng.randint(1, 9))
            act()
        self.bench.wait(3_600_000)

    def recorded(self) -> RecordedLog:
        return recorded_by(self.bench.driver)

    def put(self, topic: Topic, maker: SessionMaker, record: object) -> None:
        self.bench.driver.pipe(topic.name, maker.key, record)

    def open(self) -> None:
        number = len(self.sessions)
        maker = SessionMaker(f"s-{number}", sub=self.rng.choice(USERS), act=self.rng.choice(("assistant", "clerk")))
        self.sessions.append(maker)
        self.bench.establish(maker)

    def early(self) -> None:
        """An intent comes before its session, which sometimes never comes."""
        maker = SessionMaker(f"s-{len(self.sessions)}", sub=self.rng.choice(USERS))
        self.sessions.append(maker)
        self.intents.append((maker, self.bench.propose(session=maker)))
        if self.rng.random() < 0.7:
            self.bench.wait(self.rng.randint(0, 2_500))
            self.bench.establish(maker)

    def propose(self) -> None:
        maker, rng = self.rng.choice(self.sessions), self.rng
        to = rng.choice(("a@example.com", "b@outside.example", "attacker@evil.example", "exfil@evil.example"))
        args = rng.choice(({"to": "a@example.com"}, {"to": to}, {"ask": "one"}, {"ask": "leads"}, {"later": True}))
        if rng.random() < 0.4:
            made = self.bench.propose(session=maker)
        elif rng.random() < 0.3:
            made = self.bench.propose(WEB_FETCH, {"url": "u"}, session=maker)
        else:
            made = self.bench.propose(MAIL_SEND, args, session=maker)
        self.intents.append((maker, made))

    def decide(self) -> None:
        if not self.intents:
            return
        maker, intent = self.rng.choice(self.intents[-30:] or self.intents)
        decision = maker.decision(intent, self.rng.choice(("ann", "ben")), self.bench.now_ms, groups=("leads",))
        self.put(APPROVAL_DECISION, maker, decision)

    def report(self) -> None:
        if self.intents:
            maker, intent = self.rng.choice(self.intents[-20:])
            label = UNTRUSTED if self.rng.random() < 0.3 else None
            self.put(REPORT, maker, maker.result(intent, self.bench.now_ms, label=label))

    def again(self) -> None:
        if self.intents:
            maker, intent = self.rng.choice(self.intents[-40:])
            self.bench.send(intent, maker)

    def end(self) -> None:
        maker = self.rng.choice(self.sessions)
        self.put(SESSION, maker, maker.event(SessionEventType.SESSION_ENDED, self.bench.now_ms))

    def stop(self) -> None:
        maker = self.rng.choice(self.sessions)
        kind, target = self.rng.choice(
            (
                (RevocationKind.SESSION, principal_target(maker.tenant, maker.session_id)),
                (RevocationKind.SUBJECT, principal_target(maker.tenant, maker.sub)),
                (RevocationKind.TOOL, "web/fetch"),
            )
        )
        state = self.rng.choice((RevocationState.REVOKED, RevocationState.RELEASED))
        key, record = revocation(kind, target, time_ms=self.bench.now_ms, state=state)
        if state is RevocationState.RELEASED:
            record = msgspec.structs.replace(record, lifts_before=1 << 40)
        self.bench.driver.pipe(REVOCATION.name, key, record)

    def publish(self) -> None:
        self.serial += 1
        text = RULE_TEXTS[0] if self.serial == 1 else self.rng.choice(RULE_TEXTS)
        made = ruleset(bundle_files(text), serial=self.serial, time_ms=self.bench.now_ms)
        if self.serial > 2 and self.rng.random() < 0.4:
            made = msgspec.structs.replace(made, canary_bp=4_000)
        self.bench.driver.pipe(RULESET.name, f"default/{self.serial}".encode(), made)

    def block(self) -> None:
        version = self.versions.get(("web", "fetch"), 1) + 1
        self.versions["web", "fetch"] = version
        state = EntryState.BLOCKED if version % 2 == 0 else EntryState.APPROVED
        self.bench.publish(msgspec.structs.replace(WEB_FETCH, catalog_version=version, state=state))

    def pass_time(self) -> None:
        self.bench.wait(self.rng.choice((1, 40, 700, 3_000, 31_000, 70_000)))


def setup() -> ReplaySetup:
    return ReplaySetup(
        wire=wire(),
        gate=GATE_SETTINGS,
        engine=DRIVER_SETTINGS,
        publishers=UNSIGNED,
        reviewers=ANYBODY,
        releasers=RELEASED_BY_ANYBODY,
        writers=WRITTEN_BY_ANYBODY,
        attributes_room=USUAL_ROOM,
    )


assert GATE_SETTINGS.root_key == ROOT_KEY
