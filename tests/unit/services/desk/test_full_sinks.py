"""A sink that never answers: what waits for it is bounded, and once it works, it is told of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from streams.audit.alert_handlers import AlertHandlers
from streams.audit.signatures import SigningKey
from streams.metrics.declared import DESK_ALERTS, DESK_OWED, DESK_WAITING
from streams.model.alert_status import AlertState
from streams.model.audit import AuditEvent
from streams.model.reasons import ControlReason
from streams.model.topics import AUDIT_REPORTED
from streams.sdk.connection.transport import Transport
from streams.services.desk import outbox
from streams.services.desk.service import RunningDesk
from streams.services.desk.store import DeskStore
from tests.unit.desk.alerts import again, alert
from tests.unit.services.desk.conftest import IMPATIENT, WHSEC, running, section, send
from tests.unit.services.desk.receivers import Web, web
from tests.unit.services.desk.test_desk_service import lines, records, said
from tests.waiting import until

KEY = SigningKey.made()
HANDLERS = AlertHandlers.of({"ben": str(KEY.public)})
NEVER = ["timeout"] * 1_000


@pytest.fixture
def receiver() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def start(
    transport: Transport,
    receiver: Web,
    private: Callable[[str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], RunningDesk]:
    """Starts a desk with two sinks, the receiver and a file, for which at most three messages wait."""
    monkeypatch.setattr(outbox, "WAITING_MAX", 3)
    hook = {"url": receiver.url, "secret_file": private("whsec", WHSEC)}
    sinks = {"webhooks": {"hook": hook}, "files": {"it": {"path": str(tmp_path / "out.jsonl")}}}
    return lambda: running(section(sinks, ["hook", "it"], **IMPATIENT), transport, tmp_path, HANDLERS)


def told(receiver: Web) -> list[tuple[str, str, int]]:
    found = [json.loads(post.body)["data"] for post in receiver.posts]
    return [(each["analytic"], each["kind"], each["count"]) for each in found]


def reported(transport: Transport) -> list[AuditEvent]:
    """What is on the record about the receiver. Ten alerts at once are too many for the file, too, for a moment."""
    found = records(transport, AUDIT_REPORTED.name)
    events = [transport.codec.decode(each.topic, each.value, each.headers) for each in found]
    return [event for event in events if isinstance(event, AuditEvent) and event.inputs == ("hook",)]


def load_of(desk: RunningDesk) -> dict[str, Any]:
    loads = {each["sink"]: each for each in json.loads(desk.view())["sinks"]}
    return dict(loads["hook"])


def test_a_sink_that_never_answers_is_told_of_each_incident_once_it_does(
    transport: Transport, receiver: Web, start: Callable[[], RunningDesk], tmp_path: Path
) -> None:
    receiver.script = list(NEVER)
    names = [f"rule-{number}" for number in range(10)]
    alerts = [alert(number, analytic_uid=names[number]) for number in range(10)]
    send(transport, *alerts[:3])
    with start() as desk:
        until(lambda: desk.metrics.value(DESK_WAITING, "hook") == 3, "the first wait")
        send(transport, *alerts[3:])
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 10, "the other sink gets all")
        until(lambda: desk.metrics.value(DESK_OWED, "hook") == 7, "and the incidents of the rest are noted")
        assert desk.metrics.value(DESK_WAITING, "hook") == 3
        until(lambda: [each.reason for each in reported(transport)] == [ControlReason.SINK_FULL], "on the record, too")
        # What goes on meanwhile costs nothing more.
        send(transport, again(9, 10, analytic_uid=names[9]))
        said(8, AlertState.RESOLVED, transport, KEY)
        until(lambda: desk.metrics.value(DESK_ALERTS, "taken") == 12, "it reads on")
        assert (load_of(desk)["open_count"], load_of(desk)["owed_count"]) == (3, 7)
    receiver.script = []
    with start() as desk:
        until(lambda: len(told(receiver)) == 11, "it is told of all, as they are by then")
        until(lambda: desk.metrics.value(DESK_OWED, "hook") == 0, "and nothing is owed")
        until(lambda: len(reported(transport)) == 2, "which is on the record")
        send(transport, alert(20, analytic_uid="later"))
        until(lambda: told(receiver)[-1] == ("later", "new", 1), "and then it gets messages as any other")
    assert sorted(each for each in told(receiver)[:-1] if each[1] == "new") == [
        *((name, "new", 1) for name in names[:9]),
        (names[9], "new", 10),
    ]
    assert [each for each in told(receiver) if each[1] != "new"] == [("rule-8", "resolved", 1)]
    (resolved,) = [data for post in receiver.posts if (data := json.loads(post.body)["data"])["kind"] == "resolved"]
    assert (resolved["by"], resolved["why"]) == ("ben", "resolved: looking")
    first, second = reported(transport)
    assert (first.reason, second.reason) == (ControlReason.SINK_FULL, ControlReason.SINK_CAUGHT_UP)
    assert first.header.source == "stoplog-desk"
    assert "sink `hook`" in (second.reason_text or "")
    assert "9 messages left out since " in (second.reason_text or "")


def test_what_was_left_out_is_forgotten_when_its_alerts_are(
    transport: Transport, receiver: Web, start: Callable[[], RunningDesk], tmp_path: Path
) -> None:
    receiver.script = list(NEVER)
    send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(5)))
    with start() as desk:
        until(lambda: desk.metrics.value(DESK_OWED, "hook") == 2, "two are noted")
    with closing(DeskStore(tmp_path / "desk")) as store:
        with store.transaction():
            store.purge(transport.now_ms() + 1)
        loads = {load.sink: load for load in store.outbox.loads()}
        assert (loads["hook"].open_count, loads["hook"].owed_count) == (3, 0)
