"""A session whose agent delegates work: each agent may do less than the one before it, and stopping the first stops the
last."""

from __future__ import annotations

from dataclasses import dataclass

from stoplog_demo.catalog import GIT, MAIL, READER_SCOPES
from stoplog_demo.host import ISSUER, AgentHost, Work
from stoplog_demo.steps import Check
from stoplog_demo.view import View
from streams.model.delegation import ConstraintType
from streams.model.reasons import Reason, Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.types import Actor, SubProfile
from streams.model.verdict import Outcome, Verdict
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.delegation import Share, bound, tool
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.errors import DelegationError
from streams.sdk.executor.revocations import RevocationWatch

CONFIRM_TIMEOUT_MS = 10_000
CALL_CUT_OFF = 2
"""The number of the last agent's call that has its verdict when the first agent's session is stopped."""

GRANTS = 3
"""The number of grants in the last agent's chain."""

RESEARCHER = Actor(iss=ISSUER, sub="researcher", sub_profile=SubProfile.AI_AGENT, instance_uid="demo-2")
MAILER = Actor(iss=ISSUER, sub="mailer", sub_profile=SubProfile.AI_AGENT, instance_uid="demo-3")
_ANYTHING = [bound(argument, ConstraintType.ALL, []) for argument in ("/subject", "/body")]
_SEND = f"{MAIL}/send"


@dataclass(frozen=True)
class Team:
    """Three agents in a chain: a user opens the session of the first, and each agent delegates to the next."""

    first: SessionCredential
    last: SessionCredential
    wider: str
    """The error that the last agent got when it tried to delegate more than it has; empty if it got none."""


def run_team(
    host: AgentHost, tokens: DevTokenService, revocations: RevocationWatch, view: View, user: str, inside: str
) -> tuple[list[Check], list[Work]]:
    """Run the session, and return its checks and the last agent's calls. Blocking, a few seconds.

    Args:
        user: the user on whose behalf the agents act.
        inside: the only address that the last agent may write to, except for the user's.
    """
    outside = "everyone@elsewhere.example"
    news = "that 1.4.0 is out"
    request = f"tell {inside} {news}; tell {outside} {news}; tell {inside} that all know; tell {inside} that I am done"
    team = _gather(host, tokens, user, inside, request)

    def stop(number: int, _verdict: Verdict) -> None:
        if number != CALL_CUT_OFF:
            return
        view.note(f"Security stops the session of {team.first.act.sub}, two hops above.")
        target = session_target(team.first.tenant_uid, team.first.session_id)
        tokens.revoke(RevocationKind.SESSION, target, "its agent was manipulated")
        revocations.confirm(CONFIRM_TIMEOUT_MS)

    title = f"{team.first.act.sub} delegates to {RESEARCHER.sub}, which delegates to {MAILER.sub}; each may do less"
    works = host.work("session 4", title, team.last, request, stop, conversation_id=team.first.session_id)
    return _checks(team, works, outside), works


def _gather(host: AgentHost, tokens: DevTokenService, user: str, inside: str, request: str) -> Team:
    """Open the sessions: each agent delegates less than it has."""
    tools = [tool(f"{GIT}/git_status"), tool(f"{GIT}/git_show"), tool(_SEND)]
    first = host.open(user, READER_SCOPES, request, tools=tools, max_depth=2)
    mails = tool(_SEND, bound("/to", ConstraintType.SUBSET, [inside, user]), *_ANYTHING)
    with host.agent(first) as agent:
        second = tokens.open_sub_session(agent.delegate(RESEARCHER, Share(tools=(tool(f"{GIT}/git_show"), mails))))
    only_inside = tool(_SEND, bound("/to", ConstraintType.SUBSET, [inside]), *_ANYTHING)
    wider = ""
    with host.agent(second) as agent:
        try:
            agent.delegate(MAILER, Share(tools=(tool(_SEND),)))
        except DelegationError as error:
            wider = str(error)
        last = tokens.open_sub_session(agent.delegate(MAILER, Share(tools=(only_inside,))))
    return Team(first, last, wider)


def _checks(team: Team, works: list[Work], outside: str) -> list[Check]:
    sent, strayed, cut_off, after = (works[index] if index < len(works) else None for index in range(4))
    refusal = None if cut_off is None or cut_off.outcome is None else cut_off.outcome.refusal
    return [
        Check(
            name="session 4: no agent can delegate more than it has",
            ok=bool(team.wider),
            detail=team.wider or "it was possible",
        ),
        Check(
            name="session 4: two hops away, the delegated call was allowed",
            ok=sent is not None and sent.ran and len(sent.verdict.delegation_path) == GRANTS,
            detail="" if sent is None else " > ".join(sent.verdict.delegation_path),
        ),
        Check(
            name=f"session 4: a mail to {outside} was denied, because the grant does not allow it",
            ok=_is_denied(strayed, Reason.DELEGATION_ARGUMENTS_NOT_GRANTED),
            detail="" if strayed is None else strayed.verdict.reason_text,
        ),
        Check(
            name="session 4: after the first session was stopped, the executor rejected a verdict of the last one",
            ok=refusal is Refusal.REVOKED,
            detail="" if cut_off is None or cut_off.outcome is None else cut_off.outcome.text,
        ),
        Check(
            name="session 4: the next call of the last session was denied, too",
            ok=_is_denied(after, Reason.SESSION_PARENT_ENDED),
            detail="" if after is None else after.verdict.reason_text,
        ),
    ]


def _is_denied(work: Work | None, reason: Reason) -> bool:
    return work is not None and work.verdict.outcome is Outcome.DENY and work.verdict.reason == reason.value
