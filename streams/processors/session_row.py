"""The row of a session: its record in parts, the form that layout 1 had, and reading it from the state.

The row is a msgpack array of arrays: the order of the parts and of their fields is the format, so parts and fields are
only ever added at the end, with defaults.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from streams.model.labels import CLEAN, Label, join_all
from streams.ports.processor import StateView
from streams.processors.rows import session_row_key

SOURCES_MAX = 32
PENDING_READS_MAX = 32
CALLED_TOOLS_MAX = 64
CURRENCIES_MAX = 16
"""Currencies of one session that are counted apart; those beyond are counted together, as `OTHER_CURRENCIES`."""

OTHER_CURRENCIES = "(other)"

ToolName = tuple[str, str]
"""The server's id and the tool's name."""


_replace = msgspec.structs.replace


class SessionStatus(IntEnum):
    """The state of a session's life. A row may precede its session, as grants can arrive first."""

    UNKNOWN = 0
    LIVE = 1
    FROZEN = 2
    ENDED = 3
    REVOKED = 4


class GrantStatus(IntEnum):
    """Whether the grant that a session stands on has arrived."""

    NONE = 0
    AWAITED = 1
    HELD = 2


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Something that the session has read: the event, the label of its content, and its name if anybody may see it."""

    event_id: str
    label: Label
    name: str = ""


class PendingRead(msgspec.Struct, frozen=True, array_like=True):
    """An allowed call whose result has not been reported; it counts as read from the moment it was allowed.

    Attributes:
        intent_id: the intent.
        label: of the result as a whole.
        tool: the tool.
        has_untrusted: whether others may write anything in the result, also if only a field of it.
    """

    intent_id: str
    label: Label
    tool: ToolName | None = None
    has_untrusted: bool = False


class OpenedWith(msgspec.Struct, frozen=True, array_like=True):
    """What a session was opened with: the model (who serves it, its name, its version), and digests of the rest."""

    model: tuple[str, str, str] | None = None
    system_prompt_digest: bytes | None = None
    toolset_digest: bytes | None = None


class Life(msgspec.Struct, frozen=True, array_like=True):
    """How long a session lives. Instants are broker time, ms.

    Attributes:
        status: where it stands.
        established_ms: when it began; or, for one that was over before it began, when it was over.
        expires_ms: when it ends: the earlier of `too_old_ms` and what its credential says.
        too_old_ms: when it reaches the age that no session may reach.
        credential_ms: when its credential would have ended it.
        active_ms: when it was last at work.
        attended: whether a person is present.
        ended_by: the reason code of its end; empty while it lives, and if its own event ended it.
        frozen_offset: how far revocations had been read when it was frozen. A release counts from there on.
        housekeeping_ms: when its timer is due; 0 if it has none.
    """

    status: SessionStatus = SessionStatus.UNKNOWN
    established_ms: int = 0
    expires_ms: int = 0
    too_old_ms: int = 0
    credential_ms: int = 0
    active_ms: int = 0
    attended: bool = False
    ended_by: str = ""
    frozen_offset: int = 0
    housekeeping_ms: int = 0


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """Whose session it is, and what it is for.

    Attributes:
        sub: the subject.
        act_iss: the issuer of the actor.
        act_sub: the actor.
        scopes: what its credential permits.
        purpose: what the session is for.
        purpose_sequence: the sequence number of the event that set the purpose.
        risk_level: the highest level of risk that an event has named.
        opened_with: what the session was opened with.
        changed: what of its intents' origin differs from that, by name.
    """

    sub: str = ""
    act_iss: str = ""
    act_sub: str = ""
    scopes: tuple[str, ...] = ()
    purpose: str | None = None
    purpose_sequence: int = -1
    risk_level: str | None = None
    opened_with: OpenedWith | None = None
    changed: tuple[str, ...] = ()


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """The grant that a session stands on, and whom it descends from.

    Attributes:
        delegation_uid: the grant.
        delegation_uids: the path to it, root first.
        grant_status: whether the session has it.
        grant_fault: the reason code for which the last grant was rejected.
        taken_back: grants that were revoked before they arrived.
        ancestor_session_ids: the sessions that this one descends from.
        ancestor_actors: the agents that it descends from.
    """

    delegation_uid: str | None = None
    delegation_uids: tuple[str, ...] = ()
    grant_status: GrantStatus = GrantStatus.NONE
    grant_fault: str = ""
    taken_back: tuple[str, ...] = ()
    ancestor_session_ids: tuple[str, ...] = ()
    ancestor_actors: tuple[str, ...] = ()


class Trust(msgspec.Struct, frozen=True, array_like=True):
    """What a session has read, and how far it can be trusted.

    Attributes:
        label: the join of the labels of everything that it has read.
        label_attested: whether the token service has said how far what the session was opened with can be trusted.
        sources: what it has read, up to a bound.
        pending_reads: allowed calls whose results count as read already.
    """

    label: Label = CLEAN
    label_attested: bool = False
    sources: tuple[Source, ...] = ()
    pending_reads: tuple[PendingRead, ...] = ()


class Counters(msgspec.Struct, frozen=True, array_like=True):
    """What is counted of a session.

    Attributes:
        sequence: the highest sequence number of its events.
        intents_count: intents that were proven and decided.
        allowed_count: those of them that were allowed.
        denied_count: those that were denied.
        spent_minor: the sum of the amounts of allowed calls, in minor units.
        calls: allowed calls by tool.
        waiting_count: pending intents.
        pending_serial: how many intents have been pending so far; it orders them.
        effects_count: allowed calls whose end has effects.
        keeps_count: whether there are rows of memories or budgets.
        has_no_unproven: whether it is known that no intents without a proof are remembered: spares a lookup.
        questions_count: questions that people were asked; calls that have joined one are not counted.
        spent_in: the part of `spent_minor` in each currency that calls have stated.
        is_spent_unclear: whether an allowed call had an amount that could not be read.
    """

    sequence: int = 0
    intents_count: int = 0
    allowed_count: int = 0
    denied_count: int = 0
    spent_minor: int = 0
    calls: dict[str, int] = {}
    waiting_count: int = 0
    pending_serial: int = 0
    effects_count: int = 0
    keeps_count: bool = False
    has_no_unproven: bool = False
    questions_count: int = 0
    spent_in: dict[str, int] = {}
    is_spent_unclear: bool = False


class Behaviour(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of the behaviour of a session.

    Attributes:
        signals: its last calls (`streams.processors.gate.observed:SignalsRow`), encoded, so that only whoever asks for
            them decodes them; empty while no rule has asked (ADR 0099).
    """

    signals: bytes = b""


class SessionRow(msgspec.Struct, frozen=True, array_like=True):
    """All that is remembered of a session, in parts. A feature that remembers more adds a part at the end.

    The parts are one row: each call changes `trust` and `counters`, which are four fifths of its bytes, and to read a
    second row would cost more than to write the rest again (ADR 0024).
    """

    life: Life = Life()
    identity: Identity = Identity()
    grant: Standing = Standing()
    trust: Trust = Trust()
    counters: Counters = Counters()
    behaviour: Behaviour = Behaviour()

    def effective_label(self) -> Label:
        """Return the join of what was read and of what may have been read already."""
        trust = self.trust
        if not trust.pending_reads:
            return trust.label
        # From a list, which takes half as long as from a generator.
        return join_all([trust.label, *[read.label for read in trust.pending_reads]])


_PARTS: dict[str, type[msgspec.Struct]] = {
    "life": Life,
    "identity": Identity,
    "grant": Standing,
    "trust": Trust,
    "counters": Counters,
    "behaviour": Behaviour,
}
_PART_OF = {field.name: part for part, kind in _PARTS.items() for field in msgspec.structs.fields(kind)}
"""The part of each field. No two parts have a field of the same name."""


def evolve(row: SessionRow, **changes: Any) -> SessionRow:
    """Return the row with fields of any of its parts changed; the parts of the others are shared with `row`."""
    by_part: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        part = _PART_OF[name]
        if part in by_part:
            by_part[part][name] = value
        else:
            by_part[part] = {name: value}
    return _replace(row, **{part: _replace(getattr(row, part), **fields) for part, fields in by_part.items()})


class SessionRowV1(msgspec.Struct, frozen=True, array_like=True):
    """A session's row as layout 1 had it."""

    status: SessionStatus = SessionStatus.UNKNOWN
    established_ms: int = 0
    expires_ms: int = 0
    sub: str = ""
    act_iss: str = ""
    act_sub: str = ""
    scopes: tuple[str, ...] = ()
    purpose: str | None = None
    delegation_uids: tuple[str, ...] = ()
    label: Label = CLEAN
    sources: tuple[Source, ...] = ()
    pending_reads: tuple[PendingRead, ...] = ()
    sequence: int = 0
    intents_count: int = 0
    allowed_count: int = 0
    denied_count: int = 0
    spent_minor: int = 0
    calls: dict[str, int] = {}
    risk_level: str | None = None
    frozen_offset: int = 0
    housekeeping_ms: int = 0
    waiting_count: int = 0
    pending_serial: int = 0
    effects_count: int = 0
    keeps_count: bool = False
    purpose_sequence: int = -1
    active_ms: int = 0
    too_old_ms: int = 0
    credential_ms: int = 0
    attended: bool = False
    ended_by: str = ""
    ancestor_session_ids: tuple[str, ...] = ()
    opened_with: OpenedWith | None = None
    changed: tuple[str, ...] = ()
    delegation_uid: str | None = None
    grant_status: GrantStatus = GrantStatus.NONE
    grant_fault: str = ""
    ancestor_actors: tuple[str, ...] = ()
    label_attested: bool = False
    taken_back: tuple[str, ...] = ()


_decode_session = msgspec.msgpack.Decoder(SessionRow).decode
_decode_session_v1 = msgspec.msgpack.Decoder(SessionRowV1).decode


def decode_session(row: bytes) -> SessionRow:
    """Return the record of a session's row. One of layout 1 has a number where the first part is now."""
    try:
        return _decode_session(row)
    except msgspec.ValidationError:
        return evolve(SessionRow(), **msgspec.structs.asdict(_decode_session_v1(row)))


def read_session(state: StateView, session_key: bytes) -> SessionRow:
    """Return the session's row, or the row of a session of which nothing is known."""
    row = state.get(session_row_key(session_key))
    if row is None:
        return _NOTHING_KNOWN
    try:
        return _decode_session(row)
    except msgspec.ValidationError:
        return decode_session(row)


_NOTHING_KNOWN = SessionRow()
