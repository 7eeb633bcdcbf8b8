"""`[approvals]` of the settings: who is sent questions, and whose answers are accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.http.client_address import LOOPBACK
from streams.identity.algorithms import Algorithm

PARTIES_MAX = 32
SIGNERS_MAX = 256
GROUPS_MAX = 64
TENANTS_MAX = 1_024
Name = Annotated[str, Field(min_length=1, max_length=512)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookSection(_Section):
    """`[approvals.webhooks.NAME]`: a receiver of questions.

    Attributes:
        url: where questions are sent: `https` (`http` on loopback).
        secret_file: the file of the secret that signs them: `whsec_` and base64, as Standard Webhooks has it.
        tenants: the tenants whose questions it gets; by default all.
    """

    url: Name
    secret_file: Path
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_url("url", self.url, file=False)
        return self


class SignerSection(_Section):
    """`[approvals.signers.NAME]`: a person whose signed answers are accepted.

    Attributes:
        sub: the person.
        groups: the groups that the person is in.
        secret_file: the file of the person's secret, `whsec_` and base64. Nobody else may have it.
    """

    sub: Name
    groups: list[Name] = Field([], max_length=GROUPS_MAX)
    secret_file: Path


class PeopleSection(_Section):
    """`[approvals.people.NAME]`: an issuer of tokens that identify people.

    Attributes:
        issuer: its `iss`.
        jwks: where its public keys are: an `https` URL (`http` on loopback), or a file.
        audience: a token must be for one of these.
        algorithms: the accepted signature algorithms.
        subject_claim: the claim with the person's name.
        groups_claim: the claim with the person's groups, a list of texts.
        subject_prefix: precedes the names, as `subject_prefix` of the token service's source does. It is required if
            there are several issuers.
    """

    issuer: Name
    jwks: Name
    audience: list[Name] = Field(min_length=1, max_length=16)
    algorithms: list[Algorithm] = Field(["RS256", "PS256", "ES256", "EdDSA"], min_length=1)
    subject_claim: Name = "sub"
    groups_claim: Name = "groups"
    subject_prefix: str = Field("", max_length=64)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_url("jwks", self.jwks, file=True)
        return self


class ApprovalsSection(_Section):
    """`[approvals]`.

    Attributes:
        url: the URL of the service as others see it; questions name it, so that answers find it.
        host, port: where it listens.
        tls_certificate, tls_key: PEM files; needed off loopback, unless a proxy ends TLS (`behind_tls_proxy`).
        per_address_per_minute: requests; bursts of the same size are allowed.
        skew_ms: how far clocks may differ: of signed answers, and of issuers.
        retry_first_ms, retry_max_ms: the first and the longest pause before a question is sent again; it doubles.
        jwks_cache_ms, jwks_retry_ms, jwks_stale_ms, jwks_inner_hosts: as in `[sts]`.
    """

    url: str = Field("http://127.0.0.1:8422", max_length=512)
    host: str = "127.0.0.1"
    port: int = Field(8_422, ge=0, le=65_535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False
    per_address_per_minute: int = Field(120, ge=1, le=1_000_000)
    skew_ms: int = Field(300_000, ge=0, le=600_000)
    retry_first_ms: int = Field(500, ge=10, le=60_000)
    retry_max_ms: int = Field(60_000, ge=10, le=3_600_000)
    jwks_cache_ms: int = Field(300_000, ge=1_000, le=86_400_000)
    jwks_retry_ms: int = Field(30_000, ge=100, le=3_600_000)
    jwks_stale_ms: int = Field(3_600_000, ge=0, le=86_400_000)
    jwks_inner_hosts: list[Name] = Field([], max_length=64)
    webhooks: dict[str, WebhookSection] = Field({}, max_length=PARTIES_MAX)
    signers: dict[str, SignerSection] = Field({}, max_length=SIGNERS_MAX)
    people: dict[str, PeopleSection] = Field({}, max_length=PARTIES_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("`tls_certificate` and `tls_key` belong together")
        if self.host not in LOOPBACK and self.tls_key is None and not self.behind_tls_proxy:
            raise ValueError(
                f"`host` is `{self.host}`: answers would cross the network in the clear; set `tls_certificate` and "
                "`tls_key`, or `behind_tls_proxy`"
            )
        issuers = [people.issuer for people in self.people.values()]
        if len(set(issuers)) != len(issuers):
            raise ValueError("an issuer is named twice among the people")
        if len(issuers) > 1 and any("subject_prefix" not in each.model_fields_set for each in self.people.values()):
            raise ValueError("people of different issuers could have the same name: set `subject_prefix` for each")
        return self


def _check_url(name: str, stated: str, *, file: bool) -> None:
    place = urlsplit(stated)
    if place.scheme == "http" and place.hostname not in LOOPBACK:
        raise ValueError(f"`{name}` is `{stated}`: plain HTTP is not protected against tampering; use https")
    if not file and place.scheme not in ("http", "https"):
        raise ValueError(f"`{name}` is `{stated}`: it must be a URL")
