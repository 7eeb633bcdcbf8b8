"""Put pending calls that raise the same question into one question, so that people are asked once.

**Idea.** A question belongs to the pending intents that it covers: each of their rows names it, and there is no row of
the question itself that could contradict them. A further intent joins an open question if the same rules ask the same
group about the same tool in the same task of the session. The question is then written again with all calls that it
covers. An answer names the calls that its author was shown; calls that joined later stay pending.

**Rejected.** To let an answer count for all calls of the question: a call that arrives between the moment a person
reads the question and the moment the answer is read would be approved unseen. To ask about the calls that wait only
when the first is answered: people would answer twice.
"""

from __future__ import annotations

import msgspec

from streams.model.approval import ApprovalRequest, GrantScope, PendingCall
from streams.model.canonical import canonical_args, sha256
from streams.model.errors import InvariantError
from streams.model.ids import approval_task_id
from streams.model.intent import Intent
from streams.model.topics import APPROVAL_REQUEST
from streams.model.types import Header
from streams.model.verdict import Verdict
from streams.policy.results import ApprovalSettings
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision
from streams.processors.gate.judged import Questioned
from streams.processors.gate.pending_rows import pending_of_session
from streams.processors.session_row import SessionRow
from streams.processors.state import PendingKind, PendingRow, QuestionRow, decode_intent, encode_row

QUESTION_CALLS_MAX = 32
"""Calls that one question covers. Nobody reads more, and the request must fit into a record."""
QUESTION_ARGS_CHARS_MAX = 131_072
"""The longest arguments of all calls of a question together. A call with longer arguments has a question of its own."""

PURPOSE_CHARS_MAX = 1_024
_SCOPES = {"none": GrantScope.UNKNOWN, "task": GrantScope.TASK, "session": GrantScope.SESSION}
_MODEL = "model"
replace = msgspec.structs.replace


def task_of(intent: Intent, session: SessionRow) -> bytes:
    """Return the task of an intent within its session, as a digest: the user's request, and the session's purpose.

    The agent states the digest of the request. It can only choose among tasks of its own session by that.
    """
    return sha256(encode_row((intent.user_request_digest, session.identity.purpose_sequence)))


def widest_of(approval: ApprovalSettings) -> GrantScope:
    """Return the widest scope in which rules let people approve further calls; UNKNOWN: none."""
    return _SCOPES[approval.grants]


def model_bound(approval: ApprovalSettings, intent: Intent) -> tuple[str, str, str] | None:
    """Return the model of a call, if the rules bind approvals to it."""
    if _MODEL not in approval.bind:
        return None
    model = intent.model
    return ("", "", "") if model is None else (model.ai_provider, model.name, model.version or "")


def question_of(
    case: Case, decision: Decision, verdict: Verdict, due_ms: int, state: StateView
) -> tuple[QuestionRow, list[PendingRow]]:
    """Return what people are asked about an intent, and the pending intents that are asked about in the same question.

    Args:
        case: the intent, which is not stored as pending yet.
        decision: that it needs approval.
        verdict: the record of that.
        due_ms: until when people can decide.
        state: the state of the partition.
    """
    asked, approval = case.asked, None if decision.policy is None else decision.policy.approval
    intent, task = asked.intent, task_of(asked.intent, case.session)
    key = b""
    if approval is not None and case.tool is not None and len(verdict.args_json) <= QUESTION_ARGS_CHARS_MAX:
        key = sha256(encode_row((task, case.tool.full_name, approval.group, approval.quorum, approval.rules)))
    joined = _open_question(asked.session_key, key, len(verdict.args_json), state) if key else []
    entry = None if case.tool is None else case.tool.entry
    question = QuestionRow(
        task_id=approval_task_id(
            intent.header.tenant_uid, intent.session_id, intent.intent_id, asked.progress.asked_count
        ),
        key=key,
        task=task,
        rules=() if approval is None else approval.rules,
        matched_rules=tuple(f"{hit.rule_id}: {hit.reason}" for hit in verdict.rules),
        reason_text=decision.text,
        provenance=tuple(f"{i.event_id}: {i.origin.value.lower()}" for i in verdict.influences),
        revision=0,
        call=PendingCall(
            intent_id=verdict.intent_id,
            verdict_id=verdict.verdict_id,
            tool=verdict.tool,
            args_json="",
            args_digest=verdict.args_digest,
            reversible=entry is not None and entry.reversible,
            compensating_tool=None if entry is None else entry.compensating_tool,
            origins=verdict.origins,
            expires_at=due_ms,
        ),
        widest=GrantScope.UNKNOWN if approval is None else widest_of(approval),
        model=None if approval is None else model_bound(approval, intent),
    )
    if not joined:
        return question, []
    newest = question_in(joined[-1])
    return replace(question, task_id=newest.task_id, revision=newest.revision + 1), joined


def question_in(row: PendingRow) -> QuestionRow:
    """Return what people are asked about a pending intent.

    Raises:
        InvariantError: they are asked nothing.
    """
    if row.question is None:
        raise InvariantError("an intent that no question covers is taken for one of a question")
    return row.question


def rows_of_question(session_key: bytes, task_id: str, state: StateView) -> list[PendingRow]:
    """Return the pending intents that a question covers, in log order."""
    return [row for row in _asked_about(session_key, state) if question_in(row).task_id == task_id]


def _open_question(session_key: bytes, key: bytes, chars: int, state: StateView) -> list[PendingRow]:
    """Return the pending intents of the newest question of this kind that has room for another call; none if none has.

    Args:
        chars: the length of the call's arguments.
    """
    rows = [row for row in _asked_about(session_key, state) if question_in(row).key == key]
    if not rows:
        return []
    task_id = question_in(rows[-1]).task_id
    rows = [row for row in rows if question_in(row).task_id == task_id]
    chars += sum(len(decode_intent(row.intent).args_json) for row in rows)
    return rows if len(rows) < QUESTION_CALLS_MAX and chars <= QUESTION_ARGS_CHARS_MAX else []


def _asked_about(session_key: bytes, state: StateView) -> list[PendingRow]:
    rows = pending_of_session(session_key, state)
    return [row for row in rows if row.kind is PendingKind.APPROVAL and row.question is not None]


def request_output(
    encoder: Encoder,
    header: Header,
    session_key: bytes,
    shown: PendingRow,
    rows: list[PendingRow],
    session: SessionRow,
    *,
    note: Questioned | None = None,
) -> Output:
    """Return the request that asks people, with everything that they need to see in order to decide.

    Args:
        encoder: what encodes it.
        header: its header.
        session_key: the key of the session.
        shown: the pending intent for which the request is written.
        rows: all pending intents that the question covers, in log order.
        session: the row of the session.
        note: what is measured of it; None if it is only written again.
    """
    question, intent = question_in(shown), decode_intent(shown.intent)
    call = question.call
    args_json = _canonical(intent)
    request = ApprovalRequest(
        header=header,
        task_id=question.task_id,
        verdict_id=call.verdict_id,
        intent_id=call.intent_id,
        session_id=intent.session_id,
        sub=intent.sub,
        act=intent.act,
        tool=call.tool,
        args_json=args_json,
        args_digest=call.args_digest,
        reason_text=question.reason_text,
        provenance=question.provenance,
        reversible=call.reversible,
        history=tuple(f"{tool}: {count} allowed" for tool, count in sorted(session.counters.calls.items())),
        matched_rules=question.matched_rules,
        eligible_approvers=shown.groups,
        quorum=shown.quorum,
        expires_at=max(row.due_ms for row in rows),
        rules=question.rules,
        compensating_tool=call.compensating_tool,
        revision=question.revision,
        calls=tuple(_shown_call(row) for row in rows),
        widest_grant=question.widest,
        purpose=None if session.identity.purpose is None else session.identity.purpose[:PURPOSE_CHARS_MAX],
    )
    return Output(APPROVAL_REQUEST, session_key, encoder.encode(APPROVAL_REQUEST.name, request), header, None, note)


def _shown_call(row: PendingRow) -> PendingCall:
    """Return a call as the request shows it: only long arguments, which the request has once already, are left out."""
    call, args_json = question_in(row).call, _canonical(decode_intent(row.intent))
    return PendingCall(
        intent_id=call.intent_id,
        verdict_id=call.verdict_id,
        tool=call.tool,
        args_json=args_json if len(args_json) <= QUESTION_ARGS_CHARS_MAX else "",
        args_digest=call.args_digest,
        reversible=call.reversible,
        compensating_tool=call.compensating_tool,
        origins=call.origins,
        expires_at=row.due_ms,
    )


def _canonical(intent: Intent) -> str:
    return canonical_args(intent.args_json)[1].decode()
