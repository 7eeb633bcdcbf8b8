"""Control state: what is broadcast to every gate (revocations, catalogue, rules, baselines), ready for use.

It changes only between two records of a partition, so that one intent is judged on one state of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.model.catalogue import EntryState, ToolCatalogEntry
from streams.model.control import Baseline, RulesetBundle
from streams.model.errors import RecordError
from streams.model.keys import revocation_key, tool_key
from streams.model.labels import WORST, Label
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.topics import CATALOGUE, REVOCATION
from streams.model.types import Header, Record
from streams.policy.ruleset import CompiledRuleset
from streams.processors.publications import Publications, RulesEvent
from streams.processors.schemas import ArgsSchema

CALLABLE_STATES = frozenset({EntryState.APPROVED, EntryState.DEPRECATED})


@dataclass(frozen=True)
class CatalogueTool:
    """An entry, with its arguments' schema ready."""

    entry: ToolCatalogEntry
    schema: ArgsSchema

    @property
    def full_name(self) -> tuple[str, str]:
        """The server's id and the tool's name."""
        return self.entry.server_id, self.entry.name

    @property
    def output_label(self) -> Label:
        """The label of what the tool returns; unset counts as the worst."""
        return self.entry.output_label or WORST


@dataclass
class ControlState:
    """What the gate holds of the broadcast topics.

    Attributes:
        rules: the publications of the bundle that is enforced.
        stale: the shell sets it while it cannot tell that it has read everything.
    """

    rules: Publications
    revocations: RevocationSet = field(default_factory=RevocationSet)
    tools: dict[tuple[str, str], CatalogueTool] = field(default_factory=dict)
    reviewed_digests: frozenset[str] = frozenset()
    stale: bool = True

    def ruleset_for(self, session_key: bytes) -> CompiledRuleset | None:
        """The rules that judge a session."""
        rules = self.rules.in_force(session_key)
        return None if rules is None else rules.ruleset

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has something to do."""
        return self.rules.is_busy

    def advance(self, now_ms: int) -> list[RulesEvent]:
        """Go on with what takes time, for some milliseconds; what has become of publications."""
        self.rules.advance(now_ms)
        return self.rules.take_events()

    def settle(self) -> list[RulesEvent]:
        """All topics were read to their end: decide on all that stood there. Blocks."""
        self.rules.settle()
        return self.rules.take_events()

    def memory(self) -> bytes | None:
        """What every partition is to remember; the same object until it changes."""
        return self.rules.memory()

    def recall(self, memory: bytes) -> None:
        """What a partition remembered when it was taken over."""
        self.rules.recall(memory)

    def close(self) -> None:
        """Drop what is under way."""
        self.rules.close()

    def apply(self, topic: str, key: bytes | None, record: Record | None, next_offset: int) -> bool:
        """Take in one record of a broadcast topic (None: a tombstone). Whether an event will tell what became of it.

        Raises:
            RecordError: it is not usable; what was in force stays so, but an unusable catalogue entry blocks its tool,
                and an unusable revocation revokes what its key names.
        """
        if topic == REVOCATION.name:
            self.revocations.next_offset = next_offset
        if key is None:
            raise RecordError(DeadLetterReason.KEY_MISSING, f"a record of `{topic}` has no key")
        if record is None:
            self._forget(topic, key)
        elif isinstance(record, Revocation):
            self._apply_revocation(key, record)
        elif isinstance(record, ToolCatalogEntry):
            self._apply_entry(key, record)
        elif isinstance(record, RulesetBundle):
            return self.rules.offer(record, next_offset - 1)
        elif not isinstance(record, Baseline):
            raise RecordError(
                DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` does not belong on `{topic}`"
            )
        return False

    def block_unreadable(self, topic: str, key: bytes | None) -> None:
        """What could not be read may have been a block or a revocation: it counts as one of what its key names."""
        if key is None:
            return
        if topic == CATALOGUE.name:
            self._forget(topic, key)
        elif topic == REVOCATION.name:
            kind, _, target = key.decode("utf-8", "replace").partition(":")
            if kind in RevocationKind.__members__:
                self.revocations.apply(_unreadable(RevocationKind(kind), target))

    def _forget(self, topic: str, key: bytes) -> None:
        text = key.decode("utf-8", "replace")
        if topic == REVOCATION.name:
            kind, _, target = text.partition(":")
            if kind in RevocationKind.__members__:
                self.revocations.remove(RevocationKind(kind), target)
        elif topic == CATALOGUE.name:
            named = [tool for tool in self.tools if tool_key(*tool) == key]
            for tool in named:
                del self.tools[tool]
            if named:
                self._note_digests()

    def _apply_revocation(self, key: bytes, revocation: Revocation) -> None:
        """A kind that is not known here was read as UNKNOWN; its key still has the kind's name."""
        own_key = revocation_key(revocation.kind, revocation.id)
        is_new_kind = revocation.kind is RevocationKind.UNKNOWN and key.partition(b":")[2] == own_key.partition(b":")[2]
        if key == own_key or is_new_kind:
            self.revocations.apply(revocation)
            return
        if revocation.state is RevocationState.REVOKED:
            self.revocations.apply(revocation)
        raise _key_mismatch(key, own_key)

    def _apply_entry(self, record_key: bytes, entry: ToolCatalogEntry) -> None:
        key = (entry.server_id, entry.name)
        if record_key != tool_key(*key):
            self.tools.pop(key, None)
            self._note_digests()
            raise _key_mismatch(record_key, tool_key(*key))
        if "/" in entry.server_id:
            text = f"server id `{entry.server_id[:80]}` holds a `/`, which separates server and tool in keys"
            raise RecordError(DeadLetterReason.CATALOGUE_INVALID, text)
        try:
            tool = CatalogueTool(entry, ArgsSchema(entry.input_schema_json))
        except (ValueError, RecursionError) as error:
            self.tools.pop(key, None)
            self._note_digests()
            text = f"input schema of `{entry.server_id}/{entry.name}` is not usable, the tool is blocked: {error}"
            raise RecordError(DeadLetterReason.CATALOGUE_INVALID, text) from None
        self.tools[key] = tool
        self._note_digests()

    def _note_digests(self) -> None:
        self.reviewed_digests = frozenset(
            tool.entry.definition_digest.hex() for tool in self.tools.values() if tool.entry.state in CALLABLE_STATES
        )


def _key_mismatch(key: bytes, own_key: bytes) -> RecordError:
    """Under another key than its own a record would be compacted away by strangers, and not by what replaces it."""
    shown = key[:80].decode("utf-8", "replace")
    text = f"the record's key is `{shown}`, but its own is `{own_key[:80].decode('utf-8', 'replace')}`"
    return RecordError(DeadLetterReason.KEY_MISMATCH, text)


def _unreadable(kind: RevocationKind, target: str) -> Revocation:
    """The revocation that an unreadable record stands for."""
    header = Header(id=derived_uuid("unreadable revocation", kind.value, target), source="", time=0, tenant_uid="")
    return Revocation(
        header=header, kind=kind, id=target, effective_at=0, reason="unreadable", initiating_entity="system"
    )
