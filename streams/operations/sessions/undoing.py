"""Proposes the calls that undo what a session did, as intents of a session of the operator.

They are intents like any: proven, judged by the same rules, and run by the same executors. Nothing is undone past the
gate, because what a hijacked session did is a bad guide to what may be done now, and because an operator's account can
be hijacked, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.model.errors import StoplogError
from streams.model.outcome import IntentOutcome
from streams.model.session import SessionEventType
from streams.model.types import Actor, SubProfile, ToolRef
from streams.operations.operator import SOURCE
from streams.operations.sessions.containment import Act, Remedy
from streams.provenance.pointers import last_name, leaves
from streams.provenance.words import words_of_name
from streams.sdk.agent.agent import Agent
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.delegation import tool
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.agent.intents import CallContext
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import SdkError

SESSION_LIFE_MS = 3_600_000
OUTCOME_TIMEOUT_MS = 10_000


class UndoingError(StoplogError):
    """The undoing calls can't be proposed; says why, and what to do."""


class Proposed(NamedTuple):
    """An undoing call that was proposed, and its outcome; or why it could not be proposed."""

    act: Act
    outcome: IntentOutcome | None
    error: str = ""


def undoable(acts: Sequence[Act]) -> list[Act]:
    """Return the acts whose undoing call is complete, the last act first: later acts may depend on earlier ones."""
    return [act for act in reversed(acts) if act.remedy is Remedy.CALL]


def open_own_session(
    transport: Transport,
    root_key: bytes,
    *,
    operator: str,
    issuer: str | None,
    tenant_uid: str,
    session_id: str,
    scopes: Sequence[str],
    tools: Sequence[str],
) -> SessionCredential:
    """Open a session in which an operator acts in their own name, where the root key is at hand.

    Who has the root key is the token service, so this asks nobody. Elsewhere, the token service decides.

    Args:
        operator: the person, who is both the session's user and its agent.
        issuer: a trust anchor of gates that signs with the root key, if they need grants.
        session_id: the session that is contained.
        scopes: what the undoing calls need; at most what the contained session had.
        tools: the undoing tools; the grant holds for no others.

    Raises:
        SdkError: the session can't be opened.
    """
    tokens = DevTokenService(transport, root_key, issuer=issuer or SOURCE, tenant_uid=tenant_uid)
    return tokens.open_session(
        operator,
        Actor(iss=issuer or SOURCE, sub=operator, sub_profile=SubProfile.USER),
        tuple(scopes),
        purpose=f"undo what session {session_id} did",
        ttl_ms=SESSION_LIFE_MS,
        tools=None if issuer is None else [tool(name) for name in sorted(set(tools))],
        attended=True,
    )


def request_text(acts: Sequence[Act]) -> str:
    """Return what the operator asks for, in words that name every value: they have seen the calls, and agreed to them.

    Without it, the values of the calls would come from nowhere, and each of them would be a question.
    """
    return "\n".join(
        f"{' '.join(words_of_name(act.undoing_tool.partition('/')[2]))}: "
        + ", ".join(f"{' '.join(words_of_name(last_name(pointer)))} {value}" for pointer, value in leaves(act.undoing))
        for act in acts
    )


def propose_undoing(
    transport: Transport, credential: SessionCredential, acts: Sequence[Act], tools: Sequence[ToolRef]
) -> Iterator[Proposed]:
    """Propose the undoing calls one after the other, and yield the outcome of each. First it is recorded what is asked.

    Args:
        credential: of the operator's session.
        acts: those to undo, in this order.
        tools: the undoing tools as the catalog has them, so that another definition is not called.

    Raises:
        UndoingError: outcomes can't be read.
    """
    known = {f"{each.server_id}/{each.name}": each for each in tools}
    try:
        agent = Agent(transport, credential, source=SOURCE)
    except StoplogError as error:
        raise UndoingError(f"outcomes of the undoing calls can't be read: {error}") from error
    with agent:
        try:
            agent.report(SessionEventType.USER_MESSAGE, content=request_text(acts), content_type="text/plain")
        except SdkError as error:
            raise UndoingError(f"what you ask for can't be recorded: {error}") from error
        for act in acts:
            server_id, _, name = act.undoing_tool.partition("/")
            pinned = known.get(act.undoing_tool) or ToolRef(server_id=server_id, name=name)
            try:
                outcome = agent.propose(
                    pinned,
                    act.undoing,
                    wait_final=False,
                    timeout_ms=OUTCOME_TIMEOUT_MS,
                    context=CallContext(tool_call_id=f"undo:{act.intent_id}"),
                )
            except SdkError as error:
                yield Proposed(act, None, str(error))
                continue
            yield Proposed(act, outcome)
