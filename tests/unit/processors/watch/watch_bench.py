"""What tests of the watch share: keying and watch on one log in memory, and decisions for them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from simulation.fleet.records import audit_of, verdict_of
from streams.behaviour.activity import HOUR_MS, Activity
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.history.driver import Driver
from streams.model.alert import Alert
from streams.model.behaviour import BehaviourEvent
from streams.model.keys import session_key_of
from streams.model.topics import ALERT, AUDIT, BEHAVIOUR, VERDICT, WATCH_CHANGELOG
from streams.policy.language.bundle import load_detector_files
from streams.processors.settings import WatchSettings
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.processors.watch.keying import Keying
from streams.processors.watch.watch import Watch
from streams.topology import KEYING, WATCH
from tests.unit.behaviour.kit import START_MS, activity

RULES = Path(__file__).parents[4] / "rules"
SHIPPED = parse_behaviour(load_detector_files(RULES))
WIRE = CodecWire(Codec(CommittedSchemas.load()))
QUICK = WatchSettings(grace_ms=2_000, publish_ms=HOUR_MS)


class Bench:
    """Keying and watch on one log."""

    def __init__(self, files: BehaviourFiles = SHIPPED, partitions: int = 2, start_ms: int = START_MS) -> None:
        self.files = files
        self.driver = Driver(
            spec=KEYING,
            processor=Keying(WIRE, files.features, QUICK),
            wire=WIRE,
            start_ms=start_ms,
            partitions=partitions,
            beside={WATCH: Watch(WIRE, files.declared, QUICK)},
        )

    def decide(self, each: Activity, *, audit: bool = True, verdict: bool = True, at_ms: int | None = None) -> None:
        key = session_key_of(each.tenant, each.session)
        time_ms = each.time_ms if at_ms is None else at_ms
        if verdict:
            self.driver.pipe(VERDICT.name, key, verdict_of(each), time_ms)
        if audit:
            self.driver.pipe(AUDIT.name, key, audit_of(each), time_ms)

    def settle(self, ms: int = 10_000) -> None:
        self.driver.advance(self.driver.clock.now_ms() + ms)

    def events(self) -> list[BehaviourEvent]:
        return [read.record for read in self.driver.read(BEHAVIOUR.name)]

    def alerts(self) -> list[Alert]:
        return [read.record for read in self.driver.read(ALERT.name)]


def sent(time_ms: int, **fields: object) -> Activity:
    given = {
        "tool": "mail.send",
        "agent": "mailer",
        "destination": "known.example",
        "user": "u",
        "root": "g-1",
        "depth": 1,
    }
    return activity(time_ms, **{**given, **fields})


def loop_of(count: int, session: str = "loop", start_ms: int = START_MS) -> list[Activity]:
    calls = [
        sent(start_ms + at * 1_000, session=session, call="same", event_id=f"{session}-{at}") for at in range(count)
    ]
    return [replace(call, size_bytes=0) for call in calls]


def watch_rows(bench: Bench) -> list[bytes]:
    """The keys of the rows of behaviour that there are now."""
    rows: dict[bytes, bytes | None] = {}
    for _, record in bench.driver.log.written_since([WATCH_CHANGELOG.name], -1):
        rows[record.key or b""] = record.value
    return [key for key, row in rows.items() if row and key[:1] == b"W"]
