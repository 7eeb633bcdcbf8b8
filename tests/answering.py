"""Servers of HTTP on loopback: what they have received whole, and one that gives every request the same answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def body_of(handler: BaseHTTPRequestHandler) -> bytes:
    """Read the body of a request.

    Raises ConnectionError where the client went away in the middle of it, as one that is killed does: such a request
    is neither kept nor answered.
    """
    length = int(handler.headers.get("content-length") or 0)
    body = handler.rfile.read(length)
    if len(body) < length:
        raise ConnectionError(f"the client went away after {len(body)} of {length} bytes")
    return body


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Run a server that answers each POST with `status` and `body`; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body_of(self)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
