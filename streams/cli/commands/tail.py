"""`stoplog tail`: print records as they arrive."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, FollowOption, Output
from streams.cli.terminal.near_names import warn_unknown
from streams.cli.terminal.screen import FAIL, WARN, Screen
from streams.cli.views.rows import (
    Row,
    day_heading,
    day_text,
    event_row,
    heading,
    letter_row,
    line_of,
    removal_row,
    row_of,
)
from streams.model.revocation import RevocationKind
from streams.operations.topics.lookup import meant_session
from streams.operations.topics.tail import SUBJECTS, Filter, Seen, look
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

if TYPE_CHECKING:
    # Loaded when a command is run, so that its help answers at once.
    from streams.ports import Clock
    from streams.ports.open_log import Log
    from streams.sdk.connection.transport import RecordCodec
    from streams.wiring.settings import Settings

app = make_app()
_OWN_NAME = "stoplog"

# Made from the one list of subjects.
Subject = StrEnum("Subject", [(name.upper(), name) for name in SUBJECTS])  # type: ignore[misc]  # mypy wants it written out
_SUBJECTS = ", ".join(f"`{name}`" for name in SUBJECTS)

BeginningOption = Annotated[
    bool, typer.Option("--from-beginning", help="Begin with the oldest records. Implied by `--no-follow`.")
]
SessionOption = Annotated[
    str | None,
    typer.Option("--session", metavar="ID", help="Only this session: `s-1`, `tenant|s-1`, or the beginning of its id."),
]
TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Only this tenant.")]
MaxOption = Annotated[int | None, typer.Option("--max", metavar="N", min=1, help="Stop after N records.")]


@app.command()
@takes_groups
def tail(
    *,
    subject: Annotated[
        Subject, typer.Argument(metavar="SUBJECT", help=f"Which records to print: {_SUBJECTS}.", show_choices=False)
    ],
    follow: FollowOption = True,
    from_beginning: BeginningOption = False,
    session: SessionOption = None,
    tenant: TenantOption = None,
    count_max: MaxOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Print records as they arrive: verdicts, audit records, alerts, attributes of entities and others.

    On a terminal, a record is one line. Otherwise, records are JSON lines of a history file, which `stoplog try` reads.
    The subject `ocsf` prints alerts as events of OCSF 1.8, for a SIEM.
    """
    print_records(
        subject.value,
        connection,
        output,
        session=session,
        tenant=tenant,
        follows=follow,
        from_beginning=from_beginning,
        count_max=count_max,
    )


def print_records(
    subject: str,
    connection: Connection,
    output: Output,
    *,
    session: str | None,
    tenant: str | None,
    follows: bool,
    from_beginning: bool,
    count_max: int | None,
) -> None:
    """Print the records of a subject.

    Args:
        subject: one of `SUBJECTS`.
        session, tenant: only theirs; None: all.
        follows, from_beginning: see `look`.
        count_max: stop after so many.
    """
    screen = output.screen()
    settings = connection.settings()
    codec = build_codec(settings)
    with open_log(settings, create=False) as opened:
        clock = SystemClock()
        wanted = Filter(session=session and meant_session(opened, clock, session), tenant=tenant)
        if follows:
            _warn_unknown(opened, codec, clock, settings, wanted.session)
        screen.rich(heading(subject, screen.width_chars))
        records = look(opened, codec, subject, wanted, clock, follows=follows, from_beginning=from_beginning)
        count, day = 0, ""
        for count, seen in enumerate(records, start=1):
            today = day_text(seen.received.timestamp_ms)
            if today != day:
                day = today
                screen.rich(day_heading(day))
            _print(screen, seen, connection)
            if count == count_max:
                break
        if not count and not follows:
            _warn_unknown(opened, codec, clock, settings, wanted.session)
    if not count:
        screen.say("no record matches" if session or tenant else "there is no record", WARN)


def _warn_unknown(log: Log, codec: RecordCodec, clock: Clock, settings: Settings, session: str | None) -> None:
    """Warn of a session that was never opened: its records come only if somebody opens it."""
    from streams.operations.operator import Operator  # noqa: PLC0415 - so that help answers at once

    if session:
        operator = Operator(log, codec, clock, settings.deployment)
        warn_unknown(operator, RevocationKind.SESSION, "session", session)


def _print(screen: Screen, seen: Seen, connection: Connection) -> None:
    if not screen.as_json:
        row = _row(seen)
        own, _, command = row.then.partition(" ")
        if own == _OWN_NAME:
            row = row._replace(then=connection.command(command))
        screen.rich(line_of(row, seen.received.timestamp_ms, screen.width_chars))
        return
    line = seen.line()
    if line is None:
        screen.record(seen.fields())
    else:
        screen.line(line)


def _row(seen: Seen) -> Row:
    if seen.record is not None:
        return row_of(seen.record)
    if seen.event is not None:
        return event_row(seen.event)
    if seen.letter is not None:
        return letter_row(seen.letter, seen.received.key)
    if seen.is_removal:
        return removal_row(seen.received.key)
    key = (seen.received.key or b"").decode("utf-8", "replace")
    return Row("UNREADABLE", FAIL, key.partition("|")[2] or key, "", seen.fault)
