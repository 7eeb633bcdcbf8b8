"""Make the records of a change of control state: its audit record, and an alert if one is due.

All changes are reported in one way. What differs between rules, catalog and stops is in `_Account`, which one function
for each kind of event fills in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from streams.model.alert import Alert, clipped
from streams.model.audit import AuditEvent
from streams.model.control import RulesChange
from streams.model.errors import InvariantError, RecordError
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason
from streams.model.types import ToolRef
from streams.ports.processor import BroadcastEvent, Output, StateView
from streams.processors.audit import audit_output, control_event
from streams.processors.control.alerts import control_alert
from streams.processors.control.attributes import AttributesEvent
from streams.processors.control.catalog import CatalogEvent
from streams.processors.control.publications import RulesEvent
from streams.processors.control.stops import StopEvent
from streams.processors.dedup.alerts import AlertWindows

_CATALOG_ALARMS = frozenset({ControlReason.CATALOG_TOPIC_BEHIND, ControlReason.TOOL_REMOVED})


@dataclass(frozen=True, kw_only=True)
class _Account:
    """What the records of one event say.

    Attributes:
        change: the kind of change; it is part of the audit record's id.
        name: what has changed; the key of the audit record.
        tenant_uid: the tenant of the record that caused the event.
        claimed_by: who has made the change, as that record says.
        text: the change in words, if it was not rejected.
        title: the title of the alert.
        look_at: the command that shows what is in force.
        is_alarming: whether the event raises an alert although nothing was rejected.
        by_place: whether each record is a finding of its own, or all of them are one.
        ruleset_digest, rules_change, tool: what the audit record says about rules and tools.
    """

    change: str
    name: str
    tenant_uid: str = ""
    claimed_by: str = ""
    text: str
    title: str
    look_at: str
    is_alarming: bool = False
    by_place: bool = True
    ruleset_digest: bytes | None = None
    rules_change: RulesChange | None = None
    tool: ToolRef | None = None


def event_outputs(
    alerts: AlertWindows, event: BroadcastEvent, place: str, time_ms: int, state: StateView, now_ms: int
) -> list[Output]:
    """Return the audit record of an event, and an alert if something was rejected, was removed, or is behind.

    Args:
        alerts: raises the alert, and has what encodes the records.
        event: the change.
        place: topic, partition and offset of the change, or whatever else identifies it.
        time_ms: broker time of the change.
        state: the state of the partition that reports it.
        now_ms: stream time of that partition.
    """
    if isinstance(event, RulesEvent):
        account, about = _of_rules(event), "rules"
    elif isinstance(event, CatalogEvent):
        account, about = _of_catalog(event), "catalog"
    elif isinstance(event, StopEvent):
        account, about = _of_stop(event), "stop"
    elif isinstance(event, AttributesEvent):
        account, about = _of_attributes(event), "attributes"
    else:
        raise InvariantError(f"`{type(event).__name__}` is not an event of control state")
    reason = _reason_of(event)
    audit = _audit(account, event.error, reason, place, time_ms)
    outputs = [audit_output(alerts.encoder, account.name.encode(), audit)]
    if event.error is not None or account.is_alarming:
        outputs += alerts.raised(_alert(account, about, audit, time_ms), state, max(now_ms, time_ms))
    return outputs


def _audit(account: _Account, error: RecordError | None, reason: str | None, place: str, time_ms: int) -> AuditEvent:
    return control_event(
        derived_uuid(account.change, account.name, place, str(time_ms)),
        account.tenant_uid,
        time_ms,
        claimed_by=account.claimed_by,
        place=place,
        reason=None if reason is None else str(reason),
        text=account.text if error is None else str(error),
        ruleset_digest=account.ruleset_digest,
        rules_change=account.rules_change,
        tool=account.tool,
    )


def _alert(account: _Account, about: str, audit: AuditEvent, time_ms: int) -> Alert:
    return control_alert(
        audit,
        time_ms,
        title=account.title,
        about=(about, account.name, *((audit.inputs[0],) if account.by_place else ())),
        look_at=account.look_at,
    )


def _of_rules(event: RulesEvent) -> _Account:
    bundle, is_behind = event.bundle, event.reason is ControlReason.RULES_TOPIC_BEHIND
    title = "rules are not the latest" if is_behind and event.error is None else "rules rejected"
    account = _Account(
        change="rules change",
        name=event.name,
        text=f"{_effect(event.reason)}: {event.detail}",
        title=f"{title}: bundle {event.name}",
        look_at="stoplog rules status",
        is_alarming=is_behind,
    )
    if bundle is None:
        return replace(account, by_place=False)
    share = f", for {bundle.canary_bp / 100:g}% of sessions" if bundle.canary_bp else ""
    return replace(
        account,
        tenant_uid=bundle.header.tenant_uid,
        claimed_by=bundle.published_by,
        text=f"{_effect(event.reason)}: version {bundle.version}, serial {bundle.serial}{share}, {_signed(event)}",
        ruleset_digest=bundle.digest,
        rules_change=RulesChange(
            name=bundle.name,
            version=bundle.version,
            serial=bundle.serial,
            action=bundle.action,
            canary_bp=bundle.canary_bp,
            published_by=bundle.published_by,
            signed_by=event.signers,
        ),
    )


def _of_catalog(event: CatalogEvent) -> _Account:
    entry, name = event.entry, clipped(event.name)
    if event.error is not None:
        title = f"catalog entry rejected: {name}"
    else:
        title = "the catalog is not the latest" if entry is None else f"catalog entry removed: {name}"
    account = _Account(
        change="catalog change",
        name=name,
        text=f"{_effect(event.reason)}: {event.detail}",
        title=title,
        look_at="stoplog catalog list",
        is_alarming=event.reason in _CATALOG_ALARMS,
    )
    if entry is None:
        return account
    note = f", {entry.review_note}" if entry.review_note else ""
    return replace(
        account,
        tenant_uid=entry.header.tenant_uid,
        claimed_by=clipped(entry.reviewed_by or entry.proposed_by or ""),
        text=f"{_effect(event.reason)}: version {entry.catalog_version}, {_signed(event)}{note}",
        tool=ToolRef(
            server_id=clipped(entry.server_id),
            name=clipped(entry.name),
            definition_digest=entry.definition_digest,
            catalog_version=entry.catalog_version,
        ),
    )


def _of_stop(event: StopEvent) -> _Account:
    record, name = event.record, clipped(event.name)
    account = _Account(
        change="stop change",
        name=name,
        text=f"{_effect(event.reason)}: {event.detail}",
        title=f"the stop of {name} stays in force: no releaser has lifted it",
        look_at="stoplog tail revocations --no-follow",
        is_alarming=event.reason is ControlReason.STOP_RESTORED,
    )
    if record is None:
        return account
    return replace(account, tenant_uid=record.header.tenant_uid, claimed_by=clipped(record.initiating_entity))


def _of_attributes(event: AttributesEvent) -> _Account:
    record = event.record
    name = clipped(f"{record.header.tenant_uid}|{record.kind}/{record.id}")
    signed = f"signed by {event.signer}" if event.signer else "not signed"
    why = f", because: {record.reason}" if record.reason else ""
    # Names and no values: they may be personal, and the audit log is read by more people than the topic.
    names = ", ".join(event.names) or "none"
    return _Account(
        change="attributes change",
        name=name,
        tenant_uid=record.header.tenant_uid,
        claimed_by=clipped(record.set_by or ""),
        text=clipped(f"{_effect(ControlReason.ATTRIBUTES_SET)}: {names}, {signed}{why}"),
        title=f"attributes of {name}",
        look_at="stoplog attributes show",
    )


def _reason_of(event: RulesEvent | CatalogEvent | StopEvent | AttributesEvent) -> str | None:
    if event.error is not None:
        return event.error.reason
    return ControlReason.ATTRIBUTES_SET if isinstance(event, AttributesEvent) else event.reason


def _signed(event: RulesEvent | CatalogEvent) -> str:
    return f"signed by {', '.join(event.signers)}" if event.signers else "not signed"


def _effect(reason: ControlReason | None) -> str:
    return "" if reason is None else CONTROL_TEXTS[reason]
