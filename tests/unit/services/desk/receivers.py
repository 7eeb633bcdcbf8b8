"""Receivers of the desk's messages on loopback, which fail as they are told, and keep what they have accepted."""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, NamedTuple

from tests.answering import body_of

WAIT_S = 30.0
SLOW_S = 0.2
"""Between two bytes of a receiver that is slow."""
RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: to close is to reset the connection."""


class Post(NamedTuple):
    """A request that was accepted."""

    path: str
    headers: dict[str, str]
    body: bytes


class Web:
    """An HTTP server. `script` says how the next requests fail: a status, `timeout`, `slow`, `closed`, `redirect`.

    A firewall before it refuses each body that has `forbidden` in it.
    """

    def __init__(self, accepted_status: int = 200) -> None:
        self.script: list[int | str] = []
        self.forbidden = b""
        self.posts: list[Post] = []
        self.attempts = 0
        self.attempt_times: list[float] = []
        self.redirected = 0
        self.retry_after = ""
        self.accepted_status = accepted_status
        self._released = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                web.attempts += 1
                web.attempt_times.append(time.monotonic())
                body = body_of(self)
                if self.path == "/elsewhere":
                    web.redirected += 1
                    return self._answer(200)
                step = web._step(body)
                if step in ("timeout", "slow"):
                    return stall(self.wfile, web._released, WAIT_S if step == "timeout" else SLOW_S)
                if step == "closed":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    self.connection.close()
                    return None
                if step == "redirect":
                    return self._answer(307)
                if step == web.accepted_status:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    web.posts.append(Post(self.path, headers, body))
                return self._answer(int(step))

            def _answer(self, status: int) -> None:
                self.send_response(status)
                if web.retry_after and status in (429, 503):
                    self.send_header("retry-after", web.retry_after)
                if status == 307:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Not on the screen."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """A client that goes away is not worth a traceback."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _step(self, body: bytes) -> int | str:
        """Return how a request is answered."""
        if self.forbidden and self.forbidden in body:
            return 403
        return self.script.pop(0) if self.script else self.accepted_status

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


def stall(wfile: BufferedIOBase, released: threading.Event, pause_s: float) -> None:
    """Answer a byte after each pause, until the client has had enough."""
    with suppress(OSError):
        for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(ord("a"))):
            if released.wait(pause_s):
                return
            wfile.write(bytes((byte,)))


class Syslog:
    """A receiver of framed syslog over TCP. `script` says how the next connections fail: `closed`, `timeout`, `cut`.

    `closed` resets the connection at once, `cut` after half of the frame, and `timeout` never ends it.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, ends_in_order: bool = True) -> None:
        self.script: list[str] = []
        self.frames: list[bytes] = []
        self.attempts = 0
        self._tls = tls
        self._ends_in_order = ends_in_order
        self._released = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._released.set()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.attempts += 1
            threading.Thread(target=self._receive, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        step = self.script.pop(0) if self.script else ""
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            if step == "timeout":
                self._released.wait(WAIT_S)
            if step in ("closed", "cut"):
                if step == "cut":
                    connection.recv(20)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.close()
                return
            received = b""
            while data := connection.recv(65_536):
                received += data
            self.frames += list(frames_of(received))
            if self._tls is not None and self._ends_in_order:
                assert isinstance(connection, ssl.SSLSocket)
                connection.unwrap()
        except OSError:
            pass
        finally:
            connection.close()


def frames_of(stream: bytes) -> Iterator[bytes]:
    """The messages of a stream that are framed by their lengths (RFC 6587, 3.4.1)."""
    while stream:
        length, _, rest = stream.partition(b" ")
        size = int(length)
        assert len(rest) >= size, "the last frame is cut off"
        yield rest[:size]
        stream = rest[size:]


@contextmanager
def web(accepted_status: int = 200) -> Iterator[Web]:
    made = Web(accepted_status)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def syslog(tls: ssl.SSLContext | None = None, *, ends_in_order: bool = True) -> Iterator[Syslog]:
    made = Syslog(tls, ends_in_order=ends_in_order)
    try:
        yield made
    finally:
        made.close()
