"""What a worker runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.ports import Clock, Consumer, Producer, Reader, StoreProvider


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a worker runs on. The worker closes the consumer, the producer and the readers that it opens."""

    consumer: Consumer
    producer: Producer
    open_reader: Callable[[], Reader]
    stores: StoreProvider
    clock: Clock
