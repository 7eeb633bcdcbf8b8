"""`stoplog audit read`, `audit erase` and `audit hold`: captured content, for those who may read or erase it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.apps import make_app
from streams.cli.main import FAILED
from streams.cli.options.groups import OptionGroup, takes_groups
from streams.cli.options.shared import (
    ByOption,
    Connection,
    Output,
    PassphraseOption,
    Signature,
    VaultTokenOption,
    WhyOption,
    YesOption,
    read_passphrase,
)
from streams.cli.terminal.near_names import nearest_text
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.codec.instants import format_instant, instant_text
from streams.model.content import ContentScope
from streams.model.plurals import many
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target
from streams.operations.contents.erasing import Plan, erase, plan_erasure, plan_expired
from streams.operations.contents.orders import GivenOrder, Target, lift_hold, read_orders, set_hold
from streams.operations.contents.reading import Opened, find_captured, read_content
from streams.operations.known_names import look_up
from streams.operations.topics.lookup import IdError, find_intent, find_session, tenant_and_name
from streams.wiring.contents import build_unwrapper
from streams.wiring.logs import drop_replaced
from streams.wiring.operators import open_operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.audit.signatures import SigningKey
    from streams.model.content import ContentOrder
    from streams.operations.operator import Operator

hold_app = make_app("Place and lift legal holds, which keep captured content from being erased.")

_WHOSE = "Whose content (give one)"
_SESSIONS_SHOWN_MAX = 20
_NAMESAKES_SHOWN_MAX = 5


@dataclass(frozen=True, kw_only=True)
class Whose(OptionGroup):
    """Whose content is meant."""

    session: Annotated[
        str | None,
        typer.Option("--session", metavar="ID", help="A session (`s-1` or `tenant|s-1`).", rich_help_panel=_WHOSE),
    ] = None
    subject: Annotated[
        str | None,
        typer.Option(
            "--user",
            "--subject",
            metavar="ID",
            help="A user: all sessions in which agents act for them.",
            rich_help_panel=_WHOSE,
        ),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            metavar="ID",
            help="All of a tenant; with `--session` or `--user`, the tenant of these.",
            rich_help_panel=_WHOSE,
        ),
    ] = None

    def target(self, operator: Operator) -> Target | None:
        """Return whose content is meant; None if nothing is stated.

        Raises:
            BadParameter: a session and a user are stated.
        """
        if self.session is not None and self.subject is not None:
            raise typer.BadParameter("give `--session` or `--user`, not both")
        tenant_uid = self.tenant or operator.deployment.tenant_uid
        if self.session is not None:
            return Target(ContentScope.SESSION, *tenant_and_name(self.session, tenant_uid))
        if self.subject is not None:
            return Target(ContentScope.SUBJECT, tenant_uid, self.subject)
        return None if self.tenant is None else Target(ContentScope.TENANT, self.tenant, self.tenant)


@takes_groups
def read(
    *,
    stated: Annotated[
        str,
        typer.Argument(metavar="SESSION|INTENT", help="A session, or one of its calls; any id that belongs to it."),
    ],
    why: WhyOption,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of the tenant's content.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    token_file: VaultTokenOption = None,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Open the content that was captured in a session: requests, arguments, results, outputs of the model.

    The audit log records that you read it, and why, before the first key is used. The content holds no secrets: they
    were taken out before it was encrypted.
    """
    screen, settings = output.screen(), connection.settings()
    passphrase = None if key is None else read_passphrase(key, passphrase_file)
    with (
        build_unwrapper(settings.content, key, passphrase, token_file) as unwrapper,
        open_operator(settings, name) as operator,
    ):
        owner_tenant, session_id, intent_id = _meant(operator, stated)
        captured = find_captured(operator, owner_tenant, session_id, intent_id)
        if not captured:
            screen.say("no content was captured (setting `content.capture`)", WARN)
            raise typer.Exit(FAILED)
        opened = [_shown(screen, each) for each in read_content(operator, unwrapper, captured, why)]
        reader = operator.name
    closed = sum(each.text is None for each in opened)
    if closed < len(opened):
        screen.say(f"opened {many(len(opened) - closed, 'content')}; that {reader} read it is on the record", OK)
    if closed:
        screen.say(f"{many(closed, 'content')} can't be opened", WARN)
    if closed == len(opened):
        screen.say(f"nothing was opened; that {reader} asked for it is on the record", WARN)
        raise typer.Exit(FAILED)


@takes_groups
def erase_content(
    *,
    whose: Whose,
    expired: Annotated[
        bool, typer.Option("--expired", help="What is older than its retention class allows.", rich_help_panel=_WHOSE)
    ] = False,
    why: WhyOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and erase nothing.")] = False,
    yes: YesOption = False,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Erase captured content for good, by destroying the keys that open it. The proof of the log stays whole.

    A signed order is written to the log first. What a legal hold keeps is not erased. Calls are also on the log in
    plain text, until the retention of their topics deletes them; the command says until when. If only another tenant
    has content of that session or user, the exit status is 1.
    """
    screen, settings = output.screen(), connection.settings()
    signing = None if dry_run else signature.signing_key()
    with open_operator(settings, name) as operator:
        target = whose.target(operator)
        if expired:
            if target is not None and target.scope is not ContentScope.TENANT:
                raise typer.BadParameter("`--expired` is for a whole tenant; leave `--session` and `--user` out")
            tenant_uid = operator.deployment.tenant_uid if target is None else target.tenant_uid
            plan = plan_expired(operator, tenant_uid, settings.content.days)
        elif target is None:
            raise typer.BadParameter("say whose content: `--session`, `--user`, `--tenant`, or `--expired`")
        else:
            plan = plan_erasure(operator, target)
        _show_plan(screen, plan)
        if target is not None and not (plan.keys or plan.held or plan.namesakes):
            _tell_unknown(screen, operator, target)
        if dry_run:
            screen.say("nothing was erased: this is a dry run", WARN)
            return
        if not plan.keys:
            raise typer.Exit(FAILED if plan.held or plan.namesakes else 0)
        screen.confirm("Erase this for good?", yes=yes, otherwise="nothing was erased")
        try:
            done = erase(operator, plan, why, signing)
        finally:
            # Also of an erasure that a new hold has ended: what was destroyed by then is gone.
            drop_replaced(operator.log)
    screen.record(
        {
            "record": "erasure",
            "orders": list(done.order_ids),
            "keys": done.keys_count,
            "complete_ms": done.complete_ms,
        }
    )
    screen.say(f"destroyed {many(done.keys_count, 'key')} of {printable(str(plan.target))}", OK)
    screen.say(
        f"the calls themselves are on the log in plain text until {format_instant(done.complete_ms)[:10]} at the "
        "latest; backups of the log, and of the keys that unwrap, are yours to delete",
        WARN,
    )
    if plan.held:
        raise typer.Exit(FAILED)


@hold_app.callback()
def _hold() -> None:
    """Place and lift legal holds, which keep captured content from being erased."""


@hold_app.command("set")
@takes_groups
def set_(
    *,
    whose: Whose,
    why: WhyOption,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Place a hold: until it is lifted, the content is not erased, not even because of its age."""
    done = "the content of {} is held"
    _order(set_hold, done, whose, why, signature=signature, name=name, connection=connection, output=output)


@hold_app.command("lift")
@takes_groups
def lift(
    *,
    whose: Whose,
    why: WhyOption,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Lift a hold. This erases nothing."""
    done = "the hold on {} has ended"
    _order(lift_hold, done, whose, why, signature=signature, name=name, connection=connection, output=output)


@hold_app.command("list")
@takes_groups
def list_(*, connection: Connection, output: Output) -> None:
    """Show the holds in force."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        trusted = operator.deployment.content.trusted()
        holds = read_orders(operator.log, operator.codec, operator.clock, trusted).holds
    for hold in holds:
        screen.record(_hold_fields(hold))
    rows = [
        (
            printable(str(hold.target)),
            instant_text(hold.order.header.time),
            printable(hold.signer or f"{hold.order.ordered_by} (not signed)"),
            short(hold.order.reason, 60),
        )
        for hold in holds
    ]
    if holds:
        screen.table(("held", "since (UTC)", "by", "why"), rows)
    else:
        screen.say("no content is held")


def _order(
    give: Callable[[Operator, Target, str, SigningKey | None], ContentOrder],
    done: str,
    whose: Whose,
    why: str,
    *,
    signature: Signature,
    name: str | None,
    connection: Connection,
    output: Output,
) -> None:
    """Give an order about a hold, and say so: `done` has `{}` in the place of the target."""
    screen = output.screen()
    with open_operator(connection.settings(), name) as operator:
        target = whose.target(operator)
        if target is None:
            raise typer.BadParameter("say whose content: `--session`, `--user` or `--tenant`")
        order = give(operator, target, why, signature.signing_key())
    screen.record(
        {"record": order.kind.value.lower(), "scope": order.scope.value, "id": order.id, "order": order.header.id}
    )
    screen.say(done.format(printable(str(target))), OK)


def _hold_fields(hold: GivenOrder) -> dict[str, Any]:
    order = hold.order
    return {
        "record": "hold",
        "scope": order.scope.value,
        "tenant_uid": order.header.tenant_uid,
        "id": order.id,
        "since_ms": order.header.time,
        "by": order.ordered_by,
        "signed_by": hold.signer,
        "reason": order.reason,
    }


def _meant(operator: Operator, stated: str) -> tuple[str, str, str | None]:
    """Return the tenant, the session and the intent that are meant; no intent for all of a session."""
    tenant_uid = operator.deployment.tenant_uid
    session = find_session(operator.log, operator.codec, operator.clock, stated, tenant_uid)
    if stated in (session.session_id, f"{session.tenant_uid}|{session.session_id}"):
        return session.tenant_uid, session.session_id, None
    try:
        owner = find_intent(operator.log, operator.codec, operator.clock, stated, tenant_uid)
    except IdError:
        return session.tenant_uid, session.session_id, None
    return owner.tenant_uid, owner.session_id, owner.intent_id


def _shown(screen: Screen, opened: Opened) -> Opened:
    screen.record(opened.fields())
    if screen.as_json:
        return opened
    fields, event = opened.fields(), opened.captured.event
    about = f" of {fields['tool']}" if fields["tool"] else ""
    time = instant_text(event.header.time)
    screen.rich(Text.assemble((f"{time}  ", FAINT), (f"{opened.captured.field.replace('_', ' ')}{about}", STRONG)))
    if opened.text is not None:
        screen.say(printable(opened.text), lines=True)
    else:
        screen.say(str(fields["erased"] or f"can't be opened: {opened.fault}"), WARN)
    screen.say()
    return opened


def _tell_unknown(screen: Screen, operator: Operator, target: Target) -> None:
    """Tell if the log knows nothing of a name, and what may be meant: a mistyped one must not be taken for erased."""
    kind = RevocationKind[target.scope.name]
    name = target.tenant_uid if kind is RevocationKind.TENANT else principal_target(target.tenant_uid, target.id)
    unknown = look_up(operator, kind, name)
    if unknown is None:
        return
    screen.record({"record": "unknown", "tenant_uid": target.tenant_uid, "id": target.id, "near": list(unknown.near)})
    screen.say(f"the log knows no {printable(str(target))}{nearest_text(unknown.near)}", FAIL)


def _show_plan(screen: Screen, plan: Plan) -> None:
    for (session_id, sub), count in plan.sessions.items():
        screen.record({"record": "would_erase", "session_id": session_id, "sub": sub, "keys": count})
    for tenant_uid in plan.namesakes[:_NAMESAKES_SHOWN_MAX]:
        screen.record({"record": "namesake", "tenant_uid": tenant_uid, "id": plan.target.id})
    for held in plan.held:
        key = held.found.key
        screen.record({**_hold_fields(held.hold), "record": "held", "session_id": key.session_id, "sub": key.sub})
    if screen.as_json:
        return
    sessions = list(plan.sessions.items())
    screen.say(
        f"{many(len(plan.keys), 'key')} of {many(len(sessions), 'session')} of {printable(str(plan.target))}", STRONG
    )
    rows = [
        (printable(session_id), printable(sub or ""), str(count))
        for (session_id, sub), count in sessions[:_SESSIONS_SHOWN_MAX]
    ]
    if rows:
        screen.table(("session", "user", "keys"), rows)
    if len(sessions) > _SESSIONS_SHOWN_MAX:
        screen.say(f"and {many(len(sessions) - _SESSIONS_SHOWN_MAX, 'more session')}")
    if plan.held:
        holds = {str(held.hold.target): held.hold for held in plan.held}
        screen.say(f"{many(len(plan.held), 'key')} kept by legal hold:", FAIL)
        for target, hold in holds.items():
            screen.say(f"  {printable(target)}: {short(hold.order.reason, 80)}", WARN)
    elif not plan.keys:
        screen.say("there is nothing to erase", WARN)
    for tenant_uid in plan.namesakes[:_NAMESAKES_SHOWN_MAX]:
        name = printable(tenant_uid)
        screen.say(f"but tenant {name} has content of the same name: if you mean that, give `--tenant {name}`", FAIL)
