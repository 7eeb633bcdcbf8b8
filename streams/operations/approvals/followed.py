"""Waits for what gates make of an approval: verdicts, or a question to another group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import NamedTuple

from streams.model.approval import ApprovalRequest, PendingCall
from streams.model.topics import APPROVAL_REQUEST, VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.operations.approvals.questions import Question, calls_of
from streams.operations.operator import Operator
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import POLL_MS, hidden_topics, places_of_key
from streams.ports import LogError, Reader

WAIT_MS = 2_000
"""How long gates are waited for. They need a fraction of that."""

_POLL_RECORDS_MAX = 100


class Followed(NamedTuple):
    """What has followed an approval so far.

    Attributes:
        outcomes: the final outcomes of its calls, by intent.
        asked: a question to another group about one of its calls; None if there is none.
    """

    outcomes: dict[str, Outcome]
    asked: ApprovalRequest | None = None


@contextmanager
def following(operator: Operator, question: Question) -> Iterator[Callable[[Sequence[PendingCall]], Followed]]:
    """Begin to read what gates write about the session of a question. Enter it before the approval is written.

    Yields:
        What waits for up to `WAIT_MS` and returns what has followed for the approved calls.

    Raises:
        TopicReadError, LogError: a topic can't be read.
    """
    log, topics = operator.log, (APPROVAL_REQUEST.name, VERDICT.name)
    hidden = hidden_topics(log, topics)
    places = places_of_key(log, [name for name in topics if name not in hidden], question.key)
    with closing(log.reader()) as reader:
        reader.assign(reader.end_offsets(places))

        def wait(calls: Sequence[PendingCall]) -> Followed:
            outcomes: dict[str, Outcome] = {}
            try:
                return _followed(operator, reader, question, {call.intent_id for call in calls}, outcomes)
            except LogError:
                # The approval is stored, whether or not its effect can be seen.
                return Followed(outcomes)

        yield wait


def _followed(
    operator: Operator, reader: Reader, question: Question, left: set[str], outcomes: dict[str, Outcome]
) -> Followed:
    ends_ms = operator.clock.monotonic_ms() + WAIT_MS
    while left and operator.clock.monotonic_ms() < ends_ms:
        for received in reader.poll(_POLL_RECORDS_MAX, POLL_MS):
            record = decoded(operator.codec, received) if received.key == question.key else None
            if isinstance(record, Verdict) and record.intent_id in left and record.outcome in FINAL_OUTCOMES:
                outcomes[record.intent_id] = record.outcome
                left.discard(record.intent_id)
            elif isinstance(record, ApprovalRequest) and _asks_another(record, question, left):
                return Followed(outcomes, record)
    return Followed(outcomes)


def _asks_another(request: ApprovalRequest, question: Question, intents: set[str]) -> bool:
    if request.task_id == question.request.task_id:
        return False
    return any(call.intent_id in intents for call in calls_of(request))
