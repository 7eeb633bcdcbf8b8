"""Attributes of entities as a person sees and writes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from streams.audit.attribute_writers import AttributeWriters, signed_attributes
from streams.audit.signatures import SigningKey
from streams.codec.jsonform import JsonFormError, instant
from streams.model.attributes import (
    ATTRIBUTES_BYTES_MAX,
    AttributesError,
    EntityAttributes,
    Value,
    check_entity,
    entity_key,
    read_attributes,
)
from streams.model.canonical import CanonicalError, canonical, parse_strict
from streams.model.errors import FormError, RecordError, StoplogError
from streams.model.topics import ATTRIBUTES
from streams.operations.operator import Operator
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_places, read_to_end
from streams.ports import Received, TopicPartition

LINE_BYTES_MAX = 4 * ATTRIBUTES_BYTES_MAX
IMPORT_BATCH = 500
ERRORS_SHOWN_MAX = 20
_PLACE = TopicPartition(ATTRIBUTES.name, 0)
_MEMBERS = ("kind", "id", "tenant", "attributes", "observed_at")


class AttributesWriteError(StoplogError):
    """Attributes can't be written, or would not count."""


class AttributesFormError(AttributesWriteError, FormError):
    """The name of an entity, an attribute or an instant that a person has typed is malformed."""


class EntityName(NamedTuple):
    """The name of an entity."""

    tenant_uid: str
    kind: str
    id: str

    @property
    def key(self) -> bytes:
        """Return the key of its records."""
        return entity_key(*self)

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


class Standing(NamedTuple):
    """What the topic says about an entity.

    Attributes:
        record: its newest record; None if that can't be read.
        offset: where it is.
        appended_ms: the broker's time of it.
        attributes: what it says; empty if it doesn't count.
        signer: who has signed it; None if no signature is needed.
        fault: why gates do not count it; None if they do.
    """

    record: EntityAttributes | None
    offset: int
    appended_ms: int
    attributes: Mapping[str, Value]
    signer: str | None
    fault: str | None

    @property
    def since_ms(self) -> int:
        """Return since when its attributes are known to be true."""
        observed = None if self.record is None else self.record.observed_at
        return self.appended_ms if observed is None else min(self.appended_ms, observed)


class Import(NamedTuple):
    """One line of a file to import."""

    name: EntityName
    attributes_json: str
    observed_ms: int | None


def entity_name(stated: str, tenant_uid: str) -> EntityName:
    """Return the entity that `KIND/ID` names.

    Raises:
        AttributesFormError: it names none.
    """
    kind, slash, entity_id = stated.partition("/")
    if not slash:
        raise AttributesFormError(f"`{stated}` names no entity: write KIND/ID, such as `customer/C-17`")
    name = EntityName(tenant_uid, kind, entity_id)
    _check_name(name)
    return name


def read_standing(operator: Operator, name: EntityName) -> Standing | None:
    """Return what the topic says about an entity; None if there is no record of it. Blocking.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    return _standing_of(operator, name, _newest(operator, name))


def _newest(operator: Operator, name: EntityName) -> Received | None:
    own = (each for each in read_to_end(operator.log, (ATTRIBUTES.name,), operator.clock) if each.key == name.key)
    newest = deque(own, maxlen=1)
    return newest[0] if newest else None


def _standing_of(operator: Operator, name: EntityName, newest: Received | None) -> Standing | None:
    if newest is None or newest.value is None:
        return None
    record, attributes, signer, fault = None, dict[str, Value](), None, None
    try:
        decoded = operator.codec.decode(ATTRIBUTES.name, newest.value, newest.headers)
        if isinstance(decoded, EntityAttributes):
            record = decoded
            _check_key(record, name)
            attributes = read_attributes(record.attributes_json)
            signer = _writers(operator).check(record)
    except (RecordError, AttributesError) as error:
        attributes, fault = {}, str(error)
    return Standing(record, newest.offset, newest.timestamp_ms, attributes, signer, fault)


def set_attributes(
    operator: Operator,
    name: EntityName,
    changes: Mapping[str, Value | None],
    *,
    replaces_all: bool = False,
    observed_ms: int | None = None,
    reason: str | None = None,
    key: SigningKey | None = None,
) -> EntityAttributes:
    """Write attributes of an entity; the record is on the log when this returns.

    A record has all attributes of its entity, so what somebody else has written between reading the topic and writing
    to it would be lost. The topic is read afterwards, to tell.

    Args:
        changes: attributes by name; None removes one.
        replaces_all: whether attributes that are not among the changes are removed. Otherwise they stay as they are.
        observed_ms: when they were known to be true; None: now.
        reason: why, for the record.
        key: the key of a writer; None where records need no signature.

    Raises:
        AttributesWriteError: the record would not count, or what stands there does not and can't be changed; or the
            record is stored, and has replaced what somebody else has set at the same time.
        PublishError, TopicReadError, LogError: the topic can't be read or written.
    """
    newest = None if replaces_all else _newest(operator, name)
    standing = _standing_of(operator, name, newest)
    if standing is not None and standing.fault is not None:
        text = f"what stands on the topic for `{name}` does not count: {standing.fault}"
        raise AttributesWriteError(f"{text}; state all attributes, with `--only`")
    merged = {**(standing.attributes if standing is not None else {}), **changes}
    known = {attribute: value for attribute, value in merged.items() if value is not None}
    record = _record(operator, name, _json_of(known), observed_ms, key, reason=reason, set_by=operator.name)
    operator.write(ATTRIBUTES, [(name.key, record, record.header)])
    if not replaces_all:
        _check_nothing_lost(operator, name, -1 if newest is None else newest.offset, record)
    return record


def _check_nothing_lost(operator: Operator, name: EntityName, since: int, own: EntityAttributes) -> None:
    """Check that nobody else has written what an entity's own record, which is stored, does not have.

    Args:
        since: the offset of the newest record that was known when the own one was made; -1 if there was none.

    Raises:
        AttributesWriteError: somebody has.
    """
    with closing(operator.log.reader()) as reader:
        ends = reader.end_offsets([_PLACE])
    for received in read_places(operator.log, ends, operator.clock, {_PLACE: since + 1}):
        if received.key != name.key:
            continue
        other = None if received.value is None else decoded(operator.codec, received)
        if isinstance(other, EntityAttributes) and other.header.id == own.header.id:
            return
        who = other.set_by if isinstance(other, EntityAttributes) and other.set_by else "somebody"
        raise AttributesWriteError(
            f"the attributes are set, but {who} has changed `{name}` at the same time, and that is replaced. See "
            f"`stoplog attributes show {name}`, and set what is missing again"
        )


def remove_entity(operator: Operator, name: EntityName) -> bool:
    """Remove an entity, and tell whether there was a record of it; the tombstone is on the log when this returns.

    Raises:
        PublishError, TopicReadError, LogError: the topic can't be read or written.
    """
    if read_standing(operator, name) is None:
        return False
    operator.delete(ATTRIBUTES, [name.key])
    return True


def read_import(path: Path, tenant_uid: str) -> list[Import]:
    """Read a file of entities as JSON lines, all of it. Blocking.

    Args:
        tenant_uid: the tenant of lines that name none.

    Raises:
        AttributesWriteError: lines can't be used; the message names the first of them.
        OSError: the file can't be read.
    """
    found: list[Import] = []
    faults: list[str] = []
    with path.open("rb") as file:
        for number, line in _lines(file):
            try:
                if len(line) > LINE_BYTES_MAX:
                    raise AttributesWriteError(f"is longer than {LINE_BYTES_MAX} bytes")
                if line.strip():
                    found.append(_import(line, tenant_uid))
            except (AttributesWriteError, AttributesError, CanonicalError, JsonFormError, UnicodeDecodeError) as error:
                faults.append(f"{path}:{number}: {error}")
    if faults:
        more = len(faults) - ERRORS_SHOWN_MAX
        shown = [*faults[:ERRORS_SHOWN_MAX], *([f"and {more} more lines"] if more > 0 else [])]
        raise AttributesWriteError("\n".join(["nothing was written:", *shown]))
    return found


def import_entities(operator: Operator, lines: Sequence[Import], key: SigningKey | None) -> Iterator[int]:
    """Write the entities of a file, and yield how many are on the log after each batch.

    Raises:
        AttributesWriteError: a record would not count.
        PublishError, LogError: it is not known whether the last batch is stored.
    """
    for start in range(0, len(lines), IMPORT_BATCH):
        batch = lines[start : start + IMPORT_BATCH]
        made = [_record(operator, line.name, line.attributes_json, line.observed_ms, key) for line in batch]
        keys = [line.name.key for line in batch]
        operator.write(ATTRIBUTES, [(own, record, record.header) for own, record in zip(keys, made, strict=True)])
        yield start + len(batch)


def value_of(text: str) -> tuple[str, Value | None]:
    """Return name and value of `name=text` or `name:=JSON`.

    Raises:
        AttributesFormError: it is neither.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.removesuffix(":"):
        raise AttributesFormError(f"`{text}` is not of the form `name=text` or `name:=JSON`")
    if not name.endswith(":"):
        return name, value
    name = name.removesuffix(":")
    try:
        parsed = parse_strict(value)
        return name, read_attributes(_json_of({name: parsed})).get(name)
    except (CanonicalError, AttributesError) as error:
        raise AttributesFormError(f"`{text}`: {error}") from None


def _lines(file: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(file, start=1)


def _import(line: bytes, tenant_uid: str) -> Import:
    value = parse_strict(line.decode())
    if not isinstance(value, dict):
        raise AttributesWriteError("a line is an object with `kind`, `id` and `attributes`")
    unknown = next((member for member in value if member not in _MEMBERS), None)
    if unknown is not None:
        raise AttributesWriteError(f"has the unknown member `{unknown[:80]}`; members are {', '.join(_MEMBERS)}")
    parts = {part: value.get(part) for part in ("kind", "id")} | {"tenant": value.get("tenant", tenant_uid)}
    texts = {part: text for part, text in parts.items() if isinstance(text, str)}
    missing = next((part for part in parts if part not in texts), None)
    if missing is not None:
        raise AttributesWriteError(f"`{missing}` must be text")
    name = EntityName(texts["tenant"], texts["kind"], texts["id"])
    _check_name(name)
    text = _json_of(value.get("attributes"))
    read_attributes(text)
    observed = value.get("observed_at")
    return Import(name, text, None if observed is None else instant(observed, "observed_at"))


def _record(
    operator: Operator,
    name: EntityName,
    attributes_json: str,
    observed_ms: int | None,
    key: SigningKey | None,
    *,
    reason: str | None = None,
    set_by: str | None = None,
) -> EntityAttributes:
    """Return a record that counts.

    Raises:
        AttributesWriteError: it would not.
    """
    record = EntityAttributes(
        header=operator.header(name.tenant_uid),
        kind=name.kind,
        id=name.id,
        attributes_json=attributes_json,
        observed_at=observed_ms,
        set_by=set_by,
        reason=reason,
    )
    section = operator.deployment.attributes
    if key is not None:
        record = signed_attributes(record, key, section.deployment)
    try:
        read_attributes(attributes_json)
        _writers(operator).check(record)
    except (RecordError, AttributesError) as error:
        raise AttributesWriteError(str(error)) from None
    return record


def _check_key(record: EntityAttributes, name: EntityName) -> None:
    own = EntityName(record.header.tenant_uid, record.kind, record.id)
    if own != name:
        raise AttributesError(f"the record under the key of `{name}` is about `{own}` of tenant `{own.tenant_uid}`")


def _check_name(name: EntityName) -> None:
    try:
        check_entity(*name)
    except AttributesError as error:
        raise AttributesFormError(str(error)) from None


def _json_of(value: object) -> str:
    try:
        return canonical(value).decode()
    except CanonicalError as error:
        raise AttributesWriteError(str(error)) from None


def _writers(operator: Operator) -> AttributeWriters:
    return operator.deployment.attributes.trusted()
