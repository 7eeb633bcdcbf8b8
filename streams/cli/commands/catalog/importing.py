"""The commands of `stoplog catalog` that bring entries into the catalog: from what servers list, or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.commands.catalog import decide as catalog_decide
from streams.cli.options.groups import OptionGroup, takes_groups
from streams.cli.options.shared import ByOption, Connection, Output, Signature, checked_url
from streams.cli.terminal.screen import FAIL, FAINT, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.views.catalog import STYLES, entry_fields, finding_fields
from streams.model.catalog import EntryState
from streams.operations.catalog.decision import is_draft, publish_decisions, read_entries
from streams.operations.catalog.files import read_catalog, read_facts, read_listing
from streams.operations.catalog.proposal import Finding, Imported, import_tools
from streams.operations.catalog.publication import publish_entries
from streams.operations.operator import SOURCE
from streams.operations.review.scan import is_serious
from streams.sdk.mcp.catalog import ToolFacts
from streams.wiring.operators import open_operator

_FOUND_SOMETHING = 1
_FINDING_STYLES = {
    Finding.NEW: WARN,
    Finding.SAME: FAINT,
    Finding.ALREADY_PROPOSED: WARN,
    Finding.FACTS_CHANGED: WARN,
    Finding.UPGRADE: WARN,
    Finding.CHANGED: FAIL,
    Finding.GONE: WARN,
}


@dataclass(frozen=True, kw_only=True)
class ToolSource(OptionGroup):
    """Where the list of a server's tools comes from, unless a command starts the server."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Ask the server at this URL, over streamable HTTP.",
            callback=checked_url,
        ),
    ] = None
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME=VARIABLE",
            help="A header to send, with the value of this environment variable. Can be repeated.",
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="VARIABLE", help="Pass this environment variable to the command. Can be repeated."
        ),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Read what `tools/list` returned, as JSON, from a file."),
    ] = None

    def listing(self, server_id: str, command: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, ToolFacts]]:
        """Return the tools of a server, and the facts about them if the source states any, by tool name.

        Raises:
            BadParameter: there is not exactly one source.
            ListingError, McpServerError: the server can't be asked.
            CatalogFileError: the file can't be read.
        """
        if sum(bool(source) for source in (command, self.url, self.file)) != 1:
            raise typer.BadParameter("give exactly one source: `-- COMMAND ...`, `--url URL` or `--file FILE`")
        if self.file is not None:
            return read_listing(self.file, server_id)
        from streams.operations.catalog.mcp_list import (  # noqa: PLC0415 - only this command asks servers
            list_from_command,
            list_from_url,
        )

        if self.url is not None:
            return list_from_url(server_id, self.url, _variables(self.header or ())), {}
        return list_from_command(server_id, command, self.env or ()), {}


@takes_groups
def import_(
    *,
    server_id: Annotated[str, typer.Argument(metavar="SERVER", help="Your name for the server.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="After `--`: start the server with this command, and ask it over stdio."
        ),
    ] = None,
    source: ToolSource,
    facts: Annotated[
        Path | None, typer.Option("--facts", metavar="FILE", help="Your facts about the tools: JSON by tool name.")
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="The release is not in use yet: changed tools are not blocked.")
    ] = False,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Propose the tools that a server lists. They can't be called until they are approved.

    A tool whose definition differs from the approved one is blocked at once, and an alert is sent. The exit status is 1
    if a tool was blocked, or if a text of a tool contains instructions to the model.
    """
    screen = output.screen()
    tools, stated = source.listing(server_id, command or ())
    if facts is not None:
        stated = stated | read_facts(facts, server_id, tools)
    with open_operator(connection.settings(), by) as operator:
        imported = import_tools(operator, server_id, tools, stated, is_upgrade=upgrade)
    _show_imported(screen, imported)
    if any(each.finding is Finding.CHANGED or is_serious(each.findings) for each in imported):
        raise typer.Exit(_FOUND_SOMETHING)


def _show_imported(screen: Screen, imported: list[Imported]) -> None:
    rows = []
    for each in imported:
        fields = entry_fields(each.entry)
        screen.record(
            {key: fields[key] for key in ("tool", "id", "catalog_version", "state", "definition_digest")}
            | {"finding": each.finding.value, "alerts": [alert.analytic_uid for alert in each.alerts]}
            | {"findings": [finding_fields(found) for found in each.findings]}
        )
        alerts = ", ".join(alert.analytic_uid for alert in each.alerts)
        reference = f"{fields['tool']}@{fields['id']}"
        finding = Text(each.finding.value.replace("_", " "), style=_FINDING_STYLES[each.finding])
        state = Text(each.entry.state.value.lower(), style=STYLES[each.entry.state])
        rows.append((reference, state, finding, str(len(each.findings)), Text(alerts, style=FAIL)))
    screen.table(("entry", "state", "change", "findings", "alerts"), rows)
    if any(each.entry.state in (EntryState.PROPOSED, EntryState.BLOCKED) for each in imported):
        screen.say("next: `stoplog catalog review`", FAINT)


@takes_groups
def publish(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A signed draft, a history, or JSON of listed tools with facts.")
    ],
    signing: Signature,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Publish the decisions of a draft, or the entries of a file.

    FILE is a draft of `approve --out`; or a history with catalog_entry lines; or JSON: {"server_id": "mail", "tools":
    [what tools/list returned], "facts": {"send": {"open_world": true}}, "reviewed_by": "ann", "proposed_by": "bea"}. In
    such JSON, a tool with facts is approved if reviewed_by is given; every other tool is only proposed. Arguments
    that can carry text are sinks, unless the facts have sink_args, or say that the tool is read_only and not
    open_world. Gates that require signatures require them for these entries, too.
    """
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        if is_draft(file):
            catalog_decide.tell(screen, publish_decisions(operator, read_entries(file)), "published")
            return
        entries = read_catalog(file, operator.clock.now_ms(), SOURCE, operator.deployment.tenant_uid)
        signing_key = signing.signing_key()
        rows = []
        for entry, is_new in publish_entries(operator, entries, signing_key):
            tool = f"{entry.server_id}/{entry.name}"
            screen.record(
                {
                    "tool": tool,
                    "catalog_version": entry.catalog_version,
                    "state": entry.state.value,
                    "definition_digest": entry.definition_digest.hex(),
                    "published": is_new,
                }
            )
            state = Text(entry.state.value.lower(), style=STYLES[entry.state])
            rows.append((tool, str(entry.catalog_version), state, "published" if is_new else "unchanged"))
        screen.table(("tool", "version", "state", "result"), rows)


def _variables(texts: Sequence[str]) -> dict[str, str]:
    """Return the variable that has the value of each header."""
    variables: dict[str, str] = {}
    for text in texts:
        name, equals, variable = text.partition("=")
        if not equals or not name or not variable:
            raise typer.BadParameter(f"`{text}` is not of the form NAME=VARIABLE, which `--header` needs")
        variables[name] = variable
    return variables
