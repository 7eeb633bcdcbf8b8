"""What a worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.engine.settings import EngineSettings
from streams.ports.processor import Processor
from streams.ports.wire import Wire
from streams.topology import ProcessorSpec


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker runs, the same for each of its partitions.

    Attributes:
        spec: the processor's topics.
        processor: what decides.
        wire: translates between records and bytes.
        settings: how the worker runs.
        partition_counts: how many partitions each topic has, by its name. Topics of tenants come and go.
    """

    spec: ProcessorSpec
    processor: Processor
    wire: Wire
    settings: EngineSettings
    partition_counts: Mapping[str, int]
