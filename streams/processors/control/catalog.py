"""Hold the catalog: which tools may be called, and whose signatures permit that.

Every entry is a record of its own with a version that only rises. The latest valid entry of a tool decides. **An entry
that approves a tool is valid if enough reviewers have signed it and its version is higher than every signed version
before it. An entry that blocks a tool is always valid**: it needs no signature. An entry that claims to approve and is
not valid blocks its tool, too, because it may have been meant as a withdrawal or a narrower review. Only a higher
signed version ends a block. So whoever can write the topic can block tools, but never approve one.

The entry of a server's report keys (`streams.model.report_keys`) is treated as a tool's, but it is never among the
tools, so it can't be called.

What must not come back is remembered outside of the topic: every partition stores the highest signed version of each
tool, and whether the tool was blocked after that. If records are removed from the topic, or old ones are written again,
calls of the tool are denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from streams.audit.report_keys import ServerKeys
from streams.audit.reviewers import Reviewers
from streams.model.canonical import sha256
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_id, entry_key, parse_entry_key
from streams.model.errors import RecordError
from streams.model.keys import tool_key
from streams.model.reasons import ControlReason, DeadLetterReason
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.model.topics import CATALOG
from streams.policy.cel.values import DistinctTexts
from streams.processors.control.catalog_tool import CatalogTool, ToolName
from streams.processors.control.entry_checks import usable_keys, usable_schema
from streams.processors.control.owned_things import owned_things
from streams.processors.control.schemas import ArgsSchema

CALLABLE_STATES = GRANTING_STATES
TOOLS_MAX = 10_000
BEHIND_MS_MAX = 5_000
"""How long entries may be older than those in force before until an event reports it."""

_MARK_BYTES = 12
_encode = msgspec.msgpack.Encoder().encode


class CatalogEvent(NamedTuple):
    """Reports the effect of a catalog entry.

    Attributes:
        entry: the entry; None if the topic as a whole is behind what was in force.
        offset: the entry's offset on its topic.
        signers: the reviewers whose signatures are valid.
        reason: the effect; None if the entry was rejected.
        error: why the entry was rejected.
        detail: further details in words.
    """

    entry: ToolCatalogEntry | None
    offset: int
    signers: tuple[str, ...]
    reason: ControlReason | None
    error: RecordError | None
    detail: str = ""

    @property
    def topic(self) -> str:
        """The topic of the entry."""
        return CATALOG.name

    @property
    def name(self) -> str:
        """The tool as people write it; `*` if the event is about the whole topic."""
        return "*" if self.entry is None else f"{self.entry.server_id}/{self.entry.name}"


class _Floor(NamedTuple):
    """Holds the highest signed version of a tool, the id of that entry, and whether the tool was blocked after it."""

    version: int
    own_id: bytes
    is_blocked: bool


_decode_floors = msgspec.msgpack.Decoder(list[tuple[bytes, _Floor]]).decode
_UNDECIDED = frozenset({EntryState.PROPOSED, EntryState.REJECTED})
_APPROVAL_REASONS = {
    EntryState.APPROVED: ControlReason.TOOL_APPROVED,
    EntryState.DEPRECATED: ControlReason.TOOL_DEPRECATED,
}


@dataclass
class Catalog:
    """Holds the entries of all tools.

    Attributes:
        reviewers: whose signatures count. If no signatures are required, the last entry of a tool decides.
        tools: the entry of each tool by server id and name, including tools that can't be called.
        servers: the entry of each server's report keys, by server id and `REPORT_KEYS_NAME`.
    """

    reviewers: Reviewers
    tools: dict[ToolName, CatalogTool] = field(default_factory=dict)
    servers: dict[ToolName, CatalogTool] = field(default_factory=dict)
    _floors: dict[bytes, _Floor] = field(default_factory=dict)
    _recalled: set[bytes] = field(default_factory=set)
    _behind_since_ms: int | None = None
    _is_behind_reported: bool = False
    _events: list[CatalogEvent] = field(default_factory=list)
    _memory: bytes | None = None
    _facts: dict[str, Any] | None = None
    _owned_things: dict[str, frozenset[str]] | None = None

    @property
    def owned_things(self) -> dict[str, frozenset[str]]:
        """What has owners, by server id (`streams.processors.control.owned_things`). Do not change it."""
        if self._owned_things is None:
            tools = self.tools.values()
            self._owned_things = owned_things(each for each in tools if each.entry.state in CALLABLE_STATES)
        return self._owned_things

    @property
    def facts(self) -> dict[str, Any]:
        """The fact `catalog`: the digests of all callable definitions, in hex and sorted. Do not change it."""
        if self._facts is None:
            entries = (tool.entry for tool in self.tools.values())
            found = {each.definition_digest.hex() for each in entries if each.state in CALLABLE_STATES}
            self._facts = {"reviewed_digests": DistinctTexts(sorted(found))}
        return self._facts

    def keys_of(self, server_id: str, now_ms: int) -> ServerKeys | None:
        """Return the keys with which a server's reports are signed; None if none are in force."""
        found = self.servers.get((server_id, REPORT_KEYS_NAME))
        if found is None or found.keys is None:
            return None
        expires_ms = found.entry.review_expires
        return found.keys if expires_ms is None or now_ms < expires_ms else None

    def offer(self, key: bytes, entry: ToolCatalogEntry, offset: int) -> bool:
        """Apply an entry, and tell whether an event reports its effect.

        Raises:
            RecordError: the record has another key than the entry's; the tool is blocked.
        """
        name = (entry.server_id, entry.name)
        expected_key = entry_key(entry)
        self._facts = self._owned_things = None
        if key != expected_key:
            self._block_tool(name)
            shown = key[:80].decode("utf-8", "replace")
            text = f"the record's key is `{shown}`, but its own is `{expected_key[:80].decode('utf-8', 'replace')}`"
            raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
        try:
            self._apply(name, entry, offset)
        except RecordError as error:
            self._events.append(CatalogEvent(entry, offset, (), None, error))
        return bool(self._events) and self._events[-1].offset == offset

    def forget(self, key: bytes, offset: int) -> bool:
        """Apply a tombstone, and tell whether an event reports its effect.

        An old entry can be removed. Without the entry in force, its tool can't be called.
        """
        parsed = parse_entry_key(key)
        named = ("", "") if parsed is None else (parsed.server_id, parsed.name)
        entries = self._entries(named)
        if named not in entries or entry_key(entries[named].entry) != key:
            return False
        was = entries[named].entry
        self._block_tool(named)
        if not self.reviewers.are_asked or was.state not in CALLABLE_STATES:
            return False
        self._events.append(CatalogEvent(was, offset, (), ControlReason.TOOL_REMOVED, None))
        return True

    def block_named(self, key: bytes) -> None:
        """Block the tool that the key of an unreadable record names, because the record may have blocked it."""
        parsed = parse_entry_key(key)
        if parsed is not None:
            self._block_tool((parsed.server_id, parsed.name))
        server_id, _, name = key.decode("utf-8", "replace").partition("/")
        self._block_tool((server_id, name))

    def advance(self, now_ms: int) -> None:
        """Report entries that were remembered and are still missing after `BEHIND_MS_MAX`.

        Args:
            now_ms: of a clock that never goes back.
        """
        if not self._recalled:
            self._behind_since_ms, self._is_behind_reported = None, False
            return
        if self._behind_since_ms is None:
            self._behind_since_ms = now_ms
        if self._is_behind_reported or now_ms - self._behind_since_ms < BEHIND_MS_MAX:
            return
        self._is_behind_reported = True
        count = len(self._recalled)
        detail = f"{count} tools have entries on the topic that are older than those in force before, or none"
        self._events.append(CatalogEvent(None, -1, (), ControlReason.CATALOG_TOPIC_BEHIND, None, detail))

    def take_events(self) -> list[CatalogEvent]:
        """Return the effects of entries since the last call."""
        events, self._events = self._events, []
        return events

    # What partitions remember

    def memory(self) -> bytes | None:
        """Return what every partition must remember; the same object until it changes, None before the first entry."""
        if self._memory is None and self._floors:
            self._memory = _encode(sorted(self._floors.items()))
        return self._memory

    def recall(self, memory: bytes) -> None:
        """Merge what a partition that was taken over has remembered."""
        self._facts = self._owned_things = None
        tools = {_mark(name): name for name in (*self.tools, *self.servers)}
        for mark, floor in _decode_floors(memory):
            own = self._floors.get(mark)
            if own is not None and own.version > floor.version:
                continue
            if own is not None and own[:2] == floor[:2] and (own.is_blocked or not floor.is_blocked):
                continue
            # If two entries were signed under one version, the remembered one is that which was in force.
            self._set_floor(mark, floor)
            name = tools.get(mark)
            if name is not None and self._entries(name)[name].entry.state in CALLABLE_STATES:
                del self._entries(name)[name]
            if not floor.is_blocked:
                self._recalled.add(mark)

    # Which entries count

    def _apply(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        entries = self._entries(name)
        if len(entries) >= TOOLS_MAX and name not in entries:
            text = f"there are {TOOLS_MAX} tools already; `{entry.server_id[:80]}/{entry.name[:80]}` can't be called"
            raise RecordError(DeadLetterReason.CATALOG_INVALID, text)
        if "/" in entry.server_id:
            text = f"server id `{entry.server_id[:80]}` contains a `/`, which separates server and tool in keys"
            raise RecordError(DeadLetterReason.CATALOG_INVALID, text)
        if entry.state in _UNDECIDED:
            self._propose(name, entry)
        elif entry.state in CALLABLE_STATES:
            self._approve(name, entry, offset)
        else:
            self._block(name, entry, offset)

    def _propose(self, name: ToolName, entry: ToolCatalogEntry) -> None:
        """Apply a proposal or its rejection: neither changes what is in force."""
        standing = self._entries(name).get(name)
        if standing is None or standing.entry.state in _UNDECIDED:
            self._entries(name)[name] = CatalogTool(entry, ArgsSchema("{}"))

    def _approve(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        try:
            signers = self.reviewers.approvers(entry)
        except RecordError:
            self._block_tool(name)
            raise
        if not self._is_new(name, entry):
            return
        mark = _mark(name)
        try:
            tool = CatalogTool(entry, usable_schema(entry), usable_keys(entry))
        except RecordError:
            self._set_signed(mark, entry)
            self._block_tool(name)
            raise
        self._set_signed(mark, entry)
        self._entries(name)[name] = tool
        if self.reviewers.are_asked:
            reason = _APPROVAL_REASONS[entry.state] if tool.keys is None else ControlReason.REPORT_KEYS_APPROVED
            self._events.append(CatalogEvent(entry, offset, signers, reason, None))

    def _block(self, name: ToolName, entry: ToolCatalogEntry, offset: int) -> None:
        try:
            signers = self.reviewers.signers(entry)
        except RecordError:
            self._block_tool(name)
            raise
        if signers and not self._is_rival(name, entry):
            if not self._is_new(name, entry):
                return
            self._set_signed(_mark(name), entry)
        self._block_tool(name)
        self._entries(name)[name] = CatalogTool(entry, ArgsSchema("{}"))
        if self.reviewers.are_asked:
            self._events.append(CatalogEvent(entry, offset, signers, ControlReason.TOOL_BLOCKED, None))

    def _is_rival(self, name: ToolName, entry: ToolCatalogEntry) -> bool:
        """Tell whether an entry has the same version as another one that is in force.

        Two reviewers have decided at the same time then. A block wins over an approval, as an unsigned one does.
        """
        floor = self._floors.get(_mark(name))
        return floor is not None and floor.version == entry.catalog_version and floor.own_id != _own_id(entry)

    def _is_new(self, name: ToolName, entry: ToolCatalogEntry) -> bool:
        """Tell whether a signed entry must be applied: it is the first, the highest, or one that was in force before.

        Raises:
            RecordError: the entry is older.
        """
        floor = self._floors.get(_mark(name))
        if floor is None or entry.catalog_version > floor.version:
            return True
        if (entry.catalog_version, _own_id(entry)) == floor[:2]:
            standing = self._entries(name).get(name)
            # Read again: at a start, this is what confirms a remembered entry. A tool that was blocked stays blocked.
            return not floor.is_blocked and (standing is None or standing.entry != entry)
        text = (
            f"version {entry.catalog_version} of `{entry.server_id}/{entry.name}` is rejected: version {floor.version} "
            "was in force before; approve it again under a higher version"
        )
        raise RecordError(DeadLetterReason.CATALOG_ROLLED_BACK, text)

    def _set_signed(self, mark: bytes, entry: ToolCatalogEntry) -> None:
        if self.reviewers.are_asked:
            self._set_floor(mark, _Floor(entry.catalog_version, _own_id(entry), is_blocked=False))
            self._recalled.discard(mark)

    def _block_tool(self, name: ToolName) -> None:
        self._facts = self._owned_things = None
        self._entries(name).pop(name, None)
        mark = _mark(name)
        floor = self._floors.get(mark)
        if floor is not None and not floor.is_blocked:
            self._set_floor(mark, floor._replace(is_blocked=True))
            self._recalled.discard(mark)

    def _entries(self, name: ToolName) -> dict[ToolName, CatalogTool]:
        return self.servers if name[1] == REPORT_KEYS_NAME else self.tools

    def _set_floor(self, mark: bytes, floor: _Floor) -> None:
        self._floors[mark] = floor
        self._memory = None


def _mark(name: ToolName) -> bytes:
    return sha256(tool_key(*name))[:_MARK_BYTES]


def _own_id(entry: ToolCatalogEntry) -> bytes:
    return bytes.fromhex(entry_id(entry))
