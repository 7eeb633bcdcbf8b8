"""HTTP/1.1 as uvicorn speaks it, with bounds on the time that a request's head may take, and on who has how many
connections.

Uvicorn waits for a head without end: a few hundred connections on which nothing comes would take all there are.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from streams.http.client_address import address_of, place

HEAD_TIMEOUT_S = 5.0
CONNECTIONS_PER_PLACE_MAX = 64
"""Open at once from one place. This machine is none: a proxy on it is everybody."""


class BoundedProtocol(H11Protocol):
    """One connection."""

    per_place_max: int | None = CONNECTIONS_PER_PLACE_MAX
    _place: str | None = None
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The first request's head must come in time."""
        super().connection_made(transport)
        self._place = _counted_place(self.client)
        if self._place is not None and self.per_place_max is not None:
            same = sum(isinstance(one, BoundedProtocol) and one._place == self._place for one in self.connections)
            if same > self.per_place_max:
                transport.abort()
                return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """So must that of every other, once it has begun."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
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
    """One connection of a proxy, through which everybody comes."""

    per_place_max = None


def _counted_place(client: tuple[str, int] | None) -> str | None:
    host = "" if client is None else client[0]
    address = address_of(host)
    return None if address is None or address.is_loopback else place(host)
