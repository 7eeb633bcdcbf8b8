"""A sink that refuses some messages again and again: no other incident waits for them, and none of them is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.metrics.declared import DESK_DELIVERIES
from streams.sdk.connection.transport import Transport
from streams.services.desk import delivery
from streams.services.desk.delivery import STUCK_AFTER
from streams.services.desk.service import RunningDesk
from tests.unit.desk.alerts import again, alert
from tests.unit.services.desk.conftest import WHSEC, running, section, send
from tests.unit.services.desk.receivers import Web, web
from tests.waiting import until

ATTACK = "../../etc/passwd"
REFUSED = ATTACK.encode()
SLOW = {"retry_first_ms": 60_000, "retry_max_ms": 3_600_000}
"""Whoever has to wait for a pause waits longer than a test."""

Private = Callable[[str, str], str]


@pytest.fixture
def receiver() -> Iterator[Web]:
    with web() as made:
        made.forbidden = REFUSED
        yield made


@pytest.fixture
def start(transport: Transport, receiver: Web, private: Private, tmp_path: Path) -> Callable[..., RunningDesk]:
    """Starts a desk whose only sink is the receiver, always in the same folder."""
    hook = {"url": receiver.url, "secret_file": private("whsec", WHSEC)}

    def started(**changes: Any) -> RunningDesk:
        return running(section({"webhooks": {"hook": hook}}, ["hook"], **changes), transport, tmp_path)

    return started


def refuse(transport: Transport, count: int) -> None:
    send(transport, *(alert(n, analytic_uid=f"bad-{n}", title=f"denied: {ATTACK}") for n in range(count)))


def attempts(desk: RunningDesk) -> list[int]:
    return [each["attempts"] for each in json.loads(desk.view())["deliveries"]]


def are_stuck(desk: RunningDesk, count: int) -> bool:
    """Return whether so many messages wait, of which each has failed often."""
    found = attempts(desk)
    return len(found) == count and min(found) >= STUCK_AFTER


def told(receiver: Web) -> list[tuple[str, str]]:
    """What was delivered: the analytic of each message, and why it was sent."""
    found = [json.loads(post.body)["data"] for post in receiver.posts]
    return [(each["analytic"], each["kind"]) for each in found]


@pytest.mark.parametrize("count", [2, 3])
def test_several_refused_messages_at_the_head_hold_up_no_other_incident(
    count: int, transport: Transport, receiver: Web, start: Callable[..., RunningDesk]
) -> None:
    refuse(transport, count)
    with start() as desk:
        until(lambda: len(attempts(desk)) == count, "they wait")
        send(transport, *(alert(n, analytic_uid=f"rule-{n}") for n in range(100, 110)), again(0, 10))
        until(lambda: len(receiver.posts) == 10, "the others are delivered")
        until(lambda: len(attempts(desk)) == count + 1, "one of the incidents has a second message")
        receiver.forbidden = b""
        until(lambda: attempts(desk) == [], "all are delivered once they are taken")
    assert len(told(receiver)) == len(set(told(receiver))) == 10 + count + 1
    assert [kind for analytic, kind in told(receiver) if analytic == "bad-0"] == ["new", "update"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_refused_messages_hold_up_no_other_incident_after_a_restart(
    count: int, transport: Transport, receiver: Web, start: Callable[..., RunningDesk]
) -> None:
    refuse(transport, count)
    with start() as desk:
        until(lambda: are_stuck(desk, count), "they are refused")
    send(transport, alert(100, analytic_uid="fine"), alert(101, analytic_uid="good"))
    with start(**SLOW) as desk:
        until(lambda: len(receiver.posts) == 2, "the others are delivered")
        until(lambda: len(attempts(desk)) == count, "and the refused ones are kept")


@pytest.mark.parametrize("count", [1, 2])
def test_an_alert_that_comes_while_only_refused_ones_wait_is_told_at_once(
    count: int, transport: Transport, receiver: Web, start: Callable[..., RunningDesk]
) -> None:
    refuse(transport, count)
    with start() as desk:
        until(lambda: are_stuck(desk, count), "they are refused")
    with start(**SLOW) as desk:
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "hook", "failed") == count, "each is tried once more")
        send(transport, alert(100, analytic_uid="fine"))
        until(lambda: told(receiver) == [("fine", "new")], "it waits for none of them")
        send(transport, alert(101, analytic_uid="good"))
        until(lambda: len(receiver.posts) == 2, "nor does the next one")
        assert desk.metrics.value(DESK_DELIVERIES, "hook", "failed") == count, "they wait"


def test_no_number_of_refused_messages_silences_the_sink(
    transport: Transport, receiver: Web, start: Callable[..., RunningDesk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STUCK_MAX", 2)
    refuse(transport, 5)
    send(transport, alert(100, analytic_uid="fine"))
    with start() as desk:
        until(lambda: len(receiver.posts) == 1, "the last one is delivered")
        send(transport, alert(101, analytic_uid="good"))
        until(lambda: len(receiver.posts) == 2, "and so is the next")
        until(lambda: len(attempts(desk)) == 5, "and the refused ones are kept")


def test_a_sink_that_takes_nothing_is_left_alone_after_some_messages(
    transport: Transport, receiver: Web, start: Callable[..., RunningDesk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STUCK_MAX", 2)
    refuse(transport, 6)
    with start(retry_first_ms=10, retry_max_ms=3_600_000) as desk:
        # The second is tried five times, beside the first one, and then the third once. That is one more than two.
        expected = [9, 5, 1, 0, 0, 0]
        until(lambda: attempts(desk) == expected, "the first ones fail quickly")
        time.sleep(0.5)
        assert attempts(desk) == expected


def test_once_a_message_is_taken_that_seemed_refused_all_are_tried_again(
    transport: Transport, receiver: Web, start: Callable[..., RunningDesk]
) -> None:
    """The sink was only down."""
    refuse(transport, 3)
    with start() as desk:
        until(lambda: are_stuck(desk, 3), "the sink is down")
    receiver.forbidden = b""
    receiver.script = [500, 500]
    with start(**SLOW) as desk:
        until(lambda: attempts(desk) == [], "the third is taken, and so are the others")
    assert len(told(receiver)) == 3
