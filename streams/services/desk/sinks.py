"""Sends messages to the receivers outside: HTTP, syslog and files.

A sink has one thread, which sends one message after the other, so that what is acknowledged never overtakes what it is
about. What a sink says about a failure names neither a secret nor a URL, because the URL of a chat is a secret.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx2

from streams.desk.messages import Message
from streams.services.posting import UNREADABLE, Poster, cause_of

RETRY_AFTER_MS_MAX = 3_600_000
SECONDS_DIGITS_MAX = 8
SYSLOG_ANSWER_BYTES_MAX = 4_096
TIMEOUT_S_MIN = 0.001
"""With 0, a socket would not wait at all."""
FILE_MODE = 0o600
_MS_PER_S = 1_000
_RETRY_AFTER = frozenset({429, 503})


class Fault(NamedTuple):
    """Why a sink has not accepted a message.

    Attributes:
        text: the cause.
        is_final: whether it will never accept this message.
        retry_after_ms: how long the receiver wants to be left alone; 0 if it does not say.
    """

    text: str
    is_final: bool = False
    retry_after_ms: int = 0


class Sink(ABC):
    """A receiver of messages. Called by one thread."""

    @abstractmethod
    def send(self, message: Message) -> Fault | None:
        """Send a message. Return None when the receiver has accepted it. Blocks for a bounded time."""

    def close(self) -> None:  # noqa: B027 - only some sinks keep something open
        """Release what is open."""


class Request(NamedTuple):
    """What is sent by HTTP: the body, and the headers besides the type of the content."""

    body: bytes
    headers: dict[str, str]


class HttpSink(Sink):
    """Posts JSON."""

    def __init__(self, url: str, request_of: Callable[[Message], Request], timeout_ms: int) -> None:
        """Args:
        url: where to post.
        request_of: makes the request for a message.
        timeout_ms: how long connecting may take, and how long the whole answer.
        """
        self._url = url
        self._request_of = request_of
        self._poster = Poster(timeout_ms / _MS_PER_S)

    def send(self, message: Message) -> Fault | None:
        """Send a message; the status alone says whether it is accepted, and the body is not read."""
        request = self._request_of(message)
        headers = {**request.headers, "content-type": "application/json"}
        try:
            answer = self._poster.post(self._url, request.body, headers)
        except httpx2.HTTPError as error:
            return Fault(f"no answer ({cause_of(error)})")
        return None if answer.is_success else _http_fault(answer.status, answer.headers.get("retry-after", ""))

    def close(self) -> None:
        """Close the connections."""
        self._poster.close()


class SyslogSink(Sink):
    """Sends each message over a TCP connection of its own.

    **Idea.** Syslog has no receipts, and what is written to a connection may lie in a buffer when its receiver ends. So
    the sink closes its side after the message, and waits until the receiver closes the other one, which it does when it
    has read everything. What is not confirmed so is sent again.
    """

    def __init__(
        self,
        address: tuple[str, int],
        frame_of: Callable[[Message], bytes],
        timeout_ms: int,
        *,
        tls: ssl.SSLContext | None,
        confirms: bool,
    ) -> None:
        """Args:
        address: host and port.
        frame_of: makes the frame of a message.
        timeout_ms: how long connecting, sending and closing may take, each.
        tls: how the connection is encrypted; None: it is not.
        confirms: whether to wait until the receiver closes the connection.
        """
        self._address = address
        self._frame_of = frame_of
        self._timeout_s = timeout_ms / _MS_PER_S
        self._tls = tls
        self._confirms = confirms

    def send(self, message: Message) -> Fault | None:
        """Send a message."""
        try:
            with socket.create_connection(self._address, self._timeout_s) as plain:
                if self._tls is None:
                    return self._sent(plain, self._frame_of(message))
                with self._tls.wrap_socket(plain, server_hostname=self._address[0]) as encrypted:
                    return self._sent(encrypted, self._frame_of(message))
        except OSError as error:
            return Fault(f"no answer ({cause_of(error)})")

    def _sent(self, connection: socket.socket, frame: bytes) -> Fault | None:
        connection.sendall(frame)
        if not self._confirms:
            return None
        if isinstance(connection, ssl.SSLSocket):
            _unwrap(connection)
            return None
        connection.shutdown(socket.SHUT_WR)
        read_bytes = 0
        ends_s = time.monotonic() + self._timeout_s
        while answer := connection.recv(SYSLOG_ANSWER_BYTES_MAX):
            read_bytes += len(answer)
            # The receiver has the whole of the time once, not for each byte that it sends.
            connection.settimeout(max(TIMEOUT_S_MIN, ends_s - time.monotonic()))
            if read_bytes > SYSLOG_ANSWER_BYTES_MAX:
                return Fault("the receiver answers instead of closing the connection: is it one of syslog?")
        return None


def _unwrap(connection: ssl.SSLSocket) -> None:
    """End an encrypted stream, and wait until the receiver ends its side of it, or closes the connection in order.

    Raises:
        OSError: it did not end in time, or was cut off.
    """
    try:
        connection.unwrap().close()
    except ssl.SSLEOFError:
        return
    except OSError as error:
        # An end without a last message of TLS has the number 0. What is cut off has another, and a timeout has none.
        if error.errno != 0:
            raise


class FileSink(Sink):
    """Appends lines to a file. Each line is on disk before the message counts as delivered."""

    def __init__(self, path: Path, line_of: Callable[[Message], bytes]) -> None:
        """Args:
        path: the file.
        line_of: makes the line of a message, with its end.
        """
        self._path = path
        self._line_of = line_of

    def send(self, message: Message) -> Fault | None:
        """Append a message; a line that a crash or a full disk has cut off is ended first."""
        try:
            is_new = not self._path.exists()
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, FILE_MODE)
            try:
                size = os.fstat(file).st_size
                start = b"" if size == 0 or os.pread(file, 1, size - 1) == b"\n" else b"\n"
                _write_all(file, start + self._line_of(message), size)
                os.fsync(file)
            finally:
                os.close(file)
            if is_new:
                _sync_folder(self._path.parent)
        except OSError as error:
            return Fault(f"`{self._path}` can't be written: {error.strerror}")
        return None


def _write_all(file: int, data: bytes, size: int) -> None:
    """Append data, or leave the file as it was."""
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _http_fault(status: int, retry_after: str) -> Fault:
    wanted_ms = 0
    is_seconds = retry_after.isascii() and retry_after.isdigit() and len(retry_after) <= SECONDS_DIGITS_MAX
    if status in _RETRY_AFTER and is_seconds:
        wanted_ms = min(int(retry_after) * _MS_PER_S, RETRY_AFTER_MS_MAX)
    return Fault(f"status {status}", status in UNREADABLE, wanted_ms)
