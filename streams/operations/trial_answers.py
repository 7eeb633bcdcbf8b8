"""Answers the questions of a run over a history: with the history's own decisions, or with yes.

**Idea.** A decision in a history stands at the time at which a person made it. When the rules of the run ask later, or
not at all, than the rules of the recording did, it would come before its question and count for nothing. So a decision
waits for its question. One whose question never comes is processed at the end, and rejected as it would be on the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from streams.codec.history import HistoryLine
from streams.model.approval import AnsweredCall, ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.ids import approval_task_id
from streams.model.proof import derived_uuid
from streams.model.topics import APPROVAL_DECISION, APPROVAL_REQUEST, VERDICT
from streams.model.types import Actor, Header, Record, SubProfile
from streams.model.verdict import Outcome, Verdict

EVERY_RULE = "all"
"""In place of the id of a rule: every rule."""

ROUNDS_MAX = 100
"""So often questions can follow from answers to others, in one step of a run."""

ANSWERED = frozenset({APPROVAL_REQUEST.name, VERDICT.name})
"""The topics of what `Answers` notes."""

SOURCE = "stoplog-try"


class Answers:
    """Knows which questions are open in a run, and answers them.

    Args:
        decisions: those of the history. Their questions are left to them.
        approve: the rules whose questions are answered with yes, by id; `EVERY_RULE` for all.
    """

    def __init__(self, decisions: Iterable[ApprovalDecision] = (), approve: Collection[str] = ()) -> None:
        self._approve = frozenset(approve)
        self._own = frozenset(decision.task_id for decision in decisions)
        self._asked: set[str] = set()
        self._tasks: set[str] = set()
        self._rounds: Counter[tuple[str, str]] = Counter()
        self._by_rule: Counter[str] = Counter()
        self._answered: set[str] = set()

    @property
    def questions(self) -> Counter[str]:
        """Return how many questions each rule has asked; a question that several rules ask counts for each."""
        return self._by_rule

    @property
    def questions_count(self) -> int:
        """Return how many questions people were asked."""
        return len(self._tasks)

    @property
    def answered_count(self) -> int:
        """Return how many questions were answered with yes."""
        return len(self._answered)

    def awaits(self, decision: ApprovalDecision) -> bool:
        """Return whether the question of a decision has been asked by now."""
        return decision.task_id in self._asked

    def note(self, records: Iterable[Record | None]) -> None:
        """Note what the gate asks in records that it has written."""
        for record in records:
            if isinstance(record, ApprovalRequest):
                if record.task_id not in self._tasks:
                    self._tasks.add(record.task_id)
                    self._by_rule.update(rule.rpartition("@")[0] for rule in record.rules)
                self._asked.add(record.task_id)
            elif isinstance(record, Verdict) and record.outcome in (Outcome.REQUIRE_APPROVAL, Outcome.DEFER):
                call = (record.session_id, record.intent_id)
                self._asked.add(approval_task_id(record.header.tenant_uid, *call, self._rounds[call]))
                self._rounds[call] += record.outcome is Outcome.REQUIRE_APPROVAL

    def yes_to(self, asked: Sequence[tuple[bytes, ApprovalRequest]], now_ms: int) -> Iterator[HistoryLine]:
        """Yield decisions that say yes, from as many people as are needed, to the newest form of each question.

        Args:
            asked: the requests of one step, with the keys of their sessions.
            now_ms: the time of the decisions.
        """
        for key, request in {request.task_id: (key, request) for key, request in asked}.values():
            if not self._is_answered(request):
                continue
            self._answered.add(request.task_id)
            for number in range(request.quorum):
                decision = yes(request, number, now_ms)
                yield HistoryLine("approval_decision", APPROVAL_DECISION.name, key, now_ms, decision)

    def _is_answered(self, request: ApprovalRequest) -> bool:
        rules = {rule.rpartition("@")[0] for rule in request.rules}
        if not (EVERY_RULE in self._approve or rules & self._approve):
            return False
        tenant_uid, session_id = request.header.tenant_uid, request.session_id
        own = {request.task_id}
        for call in request.calls:
            rounds = range(self._rounds[session_id, call.intent_id])
            own.update(approval_task_id(tenant_uid, session_id, call.intent_id, round_no) for round_no in rounds)
        return own.isdisjoint(self._own)


def yes(request: ApprovalRequest, number: int, now_ms: int) -> ApprovalDecision:
    """Return the approval of a question, of all calls that it shows, by one of several made-up people.

    Args:
        request: the question.
        number: counts the approvers from 0.
        now_ms: the time of the decision.
    """
    decision_id = derived_uuid("tried approval", request.task_id, str(request.revision), str(number))
    header = Header(id=decision_id, source=SOURCE, time=now_ms, tenant_uid=request.header.tenant_uid)
    return ApprovalDecision(
        header=header,
        task_id=request.task_id,
        intent_id=request.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED,
        approver=Actor(iss=SOURCE, sub=f"approver-{number}", sub_profile=SubProfile.USER),
        approver_groups=request.eligible_approvers,
        args_digest=request.args_digest,
        calls=answered_calls(request),
    )


def answered_calls(request: ApprovalRequest) -> tuple[AnsweredCall, ...]:
    """Return the calls that a question shows, as an answer names them."""
    return tuple(
        AnsweredCall(intent_id=call.intent_id, tool=call.tool, args_digest=call.args_digest) for call in request.calls
    )
