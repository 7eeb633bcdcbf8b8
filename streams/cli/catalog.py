"""`stoplog catalog`: publish what tools may be called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streams.app.catalogue_files import read_catalogue
from streams.app.catalogue_publishing import publish_entries
from streams.app.operator import SOURCE, Operator
from streams.cli.options import BootstrapOption, JsonOption, LogOption, StateDirOption, settings_from
from streams.cli.screen import FAINT, OK, WARN, Screen
from streams.model.catalogue import EntryState

app = typer.Typer(add_completion=False, help="Publish what tools may be called.", rich_markup_mode="rich")

_STYLES = {EntryState.APPROVED: OK, EntryState.DEPRECATED: WARN, EntryState.PROPOSED: WARN}


@app.callback()
def _catalog() -> None:
    """Publish what tools may be called."""


@app.command()
def publish(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A history, or JSON of listed tools with facts.")],
    log: LogOption = None,
    bootstrap: BootstrapOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = None,
) -> None:
    """Publish catalogue entries. Only approved ones can be called; what is published already is left alone.

    FILE is a history with catalog_entry lines, or JSON: {"server_id": "mail", "tools": [what tools/list returned],
    "facts": {"send": {"open_world": true}}, "reviewed_by": "ann"}. A tool with facts is approved, if reviewed_by is
    given; every other is only proposed.
    """
    screen = Screen(as_json)
    with Operator(settings_from(log, bootstrap, state_dir)) as operator:
        entries = read_catalogue(file, operator.clock.now_ms(), SOURCE, operator.settings.tenant)
        rows = []
        for entry, is_new in publish_entries(operator, entries):
            tool = f"{entry.server_id}/{entry.name}"
            screen.record(
                {
                    "tool": tool,
                    "version": entry.catalog_version,
                    "state": entry.state.value,
                    "definition_digest": entry.definition_digest.hex(),
                    "published": is_new,
                }
            )
            state = Text(entry.state.value.lower(), style=_STYLES.get(entry.state, FAINT))
            rows.append((tool, str(entry.catalog_version), state, "published" if is_new else "is there already"))
        screen.table(("tool", "version", "state", ""), rows)
