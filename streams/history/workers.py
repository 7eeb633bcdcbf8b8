"""Runs the real engine on the in-memory log: creates topics as declared, and workers on them."""

from __future__ import annotations

from streams.engine.meter import Meter
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics, tenant_topics
from streams.engine.worker import Worker
from streams.inmemory.log import MemoryLog
from streams.model.topics import Spread
from streams.ports import Clock, StoreProvider, TopicSpec
from streams.ports.processor import Processor
from streams.ports.wire import Wire
from streams.topology import ProcessorSpec


def create_topics(log: MemoryLog, spec: ProcessorSpec, partitions: int) -> None:
    """Create every topic of a processor that does not exist yet. Broadcast topics have one partition."""
    for topic in spec.topics():
        if log.topic_state(topic.name) is None:
            count = 1 if topic.spread is Spread.BROADCAST else partitions
            log.create(TopicSpec(topic.name, count, topic.config()))


def build_worker(
    log: MemoryLog,
    *,
    spec: ProcessorSpec,
    processor: Processor,
    wire: Wire,
    stores: StoreProvider,
    clock: Clock,
    settings: EngineSettings,
    instance: str,
    resets_time: bool = False,
    meter: Meter | None = None,
) -> Worker:
    """Return a worker that is not started. `instance` names its group member, its transactional id and its readers."""
    counts = check_topics(spec, log.admin())
    return Worker(
        spec=spec,
        processor=processor,
        wire=wire,
        ports=Ports(
            consumer=log.consumer(spec.name, instance),
            producer=log.producer(instance),
            open_reader=lambda: log.reader(instance),
            stores=stores,
            clock=clock,
            end_transactions=lambda gone: log.producer(gone).init_transactions(),
            look_for_topics=lambda: counts.update(tenant_topics(spec, log.admin())),
            meter=meter or Meter(),
        ),
        settings=settings,
        partition_counts=counts,
        resets_time=resets_time,
    )
