"""The catalog as it stands on its topic: every entry there is, and what gates made of them, now or at an instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from streams.audit.reviewers import Reviewers
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import ENTRY_ID_CHARS, GRANTING_STATES, entry_id, entry_key
from streams.model.errors import FormError, RecordError, StoplogError
from streams.model.topics import CATALOG
from streams.operations.operator import Operator
from streams.operations.review.mentions import Mentions
from streams.operations.topics.reader import read_to_end
from streams.processors.control.catalog import Catalog

VERSION_MAX = 1_000_000_000
"""Beyond what people reach: versions above it are nobody's review."""

ToolName = tuple[str, str]


class CatalogQueryError(StoplogError):
    """The entry or tool is not in the catalog."""


class CatalogFormError(CatalogQueryError, FormError):
    """The name of a tool or of an entry is malformed."""


class Listed(NamedTuple):
    """An entry on the topic.

    Attributes:
        own_id: the id of the entry that people use (`streams.model.catalog_signature.entry_id`).
        time_ms: the broker's append time.
        signers: the reviewers with valid signatures.
        fault: why gates reject it; empty if they accept it.
    """

    entry: ToolCatalogEntry
    key: bytes
    own_id: str
    offset: int
    time_ms: int
    signers: tuple[str, ...]
    fault: str

    @property
    def name(self) -> ToolName:
        """Return the server and the tool."""
        return self.entry.server_id, self.entry.name

    @property
    def reference(self) -> str:
        """Return its name on the command line: `server/tool@id`."""
        return reference_of(self.entry)


def reference_of(entry: ToolCatalogEntry) -> str:
    """Return the name of an entry on the command line: `server/tool@id`."""
    return f"{entry.server_id}/{entry.name}@{entry_id(entry)}"


@dataclass(frozen=True)
class CatalogHistory:
    """The entries of the topic, up to an instant.

    Attributes:
        listed: its entries, by offset.
        in_force: the entry that a gate would apply at that instant, by tool: one that approves, blocks or only proposes
            the tool. A tool that an unusable record has blocked has none.
        reviewers: the trusted reviewers.
    """

    listed: tuple[Listed, ...]
    in_force: dict[ToolName, ToolCatalogEntry]
    reviewers: Reviewers

    def of_tool(self, name: ToolName) -> tuple[Listed, ...]:
        """Return the entries of a tool."""
        return self._by_tool.get(name, ())

    @cached_property
    def _by_tool(self) -> dict[ToolName, tuple[Listed, ...]]:
        entries: dict[ToolName, list[Listed]] = {}
        for each in self.listed:
            entries.setdefault(each.name, []).append(each)
        return {name: tuple(of_tool) for name, of_tool in sorted(entries.items())}

    def tools(self) -> list[ToolName]:
        """Return all tools that have entries, in order."""
        return list(self._by_tool)

    @cached_property
    def mentions(self) -> Mentions:
        """The names of these tools, to search texts for."""
        return Mentions("/".join(name) for name in self.tools())

    def approved(self, name: ToolName) -> Listed | None:
        """Return the last entry that approved the tool, even if the tool was blocked since."""
        granted = [each for each in self.of_tool(name) if each.entry.state in GRANTING_STATES and not each.fault]
        return max(granted, key=lambda each: (each.entry.catalog_version, each.offset)) if granted else None

    def is_callable(self, name: ToolName, now_ms: int) -> bool:
        """Return whether gates let the tool be called."""
        entry = self.in_force.get(name)
        if entry is None or entry.state not in GRANTING_STATES:
            return False
        return entry.review_expires is None or now_ms < entry.review_expires

    def as_listed(self, entry: ToolCatalogEntry) -> Listed:
        """Return an entry that is not on the topic yet, such as one of a draft, in the form of one that is."""
        return Listed(entry, entry_key(entry), entry_id(entry), -1, 0, _signers(self.reviewers, entry), "")

    def open_proposals(self, name: ToolName) -> tuple[Listed, ...]:
        """Return entries that wait for a decision: proposals, and definitions that were blocked without a review."""
        entries = self.of_tool(name)
        decided = max((each.offset for each in entries if self._is_decision(each)), default=-1)
        rejected = {each.entry.definition_digest: each.offset for each in entries if self._is_rejection(each)}
        waiting = [each for each in entries if each.offset > decided and self._is_open(each)]
        return tuple(each for each in waiting if each.offset > rejected.get(each.entry.definition_digest, -1))

    def next_version(self, name: ToolName) -> int:
        """Return the version of the next decision."""
        counted = [
            each.entry.catalog_version
            for each in self.of_tool(name)
            if (each.signers or not self.reviewers.are_asked) and each.entry.catalog_version < VERSION_MAX
        ]
        return max(counted, default=0) + 1

    def find(self, reference: str) -> Listed:
        """Return the entry that `server/tool@id` names. The id must be complete: an attacker can match a beginning.

        Raises:
            CatalogFormError: the text is not of that form.
            CatalogQueryError: there is no such entry.
        """
        tool, at, wanted = reference.rpartition("@")
        if not at or len(wanted) != ENTRY_ID_CHARS or "/" not in tool:
            raise CatalogFormError(_misnamed(reference))
        for each in self.of_tool(tool_name(tool)):
            if each.own_id == wanted:
                return each
        raise CatalogQueryError(f"there is no entry `{reference}`; see `stoplog catalog list --proposed`")

    def outdated(self, name: ToolName, kept: int) -> list[bytes]:
        """Return the keys of a tool's entries to delete: all but the newest `kept` and those that gates apply."""
        entries = self.of_tool(name)
        needed = {entry_id(self.in_force[name])} if name in self.in_force else set()
        approved = self.approved(name)
        needed |= set() if approved is None else {approved.own_id}
        highest = max(entries, key=lambda each: (bool(each.signers), each.entry.catalog_version), default=None)
        needed |= set() if highest is None else {highest.own_id}
        return [each.key for each in entries[: max(len(entries) - kept, 0)] if each.own_id not in needed]

    def _is_decision(self, listed: Listed) -> bool:
        if listed.fault:
            return False
        return listed.entry.state in GRANTING_STATES or (
            listed.entry.state is EntryState.BLOCKED and self._is_by_reviewer(listed)
        )

    def _is_by_reviewer(self, listed: Listed) -> bool:
        if self.reviewers.are_asked:
            return bool(listed.signers)
        return listed.entry.reviewed_by is not None

    def _is_rejection(self, listed: Listed) -> bool:
        return listed.entry.state is EntryState.REJECTED and self._is_by_reviewer(listed)

    def _is_open(self, listed: Listed) -> bool:
        if listed.entry.state is EntryState.PROPOSED:
            return True
        is_unseen = listed.entry.state is EntryState.BLOCKED and not self._is_by_reviewer(listed)
        return is_unseen and listed.entry.definition_json is not None


def tool_name(text: str) -> ToolName:
    """Split `server/tool`.

    Raises:
        CatalogFormError: the text is not of that form.
    """
    server_id, _, name = text.partition("/")
    if not server_id or not name:
        raise CatalogFormError(f"`{text}` is not the name of a tool; write `SERVER/TOOL`")
    return server_id, name


def read_catalog_history(operator: Operator, at_ms: int | None = None) -> CatalogHistory:
    """Read the topic.

    Args:
        at_ms: leave out entries that were appended after this instant.

    Raises:
        SettingsError: the reviewers of the settings are invalid.
        TopicReadError, LogError: the topic can't be read.
    """
    reviewers = operator.deployment.catalog.trusted()
    catalog = Catalog(reviewers)
    listed: dict[bytes, Listed] = {}
    for received in read_to_end(operator.log, (CATALOG.name,), operator.clock):
        if received.key is None or (at_ms is not None and received.timestamp_ms > at_ms):
            continue
        if received.value is None:
            catalog.forget(received.key, received.offset)
            listed.pop(received.key, None)
            continue
        try:
            entry = operator.codec.decode(CATALOG.name, received.value, received.headers)
            if not isinstance(entry, ToolCatalogEntry):
                continue
            catalog.offer(received.key, entry, received.offset)
        except RecordError:
            catalog.block_named(received.key)
            continue
        fault = next((str(event.error) for event in catalog.take_events() if event.error is not None), "")
        listed.pop(received.key, None)  # the newest stands last
        signers = _signers(reviewers, entry)
        listed[received.key] = Listed(
            entry, received.key, entry_id(entry), received.offset, received.timestamp_ms, signers, fault
        )
    in_force = {name: tool.entry for name, tool in (catalog.tools | catalog.servers).items()}
    return CatalogHistory(tuple(listed.values()), in_force, reviewers)


def _misnamed(reference: str) -> str:
    """Return what the name of an entry lacks, and the command that shows the whole name."""
    tool, _, own_id = reference.rpartition("@")
    if "/" not in tool or tool.endswith("/"):
        tool, own_id = reference, ""
    if "/" not in tool:
        return (
            f"`{reference}` is not the name of an entry; write `SERVER/TOOL@ID`, as shown by "
            "`stoplog catalog list --proposed`"
        )
    lack = f"an id has {ENTRY_ID_CHARS} characters, not {len(own_id)}" if own_id else "the id is missing"
    return f"`{reference}` is not the name of an entry: {lack}; `stoplog catalog review {tool}` shows the whole name"


def _signers(reviewers: Reviewers, entry: ToolCatalogEntry) -> tuple[str, ...]:
    try:
        return reviewers.signers(entry)
    except RecordError:
        return ()


def entries_in_force(operator: Operator) -> Iterator[ToolCatalogEntry]:
    """Yield the entries that gates apply; see `CatalogHistory.in_force`.

    Raises:
        SettingsError, TopicReadError, LogError: see `read_catalog_history`.
    """
    yield from read_catalog_history(operator).in_force.values()
