"""CloudEvents 1.0 headers in Kafka's binary mode, and the W3C trace context, of the records that are written."""

from __future__ import annotations

from streams.codec.instants import format_instant
from streams.model.topics import DECLARED, TOPICS, Topic
from streams.model.types import Header
from streams.ports import Headers

TIMES_CACHED_MAX = 1_024
"""How many instants are cached: records of a batch share them."""

_SPEC_VERSION = ("ce_specversion", b"1.0")
_AVRO = ("content-type", b"application/avro")
_JSON = ("content-type", b"application/json")


class _Times(dict[int, tuple[str, bytes]]):
    """Caches the `ce_time` of instants; empties itself when full."""

    def __missing__(self, value_ms: int) -> tuple[str, bytes]:
        made = ("ce_time", format_instant(value_ms).encode())
        if len(self) >= TIMES_CACHED_MAX:
            self.clear()
        self[value_ms] = made
        return made


_times = _Times()


def event_type(topic: Topic) -> str:
    """Return the `ce_type` of a topic's records: the record's name (`agentstream.v1.Verdict`), or the topic's name."""
    return topic.name if topic.record is None else f"agentstream.v1.{topic.record.__name__}"


_TYPES = {topic.name: ("ce_type", event_type(topic).encode()) for topic in (*TOPICS, *DECLARED)}


def event_headers(topic: Topic, header: Header) -> Headers:
    """Return the headers of an outgoing record.

    Args:
        topic: the topic that the record is written to.
        header: the header within the record.

    Raises:
        MalformedError: the header's time is outside of the years 1 to 9999.
    """
    headers = (
        ("ce_id", header.id.encode()),
        ("ce_source", header.source.encode()),
        _TYPES[topic.name] if not topic.family else _TYPES[topic.family],
        _SPEC_VERSION,
        _times[header.time],
        _JSON if topic.record is None else _AVRO,
    )
    if header.traceparent is None:
        return headers
    trace = ("traceparent", header.traceparent.encode())
    if header.tracestate is None:
        return (*headers, trace)
    return (*headers, trace, ("tracestate", header.tracestate.encode()))
