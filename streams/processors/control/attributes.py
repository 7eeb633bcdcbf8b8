"""Hold the attributes of entities, which every gate reads completely (docs/adr/0046-attributes.md).

Rules must be able to tell an entity that nobody knows from one that this gate could not keep. So there are three
answers: known, unknown, and unclear. An entity is unclear if its newest record was rejected or can't be read (what came
before it may be wrong now), or if there was no room for it. A call that asks for an unclear entity has no fact
`entities` at all, so that each rule that reads it is in error, which denies.

Whoever may write the topic can write a tombstone, or a record that is rejected, and after it an old record that its
writer has signed. So the time of the last signed record is remembered for an entity that is no longer held, and older
records don't count. That uses only room that no entity needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.audit.attribute_writers import NOBODY, AttributeWriters
from streams.model.attributes import (
    OWNER_SUB,
    USUAL_ROOM,
    AttributesError,
    EntityAttributes,
    Room,
    Value,
    check_entity,
    entity_key,
    read_attributes,
    tenant_in,
)
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ATTRIBUTES
from streams.processors.control.removed_entities import RemovedEntities
from streams.processors.control.unclear_entities import UnclearEntities

ENTITY_BYTES = 216
"""What an entity takes besides its key and its attributes: an entry of the dictionary, and three objects."""

_UNSIGNED_MS = 2**62
_OWNER_KEY = f'"{OWNER_SUB}":'.encode()
"""How a stored row begins the attribute. Within a text a quotation mark has a backslash before it."""
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, Value]).decode


class Entity(NamedTuple):
    """What is known of an entity.

    Attributes:
        attributes: by name.
        since_ms: when this was last known to be true: the broker's time of the record, or `observed_at` if that is
            earlier. Of a signed record it is also not later than the time that was signed.
    """

    attributes: dict[str, Value]
    since_ms: int


UNKNOWN = Entity({}, -1)
"""The answer for an entity of which there is no record."""


class AttributesEvent(NamedTuple):
    """Reports that a person has set attributes. What connectors write is not reported one by one.

    Attributes:
        record: the record.
        offset: its offset on its topic.
        names: the names of the attributes.
        signer: who has signed it; None if no signature is needed.
        error: always None: a record that is rejected becomes a dead letter at once.
    """

    record: EntityAttributes
    offset: int
    names: tuple[str, ...]
    signer: str | None
    error: RecordError | None = None

    @property
    def topic(self) -> str:
        """The topic of attributes."""
        return ATTRIBUTES.name


@dataclass
class Attributes:
    """Holds the attributes of all entities.

    Attributes:
        writers: whose records count.
        room: how many bytes of keys and attributes are held.
        next_offset: up to where the topic has been read.
    """

    writers: AttributeWriters = NOBODY
    room: Room = USUAL_ROOM
    next_offset: int = 0
    _held: dict[bytes, tuple[bytes, int, int]] = field(default_factory=dict)
    _owner_kinds: dict[str, Counter[str]] = field(default_factory=dict)
    _removed: RemovedEntities = field(default_factory=RemovedEntities)
    _unclear: UnclearEntities = field(default_factory=UnclearEntities)
    _bytes_count: int = 0
    _tenant_bytes: Counter[str] = field(default_factory=Counter)
    _events: list[AttributesEvent] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many entities are held."""
        return len(self._held)

    @property
    def bytes_count(self) -> int:
        """Return about how many bytes they take, with what is remembered of those that are no longer held."""
        return self._bytes_count + self._removed.bytes_count

    @property
    def tenant_bytes_count(self) -> int:
        """Return how many of these bytes are of the entities of the tenant that has most."""
        return max(self._tenant_bytes.values(), default=0)

    @property
    def unclear_count(self) -> int:
        """Return how many entities are known to be unclear; of a tenant that is unclear as a whole there are more."""
        return self._unclear.count

    def find(self, tenant_uid: str, kind: str, entity_id: str) -> Entity | None:
        """Return what is known of an entity; `UNKNOWN` if there is no record of it, None if it is unclear."""
        key = entity_key(tenant_uid, kind, entity_id)
        held = self._held.get(key)
        if held is not None:
            return Entity(_decode(held[0]), held[1])
        return None if key in self._unclear else UNKNOWN

    def owner_kinds(self, tenant_uid: str) -> Collection[str]:
        """Return the kinds of a tenant's entities of which at least one says whose it is."""
        return self._owner_kinds.get(tenant_uid, ())

    def offer(self, key: bytes, record: EntityAttributes, offset: int, appended_ms: int) -> bool:
        """Apply a record, and tell whether an event reports it.

        Raises:
            RecordError: the record does not count; its entity is unclear from now on.
        """
        try:
            attributes, signer = self._checked(key, record)
            written_ms = self._written_ms(key, record)
        except RecordError:
            self.make_unclear(key)
            raise
        since_ms = min(appended_ms, written_ms, appended_ms if record.observed_at is None else record.observed_at)
        row = _encode(attributes)
        self._drop(key)
        size, tenant_uid = len(key) + len(row) + ENTITY_BYTES, record.header.tenant_uid
        fault = self._take_room(size, tenant_uid)
        if fault:
            self.make_unclear(key)
            text = f"there is no room for `{record.kind}/{record.id[:80]}`: {fault}"
            raise RecordError(DeadLetterReason.ATTRIBUTES_FULL, text)
        self._removed.forget(key)
        self._held[key] = (row, since_ms, written_ms)
        if _OWNER_KEY in row:
            self._owner_kinds.setdefault(tenant_uid, Counter())[record.kind] += 1
        self._bytes_count += size
        self._tenant_bytes[tenant_uid] += size
        if record.set_by is None:
            return False
        self._events.append(AttributesEvent(record, offset, tuple(sorted(attributes)), signer))
        return True

    def take_events(self) -> list[AttributesEvent]:
        """Return what persons have set since the last call."""
        events, self._events = self._events, []
        return events

    def forget(self, key: bytes) -> None:
        """Apply a tombstone: nothing is known of the entity any more."""
        self._drop(key)

    def make_unclear(self, key: bytes) -> None:
        """Note that nobody knows what is true of an entity, because its newest record can't be used."""
        self._drop(key)
        self._unclear.add(key)

    def _checked(self, key: bytes, record: EntityAttributes) -> tuple[dict[str, Value], str | None]:
        tenant_uid = record.header.tenant_uid
        try:
            check_entity(tenant_uid, record.kind, record.id)
            attributes = read_attributes(record.attributes_json)
        except AttributesError as error:
            raise RecordError(DeadLetterReason.ATTRIBUTES_INVALID, str(error)) from None
        expected_key = entity_key(tenant_uid, record.kind, record.id)
        if key != expected_key:
            shown, own = (each[:120].decode("utf-8", "replace") for each in (key, expected_key))
            text = f"the record's key is `{shown}`, but its own is `{own}`"
            raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
        return attributes, self.writers.check(record)

    def _written_ms(self, key: bytes, record: EntityAttributes) -> int:
        """Return when a signed record was written, as its writer has signed; of others, a time after all others.

        Raises:
            RecordError: a later record of the entity was read before. Whoever may write the topic could write an old
                record again, which its writer has signed.
        """
        if not self.writers.are_asked:
            return _UNSIGNED_MS
        written_ms, held = record.header.time, self._held.get(key)
        removed_ms = self._removed.find(key)
        what = f"the attributes of `{record.kind}/{record.id[:80]}` were signed at {written_ms}, and"
        if held is not None and written_ms < held[2]:
            text = f"{what} later ones at {held[2]} were read before"
            raise RecordError(DeadLetterReason.ATTRIBUTES_OUTDATED, text)
        if removed_ms is not None and written_ms <= removed_ms:
            text = f"{what} those of {removed_ms} were removed or made unclear since; sign the attributes again"
            raise RecordError(DeadLetterReason.ATTRIBUTES_OUTDATED, text)
        return written_ms

    def _drop(self, key: bytes) -> None:
        self._unclear.discard(key)
        held = self._held.pop(key, None)
        if held is None:
            return
        size, tenant_uid = len(key) + len(held[0]) + ENTITY_BYTES, tenant_in(key).decode()
        self._bytes_count -= size
        self._tenant_bytes[tenant_uid] -= size
        if not self._tenant_bytes[tenant_uid]:
            del self._tenant_bytes[tenant_uid]
        if _OWNER_KEY in held[0]:
            self._forget_owner(tenant_uid, key)
        if held[2] != _UNSIGNED_MS:
            # It takes less than the entity did, so there is room for it.
            self._removed.add(key, held[2])

    def _forget_owner(self, tenant_uid: str, key: bytes) -> None:
        """Count one entity less that says whose it is."""
        kind, kinds = key.decode()[len(tenant_uid) + 1 :].partition("/")[0], self._owner_kinds[tenant_uid]
        kinds[kind] -= 1
        if not kinds[kind]:
            del kinds[kind]
        if not kinds:
            del self._owner_kinds[tenant_uid]

    def _take_room(self, size: int, tenant_uid: str) -> str:
        """Forget entities that were removed, if an entity of this size has room without them.

        Returns:
            why there is no room; empty if there is.
        """
        held, held_max = self._tenant_bytes[tenant_uid], self.room.tenant_bytes_max
        if held + size > held_max:
            return f"those of its tenant take {held} bytes, and the setting `attributes.tenant_bytes_max` is {held_max}"
        held, held_max = self._bytes_count, self.room.bytes_max
        if held + size > held_max:
            return f"{self.count} entities take {held} bytes, and the setting `attributes.bytes_max` is {held_max}"
        while self.bytes_count + size > held_max:
            self._removed.make_room()
        return ""
