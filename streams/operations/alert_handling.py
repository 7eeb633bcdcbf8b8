"""What people do with alerts: lists them with what was done, and writes that one is acknowledged or closed.

A finding that goes on is a new finding in each window, so an incident (`dedup_key`) can have many. People see and
handle incidents: what they do with one alert, they do with all alerts of its incident that are open. An incident that
was acknowledged stays so when it goes on; one that was closed is new when it occurs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from streams.audit.alert_handlers import NAME_CHARS_MAX, signed_status
from streams.audit.signatures import SigningKey
from streams.model.alert import Alert
from streams.model.alert_status import (
    CLOSED,
    REASON_CHARS_MAX,
    AlertState,
    AlertStatus,
    alert_status_key,
    with_status,
)
from streams.model.errors import FormError, RecordError, StoplogError
from streams.model.topics import ALERT, ALERT_STATUS
from streams.operations.operator import Operator
from streams.operations.short_ids import short_ids
from streams.operations.topics.reader import hidden_topics
from streams.ports import Received

IncidentKey = tuple[str, str]
"""A tenant and a `dedup_key`."""
_Finding = tuple[str, str]
_Status = tuple[AlertStatus, str | None]
_T = TypeVar("_T")
ID_CHARS_MIN = 8
"""How much of an id is shown at least; more if that is needed to tell alerts, or announcements, apart."""
NAMED_MAX = 5
"""How many ids an error names at most."""


class AlertHandlingError(StoplogError):
    """The alert is not on the log, it is ambiguous which one is meant, or what was done would not count."""


class ReasonFormError(AlertHandlingError, FormError):
    """The reason is empty or too long."""


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


class Incident(NamedTuple):
    """Alerts with one key.

    Attributes:
        face: the newest of those that are not closed; of all, if all are.
        alerts: all of them, the newest first.
    """

    face: Handled
    alerts: tuple[Handled, ...]

    @property
    def key(self) -> IncidentKey:
        """Return the tenant and the key that its alerts have in common."""
        return _incident(self.face.alert)

    @property
    def times(self) -> int:
        """Return how often it has occurred since it was closed last."""
        counted = [each for each in self.alerts if each.is_closed is self.face.is_closed]
        return sum(each.alert.count for each in counted)

    def waiting(self, state: AlertState) -> list[Handled]:
        """Return the alerts that a state changes: all that are not closed, or acknowledged if that is the state."""
        return [each for each in self.alerts if not each.is_closed and each.state is not state]


class Handling(NamedTuple):
    """The alerts on the log.

    Attributes:
        by_key: the incidents: those that nobody has acknowledged first, then by severity, the newest first.
        rejected_count: statuses that do not count.
        is_known: whether this client may read statuses; otherwise all alerts look new.
    """

    by_key: Mapping[IncidentKey, Incident]
    rejected_count: int = 0
    is_known: bool = True

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Return the incidents in their order."""
        return tuple(self.by_key.values())

    @property
    def alerts(self) -> tuple[Handled, ...]:
        """Return all alerts."""
        return tuple(each for incident in self.incidents for each in incident.alerts)

    def incident_of(self, handled: Handled) -> Incident:
        """Return the incident of an alert."""
        return self.by_key[_incident(handled.alert)]


class CountedStatuses:
    """The statuses that count: those that somebody entitled has signed, without those that are written again.

    Attributes:
        rejected_count: how many of those that were read do not count.
    """

    def __init__(self, operator: Operator, *, announced_only: bool = False) -> None:
        """Read nothing yet.

        Args:
            operator: who reads them, and may read `ALERT_STATUS`.
            announced_only: skip what is not about announcements, unchecked: to check signatures takes time.
        """
        self._operator, self._announced_only = operator, announced_only
        self.rejected_count = 0

    def __iter__(self) -> Iterator[tuple[Received, AlertStatus, str | None]]:
        """Yield each with its signer, those of one finding in the order of the log. Blocking.

        Raises:
            SettingsError: the handlers in the settings are invalid.
            TopicReadError, LogError: the topic can't be read.
        """
        handlers = self._operator.deployment.alerts.trusted()
        said: dict[_Finding, tuple[str, ...]] = {}
        for received, record in self._operator.find(ALERT_STATUS):
            if not isinstance(record, AlertStatus) or (self._announced_only and record.announced is None):
                continue
            try:
                signer = handlers.check(record, received.key, received.timestamp_ms)
            except RecordError:
                self.rejected_count += 1
                continue
            finding = (record.header.tenant_uid, record.finding_uid)
            ids = with_status(said.get(finding, ()), record.header.id)
            if ids is not None:
                said[finding] = ids
                yield received, record, signer


def read_handling(operator: Operator) -> Handling:
    """Return the alerts on the log, each with what people have done with it. Blocking.

    Raises:
        SettingsError: the handlers in the settings are invalid.
        TopicReadError, LogError: a topic can't be read.
    """
    newest: dict[_Finding, Alert] = {}
    for _, record in operator.find(ALERT):
        if isinstance(record, Alert):
            newest[record.header.tenant_uid, record.finding_uid] = record
    if hidden_topics(operator.log, (ALERT_STATUS.name,)):
        return Handling(_incidents(Handled(alert) for alert in newest.values()), is_known=False)
    statuses = CountedStatuses(operator)
    done: dict[_Finding, _Status] = {}
    last: dict[IncidentKey, _Status] = {}
    last_ms: dict[IncidentKey, int] = {}
    for received, record, signer in statuses:
        tenant_uid, status = record.header.tenant_uid, (record, signer)
        done[tenant_uid, record.finding_uid] = status
        incident = (tenant_uid, record.dedup_key)
        # By the clock of the log: those of people may be wrong.
        if last_ms.get(incident, 0) <= received.timestamp_ms:
            last[incident], last_ms[incident] = status, received.timestamp_ms
    handled = [_handled(alert, done.get(key), last) for key, alert in newest.items()]
    return Handling(_incidents(handled), statuses.rejected_count)


def find_alerts(handling: Handling, stated: Iterable[str]) -> list[Handled]:
    """Return the alerts that are meant.

    Args:
        handling: the alerts on the log.
        stated: for each the id of its finding, or the beginning of it.

    Raises:
        AlertHandlingError: no alert has such an id, or several have.
    """
    known = [(each.alert.finding_uid, each) for each in handling.alerts]
    found: dict[str, Handled] = {}
    for text in stated:
        meant = only_meant(known, text, "alerts")
        if meant is None:
            raise AlertHandlingError(f"no alert has id `{text}`; see `stoplog alerts list --all`")
        found[meant.alert.finding_uid] = meant
    return list(found.values())


def only_meant(known: Iterable[tuple[str, _T]], stated: str, kind: str) -> _T | None:
    """Return what a beginning of an id means; None if no id begins with it.

    Args:
        known: what may be meant, each with its id.
        stated: the id, or the beginning of it. An empty one means nothing.
        kind: what they are, in the plural.

    Raises:
        AlertHandlingError: several ids begin with it.
    """
    meant = [(uid, each) for uid, each in known if stated and uid.startswith(stated)]
    if len(meant) > 1:
        named = ", ".join(sorted(uid for uid, _ in meant)[:NAMED_MAX])
        raise AlertHandlingError(f"{len(meant)} {kind} have ids that begin with `{stated}`; give more of it: {named}")
    return meant[0][1] if meant else None


def alerts_to_change(handling: Handling, meant: Iterable[Handled], state: AlertState) -> list[list[Alert]]:
    """Return the alerts that a state changes, by incident; each one once, however many of its incident are meant.

    Args:
        handling: the alerts on the log.
        meant: the alerts that a person named. They come first, then the others of their incidents that are open.
        state: what was done with them.
    """
    found: dict[IncidentKey, dict[str, Alert]] = {}
    for handled in meant:
        incident = handling.incident_of(handled)
        changed = (handled, *incident.waiting(state))
        found.setdefault(incident.key, {}).update({each.alert.finding_uid: each.alert for each in changed})
    return [list(alerts.values()) for alerts in found.values()]


def write_statuses(
    operator: Operator, alerts: Sequence[Alert], state: AlertState, why: str, key: SigningKey | None
) -> list[Handled]:
    """Store what was done with alerts; it is on the log when this returns.

    Args:
        operator: the person.
        alerts: the alerts.
        state: what was done with them.
        why: the reason, which is recorded.
        key: the key of a handler; None where nobody is asked for a signature.

    Returns:
        The alerts as they are handled now.

    Raises:
        AlertHandlingError: it would not count; nothing is stored.
        PublishError, LogError: it is not known whether all of it is stored.
    """
    reason = checked_reason(why)
    statuses = [
        AlertStatus(
            # An alert about the deployment itself belongs to no tenant.
            header=msgspec.structs.replace(operator.header(), tenant_uid=alert.header.tenant_uid),
            finding_uid=alert.finding_uid,
            status=state,
            dedup_key=alert.dedup_key,
            session_id=alert.session_id,
            by_user=operator.name,
            reason=reason,
            title=alert.title[:NAME_CHARS_MAX],
            severity_id=alert.severity_id,
        )
        for alert in alerts
    ]
    stored = sign_and_store(operator, statuses, key)
    return [Handled(alert, *status) for alert, status in zip(alerts, stored, strict=True)]


def checked_reason(why: str) -> str:
    """Return a reason that can be recorded.

    Raises:
        ReasonFormError: it is empty or too long.
    """
    if not why.strip() or len(why) > REASON_CHARS_MAX:
        raise ReasonFormError(f"say why in 1 to {REASON_CHARS_MAX} characters (`--why`)")
    return why


def sign_and_store(
    operator: Operator, statuses: Iterable[AlertStatus], key: SigningKey | None
) -> list[tuple[AlertStatus, str | None]]:
    """Store statuses, after a check that all of them will count; they are on the log when this returns.

    Args:
        operator: the person.
        statuses: what was done, not signed yet.
        key: the key of a handler; None where nobody is asked for a signature.

    Returns:
        The statuses as they are stored, each with its signer.

    Raises:
        AlertHandlingError: one would not count; nothing is stored.
        PublishError, LogError: it is not known whether all of it is stored.
    """
    section, handlers = operator.deployment.alerts, operator.deployment.alerts.trusted()
    stored, records = [], []
    for each in statuses:
        status = each if key is None else signed_status(each, key, section.deployment)
        record_key = alert_status_key(status.header.tenant_uid, status.finding_uid)
        try:
            stored.append((status, handlers.check(status, record_key, status.header.time)))
        except RecordError as error:
            raise AlertHandlingError(f"nothing is stored: {error}") from None
        records.append((record_key, status, status.header))
    operator.write(ALERT_STATUS, records)
    return stored


def short_alert_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id of alerts or announcements a beginning that is enough for commands."""
    return {uid: short or uid for uid, short in short_ids(set(ids), ID_CHARS_MIN).items()}


_ORDER = {AlertState.UNKNOWN: 0, AlertState.ACKNOWLEDGED: 1, AlertState.RESOLVED: 2, AlertState.FALSE_POSITIVE: 2}


def _incident(alert: Alert) -> IncidentKey:
    return alert.header.tenant_uid, alert.dedup_key


def _handled(alert: Alert, own: _Status | None, last: Mapping[IncidentKey, _Status]) -> Handled:
    """Return an alert with its status; one without has that of its incident, unless that was closed last."""
    if own is not None:
        return Handled(alert, *own)
    status = last.get(_incident(alert))
    return Handled(alert, *status) if status is not None and status[0].status not in CLOSED else Handled(alert)


def _incidents(alerts: Iterable[Handled]) -> dict[IncidentKey, Incident]:
    found: dict[IncidentKey, list[Handled]] = {}
    for each in alerts:
        found.setdefault(_incident(each.alert), []).append(each)

    def age(each: Handled) -> tuple[bool, int, str]:
        return (each.is_closed, -each.alert.last_seen_time, each.alert.finding_uid)

    def rank(incident: Incident) -> tuple[int, int, int, str]:
        alert = incident.face.alert
        return (_ORDER[incident.face.state], -alert.severity_id, -alert.last_seen_time, alert.finding_uid)

    incidents = [Incident(min(each, key=age), tuple(sorted(each, key=age))) for each in found.values()]
    return {each.key: each for each in sorted(incidents, key=rank)}
