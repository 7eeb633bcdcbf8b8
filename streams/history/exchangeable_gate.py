"""A gate that can be exchanged for another one while a partition's task holds on to it."""

from __future__ import annotations

from streams.model.errors import RecordError
from streams.model.types import Record
from streams.ports import Received
from streams.ports.processor import (
    Broadcast,
    BroadcastEvent,
    DeletedInput,
    Output,
    Processor,
    StateView,
    TimeReset,
)
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate


class ExchangeableGate(Processor):
    """A gate whose control state can be put back: it is exchanged for another gate then. Gates keep no other memory."""

    def __init__(self, gate: Gate, control: ControlState) -> None:
        self._gate = gate
        self._control = control

    def exchange(self, gate: Gate, control: ControlState) -> None:
        """Go on with another gate."""
        self._gate, self._control = gate, control

    @property
    def broadcast(self) -> Broadcast:
        """See `Processor`."""
        return Broadcast(self._control, self)

    @property
    def broadcast_mark(self) -> int:
        """See `BroadcastFollower`."""
        return self._gate.broadcast_mark

    def follow_broadcast(self, state: StateView, now_ms: int) -> tuple[list[Output], bool]:
        """See `BroadcastFollower`."""
        return self._gate.follow_broadcast(state, now_ms)

    def on_broadcast_event(
        self, event: BroadcastEvent, place: str, time_ms: int, state: StateView, now_ms: int
    ) -> list[Output]:
        """See `BroadcastFollower`."""
        return self._gate.on_broadcast_event(event, place, time_ms, state, now_ms)

    def prepare(self, state: StateView) -> None:
        """See `Processor`."""
        self._gate.prepare(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """See `Processor`."""
        return self._gate.process(topic, key, record, state, received_ms, now_ms)

    def takes_effect_ahead(self, record: Record) -> bool:
        """See `Processor`."""
        return self._gate.takes_effect_ahead(record)

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """See `Processor`."""
        return self._gate.on_timer(payload, state, now_ms)

    def on_dead_letter(self, record: Received, error: RecordError, state: StateView, now_ms: int) -> list[Output]:
        """See `Processor`."""
        return self._gate.on_dead_letter(record, error, state, now_ms)

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        """See `Processor`."""
        return self._gate.on_timer_failed(partition, due_ms, payload, error)

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:
        """See `Processor`."""
        return self._gate.on_input_deleted(deleted, now_ms)

    def on_time_reset(self, reset: TimeReset) -> list[Output]:
        """See `Processor`."""
        return self._gate.on_time_reset(reset)
