"""The codec in the form that the engine needs."""

from __future__ import annotations

from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.codec.deadletter import dead_letter
from streams.model.topics import Topic
from streams.model.types import Header, Record
from streams.ports import Headers, Outgoing, Received


class CodecWire:
    """Implements `streams.ports.wire.Wire` with the codec."""

    def __init__(self, codec: Codec) -> None:
        self.decode = codec.decode
        self._encode = codec.encode

    def encode(self, topic: str, record: Record) -> bytes:
        """Return the record's framed bytes."""
        return self._encode(topic, record)

    def headers(self, topic: Topic, header: Header) -> Headers:
        """Return CloudEvents headers and trace context."""
        return event_headers(topic, header)

    def dead_letter(self, record: Received, reason: str, text: str) -> Outgoing:
        """Return the record as it goes to its dead-letter topic."""
        return dead_letter(record, reason, text)
