"""A real gate, scraped: each promised series is there, and says what has happened, on Kafka and on an embedded log."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from simulation.broker.kafka import free_port
from simulation.records import ROOT_KEY, SessionMaker, revocation
from streams.audit.report_keys import ReportKey
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKey
from streams.http.monitor import monitored
from streams.metrics.declared import METRICS, Exporter
from streams.metrics.exposition import scraper
from streams.metrics.registry import Metrics
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target
from streams.model.topics import INTENT, REVOCATION, RULESET
from streams.ports import Outgoing
from streams.sdk import Executor, SingleUseStore, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.topology import GATE
from streams.wiring.clock import SystemClock
from tests.collector import Collector, attributes
from tests.integration.deployment import PARTITIONS, PAY, RULES, WAIT_S, Deployment, Verdicts, deployed, until

pytestmark = pytest.mark.broker

BUDGET = """budgets:
  payments: {per: user, measure: calls, match: {tools: [bank.pay]}, limit: 1000, window: 24h}
rules:
"""
WITH_BUDGET = {**RULES, "pay/pay.rules.yaml": RULES["pay/pay.rules.yaml"].replace("rules:\n", BUDGET, 1)}
SECONDS_MAX = 30.0

ELSEWHERE = {
    "stoplog_restarts_total",  # nothing fails here
    "stoplog_standby_lag_offsets",  # there is one gate
    "stoplog_restore_left_offsets",  # it is gone as soon as the gate serves
    "stoplog_questions_total",  # no rule asks people
    "stoplog_question_seconds",  # the same
}
"""Metrics of a gate without a series in this test."""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(params=["kafka", "embedded"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    if request.param == "kafka":
        with deployed(tmp_path, request.getfixturevalue("kafka_bootstrap")) as made:
            made.send_rules(WITH_BUDGET)
            yield made
        return
    # The embedded log is in the state folder, so this gate's is that of the deployment.
    (tmp_path / "state-gate-1").symlink_to(tmp_path)
    with deployed(tmp_path, "none", log="embedded") as made:
        made.send_rules(WITH_BUDGET)
        yield made


def asked(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def scraped(port: int) -> Samples:
    status, text = asked(port, "/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all series of a metric that have these labels."""
    wanted = frozenset(labels.items())
    return sum(value for (found, own), value in samples.items() if found == name and wanted <= own)


def test_a_gate_is_scraped_after_real_intents(deployment: Deployment) -> None:
    port = free_port()
    sessions = deployment.open_sessions(8)
    gate = deployment.gate("gate-1", metrics={"listen": f":{port}"})
    gate.wait_serving(PARTITIONS)
    until(lambda: asked(port, "/health/ready")[0] == 200, found=lambda: asked(port, "/health/ready")[1])
    assert asked(port, "/health/live") == (200, '{"status": "ok"}\n')

    intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
    early = SessionMaker("s-nobody")
    intents.append(deployment.pay(early, 1))
    deployment.publish(Outgoing(INTENT.name, 0, b"acme|s-1", b"\x00not a record"))
    target = principal_target("acme", "gone")
    deployment.send(REVOCATION, *revocation(RevocationKind.AGENT, target, time_ms=SystemClock().now_ms()))
    deployment.flush()
    verdicts = Verdicts(deployment)
    verdicts.wait_for(intents)
    verdicts.close()

    for check in (check_idle, check_decisions, check_work, check_series):
        await_passed(check, port)
    assert gate.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        scraped(port)


def await_passed(check: Callable[[Samples], None], port: int) -> None:
    """Scrape until the check passes: what is counted with a commit is not counted in one instant, nor what the gate
    looks at once a second."""
    failed: list[str] = []

    def has_passed() -> bool:
        try:
            check(scraped(port))
        except AssertionError as error:
            failed[:] = [str(error)]
            return False
        return True

    until(has_passed, found=lambda: str(failed), pause_s=0.2)


def check_idle(found: Samples) -> None:
    assert of(found, "stoplog_consumer_lag_offsets") == of(found, "stoplog_intents_held") == 0


def check_series(found: Samples) -> None:
    shown = {name.removesuffix("_bucket") for name, _ in found}
    own = {metric.name for metric in METRICS if Exporter.GATE in metric.exporters}
    assert own - shown == ELSEWHERE


def check_decisions(found: Samples) -> None:
    assert of(found, "stoplog_verdicts_total") == 9
    assert of(found, "stoplog_verdicts_total", outcome="ALLOW", reason="permitted") == 6
    assert of(found, "stoplog_verdicts_total", outcome="DENY", reason="rule_denied") == 2
    assert of(found, "stoplog_verdicts_total", outcome="DENY", reason="session_unknown") == 1
    assert of(found, "stoplog_verdict_latency_seconds_count", held="session") == 1
    # The grace for a session is 2 s of stream time.
    assert 1.5 < of(found, "stoplog_verdict_latency_seconds_sum", held="session") < SECONDS_MAX
    assert of(found, "stoplog_verdict_latency_seconds_count") == 9
    assert 0 < of(found, "stoplog_verdict_latency_seconds_sum", held="budget") < 8 * SECONDS_MAX
    assert of(found, "stoplog_dead_letters_total") == 1
    assert of(found, "stoplog_dead_letters_total", worker="gate", topic=INTENT.name) == 1
    assert of(found, "stoplog_budget_answers_total", budget="payments", answer="granted") >= 1
    assert of(found, "stoplog_budget_answers_total", answer="refused") == 0
    assert of(found, "stoplog_budget_leased_ratio_bucket", budget="payments", le="0.5") >= 1
    assert of(found, "stoplog_stops_in_force", kind="agent") == 1
    assert of(found, "stoplog_stop_in_force_seconds_count") == 1


def check_work(found: Samples) -> None:
    assert of(found, "stoplog_partitions", worker="gate", state="processing") == PARTITIONS
    assert of(found, "stoplog_partitions", worker="gate", state="restoring") == 0
    for topic in GATE.inputs:
        lags = [key for key in found if key[0] == "stoplog_consumer_lag_offsets" and ("topic", topic.name) in key[1]]
        assert len(lags) == PARTITIONS, topic.name
    assert of(found, "stoplog_restore_seconds_count", worker="gate") == PARTITIONS
    assert of(found, "stoplog_records_total", worker="gate") >= 18
    assert of(found, "stoplog_records_total", worker="budgets") >= 1
    committed = of(found, "stoplog_transactions_total", worker="gate", result="committed")
    assert 2 <= committed == of(found, "stoplog_transaction_seconds_count", worker="gate")
    assert of(found, "stoplog_stage_seconds_count", worker="gate", stage="commit") <= committed
    assert of(found, "stoplog_turns_total", worker="budgets") > 1
    assert of(found, "stoplog_stream_time_behind_seconds") < SECONDS_MAX
    assert of(found, "stoplog_control_age_seconds") < SECONDS_MAX
    assert of(found, "stoplog_control_offset", topic=REVOCATION.name) >= 1
    now_s = SystemClock().now_ms() / 1_000
    assert now_s - 600 < of(found, "stoplog_control_changed_timestamp_seconds", topic=RULESET.name) <= now_s + 1
    assert of(found, "stoplog_build_info") == 1
    assert of(found, "process_cpu_seconds_total") > 0


def test_an_executor_is_scraped_after_real_calls(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    deployment.gate("gate-1").wait_serving(PARTITIONS)
    metrics, stop = Metrics(Exporter.EXECUTOR), threading.Event()
    key = ReportKey(SigningKey.made())
    with (
        Transport(deployment.log, deployment.codec, SystemClock()) as transport,
        SingleUseStore(tmp_path / "used.sqlite", "bank-1") as store,
    ):
        executor = Executor(
            transport,
            ["bank"],
            {"bank/pay": lambda args: "paid"},
            store,
            report_keys=key,
            seal_keys=SealKeys.derived(ROOT_KEY),
            metrics=metrics,
        )
        loop = VerdictLoop(executor, transport, group=f"{deployment.settings.group}-bank", instance="bank-1")
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        with executor, monitored(f":{port}", loop.health, scraper(metrics)):
            until(lambda: asked(port, "/health/ready")[0] == 200, found=lambda: asked(port, "/health/ready")[1])
            for number, session in enumerate(deployment.open_sessions(8)):
                deployment.pay(session, number)
            deployment.flush()
            until(lambda: of(scraped(port), "stoplog_calls_total", ending="done") == 6)
            until(lambda: of(scraped(port), "stoplog_reports_pending") == 0)
            found = scraped(port)
            stop.set()
            thread.join(60)
    assert not thread.is_alive()
    assert of(found, "stoplog_verdict_to_run_seconds_count") == of(found, "stoplog_call_seconds_count") == 6
    assert 0 <= of(found, "stoplog_verdict_to_run_seconds_sum") < 6 * SECONDS_MAX
    assert of(found, "stoplog_stops_stale") == 0
    assert loop.health().hangs == ""


def test_a_gate_exports_the_spans_of_a_sampled_intent_and_of_no_other(deployment: Deployment) -> None:
    collector = Collector()
    try:
        gate = deployment.gate("gate-1", traces={"endpoint": collector.endpoint})
        gate.wait_serving(PARTITIONS)
        (session,) = deployment.open_sessions(1)
        silent = deployment.pay(session, 1)
        intent = session.intent(PAY, {"number": 4}, SystemClock().now_ms())
        header = replace(intent.header, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
        deployment.send(INTENT, session.key, replace(intent, header=header))
        deployment.flush()
        verdicts = Verdicts(deployment)
        verdicts.wait_for([silent, intent])
        verdicts.close()
        assert gate.stop() == 0
    finally:
        collector.close()
    assert [span.name for span in collector.spans] == ["propose", "decide"]
    propose, decide = collector.spans
    assert propose.trace_id == decide.trace_id == bytes.fromhex("ab" * 16)
    assert (propose.parent_span_id, decide.parent_span_id) == (bytes.fromhex("cd" * 8), propose.span_id)
    assert attributes(decide)["stoplog.outcome"] == "DENY"
    assert collector.resources[0]["service.instance.id"] == "gate-1"
