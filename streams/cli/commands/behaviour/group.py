"""`stoplog behaviour`: show what is usual for an agent, what has changed, and what is announced of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.commands.behaviour.announce import announce, announced, announced_of, tell_announced, withdraw
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.model.errors import StoplogError
from streams.operations.behaviour.announcements import read_announcements
from streams.operations.behaviour.baselines import Known, read_baselines
from streams.operations.behaviour.portrait import Bar, Epoch, Portrait, epoch_text, portrait_of, share_text
from streams.operations.behaviour.portrait_page import portrait_page
from streams.operations.topics.lookup import tenant_and_name
from streams.wiring.operators import open_operator

app = make_app("Show what is usual for an agent and what has changed, and announce work that would look unusual.")

BAR_CHARS = 24
NAME_CHARS_MAX = 36
SHOWN_MAX = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = " ▁▂▃▄▅▆▇█"


class EpochUnknownError(StoplogError):
    """An option names an epoch that the agent has not had, or several."""


@app.callback()
def behaviour() -> None:
    """Show what is usual for an agent and what has changed, and announce work that would look unusual."""


@app.command()
@takes_groups
def show(
    *,
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="An agent (`support-refunds` or `tenant|support-refunds`).")
    ],
    epoch: Annotated[
        str | None,
        typer.Option(
            "--epoch",
            metavar="TEXT",
            help="Show the epoch whose name contains this, such as a model. By default the newest.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="TEXT",
            help="Compare with the epoch whose name contains this. By default the one before.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as a page that needs no other file."),
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """Show what is usual for an agent (tools, rhythm, destinations, amounts), and what changed since the epoch before.

    An epoch is one version of the agent: its model, toolset, system prompt and the version that it states. The command
    reads what the watch has published, with the rights of the role `soc`; that is as old as `watch.publish_ms` says.
    """
    screen, settings = output.screen(), connection.settings()
    tenant, name = tenant_and_name(agent, settings.tenant)
    with open_operator(settings) as operator:
        known = read_baselines(operator.log, operator.codec, operator.clock, tenant, name)
        announced_by_all = read_announcements(operator)
        now_ms = operator.clock.now_ms()
    chosen = known[0] if epoch is None else _named(known, epoch, "--epoch")
    older = [each for each in known[known.index(chosen) + 1 :] if each is not chosen]
    other = (older[0] if older else None) if against is None else _named(known, against, "--against")
    expected = None if announced_by_all is None else announced_of(announced_by_all, tenant, name)
    portrait = portrait_of(known, chosen, None if other is chosen else other)
    its_ids = None if expected is None else [each.uid for each in expected]
    screen.record({**_fields(portrait, chosen), "announced": its_ids})
    if html is not None:
        html.write_text(portrait_page(portrait, format_instant(now_ms)), "utf-8")
    if screen.as_json:
        return
    if expected is None:
        screen.say("what is announced can't be read here", WARN)
    tell_announced(screen, expected or (), announced_by_all or ())
    _tell(screen, portrait)
    if html is not None:
        screen.say(f"wrote {html}", OK)
    named = shlex.quote(name)
    steps = [("its sessions", f"session list --agent {named}"), ("open alerts", "alerts list")]
    tell_steps(screen, connection, steps)


def _named(known: Sequence[Known], text: str, option: str) -> Known:
    """Return the epoch that an option names.

    Raises:
        EpochUnknownError: none does, or several do.
    """
    found = [each for each in known if text.lower() in epoch_text(each).lower() or text == each.profile.epoch]
    if len(found) == 1:
        return found[0]
    names = "; ".join(epoch_text(each) for each in known)
    what = "no epoch" if not found else f"{len(found)} epochs"
    raise EpochUnknownError(f"`{option} {text}` names {what} of the agent. Its epochs are: {names}")


def _fields(portrait: Portrait, chosen: Known) -> dict[str, object]:
    parts = ("tools", "destinations", "amounts", "changes", "epochs")
    lists = {name: [each._asdict() for each in getattr(portrait, name)] for name in parts}
    fields = {"record": "behaviour", **portrait._asdict(), **lists, "published_ms": chosen.published_ms}
    del fields["published"]
    return fields


def _tell(screen: Screen, portrait: Portrait) -> None:
    screen.prose(f"what is usual for {portrait.agent}", STRONG)
    screen.prose(f"  {portrait.epoch}")
    screen.prose(f"  learned from {portrait.learned}; published at {portrait.published}", FAINT)
    screen.say()
    _tell_changes(screen, portrait)
    _tell_bars(screen, "tools", portrait.tools)
    screen.rich(Text(f"rhythm: mostly {portrait.busy} UTC", style=STRONG))
    screen.say(f"  {_clock(portrait.hours)}")
    screen.say("  00          06          12          18          24", FAINT)
    screen.say()
    _tell_bars(screen, "destinations", portrait.destinations)
    if portrait.amounts:
        screen.say("amounts", STRONG)
        width = min(max(len(each.tool) for each in portrait.amounts), NAME_CHARS_MAX)
        for each in portrait.amounts:
            screen.say(f"  {short(printable(each.tool), width):<{width}}  {each.text}")
        screen.say()
    if len(portrait.epochs) > 1:
        screen.table(("epoch", "calls", "first", "last"), [_epoch_row(each) for each in portrait.epochs])
        screen.say()


def _epoch_row(epoch: Epoch) -> list[str]:
    return [epoch.name, f"{epoch.calls:,}", epoch.first, epoch.last]


def _tell_changes(screen: Screen, portrait: Portrait) -> None:
    if not portrait.since:
        screen.say(portrait.heading, FAINT)
    elif not portrait.changes:
        screen.prose(f"{portrait.heading}, it behaves as before", OK)
    else:
        screen.prose(f"{portrait.heading}:", WARN)
        for change in portrait.changes:
            screen.prose(f"  - {change.text}")
    screen.say()


def _tell_bars(screen: Screen, title: str, bars: Sequence[Bar]) -> None:
    if not bars:
        return
    screen.say(title, STRONG)
    width = min(max(len(bar.name) for bar in bars), NAME_CHARS_MAX)
    widest = max(bar.share for bar in bars) or 1.0
    for bar in bars[:SHOWN_MAX]:
        name = short(printable(bar.name), width)
        screen.say(f"  {name:<{width}}  {_drawn(bar.share / widest):<{BAR_CHARS}}  {share_text(bar)}")
    if len(bars) > SHOWN_MAX:
        screen.say(f"  and {len(bars) - SHOWN_MAX} more; see them with --json or --html", FAINT)
    screen.say()


def _drawn(share: float) -> str:
    """Return a bar, to an eighth of a character."""
    eighths = max(1, round(share * BAR_CHARS * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _clock(hours: Sequence[int]) -> str:
    """Return a day as two characters for each hour."""
    highest = max(hours) or 1
    levels = [0 if not count else max(1, round(count / highest * (len(_LEVELS) - 1))) for count in hours]
    return "".join(_LEVELS[level] * 2 for level in levels)


app.command()(announce)
app.command()(announced)
app.command()(withdraw)
