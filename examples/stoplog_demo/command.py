"""`stoplog demo`: watch how a hijacked agent is stopped."""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Output
from streams.cli.signals import interrupted_by_sigterm
from streams.model.errors import StoplogError

if TYPE_CHECKING:
    from streams.model.verdict import Verdict

PROGRAM = "stoplog"

app = make_app()


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

    It needs no setup, no key and no network, and takes under a minute. The exit status is 1 if the demonstration fails.
    """
    # A gate, servers and an agent are loaded when they are run, so that the help answers at once.
    from stoplog_demo.deployment import demo_settings, demonstrate  # noqa: PLC0415 - see above
    from stoplog_demo.view import open_view  # noqa: PLC0415 - see above

    # The view shows what the gate does; of the gate's log only warnings matter here.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s: %(message)s")
    with interrupted_by_sigterm(), _folder(keep) as folder:
        settings = demo_settings(folder, kafka)
        report = demonstrate(settings, folder, open_view(sys.stdout, as_json=output.as_json), WhatNext(kafka, keep))
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


class WhatNext:
    """What to type next: what there is to see of this demonstration, or how to have more of it."""

    def __init__(self, kafka: str | None, keep: Path | None) -> None:
        self._kafka = kafka
        self._keep = keep

    def __call__(self, attack: Verdict | None) -> list[tuple[str, str]]:
        """See `NextCommands`."""
        from stoplog_demo.deployment import (  # noqa: PLC0415 - loaded by now, see `demo`
            NAMED,
            TOPIC_PREFIX,
            settings_file,
        )
        from stoplog_demo.run import follow_alert  # noqa: PLC0415 - see above
        from streams.wiring.settings_loading import load_settings  # noqa: PLC0415 - see above

        trust: list[tuple[str, str]] = []
        path = [] if shutil.which(PROGRAM) else [_path()]
        if self._kafka is not None:
            brokers = f"STOPLOG_LOG=kafka STOPLOG_BOOTSTRAP={shlex.quote(self._kafka)}"
            settings = [f"{brokers} STOPLOG_TOPICS__PREFIX={TOPIC_PREFIX}"]
            own = load_settings()
            open_to_all = [name for name, people in NAMED.items() if not getattr(getattr(own, name), people)]
            unsigned = " ".join(f"STOPLOG_{name.upper()}__ALLOW_UNSIGNED=true" for name in open_to_all)
            trust = [(f"export {unsigned}", "Let them trust what its gate did")] if unsigned else []
        elif self._keep is not None:
            settings = [f"STOPLOG_SETTINGS={shlex.quote(str(settings_file(self._keep)))}"]
        else:
            return [
                *((f"export {found}", f"Let your shell find `{PROGRAM}`") for found in path),
                (f"{PROGRAM} demo --keep triage", "Keep the log, and follow the alert to its cause"),
                (f"{PROGRAM} demo --kafka HOST:PORT", "Run it on a Kafka cluster"),
                (f"{PROGRAM} --help", "See all commands"),
            ]
        return [(f"export {' '.join([*path, *settings])}", "Let commands read this log"), *trust, *follow_alert(attack)]


def _path() -> str:
    """Return the variable that lets the shell find the programs of this installation."""
    folder = Path(sys.executable).parent
    with suppress(ValueError):
        return f'PATH="$PWD/{folder.relative_to(Path.cwd())}:$PATH"'
    return f'PATH={shlex.quote(str(folder))}:"$PATH"'
