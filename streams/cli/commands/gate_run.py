"""Runs a gate for `stoplog gate`, until a signal stops it."""

from __future__ import annotations

from streams.cli.options.shared import Output
from streams.cli.signals import stopped_by_signals
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import OK, Screen
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.ports.open_log import Log
from streams.sdk.keys.root_key import load_root_key
from streams.services.gate.heap import settle_heap
from streams.services.gate.metrics import StandbyLag
from streams.services.gate.runner import GateRunner, allocator, notary
from streams.services.gate.traces import GateTraces
from streams.services.gate.transaction_watch import TransactionWatch, watching_transactions
from streams.services.metrics import exporting_traces, serving_metrics
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate, build_notary, sole_process
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.transports import build_transport


def run_gate(settings: Settings, output: Output, *, resets_time: bool) -> None:
    """Run a gate until SIGINT or SIGTERM. The first signal lets it finish its work; a second one ends it at once.

    Args:
        settings: the settings.
        output: how it writes what it tells.
        resets_time: whether stream times that are far ahead are set back to now.

    Raises:
        StoplogError: it can't run with these settings; says what to do.
        LogError: the log can't be used.
    """
    screen = output.screen()
    configure_logging(output.as_json)
    root_key = load_root_key(settings.key_path)
    codec = build_codec(settings)
    metrics = Metrics(Exporter.GATE)
    with (
        open_log(settings, create=False) as opened,
        sole_process(settings, "gate"),
        exporting_traces(settings.traces, "stoplog-gate", settings.instance) as traces,
    ):
        tell = () if traces is None else (GateTraces(traces),)
        runner = GateRunner(
            lambda: build_gate(settings, opened, codec, root_key, resets_time=resets_time, metrics=metrics, tell=tell),
            SystemClock(),
            on_serving=lambda partitions: _tell(screen, settings, opened, partitions),
            on_standing_by=lambda partitions: _tell_standing_by(screen, settings, partitions),
            beside=[
                allocator(lambda: build_budgets(settings, opened, codec, resets_time=resets_time, metrics=metrics)),
                notary(
                    lambda: build_notary(settings, opened, codec, root_key, resets_time=resets_time, metrics=metrics)
                ),
            ],
            metrics=metrics,
        )
        lag = StandbyLag(lambda: runner.standby_lags)
        transport = build_transport(settings, opened, codec)
        watch = TransactionWatch(transport, SystemClock(), lambda: runner.serving, settings.topics.prefix)
        with (
            serving_metrics(settings.metrics, lag, metrics=metrics, probe=runner.health),
            transport,
            watching_transactions(watch),
            stopped_by_signals(runner.request_stop),
        ):
            runner.run()
    screen.record({"event": "stopped", "instance": settings.instance})
    screen.say(f"gate `{settings.instance}` has stopped cleanly", OK)


def _tell(screen: Screen, settings: Settings, log: Log, partitions: list[int]) -> None:
    settle_heap()
    screen.record({"event": "serving", "instance": settings.instance, "log": log.name, "partitions": partitions})
    listed = ", ".join(map(str, partitions))
    screen.say(f"gate `{settings.instance}` serves partitions {listed} of the {log.name}", OK)


def _tell_standing_by(screen: Screen, settings: Settings, partitions: list[int]) -> None:
    screen.record({"event": "standing by", "instance": settings.instance, "partitions": partitions})
    listed = ", ".join(map(str, partitions)) or "none"
    screen.say(f"gate `{settings.instance}` has warm standbys of partitions: {listed}", OK)
