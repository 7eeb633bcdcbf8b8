"""`stoplog catalog`: review the tools that wait for a decision, and show what is in force.

The commands that bring entries into the catalog are in `catalog_import`, those that decide in `catalog_decide`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.apps import make_app
from streams.cli.commands.catalog import decide as catalog_decide
from streams.cli.commands.catalog import importing as catalog_import
from streams.cli.commands.catalog import report_keys as catalog_keys
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.options.stretches import instant_ms
from streams.cli.terminal.screen import FAIL, OK, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.views.catalog import (
    change_fields,
    entry_fields,
    finding_fields,
    instant,
    reach_fields,
    show_diff,
    show_entry,
    show_facts,
    show_findings,
    show_next,
    show_reach,
    show_signing,
    standing_of,
)
from streams.model.plurals import many
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.operations.catalog.decision import read_entries
from streams.operations.catalog.history import (
    CatalogHistory,
    CatalogQueryError,
    Listed,
    read_catalog_history,
    tool_name,
)
from streams.operations.review.diff import definition_of, diff_entries
from streams.operations.review.scan import is_serious, scan_tool
from streams.wiring.operators import open_operator

if TYPE_CHECKING:
    # It loads the rules, which few of the commands need.
    from streams.operations.review.permitted_use import ReachReader

_DAY_MS = 86_400_000

app = make_app("Review which tools may be called: import, compare, approve.")
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="Show the catalog as of this time of the broker's clock (`2026-11-25T09:00:00Z`)."
    ),
]


@app.callback()
def _catalog() -> None:
    """Review which tools may be called: import, compare, approve."""


app.command("import")(catalog_import.import_)


@app.command()
@takes_groups
def review(
    *,
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="SERVER/TOOL[@ID]", help="Which entries. By default all proposed ones."),
    ] = None,
    draft: Annotated[
        Path | None, typer.Option("--draft", metavar="DRAFT", help="Review the entries of a draft before you sign it.")
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """Compare proposed tools with the approved ones, report suspicious texts, and show what an approval permits."""
    screen = output.screen()
    if draft is not None and what:
        raise typer.BadParameter("give entries or `--draft`, not both")
    settings = connection.settings()
    with open_operator(settings) as operator:
        history = read_catalog_history(operator)
        if draft is not None:
            chosen = [history.as_listed(entry) for entry in read_entries(draft)]
        else:
            chosen = _chosen(history, what or ())
        if not chosen:
            screen.say("no tool waits for a review", OK)
            return
        from streams.operations.review.permitted_use import ReachReader  # noqa: PLC0415 - see above

        reader = ReachReader(operator)
        for listed in chosen:
            _review_one(screen, history, reader, listed)
            if draft is None:
                show_next(screen, listed, settings.catalog.key_option)
        if draft is not None:
            show_signing(screen, chosen, draft)


def _chosen(history: CatalogHistory, what: list[str] | tuple[str, ...]) -> list[Listed]:
    if not what:
        return [each for name in history.tools() for each in history.open_proposals(name)]
    chosen: list[Listed] = []
    for text in what:
        if "@" in text.partition("/")[2]:
            chosen.append(history.find(text))
            continue
        name = tool_name(text)
        waiting = history.open_proposals(name) or history.of_tool(name)[-1:]
        if not waiting:
            raise CatalogQueryError(f"tool `{text}` has no entry; see `stoplog catalog list`")
        chosen += waiting
    return chosen


def _review_one(screen: Screen, history: CatalogHistory, reader: ReachReader, listed: Listed) -> None:
    entry = listed.entry
    approved = history.approved(listed.name)
    before = None if approved is None or approved.own_id == listed.own_id else approved.entry
    findings = scan_tool(definition_of(entry), history.mentions)
    reach = reader.of(entry)
    screen.record(
        entry_fields(entry)
        | {"reference": listed.reference, "against_version": None if before is None else before.catalog_version}
        | {"changes": [] if before is None else [change_fields(each) for each in diff_entries(before, entry)]}
        | {"findings": [finding_fields(each) for each in findings], "definition": definition_of(entry)}
        | {"permits": reach_fields(reach)}
    )
    show_entry(screen, listed, "")
    if approved is None or approved.own_id != listed.own_id:
        show_diff(screen, before, entry)
    if before is None:
        if entry.description:
            screen.quote(entry.description)
        else:
            screen.say("(no description)")
    if entry.name == REPORT_KEYS_NAME:
        screen.say("whoever has one of these private keys can report the outcome of the server's calls", WARN)
        show_findings(screen, findings)
    else:
        show_facts(screen, entry)
        show_findings(screen, findings)
        show_reach(screen, reach)
    if is_serious(findings):
        screen.say("to approve it in spite of these findings, use `--accept-findings`", WARN)


@app.command("list")
@takes_groups
def list_(
    *,
    proposed: Annotated[bool, typer.Option("--proposed", help="Only entries that wait for a decision.")] = False,
    expiring: Annotated[
        int | None,
        typer.Option(
            "--expiring", metavar="DAYS", min=0, help="Only entries whose review expires within this many days."
        ),
    ] = None,
    at: AtOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """List the tools: the entry that gates apply for each, and the entries that wait for a decision."""
    screen = output.screen()
    at_ms = instant_ms(at, "--at")
    with open_operator(connection.settings()) as operator:
        history = read_catalog_history(operator, at_ms)
        now_ms = operator.clock.now_ms() if at_ms is None else at_ms
    rows: list[tuple[str | Text, ...]] = []
    waiting: list[str] = []
    for name in history.tools():
        in_force = history.in_force.get(name)
        shown = [each for each in history.of_tool(name) if in_force is not None and each.entry == in_force]
        shown = [] if proposed else shown[-1:]
        shown += [each for each in history.open_proposals(name) if each not in shown]
        if not shown and not proposed and in_force is None:
            shown = list(history.of_tool(name)[-1:])
        for listed in shown:
            expires_ms = listed.entry.review_expires
            if expiring is not None and (expires_ms is None or expires_ms > now_ms + expiring * _DAY_MS):
                continue
            standing = standing_of(history, listed, now_ms)
            screen.record(_listed_fields(history, listed, standing, now_ms))
            rows.append(_row(listed, standing))
            if standing == "open":
                waiting.append(listed.reference)
    if not rows:
        is_filtered = proposed or expiring is not None or at_ms is not None
        screen.say(
            "no entry matches" if is_filtered else "no tool is in the catalog: see `stoplog catalog import`", WARN
        )
        return
    screen.table(("tool", "version", "state", "review expires", "owner", "signed by"), rows)
    if waiting:
        screen.say()
        screen.say(f"{many(len(waiting), 'entry', 'entries')} to decide on, each with its id:")
    for reference in waiting:
        screen.say(f"  {reference}")


def _listed_fields(history: CatalogHistory, listed: Listed, standing: str, now_ms: int) -> dict[str, Any]:
    return entry_fields(listed.entry) | {
        "reference": listed.reference,
        "standing": standing,
        "callable": standing == "in force" and history.is_callable(listed.name, now_ms),
        "signed_by": list(listed.signers),
        "fault": listed.fault,
        "published_ms": listed.time_ms,
        "offset": listed.offset,
    }


def _row(listed: Listed, standing: str) -> tuple[str | Text, ...]:
    entry = listed.entry
    style = OK if standing == "in force" else FAIL if standing in ("refused", "expired") else WARN
    state = entry.state.value.lower()
    return (
        "/".join(listed.name),
        str(entry.catalog_version),
        Text(f"{state}, {standing}" if standing else state, style=style),
        (instant(entry.review_expires) or "-")[:10],
        entry.owner or "-",
        ", ".join(listed.signers) or "-",
    )


@app.command()
@takes_groups
def show(
    *,
    tool: Annotated[str, typer.Argument(metavar="SERVER/TOOL", help="Which tool.")],
    at: AtOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Show a tool: all its entries, the one in force now or at a given time, and what it permits."""
    screen = output.screen()
    at_ms = instant_ms(at, "--at")
    name = tool_name(tool)
    with open_operator(connection.settings()) as operator:
        history = read_catalog_history(operator, at_ms)
        now_ms = operator.clock.now_ms() if at_ms is None else at_ms
        entries = history.of_tool(name)
        if not entries:
            when = "" if at is None else f" at {at}"
            raise CatalogQueryError(f"tool `{tool}` has no entry{when}; see `stoplog catalog list`")
        in_force = history.in_force.get(name)
        for listed in entries:
            screen.record(_listed_fields(history, listed, standing_of(history, listed, now_ms), now_ms))
            show_entry(screen, listed, standing_of(history, listed, now_ms))
        if not history.is_callable(name, now_ms) or in_force is None:
            screen.say("the tool can't be called", WARN)
            return
        show_facts(screen, in_force)
        if at_ms is None:
            from streams.operations.review.permitted_use import ReachReader  # noqa: PLC0415 - see above

            reach = ReachReader(operator).of(in_force)
            screen.record({"tool": tool, "permits": reach_fields(reach)})
            show_reach(screen, reach)


# Behind the others, so that the help lists commands in the order in which they are used.
for _command in (
    catalog_import.publish,
    catalog_decide.approve,
    catalog_decide.reject,
    catalog_decide.deprecate,
    catalog_decide.block,
    catalog_decide.sign,
    catalog_decide.watch,
    catalog_keys.report_keys,
):
    app.command()(_command)
