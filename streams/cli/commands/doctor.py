"""`stoplog doctor`: check everything that a gate needs."""

from __future__ import annotations

import typer

from streams.cli.apps import make_app
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, InstanceOption, Output
from streams.cli.terminal.screen import FAIL, FAINT, OK, WARN
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable
from streams.operations.doctor.findings import Finding, Status

app = make_app()

_STYLES = {Status.OK: OK, Status.WARN: WARN, Status.FAIL: FAIL}
_CHECK_CHARS = 14


@app.command()
@takes_groups
def doctor(
    *,
    connection: Connection,
    instance: InstanceOption = None,
    output: Output,
) -> None:
    """Check everything that a gate needs, and say what to fix. The exit status is 1 if a check fails.

    The command changes nothing.
    """
    from streams.wiring.doctor import examine_deployment  # noqa: PLC0415 - loads what it checks; the help answers at once

    screen = output.screen()
    worst = Status.OK
    for finding in examine_deployment(connection.overrides(instance=instance)):
        screen.record(
            {
                "check": finding.check,
                "status": finding.status.value,
                "text": finding.text,
                "advice": finding.advice or None,
            }
        )
        screen.rich(_line(finding))
        worst = max(worst, finding.status, key=list(Status).index)
    if worst is Status.FAIL:
        raise typer.Exit(FAILED)


def _line(finding: Finding) -> Text:
    text = Text.assemble(
        (f"{finding.status.value:<5}", _STYLES[finding.status]),
        f"{finding.check:<{_CHECK_CHARS}} {printable(finding.text)}",
    )
    if finding.advice:
        text.append(f"\n{'':<{5 + _CHECK_CHARS}} {printable(finding.advice)}", FAINT)
    return text
