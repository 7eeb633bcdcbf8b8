"""A workload for simulations: sessions of many tenants that act honestly, hostilely or slowly, and a control plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from simulation.records import RELEASER, STRANGER, SessionMaker, entry_key, release, revocation, ruleset
from simulation.workload_session import INPUT_TOPICS, REPORT_KEYS, TOOLS, SessionLife, WorkloadSize
from simulation.world import World, pick
from streams.model.approval import ApprovalRequest
from streams.model.bundle_signature import publication_key
from streams.model.catalog import EntryState
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import APPROVAL_REQUEST, BY_NAME, CATALOG, REPORT, REVOCATION, RULESET, SESSION, VERDICT
from streams.model.types import Record
from streams.model.verdict import Outcome, Verdict
from streams.ports import Received

replace = msgspec.structs.replace

GARBAGE = (
    ("noise", 3), ("empty", 1), ("no value", 1), ("no key", 1), ("cut", 3), ("no magic", 1), ("no schema", 1),
    ("alien", 2),
)  # fmt: skip
CONTROL = (
    ("revoke", 6), ("release", 3), ("tombstone", 1), ("tool", 3), ("keys", 1), ("bundle", 2), ("old bundle", 1),
    ("garbage", 2),
)  # fmt: skip

ASTRAY_SHARE = 0.1
"""Of records that are delivered again, those that are written to any partition."""
CONTROL_TOPICS = (REVOCATION.name, CATALOG.name, RULESET.name)

TENANTS = ("acme", "globex", "initech")


class Workload:
    """Plans everything that happens in one world.

    The rules of `bundles` are asked for by arguments: `to`, `ask` (who approves) and `later` (deferred). The first
    bundle is in force from the start, the others follow in turn.
    """

    def __init__(self, world: World, size: WorkloadSize, bundles: Sequence[Mapping[str, str]]) -> None:
        self._world = world
        self._rng = world.rng
        self._size = size
        self._bundles = bundles
        self._serial = 0
        self._sessions: list[SessionLife] = []
        self._written: list[tuple[str, bytes | None, bytes]] = []

    def plan(self) -> None:
        """Plan everything in the world's schedule."""
        world, start_ms = self._world, self._world.now_ms
        for topic in INPUT_TOPICS:
            # The sequence of session events is that in which they become readable, and nobody may write reports in
            # transactions.
            if topic not in (SESSION.name, REPORT.name):
                world.write_in_transactions(topic)
        for entry in (*TOOLS, *REPORT_KEYS):
            self._soon(start_ms, 200, partial(self.write, CATALOG.name, entry_key(entry), entry))
        self._soon(start_ms, 200, self._publish_bundle)
        for number in range(self._size.sessions):
            tenant = self._rng.choice(TENANTS)
            maker = SessionMaker(f"s-{number}", tenant=tenant, sub=f"user-{number % 3}", act=f"agent-{number % 2}")
            session = SessionLife(self, world, maker)
            self._sessions.append(session)
            session.plan(start_ms + self._rng.randint(0, self._size.span_ms // 2), self._size)
        for _ in range(self._rng.randint(0, self._size.control_acts)):
            act = pick(self._rng, CONTROL)
            self._soon(start_ms + 1_000, self._size.span_ms, partial(self._control, act))
        world.listen(VERDICT.name, self._on_verdict)
        world.listen(APPROVAL_REQUEST.name, self._on_request)

    def write(self, topic: str, key: bytes | None, record: Record) -> bytes:
        """Write a record, and remember it for acts that repeat or mangle records."""
        value = self._world.write(topic, key, record)
        self._written.append((topic, key, value))
        return value

    def repeat(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Deliver a record again now and then, soon or late, and sometimes on a partition that is not its key's."""
        while self._rng.random() < 0.25:
            due_ms = self._world.now_ms + int(self._rng.random() ** 3 * 60_000)
            partition = self._world.any_partition(topic) if self._rng.random() < ASTRAY_SHARE else None
            self._world.plan(due_ms, partial(self._world.write_raw, topic, key, value, partition=partition))

    def garbage(self, topics: Sequence[str]) -> None:
        """Write something that cannot be read to one of the topics."""
        rng, world = self._rng, self._world
        topic = rng.choice(topics)
        own = [(key, value) for name, key, value in self._written if name == topic]
        key, good = rng.choice(own) if own else (b"acme|s-0", bytes(40))
        kind = pick(rng, GARBAGE)
        alien = [value for name, _, value in self._written if name != topic]
        value: bytes | None = {
            "noise": rng.randbytes(rng.randint(1, 80)),
            "empty": b"",
            "no value": None,
            "no key": good,
            "cut": good[: rng.randint(5, len(good) - 1)] if len(good) > 6 else b"\x00",
            "no magic": b"\x07" + good[1:],
            "no schema": b"\x00\x7f\xff\xff\xf0" + good[5:],
            "alien": rng.choice(alien) if alien else b"\x00",
        }[kind]
        compacted = BY_NAME[topic].compacted
        if kind == "no value" and compacted:
            value = b""  # without a value it would be a tombstone, which has a meaning
        world.write_raw(topic, None if kind == "no key" and not compacted else key, value)

    def other_session(self, maker: SessionMaker) -> SessionMaker:
        """Return another session than this one, if there is one."""
        others = [other.maker for other in self._sessions if other.maker is not maker]
        return self._rng.choice(others) if others else maker

    def oldest_session(self, maker: SessionMaker) -> str | None:
        """Return the first session of the same tenant; None if it is this one."""
        first = next((other.maker for other in self._sessions if other.maker.tenant == maker.tenant), maker)
        return None if first is maker else first.session_id

    def _soon(self, from_ms: int, within_ms: int, act: Callable[[], object]) -> None:
        self._world.plan(from_ms + self._rng.randint(0, within_ms), act)

    def _publish_bundle(self) -> None:
        self._serial += 1
        files = self._bundles[(self._serial - 1) % len(self._bundles)]
        bundle = ruleset(files, serial=self._serial, time_ms=self._world.now_ms)
        if self._serial > 1 and self._rng.random() < 0.4:
            bundle = replace(bundle, canary_bp=self._rng.choice((1_000, 5_000)))
        self.write(RULESET.name, publication_key(bundle), bundle)

    def _control(self, act: str) -> None:
        rng, now_ms = self._rng, self._world.now_ms
        session = rng.choice(self._sessions).maker
        kind, target = rng.choice(
            (
                (RevocationKind.SESSION, f"{session.tenant}|{session.session_id}"),
                (RevocationKind.SESSION, f"{session.tenant}|{session.session_id}"),
                (RevocationKind.AGENT, f"{session.tenant}|{session.act.sub}"),
                (RevocationKind.SUBJECT, f"{session.tenant}|{session.sub}"),
                (RevocationKind.DELEGATION, f"grant-{session.session_id}"),
                (RevocationKind.TOOL, "mail/send"),
                (RevocationKind.TENANT, session.tenant),
                (RevocationKind.ALL, "*"),
            )
        )
        match act:
            case "revoke":
                until_ms = now_ms + rng.randint(500, 5_000) if rng.random() < 0.6 else None
                self.write(REVOCATION.name, *revocation(kind, target, time_ms=now_ms, until_ms=until_ms))
            case "release":
                self.write(REVOCATION.name, *self._release(kind, target))
            case "tombstone":
                self._world.write_raw(REVOCATION.name, f"{kind.value}:{target}".encode(), None)
            case "tool":
                self._change_tool()
            case "keys":
                self._block_keys()
            case "bundle":
                self._publish_bundle()
            case "old bundle":
                self.write(RULESET.name, b"default", ruleset(self._bundles[0], serial=0, time_ms=now_ms))
            case _:
                self.garbage(CONTROL_TOPICS)

    def _release(self, kind: RevocationKind, target: str) -> tuple[bytes, Revocation]:
        """Return a release: by who may release, by somebody else, or of what was stopped before."""
        rng, now_ms = self._rng, self._world.now_ms
        draw, end = rng.random(), self._world.end_of(REVOCATION.name)
        if draw < 0.5:
            return release(kind, target, time_ms=now_ms, lifts_before=end, key=RELEASER)
        if draw < 0.65:
            return release(kind, target, time_ms=now_ms, lifts_before=rng.randint(0, end), key=RELEASER)
        if draw < 0.8:
            return release(kind, target, time_ms=now_ms, lifts_before=end, key=STRANGER)
        return revocation(kind, target, time_ms=now_ms, state=RevocationState.RELEASED)

    def _change_tool(self) -> None:
        rng = self._rng
        entry = rng.choice(TOOLS)
        changes: dict[str, Any] = rng.choice(
            (
                {"state": EntryState.BLOCKED},
                {"state": EntryState.APPROVED},
                {"definition_digest": rng.randbytes(32)},
                {"input_schema_json": "[]"},
            )
        )
        changed = replace(entry, catalog_version=entry.catalog_version + 1, **changes)
        self.write(CATALOG.name, entry_key(entry), changed)
        back_ms = self._world.now_ms + rng.randint(200, 4_000)
        self._world.plan(back_ms, partial(self.write, CATALOG.name, entry_key(entry), entry))

    def _block_keys(self) -> None:
        """Block the report keys of a server for a while."""
        entry = self._rng.choice(REPORT_KEYS)
        changed = replace(entry, catalog_version=entry.catalog_version + 1, state=EntryState.BLOCKED)
        self.write(CATALOG.name, entry_key(entry), changed)
        back_ms = self._world.now_ms + self._rng.randint(200, 4_000)
        self._world.plan(back_ms, partial(self.write, CATALOG.name, entry_key(entry), entry))

    def _on_verdict(self, received: Received) -> None:
        verdict = self._world.decode(received)
        if isinstance(verdict, Verdict) and verdict.outcome is Outcome.ALLOW:
            for session in self._sessions:
                if session.maker.key == received.key:
                    session.run(verdict)

    def _on_request(self, received: Received) -> None:
        request = self._world.decode(received)
        for session in self._sessions:
            if session.maker.key == received.key and isinstance(request, ApprovalRequest):
                session.answer(request)
