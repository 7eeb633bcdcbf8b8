"""The catalog as a gate holds it: which tools may be called, and whose signatures say so.

Every entry is a record of its own with a version that only rises; what a tool may do follows from the newest one that
counts. **A grant counts if enough reviewers have signed it and its version is above every signed one before it. A stop
always counts**: an entry that blocks needs no signature, and an entry that claims to grant and can't be believed is a
stop, too, because it may have been a withdrawal or a narrower review that went wrong. Nothing but a higher signed
version ends a stop, so whoever may write the topic can stop tools and never start one.

What must not come back is remembered outside of the topic: every partition keeps the highest signed version of each
tool, and whether it was stopped after that. Whoever takes records off the topic, or puts old ones there again, gets the
tool denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from streams.audit.reviewers import Reviewers
from streams.model.canonical import CanonicalError, canonical, parse_strict, sha256
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_id, entry_key, parse_entry_key
from streams.model.definition import definition_digests
from streams.model.errors import RecordError
from streams.model.keys import tool_key
from streams.model.labels import WORST, Label
from streams.model.reasons import ControlReason, DeadLetterReason
from streams.model.topics import CATALOG
from streams.policy.cel.values import DistinctTexts
from streams.processors.control.schemas import ArgsSchema

CALLABLE_STATES = GRANTING_STATES
TOOLS_MAX = 10_000
BEHIND_MS_MAX = 5_000
"""After so long, an entry that is older than others were before is an alarm."""

_MARK_BYTES = 12
_encode = msgspec.msgpack.Encoder().encode

ToolName = tuple[str, str]


@dataclass(frozen=True)
class CatalogTool:
    """An entry, with its arguments' schema ready."""

    entry: ToolCatalogEntry
    schema: ArgsSchema

    @property
    def full_name(self) -> ToolName:
        """The server's id and the tool's name."""
        return self.entry.server_id, self.entry.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The fact `tool`: the same object for every call, by which rules know the tool again. Not to be changed."""
        entry = self.entry
        return {
            "id": f"{entry.server_id}.{entry.name}",
            "server_id": entry.server_id,
            "name": entry.name,
            "version": str(entry.catalog_version),
            "read_only": entry.read_only,
            "destructive": entry.destructive,
            "idempotent": entry.idempotent,
            "open_world": entry.open_world,
            "reversible": entry.reversible,
            "irreversible": not entry.reversible,
            "external": entry.open_world,
            "definition_digest": entry.definition_digest.hex(),
            "sink_args": list(entry.sink_args),
        }

    @property
    def output_label(self) -> Label:
        """The label of what the tool returns; unset counts as the worst."""
        return self.entry.output_label or WORST


class CatalogEvent(NamedTuple):
    """What became of an entry.

    Attributes:
        entry: it; None where the topic as a whole is behind what was in force.
        offset: where it stands on its topic.
        signers: the reviewers whose signatures hold.
        reason: what it has done; None where it was refused.
        error: why it was refused.
        detail: what else there is to say.
    """

    entry: ToolCatalogEntry | None
    offset: int
    signers: tuple[str, ...]
    reason: ControlReason | None
    error: RecordError | None
    detail: str = ""

    @property
    def topic(self) -> str:
        """Where the entry stands."""
        return CATALOG.name

    @property
    def name(self) -> str:
        """The tool, as people write it."""
        return "*" if self.entry is None else f"{self.entry.server_id}/{self.entry.name}"


class _Floor(NamedTuple):
    """The highest signed version of a tool, which entry that is, and whether the tool was stopped after it."""

    version: int
    own_id: bytes
    is_stopped: bool


_decode_floors = msgspec.msgpack.Decoder(list[tuple[bytes, _Floor]]).decode
_UNDECIDED = frozenset({EntryState.PROPOSED, EntryState.REJECTED})
_GRANT_REASONS = {
    EntryState.APPROVED: ControlReason.TOOL_APPROVED,
    EntryState.DEPRECATED: ControlReason.TOOL_DEPRECATED,
}


@dataclass
class Catalog:
    """The entries of all tools.

    Attributes:
        reviewers: whose signatures count. Where none are asked for, the last entry of a tool is the one that counts.
        tools: the entry of each tool, by server id and name; those that can't be called, too.
    """

    reviewers: Reviewers
    tools: dict[ToolName, CatalogTool] = field(default_factory=dict)
    _floors: dict[bytes, _Floor] = field(default_factory=dict)
    _recalled: set[bytes] = field(default_factory=set)
    _behind_since_ms: int | None = None
    _told_behind: bool = False
    _events: list[CatalogEvent] = field(default_factory=list)
    _memory: bytes | None = None
    _facts: dict[str, Any] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The fact `catalog`: the definitions that can be called, in hex, in order. Not to be changed."""
        if self._facts is None:
            entries = (tool.entry for tool in self.tools.values())
            found = {each.definition_digest.hex() for each in entries if each.state in CALLABLE_STATES}
            self._facts = {"reviewed_digests": DistinctTexts(sorted(found))}
        return self._facts

    def offer(self, key: bytes, entry: ToolCatalogEntry, offset: int) -> bool:
        """Take in an entry. Whether an event tells what became of it.

        Raises:
            RecordError: it stands under a key that is not its own: its tool is stopped.
        """
        name = (entry.server_id, entry.name)
        expected_key = entry_key(entry)
        self._facts = None
        if key != expected_key:
            self._stop(name)
            shown = key[:80].decode("utf-8", "replace")
            text = f"the record's key is `{shown}`, but its own is `{expected_key[:80].decode('utf-8', 'replace')}`"
            raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
        try:
            self._take(name, entry, offset)
        except RecordError as error:
            self._events.append(CatalogEvent(entry, offset, (), None, error))
        return bool(self._events) and self._events[-1].offset == offset

    def forget(self, key: bytes, offset: int) -> bool:
        """A tombstone: an old entry may go, but without the one in force its tool can't be called.

        Whether an event tells of it.
        """
        parsed = parse_entry_key(key)
        named = ("", "") if parsed is None else (parsed.server_id, parsed.name)
        if named not in self.tools or entry_key(self.tools[named].entry) != key:
            return False
        was = self.tools[named].entry
        self._stop(named)
        if not self.reviewers.are_asked or was.state not in CALLABLE_STATES:
            return False
        self._events.append(CatalogEvent(was, offset, (), ControlReason.TOOL_REMOVED, None))
        return True

    def stop_named(self, key: bytes) -> None:
        """What could not be read under a key may have been a stop of its tool: it counts as one."""
        parsed = parse_entry_key(key)
        if parsed is not None:
            self._stop((parsed.server_id, parsed.name))
        server_id, _, name = key.decode("utf-8", "replace").partition("/")
        self._stop((server_id, name))

    def advance(self, now_ms: int) -> None:
        """See whether what was remembered is still not there, some time after. `now_ms` never goes back."""
        if not self._recalled:
            self._behind_since_ms, self._told_behind = None, False
            return
        if self._behind_since_ms is None:
            self._behind_since_ms = now_ms
        if self._told_behind or now_ms - self._behind_since_ms < BEHIND_MS_MAX:
            return
        self._told_behind = True
        count = len(self._recalled)
        detail = f"{count} tools have entries on the topic that are older than those in force before, or none"
        self._events.append(CatalogEvent(None, -1, (), ControlReason.CATALOG_TOPIC_BEHIND, None, detail))

    def take_events(self) -> list[CatalogEvent]:
        """What has become of entries since this was last asked."""
        events, self._events = self._events, []
        return events

    # What is remembered elsewhere

    def memory(self) -> bytes | None:
        """What every partition is to remember: the same object until it changes. None before there is anything."""
        if self._memory is None and self._floors:
            self._memory = _encode(sorted(self._floors.items()))
        return self._memory

    def recall(self, memory: bytes) -> None:
        """What a partition remembered when it was taken over."""
        self._facts = None
        tools = {_mark(name): name for name in self.tools}
        for mark, floor in _decode_floors(memory):
            own = self._floors.get(mark)
            if own is not None and own.version > floor.version:
                continue
            if own is not None and own[:2] == floor[:2] and (own.is_stopped or not floor.is_stopped):
                continue
            # Of two that were signed under one version, the one that was in force before is meant.
            self._set_floor(mark, floor)
            name = tools.get(mark)
            if name is not None and self.tools[name].entry.state in CALLABLE_STATES:
                del self.tools[name]
            if not floor.is_stopped:
                self._recalled.add(mark)

    # Which entries count

    def _take(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        if len(self.tools) >= TOOLS_MAX and name not in self.tools:
            text = f"there are {TOOLS_MAX} tools already; `{entry.server_id[:80]}/{entry.name[:80]}` can't be called"
            raise RecordError(DeadLetterReason.CATALOG_INVALID, text)
        if "/" in entry.server_id:
            text = f"server id `{entry.server_id[:80]}` holds a `/`, which separates server and tool in keys"
            raise RecordError(DeadLetterReason.CATALOG_INVALID, text)
        if entry.state in _UNDECIDED:
            self._propose(name, entry)
        elif entry.state in CALLABLE_STATES:
            self._grant(name, entry, offset)
        else:
            self._block(name, entry, offset)

    def _propose(self, name: ToolName, entry: ToolCatalogEntry) -> None:
        """A proposal, or that it was rejected, grants nothing and takes nothing: what is in force stays so."""
        standing = self.tools.get(name)
        if standing is None or standing.entry.state in _UNDECIDED:
            self.tools[name] = CatalogTool(entry, ArgsSchema("{}"))

    def _grant(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        try:
            signers = self.reviewers.approvers(entry)
        except RecordError:
            self._stop(name)
            raise
        if not self._is_news(name, entry):
            return
        mark = _mark(name)
        try:
            tool = CatalogTool(entry, _usable_schema(entry))
        except RecordError:
            self._note_signed(mark, entry)
            self._stop(name)
            raise
        self._note_signed(mark, entry)
        self.tools[name] = tool
        if self.reviewers.are_asked:
            self._events.append(CatalogEvent(entry, offset, signers, _GRANT_REASONS[entry.state], None))

    def _block(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        try:
            signers = self.reviewers.signers(entry)
        except RecordError:
            self._stop(name)
            raise
        if signers and not self._is_rival(name, entry):
            if not self._is_news(name, entry):
                return
            self._note_signed(_mark(name), entry)
        self._stop(name)
        self.tools[name] = CatalogTool(entry, ArgsSchema("{}"))
        if self.reviewers.are_asked:
            self._events.append(CatalogEvent(entry, offset, signers, ControlReason.TOOL_BLOCKED, None))

    def _is_rival(self, name: ToolName, entry: ToolCatalogEntry) -> bool:
        """Whether an entry has the version of another one that is in force. Two reviewers have decided at the same
        time then: of the two, a stop wins, as one that nobody has signed would."""
        floor = self._floors.get(_mark(name))
        return floor is not None and floor.version == entry.catalog_version and floor.own_id != _own_id(entry)

    def _is_news(self, name: ToolName, entry: ToolCatalogEntry) -> bool:
        """Whether a signed entry is to be taken in: it is the first, above all others, or one that was in force before.

        Raises:
            RecordError: it is older.
        """
        floor = self._floors.get(_mark(name))
        if floor is None or entry.catalog_version > floor.version:
            return True
        if (entry.catalog_version, _own_id(entry)) == floor[:2]:
            standing = self.tools.get(name)
            # Read again: at a start, what was recalled comes true by this. What was stopped since stays stopped.
            return not floor.is_stopped and (standing is None or standing.entry != entry)
        text = (
            f"version {entry.catalog_version} of `{entry.server_id}/{entry.name}` is refused: version {floor.version} "
            "was there already; approve it anew, under a higher version"
        )
        raise RecordError(DeadLetterReason.CATALOG_ROLLED_BACK, text)

    def _note_signed(self, mark: bytes, entry: ToolCatalogEntry) -> None:
        if self.reviewers.are_asked:
            self._set_floor(mark, _Floor(entry.catalog_version, _own_id(entry), is_stopped=False))
            self._recalled.discard(mark)

    def _stop(self, name: ToolName) -> None:
        self._facts = None
        self.tools.pop(name, None)
        mark = _mark(name)
        floor = self._floors.get(mark)
        if floor is not None and not floor.is_stopped:
            self._set_floor(mark, floor._replace(is_stopped=True))
            self._recalled.discard(mark)

    def _set_floor(self, mark: bytes, floor: _Floor) -> None:
        self._floors[mark] = floor
        self._memory = None


def _mark(name: ToolName) -> bytes:
    return sha256(tool_key(*name))[:_MARK_BYTES]


def _own_id(entry: ToolCatalogEntry) -> bytes:
    return bytes.fromhex(entry_id(entry))


def _usable_schema(entry: ToolCatalogEntry) -> ArgsSchema:
    """The schema that arguments are held against.

    Raises:
        RecordError: it can't be used, or the entry's parts are not those of the definition that is pinned.
    """
    what = f"`{entry.server_id[:80]}/{entry.name[:80]}` is not usable, the tool is blocked"
    try:
        fault = definition_fault(entry)
        schema = ArgsSchema(entry.input_schema_json)
    except (ValueError, RecursionError) as error:
        text = f"input schema of {what}: {error}"
        raise RecordError(DeadLetterReason.CATALOG_INVALID, text) from None
    if fault is not None:
        raise RecordError(DeadLetterReason.CATALOG_INVALID, f"the entry of {what}: {fault}")
    return schema


def definition_fault(entry: ToolCatalogEntry) -> str | None:
    """Why the parts of an entry are not those of its own definition; None if they are, or it holds no definition.

    A reviewer reads description and schema, and a call is pinned by the digest: they must be of one definition.
    """
    if entry.definition_json is None:
        return None
    try:
        tool = parse_strict(entry.definition_json)
        if not isinstance(tool, dict):
            return "its definition is no object"
        digests = definition_digests(tool)
        # Not by `==`: true is 1 for Python, and a bound for nobody else.
        schemas_alike = canonical(parse_strict(entry.input_schema_json)) == canonical(tool.get("inputSchema"))
    except CanonicalError as error:
        return f"its definition can't be read: {error}"
    if digests != (entry.definition_digest, entry.description_digest, entry.input_schema_digest):
        return "its digests are not those of its definition"
    if tool.get("name") != entry.name or tool.get("description") != entry.description or not schemas_alike:
        return "its name, description or schema is not that of its definition"
    return None
