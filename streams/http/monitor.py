"""Serves `/metrics`, `/health/live`, `/health/ready` and views of a process, in threads of their own.

It needs nothing but the standard library, so that an executor can serve its health without further packages. It is
meant for the own machine or an inner network: there is no TLS, and whoever reaches it may read it. No answer holds a
name of a tenant, a session, an agent or a user.

Rejected: routes of the service's own HTTP server. A gate and an executor have none, a token service's is open to
clients, and a probe must be answered although all of that server's threads are busy.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from streams.metrics.health import Health, Probe
from streams.model.errors import StoplogError

LOOPBACK = "127.0.0.1"
REQUESTS_MAX = 16
"""How many requests are answered at once; further ones are closed."""
REQUEST_S_MAX = 5.0
"""The time for a whole request, however little of it arrives at a time, and for its answer."""
_JSON = "application/json"

Scrape = Callable[[str], tuple[bytes, str]]
"""Returns the metrics and their media type, for the value of the header `Accept`."""


View = Callable[[], bytes]
"""Returns JSON about the process as it is now. Thread-safe."""


class MonitorError(StoplogError):
    """The address can't be listened on."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = REQUESTS_MAX

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(REQUESTS_MAX)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients go away at any time."""


@contextmanager
def monitored(
    listen: str, probe: Probe | None = None, scrape: Scrape | None = None, views: Mapping[str, View] | None = None
) -> Iterator[int]:
    """Serve the three paths while entered.

    Args:
        listen: `host:port`; without a host, loopback. Port 0 is any free one.
        probe: the health of the process; without one, `/health/ready` says the same as `/health/live`: it answers.
        scrape: the metrics; without them, `/metrics` is not found.
        views: what further paths return, by the path.

    Yields:
        The port.

    Raises:
        MonitorError: the address can't be listened on.
    """
    host, _, port = listen.rpartition(":")
    handler = _handler(probe or Health, scrape, views or {})
    try:
        server = _Server((host.strip("[]") or LOOPBACK, int(port)), handler)
    except (OSError, OverflowError, ValueError) as error:
        raise MonitorError(f"can't listen on `{listen}`: {error}") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="stoplog monitor", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _TimelyHandler(BaseHTTPRequestHandler):
    """Handles a request that arrives within a time.

    `timeout` bounds the wait for the next byte alone: a few clients that send one now and then would keep all probes
    away, and whatever restarts processes by their probes would end this one.
    """

    timeout = REQUEST_S_MAX

    def setup(self) -> None:
        super().setup()
        self._late = threading.Timer(REQUEST_S_MAX, self._read_no_more)
        self._late.daemon = True
        self._late.start()

    def finish(self) -> None:
        self._late.cancel()
        super().finish()

    def _read_no_more(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)


def _handler(probe: Probe, scrape: Scrape | None, views: Mapping[str, View]) -> type[BaseHTTPRequestHandler]:
    class Handler(_TimelyHandler):
        server_version = "stoplog"
        sys_version = ""

        def do_GET(self) -> None:
            status, body, media_type = self._answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Log nothing: a probe comes every few seconds."""

        def _answer(self, path: str) -> tuple[int, bytes, str]:
            if path == "/metrics" and scrape is not None:
                return HTTPStatus.OK, *scrape(self.headers.get("Accept", ""))
            if path in views:
                return HTTPStatus.OK, views[path](), _JSON
            if path not in ("/health/live", "/health/ready"):
                return HTTPStatus.NOT_FOUND, b'{"status":"not found"}\n', _JSON
            health = probe()
            if path == "/health/live":
                return _told(health.is_live, [health.hangs] if health.hangs else [])
            return _told(health.is_ready, [*([health.hangs] if health.hangs else []), *health.waits_for])

    return Handler


def _told(is_well: bool, reasons: list[str]) -> tuple[int, bytes, str]:
    status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
    members: dict[str, object] = {"status": "ok" if is_well else "unavailable"}
    if not is_well:
        members["reasons"] = reasons
    return status, json.dumps(members).encode() + b"\n", _JSON
