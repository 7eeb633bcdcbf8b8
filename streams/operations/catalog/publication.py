"""Publishes catalog entries of files that are decided on already, for development and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.audit.signatures import SigningKey
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import entry_key
from streams.model.topics import CATALOG
from streams.operations.catalog.decision import check_decision, sign_entry
from streams.operations.catalog.history import read_catalog_history
from streams.operations.operator import Operator

# What differs between two publications of the same thing.
_PASSING = ("header", "catalog_version", "reviewed_at", "signatures")


class PublishedEntry(NamedTuple):
    """An entry on the log; `is_new` is False if it was there already."""

    entry: ToolCatalogEntry
    is_new: bool


def publish_entries(
    operator: Operator, entries: Sequence[ToolCatalogEntry], key: SigningKey | None = None
) -> list[PublishedEntry]:
    """Publish entries whose content differs from that in force, each as its tool's next version.

    Args:
        key: the key to sign them with.

    Raises:
        ReviewError: gates would reject an entry.
        TopicReadError, LogError: the topic can't be read.
        PublishError: it is not known whether they are stored.
    """
    history = read_catalog_history(operator)
    published: list[PublishedEntry] = []
    for entry in entries:
        name = (entry.server_id, entry.name)
        in_force = history.in_force.get(name)
        standing = [in_force] if in_force is not None else []
        if entry.state is EntryState.PROPOSED:
            standing += [each.entry for each in history.open_proposals(name)]
        same = next((each for each in standing if _content(each) == _content(entry)), None)
        if same is not None:
            published.append(PublishedEntry(same, is_new=False))
            continue
        version = max(entry.catalog_version, history.next_version(name))
        made = msgspec.structs.replace(entry, catalog_version=version)
        if entry.state is not EntryState.PROPOSED:
            made = made if key is None else sign_entry(made, key)
            check_decision(history, made)
        published.append(PublishedEntry(made, is_new=True))
    new = [each.entry for each in published if each.is_new]
    operator.write(CATALOG, [(entry_key(entry), entry, entry.header) for entry in new])
    return published


def _content(entry: ToolCatalogEntry) -> dict[str, object]:
    fields = msgspec.structs.asdict(entry)
    return {name: value for name, value in fields.items() if name not in _PASSING}
