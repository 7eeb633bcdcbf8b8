"""HTTP/1.1 of uvicorn, with limits on the time for a request's head, and on the connections of one client.

Uvicorn waits for a head without a limit: a few hundred silent connections would use up all connections.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from streams.http.client_address import address_of, place

HEAD_TIMEOUT_S = 5.0
CONNECTIONS_PER_PLACE_MAX = 64
"""How many connections from one place can be open. This machine has no limit: a proxy on it serves everybody."""


class BoundedProtocol(H11Protocol):
    """A connection with limits."""

    per_place_max: int | None = CONNECTIONS_PER_PLACE_MAX
    _place: str | None = None
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Accept the connection, unless its place has too many, and start the timer for the first head."""
        super().connection_made(transport)
        self._place = counted_place(self.client)
        if self._place is not None and self.per_place_max is not None:
            same = sum(isinstance(one, BoundedProtocol) and one._place == self._place for one in self.connections)
            if same > self.per_place_max:
                transport.abort()
                return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Process data, and start the timer for the head of the next request once it has begun."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _unwatch(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


class ProxiedProtocol(BoundedProtocol):
    """A connection from a proxy, which serves all clients."""

    per_place_max = None


def counted_place(client: tuple[str, int] | None) -> str | None:
    """Return where a client is, for the limit on its connections; None if they are not counted."""
    host = "" if client is None else client[0]
    address = address_of(host)
    return None if address is None or address.is_loopback else place(host)
