"""`stoplog contain`: show what a session did since it read untrusted data, and propose the calls that undo it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import OptionGroup, takes_groups
from streams.cli.options.shared import ByOption, Connection, Output, YesOption, checked_url
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import instant_text
from streams.delegation.anchors import TrustAnchors
from streams.model.plurals import many
from streams.model.verdict import Outcome
from streams.operations.operator import Operator
from streams.operations.root_key import load_gates_root_key
from streams.operations.sessions.containment import Act, Containment, Remedy, read_containment
from streams.operations.sessions.search import SessionMissingError
from streams.operations.sessions.undoing import (
    Proposed,
    UndoingError,
    open_own_session,
    propose_undoing,
    undoable,
)
from streams.operations.sessions.view import Standing
from streams.operations.topics.lookup import find_session, tenant_and_name
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.token_exchange import StsClient
from streams.sdk.connection.transport import Transport
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.transports import build_transport

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings

app = make_app()

_PROPOSING = "Proposing"
_ARGS_CHARS_MAX = 300
_RESULT_BYTES_MAX = 4_000_000
_REMEDIES = {
    Remedy.CALL: ("can be undone", OK),
    Remedy.INCOMPLETE: ("can be undone once more is known", WARN),
    Remedy.BY_HAND: ("can be undone, by hand: the catalog names no call", WARN),
    Remedy.NONE: ("can't be undone", FAIL),
    Remedy.UNDONE: ("has been undone", FAINT),
    Remedy.NOT_NEEDED: ("nothing to undo", FAINT),
}


@dataclass(frozen=True, kw_only=True)
class Proposing(OptionGroup):
    """Whether the undoing calls are proposed, which of them, and in what session."""

    propose: Annotated[
        bool,
        typer.Option("--propose", help="Propose the calls that undo what it did.", rich_help_panel=_PROPOSING),
    ] = False
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="INTENT", help="Undo only this call. Can be repeated.", rich_help_panel=_PROPOSING
        ),
    ] = None
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="NAME",
            help="A scope of your session. Can be repeated. By default those of the contained session.",
            rich_help_panel=_PROPOSING,
        ),
    ] = None
    token_service: Annotated[
        str | None,
        typer.Option(
            "--token-service",
            metavar="URL",
            help="The token service that opens your session. By default the root key in the state folder opens it.",
            callback=checked_url,
            rich_help_panel=_PROPOSING,
        ),
    ] = None
    subject_token: Annotated[
        Path | None,
        typer.Option("--subject-token", metavar="FILE", help="Your ID token.", rich_help_panel=_PROPOSING),
    ] = None
    actor_token: Annotated[
        Path | None,
        typer.Option("--actor-token", metavar="FILE", help="The token of your client.", rich_help_panel=_PROPOSING),
    ] = None
    yes: YesOption = False

    def tokens(self) -> tuple[str, str, str] | None:
        """Return the URL of the token service, the subject's token and the actor's; None without a token service.

        Raises:
            BadParameter: a token is missing or can't be read.
        """
        if self.token_service is None:
            return None
        if self.subject_token is None or self.actor_token is None:
            raise typer.BadParameter(
                "`--token-service` needs your tokens: `--subject-token FILE` and `--actor-token FILE`"
            )
        return self.token_service, _token(self.subject_token), _token(self.actor_token)


@app.command()
@takes_groups
def contain(
    *,
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="A session (`s-1` or `tenant|s-1`), or any id that belongs to it.")
    ],
    result: Annotated[
        list[str] | None,
        typer.Option(
            "--result",
            metavar="INTENT=FILE",
            help="The result of a call, as JSON, if the undoing call needs a part of it. Can be repeated.",
        ),
    ] = None,
    proposing: Proposing,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """List what a session did since it first read untrusted data, and what of it can be undone.

    What was done by sessions that descend from it is listed, too. With `--propose`, the undoing calls are proposed in a
    session of your own. They pass the gate like any call: rules can deny them, or ask for an approval. Stop the session
    first (`stoplog kill`), or it goes on.
    """
    screen, settings = output.screen(), connection.settings()
    results, tokens = _results(result or ()), proposing.tokens()
    with open_operator(settings, by) as operator:
        found = _read(operator, settings.tenant, session, results)
        standing = found.shown.view.standing(found.shown.revocations, operator.clock.now_ms())
        _show(screen, found, standing)
        chosen = [act for act in undoable(found.acts) if not proposing.only or act.intent_id in proposing.only]
        if not proposing.propose:
            if not screen.as_json:
                screen.say()
                tell_steps(screen, connection, _next_steps(found, standing))
            return
        if not chosen:
            screen.say("there is nothing to propose", WARN)
            return
        screen.say()
        question = f"Propose {many(len(chosen), 'undoing call')} as {operator.name}?"
        screen.confirm(question, yes=proposing.yes, otherwise="nothing was proposed")
        scopes = proposing.scope or list(found.scopes)
        with _own_session(settings, operator, found, chosen, scopes, tokens) as (transport, credential):
            _propose(screen, connection, transport, credential, found, chosen)


def _read(operator: Operator, tenant_uid: str, stated: str, results: dict[str, Any]) -> Containment:
    try:
        return read_containment(operator, *tenant_and_name(stated, tenant_uid), results)
    except SessionMissingError:
        meant = find_session(operator.log, operator.codec, operator.clock, stated, tenant_uid)
        return read_containment(operator, meant.tenant_uid, meant.session_id, results)


@contextmanager
def _own_session(
    settings: Settings,
    operator: Operator,
    found: Containment,
    acts: Sequence[Act],
    scopes: Sequence[str],
    tokens: tuple[str, str, str] | None,
) -> Iterator[tuple[Transport, SessionCredential]]:
    """Open a session of the operator's own, at a token service or with the root key."""
    view, tools = found.shown.view, [act.undoing_tool for act in acts]
    opened = open_log(settings, create=False)
    transport = build_transport(settings, opened, operator.codec)
    with opened, transport:
        if tokens is not None:
            url, subject, actor = tokens
            with StsClient(url) as client:
                made = client.exchange(
                    subject,
                    actor,
                    scopes=list(scopes),
                    purpose=f"undo what session {view.session_id} did",
                    attended=True,
                )
            yield transport, made.credential
            return
        issuer = min(TrustAnchors.of(settings.gate.trust_anchors).hmac_issuers, default=None)
        if issuer is None and settings.gate.require_delegation:
            raise UndoingError(
                "gates need grants, and no trust anchor signs with the root key; open your session at the token "
                "service (`--token-service URL`)"
            )
        yield (
            transport,
            open_own_session(
                transport,
                load_gates_root_key(settings.key_path),
                operator=operator.name,
                issuer=issuer,
                tenant_uid=view.tenant_uid,
                session_id=view.session_id,
                scopes=scopes,
                tools=tools,
            ),
        )


def _propose(
    screen: Screen,
    connection: Connection,
    transport: Transport,
    credential: SessionCredential,
    found: Containment,
    acts: Sequence[Act],
) -> None:
    pending = False
    for proposed in propose_undoing(transport, credential, acts, found.undoing_tools):
        screen.record(_proposed_fields(proposed, credential))
        outcome = proposed.outcome
        what = f"{proposed.act.undoing_tool} {_json(proposed.act.undoing)}"
        if outcome is None:
            screen.say(f"not judged yet: {what}: {proposed.error}", FAIL)
            continue
        pending = pending or outcome.outcome is Outcome.REQUIRE_APPROVAL
        style = OK if outcome.outcome is Outcome.ALLOW else WARN if outcome.outcome in _WAITING else FAIL
        screen.say(f"{outcome.outcome.value}: {what}  ({outcome.reason}, intent {outcome.intent_id})", style)
    if screen.as_json:
        return
    own = quote(f"{credential.tenant_uid}|{credential.session_id}")
    steps = [("whether they have run", f"session show {own}")]
    if pending:
        steps.insert(0, ("what waits for an approval", "approvals list"))
    screen.say()
    tell_steps(screen, connection, steps)


_WAITING = (Outcome.REQUIRE_APPROVAL, Outcome.DEFER)


def _show(screen: Screen, found: Containment, standing: Standing) -> None:
    view, source = found.shown.view, found.source
    screen.record(
        {
            "record": "session",
            "tenant_uid": view.tenant_uid,
            "session_id": view.session_id,
            "state": standing.state.value,
            "descendants": [each.view.session_id for each in found.others],
            "untrusted": found.was_untrusted,
            "source": None if source is None else source._asdict(),
            "calls": len(found.acts),
            "reads": found.reads,
            "hidden_topics": sorted(found.shown.hidden),
        }
    )
    for act in found.acts:
        screen.record(_act_fields(act))
    if screen.as_json:
        return
    screen.say(f"session {view.tenant_uid}|{view.session_id} {standing.text()}", STRONG)
    if not found.was_untrusted:
        screen.say("It made no call after it had read untrusted data; there is nothing to undo.", OK)
        return
    if source is None:
        screen.say(
            "It was untrusted before its first call (by its conversation, or what was written before), or what it read "
            "is not on the log."
        )
    elif source.session_id is not None:
        screen.say(f"It was reached through session {source.session_id}, at {instant_text(source.time_ms)}:")
        screen.say(f"  {source.what}{short(_asked_text(source.args_json, source.documents), _ARGS_CHARS_MAX)}")
    else:
        screen.say(f"It first read untrusted data at {instant_text(source.time_ms)}:")
        call = view.intents.get(source.intent_id or "")
        asked = None if call is None else call.args_json
        screen.say(f"  {source.what}{short(_asked_text(asked, source.documents), _ARGS_CHARS_MAX)}")
    also = (
        f" Sessions that descend from it: {', '.join(each.view.session_id for each in found.others)}."
        if found.others
        else ""
    )
    acts = many(len(found.acts), "call")
    reads = f", and {many(found.reads, 'call')} only read" if found.reads else ""
    screen.say(f"Since then, {acts} may have changed something{reads}.{also}")
    for number, act in enumerate(found.acts, start=1):
        _show_act(screen, number, act)


def _asked_text(args_json: str | None, documents: Sequence[str]) -> str:
    """Return the arguments of a call that has read or written something, and the names of what it was."""
    named = f" ({', '.join(documents)})" if documents else ""
    return f" {args_json}{named}" if args_json else named


def _show_act(screen: Screen, number: int, act: Act) -> None:
    text, style = _REMEDIES[act.remedy]
    told = Text.assemble(
        (printable(act.tool), STRONG),
        printable(f"  {act.ran or 'allowed, with no report'}  "),
        (text, style),
        f"\n{short(act.args_json, _ARGS_CHARS_MAX) or 'its arguments were erased'}",
    )
    if act.remedy in (Remedy.CALL, Remedy.INCOMPLETE):
        told.append("\nundo with ")
        told.append(printable(f"{act.undoing_tool} {_json(act.undoing)}"), style)
    for missing in act.missing if act.remedy is Remedy.INCOMPLETE else ():
        where = (
            f"{missing[7:]} of its result: give it with --result {act.intent_id}=FILE"
            if missing.startswith("/result")
            else missing
        )
        told.append(f"\nneeds {printable(where)}", WARN)
    if act.undone_by:
        told.append(f"\nby intent {printable(act.undone_by)}", FAINT)
    told.append(f"\nintent {printable(act.intent_id)}", FAINT)
    screen.say()
    screen.table(("", ""), [(Text(f"{number:>3}  {instant_text(act.judged_ms)[11:]}", FAINT), told)])


def _next_steps(found: Containment, standing: Standing) -> list[tuple[str, str]]:
    view = found.shown.view
    named = quote(f"{view.tenant_uid}|{view.session_id}")
    steps: list[tuple[str, str]] = []
    if standing.can_be_stopped:
        steps.append(("stop it first", f"kill --session {named} --why TEXT"))
    count = len(undoable(found.acts))
    if count:
        steps.append((f"propose {many(count, 'undoing call')}", f"contain {named} --propose"))
    if found.acts:
        steps.append(("why one of them was allowed", f"explain {found.acts[-1].intent_id}"))
    return steps


def _act_fields(act: Act) -> dict[str, Any]:
    return {
        "record": "call",
        "intent_id": act.intent_id,
        "session_id": act.session_id,
        "tool": act.tool,
        "evaluated_ms": act.judged_ms,
        "ran": act.ran,
        "args_json": act.args_json,
        "remedy": act.remedy.value,
        "undoing_tool": act.undoing_tool or None,
        "undoing": dict(act.undoing),
        "missing": list(act.missing),
        "undone_by": act.undone_by or None,
    }


def _proposed_fields(proposed: Proposed, credential: SessionCredential) -> dict[str, Any]:
    outcome = proposed.outcome
    return {
        "record": "proposed",
        "undoes": proposed.act.intent_id,
        "session_id": credential.session_id,
        "tool": proposed.act.undoing_tool,
        "args": dict(proposed.act.undoing),
        "intent_id": None if outcome is None else outcome.intent_id,
        "outcome": None if outcome is None else outcome.outcome.value,
        "reason": proposed.error if outcome is None else outcome.reason,
    }


def _results(texts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        intent_id, equals, path = text.partition("=")
        if not equals or not intent_id or not path:
            raise typer.BadParameter(f"`{text}` is not of the form INTENT=FILE, which `--result` needs")
        try:
            with Path(path).open("rb") as file:
                found[intent_id] = json.loads(file.read(_RESULT_BYTES_MAX))
        except OSError as error:
            raise typer.BadParameter(f"`{path}` can't be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise typer.BadParameter(f"`{path}` is not JSON of at most {_RESULT_BYTES_MAX} bytes") from None
    return found


def _token(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter(f"token `{path}` can't be read") from None


def _json(value: Any) -> str:
    return short(json.dumps(value, ensure_ascii=False), _ARGS_CHARS_MAX)
