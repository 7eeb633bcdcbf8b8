"""Publishing catalogue entries to gates and executors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.app.operator import Operator
from streams.model.catalogue import ToolCatalogEntry
from streams.model.keys import tool_key
from streams.model.topics import CATALOGUE

# What differs between two publications of the same thing.
_PASSING = ("header", "catalog_version", "reviewed_at")


class PublishedEntry(NamedTuple):
    """An entry as it stands on the log now; `is_new` is False where it stood there already."""

    entry: ToolCatalogEntry
    is_new: bool


def publish_entries(operator: Operator, entries: Sequence[ToolCatalogEntry]) -> list[PublishedEntry]:
    """Publish entries whose content is not the newest of their tool, each as the tool's next version.

    Raises:
        TopicReadError, LogError: the topic can't be read.
        PublishError: they are not known to be stored.
    """
    newest: dict[bytes, ToolCatalogEntry] = {}
    for received, record in operator.find(CATALOGUE):
        if isinstance(record, ToolCatalogEntry) and received.key is not None:
            newest[received.key] = record
    published: list[PublishedEntry] = []
    for entry in entries:
        key = tool_key(entry.server_id, entry.name)
        last = newest.get(key)
        if last is not None and _content(last) == _content(entry):
            published.append(PublishedEntry(last, is_new=False))
            continue
        version = entry.catalog_version if last is None else max(entry.catalog_version, last.catalog_version + 1)
        newest[key] = msgspec.structs.replace(entry, catalog_version=version)
        published.append(PublishedEntry(newest[key], is_new=True))
    new = [each.entry for each in published if each.is_new]
    operator.write(CATALOGUE, [(tool_key(entry.server_id, entry.name), entry, entry.header) for entry in new])
    return published


def _content(entry: ToolCatalogEntry) -> dict[str, object]:
    fields = msgspec.structs.asdict(entry)
    return {name: value for name, value in fields.items() if name not in _PASSING}
