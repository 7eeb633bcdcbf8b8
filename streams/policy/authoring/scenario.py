"""The parts of a scenario: a sequence of steps, and what is expected of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from streams.model.reasons import DeadLetterReason, Reason
from streams.policy.errors import Location

LAST_LINE = 0
"""The number that stands for the time after the last line of a history."""


class Verb(StrEnum):
    """What happens in a step, as files write it."""

    CALL = "call"
    RESULT = "result"
    NOT_RUN = "not_run"
    APPROVE = "approve"
    REFUSE = "refuse"
    OPEN = "open"
    EVENT = "event"
    STOP = "stop"
    RELEASE = "release"
    ENTITY = "entity"
    RECORD = "record"
    WAIT = "wait"


class ScenarioVerdict(StrEnum):
    """An outcome, as scenarios write it; `none` says that no verdict is given in the step."""

    ALLOW = "allow"
    DENY = "deny"
    QUARANTINE = "quarantine"
    REQUIRE_APPROVAL = "require_approval"
    DEFER = "defer"
    NONE = "none"


class EventName(StrEnum):
    """An event of a session, as scenarios write it."""

    USER_MESSAGE = "user_message"
    MODEL_OUTPUT = "model_output"
    RETRIEVAL = "retrieval"
    MEMORY_READ = "memory_read"
    TOOLS_CHANGED = "tools_changed"
    PURPOSE_SET = "purpose_set"
    RISK_LEVEL_CHANGE = "risk_level_change"
    TOKEN_CLAIMS_CHANGE = "token_claims_change"  # noqa: S105 - the event's name in CAEP
    SESSION_REVOKED = "session_revoked"
    SESSION_ENDED = "session_ended"


class StopKind(StrEnum):
    """What is stopped or released, as scenarios write it."""

    SESSION = "session"
    AGENT = "agent"
    USER = "user"
    TOOL = "tool"
    MODEL = "model"
    TENANT = "tenant"
    DELEGATION = "delegation"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """What is expected of one call in a step.

    Attributes:
        rules: the rules that match; None: not compared.
        errors: the rules that are in error.
        memories: the values of memories, as the rules read them when they judged the call; None: it has no value.
        budgets: what has been used of budgets after the step.
    """

    location: Location
    verdict: ScenarioVerdict
    reason: Reason | None = None
    rules: frozenset[str] | None = None
    errors: frozenset[str] = frozenset()
    memories: Mapping[str, int | bool | None] = field(default_factory=dict)
    budgets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """What is expected of a step.

    Attributes:
        own: of the call that the step is about.
        calls: of other calls, by name.
        alerts: what raises alerts (`analytic_uid`), sorted; None: not compared.
        dead_letters: the reasons of records that are rejected, sorted.
    """

    own: ExpectedCall | None = None
    calls: Mapping[str, ExpectedCall] = field(default_factory=dict)
    alerts: tuple[str, ...] | None = None
    dead_letters: tuple[DeadLetterReason, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool of the catalog: the fields of its entry that the file states, and where."""

    name: str
    location: Location
    fields: Mapping[str, Any]

    @property
    def server_id(self) -> str:
        """Return the server's id."""
        return self.name.partition(".")[0]

    @property
    def short_name(self) -> str:
        """Return the tool's own name."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """A session: who is in it, and what it may do. `fields` are those that the file states."""

    name: str
    location: Location
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One step.

    Attributes:
        number: counts from 1.
        target: what `verb` is done to: a tool, the name of a call, a session, an event, a thing to stop.
        session: the name of the session that it is in; empty for steps that are in none.
        call: the name of the call that it makes or is about; empty if there is none.
        after_ms: the time that passes before.
        fields: the other keys, checked.
        repeat: how many times it happens, each time after `after_ms`.
    """

    location: Location
    number: int
    verb: Verb
    target: str
    session: str
    call: str
    after_ms: int
    fields: Mapping[str, Any]
    repeat: int
    expect: ExpectedStep


@dataclass(frozen=True, slots=True)
class ExpectedLine:
    """What is expected of a line of a history; `LAST_LINE` is the time after the last one."""

    location: Location
    line_no: int
    expect: ExpectedStep


@dataclass(frozen=True, slots=True)
class Scenario:
    """A sequence, in `steps`; or a recorded one, in the file `history`, of which `lines` are expected.

    Attributes:
        path: the file that it is in, relative to the directory of the rules.
        pack: the pack whose rules it tests; empty if it tests those of every pack.
        start: when it begins, RFC 3339; None: the default.
        history: the file of the history, relative to `path`.
        catalog: a file with catalog entries, relative to `path`.
        entities: attributes that are published before the first step, by `KIND/ID`.
    """

    name: str
    location: Location
    path: str
    pack: str
    sessions: Mapping[str, SessionSpec] = field(default_factory=dict)
    tools: Mapping[str, ToolEntry] = field(default_factory=dict)
    start: str | None = None
    catalog: str | None = None
    entities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[ScenarioStep, ...] = ()
    history: str | None = None
    lines: tuple[ExpectedLine, ...] = ()
