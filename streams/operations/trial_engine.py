"""A gate that runs in the time of its records, with the budget allocator and the watch beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streams.codec.avro import Codec
from streams.codec.history import HistoryLine, format_line
from streams.codec.wire import CodecWire
from streams.history.driver import DRIVER_SETTINGS, gate_driver
from streams.model.bundle_signature import publication_key
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_key
from streams.model.control import RulesetBundle
from streams.model.topics import ALERT_OCSF, BY_NAME, CATALOG, RULESET
from streams.model.types import Record
from streams.operations.topics.tail import DeadLetter
from streams.operations.trial_answers import ANSWERED
from streams.policy import compile_bundle
from streams.ports import Received
from streams.ports.processor import Processor
from streams.processors.control.compilation import CompileBundle
from streams.processors.settings import GateSettings
from streams.topology import ProcessorSpec

if TYPE_CHECKING:
    # Loaded when the watch runs too.
    from streams.processors.watch.behaviour_file import BehaviourFiles


# A history can have gaps of hours; its broadcast topics are read completely in any case.
_ENGINE = msgspec.structs.replace(DRIVER_SETTINGS, control_stale_ms=1 << 62)


class Tried(NamedTuple):
    """A record that the engine wrote: of a kind that histories have, or a dead letter."""

    received: Received
    record: Record | None
    letter: DeadLetter | None

    def history_line(self) -> str | None:
        """Return the record as a line of a history; None for a dead letter."""
        if self.record is None:
            return None
        return format_line(self.received.topic, self.received.key or b"", self.received.timestamp_ms, self.record)


class Trial:
    """A gate that runs in the time of its records, with the budget allocator beside it.

    Args:
        codec: of the records.
        gate: the settings of the gate.
        compile_bundle: compiles a published bundle.
        start_ms: the time at which the clock begins.
        watch: what is declared about behaviour, if the watch runs beside it.
        outputs: the topics of the outputs that are wanted, besides those that `Answers` reads; by default all.
    """

    def __init__(
        self,
        codec: Codec,
        gate: GateSettings,
        start_ms: int,
        compile_bundle: CompileBundle = compile_bundle,
        watch: BehaviourFiles | None = None,
        outputs: AbstractSet[str] | None = None,
    ) -> None:
        self._codec = codec
        self._outputs = None if outputs is None else outputs | ANSWERED
        wire = CodecWire(codec)
        self._driver = gate_driver(
            wire=wire,
            compile_bundle=compile_bundle,
            settings=gate,
            start_ms=start_ms,
            engine_settings=_ENGINE,
            beside={} if watch is None else _watched(wire, watch),
        )

    @property
    def now_ms(self) -> int:
        """Return the time."""
        return self._driver.clock.now_ms()

    def publish(self, bundle: RulesetBundle) -> None:
        """Publish rules; what the gate writes about it is not part of any output."""
        self._driver.pipe(RULESET.name, publication_key(bundle), bundle)
        self._driver.read_raw()

    def add_tools(self, entries: Iterable[ToolCatalogEntry]) -> None:
        """Publish catalog entries."""
        for entry in entries:
            self._driver.pipe(CATALOG.name, entry_key(entry), entry)

    def write(self, line: HistoryLine) -> Received:
        """Write a record at its time, and let the gate process it.

        Raises:
            RecordError: it can't be put on its topic.
        """
        return self._driver.pipe(line.topic, line.key, line.record, line.time_ms)

    def advance(self, time_ms: int) -> None:
        """Let time pass until `time_ms`."""
        self._driver.advance(time_ms)

    def written(self) -> tuple[Tried, ...]:
        """Return what was written since the last call, without the OCSF form of alerts."""
        wanted = self._outputs
        return tuple(
            _tried(received, self._codec)
            for received in self._driver.read_raw()
            if received.topic != ALERT_OCSF.name and (wanted is None or received.topic in wanted)
        )

    def get(self, key: bytes) -> bytes | None:
        """Return a row of the gate's state."""
        return self._driver.disk.rows(0).get(key)

    def close(self) -> None:
        """Stop the gate."""
        self._driver.close()


def _watched(wire: CodecWire, files: BehaviourFiles) -> Mapping[ProcessorSpec, Processor]:
    from streams.operations.behaviour.watch_run import watch_processors  # noqa: PLC0415 - most runs are without it

    return watch_processors(wire, files)


def _tried(received: Received, codec: Codec) -> Tried:
    if BY_NAME[received.topic].record is None:
        return Tried(received, None, DeadLetter.read(received))
    return Tried(received, codec.decode(received.topic, received.value or b"", received.headers), None)
