"""The questions that the service holds stay the same when the log is away for a while."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from streams.embedded.reader import EmbeddedReader
from streams.model.approval import ApprovalRequest
from streams.model.topics import APPROVAL_REQUEST
from streams.ports import LogError, Received
from streams.services.approvals import questions
from streams.services.approvals.held_questions import QUESTION_BYTES, HeldQuestions
from streams.services.approvals.questions import OpenQuestions
from tests.unit.sdk.hands import raw_records, written
from tests.unit.services.approvals.test_service import Desk, desk
from tests.waiting import WAIT_S, until

__all__ = ["desk"]

ROOM = 3 * QUESTION_BYTES
"""Room for two questions or so."""


def test_trouble_with_the_log_drops_no_question_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    poll, faults = EmbeddedReader.poll, list[LogError]()

    def polled(reader: EmbeddedReader, max_records: int, timeout_ms: int) -> list[Received]:
        if faults and threading.current_thread().name == "stoplog-approvals-questions":
            raise faults.pop()
        return poll(reader, max_records, timeout_ms)

    monkeypatch.setattr(EmbeddedReader, "poll", polled)
    monkeypatch.setattr(questions, "HeldQuestions", partial(HeldQuestions, ROOM))
    monkeypatch.setattr(questions, "RETRY_MS", 10)
    dropped: list[int] = []
    following = OpenQuestions(desk.transport, dropped.append)
    following.start()
    try:
        for sessions in (("s-2", "s-3", "s-4", "s-5"), ("s-6",)):
            desk.ask_in(*sessions)
            for received in raw_records(desk.transport, APPROVAL_REQUEST):
                following.wait_for(received, WAIT_S)
            faults.append(LogError("the log is away"))
            until(lambda: not faults, "the log was away")
        asked = [(each.task_id, each.revision) for each in written(desk.transport, ApprovalRequest)]
        held = [name for name in asked if following.find(*name)]
        assert 0 < len(held) == len(asked) - sum(dropped)
    finally:
        following.stop()
