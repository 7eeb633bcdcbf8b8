"""`stoplog rules status`: show which rules are in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import BundleOption, Connection, Output
from streams.cli.terminal.screen import FAIL, WARN
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import instant_text
from streams.model.topics import REVOCATION
from streams.operations.rules.history import Judged, Standing, count_verdicts, read_history, read_stops_of_rules
from streams.wiring.operators import open_operator

_BP_PER_PERCENT = 100
_COLUMNS = ("serial", "in force for", "version", "digest", "published", "by", "signed by", "action")
_COUNTED = ("serial", "in force for", "digest", "published", "verdicts")
"""The columns with counts, for which the others leave no room."""


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
    """Show which rules are in force, since when and by whom, and the earlier rules that you can return to.

    Rules that somebody has stopped (`stoplog kill --rules DIGEST --why TEXT`) are marked.
    """
    screen, settings = output.screen(), connection.settings()
    with open_operator(settings) as operator:
        enforced = operator.deployment.bundle_name
        chosen = name or enforced
        history, stops = read_history(operator, chosen), read_stops_of_rules(operator)
        judged = {each.digest: each for each in count_verdicts(operator)} if counts else {}
        now_ms = operator.clock.now_ms()
    rows, stopped = [], []
    for standing in reversed(history.standing):
        role = "all" if standing == history.stable else "canary" if standing == history.canary else ""
        is_stopped = None if stops is None else stops.stops_rules(standing.bundle.digest, now_ms)
        fields = _fields(standing, role, judged.get(standing.bundle.digest), is_stopped=is_stopped)
        screen.record(fields)
        rows.append(_row(fields))
        if role and is_stopped:
            stopped.append(standing.bundle)
    if not rows:
        so = "every intent is denied" if chosen == enforced else f"gates with these settings enforce `{enforced}`"
        screen.say(f"no rules of bundle `{chosen}` are published: {so}", WARN)
    else:
        shown = _COUNTED if counts else _COLUMNS
        screen.table(shown, [tuple(row[column] for column in shown) for row in rows])
    for bundle in stopped:
        screen.say(f"serial {bundle.serial} is stopped: gates deny every call that it would judge", FAIL)
        release = f"release --rules {bundle.digest.hex()}{settings.release.key_option} --why TEXT"
        steps = [("to end that", release)]
        tell_steps(screen, connection, [*steps, ("or other rules", "rules publish DIR")])
    if rows and stops is None:
        screen.say(f"whether rules are stopped can't be shown: this client can't read `{REVOCATION.name}`", WARN)
    if history.unsigned_count:
        screen.say(
            f"{history.unsigned_count} more lack required signatures: gates with these settings reject them", WARN
        )


def _fields(standing: Standing, role: str, judged: Judged | None, *, is_stopped: bool | None) -> dict[str, Any]:
    """Return a publication for a program; `stopped` is null if this client may not read stops."""
    bundle = standing.bundle
    fields: dict[str, Any] = {
        "bundle": bundle.name,
        "serial": bundle.serial,
        "in_force_for": role,
        "stopped": is_stopped,
        "canary_percent": bundle.canary_bp / _BP_PER_PERCENT,
        "version": bundle.version,
        "ruleset_digest": bundle.digest.hex(),
        "published_ms": standing.time_ms,
        "published_by": bundle.published_by,
        "signed_by": list(standing.signers),
        "action": bundle.action.value,
        "offset": standing.offset,
    }
    if judged is not None:
        fields["verdicts"] = dict(sorted(judged.outcomes.items()))
    return fields


def _row(fields: dict[str, Any]) -> dict[str, str]:
    role = fields["in_force_for"]
    share = f"{fields['canary_percent']:g}%" if role == "canary" else role
    return {
        "serial": str(fields["serial"]),
        "in force for": ", ".join(part for part in (share, "STOPPED" if fields["stopped"] else "") if part),
        "version": fields["version"],
        "digest": fields["ruleset_digest"][:12],
        "published": instant_text(fields["published_ms"]),
        "by": fields["published_by"],
        "signed by": ", ".join(fields["signed_by"]) or "-",
        "action": fields["action"].lower(),
        "verdicts": ", ".join(f"{count} {outcome}" for outcome, count in fields.get("verdicts", {}).items()),
    }
