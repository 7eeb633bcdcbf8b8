"""The intent: a tool call that an agent proposes."""

from __future__ import annotations

from streams.model.types import Actor, Header, Millis, Model, Proof, Record, Sha256, ToolRef, Uuid


class ReplyTo(Record, frozen=True, kw_only=True):
    """Where the agent waits for the outcome: its tenant's outcome topic, and its session's partition there.

    A gate writes outcomes to the tenant's topic only, and always to the session's partition, whatever is named here.
    """

    topic: str
    partition: int


class Intent(Record, frozen=True, kw_only=True):
    """A proposed action. Everything in it is the agent's claim until `proof` and state confirm it.

    `agent_version` is the version of the agent's program, as the agent states it.
    """

    header: Header
    intent_id: Uuid
    session_id: str
    conversation_id: str | None = None
    turn: int = 0
    tool_call_id: str
    sub: str
    act: Actor
    delegation_uid: str | None = None
    txn: str | None = None
    tool: ToolRef
    args_json: str
    args_digest: Sha256
    model: Model | None = None
    user_request_digest: Sha256 | None = None
    system_prompt_digest: Sha256 | None = None
    toolset_digest: Sha256 | None = None
    claimed_sources: tuple[str, ...] = ()
    approval_id: Uuid | None = None
    deadline: Millis | None = None
    reply_to: ReplyTo | None = None
    proof: Proof | None = None
    agent_version: str | None = None
