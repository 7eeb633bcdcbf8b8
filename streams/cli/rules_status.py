"""`stoplog rules status`: show which rules are in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli.option_groups import takes_groups
from streams.cli.options import BundleOption, Connection, Output
from streams.cli.screen import WARN
from streams.codec.instants import format_instant
from streams.operations.rules.history import Judged, Standing, count_verdicts, read_history
from streams.wiring.operators import open_operator

_SECONDS_CHARS = len("2026-01-01T00:00:00")
_BP_PER_PERCENT = 100


@takes_groups
def status(
    *,
    counts: Annotated[
        bool, typer.Option("--counts", help="Also count the newest verdicts under each of them by outcome.")
    ] = False,
    name: BundleOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Show which rules are in force, since when and by whom, and the earlier rules that you can return to."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        chosen = name or operator.deployment.bundle_name
        history = read_history(operator, chosen)
        judged = {each.digest: each for each in count_verdicts(operator)} if counts else {}
    rows = []
    for standing in reversed(history.standing):
        role = "all" if standing == history.stable else "canary" if standing == history.canary else ""
        fields = _fields(standing, role, judged.get(standing.bundle.digest))
        screen.record(fields)
        rows.append(_row(fields))
    if not rows:
        screen.say(f"no rules of bundle `{chosen}` are published: every intent is denied", WARN)
    else:
        columns = ("serial", "in force for", "version", "digest", "published", "by", "signed by", "action")
        screen.table((*columns, "verdicts") if counts else columns, [row if counts else row[:-1] for row in rows])
    if history.unsigned_count:
        screen.say(
            f"{history.unsigned_count} more lack required signatures: gates with these settings reject them", WARN
        )


def _fields(standing: Standing, role: str, judged: Judged | None) -> dict[str, Any]:
    bundle = standing.bundle
    fields: dict[str, Any] = {
        "bundle": bundle.name,
        "serial": bundle.serial,
        "in_force_for": role,
        "canary_percent": bundle.canary_bp / _BP_PER_PERCENT,
        "version": bundle.version,
        "digest": bundle.digest.hex(),
        "published": format_instant(standing.time_ms),
        "published_by": bundle.published_by,
        "signed_by": list(standing.signers),
        "action": bundle.action.value,
        "offset": standing.offset,
    }
    if judged is not None:
        fields["verdicts"] = dict(sorted(judged.outcomes.items()))
    return fields


def _row(fields: dict[str, Any]) -> tuple[str, ...]:
    role = fields["in_force_for"]
    return (
        str(fields["serial"]),
        f"{fields['canary_percent']:g}%" if role == "canary" else role,
        fields["version"],
        fields["digest"][:12],
        fields["published"][:_SECONDS_CHARS].replace("T", " "),
        fields["published_by"],
        ", ".join(fields["signed_by"]) or "-",
        fields["action"].lower(),
        ", ".join(f"{count} {outcome}" for outcome, count in fields.get("verdicts", {}).items()),
    )
