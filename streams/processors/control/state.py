"""Hold control state: what is broadcast to every gate (revocations, catalog, rules, baselines, attributes).

It changes only between two records of a partition, so that each intent is judged on one version of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from streams.audit.releasers import NOBODY as RELEASED_BY_NOBODY
from streams.audit.reviewers import NOBODY
from streams.model.alert import clipped
from streams.model.attributes import EntityAttributes
from streams.model.catalog import ToolCatalogEntry
from streams.model.control import Baseline, RulesetBundle
from streams.model.errors import RecordError
from streams.model.keys import revocation_key
from streams.model.reasons import ControlReason, DeadLetterReason
from streams.model.revocation import Revocation, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import is_key_of
from streams.model.topics import ATTRIBUTES, BASELINE, CATALOG, REVOCATION
from streams.model.types import Record
from streams.policy.runtime.ruleset import CompiledRuleset
from streams.ports import Received
from streams.processors.control.attributes import Attributes, AttributesEvent
from streams.processors.control.baselines import Baselines
from streams.processors.control.catalog import CALLABLE_STATES, Catalog, CatalogEvent
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.control.publications import Publications, RulesEvent
from streams.processors.control.stops import StopEvent

_log = logging.getLogger(__name__)

_PUBLISH = "stoplog rules publish DIR"
_IMPORT = "stoplog catalog import SERVER -- COMMAND"

_WITH_CATALOG = b"\x01"
"""First byte of a memory that includes the catalog's. A memory of the rules alone is an array."""

ControlEvent = RulesEvent | CatalogEvent | StopEvent | AttributesEvent
_encode = msgspec.msgpack.Encoder().encode
_decode_memory = msgspec.msgpack.Decoder(tuple[bytes | None, bytes]).decode

__all__ = ["CALLABLE_STATES", "ControlEvent", "ControlState"]


@dataclass
class ControlState:
    """Holds the content of the broadcast topics.

    Attributes:
        rules: the publications of the bundle that is enforced.
        catalog: the catalog of tools.
        revocations: the revocations in effect; by default no release lifts any.
        attributes: the attributes of entities; by default no record counts.
        baselines: what is usual for agents. Nobody waits for it: the topic is advisory.
        tools: the same dictionary as `catalog.tools`.
        stale: whether the engine can't tell that it has read everything.
    """

    rules: Publications
    catalog: Catalog = field(default_factory=lambda: Catalog(NOBODY))
    revocations: RevocationSet = field(default_factory=lambda: RevocationSet(RELEASED_BY_NOBODY))
    attributes: Attributes = field(default_factory=Attributes)
    baselines: Baselines = field(default_factory=Baselines)
    tools: dict[tuple[str, str], CatalogTool] = field(init=False)
    stale: bool = True
    _stop_events: list[StopEvent] = field(default_factory=list)
    _parts: tuple[bytes | None, bytes | None] = (None, None)
    _memory: bytes | None = None

    def __post_init__(self) -> None:
        """Give the dictionary of tools a second name, which saves every call an attribute lookup."""
        self.tools = self.catalog.tools

    def ruleset_for(self, session_key: bytes) -> CompiledRuleset | None:
        """Return the rules that judge a session; None if there are none."""
        rules = self.rules.in_force(session_key)
        return None if rules is None else rules.ruleset

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has work to do."""
        return self.rules.is_busy

    def advance(self, now_ms: int) -> list[ControlEvent]:
        """Continue work that takes time, for some milliseconds, and return the events since the last call.

        Args:
            now_ms: of a clock that never goes back.
        """
        self.rules.advance(now_ms)
        self.catalog.advance(now_ms)
        return self.take_events()

    def take_events(self) -> list[ControlEvent]:
        """Return the effects of what was read since the last call, as far as they are known."""
        stops, self._stop_events = self._stop_events, []
        return [*self.rules.take_events(), *self.catalog.take_events(), *stops, *self.attributes.take_events()]

    def settle(self) -> list[ControlEvent]:
        """Decide on everything that was read, once all topics have been read to their end. Blocks."""
        self.rules.settle()
        if self.rules.in_force(b"") is None:
            text = "no rules of bundle `%s` are in force: every call is denied until some are published (`%s`)"
            _log.info(text, self.rules.name, _PUBLISH)
        if not any(tool.entry.state in CALLABLE_STATES for tool in self.tools.values()):
            _log.info("no tool of the catalog is approved: every call is denied until one is (`%s`)", _IMPORT)
        return self.take_events()

    def memory(self) -> bytes | None:
        """Return what every partition must remember; the same object until it changes."""
        rules, catalog = self.rules.memory(), self.catalog.memory()
        if catalog is None:
            return rules
        if self._parts[0] is not rules or self._parts[1] is not catalog:
            self._parts = (rules, catalog)
            self._memory = _WITH_CATALOG + _encode((rules, catalog))
        return self._memory

    def recall(self, memory: bytes) -> None:
        """Merge what a partition that was taken over has remembered."""
        rules, catalog = _decode_memory(memory[1:]) if memory.startswith(_WITH_CATALOG) else (memory, None)
        if rules is not None:
            self.rules.recall(rules)
        if catalog is not None:
            self.catalog.recall(catalog)

    def close(self) -> None:
        """Stop work that is under way."""
        self.rules.close()

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int, appended_ms: int) -> bool:
        """Apply one record of a broadcast topic, and tell whether an event will report its effect.

        Args:
            topic: the topic's name.
            key: the record's key.
            record: the record; None for a tombstone.
            next_offset: the offset after the record.
            appended_ms: broker time of the record.

        Raises:
            RecordError: the record is rejected. What was in force stays in force, but a rejected catalog entry blocks
                its tool, a rejected revocation revokes what its key names, and of an entity whose attributes are
                rejected nothing is clear any more. A release that does not count is
                reported by an event instead.
        """
        if topic == REVOCATION.name:
            self.revocations.next_offset = next_offset
        elif topic == ATTRIBUTES.name:
            self.attributes.next_offset = next_offset
        elif topic == BASELINE.name:
            self.baselines.next_offset = next_offset
        if key is None:
            raise RecordError(DeadLetterReason.KEY_MISSING, f"a record of `{topic}` has no key")
        if record is None:
            return self._forget(topic, key, next_offset - 1, appended_ms)
        if isinstance(record, Revocation):
            return self._apply_revocation(key, record, next_offset - 1, appended_ms)
        if isinstance(record, ToolCatalogEntry):
            return self.catalog.offer(key, record, next_offset - 1)
        if isinstance(record, RulesetBundle):
            return self.rules.offer(record, next_offset - 1)
        if isinstance(record, EntityAttributes):
            return self.attributes.offer(key, record, next_offset - 1, appended_ms)
        if isinstance(record, Baseline):
            self.baselines.offer(key, record, appended_ms)
            return False
        raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` does not belong on `{topic}`")

    def on_applied(self, records: Sequence[Received], now_ms: int) -> None:
        """Log how soon revocations are in force here, by the slowest of those that came together.

        Args:
            records: what was read from broadcast topics while the gate ran.
            now_ms: the wall clock.
        """
        stops = [record for record in records if record.topic == REVOCATION.name and record.value is not None]
        if not stops:
            return
        latency_ms = max(0, now_ms - min(record.timestamp_ms for record in stops))
        fields = {"event": "stop_in_force", "count": len(stops), "offset": stops[-1].offset, "latency_ms": latency_ms}
        text = "stops and releases (`%s`) in force here: %d, %d ms after the first of them"
        _log.info(text, REVOCATION.name, len(stops), latency_ms, extra={"fields": fields})

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """Block or revoke what the key of an unreadable record names, because the record may have done so."""
        if key is None:
            return
        if topic == CATALOG.name:
            self.catalog.block_named(key)
        elif topic == REVOCATION.name:
            self.revocations.stop(key)
        elif topic == ATTRIBUTES.name:
            self.attributes.make_unclear(key)

    def _forget(self, topic: str, key: bytes, offset: int, appended_ms: int) -> bool:
        if topic == CATALOG.name:
            return self.catalog.forget(key, offset)
        if topic == ATTRIBUTES.name:
            self.attributes.forget(key)
        if topic == BASELINE.name:
            self.baselines.forget(key)
        if topic == REVOCATION.name:
            try:
                self.revocations.forget(key, appended_ms)
            except RecordError as error:
                return self._report_stop(StopEvent(_shown(key), offset, None, None, error))
        return False

    def _apply_revocation(self, key: bytes, revocation: Revocation, offset: int, appended_ms: int) -> bool:
        is_own, is_release = is_key_of(key, revocation), revocation.state is RevocationState.RELEASED
        if not is_own:
            if not is_release:
                self.revocations.apply(revocation, key, appended_ms)
            raise _key_mismatch(key, revocation_key(revocation.kind, revocation.id))
        name = _shown(key)
        try:
            signer = self.revocations.apply(revocation, key, appended_ms)
        except RecordError as error:
            # An event and no error: nothing is revoked because of it, as it would be if it could not be read.
            return self._report_stop(StopEvent(name, offset, revocation, None, error))
        if signer is None:
            if is_release or not self.revocations.is_weakened_by(offset, key):
                return False
            # No alert: a gate writes one, too, when a session ends that a person has stopped for longer.
            text = f"{name}, until {revocation.until}, because: {revocation.reason}"
            return self._report_stop(StopEvent(name, offset, revocation, ControlReason.STOP_NOT_SHORTENED, None, text))
        text = f"{name}, signed by {signer}, because: {revocation.reason}"
        return self._report_stop(StopEvent(name, offset, revocation, ControlReason.STOP_RELEASED, None, text))

    def _report_stop(self, event: StopEvent) -> bool:
        self._stop_events.append(event)
        return True


def _shown(key: bytes) -> str:
    return clipped(key.decode("utf-8", "replace"))


def _key_mismatch(key: bytes, expected_key: bytes) -> RecordError:
    """Return the error of a record under a wrong key, where log compaction would not replace it by its successor."""
    shown = key[:80].decode("utf-8", "replace")
    text = f"the record's key is `{shown}`, but its own is `{expected_key[:80].decode('utf-8', 'replace')}`"
    return RecordError(DeadLetterReason.KEY_MISMATCH, text)
