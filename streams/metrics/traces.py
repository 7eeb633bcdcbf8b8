"""Exports spans to OpenTelemetry: of intents, decisions, calls and reports, in the trace that an intent names.

**Idea.** An agent puts its trace context (`traceparent` of W3C) into the intent, and every record that follows from it
carries the same one. A span's id is derived from the id of what it describes, so that an executor knows the id of the
decision's span without a further field in the verdict: its own span is a child of that one.

    (the agent's span) > propose > decide > execute_tool > report

Nothing is exported unless the agent's context says that its trace is sampled. Whoever decides or runs calls only puts a
description into a bounded queue; a thread makes the spans. What does not fit is left out: traces never hold up a call.
Needs the extra `traces`.

Rejected: a changed `traceparent` in the verdict. The record of a verdict would depend on whether traces are exported.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple, Self

from streams.model.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

WAITING_MAX = 2_048
"""Spans that wait to be made; further ones are left out."""
EXPORT_DELAY_MS = 1_000
EXPORT_TIMEOUT_S = 5
LOGGED_S = 60.0
"""How often it is logged that the collector can't be reached."""
VALUE_CHARS_MAX = 256
"""The longest name or attribute of a span: agents choose those of tools and conversations."""

_NS_PER_MS = 1_000_000
_SAMPLED = 0x01
_TRACEPARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_log = logging.getLogger(__name__)


class _NowAndThen(logging.Filter):
    """Lets one record a minute pass: the exporter logs each attempt to reach a collector that is away."""

    def __init__(self) -> None:
        super().__init__()
        self._next_s = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._next_s:
            return False
        self._next_s = record.created + LOGGED_S
        return True


_now_and_then = _NowAndThen()


class Parent(NamedTuple):
    """The span of which another one is a child.

    Attributes:
        trace_id: the trace's id, 128 bits.
        span_id: the span's id, 64 bits.
    """

    trace_id: int
    span_id: int


class Span(NamedTuple):
    """A span that is over.

    Attributes:
        name: its name.
        span_id: its id; see `derived_id`.
        parent: the span that it is a child of.
        begin_ms: when it began, in ms since the epoch.
        end_ms: when it ended.
        attributes: what is said of it; None leaves an attribute out.
        fault: why it failed; empty if it has not.
    """

    name: str
    span_id: int
    parent: Parent
    begin_ms: int
    end_ms: int
    attributes: Mapping[str, str | int | None]
    fault: str = ""


def sampled(traceparent: str | None) -> Parent | None:
    """Return the span that a `traceparent` names, if it is well-formed and its trace is sampled."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if found is None or not int(found[3], 16) & _SAMPLED:
        return None
    return Parent(int(found[1], 16), int(found[2], 16))


def derived_id(kind: str, record_id: str) -> int:
    """Return the id of the span that describes a record: the same in every process.

    Args:
        kind: the kind of span.
        record_id: the id of the record, which nothing else of the kind has.
    """
    return int.from_bytes(hashlib.sha256(f"{kind} {record_id}".encode()).digest()[:8], "big") or 1


class Traces:
    """Exports the spans of one process. Thread-safe; a context manager."""

    def __init__(self, service: str, instance: str, exporter: SpanExporter) -> None:
        """Start the thread that makes spans.

        Args:
            service: the name of the service in the traces.
            instance: the name of this process.
            exporter: where spans go.
        """
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - likewise

        class DerivedIds(RandomIdGenerator):
            """Gives each span the id that was set before. Spans are made in one thread."""

            next_id = 1

            def generate_span_id(self) -> int:
                return self.next_id

        self._exporter = exporter
        self._ids = DerivedIds()
        resource = Resource.create(
            {"service.name": service, "service.instance.id": instance, "service.version": version("stoplog")}
        )
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_DELAY_MS))
        self._tracer = self._provider.get_tracer("stoplog", version("stoplog"))
        self._spans: queue.Queue[Span | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="stoplog traces", daemon=True)
        self._thread.start()

    def add(self, span: Span) -> None:
        """Export a span. Never waits: if too many spans wait, this one is left out."""
        with suppress(queue.Full):
            self._spans.put_nowait(span)

    def close(self) -> None:
        """Export what waits. Blocks for up to twice `EXPORT_TIMEOUT_S`; what is left then is lost."""
        ending = threading.Thread(target=self._end, name="stoplog traces end", daemon=True)
        ending.start()
        ending.join(EXPORT_TIMEOUT_S)
        if ending.is_alive():
            # The collector is away. This ends the attempts to reach it.
            self._exporter.shutdown()
            ending.join(EXPORT_TIMEOUT_S)

    def _end(self) -> None:
        self._spans.put(None)
        self._thread.join()
        self._provider.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        while (span := self._spans.get()) is not None:
            try:
                self._make(span)
            except Exception:
                _log.exception("a span could not be made")

    def _make(self, span: Span) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra

        parent = trace.SpanContext(
            span.parent.trace_id, span.parent.span_id, is_remote=True, trace_flags=trace.TraceFlags(_SAMPLED)
        )
        self._ids.next_id = span.span_id
        made = self._tracer.start_span(
            span.name[:VALUE_CHARS_MAX],
            trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            attributes={name: _bounded(value) for name, value in span.attributes.items() if value is not None},
            start_time=min(span.begin_ms, span.end_ms) * _NS_PER_MS,
        )
        if span.fault:
            made.set_status(trace.StatusCode.ERROR, span.fault)
        made.end(span.end_ms * _NS_PER_MS)


def _bounded(value: str | int) -> str | int:
    return value[:VALUE_CHARS_MAX] if isinstance(value, str) else value


def open_traces(endpoint: str, service: str, instance: str) -> Traces:
    """Open an exporter of traces over OTLP and HTTP.

    Args:
        endpoint: the URL of the collector (`http://127.0.0.1:4318/v1/traces`). Headers, such as credentials, come from
            `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, as OpenTelemetry specifies.
        service: the name of the service in the traces.
        instance: the name of this process.

    Raises:
        SettingsError: the extra `traces` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )

        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_now_and_then)
        return Traces(service, instance, OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_S))
    except ModuleNotFoundError as error:
        raise SettingsError(f"setting `traces.endpoint` needs `pip install 'stoplog[traces]'`: {error}") from None
