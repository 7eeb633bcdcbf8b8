"""Builds the keys of the issuers that the settings of a service name. Needs the extra `sts`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streams.identity.jwks import IssuerKeys, KeyTimes, Load, load_file, load_url
from streams.services.sections import IssuerSection, ListeningSection


def issuer_keys(
    issuer: IssuerSection, service: ListeningSection, monotonic_ms: Callable[[], int], *, load: Load | None = None
) -> IssuerKeys:
    """Return an issuer's keys, which are fetched when they are needed.

    Args:
        issuer: the section of the issuer.
        service: the section of the service that has the issuer.
        monotonic_ms: a clock that never goes back, ms.
        load: returns the key set, if it is not where the section says.
    """
    times = KeyTimes(service.jwks_cache_ms, service.jwks_retry_ms, service.jwks_stale_ms)
    if load is None:
        at_url = issuer.has_keys_at_url
        load = load_url(issuer.jwks, service.jwks_inner_hosts) if at_url else load_file(Path(issuer.jwks))
    return IssuerKeys(issuer.issuer, load, times, monotonic_ms)
