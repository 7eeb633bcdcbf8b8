"""Proposes the tools that servers list, and blocks tools that differ from their approved definition."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Self

import msgspec

from streams.model import catalog_alerts
from streams.model.alert import Alert
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_key
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.model.topics import CATALOG
from streams.operations.catalog.decision import ReviewFormError
from streams.operations.catalog.history import CatalogHistory, Listed, ToolName, read_catalog_history
from streams.operations.catalog.proposed_facts import ByWords, by_words, with_proposed_facts
from streams.operations.operator import SOURCE, Operator
from streams.operations.review.diff import FACT_FIELDS, definition_of, diff_entries
from streams.operations.review.mentions import Mentions
from streams.operations.review.names import KnownNames, Likeness
from streams.operations.review.scan import TextFinding, is_serious, scan_tool
from streams.sdk.mcp.catalog import NAME_ADVICE, ToolFacts, catalog_entries, is_server_name

_PARTS_SHOWN_MAX = 6
replace = msgspec.structs.replace


class Finding(StrEnum):
    """The result of importing a tool."""

    NEW = "new"
    SAME = "same"
    ALREADY_PROPOSED = "already_proposed"
    FACTS_CHANGED = "facts_changed"
    UPGRADE = "upgrade"
    CHANGED = "changed"
    GONE = "gone"


class Imported(NamedTuple):
    """A tool that the server lists, or has listed before.

    Attributes:
        entry: the proposed entry; or a blocked one, if the definition changed unannounced; or, for SAME, that on the
            topic.
        alerts: the alerts that were sent.
    """

    finding: Finding
    entry: ToolCatalogEntry
    findings: tuple[TextFinding, ...]
    alerts: tuple[Alert, ...]


class _Known(NamedTuple):
    """What each tool is compared with, arranged once for all.

    Attributes:
        names: the names of all known tools.
        mentions: these names, to search texts for.
        beside: what the same server lists.
    """

    names: KnownNames
    mentions: Mentions
    beside: ByWords

    @classmethod
    def of(cls, tools: Collection[ToolName], listed: Iterable[ToolCatalogEntry]) -> Self:
        return cls(KnownNames(tools), Mentions("/".join(tool) for tool in tools), by_words(listed))


def import_tools(
    operator: Operator,
    server_id: str,
    tools: Sequence[Mapping[str, Any]],
    facts: Mapping[str, ToolFacts],
    *,
    is_upgrade: bool = False,
) -> list[Imported]:
    """Propose the tools that a server lists. They can't be called until they are approved.

    If a definition differs from the approved one, the tool is blocked at once and an alert is sent, because the server
    has changed what people agreed to.

    Args:
        facts: the operator's facts about tools; for others, the worst is assumed.
        is_upgrade: whether the listing is of a release that is not in use yet: changed tools are proposed, not blocked.

    Raises:
        ReviewFormError: the server's name is malformed.
        McpServerError: a tool can't be cataloged.
        TopicReadError, PublishError, LogError: the topics can't be read or written.
    """
    history = read_catalog_history(operator)
    if not is_server_name(server_id) and not any(name[0] == server_id for name in history.tools()):
        # Of a server that is there under such a name, changes must still be found.
        raise ReviewFormError(f"`{server_id}` can't be the name of a server: {NAME_ADVICE}")
    listed = catalog_entries(
        server_id,
        tools,
        facts,
        now_ms=operator.clock.now_ms(),
        source=SOURCE,
        tenant_uid=operator.deployment.tenant_uid,
        proposed_by=operator.name,
    )
    names = {entry.name for entry in listed}
    expected = {*names, REPORT_KEYS_NAME}
    known = _Known.of({*history.tools(), *((server_id, name) for name in names)}, listed)
    imported = [
        _import(operator, history, entry, known, stated=facts.get(entry.name), is_upgrade=is_upgrade)
        for entry in listed
    ]
    imported += [
        Imported(Finding.GONE, each.entry, (), ())
        for name in history.tools()
        if name[0] == server_id and name[1] not in expected and (each := history.approved(name)) is not None
    ]
    changed = [each for each in imported if each.finding not in (Finding.SAME, Finding.ALREADY_PROPOSED, Finding.GONE)]
    operator.write(CATALOG, [(entry_key(each.entry), each.entry, each.entry.header) for each in changed])
    operator.alert([alert for each in changed for alert in each.alerts])
    return imported


def _import(
    operator: Operator,
    history: CatalogHistory,
    listed: ToolCatalogEntry,
    known: _Known,
    *,
    stated: ToolFacts | None,
    is_upgrade: bool,
) -> Imported:
    name = (listed.server_id, listed.name)
    found = scan_tool(definition_of(listed), known.mentions)
    approved = history.approved(name)
    entry = replace(listed, catalog_version=history.next_version(name), state=EntryState.PROPOSED)
    entry = with_proposed_facts(entry, None if approved is None else approved.entry, stated, known.beside)
    if approved is None:
        finding = Finding.NEW
    elif approved.entry.definition_digest != entry.definition_digest:
        finding = Finding.UPGRADE if is_upgrade else Finding.CHANGED
    else:
        finding = Finding.FACTS_CHANGED
        if _facts(approved.entry) == _facts(entry):
            return Imported(Finding.SAME, approved.entry, found, ())
    if finding is Finding.CHANGED and approved is not None:
        note = f"the server lists another definition than version {approved.entry.catalog_version}"
        entry = replace(entry, state=EntryState.BLOCKED, review_note=note)
    standing = _standing_like(history, entry)
    if standing is not None:
        return Imported(Finding.ALREADY_PROPOSED, standing, found, ())
    return Imported(finding, entry, found, tuple(_alerts(operator, known, entry, approved, found, finding)))


def _standing_like(history: CatalogHistory, entry: ToolCatalogEntry) -> ToolCatalogEntry | None:
    """Return an equal entry that waits for a decision already. An equal block counts only while it is in force."""
    name = (entry.server_id, entry.name)
    in_force = history.in_force.get(name)
    if entry.state is EntryState.BLOCKED and in_force is not None and in_force.state in GRANTING_STATES:
        return None
    for each in history.open_proposals(name):
        same = each.entry.definition_digest == entry.definition_digest and _facts(each.entry) == _facts(entry)
        if same and each.entry.state is entry.state:
            return each.entry
    return None


def _facts(entry: ToolCatalogEntry) -> tuple[Any, ...]:
    return tuple(getattr(entry, name) for name in FACT_FIELDS)


def _alerts(
    operator: Operator,
    known: _Known,
    entry: ToolCatalogEntry,
    approved: Listed | None,
    found: tuple[TextFinding, ...],
    finding: Finding,
) -> Iterable[Alert]:
    tool, by = f"{entry.server_id}/{entry.name}", operator.name
    if finding is Finding.CHANGED and approved is not None:
        parts = [change.pointer for change in diff_entries(approved.entry, entry) if change.pointer.startswith("/")]
        what = ", ".join(parts[:_PARTS_SHOWN_MAX]) + (", ..." if len(parts) > _PARTS_SHOWN_MAX else "")
        digests = entry.definition_digest, approved.entry.definition_digest
        yield catalog_alerts.definition_changed(operator.header(), tool, *digests, what, by)
    if is_serious(found):
        what = "; ".join(f"{each.pointer} {each.meaning}" for each in found[:_PARTS_SHOWN_MAX])
        yield catalog_alerts.text_suspicious(operator.header(), tool, entry.definition_digest, what, by)
    if approved is not None:
        return
    for shadow in known.names.shadows_of((entry.server_id, entry.name)):
        make = catalog_alerts.same_name if shadow.likeness is Likeness.SAME_NAME else catalog_alerts.looks_alike
        yield make(operator.header(), tool, "/".join(shadow.other), by)
