"""The gate's rows as records, but for the session's (`session_row`). Their keys are in `rows`.

Rows are msgpack arrays: the order of the fields is the format, so fields are only ever added at the end, with defaults.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from streams.model.approval import GrantScope, PendingCall
from streams.model.delegation import ToolGrant
from streams.model.intent import Intent
from streams.model.types import Actor
from streams.processors.session_row import ToolName


class VerdictRow(msgspec.Struct, frozen=True, array_like=True):
    """Which verdict an intent was given; its bytes are elsewhere, and not for long (`streams.processors.dedup`).

    Attributes:
        judged_ms: when.
        outcome: its code; see `dedup.verdicts`.
        reason: the verdict's reason code.
        digest: SHA-256 of the verdict's bytes.
        ahead_ms: how far the intent's own time was ahead of `judged_ms`; 0 if it was not.
        place: where the bytes are: how long before `judged_ms` their segment began, its number, start and length.
        tool: which tool an ALLOW lets be called; None for other outcomes, and in rows of earlier versions.
        report: the digest of the first proven report of the outcome of the call; empty before there is one.
    """

    judged_ms: int
    outcome: int
    reason: str
    digest: bytes
    ahead_ms: int
    place: tuple[int, int, int, int]
    tool: ToolName | None = None
    report: bytes = b""


class VerdictRowV1(msgspec.Struct, frozen=True, array_like=True):
    """A verdict as layout 1 kept it, with its bytes. `claimed_ms` is the intent's own time, `report` as above."""

    judged_ms: int
    final: bool
    verdict: bytes
    claimed_ms: int = 0
    report: bytes = b""


class PendingKind(IntEnum):
    """What a pending intent waits for."""

    SESSION = 1
    APPROVAL = 2
    CANCEL_WINDOW = 3
    BUDGET = 4


class QuestionRow(msgspec.Struct, frozen=True, array_like=True):
    """What people are asked about a pending intent.

    Attributes:
        task_id: the question, which several intents can share.
        key: what the intents of one question have in common, as a digest; empty if no other can join.
        task: the task of the session that the intent belongs to, as a digest.
        rules: the rules that ask, as `id@version`.
        matched_rules: all rules that matched, with their reasons.
        reason_text: why people are asked.
        provenance: what the session had read.
        revision: how often the question had been written before.
        call: the call; its arguments are those of the intent, and left out here.
        widest: the widest scope in which the rules let people approve further calls.
        model: the model of the call, if the approval is bound to it.
        grant: the grant that those who have approved so far have given, encoded; empty: none.
    """

    task_id: str
    key: bytes
    task: bytes
    rules: tuple[str, ...]
    matched_rules: tuple[str, ...]
    reason_text: str
    provenance: tuple[str, ...]
    revision: int
    call: PendingCall
    grant: bytes = b""
    widest: GrantScope = GrantScope.UNKNOWN
    model: tuple[str, str, str] | None = None


class PendingRow(msgspec.Struct, frozen=True, array_like=True):
    """A pending intent.

    Attributes:
        kind: what it waits for.
        intent: the intent, encoded.
        received_ms: the broker's append time of the intent.
        due_ms: until when it waits.
        order: its place among the pending intents of its session.
        since_ms: since when it waits.
        groups: the groups of whom one may decide.
        quorum: how many approvals it needs.
        approvals: who has approved so far.
        granted_by: approvals by groups that were asked before.
        waited_ms: how long it has waited in a cancel window before.
        asked_count: how often persons were asked about it before.
        decision_ids: the decisions of persons that have counted.
        question: what people are asked; None if it does not wait for people, or in rows of earlier versions.
        task_ids: the questions that people were asked about it before.
        approval_ends: when approvals end that do not last as long as the question, by person.
        approver_subs: the names of those in `approvals` as they are stated, under which they can be stopped, by person.
    """

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
    question: QuestionRow | None = None
    approval_ends: dict[str, int] = {}
    task_ids: tuple[str, ...] = ()
    approver_subs: dict[str, str] = {}


class ApprovalGrantRow(msgspec.Struct, frozen=True, array_like=True):
    """An approval of further calls of a session, as people have granted it.

    Attributes:
        uid: its id, by which it can be revoked as a grant.
        scope: the task, or the whole session.
        task: the task, as a digest (`QuestionRow.task`).
        group: the group of which the approvers are members.
        count: how many approvers there were.
        rules: the rules that it answers, as `id@version`.
        tools: the tools, with bounds on their arguments.
        uses_left: how many calls it still approves; None: any number.
        until_ms: when it ends; 0: with the session.
        approvers: who has granted it, as `same_person` writes names.
        approver: the person whose approval made it complete.
        decision_id: that person's decision.
        model: the model whose calls it approves; None: any.
        approver_subs: the names of the approvers as they are stated, under which they can be stopped.
    """

    uid: str
    scope: GrantScope
    task: bytes
    group: str
    count: int
    rules: tuple[str, ...]
    tools: tuple[ToolGrant, ...]
    uses_left: int | None
    until_ms: int
    approvers: tuple[str, ...]
    approver: Actor
    decision_id: str
    model: tuple[str, str, str] | None = None
    approver_subs: tuple[str, ...] = ()


class ApprovalGrantsRow(msgspec.Struct, frozen=True, array_like=True):
    """The approvals that people have granted for further calls of a session, in the order in which they were made."""

    grants: tuple[ApprovalGrantRow, ...] = ()


class MemoryUpdateRow(msgspec.Struct, frozen=True, array_like=True):
    """A `MemoryUpdate` with everything that applying it needs, whatever rules are in force by then.

    Attributes:
        has_since: whether the memory starts again with certain calls. With `forget`, this is such a start.
        began: how often the memory had started again when the call was allowed; None if the update applies at once.
        tally: the budget key of a memory that sessions share; empty for a session's own.
        window_ms: of such a memory.
        keys_max: of such a memory; 0 if it has no key.
    """

    memory: str
    on: str
    labels: int
    key: bytes
    amount: int | None
    forget: bool
    keyed: bool
    within_ms: int | None
    group: str | None
    has_since: bool = False
    began: int | None = None
    tally: str = ""
    window_ms: int = 0
    keys_max: int = 0


class ChargeRow(msgspec.Struct, frozen=True, array_like=True):
    """What a call took of a budget. `holder` is the key of the row that it was taken from."""

    holder: bytes
    start_ms: int
    amount: int
    targets: tuple[bytes, ...]


class EffectsRow(msgspec.Struct, frozen=True, array_like=True):
    """The effects of the end of an allowed call of `tool`: memory updates, or charges to return."""

    memory_updates: tuple[MemoryUpdateRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    tool: ToolName | None = None


class CellRow(msgspec.Struct, frozen=True, array_like=True):
    """A memory, or one key of it: amounts by the end of their bucket of time.

    Attributes:
        started: which start of the memory was the last one of this key (see `HeadRow.starts_count`).
    """

    last_ms: int = 0
    parts: tuple[tuple[int, int], ...] = ()
    started: int = 0


class HeadRow(msgspec.Struct, frozen=True, array_like=True):
    """A memory as a whole.

    Attributes:
        keys_count: keys that have a cell.
        unclear_until_ms: until when events of any key may be missing.
        full_until_ms: until when events of keys without a cell may be missing.
        tidied_ms: when keys whose events have all left the window were last deleted.
        starts_count: how often the memory, or a key of it, has started again (`since`).
        started: which of these starts was the last one of all keys.
    """

    keys_count: int = 0
    unclear_until_ms: int = 0
    full_until_ms: int = 0
    tidied_ms: int = 0
    starts_count: int = 0
    started: int = 0


class SpendRow(msgspec.Struct, frozen=True, array_like=True):
    """What a session has taken of its own budget in the window that began at `start_ms`.

    Attributes:
        is_warned: whether the alert that it is nearly exhausted was raised.
    """

    start_ms: int
    units: int = 0
    targets: dict[bytes, int] = {}
    is_warned: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_verdict = msgspec.msgpack.Decoder(VerdictRow).decode
_decode_verdict_v1 = msgspec.msgpack.Decoder(VerdictRowV1).decode
_decode_pending = msgspec.msgpack.Decoder(PendingRow).decode
_decode_intent = msgspec.msgpack.Decoder(Intent).decode

decode_effects = msgspec.msgpack.Decoder(EffectsRow).decode
decode_cell = msgspec.msgpack.Decoder(CellRow).decode
decode_head = msgspec.msgpack.Decoder(HeadRow).decode
decode_approval_grants = msgspec.msgpack.Decoder(ApprovalGrantsRow).decode
decode_spend = msgspec.msgpack.Decoder(SpendRow).decode

encode_row = _encode
decode_pending = _decode_pending


def decode_verdict_row(row: bytes) -> VerdictRow | VerdictRowV1:
    """Return the record of a verdict's row. One of layout 1 has a bool where the code of the outcome is now."""
    try:
        return _decode_verdict(row)
    except msgspec.ValidationError:
        return _decode_verdict_v1(row)


def encode_intent(intent: Intent) -> bytes:
    """Encode an intent for a `PendingRow`."""
    return _encode(intent)


def decode_intent(row: bytes) -> Intent:
    """Decode an intent of a `PendingRow`."""
    return _decode_intent(row)
