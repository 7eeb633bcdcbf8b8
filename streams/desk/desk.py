"""Decides who is notified of alerts, and when.

**Idea.** An alert belongs to the finding that its `finding_uid` names, and a finding to an incident. Findings of one
tenant, route, owner, analytic and set of tags are one incident for `dedup_window_ms` after the first, whichever agents
and sessions they are of: one agent's loop in a hundred sessions, or one poisoned document that a hundred agents read,
is one incident for one person. People are notified of an incident when it begins, whenever its count passes a power of
ten, when it becomes more severe, when nobody has acknowledged it in time, and when somebody acknowledges or closes it.

Nothing is forgotten: what waits for the end of a maintenance window is an incident with `held_by`, which the window's
summary counts, and which is escalated from then on as any other.

A person who acknowledges a finding looks after all findings with its `dedup_key`, also those that come later
(`stoplog alerts ack`). So these join the acknowledged incident of the earlier ones, however long that takes: nobody is
called again for them. No other finding joins it, so that what nobody looks after is not hidden there.

An alert may come again, and statuses may come before their alert: topics are read at least once, and each in an order
of its own. So occurrences are counted up to the count that the finding says, and a status waits at its finding.

**Rejected.** A window that each finding makes longer: an incident that never ends would be reported once. To report
each finding, and let receivers merge: chat tools can't, and a flood is what hides an attack. To match statuses by
incident: people see findings (`stoplog alerts list`), which are what detectors learn from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from streams.desk.messages import Delivery, Kind, Message, message_of, summary_line
from streams.desk.routes import Owner, Route, Window, holding, owner_of, route_of, tags_of
from streams.desk.rows import Finding, Incident, Rows, Series, State, StatusChange
from streams.model.alert import Alert
from streams.model.alert_status import with_status
from streams.model.canonical import canonical
from streams.model.proof import derived_uuid

AGENTS_MAX = 32
"""Agents of an incident that are named."""
SERIES_INCIDENTS_MAX = 8
"""Incidents that are remembered of a series: it has several if its alerts take several routes."""
STEP_MAX = 200
"""Incidents that are read at once."""
SUMMARY_LINES_MAX = 20
TEN = 10

_ENDS = {State.ACKNOWLEDGED: Kind.ACKNOWLEDGED, State.CLOSED: Kind.RESOLVED}

_replace = msgspec.structs.replace


class Desk:
    """Decides by routes and windows. All memory is in the rows."""

    def __init__(
        self, routes: Sequence[Route], windows: Sequence[Window], dedup_window_ms: int, owners: Sequence[Owner] = ()
    ) -> None:
        """Args:
        routes: the routes, in the order in which they are tried; the last one takes every alert.
        windows: the maintenance windows.
        dedup_window_ms: how long findings of one kind are one incident.
        owners: who owns which agents; the first one that fits counts.
        """
        self._routes = tuple(routes)
        self._by_name = {route.name: route for route in routes}
        self._windows = tuple(windows)
        self._dedup_window_ms = dedup_window_ms
        self._owners = tuple(owners)

    def on_alert(self, rows: Rows, alert: Alert, now_ms: int) -> list[Delivery]:
        """Count an alert, and return what people are told."""
        finding = rows.finding(alert.finding_uid) or Finding(uid=alert.finding_uid, tenant=alert.header.tenant_uid)
        count = max(1, alert.count)
        more = count - finding.counted
        if more <= 0:
            return []
        if finding.tenant != alert.header.tenant_uid:
            # A status that another tenant has written ahead of the alert counts for nothing.
            finding = _replace(finding, tenant=alert.header.tenant_uid, status=None, said=())
        known = rows.incident(finding.incident) if finding.incident else None
        is_new = known is None
        change = finding.status or (_looked_after(rows, alert) if is_new else None)
        incident = known or self._incident_of(rows, alert, change, now_ms)
        counted = self._noted(_counted(incident, alert, more, now_ms, is_new=is_new), alert, now_ms)
        rows.put_finding(
            _replace(
                finding,
                incident=incident.uid,
                counted=count,
                seen_ms=now_ms,
            )
        )
        told, deliveries = self._told(incident, counted, now_ms)
        rows.put_incident(told)
        if is_new and change is not None:
            deliveries += self._on_changed(rows, told, change, now_ms)
        return deliveries

    def on_status(self, rows: Rows, change: StatusChange, now_ms: int) -> list[Delivery]:
        """Note what a person says about a finding, and return what people are told."""
        finding = rows.finding(change.finding_uid) or Finding(uid=change.finding_uid, tenant=change.tenant)
        if finding.tenant != change.tenant:
            return []
        before = finding.status
        said = with_status(finding.said, change.uid)
        if said is None or (before is not None and before.changed_ms > change.changed_ms):
            return []
        rows.put_finding(_replace(finding, status=change, seen_ms=now_ms, said=said))
        _note_for_later_findings(rows, change, finding.incident, now_ms)
        incident = rows.incident(finding.incident) if finding.incident else None
        if incident is None or (before is not None and before.state is change.state):
            return []
        return self._on_changed(rows, incident, change, now_ms, was_closed=_is_closed(before))

    def on_time(self, rows: Rows, now_ms: int) -> list[Delivery]:
        """Return what people are told because time has passed.

        It takes a bounded number of what is to be escalated: call it again soon. It takes all that has waited for a
        window, so that there is one summary.
        """
        deliveries: list[Delivery] = []
        for incident in rows.to_escalate(now_ms, STEP_MAX):
            window = self._holding(incident, now_ms)
            if window is not None:
                rows.put_incident(_replace(incident, escalate_ms=window.ends_ms))
                continue
            escalated = _replace(incident, escalate_ms=None, is_escalated=True)
            rows.put_incident(escalated)
            deliveries += _to(self._route(incident).escalate_to, _escalation(escalated, now_ms))
        running = {window.name for window in self._windows if window.ends_ms > now_ms}
        for name in rows.waited_for():
            if name not in running:
                deliveries += self._summarised(rows, name, now_ms)
        return deliveries

    def told_late(self, rows: Rows, incident_uid: str, kinds: Collection[Kind], now_ms: int) -> list[Message]:
        """Return what a sink gets about an incident for whose messages there was no room: the incident as it is now.

        Args:
            kinds: the kinds of the messages that were left out.
        """
        incident = rows.incident(incident_uid)
        if incident is None:
            # Its alerts are no longer on the topic either.
            return []
        told = next((kind for kind in (Kind.NEW, Kind.ESCALATION, Kind.UPDATE) if kind in kinds), None)
        messages = [] if told is None else [message_of(incident, told, now_ms)]
        ended = _ENDS.get(incident.state)
        if ended in kinds and ended is not None:
            finding = rows.finding(incident.alert.finding_uid)
            messages.append(message_of(incident, ended, now_ms, None if finding is None else finding.status))
        return messages

    def _incident_of(self, rows: Rows, alert: Alert, change: StatusChange | None, now_ms: int) -> Incident:
        """Return the incident that a new finding belongs to.

        What somebody looks after joins the incident of the earlier findings. Nothing else joins an acknowledged one:
        nobody has been notified of the new finding, and nobody would be.
        """
        owner, tags = owner_of(self._owners, alert), tags_of(alert)
        route = route_of(self._routes, alert, owner)
        common = [alert.header.tenant_uid, route.name, owner, alert.analytic_uid, list(tags)]
        group = canonical(common).decode()
        if change is not None and change.state is State.ACKNOWLEDGED:
            found = _going_on(rows, alert, group, now_ms)
        else:
            found = rows.newest_open(group)
            found = found if found is not None and now_ms < found.until_ms else None
        if found is not None:
            return found
        uid = derived_uuid("desk incident", group, alert.finding_uid)
        if change is not None:
            _note_incident(rows, alert.header.tenant_uid, alert.dedup_key, uid, now_ms)
        return Incident(
            uid=uid,
            group=group,
            route=route.name,
            owner=owner,
            alert=_plain(alert),
            tags=tags,
            severity_id=alert.severity_id,
            first_ms=now_ms,
            last_ms=now_ms,
            until_ms=now_ms + self._dedup_window_ms,
        )

    def _noted(self, incident: Incident, alert: Alert, now_ms: int) -> Incident:
        """Return the incident with the windows that are not over and that this alert would not wait for."""
        names = tuple(
            window.name
            for window in self._windows
            if now_ms < window.ends_ms
            and window.name not in incident.not_held_by
            and not window.match.takes(alert, incident.owner)
        )
        return _replace(incident, not_held_by=(*incident.not_held_by, *names)) if names else incident

    def _holding(self, incident: Incident, now_ms: int) -> Window | None:
        """Return the window that an incident waits for; None if there is none whose conditions all alerts fulfil."""
        windows = [window for window in self._windows if window.name not in incident.not_held_by]
        return holding(windows, incident.alert, incident.owner, incident.severity_id, now_ms)

    def _told(self, before: Incident, incident: Incident, now_ms: int) -> tuple[Incident, list[Delivery]]:
        """Return the incident as people know it now, and what they are told."""
        route = self._route(incident)
        if not incident.told_count:
            if incident.state is State.CLOSED:
                return incident, []
            window = self._holding(incident, now_ms)
            if window is not None:
                return _replace(incident, held_by=window.name), []
            told = _replace(incident, held_by="", told_count=incident.count, escalate_ms=_due(route, incident, now_ms))
            return told, _to(route.sinks, message_of(told, Kind.NEW, now_ms))
        is_worse = incident.severity_id > before.severity_id
        if incident.state is State.CLOSED or not (is_worse or _passes(before.told_count, incident.count)):
            return incident, []
        told = _replace(incident, told_count=incident.count)
        return told, _to(self._everyone(told), message_of(told, Kind.UPDATE, now_ms))

    def _on_changed(
        self, rows: Rows, incident: Incident, change: StatusChange, now_ms: int, *, was_closed: bool = False
    ) -> list[Delivery]:
        open_count = incident.open_count
        if change.state is State.CLOSED and not was_closed:
            open_count -= 1
        elif change.state is not State.CLOSED and was_closed:
            open_count += 1
        if open_count <= 0:
            state = State.CLOSED
        elif change.state is State.ACKNOWLEDGED:
            state = State.ACKNOWLEDGED
        else:
            # Nobody has looked at the findings that are still open.
            state = incident.state
        escalate_ms = incident.escalate_ms if state is incident.state else None
        changed = _replace(incident, open_count=open_count, state=state, escalate_ms=escalate_ms)
        rows.put_incident(changed)
        if state is incident.state or not incident.told_count:
            return []
        return _to(self._everyone(changed), message_of(changed, _ENDS[state], now_ms, change))

    def _summarised(self, rows: Rows, name: str, now_ms: int) -> list[Delivery]:
        """End the waiting for a window: return a summary for each sink, of all that has waited."""
        summaries: dict[str, _Summary] = {}
        while waiting := rows.waiting(name, STEP_MAX):
            for incident in waiting:
                route = self._route(incident)
                for sink in route.sinks:
                    summaries.setdefault(sink, _Summary()).add(incident)
                due_ms = _due(route, incident, now_ms)
                rows.put_incident(_replace(incident, held_by="", told_count=incident.count, escalate_ms=due_ms))
        return [Delivery(sink, summary.message(name, sink, now_ms)) for sink, summary in summaries.items()]

    def _route(self, incident: Incident) -> Route:
        return self._by_name.get(incident.route, self._routes[-1])

    def _everyone(self, incident: Incident) -> tuple[str, ...]:
        """Return who was notified of an incident."""
        route = self._route(incident)
        return tuple(dict.fromkeys((*route.sinks, *(route.escalate_to if incident.is_escalated else ()))))


class _Summary:
    """Counts the incidents that have waited for a window, for one sink."""

    def __init__(self) -> None:
        self._incidents_count = 0
        self._count = 0
        self._severity_id = 0
        self._lines: list[str] = []
        self._first_ms: int | None = None
        self._last_ms = 0
        self._first_uid = ""

    def add(self, incident: Incident) -> None:
        self._incidents_count += 1
        self._count += incident.count
        self._severity_id = max(self._severity_id, incident.severity_id)
        self._first_ms = incident.began_ms if self._first_ms is None else min(self._first_ms, incident.began_ms)
        self._last_ms = max(self._last_ms, incident.ended_ms)
        self._first_uid = self._first_uid or incident.uid
        if len(self._lines) < SUMMARY_LINES_MAX:
            self._lines.append(summary_line(incident))

    def message(self, window: str, sink: str, now_ms: int) -> Message:
        uid = derived_uuid("desk summary", window, sink, self._first_uid)
        are = "incident has" if self._incidents_count == 1 else "incidents have"
        return Message(
            uid=uid,
            kind=Kind.SUMMARY,
            incident=uid,
            route=window,
            severity_id=self._severity_id,
            title=f"maintenance `{window}` is over: {self._incidents_count} {are} waited",
            desc=f"{self._incidents_count} {are} waited for the end of maintenance, with {self._count} occurrences",
            analytic="maintenance",
            count=self._count,
            findings_count=self._incidents_count,
            first_ms=now_ms if self._first_ms is None else self._first_ms,
            last_ms=self._last_ms,
            made_ms=now_ms,
            responses=("stoplog alerts list",),
            lines=tuple(self._lines),
            left_out_count=self._incidents_count - len(self._lines),
        )


def _looked_after(rows: Rows, alert: Alert) -> StatusChange | None:
    """Return the acknowledgement of earlier findings that holds for a new one; None if there is none."""
    series = rows.series(alert.header.tenant_uid, alert.dedup_key)
    return series.status if series is not None and series.status.state is State.ACKNOWLEDGED else None


def _going_on(rows: Rows, alert: Alert, group: str, now_ms: int) -> Incident | None:
    """Return the acknowledged incident of a group that earlier findings belong to; None if there is none."""
    series = rows.series(alert.header.tenant_uid, alert.dedup_key)
    for uid in () if series is None else series.incidents:
        found = rows.incident(uid)
        if found is not None and found.group == group and found.state is State.ACKNOWLEDGED:
            _note_incident(rows, alert.header.tenant_uid, alert.dedup_key, uid, now_ms)
            return found
    return None


def _note_for_later_findings(rows: Rows, change: StatusChange, incident: str, now_ms: int) -> None:
    """Remember what a person has said last about any of the findings with a `dedup_key`, and their incident."""
    series = rows.series(change.tenant, change.dedup_key)
    if series is None:
        rows.put_series(Series(tenant=change.tenant, dedup_key=change.dedup_key, status=change, seen_ms=now_ms))
    elif series.status.changed_ms <= change.changed_ms:
        rows.put_series(_replace(series, status=change, seen_ms=now_ms))
    if incident:
        _note_incident(rows, change.tenant, change.dedup_key, incident, now_ms)


def _note_incident(rows: Rows, tenant: str, dedup_key: str, incident: str, now_ms: int) -> None:
    """Remember an incident of a series about which somebody has said something."""
    series = rows.series(tenant, dedup_key)
    if series is not None:
        others = tuple(each for each in series.incidents if each != incident)
        rows.put_series(_replace(series, incidents=(*others, incident)[-SERIES_INCIDENTS_MAX:], seen_ms=now_ms))


def _counted(incident: Incident, alert: Alert, more: int, now_ms: int, *, is_new: bool) -> Incident:
    """Return the incident with further occurrences of a finding."""
    agent = "" if alert.act is None else alert.act.sub
    agents, has_more = incident.agents, incident.has_more_agents
    if agent and agent not in agents:
        agents, has_more = ((*agents, agent), has_more) if len(agents) < AGENTS_MAX else (agents, True)
    # Of an incident that has just begun, nothing has occurred yet.
    ended_ms = incident.ended_ms if incident.findings_count else 0
    return _replace(
        incident,
        alert=_plain(alert) if alert.severity_id > incident.severity_id else incident.alert,
        severity_id=max(alert.severity_id, incident.severity_id),
        count=incident.count + more,
        findings_count=incident.findings_count + is_new,
        open_count=incident.open_count + is_new,
        agents=agents,
        has_more_agents=has_more,
        last_ms=now_ms,
        occurred_first_ms=min(incident.began_ms, alert.first_seen_time),
        occurred_last_ms=max(ended_ms, min(now_ms, alert.last_seen_time)),
    )


def _plain(alert: Alert) -> Alert:
    """Return an alert without its JSON, which is made again where it is needed."""
    return _replace(alert, ocsf_json=None)


def _passes(told_count: int, count: int) -> bool:
    """Return whether a count has passed a power of ten since people were told one."""
    power = TEN
    while power <= told_count:
        power *= TEN
    return count >= power


def _due(route: Route, incident: Incident, now_ms: int) -> int | None:
    if route.escalate_after_ms is None or incident.state is not State.OPEN:
        return None
    return now_ms + route.escalate_after_ms


def _escalation(incident: Incident, now_ms: int) -> Message:
    """Return the message that escalates an incident: one that OCSF can't describe is escalated without it."""
    try:
        return message_of(incident, Kind.ESCALATION, now_ms)
    except Exception:
        # Whatever the alert has in it, its escalation stops no other one.
        return message_of(incident, Kind.ESCALATION, now_ms, has_ocsf=False)


def _is_closed(status: StatusChange | None) -> bool:
    return status is not None and status.state is State.CLOSED


def _to(sinks: Sequence[str], message: Message) -> list[Delivery]:
    return [Delivery(sink, message) for sink in sinks]
