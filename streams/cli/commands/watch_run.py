"""Runs the watch for `stoplog watch`, until a signal stops it."""

from __future__ import annotations

from pathlib import Path

from streams.cli.options.shared import Output
from streams.cli.signals import stopped_by_signals
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import OK, Screen
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.services.gate.heap import settle_heap
from streams.services.gate.runner import GateRunner, keying
from streams.services.gate.turns import long_turns
from streams.services.metrics import serving_metrics
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_keying, build_watch, read_behaviour, sole_process
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings


def run_watch(settings: Settings, output: Output, *, rules: Path | None) -> None:
    """Run the watch until SIGINT or SIGTERM. The first signal lets it finish its work; a second one ends it at once.

    Args:
        settings: the settings.
        output: how it writes what it tells.
        rules: the folder with the declarations; None for the one of the settings.

    Raises:
        StoplogError: it can't run with these settings; says what to do.
        PolicyError: the declarations are wrong; names file and line.
        LogError: the log can't be used.
    """
    screen = output.screen()
    configure_logging(output.as_json)
    files = read_behaviour(settings, rules)
    counts = (len(files.declared.detectors), len(files.declared.correlations))
    codec, metrics = build_codec(settings), Metrics(Exporter.GATE)
    with open_log(settings, create=False) as opened, sole_process(settings, "watch"):
        runner = GateRunner(
            lambda: build_watch(settings, opened, codec, files, metrics=metrics),
            SystemClock(),
            on_serving=lambda partitions: _tell(screen, settings, counts, partitions),
            beside=[keying(lambda: build_keying(settings, opened, codec, files, metrics=metrics))],
            name="watch",
            worker="watch",
            metrics=metrics,
        )
        with (
            serving_metrics(settings.metrics, metrics=metrics, probe=runner.health),
            stopped_by_signals(runner.request_stop),
            long_turns(),
        ):
            runner.run()
    screen.record({"event": "stopped", "instance": settings.instance})
    screen.say(f"watch `{settings.instance}` has stopped cleanly", OK)


def _tell(screen: Screen, settings: Settings, counts: tuple[int, int], partitions: list[int]) -> None:
    settle_heap()
    detectors, correlations = counts
    screen.record(
        {
            "event": "serving",
            "instance": settings.instance,
            "partitions": partitions,
            "detectors": detectors,
            "correlations": correlations,
        }
    )
    listed = ", ".join(map(str, partitions))
    screen.say(
        f"watch `{settings.instance}` judges partitions {listed} by {detectors} detectors and {correlations} "
        "correlations",
        OK,
    )
