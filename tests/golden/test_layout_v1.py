"""State and log of a gate with row layout 1 are opened, and the gate goes on as that one did.

`layout_v1/make.py` made the fixture with the last version that had the layout, and recorded what that version answered
to the records that come next. Reports had no proofs then; they get those that they need today.
"""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from simulation.records import ISSUER, ROOT_KEY, SessionMaker, entry_key, report_keys
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.delegation.anchors import TrustAnchors
from streams.embedded.log import EmbeddedLog
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics
from streams.engine.worker import Worker
from streams.history.driver import make_gate
from streams.inmemory.clock import ManualClock
from streams.model.errors import RecordError
from streams.model.keys import partition_for
from streams.model.session import REPORTS, SessionEvent
from streams.model.topics import CATALOG, SESSION, Spread
from streams.ports import Outgoing, TopicSpec
from streams.ports.processor import Processor
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.settings import GateSettings
from streams.stores.rocks import RocksStores
from streams.topology import BUDGETS, GATE
from tests.golden.layout_v1.player import PARTITIONS, Parts, Player
from tests.kit import compile_published, wire

FIXTURE = Path(__file__).with_name("layout_v1")
ENGINE = EngineSettings(idle_poll_ms=0, punctuate_ms=0, idle_margin_ms=0, control_check_ms=0, control_stale_ms=1 << 62)
SETTINGS = GateSettings(root_key=ROOT_KEY, trust_anchors=TrustAnchors.of({ISSUER: "hmac"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the state, to be written to."""
    with tarfile.open(FIXTURE / "state.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


class House:
    """The gate and the allocator of today on the old log and stores."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self._folder = folder
        self._outputs = content["outputs"]
        self.clock = ManualClock(content["now_ms"])
        self.log = EmbeddedLog(folder / "log.db", clock=self.clock)
        admin = self.log.admin()
        for spec in (GATE, BUDGETS):
            for topic in spec.topics():
                if not admin.describe([topic.name], ()):
                    count = 1 if topic.spread is Spread.BROADCAST else PARTITIONS
                    admin.create([TopicSpec(topic.name, count, topic.config())], 1)
        admin.close()
        publisher = self.log.publisher()
        for server_id in ("pay", "post"):
            entry = report_keys(server_id)
            value = wire().encode(CATALOG.name, entry)
            publisher.publish(Outgoing(CATALOG.name, 0, entry_key(entry), value, ()))
        publisher.close()

    def player(self, *processors: str) -> Player:
        parts = Parts(wire(), self.clock, self.log, self._worker, partition_for, self._outputs)
        return Player(parts, processors)

    def _worker(self, name: str) -> Worker:
        spec = GATE if name == "gate" else BUDGETS
        admin = self.log.admin()
        counts = check_topics(spec, admin)
        admin.close()
        processor: Processor = BudgetAllocator(wire())
        if spec is GATE:
            processor = make_gate(wire(), compile_published, SETTINGS, UNSIGNED, ANYBODY)
        ports = Ports(
            consumer=self.log.consumer(f"stoplog-{name}", "one"),
            producer=self.log.producer(f"stoplog-{name}-one"),
            open_reader=self.log.reader,
            stores=RocksStores(self._folder / "stores" / name),
            clock=self.clock,
        )
        worker = Worker(
            spec=spec,
            processor=processor,
            wire=wire(),
            ports=ports,
            settings=ENGINE,
            partition_counts=counts,
        )
        worker.start()
        return worker


def perform(player: Player, step: dict[str, Any]) -> list[dict[str, Any]]:
    """Do what the step says; returns what was answered."""
    if "start" in step:
        player.start(step["start"])
    elif "put" in step:
        topic, partition, key, value = step["put"]
        player.put(topic, partition, base64.b64decode(key), proven(topic, base64.b64decode(value)))
    else:
        player.advance(step["advance_ms"])
    return player.answers()


def proven(topic: str, value: bytes) -> bytes:
    """A record as it was, but reports with a proof."""
    if topic != SESSION.name:
        return value
    try:
        event = wire().decode(topic, value, ())
    except RecordError:
        return value
    if not isinstance(event, SessionEvent) or event.type not in REPORTS:
        return value
    maker = SessionMaker(event.session_id, tenant=event.header.tenant_uid)
    return wire().encode(topic, maker.proven(event))


BUDGET_RECORDS = ("budget_request", "budget_grant")
NEW_ALERT = "budget exhausted: "
"""The title of alerts that the version of the fixture did not raise begins so."""


def in_substance(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers without what may change: the encoded form, as schemas grow, and the wording of texts for people.

    How much of a budget is leased, and when, is not an answer: the verdicts are. `first_budget_records` looks at what
    the old rows determine of these records.
    """
    return [
        {field: value for field, value in answer.items() if field not in ("bytes", "reason_text")}
        for answer in without_budget_records(answers)
    ]


def without_budget_records(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers to others than gates and allocators."""
    return [
        answer
        for answer in answers
        if answer["topic"] not in BUDGET_RECORDS and not answer.get("title", "").startswith(NEW_ALERT)
    ]


def first_budget_records(answers: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[int, str]]:
    """The number and the kind of the first request and the first answer of each partition: the old ones go on."""
    first: dict[tuple[str, int], tuple[int, str]] = {}
    for answer in answers:
        if answer["topic"] in BUDGET_RECORDS:
            at = (answer["topic"], answer["gate_partition"])
            first.setdefault(at, (answer["serial"], answer.get("op") or answer["answer"]))
    return first


@pytest.mark.parametrize("how", ["as it is", "stores lost", "restarted after every step"])
def test_it_goes_on_with_the_same_answers(folder: Path, how: str) -> None:
    content = json.loads((FIXTURE / "steps.json").read_text())
    if how == "stores lost":
        for store in (folder / "stores").rglob("*.sst"):
            store.unlink()
    house = House(folder, content)
    player, running = house.player("gate"), ["gate"]
    given: set[str] = set()
    all_found: list[dict[str, Any]] = []
    for step in content["steps"]:
        found = perform(player, step)
        all_found += found
        assert in_substance(found) == in_substance(step["answers"]), step["name"]
        pairs = zip(without_budget_records(found), without_budget_records(step["answers"]), strict=True)
        for answer, expected in pairs:
            if "again" in step["name"] and answer["topic"] == "verdict" and answer["verdict_id"] not in given:
                assert answer["bytes"] == expected["bytes"], step["name"]
        given.update(answer["verdict_id"] for answer in found if answer["topic"] == "verdict")
        running += [step["start"]] if "start" in step else []
        if how == "restarted after every step":
            player.close()
            player = house.player(*running)
    expected_all = [answer for step in content["steps"] for answer in step["answers"]]
    assert first_budget_records(all_found) == first_budget_records(expected_all)
    player.close()
    house.log.close()
