"""The gate's rows as records. Their keys are in `rows`.

Rows are msgpack arrays: the order of the fields is the format, so fields are only ever added at the end, with defaults.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from streams.model.intent import Intent
from streams.model.labels import CLEAN, Label, join_all
from streams.ports.processor import StateView
from streams.processors.rows import session_row_key

SOURCES_MAX = 32
PENDING_READS_MAX = 32
CALLED_TOOLS_MAX = 64

ToolName = tuple[str, str]
"""The server's id and the tool's name."""


class SessionStatus(IntEnum):
    """Where a session stands. A row may precede its session: grants can arrive first."""

    UNKNOWN = 0
    LIVE = 1
    FROZEN = 2
    ENDED = 3
    REVOKED = 4


class GrantStatus(IntEnum):
    """Whether a session has the grant that it stands on."""

    NONE = 0
    AWAITED = 1
    HELD = 2


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Something that the session has read: the event, and how far its content can be trusted."""

    event_id: str
    label: Label


class PendingRead(msgspec.Struct, frozen=True, array_like=True):
    """An allowed call whose result has not been reported: it counts as read from the moment it was allowed."""

    intent_id: str
    label: Label
    tool: ToolName | None = None


class OpenedWith(msgspec.Struct, frozen=True, array_like=True):
    """What a session was opened with: the model (who serves it, its name, its version), and digests of the rest."""

    model: tuple[str, str, str] | None = None
    system_prompt_digest: bytes | None = None
    toolset_digest: bytes | None = None


class SessionRow(msgspec.Struct, frozen=True, array_like=True):
    """All that is remembered of a session. Instants are broker time, ms. `purpose_sequence` is that of the event which
    set the purpose. `expires_ms` is the earlier of when the credential would have ended the session (`credential_ms`)
    and when its age does (`too_old_ms`); `active_ms` is when it was last at work. `delegation_uid` is the grant that it
    stands on, `delegation_uids` the path to that one, root first, and `grant_fault` why the last one was refused.
    `taken_back`: grants that were taken back before they came. `label_attested`: the token service has said how far
    what the session was opened with can be trusted."""

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

    def effective_label(self) -> Label:
        """The join of what was read and of what may have been read already."""
        if not self.pending_reads:
            return self.label
        return join_all((self.label, *(read.label for read in self.pending_reads)))


class VerdictRow(msgspec.Struct, frozen=True, array_like=True):
    """Which verdict an intent was given; its bytes are elsewhere, and not for long (`streams.processors.dedup`).

    Attributes:
        judged_ms: when.
        outcome: its code; see `dedup.verdicts`.
        reason: the verdict's reason code.
        digest: SHA-256 of the verdict's bytes.
        ahead_ms: how far the intent's own time was ahead of `judged_ms`; 0 if it was not.
        place: where the bytes are: how long before `judged_ms` their segment began, its number, start and length.
    """

    judged_ms: int
    outcome: int
    reason: str
    digest: bytes
    ahead_ms: int
    place: tuple[int, int, int, int]


class VerdictRowV1(msgspec.Struct, frozen=True, array_like=True):
    """A verdict as layout 1 kept it, with its bytes. `claimed_ms` is the intent's own time."""

    judged_ms: int
    final: bool
    verdict: bytes
    claimed_ms: int = 0


class PendingKind(IntEnum):
    """What a held intent waits for."""

    SESSION = 1
    APPROVAL = 2
    CANCEL_WINDOW = 3
    BUDGET = 4


class PendingRow(msgspec.Struct, frozen=True, array_like=True):
    """An intent that waits. `approvals` names who has approved so far, `granted_by` counts those of
    groups that were asked before, `waited_ms` is how long a cancel window had passed before, `asked_count` how often
    persons were asked about it before, and `decision_ids` which of their decisions have counted."""

    kind: PendingKind
    intent: bytes
    received_ms: int
    due_ms: int
    order: int
    since_ms: int
    groups: tuple[str, ...] = ()
    quorum: int = 1
    approvals: tuple[str, ...] = ()
    granted_by: dict[str, int] = {}
    waited_ms: int = 0
    asked_count: int = 0
    decision_ids: tuple[str, ...] = ()


class MemoryUpdateRow(msgspec.Struct, frozen=True, array_like=True):
    """A `MemoryUpdate` with all that is needed to act on it, whatever rules are in force by then."""

    memory: str
    on: str
    labels: int
    key: bytes
    amount: int | None
    forget: bool
    keyed: bool
    within_ms: int | None
    group: str | None


class ChargeRow(msgspec.Struct, frozen=True, array_like=True):
    """What a call took of a budget: `holder` is the row that it was taken from."""

    holder: bytes
    start_ms: int
    amount: int
    targets: tuple[bytes, ...]


class EffectsRow(msgspec.Struct, frozen=True, array_like=True):
    """What the end of an allowed call of `tool` will bring: things to remember, or charges to give back."""

    memory_updates: tuple[MemoryUpdateRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    tool: ToolName | None = None


class CellRow(msgspec.Struct, frozen=True, array_like=True):
    """A memory, of one key where it has one: amounts by the end of their bucket of time."""

    last_ms: int = 0
    parts: tuple[tuple[int, int], ...] = ()


class HeadRow(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a memory as a whole: until when events may be missing in it, of any key (`unclear_until_ms`) or
    of keys without a cell (`full_until_ms`), and when it was last looked through for keys that are over."""

    keys_count: int = 0
    unclear_until_ms: int = 0
    full_until_ms: int = 0
    tidied_ms: int = 0


class SpendRow(msgspec.Struct, frozen=True, array_like=True):
    """What a session has taken of a budget of its own in the window that began at `start_ms`."""

    start_ms: int
    units: int = 0
    targets: dict[bytes, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode_session = msgspec.msgpack.Decoder(SessionRow).decode
_decode_verdict = msgspec.msgpack.Decoder(VerdictRow).decode
_decode_verdict_v1 = msgspec.msgpack.Decoder(VerdictRowV1).decode
_decode_held = msgspec.msgpack.Decoder(PendingRow).decode
_decode_intent = msgspec.msgpack.Decoder(Intent).decode

decode_effects = msgspec.msgpack.Decoder(EffectsRow).decode
decode_cell = msgspec.msgpack.Decoder(CellRow).decode
decode_head = msgspec.msgpack.Decoder(HeadRow).decode
decode_spend = msgspec.msgpack.Decoder(SpendRow).decode

encode_row = _encode
decode_session = _decode_session
decode_pending = _decode_held


def decode_verdict_row(row: bytes) -> VerdictRow | VerdictRowV1:
    """Return the record of a verdict's row. One of layout 1 has a bool where the code of the outcome is now."""
    try:
        return _decode_verdict(row)
    except msgspec.ValidationError:
        return _decode_verdict_v1(row)


def encode_intent(intent: Intent) -> bytes:
    """An intent as it is kept in a `PendingRow`."""
    return _encode(intent)


def decode_intent(row: bytes) -> Intent:
    """The reverse of `encode_intent`."""
    return _decode_intent(row)


def read_session(state: StateView, session_key: bytes) -> SessionRow:
    """The session's row, or that of a session that nothing is known of."""
    row = state.get(session_row_key(session_key))
    return _NOTHING_KNOWN if row is None else decode_session(row)


_NOTHING_KNOWN = SessionRow()
