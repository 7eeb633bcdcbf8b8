"""Remembers when the attributes were signed of entities that are no longer held, so that old ones don't count again.

If there is no room for all of these times, the tenant that has most loses its earliest. So a tenant that writes and
removes entities again and again makes a gate forget only its own.
"""

from __future__ import annotations

REMOVED_BYTES = 180
"""What the time of an entity that is no longer held takes besides its key."""


class RemovedEntities:
    """Times of signatures, by the tenants and the keys of their entities.

    Attributes:
        bytes_count: what they take.
    """

    def __init__(self) -> None:
        """Create it without any."""
        self.bytes_count = 0
        self._times: dict[str, dict[bytes, int]] = {}
        self._tenant_bytes: dict[str, int] = {}

    def find(self, tenant_uid: str, key: bytes) -> int | None:
        """Return when the attributes of an entity were signed; None if that is not remembered."""
        times = self._times.get(tenant_uid)
        return None if times is None else times.get(key)

    def add(self, tenant_uid: str, key: bytes, written_ms: int) -> None:
        """Remember when the attributes of an entity were signed that is no longer held."""
        self.forget(tenant_uid, key)
        self._times.setdefault(tenant_uid, {})[key] = written_ms
        self._count(tenant_uid, len(key) + REMOVED_BYTES)

    def forget(self, tenant_uid: str, key: bytes) -> None:
        """Forget an entity, which is held again."""
        times = self._times.get(tenant_uid)
        if times is not None and times.pop(key, None) is not None:
            self._count(tenant_uid, -len(key) - REMOVED_BYTES)

    def make_room(self) -> None:
        """Forget the entity that was removed first, of the tenant that has most. There must be one."""
        largest = max(self._tenant_bytes, key=self._tenant_bytes.__getitem__)
        self.forget(largest, next(iter(self._times[largest])))

    def _count(self, tenant_uid: str, size: int) -> None:
        self.bytes_count += size
        self._tenant_bytes[tenant_uid] = self._tenant_bytes.get(tenant_uid, 0) + size
        if not self._times[tenant_uid]:
            del self._times[tenant_uid], self._tenant_bytes[tenant_uid]
