"""`stoplog sts`: run the token service, and change its signing keys."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Listening, Output, StateDirOption
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import OK, WARN
from streams.http.server import serve as serve_http
from streams.identity.keyring import keys_in
from streams.sdk.keys.root_key import load_root_key
from streams.services.metrics import serving_metrics
from streams.services.sts.service import RETIRED_KEPT_MS, RunningSts
from streams.wiring.logs import open_log
from streams.wiring.transports import build_transport

app = make_app(invoke_without_command=True)


@app.callback(invoke_without_command=True)
@takes_groups
def serve(
    *,
    context: typer.Context,
    connection: Connection,
    listening: Listening,
    dev_issuer: Annotated[
        bool,
        typer.Option(
            "--dev-issuer", help="For development: issue any token to anybody, at `/dev/token`. Only on loopback."
        ),
    ] = False,
    output: Output,
) -> None:
    """Run the token service, which opens sessions by OAuth token exchange, until SIGINT or SIGTERM.

    The section `sts` of the settings names the trusted issuers, and what agents may be granted. To try the service
    without such settings, run `stoplog sts --dev-issuer`.
    """
    if context.invoked_subcommand is not None:
        return
    screen = output.screen()
    settings = connection.settings()
    section = settings.sts_at(listening.host, listening.port)
    configure_logging(output.as_json)
    root_key = load_root_key(settings.key_path)
    with open_log(settings, create=False) as opened:
        transport = build_transport(settings, opened)
        with (
            transport,
            RunningSts(
                section,
                transport,
                root_key,
                tenant_uid=settings.tenant,
                folder=settings.state_dir / "sts",
                instance=settings.instance,
                dev_issuer=dev_issuer,
            ) as running,
            serving_metrics(settings.metrics, metrics=running.metrics, probe=running.health),
        ):

            def tell(address: str, number: int) -> None:
                screen.record({"event": "serving", "issuer": section.issuer, "host": address, "port": number})
                screen.say(f"token service `{section.issuer}` serves at {address}:{number}, on the {opened.name}", OK)
                if dev_issuer:
                    # In the issuer, the port is 0 if any free one was asked for.
                    host = f"[{address}]" if ":" in address else address
                    url = f"{section.issuer.partition('://')[0]}://{host}:{number}/dev/token"
                    screen.say(f"development only: {url} issues any token to anybody on this machine", WARN)

            serve_http(running.application, section, tell)
    screen.record({"event": "stopped"})
    screen.say("the token service has stopped cleanly", OK)


@app.command()
@takes_groups
def rotate(
    *,
    state_dir: StateDirOption = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="Don't wait until clients have fetched the next key."),
    ] = False,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="The keys have leaked: replace all of them at once. All earlier tokens become invalid.",
        ),
    ] = False,
    output: Output,
) -> None:
    """Start signing with the next key, and publish another one to follow it. The service can keep running."""
    screen = output.screen()
    settings = Connection(state_dir=state_dir).settings()
    keys = keys_in(settings.state_dir / "sts")
    if compromised:
        current = keys.replace_all()
    else:
        current = keys.rotate(wait_ms=settings.sts.rotation_wait_ms, keep_ms=RETIRED_KEPT_MS, force=now)
    screen.record({"current": current.kid, "keys": [{"kid": key.kid, "state": key.state.value} for key in keys.keys]})
    screen.say(f"the service now signs with key `{current.kid}`", OK)
    for key in keys.keys:
        screen.say(f"{key.kid}  {key.state.value}")
