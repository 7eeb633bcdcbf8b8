"""What people do with alerts: lists them with what was done, and writes that one is acknowledged or closed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from streams.audit.alert_handlers import signed_status
from streams.audit.signatures import SigningKey
from streams.model.alert import Alert
from streams.model.alert_status import CLOSED, REASON_CHARS_MAX, AlertState, AlertStatus, alert_status_key
from streams.model.errors import RecordError, StoplogError
from streams.model.topics import ALERT, ALERT_STATUS
from streams.operations.operator import Operator
from streams.operations.topics.reader import hidden_topics

ID_CHARS_MIN = 8
"""How much of an id is shown at least; more if that is needed to tell alerts apart."""
NAMED_MAX = 5


class AlertHandlingError(StoplogError):
    """The alert is not on the log, it is ambiguous which one is meant, or what was done would not count."""


class Handled(NamedTuple):
    """An alert and what people have done with it.

    Attributes:
        alert: the newest record of its finding.
        status: the newest status that counts; None while nobody has done anything with the alert.
        signer: who has signed it; None if it is not signed.
    """

    alert: Alert
    status: AlertStatus | None = None
    signer: str | None = None

    @property
    def state(self) -> AlertState:
        """Return what was done with it; UNKNOWN for an alert that is new."""
        return AlertState.UNKNOWN if self.status is None else self.status.status

    @property
    def is_closed(self) -> bool:
        """Return whether nobody has to look at it any more."""
        return self.state in CLOSED


class Handling(NamedTuple):
    """The alerts on the log.

    Attributes:
        alerts: those that nobody has acknowledged first, then by severity, the newest first.
        rejected_count: statuses that do not count.
        is_known: whether this client may read statuses; otherwise all alerts look new.
    """

    alerts: tuple[Handled, ...]
    rejected_count: int = 0
    is_known: bool = True


def read_handling(operator: Operator) -> Handling:
    """Return the alerts on the log, each with what people have done with it. Blocking.

    Raises:
        SettingsError: the handlers in the settings are invalid.
        TopicReadError, LogError: a topic can't be read.
    """
    newest: dict[tuple[str, str], Alert] = {}
    for _, record in operator.find(ALERT):
        if isinstance(record, Alert):
            newest[record.header.tenant_uid, record.finding_uid] = record
    if hidden_topics(operator.log, (ALERT_STATUS.name,)):
        return Handling(_sorted(Handled(alert) for alert in newest.values()), is_known=False)
    handlers, rejected_count = operator.deployment.alerts.trusted(), 0
    done: dict[tuple[str, str], tuple[AlertStatus, str | None]] = {}
    for received, record in operator.find(ALERT_STATUS):
        name = (record.header.tenant_uid, record.finding_uid) if isinstance(record, AlertStatus) else None
        if not isinstance(record, AlertStatus) or name is None or received.key != alert_status_key(*name):
            continue
        try:
            done[name] = (record, handlers.check(record, received.timestamp_ms))
        except RecordError:
            rejected_count += 1
    found = (Handled(alert, *done.get(name, (None, None))) for name, alert in newest.items())
    return Handling(_sorted(found), rejected_count)


def find_alerts(handling: Handling, stated: Iterable[str]) -> list[Handled]:
    """Return the alerts that are meant.

    Args:
        handling: the alerts on the log.
        stated: for each the id of its finding, or the beginning of it.

    Raises:
        AlertHandlingError: no alert has such an id, or several have.
    """
    found: dict[str, Handled] = {}
    for text in stated:
        meant = [each for each in handling.alerts if text and each.alert.finding_uid.startswith(text)]
        if not meant:
            raise AlertHandlingError(f"no alert has id `{text}`; see `stoplog alerts list --all`")
        if len(meant) > 1:
            named = ", ".join(sorted(each.alert.finding_uid for each in meant)[:NAMED_MAX])
            raise AlertHandlingError(f"{len(meant)} alerts have ids that begin with `{text}`; give more of it: {named}")
        found[meant[0].alert.finding_uid] = meant[0]
    return list(found.values())


def write_status(
    operator: Operator, alert: Alert, state: AlertState, why: str, key: SigningKey | None
) -> tuple[AlertStatus, str | None]:
    """Store what was done with an alert; it is on the log when this returns.

    Args:
        operator: the person.
        alert: the alert.
        state: what was done with it.
        why: the reason, which is recorded.
        key: the key of a handler; None where nobody is asked for a signature.

    Returns:
        The record, and who has signed it.

    Raises:
        AlertHandlingError: it would not count.
        PublishError, LogError: it is not known whether it is stored.
    """
    if not why.strip() or len(why) > REASON_CHARS_MAX:
        raise AlertHandlingError(f"say why in 1 to {REASON_CHARS_MAX} characters (`--why`)")
    section = operator.deployment.alerts
    # An alert about the deployment itself belongs to no tenant.
    header = msgspec.structs.replace(operator.header(), tenant_uid=alert.header.tenant_uid)
    status = AlertStatus(
        header=header,
        finding_uid=alert.finding_uid,
        status=state,
        dedup_key=alert.dedup_key,
        session_id=alert.session_id,
        by_user=operator.name,
        reason=why,
    )
    if key is not None:
        status = signed_status(status, key, section.deployment)
    try:
        signer = section.trusted().check(status, header.time)
    except RecordError as error:
        raise AlertHandlingError(f"it would not count: {error}") from None
    operator.write(ALERT_STATUS, [(alert_status_key(header.tenant_uid, alert.finding_uid), status, header)])
    return status, signer


def short_ids(alerts: Sequence[Handled]) -> dict[str, str]:
    """Return for each alert the shortest beginning of its id that no other one has."""
    ids = sorted({each.alert.finding_uid for each in alerts})
    shown = {}
    for at, uid in enumerate(ids):
        near = [ids[other] for other in (at - 1, at + 1) if 0 <= other < len(ids)]
        length = max([ID_CHARS_MIN, *(_common(uid, other) + 1 for other in near)])
        shown[uid] = uid[:length]
    return shown


def _common(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


_ORDER = {AlertState.UNKNOWN: 0, AlertState.ACKNOWLEDGED: 1, AlertState.RESOLVED: 2, AlertState.FALSE_POSITIVE: 2}


def _sorted(alerts: Iterable[Handled]) -> tuple[Handled, ...]:
    def rank(each: Handled) -> tuple[int, int, int, str]:
        alert = each.alert
        return (_ORDER[each.state], -alert.severity_id, -alert.last_seen_time, alert.finding_uid)

    return tuple(sorted(alerts, key=rank))
