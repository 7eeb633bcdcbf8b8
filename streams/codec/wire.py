"""The codec in the form that the engine needs."""

from __future__ import annotations

from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.codec.deadletter import dead_letter
from streams.ports import Outgoing, Received


class CodecWire:
    """Implements `streams.ports.wire.Wire` with the codec."""

    def __init__(self, codec: Codec) -> None:
        # The functions themselves: every record comes through them.
        self.decode = codec.decode
        self.read_fields = codec.read_fields
        self.encode = codec.encode
        self.headers = event_headers

    def dead_letter(self, record: Received, reason: str, text: str) -> Outgoing:
        """Return the record as it goes to its dead-letter topic."""
        return dead_letter(record, reason, text)
