"""An embedded log with what a real gate has decided on it: two sessions of four calls each, with a restart between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from simulation.records import ROOT_KEY, TRUSTED, UNTRUSTED, SessionMaker, entry_key, ruleset
from streams.cli.main import run
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.session import SessionEventType
from streams.model.topics import CATALOG, INTENT, REPORT, RULESET, SESSION, VERDICT, Spread, Topic
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_to_end
from streams.ports import Outgoing
from streams.ports.open_log import Log
from streams.services.gate.runner import GateRunner, allocator, notary
from streams.stores.memory import MemoryStores
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate, build_notary
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings
from tests.kit import BUNDLE_FILES, CATALOG_ENTRIES, FILES_READ, MAIL_SEND, REPORT_KEYS, WEB_FETCH

READY_MS = 60_000
WAIT_MS = 30_000


class Site:
    """A log with a gate, and a session that was hijacked."""

    files: ClassVar[Mapping[str, str]] = BUNDLE_FILES

    def __init__(self) -> None:
        self.settings = load_settings()
        self.codec = build_codec(self.settings)
        self.log: Log = open_log(self.settings, create=False)
        self.publisher = self.log.publisher()
        self.clock = SystemClock()
        self.sent = 0

    def write(self, topic: Topic, key: bytes, record: Record) -> None:
        partition = 0
        if topic.spread is not Spread.BROADCAST:
            partition = partition_for(key, self.settings.topics.partitions)
        self.publisher.publish(Outgoing(topic.name, partition, key, self.codec.encode(topic.name, record)))
        self.publisher.flush(WAIT_MS)

    def propose(self, maker: SessionMaker, entry: object, args: dict[str, object]) -> Intent:
        intent = maker.intent(entry, args, self.clock.now_ms())
        self.write(INTENT, maker.key, intent)
        self.sent += 1
        self.wait_for_verdicts()
        return intent

    def wait_for_verdicts(self) -> None:
        """Wait until there are as many as were asked for."""
        deadline_ms = self.clock.monotonic_ms() + WAIT_MS
        while self.verdicts_count() < self.sent:
            assert self.clock.monotonic_ms() < deadline_ms
            self.clock.sleep_ms(5)

    def verdicts_count(self) -> int:
        """How many verdicts there are; seals lie on the same topic."""
        found = read_to_end(self.log, (VERDICT.name,), self.clock)
        return sum(isinstance(self.codec.decode(r.topic, r.value or b"", r.headers), Verdict) for r in found)

    def run(self) -> None:
        for entry in (*CATALOG_ENTRIES, *REPORT_KEYS):
            self.write(CATALOG, entry_key(entry), entry)
        self.write(RULESET, b"default", ruleset(self.files))
        stores = MemoryStores()
        for number in range(2):
            runner = GateRunner(
                lambda: build_gate(self.settings, self.log, self.codec, ROOT_KEY, stores),
                self.clock,
                beside=[
                    allocator(lambda: build_budgets(self.settings, self.log, self.codec, MemoryStores())),
                    notary(lambda: build_notary(self.settings, self.log, self.codec, ROOT_KEY, MemoryStores())),
                ],
            )
            runner.start()
            runner.wait_ready(READY_MS)
            self.work(number)
            runner.stop()

    def work(self, number: int) -> None:
        maker = SessionMaker(f"s-{number}", tenant="default")
        self.write(SESSION, maker.key, maker.established(self.clock.now_ms()))
        said = maker.event(SessionEventType.USER_MESSAGE, self.clock.now_ms(), label=TRUSTED)
        self.write(REPORT, maker.key, said)
        self.propose(maker, FILES_READ, {"path": "a.txt"})
        fetched = self.propose(maker, WEB_FETCH, {"url": "u"})
        self.write(REPORT, maker.key, maker.result(fetched, self.clock.now_ms(), label=UNTRUSTED))
        self.propose(maker, MAIL_SEND, {"to": "x@outside.example"})
        self.propose(maker, MAIL_SEND, {"to": "a@example.com"})


def make_site(folder: Path, make: Callable[[], Site] = Site) -> None:
    """Let a gate decide two sessions in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, folder)
        settings = load_settings()
        settings.key_path.parent.mkdir(parents=True, exist_ok=True)
        settings.key_path.write_bytes(ROOT_KEY)
        settings.key_path.chmod(0o600)
        assert run(["topics", "apply"]) == 0
        site = make()
        site.run()
        site.log.close()


def configure(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("STOPLOG_STATE_DIR", str(folder / "state"))
    for section in ("RULES", "CATALOG", "RELEASE"):
        patch.setenv(f"STOPLOG_{section}__ALLOW_UNSIGNED", "true")
    patch.setenv("STOPLOG_TOPICS__PARTITIONS", "3")
    patch.setenv("STOPLOG_GATE__REQUIRE_DELEGATION", "false")


def records_of(topic: str) -> list[object]:
    """What is on a topic of the log that the settings name."""
    site = Site()
    try:
        return [decoded(site.codec, each) for each in read_to_end(site.log, (topic,), site.clock)]
    finally:
        site.log.close()
