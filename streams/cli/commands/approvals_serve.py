"""Runs the service for questions to people, for `stoplog approvals serve`."""

from __future__ import annotations

from streams.cli.options.shared import Listening, Output
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import OK
from streams.http.server import serve as serve_http
from streams.services.approvals.service import RunningApprovals
from streams.services.metrics import serving_metrics
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.transports import build_transport


def serve_questions(settings: Settings, listening: Listening, output: Output) -> None:
    """Serve until SIGINT or SIGTERM. Blocking.

    Args:
        settings: the settings.
        listening: the address and the port; the settings apply where one is not given.
        output: the screen.

    Raises:
        StoplogError: the settings or files can't be used, or the address can't be listened on.
    """
    screen = output.screen()
    section = settings.approvals_at(listening.host, listening.port)
    configure_logging(output.as_json)
    with open_log(settings, create=False) as opened:
        transport = build_transport(settings, opened)
        with (
            transport,
            RunningApprovals(section, transport, folder=settings.state_dir / "approvals") as running,
            serving_metrics(settings.metrics, metrics=running.metrics, probe=running.health),
        ):

            def tell(address: str, number: int) -> None:
                screen.record({"event": "serving", "host": address, "port": number})
                screen.say(f"taking answers at {address}:{number}, on the {opened.name}", OK)

            serve_http(running.application, section, tell)
    screen.record({"event": "stopped"})
    screen.say("the service for questions has stopped cleanly", OK)
