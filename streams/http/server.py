"""Serves an application over HTTP until a signal arrives, with limits on every resource."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from streams.http.header_bound import HEADER_BYTES_MAX
from streams.http.protocol import BoundedProtocol, ProxiedProtocol
from streams.model.errors import StoplogError

CONNECTIONS_MAX = 256
BACKLOG = 128
KEEP_ALIVE_S = 5
SHUTDOWN_S = 20


class ListenError(StoplogError):
    """The service can't listen on the address."""


class Listening(Protocol):
    """Where a service listens, and with which certificate."""

    @property
    def host(self) -> str:
        """Return the address."""

    @property
    def port(self) -> int:
        """Return the port; 0 for any free port."""

    @property
    def tls_certificate(self) -> Path | None:
        """Return the PEM file of the certificate."""

    @property
    def tls_key(self) -> Path | None:
        """Return the PEM file of the private key."""

    @property
    def behind_tls_proxy(self) -> bool:
        """Return whether all requests come through a proxy."""


def serve(application: ASGIApp, section: Listening, on_serving: Callable[[str, int], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish open requests for at most `SHUTDOWN_S`. Blocks.

    Args:
        application: an ASGI application.
        section: where to listen.
        on_serving: called with address and port once requests are accepted.

    Raises:
        ListenError: the service can't listen on the address.
    """
    server = Server(uvicorn_config(application, section), on_serving)
    listening = listen(section)
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def uvicorn_config(application: ASGIApp, section: Listening) -> uvicorn.Config:
    """Return the configuration of the server."""
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
        **tls,  # type: ignore[arg-type]  # mypy does not know the types by name in a dictionary of texts
    )


def listen(section: Listening) -> socket.socket:
    """Return a socket that is bound to the address.

    Raises:
        ListenError: the service can't listen on the address.
    """
    try:
        found = socket.getaddrinfo(section.host, section.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _name, address = found[0]
        # With its protocol named: asyncio sends small responses at once (TCP_NODELAY) only if it knows that it is TCP.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise ListenError(f"can't listen on {section.host}:{section.port}: {error.strerror or error}") from None
    return listening


class Server(uvicorn.Server):
    """Uvicorn's server, which reports when it has started."""

    def __init__(self, config: uvicorn.Config, on_serving: Callable[[str, int], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on the first signal.

        Uvicorn would raise the signal again afterwards, which would end the process before the caller has released its
        resources.
        """
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
        """Start accepting requests."""
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._on_serving(str(host), int(port))
