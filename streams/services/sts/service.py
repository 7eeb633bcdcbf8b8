"""Putting the token service together, and running it on HTTP until it is told to stop."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

import uvicorn
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from streams.http.limits import RateLimit
from streams.http.protocol import BoundedProtocol, ProxiedProtocol
from streams.identity.jwks import WAIT_S, IssuerKeys, KeyTimes, Load, load_file, load_url
from streams.identity.keyring import KeyRing
from streams.operations.topics.plan import TOKEN_SERVICE_PREFIX
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.revocations import RevocationWatch
from streams.sdk.transport import Transport
from streams.services.sts.development_issuer import DevIssuer, from_here_alone, with_dev_issuer
from streams.services.sts.endpoints import HEADER_BYTES_MAX, Endpoints
from streams.services.sts.errors import StsError
from streams.services.sts.exchange import Parts, TokenService
from streams.services.sts.session_writer import Ledger
from streams.services.sts.settings import LOOPBACK, SourceSection, StsSection
from streams.services.sts.sources import Sources
from streams.services.sts.store import StsStore

CONNECTIONS_MAX = 256
BACKLOG = 128
KEEP_ALIVE_S = 5
SHUTDOWN_S = 20
RETIRED_KEPT_MS = 2 * 86_400_000
"""How long a key that signs no more is still published: longer than any session lives."""


class RunningSts:
    """A token service with everything that it is made of; a context manager.

    Attributes:
        application: on ASGI.
        keys: its signing keys.
        parts: all that it works with.
        dev: the issuer for development, if there is one.
    """

    def __init__(
        self,
        section: StsSection,
        transport: Transport,
        root_key: bytes,
        *,
        tenant_uid: str,
        folder: Path,
        instance: str = "1",
        dev_issuer: bool = False,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Open everything; blocks until what was revoked is known.

        Args:
            section: `[sts]` of the settings.
            transport: the log; it stays its opener's to close.
            folder: where signing keys and the memory of tokens are.
            instance: its stable name, different for each that runs.
            dev_issuer: whether to give tokens of anybody to anybody.

        Raises:
            StsError: it can't run so.
            ExecutorError: what was revoked could not be read.
            LogError: a topic that it writes does not exist.
        """
        self.dev = _dev_issuer(section, entropy) if dev_issuer else None
        section = section if self.dev is None else with_dev_issuer(section, self.dev)
        if not section.sources or not section.agents:
            raise StsError(
                "no tokens would count: name issuers in `[sts.sources]` and agents in `[sts.agents]`, or try it with "
                "`--dev-issuer`"
            )
        with ExitStack() as opened:
            self.keys = keys_in(folder, entropy)
            store = StsStore(folder / "memory.sqlite")
            opened.callback(store.close)
            name = f"{TOKEN_SERVICE_PREFIX}{instance}"
            ledger = Ledger(transport, root_key, issuer=section.issuer, name=name, entropy=entropy)
            opened.callback(ledger.close)
            revocations = RevocationWatch(transport)
            opened.callback(revocations.close)
            revocations.start()
            ledger.check_topics()
            loads = {
                name: load_file(Path(source.jwks)) if is_file(source) else load_url(source.jwks)
                for name, source in section.sources.items()
            }
            if self.dev is not None:
                loads |= dict.fromkeys(self.dev.sources(), self.dev.key_set)
            sources = _sources(section, loads, tenant_uid, entropy, transport.now_ms)
            sources.load(WAIT_S)
            parts = Parts(
                section=section,
                root_key=root_key,
                tenant_uid=tenant_uid,
                sources=sources,
                keys=self.keys,
                store=store,
                ledger=ledger,
                revocations=revocations,
                entropy=entropy,
                now_ms=transport.now_ms,
            )
            per_address = RateLimit(section.per_address_per_minute, entropy.monotonic_ms)
            self.parts = parts
            endpoints = Endpoints(TokenService(parts), self.keys, section, per_address)
            opened.callback(endpoints.close)
            more: list[BaseRoute] = [] if self.dev is None else self.dev.routes()
            application = endpoints.application(more)
            self.application: ASGIApp = application if self.dev is None else from_here_alone(application)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Answer what is being worked on, and release everything."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def keys_in(folder: Path, entropy: Entropy = SYSTEM) -> KeyRing:
    """The signing keys of a service; the first time, they are made.

    Raises:
        StsError: they can't be used.
    """
    return KeyRing(folder / "keys", entropy.now_ms, entropy.monotonic_ms)


def is_file(source: SourceSection) -> bool:
    """Whether a source's keys are in a file."""
    return urlsplit(source.jwks).scheme not in ("http", "https")


class Listening(Protocol):
    """Where a service listens, and with what."""

    @property
    def host(self) -> str:
        """The address."""

    @property
    def port(self) -> int:
        """0 for any that is free."""

    @property
    def tls_certificate(self) -> Path | None:
        """A PEM file."""

    @property
    def tls_key(self) -> Path | None:
        """A PEM file."""

    @property
    def behind_tls_proxy(self) -> bool:
        """Whether all that comes, comes through a proxy."""


def serve(running: RunningSts, section: StsSection, on_serving: Callable[[str, int], None]) -> None:
    """Serve until SIGINT or SIGTERM, then answer what has come in, for at most `SHUTDOWN_S`. Blocks.

    Args:
        on_serving: told of the address and port once requests are taken.

    Raises:
        StsError: the address can't be used.
    """
    server = Server(uvicorn_config(running.application, section), on_serving)
    listening = listen(section)
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def uvicorn_config(application: ASGIApp, section: Listening) -> uvicorn.Config:
    """How requests are taken, every part of it bounded."""
    tls = {}
    if section.tls_key is not None:
        tls = {"ssl_keyfile": str(section.tls_key), "ssl_certfile": str(section.tls_certificate)}
    return uvicorn.Config(
        application,
        http=ProxiedProtocol if section.behind_tls_proxy else BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        **tls,  # type: ignore[arg-type]
    )


def listen(section: Listening) -> socket.socket:
    """Raises:
    StsError: the address can't be used.
    """
    try:
        found = socket.getaddrinfo(section.host, section.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _name, address = found[0]
        # With its protocol named: asyncio sends small answers at once (TCP_NODELAY) only where it knows that it is TCP.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise StsError(f"can't listen at {section.host}:{section.port}: {error.strerror or error}") from None
    return listening


class Server(uvicorn.Server):
    """Uvicorn's, which says when it has begun."""

    def __init__(self, config: uvicorn.Config, on_serving: Callable[[str, int], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in good order on the first signal. Uvicorn would raise it again afterwards, and so end the process before
        its caller has released what it holds."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._on_serving(str(host), int(port))


def _dev_issuer(section: StsSection, entropy: Entropy) -> DevIssuer:
    if not section.on_loopback or section.behind_tls_proxy or urlsplit(section.issuer).hostname not in LOOPBACK:
        raise StsError(
            "`--dev-issuer` gives tokens of anybody to anybody: it is refused where others could reach it "
            f"(`{section.host}`, known as `{section.issuer}`); bind to 127.0.0.1, with an issuer on it and without "
            "`behind_tls_proxy`"
        )
    return DevIssuer(section.issuer, entropy)


def _sources(
    section: StsSection, loads: dict[str, Load], tenant_uid: str, entropy: Entropy, now_ms: Callable[[], int]
) -> Sources:
    times = KeyTimes(section.jwks_cache_ms, section.jwks_retry_ms, section.jwks_stale_ms)
    keyed = {
        name: (source, IssuerKeys(source.issuer, loads[name], times, entropy.monotonic_ms))
        for name, source in section.sources.items()
    }
    return Sources(keyed, tenant_uid=tenant_uid, skew_ms=section.skew_ms, now_ms=now_ms)
