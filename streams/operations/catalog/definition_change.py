"""Blocks a tool and sends an alert when an executor reports that its definition is not the approved one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from streams.model import catalog_alerts
from streams.model.alert import Alert
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_key
from streams.model.errors import RecordError
from streams.model.reasons import Refusal
from streams.model.topics import AUDIT_REPORTED, CATALOG
from streams.model.types import ToolRef
from streams.operations.catalog.history import read_catalog_history
from streams.operations.operator import Operator
from streams.operations.topics.reader import follow, read_in_order
from streams.ports import Received


class Blocked(NamedTuple):
    """A tool that was blocked, and the alert about it."""

    entry: ToolCatalogEntry
    alert: Alert
    reported_by: str


def watch_reports(operator: Operator, *, follows: bool) -> Iterator[Blocked]:
    """Block tools that are reported to have changed, as the reports arrive. Blocking.

    A tool is blocked only if it can be called, if the reported definition is not the approved one, and if nobody has
    approved the tool since the report. So reports of executors can block tools, and can do nothing else.

    Args:
        follows: whether to wait for more reports at the end, for as long as the caller iterates. Existing reports are
            read in any case.

    Raises:
        TopicReadError, PublishError, LogError: the topics can't be read or written.
    """
    batches = (
        follow(operator.log, (AUDIT_REPORTED.name,), from_beginning=True)
        if follows
        else ([received] for received in read_in_order(operator.log, (AUDIT_REPORTED.name,), operator.clock))
    )
    for batch in batches:
        for received in batch:
            reported = _reported(operator, received)
            if reported is not None:
                yield from _block(operator, *reported, received.timestamp_ms)


def _reported(operator: Operator, received: Received) -> tuple[ToolRef, str] | None:
    """Return the tool of a report, as the server lists it, and the reporter."""
    if received.value is None:
        return None
    try:
        event = operator.codec.decode(AUDIT_REPORTED.name, received.value, received.headers)
    except RecordError:
        return None
    if not isinstance(event, AuditEvent) or event.event_type is not AuditEventType.REFUSAL or event.tool is None:
        return None
    # The refusal of a call has the approved definition. A report has the listed definition, and no call.
    if event.reason != Refusal.DEFINITION_CHANGED.value or event.verdict_id is not None:
        return None
    return event.tool, event.header.source


def _block(operator: Operator, tool: ToolRef, by: str, reported_ms: int) -> Iterator[Blocked]:
    history = read_catalog_history(operator)
    name = (tool.server_id, tool.name)
    in_force = history.in_force.get(name)
    listed = tool.definition_digest
    if in_force is None or in_force.state not in GRANTING_STATES:
        return
    if listed is None or listed == in_force.definition_digest:
        return
    approved = history.approved(name)
    if approved is None or approved.time_ms >= reported_ms:
        return  # a reviewer has decided since the report
    entry = msgspec.structs.replace(
        in_force,
        header=operator.header(in_force.header.tenant_uid),
        catalog_version=history.next_version(name),
        state=EntryState.BLOCKED,
        definition_json=None,
        definition_digest=listed,
        proposed_by=by,
        reviewed_by=None,
        reviewed_at=None,
        review_note=f"an executor's server lists another definition than version {in_force.catalog_version}",
        signatures=(),
    )
    what = "reported by an executor; import the tool to see what differs"
    digests = listed, in_force.definition_digest
    alert = catalog_alerts.definition_changed(operator.header(), "/".join(name), *digests, what, by)
    operator.write(CATALOG, [(entry_key(entry), entry, entry.header)])
    operator.alert([alert])
    yield Blocked(entry, alert, by)
