"""Build an intent: canonical arguments, their digest, and the proof of its writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from streams.model.canonical import NESTING_MAX, CanonicalError, canonical, canonical_args, sha256
from streams.model.intent import Intent, ReplyTo
from streams.model.proof import make_hmac, proof_message
from streams.model.types import Header, Model, Proof, ProofAlg, ToolRef
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.errors import ProposalError

ARGS_BYTES_MAX = 900_000
"""Arguments of this size fit into a record of 1 MiB with its other fields; a gate may accept less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """Where a call stands in an agent's work. All of it is the agent's claim, covered by its proof.

    Attributes:
        turn: of the conversation.
        tool_call_id: the model's id of the call; the intent's id by default.
        claimed_sources: events that the agent claims led to the call; they can only narrow what is allowed.
        traceparent, tracestate: W3C trace context, copied to all records that follow from the call.
    """

    turn: int = 0
    tool_call_id: str | None = None
    conversation_id: str | None = None
    delegation_uid: str | None = None
    txn: str | None = None
    user_request_digest: bytes | None = None
    system_prompt_digest: bytes | None = None
    toolset_digest: bytes | None = None
    claimed_sources: tuple[str, ...] = ()
    approval_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


def build_intent(
    credential: SessionCredential,
    tool: ToolRef,
    args: Mapping[str, object],
    *,
    intent_id: str,
    header_id: str,
    source: str,
    now_ms: int,
    model: Model | None = None,
    agent_version: str | None = None,
    deadline_ms: int | None = None,
    context: CallContext | None = None,
    reply_to: ReplyTo | None = None,
) -> Intent:
    """Return an intent that is ready to be published.

    Args:
        args: the call's arguments; JSON values only.
        now_ms: the agent's clock; covered by the proof.
        agent_version: the version of the agent's program.
        deadline_ms: the instant after which the call must not run any more.
        reply_to: where the outcome is wanted; None for no outcome.

    Raises:
        ProposalError: the arguments have no canonical form, or are too large for a record.
    """
    about = context or CallContext()
    args_json = _canonical_json(args)
    intent = Intent(
        header=Header(
            id=header_id,
            source=source,
            time=now_ms,
            tenant_uid=credential.tenant_uid,
            traceparent=about.traceparent,
            tracestate=about.tracestate,
        ),
        intent_id=intent_id,
        session_id=credential.session_id,
        conversation_id=about.conversation_id,
        turn=about.turn,
        tool_call_id=about.tool_call_id or intent_id,
        sub=credential.sub,
        act=credential.act,
        delegation_uid=about.delegation_uid or credential.delegation_uid,
        txn=about.txn,
        tool=tool,
        args_json=args_json.decode(),
        args_digest=sha256(args_json),
        model=model,
        user_request_digest=about.user_request_digest,
        system_prompt_digest=about.system_prompt_digest,
        toolset_digest=about.toolset_digest,
        claimed_sources=about.claimed_sources,
        approval_id=about.approval_id,
        deadline=deadline_ms,
        reply_to=reply_to,
        agent_version=agent_version,
    )
    try:
        return msgspec.structs.replace(intent, proof=_proof(credential, proof_message(intent)))
    except UnicodeError as error:
        raise ProposalError(f"intent `{intent_id}` can't be sent: a name in it is not valid Unicode") from error


def _proof(credential: SessionCredential, message: bytes) -> Proof:
    """Return the proof, made with the key that the session's grant is bound to, or else with the session's key."""
    if credential.signing_key is not None:
        return credential.signing_key.prove(message)
    return Proof(alg=ProofAlg.HMAC_SHA256, value=make_hmac(credential.secret, message))


def _canonical_json(args: Mapping[str, object]) -> bytes:
    given: object = args
    if not isinstance(given, Mapping):
        fault = f"the arguments must be a mapping of names to values, not a `{type(given).__name__}`"
        # Many clients of models hand them over as the model wrote them.
        hint = "; parse the JSON that the model wrote: `json.loads(...)`" if isinstance(given, (str, bytes)) else ""
        raise ProposalError(fault + hint)
    try:
        text = canonical(dict(args))
        # Parsed as the gate parses it: what it would refuse (nesting, for one) is refused here, before it is sent.
        _, again = canonical_args(text.decode())
    except CanonicalError as error:
        raise ProposalError(f"the arguments can't be sent: {_unfit(args) or error}") from error
    if again != text:
        raise ProposalError("the arguments read differently once they are written as JSON")
    if len(text) > ARGS_BYTES_MAX:
        raise ProposalError(f"the arguments have {len(text)} bytes, at most {ARGS_BYTES_MAX} fit into a record")
    return text


def _unfit(value: object, path: str = "", depth: int = 0) -> str | None:
    """Return which value is not one of JSON, such as a date; None if that is not what is wrong."""
    if depth > NESTING_MAX:
        return None
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                return f"a name in `{path or '/'}` is a `{type(name).__name__}`, not a text"
            if found := _unfit(inner, f"{path}/{name}", depth + 1):
                return found
    elif isinstance(value, (list, tuple)):
        for at, inner in enumerate(value):
            if found := _unfit(inner, f"{path}/{at}", depth + 1):
                return found
    elif value is not None and not isinstance(value, (str, int, float)):
        return f"`{path}` is a `{type(value).__name__}`, which JSON does not have"
    return None
