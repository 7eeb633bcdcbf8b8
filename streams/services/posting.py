"""Posts over HTTP to receivers outside, each request within a time, however slowly the receiver answers.

The timeouts of an HTTP client are those of single reads: a receiver that sends a byte of its headers now and then, or
one `103 Early Hints` after the other, is waited for without end. So the whole request has a limit of its own.

Needs the extra `sts`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

UNREADABLE = frozenset({400, 413, 415, 422})
"""Answers after which the same message will never be accepted: its receiver can't read it."""


class Posted(NamedTuple):
    """What a receiver has answered: its status, its headers, and if it has not accepted, the beginning of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Return whether the status says that the receiver has accepted what was posted."""
        return httpx2.codes.is_success(self.status)


def cause_of(error: httpx2.HTTPError | OSError) -> str:
    """Return why there was no answer, for whoever has to mend it, without the URL, which can be a secret."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"certificate not accepted: {found.verify_message}"
        if isinstance(found, socket.gaierror | ssl.SSLError):
            return str(found.strerror)
        if isinstance(found, OSError) and found.errno is not None:
            return os.strerror(found.errno)
        found = found.__cause__ or found.__context__
    return (isinstance(error, httpx2.TimeoutException | TimeoutError) and str(error)) or type(error).__name__


class Poster:
    """Posts, over connections that stay open. It follows no redirects, so that signatures and tokens reach nobody else,
    and uses no proxy. Only one thread posts; another one may close it."""

    def __init__(self, timeout_s: float) -> None:
        """Args:
        timeout_s: how long connecting may take, and then the whole of an answer.
        """
        self._whole_s = 2 * timeout_s
        self._runner = asyncio.Runner()
        self._client = httpx2.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], answer_bytes_max: int = 0) -> Posted:
        """Return the answer. Blocks for a bounded time.

        Args:
            answer_bytes_max: how much is read of the body of an answer that does not accept.

        Raises:
            httpx2.HTTPError: there is no answer, or not in time.
        """
        return self._runner.run(self._posted(url, body, headers, answer_bytes_max))

    def close(self) -> None:
        """Close the connections, unless a request is still under way, which ends by itself."""
        if not self._runner.get_loop().is_running():
            self._runner.run(self._client.aclose())
            self._runner.close()

    async def _posted(self, url: str, body: bytes, headers: Mapping[str, str], answer_bytes_max: int) -> Posted:
        try:
            async with (
                asyncio.timeout(self._whole_s),
                self._client.stream("POST", url, content=body, headers=dict(headers)) as response,
            ):
                said = b"" if response.is_success else await _beginning(response, answer_bytes_max)
                return Posted(response.status_code, response.headers, said)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole answer within {self._whole_s:g} s") from None


async def _beginning(response: httpx2.Response, bytes_max: int) -> bytes:
    got = bytearray()
    if bytes_max:
        async for part in response.aiter_bytes():
            got += part
            if len(got) > bytes_max:
                break
    return bytes(got[:bytes_max])
