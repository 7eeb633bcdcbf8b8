"""Remembers when the attributes were signed of entities that are no longer held, so that old ones don't count again.

If there is no room for all of these times, the tenant that has most loses its earliest. So a tenant that writes and
removes entities again and again makes a gate forget only its own.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from streams.model.attributes import tenant_in

REMOVED_BYTES = 180
"""What the time of an entity that is no longer held takes besides its key."""
_OUTDATED_MAX = 64
"""How many sizes of tenants are kept that are no longer theirs, besides as many as there are tenants."""


class RemovedEntities:
    """Times of signatures, by the tenants and the keys of their entities.

    Attributes:
        bytes_count: what they take.
    """

    def __init__(self) -> None:
        """Create it without any."""
        self.bytes_count = 0
        self._times: dict[bytes, dict[bytes, int]] = {}
        self._tenant_bytes: dict[bytes, int] = {}
        # INVARIANT: the size of each tenant is in it, negative. One that is outdated is skipped when it comes up.
        self._largest: list[tuple[int, bytes]] = []

    def find(self, key: bytes) -> int | None:
        """Return when the attributes of an entity were signed; None if that is not remembered."""
        times = self._times.get(tenant_in(key))
        return None if times is None else times.get(key)

    def add(self, key: bytes, written_ms: int) -> None:
        """Remember when the attributes of an entity were signed that is no longer held."""
        self.forget(key)
        tenant = tenant_in(key)
        self._times.setdefault(tenant, {})[key] = written_ms
        self._count(tenant, len(key) + REMOVED_BYTES)

    def forget(self, key: bytes) -> None:
        """Forget an entity, which is held again."""
        tenant = tenant_in(key)
        times = self._times.get(tenant)
        if times is not None and times.pop(key, None) is not None:
            self._count(tenant, -len(key) - REMOVED_BYTES)

    def make_room(self) -> None:
        """Forget the entity that was removed first, of the tenant that has most. There must be one."""
        while self._tenant_bytes.get(self._largest[0][1]) != -self._largest[0][0]:
            heappop(self._largest)
        self.forget(next(iter(self._times[self._largest[0][1]])))

    def _count(self, tenant: bytes, size: int) -> None:
        self.bytes_count += size
        held = self._tenant_bytes[tenant] = self._tenant_bytes.get(tenant, 0) + size
        if not self._times[tenant]:
            del self._times[tenant], self._tenant_bytes[tenant]
        elif len(self._largest) <= 2 * len(self._tenant_bytes) + _OUTDATED_MAX:
            heappush(self._largest, (-held, tenant))
        else:
            self._largest = [(-each, name) for name, each in self._tenant_bytes.items()]
            heapify(self._largest)
