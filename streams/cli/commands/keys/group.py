"""`stoplog keys`: the root key, from which session keys are derived, and the keys of people and of servers."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.commands.keys.seal import seal_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output, StateDirOption
from streams.cli.terminal.screen import OK, Screen
from streams.operations.root_key import make_root_key
from streams.operations.signing_keys import make_content_key_file, make_key_file, passphrase_from

app = make_app("Create the root key, and the keys that people, servers and gates sign with.")
publisher_app = make_app("Create keys of people who publish rules.")
reviewer_app = make_app("Create keys of people who review tools.")
server_app = make_app("Create keys of servers, for their executors.")
releaser_app = make_app("Create keys of people who release stops.")
writer_app = make_app("Create keys of those who write attributes of entities.")
content_app = make_app("Create keys that captured content is read with.")
officer_app = make_app("Create keys of people who may erase captured content.")
handler_app = make_app("Create keys of people who handle alerts.")
app.add_typer(publisher_app, name="publisher")
app.add_typer(reviewer_app, name="reviewer")
app.add_typer(server_app, name="server")
app.add_typer(releaser_app, name="releaser")
app.add_typer(writer_app, name="writer")
app.add_typer(seal_app, name="seal")
app.add_typer(content_app, name="content")
app.add_typer(officer_app, name="officer")
app.add_typer(handler_app, name="handler")

OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="The new file for the private key.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Encrypt the key with the passphrase in the first line of this file."
    ),
]


@app.callback()
def _keys() -> None:
    """Create keys."""


@publisher_app.callback()
def _publisher() -> None:
    """Create keys of people who publish rules."""


@reviewer_app.callback()
def _reviewer() -> None:
    """Create keys of people who review tools."""


@server_app.callback()
def _server() -> None:
    """Create keys of servers, for their executors."""


@releaser_app.callback()
def _releaser() -> None:
    """Create keys of people who release stops."""


@writer_app.callback()
def _writer() -> None:
    """Create keys of those who write attributes of entities."""


@content_app.callback()
def _content() -> None:
    """Create keys that captured content is read with."""


@officer_app.callback()
def _officer() -> None:
    """Create keys of people who may erase captured content."""


@handler_app.callback()
def _handler() -> None:
    """Create keys of people who handle alerts."""


@app.command()
@takes_groups
def new(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The new file for the root key. By default where the settings expect it."
        ),
    ] = None,
    state_dir: StateDirOption = None,
    output: Output,
) -> None:
    """Create a root key in a file that only its owner can read. An existing file is never overwritten.

    All gates and the token service need the same root key. Nobody else may have it.
    """
    screen = output.screen()
    path = out or Connection(state_dir=state_dir).settings().key_path
    make_root_key(path)
    screen.record({"root_key": str(path)})
    screen.say(f"root key created: {path}", OK)
    screen.say("copy this file to every gate and to the token service, and nowhere else")


@publisher_app.command("new")
@takes_groups
def new_publisher(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one person signs rules. An existing file is never overwritten.

    Keep the private key on no machine that runs agents, executors or gates. Gates need the public key only.
    """
    _make(output.screen(), out, passphrase_file, "rules.publishers")


@reviewer_app.command("new")
@takes_groups
def new_reviewer(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one person approves tools. An existing file is never overwritten.

    Keep the private key on no machine that runs agents, executors or gates. Gates need the public key only.
    """
    _make(output.screen(), out, passphrase_file, "catalog.reviewers")


@server_app.command("new")
@takes_groups
def new_server(
    *,
    server_id: Annotated[str, typer.Argument(metavar="SERVER", help="Your name for the server.")],
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which the executor of a server signs its reports. An existing file is never overwritten.

    Give the file to this server's executors alone. Gates count their reports once a reviewer has approved the public
    key: propose it with `stoplog catalog report-keys`.
    """
    screen = output.screen()
    if not server_id or "/" in server_id:
        raise typer.BadParameter("the name of a server must not be empty or contain `/`")
    key = make_key_file(out, passphrase_from(passphrase_file))
    screen.record({"private_key": str(out), "public_key": str(key.public), "kid": key.public.kid})
    screen.say(f"private key created: {out}", OK)
    screen.say("give it to the executors of this server alone, and have the public key approved:\n", lines=True)
    screen.say(f"    stoplog catalog report-keys {quote(server_id)} --add {key.public}")


@releaser_app.command("new")
@takes_groups
def new_releaser(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one person releases stops. An existing file is never overwritten.

    Keep the private key on no machine that runs agents, executors, gates or the token service. They need the public key
    only: gates and the token service in their settings (`release.releasers`), executors in their program.
    """
    screen = output.screen()
    _make(screen, out, passphrase_file, "release.releasers", "gates and of the token service")
    screen.say("\nand to the programs of executors: `connect(..., releasers=Releasers.of({NAME: ...}))`", lines=True)


@writer_app.command("new")
@takes_groups
def new_writer(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one writer signs attributes of entities. An existing file is never overwritten.

    Give the file to the program or the person who writes them. Gates need the public key only.
    """
    _make(output.screen(), out, passphrase_file, "attributes.writers")


@content_app.command("new")
@takes_groups
def new_content(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key of a tenant's captured content. An existing file is never overwritten.

    Whoever has the private key can read the content. Gates, executors and agents need the public key only, which is
    written beside it, in a file with `.pub` at the end. Destroying the private key erases all content of the tenant.
    """
    screen = output.screen()
    public = make_content_key_file(out, passphrase_from(passphrase_file))
    screen.record({"private_key": str(out), "public_key": str(public.path), "kek": public.kek})
    screen.say(f"private key created: {out}", OK)
    screen.say(
        "keep it on no gate, and where only people who may read content can open it. Gates get the public key:\n",
        lines=True,
    )
    screen.say(f'    [content]\n    capture = ["arguments"]\n    keys = {{ TENANT = "{public.path}" }}', lines=True)


@officer_app.command("new")
@takes_groups
def new_officer(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one person orders erasures and ends legal holds. An existing file is never overwritten.

    Keep the private key on no machine that runs agents, executors or gates.
    """
    _make(output.screen(), out, passphrase_file, "content.officers", "machines on which content is erased or audited")


@handler_app.command("new")
@takes_groups
def new_handler(
    *,
    out: OutOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Create the key with which one person acknowledges and closes alerts. An existing file is never overwritten.

    Keep the private key on no machine that runs agents, executors, gates or watches.
    """
    _make(output.screen(), out, passphrase_file, "alerts.handlers", "watches, and of machines that list alerts")


def _make(screen: Screen, out: Path, passphrase_file: Path | None, section: str, readers: str = "gates") -> None:
    key = make_key_file(out, passphrase_from(passphrase_file))
    screen.record({"private_key": str(out), "public_key": str(key.public), "kid": key.public.kid})
    screen.say(f"private key created: {out}", OK)
    screen.say(
        f"keep it secret, and add the public key to the settings of the {readers}, under your name:\n", lines=True
    )
    screen.say(f'    [{section}]\n    NAME = "{key.public}"', lines=True)
