"""The codec: bytes of the wire to records and back, in Confluent's framings (docs/reference/topics.md).

A record's value is `0x00`, its schema's id in four bytes and its Avro form; or only the Avro form, with the schema's
GUID in the header `__value_schema_id`. Both are read, the first is written. Anybody may have written a value. Whatever
is wrong with it raises a `RecordError` with the reason of its dead letter, and the work of reading is bounded by the
size of the value.

The functions that read and write a topic's records are compiled from its schemas on first use (about 10 ms) and kept.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from streams.codec.decoder import compile_decoder, compile_field_reader
from streams.codec.encoder import compile_encoder
from streams.codec.schema_types import RecordShape, SchemaError
from streams.codec.schemas import SchemaSource, SchemaVersion, record_class
from streams.codec.source import Compiled, Ready
from streams.codec.varints import MalformedError, TruncatedError
from streams.model.alert import Alert
from streams.model.alert_status import AlertStatus
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ALERT_OCSF, WITHIN
from streams.model.types import Record
from streams.ports import Headers
from streams.ports.wire import SCHEMA_ID_HEADER

VALUE_BYTES_MAX = 1_048_576
"""The largest value that is read."""

WRITTEN_BYTES_MAX = VALUE_BYTES_MAX - 65_536
"""The largest value that is written: a broker's limit also counts the key, the headers and the batch around it."""

NO_PARTS: Mapping[str, type[Record]] = MappingProxyType({})

DECODERS_MAX = 1_024
"""How many decoders are kept: one for each version of each topic's schema."""

_KINDS_WITHIN = {
    holder.name: tuple(name for name, topic in WITHIN.items() if topic is holder) for holder in WITHIN.values()
}
_PREFIX = struct.Struct(">BI")
_GUID_MAGIC = 1
_GUID_HEADER_BYTES = 17
_UNREADABLE = (TruncatedError, MalformedError, IndexError, KeyError, UnicodeError, struct.error)


class Codec:
    """Reads and writes records. Not bound to a thread: if two threads compile the same function, that does no harm."""

    def __init__(self, source: SchemaSource, parts: Mapping[str, type[Record]] = NO_PARTS) -> None:
        """Args:
        source: where the schemas come from.
        parts: of topics that are read in part, a class with the fields that are read. The others are skipped: what
            lies in them is not looked at, but for where it ends.
        """
        self._source = source
        self._parts = parts
        self._encoders: dict[str, tuple[Ready, tuple[type[Record], ...]]] = {}
        # By topic, and the five bytes of the prefix or the value of the header.
        self._decoders: dict[tuple[str, bytes], Ready] = {}
        # The same, by what is read of the record.
        self._field_readers: dict[tuple[str, tuple[str, ...], bytes], Compiled] = {}

    def reading(self, parts: Mapping[str, type[Record]]) -> Codec:
        """Return a codec that reads only parts of some topics' records, and everything else as this one."""
        return Codec(self._source, parts)

    def decode(self, topic: str, value: bytes | None, headers: Headers = ()) -> Record:
        """Return the record in a value of `topic`, which can also be of a kind that lies within that topic (`WITHIN`).

        Raises:
            RecordError: the value is not a record of the topic; `reason` is a `DeadLetterReason`.
            InvariantError: the topic isn't declared, or its values aren't records.
        """
        value, framing, at = _framed(topic, value, headers)
        compiled = self._decoders.get((topic, framing)) or self._compile_decoder(topic, framing, at)
        try:
            record: Record = compiled.function(value, at)
        except _UNREADABLE as error:
            raise _unreadable(topic, value, compiled, error) from None
        return record

    def read_fields(
        self, topic: str, value: bytes | None, headers: Headers, paths: tuple[str, ...]
    ) -> tuple[object, ...]:
        """Return single fields of a record. Reads up to the last of them and does not look at what follows.

        Args:
            paths: the fields, as `outcome` or `tool.server_id`, in the order of the topic's schema.

        Returns:
            Their values, in the same order.

        Raises:
            RecordError: the value does not begin as a record of the topic does, or its schema does not have the fields.
        """
        value, framing, at = _framed(topic, value, headers)
        compiled = self._field_readers.get((topic, paths, framing)) or self._compile_field_reader(
            topic, framing, at, paths
        )
        try:
            fields: tuple[object, ...] = compiled.function(value, at)
        except _UNREADABLE as error:
            raise _unreadable(topic, value, compiled, error) from None
        return fields

    def writer_schema(self, topic: str, value: bytes | None, headers: Headers) -> str:
        """Return the text of the schema that a value was written with.

        Raises:
            RecordError: the value does not name a schema of the topic.
        """
        _, framing, at = _framed(topic, value, headers)
        return self._writer(topic, framing, at).text

    def encode(self, topic: str, record: Record) -> bytes:
        """Return the value of a record for `topic`, with the schema id before it.

        Alerts, and what people do with them, can also be written as OCSF.

        Raises:
            RecordError: the record is of another topic or too large, or a field does not have the type of its class.
            SchemaError: the topic has no schema here.
            InvariantError: the topic isn't declared, or its values aren't records.
        """
        compiled, record_types = self._encoders.get(topic) or self._compile_encoder(topic)
        if type(record) not in record_types:
            text = f"topic `{topic}` holds no records of type `{type(record).__name__}`"
            raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, text)
        try:
            value: bytes = compiled.function(record)
        except (MalformedError, ValueError, TypeError, AttributeError, KeyError, struct.error) as error:
            text = f"record for topic `{topic}` cannot be written: {compiled.place(error).path}: {error}"
            raise RecordError(DeadLetterReason.RECORD_INVALID, text) from None
        if len(value) > WRITTEN_BYTES_MAX:
            text = f"record of {len(value)} bytes for topic `{topic}` is above the limit of {WRITTEN_BYTES_MAX}"
            raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
        return value

    def _decoder(self, reader: RecordShape, writer: RecordShape, record: type[Record]) -> Ready:
        """Return the function that reads records; see `compile_decoder`."""
        return compile_decoder(reader, writer, record)

    def _encoder(self, shape: RecordShape, prefix: bytes) -> Ready:
        """Return the function that writes records; see `compile_encoder`."""
        return compile_encoder(shape, prefix)

    def _compile_encoder(self, topic: str) -> tuple[Ready, tuple[type[Record], ...]]:
        if topic == ALERT_OCSF.name:
            # The one topic whose values are JSON: an alert, and what people do with it, as a SIEM reads it.
            # Agents and executors write no alerts, and their install has no orjson.
            from streams.codec.ocsf import ocsf_bytes  # noqa: PLC0415 - needs orjson, which the base install lacks

            return self._encoders.setdefault(topic, (Compiled(ocsf_bytes, (topic,)), (Alert, AlertStatus)))
        record_type = record_class(topic)
        version = self._source.current(topic)
        made = self._encoder(version.shape, _PREFIX.pack(0, version.id)), (record_type,)
        self._encoders[topic] = made
        return made

    def _compile_decoder(self, topic: str, framing: bytes, at: int) -> Ready:
        name, writer = self._kind_of(topic, framing, at)
        try:
            made = self._parts.get(name) or record_class(name)
            compiled = self._decoder(self._source.current(name).shape, writer.shape, made)
        except SchemaError as error:
            raise _mismatch(topic, writer, error) from None
        if len(self._decoders) >= DECODERS_MAX:
            self._decoders.clear()
        self._decoders[topic, framing] = compiled
        return compiled

    def _compile_field_reader(self, topic: str, framing: bytes, at: int, paths: tuple[str, ...]) -> Compiled:
        record, writer = record_class(topic), self._writer(topic, framing, at)
        try:
            compiled = compile_field_reader(self._source.current(topic).shape, writer.shape, record, paths)
        except SchemaError as error:
            # Kept as well: to find out takes as long as to compile, and all records of an older version lack the field.
            compiled = _refusing(_mismatch(topic, writer, error))
        if len(self._field_readers) >= DECODERS_MAX:
            self._field_readers.clear()
        self._field_readers[topic, paths, framing] = compiled
        return compiled

    def _kind_of(self, topic: str, framing: bytes, at: int) -> tuple[str, SchemaVersion]:
        """Return the declaration of a value of `topic` and the schema of its writer: the topic's own, or one of
        `WITHIN`."""
        record_class(topic)  # a topic without records is our mistake
        try:
            return topic, self._writer(topic, framing, at)
        except RecordError as error:
            for name in _KINDS_WITHIN.get(topic, ()):
                try:
                    return name, self._writer(name, framing, at)
                except RecordError:
                    continue
            raise error from None

    def _writer(self, topic: str, framing: bytes, at: int) -> SchemaVersion:
        return self._by_prefix(topic, framing) if at else self._by_header(topic, framing)

    def _by_prefix(self, topic: str, framing: bytes) -> SchemaVersion:
        if len(framing) < _PREFIX.size or framing[0] != 0:
            text = f"value in topic `{topic}` begins with `{framing.hex()}`, which is not a schema id"
            raise RecordError(DeadLetterReason.FRAMING_INVALID, text)
        return self._source.by_id(topic, _PREFIX.unpack(framing)[1])

    def _by_header(self, topic: str, framing: bytes) -> SchemaVersion:
        if framing[:1] == b"\x00" and len(framing) == _PREFIX.size:
            return self._source.by_id(topic, _PREFIX.unpack(framing)[1])
        if len(framing) != _GUID_HEADER_BYTES or framing[0] != _GUID_MAGIC:
            text = f"header `{SCHEMA_ID_HEADER}` of {len(framing)} bytes in topic `{topic}` is not a schema id"
            raise RecordError(DeadLetterReason.FRAMING_INVALID, text)
        return self._source.by_guid(topic, framing[1:])


def _framed(topic: str, value: bytes | None, headers: Headers) -> tuple[bytes, bytes, int]:
    """Return a value, what names its schema, and where its Avro form begins."""
    if not value:
        raise RecordError(DeadLetterReason.VALUE_MISSING, f"record of topic `{topic}` has no value")
    if len(value) > VALUE_BYTES_MAX:
        text = f"value of {len(value)} bytes in topic `{topic}` is above the limit of {VALUE_BYTES_MAX}"
        raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
    framing, at = value[:5], 5
    for name, content in headers:
        if name == SCHEMA_ID_HEADER:
            framing, at = content or b"", 0
            break
    return value, framing, at


def _refusing(error: RecordError) -> Compiled:
    """Return a function that raises this error, whatever it is to read."""
    reason, text = error.reason, str(error)

    def refuse(_value: bytes, _at: int) -> object:
        raise RecordError(reason, text)

    return Compiled(refuse, ())


def _mismatch(topic: str, writer: SchemaVersion, error: SchemaError) -> RecordError:
    text = f"schema id {writer.id} of topic `{topic}`: {error}"
    return RecordError(DeadLetterReason.SCHEMA_MISMATCH, text)


def _unreadable(topic: str, value: bytes, compiled: Ready, error: Exception) -> RecordError:
    """Describe a value that could not be read: where, and whether it is cut off or wrong."""
    place = compiled.place(error)
    start, end = place.variables.get("p", 0), place.variables.get("q", 0)
    where = f"topic `{topic}`: {place.path} at byte {min(start, len(value))}"
    if isinstance(error, (TruncatedError, IndexError, struct.error)) or end > len(value):
        text = str(error) if isinstance(error, TruncatedError) else "the value ends too early"
        return RecordError(DeadLetterReason.RECORD_TRUNCATED, f"{where}: {text}")
    match error:
        case UnicodeError():
            text = "text is not UTF-8"
        case KeyError():
            text = "is not a value of its type"
        case _:
            text = str(error)
    return RecordError(DeadLetterReason.RECORD_INVALID, f"{where}: {text}")
