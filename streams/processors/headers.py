"""Make the headers of the records that the gate writes."""

from __future__ import annotations

from streams.model.intent import Intent
from streams.model.types import Header

SOURCE = "stoplog/gate"
"""The writer that the gate's records name."""

TRACE_CHARS_MAX = 512
"""Longest `traceparent` or `tracestate` that is copied from an intent (W3C allows no more). A longer one is left out:
every output of the intent would carry it."""


def gate_header(record_id: str, tenant_uid: str, now_ms: int) -> Header:
    """Return the header of a record that no intent has caused."""
    return Header(id=record_id, source=SOURCE, time=now_ms, tenant_uid=tenant_uid)


def reply_header(record_id: str, intent: Intent, now_ms: int) -> Header:
    """Return the header of a record about an intent: it has the intent's tenant and trace context."""
    asked = intent.header
    parent, state = asked.traceparent, asked.tracestate
    return Header(
        id=record_id,
        source=SOURCE,
        time=now_ms,
        tenant_uid=asked.tenant_uid,
        traceparent=None if parent is None else bounded_trace(parent),
        tracestate=None if state is None else bounded_trace(state),
    )


def bounded_trace(trace: str) -> str | None:
    """Return a trace context that an agent has sent, or `None` if it is longer than `TRACE_CHARS_MAX`."""
    return trace if len(trace) <= TRACE_CHARS_MAX else None
