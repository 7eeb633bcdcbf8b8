"""Defines what the desk remembers, and what it needs of whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from streams.model.alert import Alert


class State(StrEnum):
    """How far people are with an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class StatusChange(NamedTuple):
    """What a person says about a finding.

    Attributes:
        finding_uid: the finding.
        tenant: the tenant of the finding.
        dedup_key: the key of findings that belong together, such as those of one rule in one session.
        state: what it is now: acknowledged or closed.
        word: what the person called it: `acknowledged`, `resolved` or `false positive`.
        by: the person.
        why: the person's reason.
        changed_ms: when it was written, by the clock of the log; that of the person may be wrong.
        uid: the id of the status. What comes again has the same.
    """

    finding_uid: str
    tenant: str
    dedup_key: str
    state: State
    word: str
    by: str
    why: str
    changed_ms: int
    uid: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of the alert topic.

    Attributes:
        uid: its id.
        tenant: its tenant.
        incident: the incident that it belongs to; empty while only its status is known.
        counted: how many of its occurrences are counted in the incident.
        status: the last that a person has said about it.
        seen_ms: when it was last heard of.
        said: the ids of the statuses about it.
    """

    uid: str
    tenant: str
    incident: str = ""
    counted: int = 0
    status: StatusChange | None = None
    seen_ms: int = 0
    said: tuple[str, ...] = ()


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The findings with one `dedup_key`, about which a person has said something.

    Attributes:
        tenant: its tenant.
        dedup_key: the key.
        status: the last that a person has said about any of them.
        incidents: those that its findings belong to, the last ones.
        seen_ms: when it was last heard of.
    """

    tenant: str
    dedup_key: str
    status: StatusChange
    incidents: tuple[str, ...] = ()
    seen_ms: int = 0


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that people are told about together.

    Attributes:
        uid: its id.
        group: what its findings have in common.
        route: the route that took its first alert.
        owner: who owns the agent of its first alert; empty if nobody is known.
        alert: the alert that it is described by: the first of its most severe ones.
        tags: the tags of its alerts.
        severity_id: the greatest severity.
        state: how far people are.
        first_ms, last_ms: when the first of its alerts arrived, and the last.
        occurred_first_ms, occurred_last_ms: when what its alerts are about occurred first and last, at the latest when
            they arrived; 0 in rows of older versions. A desk that was stopped reads alerts long after.
        until_ms: until when further findings belong to it.
        count: how often its findings have occurred.
        findings_count: how many findings it has.
        open_count: how many of them nobody has closed.
        agents: the agents, at most `AGENTS_MAX` of them.
        has_more_agents: whether there are more.
        told_count: the count in the last message about it; 0 if there was none.
        held_by: the maintenance window that it waits for; empty if it does not wait.
        not_held_by: the maintenance windows whose conditions some of its alerts do not fulfil.
        escalate_ms: when to escalate it; None if that is done, or not needed.
        is_escalated: whether it was escalated.
    """

    uid: str
    group: str
    route: str
    alert: Alert
    tags: tuple[str, ...]
    severity_id: int
    state: State = State.OPEN
    first_ms: int
    last_ms: int
    until_ms: int
    count: int = 0
    findings_count: int = 0
    open_count: int = 0
    agents: tuple[str, ...] = ()
    has_more_agents: bool = False
    told_count: int = 0
    held_by: str = ""
    not_held_by: tuple[str, ...] = ()
    escalate_ms: int | None = None
    is_escalated: bool = False
    owner: str = ""
    occurred_first_ms: int = 0
    occurred_last_ms: int = 0

    @property
    def began_ms(self) -> int:
        """Return when what its alerts are about occurred first."""
        return self.occurred_first_ms or self.first_ms

    @property
    def ended_ms(self) -> int:
        """Return when what its alerts are about occurred last."""
        return self.occurred_last_ms or self.last_ms


class Rows(Protocol):
    """Keeps findings and incidents. What is put is found by the next call."""

    def finding(self, uid: str) -> Finding | None:
        """Return a finding; None if it is not known."""

    def put_finding(self, finding: Finding) -> None:
        """Keep a finding."""

    def series(self, tenant: str, dedup_key: str) -> Series | None:
        """Return a series of a tenant; None if nobody has said anything about it."""

    def put_series(self, series: Series) -> None:
        """Keep a series."""

    def incident(self, uid: str) -> Incident | None:
        """Return an incident; None if it is not known."""

    def newest_open(self, group: str) -> Incident | None:
        """Return the incident of a group that began last, of those that nobody has acknowledged or closed."""

    def put_incident(self, incident: Incident) -> None:
        """Keep an incident."""

    def to_escalate(self, now_ms: int, limit: int) -> Sequence[Incident]:
        """Return incidents whose `escalate_ms` has come, at most `limit`."""

    def waited_for(self) -> Sequence[str]:
        """Return the names of the windows that incidents wait for."""

    def waiting(self, window: str, limit: int) -> Sequence[Incident]:
        """Return incidents that wait for a window, the oldest first, at most `limit`."""
