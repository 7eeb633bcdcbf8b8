"""Alerts as they are remembered, in case somebody closes one (see `feedback` for what that changes)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.behaviour.activity import row_key
from streams.behaviour.feedback import Bar, Reported, raised
from streams.behaviour.findings import Finding, Latch, RowNames, about_key, latches_of, place_key, recurrence_key
from streams.behaviour.incidents import Incidents
from streams.behaviour.pages import OpenRows
from streams.behaviour.recurrence import Recurrence, called_false
from streams.model.alert_status import with_status

replace = msgspec.structs.replace


class Closed(NamedTuple):
    """What a closed alert was about, and the bar for what is alike if that was raised."""

    reported: Reported
    bar: Bar | None = None


class Reports:
    """The alerts of a watcher. They are in the rows."""

    def __init__(self, prefix: str, names: RowNames, incidents: Incidents) -> None:
        """Args:
        prefix: the name of the rows that remember alerts.
        names: the names of the rows with latches, and of those that count what recurs.
        incidents: what tells incidents apart.
        """
        self._prefix = prefix
        self._names = names
        self._incidents = incidents

    def remember(self, rows: OpenRows, finding: Finding, finding_uid: str) -> None:
        """Remember what an alert is about, in case somebody closes it.

        Args:
            rows: the open rows of the partition; changed.
            finding: what was found.
            finding_uid: the alert's finding.
        """
        it = finding.activity
        whose = self._incidents.owner_of(finding.name, it)
        about = about_key(self._names.latch, finding)
        row = Reported(
            it.time_ms, it.agent, it.session, finding.name, finding.alike, finding.share, whose,
            about=about, recurs=recurrence_key(self._names.recurring, finding),
            place=place_key(self._names.latch, finding) if finding.name in self._incidents.of_places else b"",
        )  # fmt: skip
        rows.store(row_key(self._prefix, (it.tenant, finding_uid)), row)

    def close(
        self, rows: OpenRows, tenant: str, finding_uid: str, status_id: str, time_ms: int, *, is_false: bool
    ) -> Closed | None:
        """Let the incident of a closed alert alert again, and raise the bar for what is alike if it was false.

        Args:
            rows: the open rows of the partition; changed.
            tenant, finding_uid: the alert.
            status_id: the status that closes it. If it comes again, nothing changes.
            time_ms: when somebody has closed it.
            is_false: whether it was a false positive.

        Returns:
            What the alert was about, and the bar if it was raised; None if no such alert is remembered, or the status
            has come before.
        """
        its_key = row_key(self._prefix, (tenant, finding_uid))
        reported = rows.load(its_key, Reported)
        said = None if reported is None else with_status(reported.said, status_id)
        if reported is None or said is None:
            return None
        rows.store(its_key, replace(reported, said=said))
        self._end_latches(rows, tenant, reported)
        _count_closed(rows, reported.recurs, time_ms, is_false=is_false)
        if not is_false or not reported.alike:
            return Closed(reported)
        bar = raised(rows.load(reported.alike, Bar), reported, time_ms)
        rows.store(reported.alike, bar)
        return Closed(reported, bar)

    def _end_latches(self, rows: OpenRows, tenant: str, reported: Reported) -> None:
        """End the latches of an alert that no later alert has set again."""
        who = (tenant, reported.agent, reported.session)
        kind = self._incidents.kind_of(reported.name)
        incident = (reported.whose, self._incidents.by_name.get(reported.name, reported.name))
        latch, alike, about = self._names.latch, reported.alike, reported.about
        for key, _ in latches_of(latch, who, incident, kind, alike, about, place=reported.place):
            known = rows.load(key, Latch)
            if known is not None and known.reported_ms <= reported.time_ms:
                rows.store(key, Latch())


def _count_closed(rows: OpenRows, key: bytes, time_ms: int, *, is_false: bool) -> None:
    """Count an alert that was closed as false for more; one that was closed as right ends the recurrence."""
    row = rows.load(key, Recurrence) if key else None
    if row is not None:
        rows.store(key, called_false(row, time_ms) if is_false else Recurrence())
