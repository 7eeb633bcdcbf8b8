"""What an executor counts, and when it is ready."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from streams.metrics import declared
from streams.metrics.declared import RUN_ENDINGS, Exporter
from streams.metrics.registry import Metrics
from streams.sdk import Ending, Executor, LoopSettings, RevocationWatch, SingleUseStore, ToolResult, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy, system_monotonic_ms
from streams.sdk.errors import PublishError, ReportError
from streams.sdk.executor.seal_checks import UNPROVEN
from tests.unit.sdk.hands import REPORT_KEY, begun_store, key_of, make_verdict, watching, write
from tests.waiting import until


def send(args: Mapping[str, object]) -> object:
    if args["subject"] == "fail":
        return ToolResult(content="no", is_error=True)
    return "sent"


def executor_on(transport: Transport, store: SingleUseStore, watch: RevocationWatch, metrics: Metrics) -> Executor:
    tools = {"mail/send": send}
    return Executor(
        transport,
        ["mail"],
        tools,
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=watch,
        metrics=metrics,
    )


def pending(metrics: Metrics) -> float:
    metrics.collect()
    return metrics.value(declared.REPORTS_PENDING)


def test_every_ending_of_a_run_has_its_series() -> None:
    assert set(RUN_ENDINGS) == set(Ending) - {Ending.NOT_RUN}


def test_calls_are_counted_by_ending_and_refusals_by_reason(transport: Transport, tmp_path: Path) -> None:
    metrics = Metrics(Exporter.EXECUTOR)
    with begun_store(tmp_path) as store, watching(transport) as watch:
        executor = executor_on(transport, store, watch, metrics)
        first = make_verdict()
        for verdict in (first, first, make_verdict(), make_verdict(expires_at=1)):
            executor.execute(verdict, key_of(verdict))
    assert metrics.value(declared.CALLS, "done") == 2
    assert metrics.value(declared.CALLS_REFUSED, "already_used") == 1
    assert metrics.value(declared.CALLS_REFUSED, "verdict_expired") == 1
    assert metrics.value(declared.RUN_LATENCY) == metrics.value(declared.CALL_SECONDS) == 2
    assert pending(metrics) == 0


def test_reports_are_pending_until_they_are_on_the_log(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise PublishError("the log is away")

    metrics = Metrics(Exporter.EXECUTOR)
    with begun_store(tmp_path) as store, watching(transport) as watch:
        executor = executor_on(transport, store, watch, metrics)
        executor.start()
        verdict = make_verdict()
        with monkeypatch.context() as away:
            away.setattr("streams.sdk.executor.own_reports.publish", fails)
            with pytest.raises(ReportError):
                executor.execute(verdict, key_of(verdict))
            assert pending(metrics) == 1
        executor.recover()
        assert pending(metrics) == 0


def test_a_loop_is_ready_once_it_has_partitions_and_knows_all_stops(transport: Transport, tmp_path: Path) -> None:
    metrics, stop, ahead_ms = Metrics(Exporter.EXECUTOR), threading.Event(), [0]
    entropy = Entropy(monotonic_ms=lambda: system_monotonic_ms() + ahead_ms[0])
    with begun_store(tmp_path) as store, RevocationWatch(transport, stale_after_ms=600_000, entropy=entropy) as watch:
        executor = executor_on(transport, store, watch, metrics)
        loop = VerdictLoop(
            executor, transport, group="executor-mail", instance="e-1", settings=LoopSettings(concurrency=2)
        )
        assert loop.health().is_live
        assert loop.health().waits_for == (
            "the start of the executor",
            "partitions: the group has assigned none to this instance",
        )
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        until(lambda: loop.health().is_ready, "the loop is ready")
        verdict = make_verdict()
        write(transport, verdict, key_of(verdict))
        until(lambda: metrics.value(declared.CALLS, "done") == 1, "the call has run")
        until(lambda: pending(metrics) == 0, "it is reported")
        watch.close()
        ahead_ms[0] = 600_001
        until(lambda: loop.health().waits_for[0].startswith("the log"), "it knows that it may miss a stop")
        metrics.collect()
        assert metrics.value(declared.STOPS_STALE) == 1
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
