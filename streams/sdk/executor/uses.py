"""What is known of a call whose verdict was used: which call, how it ended, and what its result holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streams.model.reasons import Refusal
from streams.model.session import Atom
from streams.model.types import Actor, Encrypted, Record, Sha256, ToolRef, Uuid, WrappedKey
from streams.model.verdict import Verdict


class Ending(StrEnum):
    """How a call ended; also the reason code of its report."""

    DONE = "done"
    TOOL_ERROR = "tool_error"
    TOOL_TIMED_OUT = "tool_timed_out"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_RUN = "not_run"


class CallRef(Record, frozen=True, kw_only=True):
    """The parts of a verdict that the report of its call needs: no arguments, no content."""

    tenant_uid: str
    session_id: str
    intent_id: Uuid
    verdict_id: Uuid
    sub: str
    act: Actor
    delegation_path: tuple[str, ...] = ()
    tool: ToolRef
    ruleset_digest: Sha256 | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class ContentRead(Record, frozen=True, kw_only=True):
    """What the report of a call says of its result: see `SessionEvent`."""

    atoms: tuple[Atom, ...] = ()
    complete: bool = False
    has_text: bool = True
    instructed: bool = True
    content_type: str | None = None
    lacks_words_only: bool = False


class Use(Record, frozen=True, kw_only=True):
    """A call that has ended.

    Attributes:
        sequence: the number of this result among those of its session that this store has reported, from 0.
        refusal: why the call will never run; None if it ran.
        text: the same for people.
        source: the executor that saw it end, as its reports name it: whoever reports the call later names it as well,
            so that the report is the same.
        read: what the result holds; None if nobody has looked. It is stored, because the result is not.
        content: the result, encrypted, if results are captured.
        content_key: the wrapped key that it is encrypted with.
    """

    call: CallRef
    ending: Ending
    ended_ms: int
    sequence: int
    content_digest: Sha256 | None = None
    refusal: Refusal | None = None
    text: str = ""
    source: str | None = None
    read: ContentRead | None = None
    content: Encrypted | None = None
    content_key: WrappedKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a call ended, before it is recorded.

    Attributes:
        now_ms: when it ended.
        refusal: why the call will not run, for NOT_RUN.
        text: the same for people.
        source: the executor that saw it end, as its reports name it.
        read: what the result holds.
        content, content_key: see `Use`.
    """

    call: CallRef
    ending: Ending
    now_ms: int
    content_digest: bytes | None = None
    refusal: Refusal | None = None
    text: str = ""
    source: str | None = None
    read: ContentRead | None = None
    content: Encrypted | None = None
    content_key: WrappedKey | None = None


def call_of(verdict: Verdict) -> CallRef:
    """Return the reference to a verdict's call."""
    return CallRef(
        tenant_uid=verdict.header.tenant_uid,
        session_id=verdict.session_id,
        intent_id=verdict.intent_id,
        verdict_id=verdict.verdict_id,
        sub=verdict.sub,
        act=verdict.act,
        delegation_path=verdict.delegation_path,
        tool=verdict.tool,
        ruleset_digest=verdict.ruleset_digest,
        traceparent=verdict.header.traceparent,
        tracestate=verdict.header.tracestate,
    )
