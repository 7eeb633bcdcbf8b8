"""Proposes the keys that sign a server's reports. They count once reviewers have approved the entry, as a tool's."""

from __future__ import annotations

from collections.abc import Sequence

from streams.audit.report_keys import ServerKeys
from streams.audit.signatures import SigningKeyError
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_key
from streams.model.report_keys import REPORT_KEYS_MAX, REPORT_KEYS_NAME, report_keys_in
from streams.model.topics import CATALOG
from streams.operations.catalog.decision import ReviewError, ReviewFormError
from streams.operations.catalog.history import CatalogHistory, read_catalog_history
from streams.operations.operator import Operator
from streams.sdk.mcp.catalog import report_keys_entry


def keys_in_force(history: CatalogHistory, server_id: str) -> tuple[str, ...]:
    """Return the keys of a server that count now, as text."""
    entry = history.in_force.get((server_id, REPORT_KEYS_NAME))
    return report_keys_in(entry) if entry is not None and entry.state in GRANTING_STATES else ()


def propose_report_keys(
    operator: Operator, server_id: str, add: Sequence[str], remove: Sequence[str]
) -> ToolCatalogEntry:
    """Propose the keys in force with some added and others removed. Block until that is stored.

    Args:
        add: public keys as text (`ed25519:...`).
        remove: keys in force.

    Raises:
        ReviewFormError: the server's name or a key is malformed.
        ReviewError: a key to be removed is not in force, or no key is left.
        TopicReadError, PublishError, LogError: the topic can't be read or written.
    """
    if not server_id or "/" in server_id:
        raise ReviewFormError(f"`{server_id}` is not a valid name for a server: it must not be empty or contain `/`")
    try:
        ServerKeys.of(add)
    except SigningKeyError as error:
        raise ReviewFormError(str(error)) from None
    history = read_catalog_history(operator)
    before = keys_in_force(history, server_id)
    for key in remove:
        if key not in before:
            raise ReviewError(f"`{key}` is not a key of `{server_id}` in force; they are {', '.join(before) or 'none'}")
    keys = [key for key in dict.fromkeys((*before, *add)) if key not in remove]
    try:
        ServerKeys.of(keys)
    except SigningKeyError as error:
        raise ReviewError(str(error)) from None
    if not keys:
        raise ReviewError(
            f"no key of `{server_id}` would be left; to revoke all of them, run `stoplog catalog block "
            f"{server_id}/{REPORT_KEYS_NAME} --why TEXT`"
        )
    if len(keys) > REPORT_KEYS_MAX:
        raise ReviewError(f"`{server_id}` would have {len(keys)} keys; at most {REPORT_KEYS_MAX} are possible")
    header = operator.header()
    entry = report_keys_entry(
        server_id,
        keys,
        header=header,
        catalog_version=history.next_version((server_id, REPORT_KEYS_NAME)),
        proposed_by=operator.name,
    )
    operator.write(CATALOG, [(entry_key(entry), entry, header)])
    return entry
