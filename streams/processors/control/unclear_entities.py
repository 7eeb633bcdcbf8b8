"""Remembers of which entities nobody knows what is true, within a bound for each tenant.

A tenant that has more of them than are remembered by name is unclear as a whole: of each of its entities that is not
held, nobody knows what is true. That is also so of all tenants, if there are too many of these names or tenants.
"""

from __future__ import annotations

import hashlib

from streams.model.attributes import tenant_in

NAMES_OF_TENANT_MAX = 10_000
"""Entities of a tenant that are known to be unclear one by one."""

NAMES_MAX = 40_000
"""The same, of all tenants."""

TENANTS_MAX = 1_000
"""Tenants that are unclear as a whole."""

KEY_BYTES_MAX = 512
"""Longer keys are remembered by their digest. Whoever writes a record that can't be read chooses its key."""


class UnclearEntities:
    """Keys of entities that are unclear."""

    def __init__(self) -> None:
        """Create it without any."""
        self._names_count = 0
        self._names: dict[bytes, set[bytes]] = {}
        self._tenants: set[bytes] = set()
        self._is_every = False

    @property
    def count(self) -> int:
        """Return how many entities are known to be unclear. Of a tenant that is unclear as a whole, those count that
        made it so: the number must not fall when more become unclear."""
        return self._names_count + len(self._tenants) * (NAMES_OF_TENANT_MAX + 1)

    def __contains__(self, key: bytes) -> bool:
        tenant = _tenant(key)
        return self._is_every or tenant in self._tenants or _short(key) in self._names.get(tenant, ())

    def add(self, key: bytes) -> None:
        """Remember that an entity is unclear."""
        if key in self:
            return
        tenant = _tenant(key)
        names = self._names.setdefault(tenant, set())
        if len(names) >= NAMES_OF_TENANT_MAX:
            self._add_tenant(tenant)
        elif self._names_count >= NAMES_MAX:
            self._is_every = True
        else:
            names.add(_short(key))
            self._names_count += 1

    def discard(self, key: bytes) -> None:
        """Forget an entity whose newest record counts, or removes it."""
        tenant, name = _tenant(key), _short(key)
        names = self._names.get(tenant)
        if names is None or name not in names:
            return
        names.discard(name)
        self._names_count -= 1
        if not names:
            del self._names[tenant]

    def _add_tenant(self, tenant: bytes) -> None:
        if len(self._tenants) >= TENANTS_MAX:
            self._is_every = True
            return
        self._names_count -= len(self._names.pop(tenant))
        self._tenants.add(tenant)


def _tenant(key: bytes) -> bytes:
    return _short(tenant_in(key))


def _short(name: bytes) -> bytes:
    return name if len(name) <= KEY_BYTES_MAX else hashlib.sha256(name).digest()
