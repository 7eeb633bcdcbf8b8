"""Finds questions to people on the log, and which of their calls still wait."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from streams.model.approval import ApprovalRequest, PendingCall
from streams.model.topics import APPROVAL_REQUEST, VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.operations.approvals.errors import ApprovalError
from streams.operations.operator import Operator
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import hidden_topics, read_to_end


class Question(NamedTuple):
    """A question to people, as it was written last.

    Attributes:
        key: the key of its session.
        request: the newest request of the question.
        first_ms: when it was asked first, on the log.
        outcomes: the final outcomes of its calls that are decided, by intent.
        is_known: whether verdicts could be read, so that `outcomes` is complete.
        passed_on: the calls about which another question was asked since, by intent, with that question: this one is
            answered, and the rules ask another group.
    """

    key: bytes
    request: ApprovalRequest
    first_ms: int
    outcomes: dict[str, Outcome]
    is_known: bool
    passed_on: Mapping[str, ApprovalRequest] = MappingProxyType({})

    def waiting(self, now_ms: int) -> tuple[PendingCall, ...]:
        """Return the calls that still wait for an answer."""
        return tuple(
            call
            for call in calls_of(self.request)
            if call.intent_id not in self.outcomes and call.intent_id not in self.passed_on and call.expires_at > now_ms
        )


def asked_words(request: ApprovalRequest) -> str:
    """Return whom a question asks: its groups, or anybody."""
    return ", ".join(request.eligible_approvers) or "anybody"


def calls_of(request: ApprovalRequest) -> tuple[PendingCall, ...]:
    """Return the calls that a request shows, each with its arguments. Requests of version 1 show one call."""
    own = PendingCall(
        intent_id=request.intent_id,
        verdict_id=request.verdict_id,
        tool=request.tool,
        args_json=request.args_json,
        args_digest=request.args_digest,
        reversible=request.reversible,
        compensating_tool=request.compensating_tool,
        expires_at=request.expires_at,
    )
    if not request.calls:
        return (own,)
    # Long arguments stand in the request alone.
    return tuple(
        call if call.args_json or call.intent_id != own.intent_id else _with_args(call, request.args_json)
        for call in request.calls
    )


def arguments_of(call: PendingCall) -> Any:
    """Return the arguments of a call that a request shows, by their names."""
    return json.loads(call.args_json) if call.args_json else {}


def _with_args(call: PendingCall, args_json: str) -> PendingCall:
    return PendingCall(
        intent_id=call.intent_id,
        verdict_id=call.verdict_id,
        tool=call.tool,
        args_json=args_json,
        args_digest=call.args_digest,
        reversible=call.reversible,
        compensating_tool=call.compensating_tool,
        origins=call.origins,
        expires_at=call.expires_at,
    )


def find_questions(operator: Operator, stated: Iterable[str]) -> list[Question]:
    """Find the questions that ids name. Blocking.

    Args:
        operator: reads the log.
        stated: for each the question's id, or the beginning of it.

    Raises:
        ApprovalError: no question begins with one of the texts, or several do.
        TopicReadError, LogError: a topic can't be read.
    """
    known = _newest(operator)
    found: dict[str, Question] = {}
    for text in stated:
        meant = [task_id for task_id in known if text and task_id.startswith(text)]
        if not meant:
            raise ApprovalError(f"there is no question `{text}`; see `stoplog approvals list --all`")
        if len(meant) > 1:
            named = ", ".join(sorted(meant)[:5])
            raise ApprovalError(f"{len(meant)} questions begin with `{text}`; give more of the id: {named}")
        found[meant[0]] = known[meant[0]]
    return _with_outcomes(operator, list(found.values()))


def open_questions(operator: Operator, *, all_of_them: bool = False) -> list[Question]:
    """Return the questions that have calls left to decide, the one that ends first at the beginning. Blocking.

    Args:
        operator: reads the log.
        all_of_them: also those that are answered or have expired, as long as their records are kept.

    Raises:
        TopicReadError, LogError: a topic can't be read.
    """
    now_ms = operator.clock.now_ms()
    found = [each for each in _newest(operator).values() if all_of_them or each.request.expires_at > now_ms]
    found = _with_outcomes(operator, found)
    open_ones = [each for each in found if all_of_them or each.waiting(now_ms)]
    return sorted(open_ones, key=lambda each: (each.request.expires_at, each.request.task_id))


def _newest(operator: Operator) -> dict[str, Question]:
    """Return the newest form of every question."""
    found: dict[str, Question] = {}
    last: dict[tuple[bytes, str], ApprovalRequest] = {}
    for received, record in operator.find(APPROVAL_REQUEST):
        if not isinstance(record, ApprovalRequest) or received.key is None:
            continue
        before = found.get(record.task_id)
        first_ms = received.timestamp_ms if before is None else before.first_ms
        # Records of one session are in order, because they are in one partition.
        found[record.task_id] = Question(received.key, record, first_ms, {}, is_known=False)
        last.update({(received.key, call.intent_id): record for call in calls_of(record)})
    return {task_id: pass_on(question, last) for task_id, question in found.items()}


def pass_on(question: Question, last: Mapping[tuple[bytes, str], ApprovalRequest]) -> Question:
    """Return the question with which of its calls another question is about since.

    Args:
        question: the question.
        last: the newest request about each call that is known, by the session's key and the intent.
    """
    newest = {call.intent_id: last.get((question.key, call.intent_id)) for call in calls_of(question.request)}
    task_id = question.request.task_id
    passed_on = {name: each for name, each in newest.items() if each is not None and each.task_id != task_id}
    return question._replace(passed_on=passed_on)


def _with_outcomes(operator: Operator, questions: list[Question]) -> list[Question]:
    """Add what was decided about the calls, if this client may read verdicts."""
    if not questions or hidden_topics(operator.log, (VERDICT.name,)):
        return questions
    intents = {call.intent_id for question in questions for call in calls_of(question.request)}
    keys = {question.key for question in questions}
    outcomes = {
        (key, verdict.intent_id): verdict.outcome
        for key, verdict in _verdicts(operator, keys)
        if verdict.intent_id in intents and verdict.outcome in FINAL_OUTCOMES
    }
    return [
        question._replace(
            is_known=True,
            outcomes={
                call.intent_id: outcomes[question.key, call.intent_id]
                for call in calls_of(question.request)
                if (question.key, call.intent_id) in outcomes
            },
        )
        for question in questions
    ]


def _verdicts(operator: Operator, keys: set[bytes]) -> Iterator[tuple[bytes, Verdict]]:
    for received in read_to_end(operator.log, (VERDICT.name,), operator.clock):
        if received.key not in keys or received.key is None:
            continue
        record = decoded(operator.codec, received)
        if isinstance(record, Verdict):
            yield received.key, record
