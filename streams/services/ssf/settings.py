"""`[ssf]` of the settings: whose security events are accepted, and who receives events about revocations here."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from streams.services.sections import IssuerSection, ListeningSection, Name, Section, check_url

PARTIES_MAX = 32
TENANTS_MAX = 1_024


class TransmitterSection(IssuerSection):
    """`[ssf.transmitters.NAME]`: a sender whose events are accepted.

    It has the settings of `IssuerSection`, too.

    Attributes:
        subject_prefix: precedes the names of its users, as `subject_prefix` of the token service's source does. It is
            required if there are several transmitters.
        tenant: the tenant of its users; by default that of the settings.
        bearer_file: the file of the bearer token that it must send, if any.
    """

    tenant: Name | None = None
    bearer_file: Path | None = None


class ReceiverSection(Section):
    """`[ssf.receivers.NAME]`: a receiver of events about stops and releases here.

    Attributes:
        url: the URL to push events to: `https` (`http` on loopback).
        audience: the audience of the events.
        tenants: the tenants whose stops the receiver gets; by default all. Stops without a tenant, such as those of
            tools and grants, are always sent.
        bearer_file: the file of the bearer token that the receiver requires, if any.
    """

    url: Name
    audience: Name
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)
    bearer_file: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url)
        return self


class SsfSection(ListeningSection):
    """`[ssf]`: the service for security events (Shared Signals Framework).

    It has the settings of `ListeningSection`, too.

    Attributes:
        issuer: the service's own `iss`: its URL, as others see it.
        set_age_max_ms: events that were issued longer ago are rejected; processed events are remembered for as long.
        events_per_transmitter_max: how many processed events of each transmitter are remembered; each needs about 100
            bytes on disk. Beyond that, events of this transmitter still take effect, but it is asked to send them again
            (503) until old ones are forgotten. Other transmitters are not affected.
        skew_ms: how far the clocks of transmitters may be ahead.
        user_stop_ms: how long a user is stopped after a provider has ended the user's sessions or credentials. It
            should not be shorter than the longest life of a session (`gate.session_age_max_ms`): sessions from before
            have then expired, and the user has signed in again for later ones.
        per_address_per_minute: the most requests a minute from one network address. That many may come at once.
        retry_first_ms: the pause before an event is pushed again; each further pause is twice as long.
        retry_max_ms: the longest pause.
        transmitters: the senders whose events are accepted, by names of your choice.
        receivers: who receives events about stops and releases here, by names of your choice.
    """

    carries: ClassVar[str] = "events"

    issuer: str = Field("http://127.0.0.1:8421", max_length=512)
    port: int = Field(8_421, ge=0, le=65_535)
    set_age_max_ms: int = Field(86_400_000, ge=60_000, le=31 * 86_400_000)
    events_per_transmitter_max: int = Field(1_000_000, ge=1, le=100_000_000)
    skew_ms: int = Field(30_000, ge=0, le=300_000)
    user_stop_ms: int = Field(86_400_000, ge=60_000, le=31 * 86_400_000)
    per_address_per_minute: int = Field(600, ge=1, le=1_000_000)
    retry_first_ms: int = Field(500, ge=10, le=60_000)
    retry_max_ms: int = Field(60_000, ge=10, le=3_600_000)
    transmitters: dict[str, TransmitterSection] = Field({}, max_length=PARTIES_MAX)
    receivers: dict[str, ReceiverSection] = Field({}, max_length=PARTIES_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        issuers = [transmitter.issuer for transmitter in self.transmitters.values()]
        for issuer in issuers:
            if issuers.count(issuer) > 1 or issuer == self.issuer:
                raise ValueError(f"issuer `{issuer}` is named twice among the transmitters, or is this service itself")
        sections = self.transmitters.values()
        if len(sections) > 1 and any("subject_prefix" not in each.model_fields_set for each in sections):
            raise ValueError(
                "users of different transmitters could have the same name: set `subject_prefix` in each transmitter, "
                "as in the source of the token service with the same users"
            )
        return self
