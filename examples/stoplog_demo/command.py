"""`stoplog demo`: watch how a hijacked agent is stopped."""

from __future__ import annotations

import logging
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stoplog_demo.deployment import TOPIC_PREFIX, demo_settings, demonstrate
from stoplog_demo.view import open_view
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import Output
from streams.model.errors import StoplogError

app = typer.Typer(add_completion=False)


class FolderInUseError(StoplogError):
    """The folder for the demonstration's files is not empty."""


@app.command()
@takes_groups
def demo(
    *,
    kafka: Annotated[
        str | None,
        typer.Option(
            "--kafka", metavar="HOST:PORT", help="Run on this cluster, with topics of its own, not on an embedded log."
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the repository, the mails and the log in this folder."),
    ] = None,
    output: Output,
) -> None:
    """Watch how a hijacked agent is stopped: a scripted agent, real MCP servers for git and mail, a real gate.

    Needs no set-up, no key and no network; takes under a minute. The exit status is 1 if the demonstration fails.
    """
    # The view shows what the gate does; of the gate's log only warnings matter here.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s: %(message)s")
    with _folder(keep) as folder:
        settings = demo_settings(folder, kafka)
        commands = _commands(kafka, keep, settings.state_dir)
        report = demonstrate(settings, folder, open_view(sys.stdout, as_json=output.as_json), commands)
    if not report.ok:
        raise typer.Exit(FAILED)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="stoplog-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise FolderInUseError(f"`{keep}` is not empty; name a new folder")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def _commands(kafka: str | None, keep: Path | None, state_dir: Path) -> list[tuple[str, str]]:
    """Return the commands to type next: what can still be looked at, and the next steps."""
    commands: list[tuple[str, str]] = []
    if kafka is not None:
        where = f"STOPLOG_TOPICS__PREFIX={TOPIC_PREFIX} stoplog tail {{}} --bootstrap {shlex.quote(kafka)} --no-follow"
    elif keep is not None:
        where = f"stoplog tail {{}} --state-dir {shlex.quote(str(state_dir))} --no-follow"
    else:
        where = ""
        commands.append(("stoplog demo --keep DIR", "run it again, and keep the log, the mails and the repository"))
    if where:
        commands.append((where.format("verdicts"), "every verdict, with its reason"))
        commands.append((where.format("audit"), "everything that was decided and done"))
        commands.append((where.format("alerts"), "the alerts for a security team"))
    if kafka is None:
        commands.append(("stoplog demo --kafka HOST:PORT", "run the same on a cluster"))
    commands.append(("stoplog try HISTORY", "run the engine over your own history file, without a log"))
    commands.append(("stoplog --help", "see all commands"))
    return commands
