"""Defines which alerts go where, and which wait until maintenance is over."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from streams.model.alert import Alert
from streams.model.types import tool_text


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on an alert, which must all hold; an empty list holds for every alert.

    Patterns have `*` and `?`, as file names in a shell do, and are case-sensitive.

    Attributes:
        severity_min: the least severity, as OCSF numbers it.
        tenants: patterns of tenants.
        agents: patterns of the agent's name.
        users: patterns of the user on whose behalf the agent acts.
        tools: patterns of `server/tool`.
        analytics: patterns of the analytic: the rule, the detector or the reason.
        owners: names of owners (`Owner`), one of which must own the alert.
        tags: patterns of ids of OWASP and of techniques of MITRE ATLAS, one of which must match.
    """

    severity_min: int = 0
    tenants: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    analytics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    @property
    def takes_all(self) -> bool:
        """Return whether there are no conditions."""
        return self == Match()

    def takes(self, alert: Alert, owner: str = "") -> bool:
        """Return whether an alert of an owner fulfils all conditions."""
        agent = "" if alert.act is None else alert.act.sub
        tool = "" if alert.tool is None else tool_text(alert.tool)
        return (
            alert.severity_id >= self.severity_min
            and _matches(self.tenants, (alert.header.tenant_uid,))
            and _matches(self.agents, (agent,))
            and _matches(self.users, (alert.sub or "",))
            and _matches(self.tools, (tool,))
            and _matches(self.analytics, (alert.analytic_uid,))
            and _matches(self.tags, tags_of(alert))
            and (not self.owners or owner in self.owners)
        )


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns agents: a team.

    Attributes:
        name: its name.
        agents: patterns of the names of its agents.
    """

    name: str
    agents: tuple[str, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts go that fulfil its conditions.

    Attributes:
        name: its name.
        match: the conditions.
        sinks: who is told at once.
        escalate_after_ms: how long nobody needs to acknowledge what they were told; None for no escalation.
        escalate_to: who is told then.
    """

    name: str
    match: Match
    sinks: tuple[str, ...]
    escalate_after_ms: int | None = None
    escalate_to: tuple[str, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window: alerts wait for its end if they fulfil its conditions and are less severe than `below`.

    Attributes:
        name: its name.
        starts_ms, ends_ms: when it begins, and when it is over.
        match: the conditions.
        below: the severity from which on alerts do not wait, as OCSF numbers it.
    """

    name: str
    starts_ms: int
    ends_ms: int
    match: Match
    below: int

    def holds(self, alert: Alert, owner: str, severity_id: int, now_ms: int) -> bool:
        """Return whether an alert waits.

        Args:
            alert: the alert.
            owner: its owner.
            severity_id: the greatest severity of what the alert belongs to.
            now_ms: the time.
        """
        return self.starts_ms <= now_ms < self.ends_ms and severity_id < self.below and self.match.takes(alert, owner)


def owner_of(owners: Sequence[Owner], alert: Alert) -> str:
    """Return the name of the first owner of the alert's agent; empty if it has none."""
    agent = "" if alert.act is None else alert.act.sub
    return next((owner.name for owner in owners if agent and _matches(owner.agents, (agent,))), "")


def route_of(routes: Sequence[Route], alert: Alert, owner: str) -> Route:
    """Return the first route that takes an alert of an owner. The last one takes all."""
    return next((route for route in routes if route.match.takes(alert, owner)), routes[-1])


def holding(windows: Sequence[Window], alert: Alert, owner: str, severity_id: int, now_ms: int) -> Window | None:
    """Return the window that an alert waits for: of several, the one that ends last. None if it does not wait."""
    found = [window for window in windows if window.holds(alert, owner, severity_id, now_ms)]
    return max(found, key=lambda window: window.ends_ms, default=None)


def tags_of(alert: Alert) -> tuple[str, ...]:
    """Return the tags of an alert, in their order: ids of OWASP, and techniques of MITRE ATLAS."""
    return tuple(sorted({*alert.types, *(attack.technique_uid for attack in alert.attacks)}))


def _matches(patterns: tuple[str, ...], values: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for value in values for pattern in patterns)
