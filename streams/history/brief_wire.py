"""A codec that makes the bytes of verdicts alone for a while, for a replay that compares nothing else."""

from __future__ import annotations

from streams.model.topics import VERDICT, Topic
from streams.model.types import Header, Record
from streams.ports import Headers
from streams.ports.wire import Wire


class BriefWire:
    """Implements `streams.ports.wire.Wire`.

    While it is brief, every other record has no bytes, and no record has headers. That saves a tenth of the work of a
    replay. What a gate does next never depends on these bytes: its state has records, and not what they are encoded to.

    INVARIANT: the outcome counts only if the next recorded verdict is made. The size of what is written decides
    whether a record becomes a dead letter, and so does a field that can't be encoded. Where a verdict was recorded,
    neither was the case.
    """

    def __init__(self, wire: Wire) -> None:
        """Wrap a codec. It makes all bytes until `be_brief`."""
        self._wire = wire
        # The functions themselves: every record comes through them.
        self.decode = wire.decode
        self.read_fields = wire.read_fields
        self.dead_letter = wire.dead_letter
        self.encode = wire.encode
        self.headers = wire.headers

    def be_brief(self, *, is_brief: bool) -> None:
        """Make the bytes of verdicts alone from now on, or all bytes again."""
        self.encode = self._encode_verdicts if is_brief else self._wire.encode
        self.headers = _no_headers if is_brief else self._wire.headers

    def _encode_verdicts(self, topic: str, record: Record) -> bytes:
        return self._wire.encode(topic, record) if topic == VERDICT.name else b""


def _no_headers(topic: Topic, header: Header) -> Headers:
    del topic, header
    return ()
