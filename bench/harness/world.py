"""A log with everything that a gate needs: topics, catalog and rules. Each measurement has its own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.harness.workload import bundle_record, catalog_records
from simulation.broker.kafka import KafkaBroker
from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.model.catalog_signature import entry_key
from streams.model.keys import partition_for
from streams.model.topics import CATALOG, RULESET, TOPICS, Spread, Topic
from streams.model.types import Header, Record
from streams.ports import Outgoing, TopicPartition, TopicSpec
from streams.ports.open_log import Log
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

Kind = Literal["kafka", "embedded"]
KINDS: tuple[Kind, ...] = ("kafka", "embedded")
PARTITIONS = 6
ROOT_KEY = bytes(range(64))
FLUSH_MS = 30_000


@dataclass
class World:
    """The environment of one measurement; `settings` are those of its gates, except the instance."""

    kind: Kind
    folder: Path
    settings: dict[str, Any]
    log: Log
    codec: Codec
    broker: KafkaBroker | None

    def gate_settings(self, engine: dict[str, int]) -> dict[str, Any]:
        """Return the settings of a gate, as a child process is given them."""
        return {**self.settings, "engine": engine}

    def outgoing(self, topic: Topic, key: bytes, record: Record, header: Header) -> Outgoing:
        """Return a record on its way."""
        partition = 0 if topic.spread is Spread.BROADCAST else partition_for(key, PARTITIONS)
        return Outgoing(topic.name, partition, key, self.codec.encode(topic.name, record), event_headers(topic, header))

    def publish(self, records: Iterator[Outgoing]) -> int:
        """Store the records; returns how many there were."""
        publisher = self.log.publisher()
        count = 0
        for record in records:
            publisher.publish(record)
            count += 1
        publisher.flush(FLUSH_MS)
        publisher.close()
        return count

    def ends(self, topic: Topic) -> dict[TopicPartition, int]:
        """Return where the topic's partitions end now."""
        reader = self.log.reader()
        count = 1 if topic.spread is Spread.BROADCAST else PARTITIONS
        found = reader.end_offsets([TopicPartition(topic.name, number) for number in range(count)])
        reader.close()
        return found


@contextlib.contextmanager
def open_world(
    kind: Kind, rules: str, properties: Mapping[str, str] | None = None, *, users: Mapping[str, str] | None = None
) -> Iterator[World]:
    """Yield a fresh log with topics, tools and a bundle of `rules` (see `workload.RULE_SETS`) on it.

    Args:
        kind: the log's.
        rules: the bundle.
        properties: further settings of a Kafka broker.
        users: passwords of the users that such a broker knows beside those who need none.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoplog-bench-")))
        settings: dict[str, Any] = {
            "log": kind,
            "state_dir": str(folder / "state"),
            "tenant": "bench",
            "rules": {"allow_unsigned": True},
            "catalog": {"allow_unsigned": True},
            "release": {"allow_unsigned": True},
        }
        broker = None
        if kind == "kafka":
            broker = stack.enter_context(
                KafkaBroker.start(folder / "kafka", quick=False, users=users, properties=properties)
            )
            settings["bootstrap"] = broker.bootstrap
        parsed = Settings(**settings)
        log = open_log(parsed)
        stack.callback(log.close)
        world = World(kind, folder, settings, log, build_codec(parsed), broker)
        prepare(world, rules)
        yield world


def reopen(order: Mapping[str, Any]) -> World:
    """Return the world of a child process from its order: `settings` and `folder`. The broker stays the parent's."""
    settings = Settings(**order["settings"])
    return World(
        settings.log, Path(order["folder"]), order["settings"], open_log(settings), build_codec(settings), None
    )


def prepare(world: World, rules: str) -> None:
    """Create the topics, and write the tools and the rules."""
    admin = world.log.admin()
    specs = [
        TopicSpec(topic.name, PARTITIONS if topic.spread is Spread.CO_PARTITIONED else 1, topic.config())
        for topic in TOPICS
    ]
    admin.create(specs, 1)
    admin.close()
    control = [world.outgoing(CATALOG, entry_key(entry), entry, entry.header) for entry in catalog_records(ROOT_KEY)]
    bundle = bundle_record(rules)
    if bundle is not None:
        control.append(world.outgoing(RULESET, bundle.name.encode(), bundle, bundle.header))
    world.publish(iter(control))
