"""Publications of rules while a real gate judges: signed, for a share of sessions, promoted, taken back, on record."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import ROOT_KEY, SessionMaker, entry_key
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.bundle_signature import publication_key
from streams.model.control import BundleFile, RulesetBundle
from streams.model.keys import partition_for
from streams.model.topics import AUDIT, CATALOG, INTENT, RULESET, SESSION, VERDICT, Spread, Topic
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.operations.rules.history import count_verdicts
from streams.operations.rules.publication import draft_directory, draft_promotion, draft_rollback, publish, sign
from streams.operations.signing_keys import make_key_file
from streams.operations.topics.application import carry_out, make_plan
from streams.operations.topics.reader import read_to_end
from streams.policy import bundle_from_files
from streams.ports import Outgoing
from streams.services.gate.runner import GateRunner
from streams.stores.memory import MemoryStores
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_gate
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings
from tests.kit import BUNDLE, BUNDLE_FILES, FILES_READ
from tests.waiting import until

READY_MS = 60_000
FLUSH_MS = 30_000
PARTITIONS = 3
SESSIONS = 24
INSTANT_S = 5.0
"""Far above what it takes."""


class Site:
    """A log with a gate, and ann, who publishes."""

    def __init__(self, settings: Settings, key: SigningKey, folder: Path) -> None:
        self.settings = settings
        self.key = key
        self.folder = folder
        self.log = open_log(settings)
        admin = self.log.admin()
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
        admin.close()
        self.codec = build_codec(settings)
        self.stores = MemoryStores()
        self.operator = open_operator(settings, "ann")
        self.publisher = self.log.publisher()
        self.runner = self._runner()
        self.sessions = [SessionMaker(f"s-{number}") for number in range(SESSIONS)]

    def _runner(self) -> GateRunner:
        return GateRunner(lambda: build_gate(self.settings, self.log, self.codec, ROOT_KEY, self.stores), SystemClock())

    def begin(self) -> None:
        self.write(CATALOG, entry_key(FILES_READ), FILES_READ)
        for session in self.sessions:
            self.write(SESSION, session.key, session.established(SystemClock().now_ms()))
        self.publisher.flush(FLUSH_MS)
        self.runner.start()
        self.runner.wait_ready(READY_MS)

    def restart(self) -> None:
        self.runner.stop()
        self.runner = self._runner()
        self.runner.start()
        self.runner.wait_ready(READY_MS)

    def close(self) -> None:
        self.runner.stop()
        self.publisher.close()
        self.operator.close()
        self.log.close()

    def write(self, topic: Topic, key: bytes, record: Record) -> None:
        partition = 0 if topic.spread is Spread.BROADCAST else partition_for(key, PARTITIONS)
        self.publisher.publish(Outgoing(topic.name, partition, key, self.codec.encode(topic.name, record)))

    def rules(self, version: int) -> Path:
        folder = self.folder / f"rules-{version}"
        for path, text in BUNDLE_FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.replace('version: "1"', f'version: "{version}"'))
        return folder

    def publish(self, bundle: RulesetBundle) -> RulesetBundle:
        published, is_new = publish(self.operator, sign(bundle, self.key))
        assert is_new
        return published

    def read(self, topic: Topic) -> list[Record]:
        found = read_to_end(self.log, (topic.name,), SystemClock())
        return [self.codec.decode(topic.name, each.value or b"", each.headers) for each in found]

    def judged(self) -> dict[str, Verdict]:
        """Have every session propose a call; the verdicts by session."""
        intents = {}
        for session in self.sessions:
            intent = session.intent(FILES_READ, {"path": "a"}, SystemClock().now_ms())
            intents[intent.intent_id] = session.session_id
            self.write(INTENT, session.key, intent)
        self.publisher.flush(FLUSH_MS)
        found: dict[str, Verdict] = {}

        def all_there() -> bool:
            for record in self.read(VERDICT):
                if isinstance(record, Verdict) and record.intent_id in intents:
                    found[intents[record.intent_id]] = record
            return len(found) == len(intents)

        until(all_there)
        return found

    def digests(self) -> set[bytes | None]:
        return {verdict.ruleset_digest for verdict in self.judged().values()}

    def changes(self) -> list[AuditEvent]:
        """What is on record of publications, in order."""
        events = [record for record in self.read(AUDIT) if isinstance(record, AuditEvent)]
        found = [event for event in events if event.event_type is AuditEventType.CONTROL]
        return sorted(found, key=lambda event: event.header.time)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    own = f"publishing-{os.getpid()}-{time.monotonic_ns()}"
    where: dict[str, Any] = {"log": "embedded"}
    if request.param == "kafka":
        where = {"log": "kafka", "bootstrap": request.getfixturevalue("kafka_bootstrap")}
    key = make_key_file(tmp_path / "ann.pem")
    settings = Settings(
        state_dir=tmp_path / "state",
        group=own,
        instance=own,
        topics={"prefix": f"{own}.", "partitions": PARTITIONS},
        rules={"publishers": {"ann": str(key.public)}},
        catalog={"allow_unsigned": True},
        **where,
    )
    made = Site(settings, key, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timed
def test_rules_come_go_and_come_back(site: Site) -> None:
    first = site.publish(draft_directory(site.operator, site.rules(1), "default"))
    site.begin()
    assert site.digests() == {first.digest}

    canary = site.publish(draft_directory(site.operator, site.rules(2), "default", canary_bp=5_000))
    until(lambda: site.digests() == {first.digest, canary.digest})
    sides = {name: verdict.ruleset_digest for name, verdict in site.judged().items()}
    assert {name: verdict.ruleset_digest for name, verdict in site.judged().items()} == sides
    counted = {judged.digest: judged.outcomes["ALLOW"] for judged in count_verdicts(site.operator)}
    assert counted.keys() == {first.digest, canary.digest}

    site.publish(draft_promotion(site.operator, "default"))
    until(lambda: site.digests() == {canary.digest})

    back = site.publish(draft_rollback(site.operator, "default"))
    began_s = time.monotonic()
    until(lambda: site.digests() == {first.digest})
    assert time.monotonic() - began_s < INSTANT_S
    assert back.serial == 4

    expected = ["rules_published", "rules_canary_started", "rules_promoted", "rules_rolled_back"]
    assert [event.reason for event in site.changes()] == expected
    assert [event.rules_change and event.rules_change.signed_by for event in site.changes()] == [("ann",)] * 4
    site.restart()
    assert site.digests() == {first.digest}
    assert [event.reason for event in site.changes()] == expected


def test_a_bad_bundle_and_a_forged_one_change_nothing(site: Site) -> None:
    first = site.publish(draft_directory(site.operator, site.rules(1), "default"))
    site.begin()
    # Past the command line, which would refuse them: as somebody would who may write the topic.
    broken = dict(BUNDLE_FILES) | {"bundle.yaml": BUNDLE.replace("packs: [testing]", "packs: [none]\nowners: 7")}
    bad = msgspec.structs.replace(
        first,
        serial=2,
        digest=bundle_from_files(broken).digest,
        files=tuple(BundleFile(path=path, content=text) for path, text in sorted(broken.items())),
        signatures=(),
    )
    signed = sign(bad, site.key)
    site.write(RULESET, publication_key(signed), signed)
    forged = msgspec.structs.replace(first, serial=3)
    site.write(RULESET, publication_key(forged), forged)
    site.publisher.flush(FLUSH_MS)
    until(lambda: len(site.changes()) == 3)
    told = {event.reason: event.reason_text or "" for event in site.changes()}
    assert told.keys() == {"rules_published", "bundle_invalid", "bundle_signature_invalid"}
    assert "missing_pack" in told["bundle_invalid"]
    assert "unlisted_pack" in told["bundle_invalid"]
    assert site.digests() == {first.digest}
    letters = list(read_to_end(site.log, (RULESET.dlq,), SystemClock()))
    assert {dict(letter.headers)["stoplog.reason"] for letter in letters} == {
        b"bundle_invalid",
        b"bundle_signature_invalid",
    }
    site.restart()
    assert site.digests() == {first.digest}
    assert len(site.changes()) == 3
