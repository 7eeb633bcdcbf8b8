"""`[ssf]` of the settings: whose security events count here, and who is told of what is stopped here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.http.client_address import LOOPBACK
from streams.identity.algorithms import Algorithm

PARTIES_MAX = 32
TENANTS_MAX = 1_024
Name = Annotated[str, Field(min_length=1, max_length=512)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TransmitterSection(_Section):
    """`[ssf.transmitters.NAME]`: somebody whose events count.

    Attributes:
        issuer: their `iss`.
        jwks: where their public keys are: an `https` URL (`http` on loopback), or a file.
        audience: an event must be for one of these.
        algorithms: the signatures that count.
        subject_prefix: goes before the names of their users, as `subject_prefix` of the token service's source does.
        tenant: whose users they tell of; that of the settings by default.
        bearer_file: holds what they must send as a bearer token, where they must.
    """

    issuer: Name
    jwks: Name
    audience: list[Name] = Field(min_length=1, max_length=16)
    algorithms: list[Algorithm] = Field(["RS256", "PS256", "ES256", "EdDSA"], min_length=1)
    subject_prefix: str = Field("", max_length=64)
    tenant: Name | None = None
    bearer_file: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_url("jwks", self.jwks, file=True)
        return self


class ReceiverSection(_Section):
    """`[ssf.receivers.NAME]`: somebody who is told of stops and releases here.

    Attributes:
        url: where events are pushed to: `https` (`http` on loopback).
        audience: who they are, in the events.
        tenants: whose sessions, agents, users and own ends they are told of, besides what names no tenant, such as a
            tool or a grant; by default everybody's.
        bearer_file: holds the bearer token that they want.
    """

    url: Name
    audience: Name
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)
    bearer_file: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_url("url", self.url, file=False)
        return self


class SsfSection(_Section):
    """`[ssf]`.

    Attributes:
        issuer: who the service is: its URL as others see it.
        host, port: where it listens.
        tls_certificate, tls_key: PEM files; needed off loopback, unless a proxy ends TLS (`behind_tls_proxy`).
        set_age_max_ms: events that were made longer ago are refused; for so long is remembered which have come.
        skew_ms: how far the clocks of transmitters may be ahead.
        user_stop_ms: how long all that a user's agents do is stopped when a provider has ended the user's sessions or
            credentials. It should be no shorter than the longest life of a session (`gate.session_age_max_ms`): what
            was opened before is over then, and what is opened afterwards has been signed in to again.
        per_address_per_minute: requests; bursts of as many.
        retry_first_ms, retry_max_ms: the pause before an event is pushed again, doubled up to the longest.
        jwks_cache_ms, jwks_retry_ms, jwks_stale_ms: as in `[sts]`.
    """

    issuer: str = Field("http://127.0.0.1:8421", max_length=512)
    host: str = "127.0.0.1"
    port: int = Field(8_421, ge=0, le=65_535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False
    set_age_max_ms: int = Field(86_400_000, ge=60_000, le=31 * 86_400_000)
    skew_ms: int = Field(30_000, ge=0, le=300_000)
    user_stop_ms: int = Field(86_400_000, ge=60_000, le=31 * 86_400_000)
    per_address_per_minute: int = Field(600, ge=1, le=1_000_000)
    retry_first_ms: int = Field(500, ge=10, le=60_000)
    retry_max_ms: int = Field(60_000, ge=10, le=3_600_000)
    jwks_cache_ms: int = Field(300_000, ge=1_000, le=86_400_000)
    jwks_retry_ms: int = Field(30_000, ge=100, le=3_600_000)
    jwks_stale_ms: int = Field(3_600_000, ge=0, le=86_400_000)
    transmitters: dict[str, TransmitterSection] = Field({}, max_length=PARTIES_MAX)
    receivers: dict[str, ReceiverSection] = Field({}, max_length=PARTIES_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("`tls_certificate` and `tls_key` belong together")
        if self.host not in LOOPBACK and self.tls_key is None and not self.behind_tls_proxy:
            raise ValueError(
                f"`host` is `{self.host}`: events would cross the network in the clear; set `tls_certificate` and "
                "`tls_key`, or `behind_tls_proxy`"
            )
        issuers = [transmitter.issuer for transmitter in self.transmitters.values()]
        for issuer in issuers:
            if issuers.count(issuer) > 1 or issuer == self.issuer:
                raise ValueError(f"issuer `{issuer}` is named twice among the transmitters, or is this service itself")
        return self


def _check_url(name: str, stated: str, *, file: bool) -> None:
    place = urlsplit(stated)
    if place.scheme == "http" and place.hostname not in LOOPBACK:
        raise ValueError(f"`{name}` is `{stated}`: over plain HTTP it is anybody's; use https")
    if not file and place.scheme not in ("http", "https"):
        raise ValueError(f"`{name}` is `{stated}`: it must be a URL")
