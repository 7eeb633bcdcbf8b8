"""Defines how records become bytes and bytes become records. The codec is the implementation."""

from __future__ import annotations

from typing import Protocol

from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports.log import Headers, Outgoing, Received

SCHEMA_ID_HEADER = "__value_schema_id"
"""The header in which a record can name the schema of its value."""


class Encoder(Protocol):
    """Turns a record into wire bytes. The same record always gives the same bytes."""

    def encode(self, topic: str, record: Record) -> bytes:
        """Return the framed value of `record` on `topic`."""


class Wire(Encoder, Protocol):
    """Translates between records and bytes in both directions. Does no I/O on the hot path."""

    def decode(self, topic: str, value: bytes, headers: Headers) -> Record:
        """Return the record that `value` holds.

        Raises:
            RecordError: it can't be read.
        """

    def read_fields(
        self, topic: str, value: bytes | None, headers: Headers, paths: tuple[str, ...]
    ) -> tuple[object, ...]:
        """Return the fields at `paths` (`tool.server_id`), in their order in the schema, without reading the rest.

        Raises:
            RecordError: the value does not begin as a record of the topic does, or its schema lacks a field.
        """

    def headers(self, topic: Topic, header: Header) -> Headers:
        """Return the record's envelope (CloudEvents, trace context) as headers."""

    def dead_letter(self, record: Received, reason: str, text: str) -> Outgoing:
        """Return the record as it goes to the dead-letter topic of its own topic.

        Args:
            record: what could not be read or processed.
            reason: a `DeadLetterReason`.
            text: why, for people.
        """
