"""Values are added up per series, and a scrape shows them as Prometheus reads them."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.exposition import Exposition
from streams.metrics.health import LIVE_MS_MAX, Health, hanging
from streams.metrics.registry import Metrics
from streams.model.errors import InvariantError


def exposed(metrics: Metrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Exposition(metrics))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_gauges_and_histograms_are_exposed() -> None:
    metrics = Metrics(Exporter.GATE)
    metrics.add(declared.VERDICTS, "ALLOW", "permitted")
    metrics.add(declared.VERDICTS, "ALLOW", "permitted", amount=2)
    metrics.set(declared.HELD, 7, "approval")
    metrics.observe(declared.VERDICT_SECONDS, [0.001, 0.0025, 0.3, 5_000], "none")
    found = exposed(metrics)
    assert found["stoplog_verdicts_total|ALLOW|permitted"] == 3
    assert found["stoplog_intents_held|approval"] == 7
    within = [found[f"stoplog_verdict_latency_seconds_bucket|none|{bound}"] for bound in ("0.0025", "0.25", "0.5")]
    assert within == [2, 2, 3]
    assert found["stoplog_verdict_latency_seconds_bucket|none|+Inf"] == 4
    assert found["stoplog_verdict_latency_seconds_count|none"] == 4
    assert found["stoplog_verdict_latency_seconds_sum|none"] == pytest.approx(5000.3035)
    assert metrics.value(declared.VERDICT_SECONDS, "none") == 4


def test_a_gauge_without_labels_is_there_before_anything_has_happened() -> None:
    assert exposed(Metrics(Exporter.EXECUTOR))["stoplog_reports_pending"] == 0
    assert exposed(Metrics(Exporter.TOKENS))["stoplog_tokens_issued_total"] == 0


def test_series_of_partitions_that_are_gone_disappear() -> None:
    metrics = Metrics(Exporter.GATE)
    metrics.replace(declared.TIME_BEHIND, {("budgets", "0"): 5.0}, "budgets")
    metrics.replace(declared.TIME_BEHIND, {("gate", "0"): 1.0, ("gate", "1"): 2.0}, "gate")
    metrics.replace(declared.TIME_BEHIND, {("gate", "1"): 3.0}, "gate")
    name = "stoplog_stream_time_behind_seconds"
    assert {key: value for key, value in exposed(metrics).items() if key.startswith(name)} == {
        f"{name}|0|budgets": 5,
        f"{name}|1|gate": 3,
    }


def test_a_wrong_number_of_labels_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="has 2 labels, 1 are given"):
        Metrics(Exporter.GATE).add(declared.VERDICTS, "ALLOW")


def test_what_is_cheap_to_ask_for_is_asked_before_each_scrape() -> None:
    metrics = Metrics(Exporter.EXECUTOR)
    pending = iter((4, 9))
    metrics.before_scrape(lambda: metrics.set(declared.REPORTS_PENDING, next(pending)))
    assert [exposed(metrics)["stoplog_reports_pending"] for _ in range(2)] == [4, 9]


def test_threads_lose_no_count() -> None:
    metrics = Metrics(Exporter.GATE)

    def count() -> None:
        for _ in range(2_000):
            metrics.add(declared.RECORDS, "gate")
            metrics.observe(declared.TRANSACTION_SECONDS, [0.1, 0.2], "gate")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.value(declared.RECORDS, "gate") == 8_000
    assert metrics.value(declared.TRANSACTION_SECONDS, "gate") == 16_000


def test_a_loop_that_has_not_turned_for_long_hangs() -> None:
    assert hanging("gate", None, 10**9) == ""
    assert hanging("gate", 1_000, 1_000 + LIVE_MS_MAX - 1) == ""
    assert hanging("gate", 1_000, 1_000 + LIVE_MS_MAX) == "the gate has not turned for 120 s"
    assert Health().is_ready
    assert not Health(hangs="it hangs").is_ready
    assert Health(waits_for=("the log",)).is_live
