"""Spans of intents, decisions, calls and reports, as a collector of OpenTelemetry receives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.engine.worker_meter import WorkerMeter
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.metrics.traces import WAITING_MAX, Parent, Span, Traces, derived_id, open_traces, sampled
from streams.model.verdict import Verdict
from streams.sdk import Executor, RevocationWatch
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.services.gate.traces import GateTraces
from streams.topology import GATE
from tests.collector import Collector, attributes
from tests.kit import MAIL_SEND, GateBench
from tests.unit.sdk.conftest import codec, log, transport
from tests.unit.sdk.hands import REPORT_KEY, begun_store, key_of, make_verdict

__all__ = ["codec", "log", "transport"]

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def traced_gate(traces: Traces) -> GateBench:
    return GateBench(meters={GATE: WorkerMeter(Metrics(Exporter.GATE), "gate", count_notes=GateTraces(traces))})


def proposed(bench: GateBench, args: dict[str, Any], traceparent: str | None) -> Verdict:
    bench.verdicts()
    intent = bench.session.intent(MAIL_SEND, args, bench.now_ms)
    bench.send(replace(intent, header=replace(intent.header, traceparent=traceparent)))
    return bench.verdict()


def test_an_intent_and_its_decision_are_children_of_the_agents_span(collector: Collector) -> None:
    with open_traces(collector.endpoint, "stoplog-gate", "gate-7") as traces:
        verdict = proposed(traced_gate(traces), {"to": "attacker@evil.example"}, SAMPLED)
    assert (collector.resources[0]["service.name"], collector.resources[0]["service.instance.id"]) == (
        "stoplog-gate",
        "gate-7",
    )
    propose, decide = collector.spans
    assert (propose.name, decide.name) == ("propose", "decide")
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert propose.parent_span_id.hex() == "b7ad6b7169203331"
    assert decide.parent_span_id == propose.span_id
    assert propose.end_time_unix_nano == decide.start_time_unix_nano <= decide.end_time_unix_nano
    about = attributes(decide)
    assert about["gen_ai.operation.name"] == "execute_tool"
    assert (about["gen_ai.tool.name"], about["stoplog.server.id"]) == ("send", "mail")
    assert (about["stoplog.outcome"], about["stoplog.reason"]) == ("DENY", "rule_denied")
    assert about["stoplog.verdict.id"] == verdict.verdict_id
    assert "attacker" not in str(collector.spans)


def test_an_intent_that_is_held_has_one_way_to_the_log_and_two_decisions(collector: Collector) -> None:
    with open_traces(collector.endpoint, "stoplog-gate", "gate-7") as traces:
        bench = traced_gate(traces)
        proposed(bench, {"to": "bob", "later": True}, SAMPLED)
        bench.wait(40_000)
    assert [span.name for span in collector.spans] == ["propose", "decide", "decide"]
    first, last = collector.spans[1:]
    assert [attributes(span)["stoplog.outcome"] for span in (first, last)] == ["DEFER", "ALLOW"]
    assert attributes(last)["stoplog.held_for"] == "cancel_window"
    assert first.span_id != last.span_id
    assert last.end_time_unix_nano - last.start_time_unix_nano == 30_000_000_000


def test_a_call_and_its_report_follow_from_the_decision(
    collector: Collector, transport: Transport, tmp_path: Path
) -> None:
    verdict = make_verdict()
    verdict = replace(verdict, header=replace(verdict.header, traceparent=SAMPLED))
    silent = make_verdict()
    with (
        open_traces(collector.endpoint, "mail", "mail-1") as traces,
        begun_store(tmp_path) as store,
        RevocationWatch(transport) as watch,
    ):
        tools = {"mail/send": lambda args: "sent"}
        executor = Executor(
            transport,
            ["mail"],
            tools,
            store,
            report_keys=REPORT_KEY,
            seal_keys=UNPROVEN,
            revocations=watch,
            traces=traces,
        )
        for each in (verdict, silent, verdict):
            executor.execute(each, key_of(each))
    call, report = collector.spans
    assert (call.name, report.name) == ("execute_tool send", "report")
    assert call.parent_span_id == derived_id("decide", verdict.verdict_id).to_bytes(8, "big")
    assert report.parent_span_id == call.span_id
    assert call.start_time_unix_nano <= call.end_time_unix_nano == report.start_time_unix_nano
    about = attributes(call)
    assert (about["mcp.method.name"], about["gen_ai.tool.name"]) == ("tools/call", "send")
    assert (about["stoplog.ending"], about["gen_ai.tool.type"]) == ("done", "function")


@pytest.mark.parametrize(
    "traceparent",
    [None, UNSAMPLED, "", "01-" + SAMPLED[3:], SAMPLED.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01", SAMPLED + "-x"],
)
def test_without_a_sampled_context_nothing_is_exported(collector: Collector, traceparent: str | None) -> None:
    assert sampled(traceparent) is None
    with open_traces(collector.endpoint, "stoplog-gate", "gate-7") as traces:
        proposed(traced_gate(traces), {"to": "bob"}, traceparent)
    assert collector.spans == []


def test_a_collector_that_is_away_holds_up_nobody_and_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    traces = open_traces("http://127.0.0.1:9/v1/traces", "stoplog-gate", "gate-7")
    parent = Parent(1, 2)
    for number in range(3 * WAITING_MAX):
        traces.add(Span("x" * 1_000, number + 1, parent, 5, 4, {"name": "y" * 10_000, "none": None}, "failed"))
    traces.close()
    assert len([record for record in caplog.records if "opentelemetry" in record.name]) <= 2


def test_ids_are_derived_alike_everywhere() -> None:
    assert derived_id("decide", "v-1") == derived_id("decide", "v-1") != derived_id("report", "v-1")
    assert 0 < derived_id("decide", "v-1") < 2**64
