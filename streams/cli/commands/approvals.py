"""`stoplog approvals`: list, show and answer questions to people, and see and revoke what people have granted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote
from typing import Annotated, NamedTuple

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import OptionGroup, takes_groups
from streams.cli.options.shared import ByOption, Connection, Listening, Output, WhyOption, YesOption
from streams.cli.options.stretches import end_ms
from streams.cli.terminal.screen import OK, WARN, Screen
from streams.cli.terminal.text import warn
from streams.cli.views.approvals import QUESTION_CHARS, list_granted, list_questions, short_uid, show_question
from streams.cli.views.next_steps import tell_steps
from streams.model.approval import USES_MAX, ApprovalGrant, ApprovalRequest, GrantScope, PendingCall
from streams.model.plurals import many
from streams.operations.approvals.answers import Answer, check_answer, check_revision, chosen_calls, write_decision
from streams.operations.approvals.bounds import Match, grant_of, grant_words, parse_match
from streams.operations.approvals.followed import Followed, following
from streams.operations.approvals.grants import list_grants, revoke_grant
from streams.operations.approvals.questions import Question, asked_words, find_questions, open_questions
from streams.operations.operator import Operator
from streams.wiring.operators import open_operator

app = make_app("List the questions to people, show, approve and deny them, and see what people have granted.")

_GRANT_PANEL = "Approve further calls, too"
QuestionsArgument = Annotated[
    list[str], typer.Argument(metavar="QUESTION", help="Ids of questions, or the beginnings of them.")
]
GroupOption = Annotated[
    list[str] | None, typer.Option("--group", metavar="NAME", help="A group that you are in. Can be repeated.")
]
CommentOption = Annotated[
    str | None, typer.Option("--why", "--comment", metavar="TEXT", help="The reason, which is recorded.")
]
CallOption = Annotated[
    list[str] | None,
    typer.Option(
        "--call", metavar="INTENT", help="Decide only about this call of the question, by its intent. Can be repeated."
    ),
]

RevisionOption = Annotated[
    int | None,
    typer.Option(
        "--revision",
        metavar="N",
        min=0,
        help="Decide only if this is still the revision of the question; `show` and `list --json` have its number. "
        "Without it, calls that have joined the question since are decided, too, unless you are asked to confirm.",
    ),
]


class Scope(StrEnum):
    """For which further calls an approval is given."""

    TASK = "task"
    SESSION = "session"


@dataclass(frozen=True, kw_only=True)
class Granting(OptionGroup):
    """Which further calls an approval covers."""

    scope: Annotated[
        Scope | None,
        typer.Option(
            "--for",
            help="Also approve further calls of the same task of the user, or of the session, that the same rules ask "
            "about. Without `--match`, only calls with the arguments that you were shown.",
            rich_help_panel=_GRANT_PANEL,
        ),
    ] = None
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            metavar="ARG=PATTERN",
            help="What an argument of further calls may be: `to=bob@corp.example`, `to=*@corp.example`, `amount<=100`, "
            "`body=*`. Repeat it for alternatives and for other arguments. An argument that you don't name stays as "
            "you were shown it.",
            rich_help_panel=_GRANT_PANEL,
        ),
    ] = None
    times: Annotated[
        int | None,
        typer.Option(
            "--times", metavar="N", min=1, max=USES_MAX, help="How many further calls.", rich_help_panel=_GRANT_PANEL
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            "--within",
            metavar="WHEN",
            help="When it ends: `2026-01-31T09:00:00Z`, or a duration from now, such as `30m`. By default with the "
            "session.",
            rich_help_panel=_GRANT_PANEL,
        ),
    ] = None

    def further_calls(self, now_ms: int) -> FurtherCalls | None:
        """Return which further calls the options state; None if they state none.

        Raises:
            typer.BadParameter: options are missing, or `--until` has no valid value.
            MatchFormError: a bound has not the form of one.
        """
        if self.scope is None:
            if self.match or self.times is not None or self.until is not None:
                raise typer.BadParameter("--match, --times and --until are about further calls: give --for, too")
            return None
        matches = tuple(parse_match(text) for text in self.match or ())
        return FurtherCalls(GrantScope[self.scope.name], matches, self.times, end_ms(self.until, now_ms))


class FurtherCalls(NamedTuple):
    """Which further calls an approval covers, whatever the question is."""

    scope: GrantScope
    matches: tuple[Match, ...]
    uses_max: int | None
    until_ms: int | None

    def grant(self, calls: Sequence[PendingCall]) -> ApprovalGrant:
        """Return the grant that goes with the approval of these calls.

        Raises:
            ApprovalError: a bound does not fit the calls.
        """
        return grant_of(calls, self.scope, self.matches, uses_max=self.uses_max, until_ms=self.until_ms)


@takes_groups
def list_open(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are decided or have expired.")] = False,
    connection: Connection,
    output: Output,
) -> None:
    """List the questions that wait for an answer, the most urgent first."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        questions = open_questions(operator, all_of_them=everything)
        now_ms = operator.clock.now_ms()
    list_questions(screen, questions, now_ms)
    if not questions:
        screen.say("people were asked nothing" if everything else "no question waits for an answer", OK)
        return
    if not questions[0].is_known:
        screen.say("verdicts can't be read here, so some of these may be decided already", WARN)
    steps = [("everything about one", f"approvals show {questions[0].request.task_id[:QUESTION_CHARS]}")]
    waiting = next((each for each in questions if each.waiting(now_ms)), None)
    if waiting is not None:
        named = f"{waiting.request.task_id[:QUESTION_CHARS]}{_groups(waiting)}"
        steps += [("approve", f"approvals approve {named}"), ("deny", f"approvals deny {named}")]
    screen.say()
    tell_steps(screen, connection, steps)


@takes_groups
def show(
    *,
    stated: Annotated[str, typer.Argument(metavar="QUESTION", help="The question's id, or the beginning of it.")],
    connection: Connection,
    output: Output,
) -> None:
    """Show a question: its calls, where each argument comes from, what the session has done, and who may decide."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        (question,) = find_questions(operator, [stated])
        now_ms = operator.clock.now_ms()
    show_question(screen, question, now_ms)
    screen.say()
    tell_steps(screen, connection, _next_steps(question, now_ms))


def _next_steps(question: Question, now_ms: int) -> list[tuple[str, str]]:
    """Return what to type next: how to answer, or who has answered."""
    request = question.request
    session = quote(f"{request.header.tenant_uid}|{request.session_id}")
    steps = [("what it has read and done", f"session show {session}")]
    if not question.waiting(now_ms):
        decided = next(iter(question.outcomes), request.intent_id)
        return [("who has answered", f"audit why {decided}"), *steps]
    groups = _groups(question)
    prefix = request.task_id[:QUESTION_CHARS]
    shown = f"{groups} --revision {request.revision}"
    steps.append(("approve these calls", f"approvals approve {prefix}{shown}"))
    if request.widest_grant is not GrantScope.UNKNOWN:
        steps.append(("the same ones again, too", f"approvals approve {prefix}{shown} --for task --times 3"))
    return [*steps, ("deny them", f"approvals deny {prefix}{groups}")]


@takes_groups
def approve(
    *,
    stated: QuestionsArgument,
    granting: Granting,
    call: CallOption = None,
    revision: RevisionOption = None,
    group: GroupOption = None,
    comment: CommentOption = None,
    name: ByOption = None,
    yes: YesOption = False,
    connection: Connection,
    output: Output,
) -> None:
    """Approve the calls of a question. The gate then decides them again: current rules and state can still deny them.

    With `--for`, you also approve further calls within the bounds that you state. They still pass every rule: your
    grant answers only the question that you were asked.
    """
    if revision is not None and len(stated) > 1:
        raise typer.BadParameter("--revision is about one question: name one")
    with open_operator(connection.settings(), name) as operator:
        further = granting.further_calls(operator.clock.now_ms())
        for question in find_questions(operator, stated):
            if revision is not None:
                check_revision(question, revision)
            calls = chosen_calls(question, call or (), operator.clock.now_ms())
            grant = further.grant(calls) if further is not None and calls else None
            answer = Answer(True, tuple(group or ()), comment, grant)
            _decide(operator, question, calls, answer, output.screen(), connection, yes=yes)


@takes_groups
def deny(
    *,
    stated: QuestionsArgument,
    call: CallOption = None,
    group: GroupOption = None,
    comment: CommentOption = None,
    name: ByOption = None,
    yes: YesOption = False,
    connection: Connection,
    output: Output,
) -> None:
    """Deny the calls of a question, at once and for good."""
    with open_operator(connection.settings(), name) as operator:
        for question in find_questions(operator, stated):
            calls = chosen_calls(question, call or (), operator.clock.now_ms())
            answer = Answer(False, tuple(group or ()), comment)
            _decide(operator, question, calls, answer, output.screen(), connection, yes=yes)


@takes_groups
def grants(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are used up, have ended or were revoked.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """List what people have granted for further calls of sessions, and how often it was used."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        found = [each for each in list_grants(operator) if everything or each.state == "in force"]
    list_granted(screen, found)
    if not found:
        screen.say("people have granted nothing that is in force", OK)
        return
    screen.say()
    steps = (("revoke one", f"approvals revoke {short_uid(found[0])} --why TEXT"),)
    tell_steps(screen, connection, steps)


@takes_groups
def revoke(
    *,
    uid: Annotated[str, typer.Argument(metavar="GRANT", help="The grant's id, or the beginning of it.")],
    why: WhyOption,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Revoke what a person has granted. Further calls are asked about again.

    Executors reject verdicts that were given because of the grant.
    """
    screen = output.screen()
    with open_operator(connection.settings(), name) as operator:
        revoked = revoke_grant(operator, uid, why)
        screen.record({"uid": revoked.uid, "state": revoked.state.value, "by": operator.name})
        screen.say(f"grant {revoked.uid} of session {revoked.session_id} is revoked", OK)


def _decide(
    operator: Operator,
    question: Question,
    calls: Sequence[PendingCall],
    answer: Answer,
    screen: Screen,
    connection: Connection,
    *,
    yes: bool,
) -> None:
    # Before anybody reads the question and confirms: `write_decision` would reject the answer only then.
    check_answer(question, operator.name, answer.groups, operator.clock.now_ms())
    if not screen.as_json:
        show_question(screen, question, operator.clock.now_ms())
        screen.say()
    verb = "Approve" if answer.approve else "Deny"
    if calls:
        screen.say(f"{verb.lower()}: {many(len(calls), 'call')}")
    if answer.grant is not None:
        screen.say(f"and approve {grant_words(answer.grant)}", WARN)
        _warn_uncovered(answer.grant, calls)
    if calls:
        screen.confirm(f"{verb} this as {operator.name}?", yes=yes, otherwise="no decision was recorded")
    waits = answer.approve and not screen.as_json
    with following(operator, question) if waits else nullcontext() as wait:
        decision = write_decision(operator, question, calls, answer)
        screen.say(f"decided: {decision.status.value.lower()}", OK)
        followed = Followed({}) if wait is None else wait(calls)
    screen.record(
        {
            "task_id": decision.task_id,
            "intent_id": decision.intent_id,
            "session_id": decision.session_id,
            "status": decision.status.value,
            "by": decision.approver.sub,
            "calls": [call.intent_id for call in calls],
        }
    )
    steps = [("to see the verdict", f"tail verdicts --session {quote(question.key.decode('utf-8', 'replace'))}")]
    if answer.approve:
        steps += _tell_followed(screen, question.request, followed, calls)
    if answer.grant is not None:
        steps.append(("to see what is granted", "approvals grants"))
    tell_steps(screen, connection, steps)


def _warn_uncovered(grant: ApprovalGrant, calls: Sequence[PendingCall]) -> None:
    """Warn if bounds leave out what the person was shown. That can be meant; more often, they are mistyped."""
    from streams.operations.approvals.coverage import uncovered  # noqa: PLC0415 - loads what reads rules

    outside = uncovered(grant, calls)
    if outside:
        named = outside[0].intent_id
        warn(f"your bounds leave out what you were shown: the same call as {named} will be asked about again")


def _tell_followed(
    screen: Screen, request: ApprovalRequest, followed: Followed, calls: Sequence[PendingCall]
) -> list[tuple[str, str]]:
    """Say what has followed an approval of calls, and return what to type in order to see more."""
    if followed.outcomes:
        screen.say(f"the gate has decided: {', '.join(sorted(set(followed.outcomes.values())))}", OK)
    asked = followed.asked
    if asked is not None:
        screen.say(f"now question {asked.task_id[:QUESTION_CHARS]} asks {asked_words(asked)}", WARN)
        return [("to see what is asked now", f"approvals show {asked.task_id[:QUESTION_CHARS]}")]
    if not followed.outcomes and request.quorum > 1:
        whom = asked_words(request)
        screen.say(f"{request.quorum} people have to approve: {whom} is asked until that many have", WARN)
    is_over = len(followed.outcomes) == len(calls)
    return [] if is_over else [("to see whether others are asked next", "approvals list")]


def _groups(question: Question) -> str:
    groups = question.request.eligible_approvers
    return f" --group {quote(groups[0])}" if groups else ""


@takes_groups
def serve(
    *,
    connection: Connection,
    listening: Listening,
    output: Output,
) -> None:
    """Send questions to chat tools by signed webhooks, and take answers over HTTP, until SIGINT or SIGTERM.

    The section `approvals` of the settings names the webhooks, and the people whose answers are accepted.
    """
    from streams.cli.commands.approvals_serve import serve_questions  # noqa: PLC0415 - needs the extra `sts`

    serve_questions(connection.settings(), listening, output)


app.command("list")(list_open)
app.command()(show)
app.command()(approve)
app.command()(deny)
app.command()(grants)
app.command()(revoke)
app.command()(serve)
