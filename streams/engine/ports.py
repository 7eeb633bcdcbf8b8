"""What a worker runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streams.engine.meter import Meter
from streams.engine.peers import EndTransactions
from streams.ports import Clock, Consumer, Producer, Reader, StoreProvider


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a worker runs on. The worker closes the consumer, the producer and the readers that it opens.

    Attributes:
        end_transactions: ends what another instance has left open (`streams.engine.peers`); None leaves it to timeouts.
        look_for_topics: begins to bring the topics of tenants in the worker's partition counts up to date, and returns
            at once: operators create and delete these topics while workers run. The worker calls it again and again.
        meter: counts what the worker does; by default for nobody.
    """

    consumer: Consumer
    producer: Producer
    open_reader: Callable[[], Reader]
    stores: StoreProvider
    clock: Clock
    end_transactions: EndTransactions | None = None
    look_for_topics: Callable[[], None] | None = None
    meter: Meter = field(default_factory=Meter)
