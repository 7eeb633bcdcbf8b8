"""What a replay is given, and what it returns of each verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from streams.engine.settings import EngineSettings
from streams.history.control_tape import ControlTape
from streams.history.recording import Expected
from streams.model.errors import InvariantError
from streams.model.verdict import Verdict
from streams.ports.wire import Wire
from streams.processors.control.state import ControlState
from streams.processors.settings import GateSettings


class Made(NamedTuple):
    """A verdict that the replay has made.

    Attributes:
        key: its key.
        value: its bytes.
        source: the record, or the recorded verdict of the same bytes.
    """

    key: bytes | None
    value: bytes
    source: Verdict | Expected

    @property
    def verdict(self) -> Verdict:
        """The record."""
        return self.source.verdict if isinstance(self.source, Expected) else self.source


class Replayed(NamedTuple):
    """A recorded verdict and the one that was made again; one of them is None if it has no counterpart."""

    recorded: Expected | None
    made: Made | None
    is_same: bool

    @property
    def key(self) -> bytes | None:
        """The key of the recorded verdict, or of the one that was made if there is none."""
        return self._made_alone.key if self.recorded is None else self.recorded.received.key

    @property
    def verdict(self) -> Verdict:
        """The recorded verdict, or the one that was made if there is none."""
        return self._made_alone.verdict if self.recorded is None else self.recorded.verdict

    @property
    def evaluated_at(self) -> int:
        """The instant of the recorded verdict, or of the one that was made if there is none; ms since the epoch."""
        return self._made_alone.verdict.evaluated_at if self.recorded is None else self.recorded.stated.evaluated_at

    @property
    def _made_alone(self) -> Made:
        if self.made is None:
            raise InvariantError("neither a recorded verdict nor one that was made")
        return self.made


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """What all partitions of a replay have in common.

    Attributes:
        wire: the codec of the deployment: another one gives other bytes.
        gate: the settings of the gate.
        engine: the settings of the engine; they tell when an idle gate lets time go on.
        tape: the records of the broadcast topics.
        make_control: creates control state that has read nothing, but trusts whom the deployment trusts.
        partition_counts: how many partitions each topic has.
        is_strict: whether the recorded verdicts should come out: then other orders are tried if they don't. Otherwise
            they only say when things happened, as for other rules than those that were in force.
    """

    wire: Wire
    gate: GateSettings
    engine: EngineSettings
    tape: ControlTape
    make_control: Callable[[], ControlState]
    partition_counts: dict[str, int]
    is_strict: bool = True
