"""The program that runs the agent: proposes its calls to the gate, and has allowed calls run by the executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stoplog_demo.assistant import Assistant, Wish
from stoplog_demo.catalog import FACTS
from stoplog_demo.steps import USER, Step
from stoplog_demo.view import View
from streams.model.canonical import sha256
from streams.model.delegation import ToolGrant
from streams.model.reasons import Refusal
from streams.model.session import SessionEventType
from streams.model.types import Actor, Model, SubProfile
from streams.model.verdict import Outcome, RuleEffect, RuleMode, Verdict
from streams.sdk.agent.agent import Agent
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.agent.intents import CallContext
from streams.sdk.agent.toolset import Toolset
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.executor import Executor
from streams.sdk.executor.types import ToolOutcome
from streams.sdk.executor.verdict_reader import VerdictReader

ISSUER = "https://issuer.demo.example"
ACTOR = Actor(iss=ISSUER, sub="office-assistant", sub_profile=SubProfile.AI_AGENT, instance_uid="demo-1")
MODEL = Model(ai_provider="script", name="gullible-assistant", version="1")
AGENT_VERSION = "1.0"
SESSION_TTL_MS = 600_000
OUTCOME_TIMEOUT_MS = 30_000
CALLS_MAX = 60


@dataclass(frozen=True)
class Work:
    """One call of a session: what the agent wanted, the verdict, and the outcome."""

    wish: Wish
    verdict: Verdict
    outcome: ToolOutcome | None

    @property
    def ran(self) -> bool:
        """Return whether the tool ran without an error."""
        return self.outcome is not None and self.outcome.ran


BeforeRun = Callable[[int, Verdict], None]
"""Called with a call's number in its session and its verdict, before an allowed call runs."""


class AgentHost:
    """Runs one session after the other."""

    def __init__(
        self,
        transport: Transport,
        tokens: DevTokenService,
        toolset: Toolset,
        executor: Executor,
        repository: Path,
        view: View,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._toolset = toolset
        self._executor = executor
        self._repository = repository
        self._view = view

    def open(
        self,
        user: str,
        scopes: tuple[str, ...],
        request: str,
        *,
        tools: Sequence[ToolGrant] | None = None,
        max_depth: int = 0,
    ) -> SessionCredential:
        """Open a session for a user with a request; for `tools` and `max_depth` see `DevTokenService`."""
        credential = self._tokens.open_session(
            user, ACTOR, scopes, purpose=request, ttl_ms=SESSION_TTL_MS, tools=tools, max_depth=max_depth
        )
        # What the user says counts in the sessions that agents open from this one, too.
        self._tokens.user_message(credential, request, conversation_id=credential.session_id)
        return credential

    def agent(self, credential: SessionCredential) -> Agent:
        """Return an agent in a session; the caller closes it."""
        return Agent(self._transport, credential, toolset=self._toolset, model=MODEL, version=AGENT_VERSION)

    def work(
        self,
        name: str,
        title: str,
        credential: SessionCredential,
        request: str,
        before_run: BeforeRun | None = None,
        *,
        conversation_id: str | None = None,
    ) -> list[Work]:
        """Let the agent work on the request until it is done.

        Args:
            name: the session's name in the view.
            title: what it is about.
            before_run: see `BeforeRun`.
            conversation_id: the conversation; by default the session is one of its own.
        """
        asked = "asked" if credential.act == ACTOR else f"asked {credential.act.sub}, through other agents"
        self._view.session(name, title, f"{credential.sub} {asked}: {request}")
        assistant = Assistant(self._repository)
        assistant.ask(request)
        works: list[Work] = []
        with self.agent(credential) as agent, VerdictReader(self._transport, agent.key) as verdicts:
            while len(works) < CALLS_MAX and (wish := assistant.next()) is not None:
                context = CallContext(
                    turn=len(works),
                    conversation_id=conversation_id or credential.session_id,
                    user_request_digest=sha256(request.encode()),
                )
                # What the model has answered is on the record before what it asks for.
                agent.report(SessionEventType.MODEL_OUTPUT, content=f"{wish.tool}: {wish.words or request}")
                told = agent.propose(wish.tool, wish.args, timeout_ms=OUTCOME_TIMEOUT_MS, context=context)
                # The agent is told the outcome. The host, which runs the call, reads the verdict as an executor does.
                verdict = verdicts.read(told.verdict_id)
                outcome = None
                if verdict.outcome is Outcome.ALLOW:
                    if before_run is not None:
                        before_run(len(works), verdict)
                    outcome = self._executor.execute(verdicts.receipt(told.verdict_id))
                    if outcome.ending is not None:
                        assistant.saw(wish, str(outcome.content))
                works.append(Work(wish, verdict, outcome))
                self._view.step(_step(name, credential.sub, works[-1]))
        self._view.end_session()
        return works


def _step(session: str, user: str, work: Work) -> Step:
    verdict, outcome = work.verdict, work.outcome
    reason, text, result = verdict.reason, verdict.reason_text, "not run"
    if outcome is not None and outcome.refusal is not None:
        reason, text, result = outcome.refusal.value, outcome.text, "refused"
        if outcome.refusal is Refusal.REVOKED:
            text = "it was stopped after the verdict"
    elif outcome is not None and outcome.ending is not None:
        result = outcome.ending.value
    effect = RuleEffect.PERMIT.value if verdict.outcome is Outcome.ALLOW else verdict.outcome.value
    decisive = [rule.rule_id for rule in verdict.rules if rule.effect.value == effect and rule.mode is RuleMode.ENFORCE]
    if decisive and result != "refused":
        text = f"{text} ({', '.join(decisive)})"
    if result == "done" and work.wish.asked_by != USER and _only_reads(work.wish.tool):
        text = f"{text}; reading sends nothing out"
    return Step(
        session=session,
        user=user,
        tool=work.wish.tool,
        argument=_argument(work.wish),
        asked_by=work.wish.asked_by,
        words=work.wish.words,
        outcome=verdict.outcome.value,
        reason=reason,
        text=text,
        result=result,
        intent_id=verdict.intent_id,
        session_id=verdict.session_id,
    )


def _only_reads(tool: str) -> bool:
    server, _, name = tool.partition("/")
    facts = FACTS[server][name]
    return bool(facts.read_only) and not facts.open_world


def _argument(wish: Wish) -> str:
    """Return the argument that is most useful to a person."""
    for name in ("to", "revision", "branch_name", "max_count"):
        value = wish.args.get(name)
        if value is not None:
            return ", ".join(value) if isinstance(value, list) else str(value)
    return ""
