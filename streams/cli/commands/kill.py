"""`stoplog kill` and `stoplog release`: stop something everywhere, and release it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import OptionGroup, takes_groups
from streams.cli.options.shared import ByOption, Connection, Output, Signature, WhyOption
from streams.cli.options.stretches import end_ms
from streams.cli.terminal.screen import OK, Screen
from streams.cli.terminal.text import printable, warn
from streams.codec.instants import format_instant
from streams.model.errors import StoplogError
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.operations.known_names import look_up
from streams.operations.meant_stops import Stop, meant_stop
from streams.operations.operator import Operator
from streams.operations.stops import (
    RevocationTargetError,
    UntilError,
    meant_target,
    release_stop,
    stored_ms,
    write_revocation,
)
from streams.operations.topics.lookup import tenant_and_name
from streams.operations.topics.reader import TopicReadError
from streams.ports import LogError
from streams.sdk.errors import PublishError
from streams.wiring.operators import open_operator

if TYPE_CHECKING:
    # Loaded where the state of a session is read.
    pass

_Read = TypeVar("_Read")


class StopUnconfirmedError(StoplogError):
    """The log has not confirmed a stop."""


kill_app = make_app()
release_app = make_app()

_TARGET = "Target (give exactly one)"
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        help="When the stop ends: `2026-01-31T09:00:00Z`, or a duration from now, such as `30m` or `8h`.",
    ),
]

CLOCK_BEHIND_MS_MAX = 10_000
"""How far the clock of this machine may be behind the log's until a stop with an end comes with a warning."""

_OPTIONS = {
    RevocationKind.ALL: "--all",
    RevocationKind.SUBJECT: "--user",
    RevocationKind.RULESET: "--rules",
}


@dataclass(frozen=True, kw_only=True)
class Target(OptionGroup):
    """What is stopped or released: exactly one of these."""

    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="ID",
            help="A session (`s-1` or `tenant|s-1`) and its sub-sessions.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="ID", help="An agent in all its sessions.", rich_help_panel=_TARGET)
    ] = None
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="ID", help="A user, with all agents that act for them.", rich_help_panel=_TARGET
        ),
    ] = None
    tool: Annotated[
        str | None,
        typer.Option(
            "--tool",
            metavar="SERVER/TOOL",
            help="A tool; `server/*` for all tools of a server.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="PROVIDER/NAME",
            help="A model. A stop of one also stops calls that name no model.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="A whole tenant.", rich_help_panel=_TARGET)
    ] = None
    delegation: Annotated[
        str | None,
        typer.Option(
            "--delegation", metavar="UID", help="A grant and all that were delegated from it.", rich_help_panel=_TARGET
        ),
    ] = None
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules",
            metavar="DIGEST",
            help="A published version of the rules: it decides nothing, and what it has allowed is refused.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    everything: Annotated[bool, typer.Option("--all", help="Everything.", rich_help_panel=_TARGET)] = False

    def chosen(self) -> tuple[RevocationKind, str]:
        """Return the kind of the target that is given, and its name.

        Raises:
            typer.BadParameter: no target is given, or several are.
        """
        options = {
            RevocationKind.SESSION: self.session,
            RevocationKind.AGENT: self.agent,
            RevocationKind.SUBJECT: self.user,
            RevocationKind.TOOL: self.tool,
            RevocationKind.MODEL: self.model,
            RevocationKind.TENANT: self.tenant,
            RevocationKind.DELEGATION: self.delegation,
            RevocationKind.RULESET: self.rules,
            RevocationKind.ALL: "*" if self.everything else None,
        }
        given = [(kind, stated) for kind, stated in options.items() if stated is not None]
        if len(given) != 1:
            named = ", ".join(_option(kind) for kind in options if kind is not RevocationKind.ALL)
            raise typer.BadParameter(f"give exactly one of {named} or --all")
        return given[0]


@kill_app.command()
@takes_groups
def kill(
    *,
    why: WhyOption,
    target: Target,
    until: UntilOption = None,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Stop a session, agent, user, tool, model, tenant, grant, rules or everything, at once and everywhere.

    Gates deny all calls concerned, executors reject verdicts that were already given, and pending calls are denied for
    good. A session, agent or user without a tenant belongs to the tenant of the settings.

    A name need not be on the log. But if it is only the beginning of a session's id, as lists show it, the exit status
    is 1, and the command with the whole id is shown. A warning says so if the session has ended.
    """
    kind, stated = target.chosen()
    settings = connection.settings()
    with ExitStack() as opened:
        with _failing_as_unconfirmed():
            operator = opened.enter_context(open_operator(settings, name))
            until_ms = end_ms(until, operator.clock.now_ms())
            full_name = meant_target(operator, kind, stated)
            written = write_revocation(operator, kind, full_name, RevocationState.REVOKED, why, until_ms)
        screen = output.screen()
        _tell(operator, written, screen)
        undo = connection.command(f"release {_target_option(kind, written.id)}{settings.release.key_option} --why TEXT")
        screen.say(f"to undo: {undo}")
        # Only now: nothing may come before a stop.
        _check_end(operator, written)
        _check_name(operator, written, connection)


@release_app.command()
@takes_groups
def release(
    *,
    why: WhyOption,
    target: Target,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Release what was stopped under the same name, or a session that a rule has frozen.

    Sign with the key of a releaser (setting `release.releasers`). Calls that were denied in the meantime stay denied,
    and sessions that have ended stay ended.

    The beginning of a session's id, as lists show it, stands for the session if no other one that is stopped has this
    beginning. If there is neither a stop of the name nor anything else of it on the log, nothing is recorded, and the
    exit status is 1.
    """
    kind, stated = target.chosen()
    settings = connection.settings()
    key = signature.signing_key()
    with open_operator(settings, name) as operator:
        stop = meant_stop(operator, kind, stated)
        if not stop.is_known:
            signed = settings.release.key_option
            raise RevocationTargetError(_nothing_of_the_name(operator, kind, stop, why, connection, signed))
        was_stopped = stop.until_ms is not None and operator.clock.now_ms() < stop.until_ms
        written = release_stop(operator, kind, stop.target, why, key)
        _tell_of_release(operator, written, output.screen(), was_stopped=was_stopped)
        if not was_stopped:
            warn(f"{_why_nothing_was_released(written, stop.until_ms)}; {_list_of_stops(connection)}")


@contextmanager
def _failing_as_unconfirmed() -> Iterator[None]:
    """Turn an error of the log into one that first says what it means: nobody knows whether the stop was stored.

    Raises:
        StopUnconfirmedError: the log did not confirm the stop.
    """
    try:
        yield
    except (LogError, PublishError, TopicReadError) as error:
        raise StopUnconfirmedError(
            f"the stop is not confirmed, so take it that nothing is stopped: {error}. Run the command again until it "
            "says that the stop is recorded"
        ) from error


def _option(kind: RevocationKind) -> str:
    return _OPTIONS.get(kind, f"--{kind.value.lower()}")


def _tell(operator: Operator, written: Revocation, screen: Screen) -> None:
    until_ms = written.until
    fields = _fields(operator, written)
    screen.record(fields if until_ms is None else {**fields, "until_ms": until_ms})
    screen.say(f"{_named(written)} is stopped: recorded on the {operator.log.name}", OK)


def _tell_of_release(operator: Operator, written: Revocation, screen: Screen, *, was_stopped: bool) -> None:
    screen.record({**_fields(operator, written), "was_stopped": was_stopped})
    if was_stopped:
        screen.say(f"{_named(written)} is released: recorded on the {operator.log.name}", OK)
    else:
        screen.say(f"a release of {_named(written)} is recorded on the {operator.log.name}; no stop of it was in force")


def _fields(operator: Operator, written: Revocation) -> dict[str, str | int]:
    return {
        "kind": written.kind.value,
        "id": written.id,
        "state": written.state.value,
        "reason": written.reason,
        "by": operator.name,
        "effective_ms": written.effective_at,
    }


def _named(written: Revocation) -> str:
    is_all = written.kind is RevocationKind.ALL
    return "everything" if is_all else f"{_option(written.kind).removeprefix('--')} {written.id}"


def _why_nothing_was_released(written: Revocation, until_ms: int | None) -> str:
    """Return why a release had nothing to release.

    Args:
        until_ms: when the stop of this name ended by itself; None if there is no such stop.
    """
    is_all = written.kind is RevocationKind.ALL
    what = "everything" if is_all else f"{_noun(written.kind)} `{printable(written.id)}`"
    if until_ms is None:
        return f"no stop of {what} was in force by this name"
    return f"no stop of {what} was in force by this name: the last one ended by itself at {format_instant(until_ms)}"


def _nothing_of_the_name(
    operator: Operator, kind: RevocationKind, stop: Stop, why: str, connection: Connection, signed: str
) -> str:
    """Return the message about a name of which the log has no stop, and nothing else."""
    noun, target = _noun(kind), printable(stop.target)
    text = f"nothing is released: the {operator.log.name} has no stop of {noun} `{target}`, and no {noun} of this name"
    if not stop.near:
        return f"{text}; {_list_of_stops(connection)}"
    return f"{text}. If you meant another one:{_steps(f'release{signed}', kind, stop.near, why, connection)}"


def _list_of_stops(connection: Connection) -> str:
    return f"`{connection.command('tail revocations --no-follow')}` lists stops"


def _target_option(kind: RevocationKind, target: str) -> str:
    return "--all" if kind is RevocationKind.ALL else f"{_option(kind)} {quote(target)}"


def _check_end(operator: Operator, written: Revocation) -> None:
    """Check that a stop with an end is in force by the log's time, which gates and executors go by.

    A duration counts from the time of this machine, whose clock can be behind.

    Raises:
        UntilError: it has ended already.
    """
    until_ms = written.until
    if until_ms is None:
        return
    now_ms = _read_after("whether the stop is in force", lambda: stored_ms(operator, written))
    if now_ms is None:
        return
    clocks = f"the {operator.log.name} says that it is {format_instant(now_ms)}: set the clock of this machine"
    if until_ms <= now_ms:
        raise UntilError(f"nothing is stopped: the stop ends at {format_instant(until_ms)}, and {clocks}")
    if now_ms - written.effective_at > CLOCK_BEHIND_MS_MAX:
        warn(f"the stop ends at {format_instant(until_ms)}, and {clocks}")


def _check_name(operator: Operator, written: Revocation, connection: Connection) -> None:
    """Warn on standard error if the log knows nothing of the name, and say what else may be meant.

    Raises:
        RevocationTargetError: the log does not know it, and it is the beginning of ids of sessions.
    """
    kind, target = written.kind, written.id
    what = f"{_noun(kind)} `{printable(target)}`"
    unknown = _read_after(f"whether there is a {what}", lambda: look_up(operator, kind, target))
    if unknown is None:
        if kind is RevocationKind.SESSION:
            _check_state(operator, target)
        return
    missing = f"no {what} is on the {operator.log.name}"
    steps = _steps("kill", kind, unknown.near, written.reason, connection)
    if unknown.begun:
        begun = "the id of one session begins" if unknown.begun == 1 else f"the ids of {unknown.begun} sessions begin"
        raise RevocationTargetError(
            f"the stop of exactly `{printable(target)}` is recorded, but {missing}, and {begun} with it. "
            f"If you meant one of these:{steps}"
        )
    other = f". If you meant another one:{steps}" if unknown.near else ""
    warn(f"{missing}; the stop is in force for when there is one{other}")


def _check_state(operator: Operator, target: str) -> None:
    """Warn on standard error if a session has ended, so that its stop concerns only sessions that it has opened."""
    from streams.operations.sessions.search import (  # noqa: PLC0415 - only a session has a state, and a stop comes first
        read_session_standing,
    )

    what = f"session `{printable(target)}`"
    standing = _read_after(
        f"whether {what} has ended", lambda: read_session_standing(operator, *tenant_and_name(target, ""))
    )
    if standing is not None and standing.is_over:
        warn(f"{what} {standing.text()}. Its calls are denied without a stop; the stop also stops its sub-sessions")


def _steps(command: str, kind: RevocationKind, names: Iterable[str], why: str, connection: Connection) -> str:
    """Return the commands that stop or release other names instead, each in a line."""
    steps = (f"{command} {_target_option(kind, name)} --why {quote(why)}" for name in names)
    return "".join(f"\n  {printable(connection.command(step))}" for step in steps)


def _read_after(what: str, read: Callable[[], _Read | None]) -> _Read | None:
    """Return what is read after a stop, and warn that `what` could not be checked if the log can't be read: the stop is
    on the log nevertheless."""
    try:
        return read()
    except (StoplogError, LogError) as error:
        warn(f"{what} could not be checked: {error}")
        return None


def _noun(kind: RevocationKind) -> str:
    names = {RevocationKind.SUBJECT: "user", RevocationKind.DELEGATION: "grant", RevocationKind.RULESET: "rules"}
    return names.get(kind, kind.value.lower())
