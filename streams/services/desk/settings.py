"""`[desk]` of the settings: who is notified of which alerts, and how."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from streams.desk.routes import Match, Route, Window
from streams.http.client_address import LOOPBACK
from streams.model.alert import Severity
from streams.services.sections import Name, Section, check_url

SINKS_MAX = 64
ROUTES_MAX = 256
WINDOWS_MAX = 256
PATTERNS_MAX = 64
_MS_PER_S = 1_000


class MatchSection(Section):
    """Conditions on alerts, which must all hold. Patterns have `*` and `?`.

    Attributes:
        severity: the least severity: `informational`, `low`, `medium`, `high` or `critical`.
        tenants: patterns of tenants.
        agents: patterns of names of agents.
        users: patterns of users on whose behalf agents act.
        tools: patterns of tools, `server/tool`.
        analytics: patterns of rules, detectors and reasons.
        tags: patterns of ids of OWASP and MITRE ATLAS; one of an alert's tags must match.
        owners: names of `[desk.owners]`, one of which must own the agent.
    """

    severity: str | None = Field(None, pattern="^(informational|low|medium|high|critical)$")
    tenants: list[Name] = Field([], max_length=PATTERNS_MAX)
    agents: list[Name] = Field([], max_length=PATTERNS_MAX)
    users: list[Name] = Field([], max_length=PATTERNS_MAX)
    tools: list[Name] = Field([], max_length=PATTERNS_MAX)
    analytics: list[Name] = Field([], max_length=PATTERNS_MAX)
    tags: list[Name] = Field([], max_length=PATTERNS_MAX)
    owners: list[Name] = Field([], max_length=PATTERNS_MAX)

    def match(self) -> Match:
        """Return the conditions."""
        return Match(
            severity_min=0 if self.severity is None else Severity[self.severity.upper()].value,
            tenants=tuple(self.tenants),
            agents=tuple(self.agents),
            users=tuple(self.users),
            tools=tuple(self.tools),
            analytics=tuple(self.analytics),
            tags=tuple(self.tags),
            owners=tuple(self.owners),
        )


class RouteSection(MatchSection):
    """`[[desk.routes]]`: where alerts go. The first route whose conditions an alert fulfils takes it.

    It has the settings of `MatchSection`, too.

    Attributes:
        name: its name, which messages state.
        sinks: the names of the sinks that are told at once.
        escalate_after_ms: how long to wait until somebody acknowledges.
        escalate_to: the names of the sinks that are told then.
    """

    name: Name
    sinks: list[Name] = Field(min_length=1, max_length=SINKS_MAX)
    escalate_after_ms: int | None = Field(None, ge=1_000, le=604_800_000)
    escalate_to: list[Name] = Field([], max_length=SINKS_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.escalate_after_ms is None) is not (not self.escalate_to):
            raise ValueError(f"route `{self.name}`: `escalate_after_ms` and `escalate_to` belong together")
        return self

    def route(self) -> Route:
        """Return the route."""
        return Route(
            name=self.name,
            match=self.match(),
            sinks=tuple(dict.fromkeys(self.sinks)),
            escalate_after_ms=self.escalate_after_ms,
            escalate_to=tuple(dict.fromkeys(self.escalate_to)),
        )


class MaintenanceSection(MatchSection):
    """`[[desk.maintenance]]`: a time in which alerts wait that fulfil the conditions. At its end, a summary tells them.

    It has the settings of `MatchSection`, too.

    Attributes:
        name: its name, in the summary.
        starts: when it begins, such as `2026-12-01T22:00:00Z`.
        ends: when it ends.
        below: alerts of this severity or a greater one do not wait.
    """

    name: Name
    starts: AwareDatetime
    ends: AwareDatetime
    below: str = Field("critical", pattern="^(low|medium|high|critical)$")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.ends <= self.starts:
            raise ValueError(f"maintenance `{self.name}` ends before it begins")
        return self

    def window(self) -> Window:
        """Return the window."""
        below = Severity[self.below.upper()].value
        return Window(
            name=self.name, starts_ms=_millis(self.starts), ends_ms=_millis(self.ends), match=self.match(), below=below
        )


class WebhookSinkSection(Section):
    """`[desk.webhooks.NAME]`: a URL that gets signed JSON.

    Attributes:
        url: where messages are sent: `https` (`http` on loopback).
        secret_file: the file of the secret that signs them: `whsec_` and base64, as Standard Webhooks has it.
    """

    url: Name
    secret_file: Path

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url)
        return self


class SlackSection(Section):
    """`[desk.slack.NAME]`: an incoming webhook of Slack, or of a chat that takes the same.

    Attributes:
        url_file: the file with the URL of the webhook, which is a secret.
    """

    url_file: Path


class PagerdutySection(Section):
    """`[desk.pagerduty.NAME]`: PagerDuty's Events API v2, or what takes the same.

    Attributes:
        routing_key_file: the file with the integration key.
        url: where events are sent.
        source: what the events are from.
    """

    routing_key_file: Path
    url: Name = "https://events.pagerduty.com/v2/enqueue"
    source: Name = "stoplog"

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url)
        return self


class SplunkSection(Section):
    """`[desk.splunk.NAME]`: Splunk's HTTP Event Collector.

    Attributes:
        url: of the collector, with its path: `https://splunk.example:8088/services/collector/event`.
        token_file: the file with the token.
        index: the index; by default that of the token.
        host: the host that events are from.
    """

    url: Name
    token_file: Path
    index: Name | None = None
    host: Name = "stoplog"

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url)
        return self


class SyslogSection(Section):
    """`[desk.syslog.NAME]`: a receiver of syslog over TCP, which gets CEF in frames of RFC 5424 and RFC 6587.

    Attributes:
        host: the name or the address of the receiver.
        port: its port.
        tls: whether the connection is encrypted (RFC 5425). Without it, the receiver must be on loopback, or
            `protected_network` be set.
        ca_file: PEM certificates that vouch for the receiver; by default those of the machine.
        protected_network: whether something else protects the network on the way to the receiver.
        confirms: whether a message counts as delivered only when the receiver has read all of it and closes the
            connection, as receivers do at its end. Syslog has no other receipt. Without this, what is on its way when a
            receiver ends is lost.
    """

    host: Name
    port: int = Field(6_514, ge=1, le=65_535)
    tls: bool = True
    ca_file: Path | None = None
    protected_network: bool = False
    confirms: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.tls and self.host not in LOOPBACK and not self.protected_network:
            raise ValueError(
                f"`{self.host}` would get alerts in the clear: set `tls`, or `protected_network` where the network "
                "protects them"
            )
        return self


class FileSection(Section):
    """`[desk.files.NAME]`: a file that gets a line of JSON for each message, for a forwarder to read.

    Attributes:
        path: the file. It may be renamed at any time: each line opens it again.
    """

    path: Path


class DeskSection(Section):
    """`[desk]`: the desk, which notifies people of alerts.

    Attributes:
        listen: where `/metrics`, `/health/live`, `/health/ready` and `/deliveries` are served; `:port` is on loopback.
        dedup_window_ms: how long alerts with the same analytic and tags are one incident, whichever agents have them.
        first_start_ms: how old the alerts may be that a desk without state still sends.
        timeout_ms: how long a sink may take to connect, and to answer.
        retry_first_ms: the first pause before a message is sent again. It doubles each time, and chance shortens it to
            as little as half.
        retry_max_ms: the longest pause.
        owners: who owns which agents, as patterns of agents by names of owners (`payments = ["payments-*"]`). The first
            one that fits counts.
        routes: see below.
        maintenance: see below.
        webhooks: sinks by their names, which are unique among all kinds; see below.
        slack: likewise.
        pagerduty: likewise.
        splunk: likewise.
        syslog: likewise.
        files: likewise.
    """

    listen: str = Field(":8424", pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]*):[0-9]{1,5}$")
    dedup_window_ms: int = Field(1_800_000, ge=1_000, le=604_800_000)
    first_start_ms: int = Field(86_400_000, ge=0, le=2_592_000_000)
    timeout_ms: int = Field(10_000, ge=100, le=300_000)
    retry_first_ms: int = Field(1_000, ge=10, le=60_000)
    retry_max_ms: int = Field(300_000, ge=10, le=3_600_000)
    owners: dict[str, list[Name]] = Field({}, max_length=ROUTES_MAX)
    routes: list[RouteSection] = Field([], max_length=ROUTES_MAX)
    maintenance: list[MaintenanceSection] = Field([], max_length=WINDOWS_MAX)
    webhooks: dict[str, WebhookSinkSection] = Field({}, max_length=SINKS_MAX)
    slack: dict[str, SlackSection] = Field({}, max_length=SINKS_MAX)
    pagerduty: dict[str, PagerdutySection] = Field({}, max_length=SINKS_MAX)
    splunk: dict[str, SplunkSection] = Field({}, max_length=SINKS_MAX)
    syslog: dict[str, SyslogSection] = Field({}, max_length=SINKS_MAX)
    files: dict[str, FileSection] = Field({}, max_length=SINKS_MAX)

    @property
    def sink_names(self) -> tuple[str, ...]:
        """Return the names of all sinks."""
        kinds = (self.webhooks, self.slack, self.pagerduty, self.splunk, self.syslog, self.files)
        return tuple(name for kind in kinds for name in kind)

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = [*_repeated("sinks", self.sink_names), *_repeated("routes", [each.name for each in self.routes])]
        faults += _repeated("maintenance windows", [each.name for each in self.maintenance])
        known = frozenset(self.sink_names)
        named = f"the sinks are {', '.join(f'`{name}`' for name in self.sink_names)}" if known else "there are none"
        for route in self.routes:
            missing = [name for name in (*route.sinks, *route.escalate_to) if name not in known]
            faults += [f"route `{route.name}` names a sink that there is not: `{name}`; {named}" for name in missing]
        owned = [(each.name, each.owners) for each in self.routes]
        for where, owners in (*owned, *((each.name, each.owners) for each in self.maintenance)):
            strangers = [name for name in owners if name not in self.owners]
            faults += [f"`{where}` names an owner that `desk.owners` has not: `{name}`" for name in strangers]
        if self.routes and not self.routes[-1].match().takes_all:
            faults.append(
                f"the last route, `{self.routes[-1].name}`, has conditions: an alert that no route takes would reach "
                "nobody; add a route without any"
            )
        if self.retry_max_ms < self.retry_first_ms:
            faults.append("`retry_max_ms` is less than `retry_first_ms`")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _repeated(what: str, names: list[str] | tuple[str, ...]) -> Iterator[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return (f"two {what} have the name `{name}`" for name in twice)


def _millis(instant: datetime) -> int:
    return int(instant.timestamp() * _MS_PER_S)
