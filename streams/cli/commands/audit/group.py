"""`stoplog audit`: the record of a session as a story, the causes of one call, and whether the record is whole."""

from __future__ import annotations

import shlex
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.commands.audit.content import erase_content, hold_app, read
from streams.cli.commands.audit.receipts import check_receipt, prove
from streams.cli.commands.audit.rewrap import rewrap_keys
from streams.cli.commands.audit.verify import verify
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant, instant_text, time_text
from streams.model.plurals import many
from streams.model.topics import INTENT, VERDICT
from streams.operations.private_file import write_private
from streams.operations.sessions.search import Shown, show_session
from streams.operations.timeline.causes import Cause, causes_of
from streams.operations.timeline.entries import Entry, Tone, Who, entries_of
from streams.operations.timeline.page import page_of
from streams.operations.timeline.records import SessionRecords, read_records
from streams.operations.topics.lookup import find_intent, find_session
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

if TYPE_CHECKING:
    from rich.tree import Tree

app = make_app("Read the audit log: the story of a session, the causes of a call, and whether it is whole.")

_STYLES = {Tone.PLAIN: STRONG, Tone.GOOD: OK, Tone.HELD: WARN, Tone.BAD: FAIL}
_DETAIL_CHARS_MAX = 240
_CAUSE_CHARS_MAX = 160
_BRIEF = frozenset(
    {
        "captured",
        "arguments",
        "rules",
        "documents",
        "label",
        "counts as",
        "instructions",
        "because",
        "purpose",
        "comment",
        "model",
    }
)
"""The details that a person sees on a terminal; the others are in the JSON and on the page."""


@app.command()
@takes_groups
def session(
    *,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session (`s-1` or `tenant|s-1`), or any id that belongs to it.")
    ],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as a page that needs no other file."),
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """Tell the story of a session: who asked what, what was read, what was tried, and why it ran or didn't.

    Every record of the session is in it, in order of time, except those that gates have set aside as forged. Arguments
    are shown where this client may read intents or verdicts.
    """
    screen, settings = output.screen(), connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    with open_log(settings, create=False) as opened:
        owner = find_session(opened, codec, clock, session, settings.tenant)
        trusted, officers = settings.release.trusted(), settings.content.trusted()
        shown = show_session(opened, codec, owner.tenant_uid, owner.session_id, clock, trusted, officers=officers)
        records = read_records(opened, codec, clock, owner.tenant_uid, owner.session_id, officers)
    standing, entries = shown.view.standing(shown.revocations, clock.now_ms()), entries_of(records)
    for entry in entries:
        screen.record(entry.fields())
    if html is not None:
        notes = [*_notes(records), f"Made at {format_instant(clock.now_ms())} from {many(len(entries), 'record')}."]
        write_private(html, page_of(_title(shown), standing.text(), _head(shown), entries, notes))
    if screen.as_json:
        return
    screen.say(f"{_title(shown)} {standing.text()}", STRONG)
    screen.table(("", ""), [row for row in _head(shown) if row[1]])
    screen.say()
    if html is None:
        screen.table(("", ""), [_row(entry) for entry in entries])
        screen.say()
    for note in _notes(records):
        screen.say(note, WARN)
    if html is not None:
        screen.say(f"wrote {many(len(entries), 'entry', 'entries')} to {html}", OK)
    last = next((entry.intent_id for entry in reversed(entries) if entry.tone is Tone.BAD and entry.intent_id), None)
    named = shlex.quote(f"{owner.tenant_uid}|{owner.session_id}")
    steps = [] if last is None else [("what led to the last call that was stopped", f"audit why {last}")]
    tell_steps(screen, connection, [*steps, ("make it a regression test", f"incident export {named}")])


@app.command()
@takes_groups
def why(
    *,
    intent: Annotated[
        str,
        typer.Argument(metavar="INTENT", help="An intent, or its verdict, alert or question; the beginning is enough."),
    ],
    connection: Connection,
    output: Output,
) -> None:
    """Follow a call back to what the user asked for: what its values come from, and the calls that brought that in.

    Below each call stands who has approved or denied it, when, and what else they have approved with it. Where the
    verdict does not say what a value comes from, everything that the session had read by then is a cause.
    """
    screen, settings = output.screen(), connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    with open_log(settings, create=False) as opened:
        owner = find_intent(opened, codec, clock, intent, settings.tenant)
        records = read_records(opened, codec, clock, owner.tenant_uid, owner.session_id, settings.content.trusted())
    cause = causes_of(records, owner.intent_id or "")
    screen.record(cause.fields())
    if screen.as_json:
        return
    from rich.tree import Tree  # noqa: PLC0415 - for a person

    tree = Tree(_told(cause).rich())
    _grow(tree, cause)
    screen.tree(tree)
    screen.say()
    for note in _notes(records):
        screen.say(note, WARN)
    named = shlex.quote(f"{owner.tenant_uid}|{owner.session_id}")
    steps = [
        ("how the rules judged it", f"rules explain --intent {owner.intent_id}"),
        ("the whole story of the session", f"audit session {named}"),
    ]
    tell_steps(screen, connection, steps)


@app.command()
@takes_groups
def export(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The archive. It is created if it is not there.")],
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Also copy verdicts, audit records, what others put on the record, seals and heads byte for byte, for "
            "`audit verify --archive`.",
        ),
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Then merge the files of each partition and day into one.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Add what is new in the audit log to an archive of Parquet files, each record exactly once.

    Run it as often as you like, by one process at a time: it goes on where the archive ends. Files lie in a folder for
    each day, and say in their names which offsets they hold. A copy that `--raw` makes holds the arguments of calls.
    """
    from streams.operations.archive import copies  # noqa: PLC0415 - needs an extra
    from streams.operations.archive import export as archive  # noqa: PLC0415 - needs an extra

    screen, settings = output.screen(), connection.settings()
    with open_log(settings, create=False) as opened:
        done = archive.export_audit(opened, build_codec(settings), SystemClock(), folder)
        copied = copies.copy_topics(opened, SystemClock(), folder) if raw else None
    merged = archive.compact(folder) if compact else 0
    gone = {**done.gone, **({} if copied is None else copied.gone)}
    missed = {**done.missed, **({} if copied is None else copied.missed)}
    screen.record(
        {
            "record": "export",
            "records": done.records_count,
            "files": done.files_count,
            "unreadable": done.unreadable_count,
            "merged": merged,
            "copied": 0 if copied is None else copied.records_count,
            "begins_late": {f"{place.topic}/{place.partition}": offset for place, offset in sorted(gone.items())},
            "missed": {f"{place.topic}/{place.partition}": [*offsets] for place, offsets in sorted(missed.items())},
        }
    )
    for place, offset in sorted(gone.items()):
        screen.say(f"{place.topic}/{place.partition} begins with offset {offset}: earlier records are gone", WARN)
    for place, (first, following) in sorted(missed.items()):
        screen.say(
            f"{place.topic}/{place.partition}: records from offset {first} to {following - 1} may have been deleted "
            "before they were archived; export more often than the topic forgets",
            WARN,
        )
    if done.unreadable_count:
        screen.say(f"{many(done.unreadable_count, 'record')} can't be read and are left out", FAIL)
    told = f"{many(done.records_count, 'record')} added to {folder} in {many(done.files_count, 'file')}"
    screen.say(f"{told}, {many(merged, 'file')} merged away" if compact else told, OK)
    if copied is not None:
        told = many(copied.records_count, "record")
        screen.say(f"{told} copied byte for byte; check them with `stoplog audit verify --archive {folder}`", OK)
    screen.say(f"ask it in SQL: stoplog audit query 'describe calls' --archive {shlex.quote(str(folder))}")


@app.command()
@takes_groups
def query(
    *,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One query, such as `select * from denials`.")],
    archive: Annotated[
        Path, typer.Option("--archive", metavar="DIR", help="The archive that `stoplog audit export` has written.")
    ] = Path("audit-archive"),
    rows_max: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=1_000_000, help="Show at most N rows.")
    ] = 1_000,
    output: Output,
) -> None:
    """Ask an archive of the audit log in SQL.

    The table `audit` has every record. The views are `calls` (each intent once, with its last verdict), `denials`,
    `approvals`, `sessions` and `tools_by_agent`. To list the columns of a view, ask `describe calls`. The query runs on
    this machine, and can read the archive only.
    """
    from streams.operations.archive.query import ask  # noqa: PLC0415 - needs an extra

    screen, answer = output.screen(), ask(archive, sql)
    rows = list(islice(answer.rows, rows_max + 1))
    for row in rows[:rows_max]:
        screen.record(dict(zip(answer.columns, map(_as_json, row), strict=True)))
    screen.table(answer.columns, [[_cell(value) for value in row] for row in rows[:rows_max]])
    if len(rows) > rows_max:
        screen.say(f"there are more rows than {rows_max}; see them with `--max`", WARN)
    elif not rows:
        screen.say("no row matches", WARN)


def _as_json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _title(shown: Shown) -> str:
    return f"session {shown.view.tenant_uid}|{shown.view.session_id}"


def _head(shown: Shown) -> list[tuple[str, str]]:
    view = shown.view
    counts = dict.fromkeys(("ALLOW", "DENY", "QUARANTINE"), 0)
    for outcomes in view.calls.values():
        for outcome in counts:
            counts[outcome] += outcomes.get(outcome, 0)
    return [
        ("agent", f"{view.act.sub} ({view.act.iss})" if view.act.sub else ""),
        ("for", view.sub or ""),
        ("purpose", "" if view.opened is None else view.opened.purpose or ""),
        ("opened", instant_text(view.opened_ms)),
        ("calls", ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)),
        ("opened from", ", ".join(view.ancestor_session_ids)),
    ]


def _notes(records: SessionRecords) -> list[str]:
    notes = [f"Records of `{topic}` are missing: this client may not read it." for topic in sorted(records.hidden)]
    if INTENT.name in records.hidden and VERDICT.name in records.hidden:
        notes.append("Arguments are missing.")
    return notes


def _row(entry: Entry) -> tuple[Text, Text]:
    told = Text.assemble((f"{_name(entry)} ", _STYLES[entry.tone]), short(entry.what, _DETAIL_CHARS_MAX))
    for name, text in entry.details:
        if name in _BRIEF:
            told.append(f"\n{name}: {short(text, _DETAIL_CHARS_MAX)}", FAINT)
    return Text(time_text(entry.time_ms), FAINT), told


def _name(entry: Entry) -> str:
    if entry.who is Who.GATE:
        return "gate"
    return printable(f"{entry.who.value} {entry.name}" if entry.name else entry.who.value)


def _told(cause: Cause) -> Text:
    entry = cause.entry
    because = f"{cause.because}: " if cause.because else ""
    time = time_text(entry.time_ms)
    text = Text.assemble(
        (because, FAINT),
        (f"{_name(entry)} ", _STYLES[entry.tone]),
        short(entry.what, _CAUSE_CHARS_MAX),
        (f"  {time}{'  (see above)' if cause.known else ''}", FAINT),
    )
    for given in () if cause.known else cause.answers:
        scope = f": {given.scope}" if given.scope else ""
        text.append(f"\n{short(f'{given.answer}{scope}', _DETAIL_CHARS_MAX)}  {instant_text(given.time_ms)}", STRONG)
    if cause.arguments and not cause.known:
        text.append(f"\narguments: {short(cause.arguments, _CAUSE_CHARS_MAX)}", FAINT)
    for name, value in entry.details:
        if name in ("documents", "instructions", "purpose") and not cause.known:
            text.append(f"\n{name}: {short(value, _CAUSE_CHARS_MAX)}", FAINT)
    return text


def _grow(tree: Tree, cause: Cause) -> None:
    if cause.left_out_count:
        tree.add(Text(f"{many(cause.left_out_count, 'earlier input')} not shown", FAINT).rich())
    for each in cause.causes:
        _grow(tree.add(_told(each).rich()), each)


app.command()(verify)
app.command()(prove)
app.command()(read)
app.command("erase")(erase_content)
app.command("rewrap")(rewrap_keys)
app.add_typer(hold_app, name="hold")
app.command("check-receipt")(check_receipt)
