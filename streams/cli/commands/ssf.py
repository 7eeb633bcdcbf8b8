"""`stoplog ssf`: receive security events from identity providers, and send them events about what is stopped here."""

from __future__ import annotations

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Listening, Output
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import OK
from streams.http.server import serve as serve_http
from streams.sdk.keys.root_key import load_root_key
from streams.services.metrics import serving_metrics
from streams.services.ssf.service import RunningSsf
from streams.wiring.logs import open_log
from streams.wiring.transports import build_transport

app = make_app()


@app.command()
@takes_groups
def ssf(
    *,
    connection: Connection,
    listening: Listening,
    output: Output,
) -> None:
    """Run the receiver and transmitter of security events (OpenID SSF, CAEP), until SIGINT or SIGTERM.

    The section `ssf` of the settings names the senders whose events are accepted, and the receivers of
    stoplog's events.
    """
    screen = output.screen()
    settings = connection.settings()
    section = settings.ssf_at(listening.host, listening.port)
    configure_logging(output.as_json)
    root_key = load_root_key(settings.key_path)
    with open_log(settings, create=False) as opened:
        transport = build_transport(settings, opened)
        with (
            transport,
            RunningSsf(
                section, transport, root_key, tenant_uid=settings.tenant, folder=settings.state_dir / "ssf"
            ) as running,
            serving_metrics(settings.metrics, metrics=running.metrics, probe=running.health),
        ):

            def tell(address: str, number: int) -> None:
                screen.record({"event": "serving", "issuer": section.issuer, "host": address, "port": number})
                screen.say(f"receiving security events at {address}:{number}, on the {opened.name}", OK)

            serve_http(running.application, section, tell)
    screen.record({"event": "stopped"})
    screen.say("the security event service has stopped cleanly", OK)
