"""Process the decisions of persons about pending intents."""

from __future__ import annotations

from functools import partial

import msgspec

from streams.model.approval import ApprovalDecision, ApprovalStatus
from streams.model.errors import RecordError
from streams.model.ids import approval_task_id
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation_set import RevocationSet
from streams.model.types import SubProfile, ToolRef, same_person
from streams.ports.processor import Output, StateView
from streams.processors.audit import approval_event, audit_output, grant_event
from streams.processors.control.state import ControlState
from streams.processors.gate import approval_grants
from streams.processors.gate.approval_grants import Wanted
from streams.processors.gate.isolation import isolated
from streams.processors.gate.judge import Judge
from streams.processors.gate.pending import judge_granted, progress_of, released_case
from streams.processors.gate.pending_rows import pending_of_session
from streams.processors.gate.questions import QUESTION_CALLS_MAX, question_in, request_output, rows_of_question
from streams.processors.headers import reply_header
from streams.processors.rows import pending_row_key
from streams.processors.session_row import SessionRow, read_session
from streams.processors.state import (
    ApprovalGrantRow,
    PendingKind,
    PendingRow,
    decode_intent,
    decode_pending,
    encode_row,
)

DECISIONS_MAX = 256
"""Decisions that count for one intent."""

APPROVER_CHARS_MAX = 1_024
_REFUSING = frozenset({ApprovalStatus.DENIED, ApprovalStatus.CANCELLED})
replace = msgspec.structs.replace


class Approvals:
    """Applies the decisions of persons. All memory is in the state views."""

    def __init__(self, judge: Judge, control: ControlState) -> None:
        self._judge = judge
        self._control = control

    def process(self, session_key: bytes, decision: ApprovalDecision, state: StateView, now_ms: int) -> list[Output]:
        """Apply a person's decision to the pending intents that it is about.

        Raises:
            RecordError: no decision is awaited about any of them, or this one does not count.
        """
        rows = _rows_of(session_key, decision, state)
        session = read_session(state, session_key)
        revocations, tenant_uid = self._control.revocations, decision.header.tenant_uid
        if approval_grants.is_stopped(decision.approver.sub, tenant_uid, revocations, now_ms):
            raise _not_valid(decision.intent_id, f"`{decision.approver.sub}` is stopped")
        for row in rows:
            _check_decision(decision, row, session, now_ms)
        grants = approval_grants.live_grants(session_key, session, tenant_uid, self._control, state, now_ms)
        fault = approval_grants.fault_of(decision, rows, grants, now_ms)
        if fault is not None:
            raise _not_valid(decision.intent_id, fault)
        if len(rows) == 1:
            outputs, granted = self._apply(session_key, decision, rows[0], state, now_ms, is_first=True)
        else:
            outputs, granted = self._apply_to_each(session_key, decision, rows, state, now_ms)
        if granted is not None:
            # Read again: the calls that the decision was about may have used one of the others just now.
            kept = approval_grants.live_grants(session_key, session, tenant_uid, self._control, state, now_ms)
            approval_grants.add(session_key, kept, granted, state)
            intent = decode_intent(rows[0].intent)
            event = grant_event(intent, decision, granted, approval_grants.words(granted), now_ms)
            outputs.append(audit_output(self._judge.encoder, session_key, event))
            outputs += self._answered_by(granted, session_key, state, now_ms)
        return [*outputs, *self._asked_again(session_key, decision, rows, state, now_ms)]

    def _apply_to_each(
        self, session_key: bytes, decision: ApprovalDecision, rows: list[PendingRow], state: StateView, now_ms: int
    ) -> tuple[list[Output], ApprovalGrantRow | None]:
        """Apply a decision to each of several calls; one that fails stays pending, and the others are decided."""
        outputs: list[Output] = []
        found: list[ApprovalGrantRow] = []

        def act(row: PendingRow) -> list[Output]:
            written, granted = self._apply(session_key, decision, row, state, now_ms, is_first=row is rows[0])
            found.extend([] if granted is None else [granted])
            return written

        for row in rows:
            what = f"the decision about pending intent {row.order} of session {session_key!r}"
            outputs += isolated(partial(act, row), state, what)
        return outputs, found[0] if found else None

    def _apply(
        self,
        session_key: bytes,
        decision: ApprovalDecision,
        pending_row: PendingRow,
        state: StateView,
        now_ms: int,
        *,
        is_first: bool,
    ) -> tuple[list[Output], ApprovalGrantRow | None]:
        """Apply a decision to one pending intent, and return the grant that it makes complete, if it does."""
        intent = decode_intent(pending_row.intent)
        record = partial(self._record, session_key, intent, decision, now_ms, is_first=is_first)
        if decision.status in _REFUSING:
            case = released_case(session_key, intent, pending_row, progress_of(pending_row), state, now_ms)
            reason = Reason.APPROVAL_DENIED
            if pending_row.kind is not PendingKind.APPROVAL:
                reason = Reason.DEFERRAL_CANCELLED
            return [record(is_complete=True), *self._judge.refuse(case, reason, state)], None
        pending_row = _with_approval(pending_row, decision, self._control.revocations, now_ms)
        approvals = pending_row.approvals
        if len(approvals) < pending_row.quorum:
            state.put(pending_row_key(session_key, intent.intent_id), encode_row(pending_row))
            return [record(is_complete=False)], None
        granted_by = {**pending_row.granted_by, **dict.fromkeys(pending_row.groups, len(approvals))}
        progress = progress_of(pending_row)._replace(granted_by=granted_by, approved_now=pending_row.groups)
        case = released_case(session_key, intent, pending_row, progress, state, now_ms)
        granted = None
        if decision.grant is not None and pending_row.question is not None:
            granted = approval_grants.made(pending_row.question, decision.grant, pending_row, decision, approvals)
        return [record(is_complete=True), *self._judge.decide(case, state)], granted

    def _answered_by(
        self, granted: ApprovalGrantRow, session_key: bytes, state: StateView, now_ms: int
    ) -> list[Output]:
        """Judge the calls again that people are asked about, and that the new grant approves."""
        outputs: list[Output] = []
        for row in pending_of_session(session_key, state):
            if row.kind is not PendingKind.APPROVAL or row.question is None or not row.groups:
                continue
            left = [grant for grant in approval_grants.grants_of(session_key, state) if grant.uid == granted.uid]
            wanted = Wanted.of_row(row)
            if approval_grants.answering(left, wanted, self._control.revocations, now_ms) is not None:
                act = partial(judge_granted, self._judge, session_key, row, state, now_ms)
                outputs += isolated(act, state, f"pending intent {row.order} of session {session_key!r}")
        return outputs

    def _asked_again(
        self, session_key: bytes, decision: ApprovalDecision, rows: list[PendingRow], state: StateView, now_ms: int
    ) -> list[Output]:
        """Write the question again if it has calls left that the decision was not about."""
        question = rows[0].question
        if question is None:
            return []
        left = rows_of_question(session_key, question.task_id, state)
        answered = {row.order for row in rows}
        if not left or any(row.order in answered for row in left):
            return []
        shown = left[-1]
        revision = question_in(shown).revision + 1
        shown = replace(shown, question=replace(question_in(shown), revision=revision))
        intent = decode_intent(shown.intent)
        state.put(pending_row_key(session_key, intent.intent_id), encode_row(shown))
        header = reply_header(
            derived_uuid("approval request again", question.task_id, decision.header.id), intent, now_ms
        )
        session = read_session(state, session_key)
        return [request_output(self._judge.encoder, header, session_key, shown, [*left[:-1], shown], session)]

    def _record(
        self,
        session_key: bytes,
        intent: Intent,
        decision: ApprovalDecision,
        now_ms: int,
        *,
        is_complete: bool,
        is_first: bool,
    ) -> Output:
        event = approval_event(intent, decision, now_ms, is_complete=is_complete, is_first=is_first)
        return audit_output(self._judge.encoder, session_key, event)


def _rows_of(session_key: bytes, decision: ApprovalDecision, state: StateView) -> list[PendingRow]:
    """Return the pending intents that a decision is about. Calls that are decided by now are left out.

    Raises:
        RecordError: no decision is awaited about any of them, or one of them is another call than the person saw.
    """
    if len(decision.calls) > QUESTION_CALLS_MAX:
        raise _not_valid(decision.intent_id, f"it is about {len(decision.calls)} calls")
    shown: dict[str, tuple[bytes, ToolRef | None]] = {
        call.intent_id: (call.args_digest, call.tool) for call in decision.calls
    }
    if len(shown) != len(decision.calls):
        raise _not_valid(decision.intent_id, "it names a call twice")
    if not shown:
        shown[decision.intent_id] = (decision.args_digest, None)
    rows = []
    for intent_id, (digest, tool) in shown.items():
        found = state.get(pending_row_key(session_key, intent_id))
        row = None if found is None else decode_pending(found)
        if row is not None and row.kind not in (PendingKind.SESSION, PendingKind.BUDGET):
            _check_call(decode_intent(row.intent), row, digest, tool)
            rows.append(row)
    if not rows:
        text = f"no decision is awaited about intent `{decision.intent_id}`"
        raise RecordError(DeadLetterReason.APPROVAL_NOT_AWAITED, text)
    return sorted(rows, key=lambda row: row.order)


def _check_call(intent: Intent, row: PendingRow, digest: bytes, tool: ToolRef | None) -> None:
    """Check that a pending intent is the very call that a person has decided about.

    Raises:
        RecordError: it is another one.
    """
    if digest != intent.args_digest:
        raise _not_valid(intent.intent_id, "it was made about other arguments")
    if tool is None:
        return
    judged = intent.tool if row.question is None else row.question.call.tool
    if (tool.server_id, tool.name) != (judged.server_id, judged.name) or (
        tool.definition_digest is not None and tool.definition_digest != judged.definition_digest
    ):
        raise _not_valid(intent.intent_id, "it was made about another tool")


def _check_decision(decision: ApprovalDecision, pending_row: PendingRow, session: SessionRow, now_ms: int) -> None:
    """Check that a decision answers what was asked, and is by a person who may decide about it.

    Raises:
        RecordError: the decision does not count.
    """
    intent = decode_intent(pending_row.intent)
    approver = decision.approver
    person = same_person(approver.sub)
    if decision.task_id not in _tasks(decision.status, pending_row, intent):
        fault = f"task `{decision.task_id}` is not the one that is open for the intent"
    elif decision.header.id in pending_row.decision_ids:
        fault = f"decision `{decision.header.id}` has counted before"
    elif decision.status is ApprovalStatus.APPROVED and len(pending_row.decision_ids) >= DECISIONS_MAX:
        fault = f"{DECISIONS_MAX} decisions have counted for the intent already"
    elif approver.sub_profile is not SubProfile.USER:
        fault = f"`{approver.sub}` is not a person"
    elif approver.instance_uid is not None:
        fault = f"`{approver.sub}` has decided in a session of software (`instance_uid`), not as a person"
    elif not person or len(person) > APPROVER_CHARS_MAX:
        fault = f"its approver's name has {len(person)} visible characters, 1 to {APPROVER_CHARS_MAX} are accepted"
    elif person in _parties(intent, session):
        fault = f"`{approver.sub}` may not decide about their own call"
    elif pending_row.groups and not set(pending_row.groups) & set(decision.approver_groups):
        fault = f"`{approver.sub}` is in none of the groups that may decide: {', '.join(pending_row.groups)}"
    elif decision.approved_until is not None and decision.approved_until <= now_ms:
        fault = f"it was valid until {decision.approved_until}"
    elif not _is_meaningful(decision.status, pending_row.kind):
        fault = f"`{decision.status.value}` decides nothing here"
    else:
        _, problem = approval_grants.proposed(pending_row, decision)
        if problem is None:
            return
        fault = problem
    raise _not_valid(intent.intent_id, fault)


def _parties(intent: Intent, session: SessionRow) -> set[str]:
    """Return who must not decide about a call: its subject, its agent, and those whom the session descends from."""
    identity = session.identity
    names = (intent.sub, intent.act.sub, identity.sub, identity.act_sub, *session.grant.ancestor_actors)
    return {same_person(name) for name in names if name}


def _not_valid(intent_id: str, fault: str) -> RecordError:
    text = f"decision about intent `{intent_id}` does not count: {fault}"
    return RecordError(DeadLetterReason.APPROVAL_NOT_VALID, text)


def _with_approval(row: PendingRow, decision: ApprovalDecision, revocations: RevocationSet, now_ms: int) -> PendingRow:
    """Return a pending intent with a person's approval added, and without those that have ended.

    The approval of somebody who was stopped since has ended, too.
    """
    person, tenant_uid = same_person(decision.approver.sub), decision.header.tenant_uid
    subs = {**row.approver_subs, person: decision.approver.sub}
    ends = {name: end_ms for name, end_ms in row.approval_ends.items() if name != person}
    if decision.approved_until is not None:
        ends[person] = decision.approved_until
    lasting = [
        name
        for name in (*row.approvals, person)
        if ends.get(name, now_ms + 1) > now_ms
        and not approval_grants.is_stopped(subs.get(name, name), tenant_uid, revocations, now_ms)
    ]
    grant, _ = approval_grants.proposed(row, decision)
    question = None if row.question is None else replace(row.question, grant=grant)
    return replace(
        row,
        approvals=tuple(sorted(set(lasting))),
        approval_ends={name: end_ms for name, end_ms in ends.items() if name in lasting},
        decision_ids=(*row.decision_ids, decision.header.id),
        question=question,
        approver_subs={name: subs[name] for name in lasting if name in subs},
    )


def _tasks(status: ApprovalStatus, pending_row: PendingRow, intent: Intent) -> list[str]:
    """Return the tasks that a decision may answer: an approval the last one that was asked, a refusal any.

    An intent that has joined a question also has a task of its own: a decision that names it is about this call alone.
    """
    first = pending_row.asked_count if status is ApprovalStatus.APPROVED else 0
    tenant_uid = intent.header.tenant_uid
    own = [
        approval_task_id(tenant_uid, intent.session_id, intent.intent_id, round_no)
        for round_no in range(first, pending_row.asked_count + 1)
    ]
    asked = [] if pending_row.question is None else [pending_row.question.task_id]
    return [*own, *asked] if status is ApprovalStatus.APPROVED else [*own, *asked, *pending_row.task_ids]


def _is_meaningful(status: ApprovalStatus, kind: PendingKind) -> bool:
    """Tell whether a status decides something: a cancel window can only be cancelled."""
    if status is ApprovalStatus.APPROVED:
        return kind is PendingKind.APPROVAL
    return status in _REFUSING
