"""Session events: the life of a session, and what was said and read in it."""

from __future__ import annotations

from enum import StrEnum

from streams.model.labels import Label
from streams.model.types import (
    Actor,
    Encrypted,
    Header,
    Millis,
    Model,
    Proof,
    Record,
    Sha256,
    ToolRef,
    Uuid,
    WrappedKey,
)


class SessionEventType(StrEnum):
    """The kind of event."""

    UNKNOWN = "UNKNOWN"
    SESSION_ESTABLISHED = "SESSION_ESTABLISHED"
    USER_MESSAGE = "USER_MESSAGE"
    MODEL_OUTPUT = "MODEL_OUTPUT"
    TOOL_RESULT = "TOOL_RESULT"
    RETRIEVAL = "RETRIEVAL"
    MEMORY_READ = "MEMORY_READ"
    TOOLS_CHANGED = "TOOLS_CHANGED"
    PURPOSE_SET = "PURPOSE_SET"
    RISK_LEVEL_CHANGE = "RISK_LEVEL_CHANGE"
    TOKEN_CLAIMS_CHANGE = "TOKEN_CLAIMS_CHANGE"  # noqa: S105 - the event's name in CAEP
    SESSION_REVOKED = "SESSION_REVOKED"
    SESSION_ENDED = "SESSION_ENDED"
    TOOL_NOT_RUN = "TOOL_NOT_RUN"
    SYSTEM_PROMPT = "SYSTEM_PROMPT"


PROVEN_EVENTS = frozenset(
    {
        SessionEventType.SESSION_ESTABLISHED,
        SessionEventType.PURPOSE_SET,
        SessionEventType.RISK_LEVEL_CHANGE,
        SessionEventType.TOKEN_CLAIMS_CHANGE,
        SessionEventType.SESSION_REVOKED,
        SessionEventType.SESSION_ENDED,
    }
)
"""Events that decide whether a session lives and what it may do: only the token service writes them, with its proof."""

COMPLETIONS = frozenset({SessionEventType.TOOL_RESULT, SessionEventType.TOOL_NOT_RUN})
"""Reports of the outcome of an allowed call, proven with a key of the server whose call it is."""

REPORTS = COMPLETIONS | {
    SessionEventType.USER_MESSAGE,
    SessionEventType.MODEL_OUTPUT,
    SessionEventType.RETRIEVAL,
    SessionEventType.MEMORY_READ,
    SessionEventType.TOOLS_CHANGED,
    SessionEventType.SYSTEM_PROMPT,
}
"""Events that say what happened in a session. They are proven as well; all but `COMPLETIONS` may be proven by the
session's agent (`streams.model.proof.report_message`)."""

SAID = frozenset({SessionEventType.USER_MESSAGE, SessionEventType.MODEL_OUTPUT, SessionEventType.SYSTEM_PROMPT})
"""Those of them that no server may prove: it does not hear what is said to the model, and what the model says."""


class Atom(Record, frozen=True, kw_only=True):
    """A value of interest in some content, as a keyed digest (`streams.provenance.extraction.digests`).

    `path` is the JSON pointer of the leaf that holds it, and `whole_field` says that the leaf holds nothing else.
    `decoded` says that it was found only after a disguise was undone, `instructed` that the text beside it reads like
    an instruction, and `calls_for` which kinds of acts that calls for, as bits (`streams.provenance.acts.calls`).
    """

    digest: Sha256
    kind: str
    path: str
    whole_field: bool = False
    label: Label | None = None
    decoded: bool = False
    instructed: bool = False
    calls_for: int = 0


class ScopeSource(StrEnum):
    """Who says what a session may do for the request. A derived scope can only make an allow a question."""

    DERIVED = "DERIVED"
    PERSON = "PERSON"
    ISSUER = "ISSUER"


class ArgumentLimit(Record, frozen=True, kw_only=True):
    """What an argument of a call must be; `path` is a JSON pointer, in which `*` stands for any one step."""

    path: str
    values: tuple[str, ...] = ()


class TaskScope(Record, frozen=True, kw_only=True):
    """A kind of act that the request implies, with its limits; whatever is left out is not limited.

    `kind` is a kind of `streams.provenance.acts.kinds`, `tools` are names as `server/name`, `targets` values of sink
    arguments; `count_max` is a number of calls. `amount_max` limits the argument `amount`, or without one, all amounts
    of money together: an exact decimal (`99.50`) in major units of `currency`, or without one, of the currency that
    the call states (ADR 0063). `arguments` says what single arguments must be: a call has each of them, and nothing but
    the values stated there.
    """

    kind: str | None = None
    thing: str | None = None
    tools: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    count_max: int | None = None
    amount_max: str | None = None
    currency: str | None = None
    arguments: tuple[ArgumentLimit, ...] = ()


class SessionEvent(Record, frozen=True, kw_only=True):
    """One event of a session; `sequence` counts the writer's events of the session from 0.

    `proof` is the token service's over an event of `PROVEN_EVENTS`, and the server's or the agent's over one of
    `REPORTS` (`streams.model.proof`). `delegation_uid` is the
    session's grant, `parent_session_id` the session that delegated it; `attended` says that a person is present.
    `label` of an opening says how far the content that the session was opened with can be trusted. Without it, a
    session that was opened by another session is trusted with nothing. `atoms_complete` says that the content
    has no other atoms than those that are listed, and `lacks_words_only` that the others are names, quotes and
    other words without a shape. `has_text` and `text_instructed` say whether it holds free text, and
    whether any of that reads like an instruction. What a writer leaves out counts as the worse. `content` is the
    content itself, encrypted under `content_key`, where its capture is switched on.
    """

    header: Header
    session_id: str
    sequence: int
    type: SessionEventType = SessionEventType.UNKNOWN
    sub: str | None = None
    act: Actor | None = None
    tool: ToolRef | None = None
    intent_id: Uuid | None = None
    verdict_id: Uuid | None = None
    is_error: bool = False
    label: Label | None = None
    content_digest: Sha256 | None = None
    content: Encrypted | None = None
    atoms: tuple[Atom, ...] = ()
    sources: tuple[str, ...] = ()
    purpose: str | None = None
    scopes: tuple[str, ...] = ()
    expires: Millis | None = None
    risk_level: str | None = None
    set_jti: str | None = None
    set_event_type: str | None = None
    attended: bool = False
    delegation_uid: str | None = None
    parent_session_id: str | None = None
    model: Model | None = None
    system_prompt_digest: Sha256 | None = None
    toolset_digest: Sha256 | None = None
    proof: Proof | None = None
    conversation_id: str | None = None
    task_scopes: tuple[TaskScope, ...] = ()
    scope_source: ScopeSource = ScopeSource.DERIVED
    content_type: str | None = None
    atoms_complete: bool = False
    has_text: bool = True
    text_instructed: bool = True
    content_key: WrappedKey | None = None
    lacks_words_only: bool = False

    @property
    def lists_shapes(self) -> bool:
        """Whether the content has no atoms with a shape but those that are listed."""
        return self.atoms_complete or self.lacks_words_only
