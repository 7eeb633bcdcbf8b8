"""Which questions the service holds if there is no room for all."""

from __future__ import annotations

import msgspec

from streams.operations.approvals.questions import Question
from streams.services.approvals.held_questions import LOOK_MS, QUESTION_BYTES, HeldQuestions
from tests.unit.operations.test_operator import REQUEST

LENGTH = 1_000
ROOM = 10 * (LENGTH + QUESTION_BYTES)
"""Room for ten questions."""
NOW_MS = 1_000_000


def question(task: str, tenant: str = "acme", *, revision: int = 0, expires_ms: int = NOW_MS * 2) -> Question:
    header = msgspec.structs.replace(REQUEST.header, tenant_uid=tenant)
    request = msgspec.structs.replace(REQUEST, header=header, task_id=task, revision=revision, expires_at=expires_ms)
    return Question(b"key", request, NOW_MS, {}, is_known=False)


def test_a_flood_of_one_tenant_drops_no_question_of_another() -> None:
    held = HeldQuestions(ROOM)
    for number in range(4):
        assert held.add(question(f"quiet-{number}", "globex"), LENGTH, NOW_MS) == 0
    dropped = sum(held.add(question(f"flood-{number}"), LENGTH, NOW_MS) for number in range(100))
    assert dropped == 100 - 6
    assert all(held.find((f"quiet-{number}", 0)) for number in range(4))
    assert [number for number in range(100) if held.find((f"flood-{number}", 0))] == list(range(94, 100))
    assert held.bytes_count == ROOM


def test_long_questions_take_more_room_than_short_ones() -> None:
    held = HeldQuestions(ROOM)
    for number in range(9):
        held.add(question(f"short-{number}"), LENGTH, NOW_MS)
    assert held.add(question("long"), 4 * LENGTH + 3 * QUESTION_BYTES, NOW_MS) == 3
    assert held.find(("long", 0)) is not None


def test_what_has_expired_is_dropped_first_and_not_counted() -> None:
    held = HeldQuestions(ROOM)
    for number in range(9):
        held.add(question(f"old-{number}", "globex"), LENGTH, NOW_MS)
    held.add(question("over", expires_ms=NOW_MS + LOOK_MS), LENGTH, NOW_MS)
    assert held.add(question("new"), LENGTH, NOW_MS + LOOK_MS) == 0
    assert held.find(("over", 0)) is None
    assert held.find(("old-0", 0)) is not None


def test_a_question_that_is_read_again_takes_its_room_once() -> None:
    held = HeldQuestions(ROOM)
    for _ in range(50):
        held.add(question("same"), LENGTH, NOW_MS)
        held.add(question("same", revision=1), LENGTH, NOW_MS)
    assert held.bytes_count == 2 * (LENGTH + QUESTION_BYTES)
    assert held.find(("same", 0)) is not None
    assert held.find(("same", 2)) is None


def test_a_call_is_passed_on_to_the_newest_question_about_it_that_is_held() -> None:
    held = HeldQuestions(ROOM)
    held.add(question("first"), LENGTH, NOW_MS)
    held.add(question("second"), LENGTH, NOW_MS)
    found = held.find(("first", 0))
    assert found is not None
    assert [each.task_id for each in found.passed_on.values()] == ["second"]
    for number in range(9):
        held.add(question(f"later-{number}")._replace(key=b"other"), LENGTH, NOW_MS)
    assert held.find(("first", 0)) is None
    last = held.find(("second", 0))
    assert last is not None
    assert last.passed_on == {}
