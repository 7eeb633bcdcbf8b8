"""Credentials of AWS that are fetched beside the requests, so that nobody waits for them longer than is stated.

botocore renews credentials inside the request that needs them, with waits and repetitions of its own: an STS that does
not answer holds it up for minutes, a metadata service of containers for nine seconds, and a `credential_process` for as
long as it runs. A gate's transaction would wait as long.

Here a thread of its own fetches them, one at a time. A request takes those that are there while they count, so it waits
for nothing while they are renewed ahead of their end. Only without such does it wait for the thread, up to a bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from streams.sdk.keys.aws_errors import CredentialsError, reason_of, told

FIRST_TIMEOUT_MS = 10_000
"""How long the first credentials may take at least: they are fetched before anything depends on their client."""
_MS_PER_S = 1_000


class _Fetched(NamedTuple):
    """Credentials of botocore, and what they were when they were fetched."""

    source: Any
    frozen: Any

    def end_within(self, seconds: int | None = None) -> bool:
        """Return whether they end within a time, by default that in which botocore renews them."""
        # Those of environment variables and of files have no end.
        return hasattr(self.source, "refresh_needed") and bool(self.source.refresh_needed(seconds))


class BoundedCredentials:
    """Credentials as a client of botocore takes them. Thread-safe."""

    def __init__(self, load: Callable[[], Any], timeout_ms: int) -> None:
        """Take what loads them; nothing is loaded yet.

        Args:
            load: returns credentials of botocore, or None if there are none. Blocking.
            timeout_ms: how long a request waits for their renewal. For the first ones it waits at least
                `FIRST_TIMEOUT_MS`.
        """
        self._load = load
        self._timeout_ms = timeout_ms
        self._lock = threading.Lock()
        self._fetched: _Fetched | None = None
        self._fetching: Future[Any] | None = None

    def get_frozen_credentials(self) -> Any:
        """Return credentials that can sign, or None if there are none. Blocking, up to the bound.

        Raises:
            CredentialsError: they can't be fetched, or not in time.
        """
        fetched = self._fetched
        if fetched is not None and not fetched.end_within():
            return fetched.frozen
        fetching = self._fetch()
        if fetched is not None and not fetched.end_within(0):
            return fetched.frozen
        timeout_ms = self._timeout_ms if fetched is not None else max(self._timeout_ms, FIRST_TIMEOUT_MS)
        try:
            return fetching.result(timeout_ms / _MS_PER_S)
        except TimeoutError:
            text = f"no credentials have come within {timeout_ms} ms"
            raise CredentialsError(f"{text}; look at what gives them to this machine or profile") from None

    def load_credentials(self) -> BoundedCredentials:
        """Return these: botocore asks its provider of credentials for them when it creates a client."""
        return self

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """Return what returns a property if there is one, for botocore's choice of an endpoint."""
        return partial(getattr, self, name, None)

    def _fetch(self) -> Future[Any]:
        """Return the fetching that is under way, or begin one."""
        with self._lock:
            if self._fetching is None or self._fetching.done():
                self._fetching = Future()
                # A process does not wait at its end for what never answers.
                threading.Thread(target=self._run, args=(self._fetching,), name="aws-credentials", daemon=True).start()
            return self._fetching

    def _run(self, fetching: Future[Any]) -> None:
        try:
            source = self._load() if self._fetched is None else self._fetched.source
            frozen = None if source is None else source.get_frozen_credentials()
            if frozen is not None:
                self._fetched = _Fetched(source, frozen)
        except Exception as error:
            # Wherever they come from: whoever waits gets the reason.
            fetching.set_exception(CredentialsError(_fault(error)))
        else:
            fetching.set_result(frozen)


def bound_credentials(session: Any, region: str, timeout_ms: int) -> None:
    """Have the clients of a session of botocore wait for credentials no longer than is stated.

    Args:
        region: the region whose STS is asked for a role.
        timeout_ms: see `BoundedCredentials`.
    """
    from botocore.credentials import create_credential_resolver  # noqa: PLC0415 - needs the extra `aws`

    def load() -> Any:
        return create_credential_resolver(session, region_name=region).load_credentials()

    session.register_component("credential_provider", BoundedCredentials(load, timeout_ms))


def _fault(error: Exception) -> str:
    """Return why credentials can't be fetched."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        operation = getattr(error, "operation_name", "a request")
        return f"no credentials, as `{operation}` is refused: {reason_of(response)}"
    return f"no credentials: {told(error)}"
