"""What the sections of several services' settings have in common: where a service listens, and whose tokens it reads.

It is read wherever settings are, also where no server is installed: it imports neither a server nor a client of HTTP.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.http.client_address import LOOPBACK
from streams.identity.algorithms import Algorithm

HTTP_SCHEMES = frozenset({"http", "https"})
Name = Annotated[str, Field(min_length=1, max_length=512)]


class Section(BaseModel):
    """A section that accepts no unknown settings and does not change."""

    # Validators are made for sections that a command reads, not for their neighbors: it reads two or three of many.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ListeningSection(Section):
    """A service that listens, and that reads the keys of issuers.

    Each service states its own `port`.

    Attributes:
        host: the address that it listens on.
        port: the port that it listens on; 0: any free port.
        tls_certificate: the file of the TLS certificate (PEM). It is needed if other machines can reach the service,
            unless a proxy ends TLS.
        tls_key: the file of the certificate's private key (PEM).
        behind_tls_proxy: whether a proxy in front of the service ends TLS.
        jwks_cache_ms: how long the keys of issuers are used without fetching them again.
        jwks_retry_ms: the least time between two requests for an issuer's keys.
        jwks_stale_ms: how long cached keys are still used if they can't be fetched again.
        jwks_inner_hosts: the hosts of `jwks` URLs whose names may resolve to private addresses.
    """

    carries: ClassVar[str]
    """What would cross the network in the clear without TLS."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65_535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False
    jwks_cache_ms: int = Field(300_000, ge=1_000, le=86_400_000)
    jwks_retry_ms: int = Field(30_000, ge=100, le=3_600_000)
    jwks_stale_ms: int = Field(3_600_000, ge=0, le=86_400_000)
    jwks_inner_hosts: list[Name] = Field([], max_length=64)

    @property
    def on_loopback(self) -> bool:
        """Return whether the service can't be reached from other machines."""
        return self.host in LOOPBACK

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("`tls_certificate` and `tls_key` belong together")
        if not self.on_loopback and self.tls_key is None and not self.behind_tls_proxy:
            raise ValueError(
                f"`host` is `{self.host}`: {self.carries} would cross the network in the clear; "
                "set `tls_certificate` and `tls_key`, or `behind_tls_proxy`"
            )
        return self


class IssuerSection(Section):
    """An issuer whose tokens, or signed events, are accepted.

    Attributes:
        issuer: its `iss`.
        jwks: where its public keys are: an `https` URL (`http` on loopback), or a file.
        audience: a token, or a signed event, must be for one of these.
        algorithms: the accepted signature algorithms.
        subject_prefix: precedes the names of its users, so that users of two issuers can't have the same name.
    """

    issuer: Name
    jwks: Name
    audience: list[Name] = Field(min_length=1, max_length=16)
    algorithms: list[Algorithm] = Field(["RS256", "PS256", "ES256", "EdDSA"], min_length=1)
    subject_prefix: str = Field("", max_length=64)

    @property
    def has_keys_at_url(self) -> bool:
        """Return whether `jwks` is a URL; it is a path of a file otherwise."""
        return urlsplit(self.jwks).scheme in HTTP_SCHEMES

    @model_validator(mode="after")
    def _check_jwks(self) -> Self:
        check_protected("jwks", self.jwks)
        return self


def check_protected(name: str, place: str) -> None:
    """Raise a ValueError if a URL is plain HTTP off loopback. A path of a file is accepted.

    Args:
        name: the name of the setting.
        place: its value.
    """
    url = urlsplit(place)
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise ValueError(f"`{name}` is `{place}`: plain HTTP is not protected against tampering; use https")


def check_url(place: str) -> None:
    """Raise a ValueError if the value of a setting `url` is not a URL, or is plain HTTP off loopback."""
    check_protected("url", place)
    if urlsplit(place).scheme not in HTTP_SCHEMES:
        raise ValueError(f"`url` is `{place}`: it must be a URL")
