"""`stoplog alerts`: list and show alerts, acknowledge and close them, and print them as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.commands.tail import BeginningOption, MaxOption, SessionOption, TenantOption, print_records
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import ByOption, Connection, FollowOption, Output, Signature, WhyOption
from streams.cli.terminal.screen import OK, WARN, Screen
from streams.cli.views.alerts import list_alerts, show_alert, state_name, status_fields, status_text, tell_responses
from streams.cli.views.next_steps import tell_steps
from streams.model.alert import Alert, Severity, severity_word
from streams.model.alert_status import AlertState
from streams.model.plurals import many
from streams.operations.alert_handling import (
    Handled,
    Handling,
    alerts_to_change,
    find_alerts,
    read_handling,
    short_alert_ids,
    write_statuses,
)
from streams.operations.operator import Operator
from streams.operations.sessions.search import read_session_standing
from streams.operations.sessions.view import Standing
from streams.operations.topics.reader import TopicReadError
from streams.ports import LogError
from streams.wiring.operators import open_operator

app = make_app("List and show alerts, acknowledge and close them, and print them as they arrive.")

IdsArgument = Annotated[list[str], typer.Argument(metavar="ALERT", help="Ids of alerts, or the beginnings of them.")]
_SUBJECT = "alerts"
_BEHAVIOUR = "behaviour/"


_ALERTING = [(each.name, severity_word(each)) for each in Severity if Severity.LOW <= each <= Severity.CRITICAL]
SeverityName = StrEnum("SeverityName", _ALERTING)  # type: ignore[misc]  # mypy wants it written out
_SEVERITIES = ", ".join(f"`{word}`" for _, word in _ALERTING)


@takes_groups
def list_open(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    severity: Annotated[
        SeverityName | None,
        typer.Option(
            "--severity", metavar="LEVEL", help=f"Only those that are as severe as this, or more: {_SEVERITIES}."
        ),
    ] = None,
    tenant: TenantOption = None,
    count_max: Annotated[
        int | None, typer.Option("--max", metavar="N", min=1, help="Show at most N incidents.")
    ] = None,
    connection: Connection,
    output: Output,
) -> None:
    """List the alerts that are not closed, one line for each incident: new ones first, then by severity and age."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        handling = read_handling(operator)
        now_ms = operator.clock.now_ms()
    least = 0 if severity is None else Severity[severity.name]
    chosen = [
        each
        for each in handling.incidents
        if (everything or not each.face.is_closed)
        and each.face.alert.severity_id >= least
        and (tenant is None or each.face.alert.header.tenant_uid == tenant)
    ]
    shown, ids = chosen[:count_max], _short_ids(handling)
    list_alerts(screen, shown, ids, now_ms)
    _warn(screen, handling)
    if not chosen:
        _tell_none(screen, everything=everything, is_filtered=severity is not None or tenant is not None)
        return
    if len(shown) < len(chosen):
        screen.say(f"and {many(len(chosen) - len(shown), 'further incident')}")
    screen.say()
    first = ids[shown[0].face.alert.finding_uid]
    tell_steps(screen, connection, (("everything about one", f"alerts show {first}"),))


@takes_groups
def show(
    *,
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id, or the beginning of it.")],
    connection: Connection,
    output: Output,
) -> None:
    """Show an alert: why it was raised, the evidence, what was done with it, and what to do next."""
    screen = output.screen()
    settings = connection.settings()
    with open_operator(settings) as operator:
        handling = read_handling(operator)
        (handled,) = find_alerts(handling, [alert])
        now_ms = operator.clock.now_ms()
        standing = None if screen.as_json else _standing_of(operator, handled.alert)
    show_alert(screen, handled, handling.incident_of(handled), now_ms)
    _warn(screen, handling)
    tell_responses(screen, connection, handled.alert, standing)
    if handled.is_closed or screen.as_json:
        return
    uid = _short_ids(handling)[handled.alert.finding_uid]
    key = settings.alerts.key_option
    steps = [
        ("you look after it", f"alerts ack {uid}{key}"),
        ("it is resolved", f"alerts close {uid} --why TEXT{key}"),
        ("it was a false alarm", f"alerts close {uid} --false-positive --why TEXT{key}"),
    ]
    screen.say()
    tell_steps(screen, connection, steps if handled.state is AlertState.UNKNOWN else steps[1:])


def _short_ids(handling: Handling) -> dict[str, str]:
    return short_alert_ids(each.alert.finding_uid for each in handling.alerts)


def _standing_of(operator: Operator, alert: Alert) -> Standing | None:
    """Return the state of an alert's session; None if there is none, or if this client can't tell it."""
    if alert.session_id is None:
        return None
    try:
        return read_session_standing(operator, alert.header.tenant_uid, alert.session_id)
    except (TopicReadError, LogError):
        return None


@takes_groups
def ack(
    *,
    alerts: IdsArgument,
    why: WhyOption = "looking into it",
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Acknowledge alerts: you look after them, and nobody else is called, even if their incidents go on.

    The command applies to all open alerts of the incidents. A closed alert is open again then, and the command says so.
    Sign with the key of a handler (setting `alerts.handlers`), unless the settings need no signature.
    """
    _change(alerts, AlertState.ACKNOWLEDGED, why, connection, output, signature=signature, name=name)


@takes_groups
def close(
    *,
    alerts: IdsArgument,
    false_positive: Annotated[
        bool,
        typer.Option(
            "--false-positive",
            help="It was a false alarm. If it was about behaviour: for 30 days, the watch alerts on similar behaviour "
            "of this agent only if its score is higher.",
            show_default=False,
        ),
    ] = False,
    why: WhyOption,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Close alerts, and the others of their incidents: they are resolved, or false positives.

    Sign with the key of a handler (setting `alerts.handlers`), unless the settings need no signature. If the same thing
    happens again afterwards, that is a new alert.
    """
    state = AlertState.FALSE_POSITIVE if false_positive else AlertState.RESOLVED
    _change(alerts, state, why, connection, output, signature=signature, name=name)


@takes_groups
def tail(
    *,
    follow: FollowOption = True,
    from_beginning: BeginningOption = False,
    session: SessionOption = None,
    tenant: TenantOption = None,
    count_max: MaxOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Print alerts as they arrive; the same as `stoplog tail alerts`."""
    print_records(
        _SUBJECT,
        connection,
        output,
        session=session,
        tenant=tenant,
        follows=follow,
        from_beginning=from_beginning,
        count_max=count_max,
    )


def _change(
    stated: list[str],
    state: AlertState,
    why: str,
    connection: Connection,
    output: Output,
    *,
    signature: Signature,
    name: str | None,
) -> None:
    screen = output.screen()
    settings = connection.settings()
    key = signature.signing_key()
    with open_operator(settings, name) as operator:
        handling = read_handling(operator)
        meant = {each.alert.finding_uid: each for each in find_alerts(handling, stated)}
        incidents = alerts_to_change(handling, meant.values(), state)
        changed = iter(write_statuses(operator, [each for alerts in incidents for each in alerts], state, why, key))
        for alerts in incidents:
            _tell(screen, operator, list(islice(changed, len(alerts))))
            for before in [meant[alert.finding_uid] for alert in alerts if alert.finding_uid in meant]:
                _tell_replaced(screen, operator, before, state)


def _tell_none(screen: Screen, *, everything: bool, is_filtered: bool) -> None:
    if is_filtered:
        # Others may be open, so this is not shown as good.
        screen.say("no alert matches" if everything else "no open alert matches", WARN)
    else:
        screen.say("there is no alert" if everything else "no alert is open", OK)


def _tell(screen: Screen, operator: Operator, changed: Sequence[Handled]) -> None:
    for each in changed:
        screen.record(status_fields(each))
    handled, alert = changed[0], changed[0].alert
    more = f" (and {many(len(changed) - 1, 'further alert')} of the incident)" if len(changed) > 1 else ""
    screen.say(f"{alert.title}{more}: {state_name(handled)}, recorded on the {operator.log.name}", OK)
    if handled.state is not AlertState.FALSE_POSITIVE:
        return
    if alert.analytic_uid.startswith(_BEHAVIOUR):
        screen.say("for 30 days, the watch alerts on similar behaviour of this agent only if its score is higher")
    else:
        screen.say(f"this lowers nothing: `{alert.analytic_uid}` alerts again", WARN)
        screen.say("if it should not, change the rule, grant or setting that it is about", WARN)


def _tell_replaced(screen: Screen, operator: Operator, before: Handled, state: AlertState) -> None:
    """Say what this replaces, if that was an end, or what somebody else does: two people may answer one message."""
    is_theirs = before.status is not None and before.status.by_user != operator.name
    was = status_text(before, operator.clock.now_ms())
    if before.is_closed and state is AlertState.ACKNOWLEDGED:
        screen.say(f"this opens a closed alert again: it was {was}", WARN)
        screen.say("if that was not meant, close it again: `stoplog alerts close`", WARN)
    elif before.is_closed or (is_theirs and state is AlertState.ACKNOWLEDGED):
        screen.say(f"this replaces: {was}", WARN)


def _warn(screen: Screen, handling: Handling) -> None:
    if not handling.is_known:
        screen.say("what was done with alerts can't be read here, so all of them look new", WARN)
    if handling.rejected_count:
        records = many(handling.rejected_count, "record")
        screen.say(f"{records} about alerts that nobody entitled has signed or that are not valid; not counted", WARN)


app.command("list")(list_open)
app.command()(show)
app.command()(ack)
app.command()(close)
app.command()(tail)
