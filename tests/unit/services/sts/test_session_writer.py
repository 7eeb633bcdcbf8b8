"""Transactions that requests share: what befalls one of them, and what the others have of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from streams.ports import FatalLogError, Outgoing, Producer
from streams.services.sts.session_writer import TRANSACTION_SESSIONS_MAX
from tests.unit.services.sts.faults import together
from tests.unit.services.sts.house import House, WrappedLog, open_house
from tests.waiting import WAIT_S, until


class Slow:
    """The second transaction lets others gather for the third; `at_commit` and `at_send` may fail from then on."""

    def __init__(self) -> None:
        self.begun = 0
        self.entered, self.leave = threading.Event(), threading.Event()
        self.at_commit: Callable[[], None] = lambda: None
        self.at_send: Callable[[Outgoing], None] = lambda _record: None

    def producer(self, inner: Producer) -> Any:
        slow = self

        class Made:
            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def begin(self) -> None:
                slow.begun += 1
                inner.begin()

            def send(self, record: Outgoing, on_stored: Any = None) -> None:
                if slow.begun > 2:
                    slow.at_send(record)
                inner.send(record, on_stored)

            def commit(self) -> None:
                if slow.begun == 2:
                    slow.entered.set()
                    assert slow.leave.wait(WAIT_S)
                if slow.begun == 3:
                    slow.at_commit()
                inner.commit()

        return Made()


def at_once(house: House, slow: Slow, users: list[str]) -> dict[str, int]:
    """What becomes of requests for these users, which share a transaction: all of them but that for the first one."""
    house.granted()
    codes: dict[str, int] = {}

    def ask(user: str) -> None:
        with httpx2.Client(base_url=house.url, timeout=WAIT_S, trust_env=False) as http:
            codes[user] = http.post("/token", data=house.form(subject_token=house.users.token(user))).status_code

    threads = [threading.Thread(target=ask, args=(user,), daemon=True) for user in users]
    threads[0].start()
    assert slow.entered.wait(WAIT_S)
    for thread in threads[1:]:
        thread.start()
    ledger = house.running.parts.ledger
    until(lambda: len(ledger._queue) == len(users) - 1, "the others wait for the next transaction")
    slow.leave.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return codes


USERS = ["first", "ann", "bob", "carol"]


@pytest.mark.parametrize("fault", [RuntimeError("none of the log's"), FatalLogError("who knows")])
def test_a_fault_while_committing_fails_them_all_and_is_over(tmp_path: Path, fault: Exception) -> None:
    slow = Slow()

    def fail() -> None:
        raise fault

    slow.at_commit = fail
    with open_house(tmp_path, wrap=lambda log: WrappedLog(log, slow.producer)) as house:
        assert at_once(house, slow, USERS) == {"first": 200, "ann": 503, "bob": 503, "carol": 503}
        assert slow.begun == 3
        slow.at_commit = lambda: None
        house.granted()
        assert together(house) == 3


def test_one_that_can_not_be_written_fails_alone(tmp_path: Path) -> None:
    slow = Slow()
    with open_house(tmp_path, wrap=lambda log: WrappedLog(log, slow.producer)) as house:

        def fail(record: Outgoing) -> None:
            if b"bob" in record.value:
                raise FatalLogError("too large")

        slow.at_send = fail
        assert at_once(house, slow, USERS) == {"first": 200, "ann": 200, "bob": 503, "carol": 200}
        assert together(house) == 4


def test_a_log_that_is_gone_is_not_tried_for_each(tmp_path: Path) -> None:
    slow = Slow()
    with open_house(tmp_path, wrap=lambda log: WrappedLog(log, slow.producer)) as house:

        def fail(_record: Outgoing) -> None:
            raise FatalLogError("gone")

        slow.at_send = fail
        users = ["first", *[f"u{number}" for number in range(8)]]
        assert len(users) < TRANSACTION_SESSIONS_MAX
        codes = at_once(house, slow, users)
        assert [code for user, code in codes.items() if user != "first"] == [503] * 8
        assert slow.begun == 3 + 2
