"""`stoplog behaviour announce`, `announced` and `withdraw`: say beforehand what the watch needs not report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import ByOption, Connection, Output, Signature, WhyOption
from streams.cli.options.stretches import end_ms
from streams.cli.terminal.near_names import nearest_text
from streams.cli.terminal.screen import FAINT, OK, WARN, Screen
from streams.cli.terminal.text import printable, warn
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.model.alert_status import ANNOUNCED_CALLS_MAX, Announced, announced_text
from streams.model.plurals import many
from streams.model.revocation import RevocationKind
from streams.operations.alert_handling import short_alert_ids
from streams.operations.behaviour.announcements import (
    Announcement,
    find_announcement,
    known_announcements,
    withdraw_announcement,
    write_announcements,
)
from streams.operations.known_names import unknown_among
from streams.operations.operator import Operator
from streams.operations.topics.lookup import tenant_and_name
from streams.wiring.operators import open_operator

PlacesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="DOMAIN",
        help="Where data may go, as alerts name it; `*` for anywhere, as of a mailing. Repeat it for several. Calls to "
        "other places, and those whose place can't be read, are judged.",
    ),
]
AmountOption = Annotated[
    float | None,
    typer.Option(
        "--amount",
        metavar="AMOUNT",
        help="How much each call may move at most; calls without an amount are judged then. Without this option, calls "
        "that move an amount are judged.",
    ),
]


@takes_groups
def announce(
    *,
    agents: Annotated[
        list[str], typer.Argument(metavar="AGENT", help="Agents (`etl-3` or `tenant|etl-3`), each announced by itself.")
    ],
    tools: Annotated[
        list[str], typer.Option("--tool", metavar="NAME", help="A tool, `server.name` or `server/name`. Repeat it.")
    ],
    places: PlacesOption = None,
    calls: Annotated[
        int,
        typer.Option("--calls", metavar="N", min=1, max=ANNOUNCED_CALLS_MAX, help="How many calls of each agent."),
    ],
    amount_max: AmountOption = None,
    begins: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHEN", help="When it begins: an instant, or a duration from now. By default at once."
        ),
    ] = None,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="WHEN",
            help="When it ends: `2026-01-31T09:00:00Z`, or a duration from now, such as `8h`; at most 7 days after it "
            "begins.",
        ),
    ],
    why: WhyOption,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Announce work that would look unusual, such as a migration: the watch raises no alert about it.

    It applies to allowed calls of these tools by these agents, up to the number of calls. Nothing is learned from them.
    Everything else that the agents do is judged as ever, and what gates decide does not change. Sign with the key of a
    handler (setting `alerts.handlers`), unless the settings need no signature.
    """
    screen, settings, key = output.screen(), connection.settings(), signature.signing_key()
    with open_operator(settings, name) as operator:
        now_ms = operator.clock.now_ms()
        from_ms, until_ms = end_ms(begins, now_ms, "--from") or now_ms, end_ms(until, now_ms) or now_ms
        # As alerts, the catalog and other commands name a tool. What the watch compares always has a dot.
        tools = [each if "." in each else _dotted(each) for each in tools]
        announced = []
        # An agent that is named twice gets its number of calls once.
        for tenant, its_name in dict.fromkeys(tenant_and_name(agent, settings.tenant) for agent in agents):
            it = Announced(
                agent=its_name,
                tools=tuple(sorted(set(tools))),
                destinations=tuple(sorted(set(places or ()))),
                from_time=from_ms,
                until_time=until_ms,
                calls_max=calls,
                amount_max=amount_max,
            )
            announced.append((tenant, it))
        made = write_announcements(operator, announced, why, key)
        where = operator.log.name
        unknown = _unknown(operator, [f"{tenant}|{it.agent}" for tenant, it in announced], tools)
    signed = settings.alerts.key_option
    for each in made:
        screen.record(_fields(each))
        screen.say(f"announced {_line(each)}, recorded on the {where}", OK)
        tell_steps(screen, connection, [("end it at once", f"behaviour withdraw {each.uid} --why TEXT{signed}")])
    for text in unknown:
        warn(f"no {text}")


def _dotted(tool: str) -> str:
    """Return how the watch spells a tool that is written `server/name`."""
    return tool.replace("/", ".", 1)


def _unknown(operator: Operator, agents: Sequence[str], tools: Sequence[str]) -> list[str]:
    """Return which agents and tools the log does not know, in words: about a mistyped one, alerts are raised."""
    found = {
        "agent": unknown_among(operator, RevocationKind.AGENT, agents),
        "tool": unknown_among(operator, RevocationKind.TOOL, tools, _dotted),
    }
    return [
        f"{kind} `{printable(name)}` is on the {operator.log.name}; it is announced for when there is one"
        + nearest_text(near)
        for kind, names in found.items()
        for name, near in names.items()
    ]


@takes_groups
def announced(
    *,
    agent: Annotated[
        str | None, typer.Argument(metavar="AGENT", help="Only what is announced of this agent (`etl-3`).")
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """List what is announced and neither over nor withdrawn."""
    screen, settings = output.screen(), connection.settings()
    with open_operator(settings) as operator:
        known = known_announcements(operator)
    found = known if agent is None else announced_of(known, *tenant_and_name(agent, settings.tenant))
    tell_announced(screen, found, known)
    for each in found:
        screen.record(_fields(each))
    if not found:
        screen.say("nothing is announced", FAINT)


@takes_groups
def withdraw(
    *,
    announcement: Annotated[
        str,
        typer.Argument(metavar="ID", help="The announcement's id, or the beginning of it (`ID` or `tenant|ID`)."),
    ],
    why: WhyOption,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Withdraw what was announced: from now on, these calls are judged as ever. Sign as for `announce`."""
    screen, key = output.screen(), signature.signing_key()
    with open_operator(connection.settings(), name) as operator:
        meant = find_announcement(known_announcements(operator), announcement)
        ended = withdraw_announcement(operator, meant, why, key)
        where = operator.log.name
    screen.record(_fields(ended))
    screen.say(f"withdrawn {_line(ended)}, recorded on the {where}", OK)


def announced_of(known: Sequence[Announcement], tenant_uid: str, agent: str) -> list[Announcement]:
    """Return what is announced of one agent."""
    return [each for each in known if each.tenant_uid == tenant_uid and each.announced.agent == agent]


def tell_announced(screen: Screen, found: Sequence[Announcement], known: Sequence[Announcement]) -> None:
    """Say what is announced, in a line each.

    Args:
        screen: where.
        found: what to show.
        known: all that is announced, so that each id shown is enough for `withdraw`.
    """
    ids = short_alert_ids(each.uid for each in known)
    if found:
        screen.say(f"announced ({many(len(found), 'announcement')}); the watch raises no alert about it:", WARN)
    for each in found:
        by = f"{each.by_user}, {'not signed' if each.signer is None else f'signed by {each.signer}'}"
        screen.say(f"  {ids[each.uid]}  {_line(each)} ({by}: {each.reason})")


def _line(it: Announcement) -> str:
    begins, ends = (format_instant(time_ms) for time_ms in (it.announced.from_time, it.announced.until_time))
    return f"{announced_text(it.announced)}, {begins} to {ends}"


def _fields(it: Announcement) -> dict[str, object]:
    about = it.announced
    return {
        "record": "announcement",
        "announcement": it.uid,
        "tenant": it.tenant_uid,
        "agent": about.agent,
        "tools": list(about.tools),
        "destinations": list(about.destinations),
        "from_ms": about.from_time,
        "until_ms": about.until_time,
        "calls_max": about.calls_max,
        "amount_max": about.amount_max,
        "by": it.by_user,
        "signer": it.signer,
        "why": it.reason,
    }
