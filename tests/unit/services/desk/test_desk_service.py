"""The desk on a log: alerts in are messages out, also after a crash, and what can't be read is not lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from streams.audit.alert_handlers import NOBODY, AlertHandlers, signed_status
from streams.audit.signatures import SigningKey
from streams.codec.cloudevents import event_headers
from streams.desk.desk import Desk
from streams.desk.rows import Series, State, StatusChange
from streams.embedded.log import EmbeddedLog
from streams.metrics.declared import DESK_ALERTS, DESK_DELIVERIES, DESK_INCIDENTS, DESK_WAITING
from streams.metrics.health import LIVE_MS_MAX
from streams.model.alert_status import (
    AlertState,
    AlertStatus,
    Announced,
    alert_status_key,
    announcement_key,
    announcement_uid,
)
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.topics import ALERT, ALERT_STATUS, AUDIT_REPORTED, BY_NAME
from streams.model.types import Header
from streams.ports import LogError, Outgoing, Received, RetriableLogError, TopicPartition
from streams.sdk.connection.single_records import outgoing
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.desk.errors import DeskError
from streams.services.desk.intake import NOT_TIMELY, Intake
from streams.services.desk.outbox import Outbox
from streams.services.desk.store import DeskStore
from streams.services.metrics import MetricsSection, serving_metrics
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_offline_codec
from tests.unit.desk.alerts import again, alert
from tests.unit.services.desk.conftest import PARTITIONS, WHSEC, running, section, send
from tests.unit.services.desk.receivers import web
from tests.waiting import until

Private = Callable[[str, str], str]
HOUR_MS = 3_600_000


def lines(path: Path) -> list[dict[str, Any]]:
    """What a file has; the desk may be writing the last line."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def to_file(tmp_path: Path, **changes: Any) -> Any:
    return section({"files": {"it": {"path": str(tmp_path / "out.jsonl")}}}, ["it"], **changes)


def records(transport: Transport, topic: str) -> list[Received]:
    reader = transport.reader()
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    reader.assign(dict.fromkeys(places, 0))
    found: list[Received] = []
    while batch := reader.poll(100, 200):
        found += batch
    reader.close()
    return found


def test_alerts_in_are_messages_out_and_a_restart_sends_none_again(transport: Transport, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    send(transport, alert(1), alert(2, analytic_uid="egress"))
    with running(to_file(tmp_path), transport, tmp_path) as desk:
        until(lambda: len(lines(out)) == 2, "both are delivered")
        until(lambda: desk.health().is_ready, "it has read everything")
        until(lambda: desk.metrics.value(DESK_INCIDENTS, "open") == 2, "and they are measured")
    send(transport, alert(1), alert(3), again(1, 9), alert(4, analytic_uid="sweep"))
    with running(to_file(tmp_path), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_ALERTS, "taken") == 4, "it reads on")
        until(lambda: len(lines(out)) == 4, "one is new, and one passes ten")
    told = [(each["kind"], each["analytic"], each["count"]) for each in lines(out)]
    assert sorted(told[:2]) == [("new", "egress", 1), ("new", "loop", 1)]
    assert sorted(told[2:]) == [("new", "sweep", 1), ("update", "loop", 10)]
    assert [each["ocsf"]["class_uid"] for each in lines(out) if each["kind"] == "new"] == [2004] * 3


def test_what_was_not_delivered_is_after_a_restart(transport: Transport, tmp_path: Path) -> None:
    blocked = tmp_path / "out.jsonl"
    blocked.mkdir()
    send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(20)))
    with running(to_file(tmp_path), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_WAITING, "it") == 20, "all wait")
    blocked.rmdir()
    with running(to_file(tmp_path), transport, tmp_path):
        until(lambda: len(lines(blocked)) == 20, "all are delivered")
    assert len({each["id"] for each in lines(blocked)}) == 20


def test_what_waits_for_the_end_of_maintenance_still_does_after_restarts(transport: Transport, tmp_path: Path) -> None:
    def night(ends: str) -> Any:
        window = {"name": "night", "starts": "2001-01-01T00:00:00Z", "ends": ends, "agents": ["agent-*"]}
        return to_file(tmp_path, maintenance=[window])

    for number in (1, 2):
        send(transport, alert(number, analytic_uid=f"rule-{number}"))
        with running(night("2099-01-01T00:00:00Z"), transport, tmp_path) as desk:
            until(lambda: desk.metrics.value(DESK_ALERTS, "taken") == 1, "it has read one more")
            until(lambda: desk.health().is_ready, "and everything")
    assert lines(tmp_path / "out.jsonl") == []
    with running(night("2001-01-02T00:00:00Z"), transport, tmp_path):
        until(lambda: lines(tmp_path / "out.jsonl") != [], "the window is over")
    (summary,) = lines(tmp_path / "out.jsonl")
    assert (summary["kind"], summary["route"], summary["findings_count"]) == ("summary", "night", 2)


def test_a_message_that_a_receiver_never_takes_holds_up_no_other_incident(
    transport: Transport, tmp_path: Path, private: Private
) -> None:
    secret = private("whsec", WHSEC)
    with web() as receiver:
        hook = section({"webhooks": {"hook": {"url": receiver.url, "secret_file": secret}}}, ["hook"])
        receiver.forbidden = b"../../etc/passwd"
        send(transport, alert(1, title="tool call denied: ../../etc/passwd"))
        with running(hook, transport, tmp_path) as desk:
            until(lambda: receiver.attempts > 0, "it is tried")
            send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(2, 12)), again(1, 10))
            until(lambda: len(receiver.posts) == 10, "the others are delivered")
            assert desk.metrics.value(DESK_DELIVERIES, "hook", "set_aside") in (None, 0)
            receiver.forbidden = b""
            until(lambda: len(receiver.posts) == 12, "and so is that incident, once it is taken")
    told = [json.loads(post.body)["data"] for post in receiver.posts]
    assert len({each["id"] for each in told}) == 12
    assert [each["kind"] for each in told if each["analytic"] == "loop"] == ["new", "update"]


def test_a_lost_state_costs_a_second_delivery_and_no_alert(transport: Transport, tmp_path: Path) -> None:
    """Incidents of one finding each have the same ids again."""
    out = tmp_path / "out.jsonl"
    send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(5)))
    for folder in ("first", "second"):
        before = len(lines(out))
        with running(to_file(tmp_path), transport, tmp_path / folder):
            until(lambda: len(lines(out)) == before + 5, "all are delivered")  # noqa: B023 - it is called within the turn
    assert len({each["id"] for each in lines(out)}) == 5


def test_a_new_desk_leaves_out_what_was_there_long_before_it(transport: Transport, tmp_path: Path) -> None:
    send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(5)))
    with running(to_file(tmp_path, first_start_ms=0), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_ALERTS, "old") == 5, "they are old")
        send(transport, alert(9, analytic_uid="new"))
        until(lambda: [each["analytic"] for each in lines(tmp_path / "out.jsonl")] == ["new"], "and this one is not")


def test_a_crash_in_the_middle_of_a_batch_leaves_all_of_it_to_be_read(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows from a record and how far the topic is read are one transaction."""
    send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in range(6)))
    store = DeskStore(tmp_path / "desk")
    intake = plain_intake(transport, store, to_file(tmp_path))
    batch = records(transport, ALERT.name)
    intake._positions()

    class Crash(BaseException):
        """As a signal would end the process."""

    def add(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        # The process ends just before the commit.
        patched.setattr(Outbox, "add", add)
        with pytest.raises(Crash):
            intake.take(batch)
    store.close()
    reopened = DeskStore(tmp_path / "desk")
    assert {each.next_offset for each in reopened.positions().values()} == {0}
    assert (reopened.outbox.loads(), reopened.waited_for()) == ([], [])
    plain_intake(transport, reopened, to_file(tmp_path)).take(batch)
    assert reopened.outbox.loads()[0].open_count == 6
    reopened.close()


def plain_intake(
    transport: Transport, store: DeskStore, given: Any, monotonic_ms: Callable[[], int] = lambda: 0
) -> Intake:
    from streams.services.sending import Backoff

    return Intake(
        Desk([each.route() for each in given.routes], [], given.dedup_window_ms),
        store,
        transport,
        Backoff(10, 10),
        NOBODY,
        first_start_ms=given.first_start_ms,
        monotonic_ms=monotonic_ms,
        count=lambda result: None,
        tell=lambda: None,
        note=lambda: None,
    )


def test_what_cant_be_read_is_a_dead_letter_and_an_audit_record(
    transport: Transport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    poison = Outgoing(ALERT.name, 0, b"key", b"\x00\x00\x00\x00\x07 not an alert", event_headers(ALERT, alert().header))
    transport.store([poison], 5_000)
    send(transport, alert())
    with running(to_file(tmp_path), transport, tmp_path) as desk:
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 1, "the alert behind it is delivered")
        until(lambda: desk.metrics.value(DESK_ALERTS, "rejected") == 1, "and the other rejected")
    (letter,) = records(transport, BY_NAME[ALERT.dlq].name)
    assert (letter.key, letter.value) == (poison.key, poison.value)
    (reported,) = records(transport, AUDIT_REPORTED.name)
    event = transport.codec.decode(AUDIT_REPORTED.name, reported.value, reported.headers)
    assert isinstance(event, AuditEvent)
    place = f"{ALERT.name}/0/"
    assert event.event_type is AuditEventType.DEAD_LETTER
    assert event.inputs[0].startswith(place)
    assert event.header.source == "stoplog-desk"


def test_an_alert_on_which_the_desk_fails_is_a_dead_letter_and_changes_nothing(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Desk.on_alert

    def fails(self: Desk, rows: Any, one: Any, now_ms: int) -> Any:
        deliveries = whole(self, rows, one, now_ms)
        if one.analytic_uid == "bad":
            raise ZeroDivisionError
        return deliveries

    monkeypatch.setattr(Desk, "on_alert", fails)
    send(transport, alert(1, analytic_uid="bad"), alert(2), alert(3, analytic_uid="fine"))
    with running(to_file(tmp_path), transport, tmp_path):
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 2, "the others are delivered")
        until(lambda: len(records(transport, ALERT.dlq)) == 1, "and one is a dead letter")
    store = DeskStore(tmp_path / "desk")
    assert store.finding("finding-1") is None
    assert store.finding("finding-2") is not None
    store.close()


class Failing:
    """A log that stops answering while `is_down`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.is_down = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def reader(self) -> Any:
        self.check()
        return FailingReader(self, self._transport.reader())

    def partitions(self, topic: str) -> int:
        self.check()
        return self._transport.partitions(topic)

    def check(self) -> None:
        if self.is_down:
            raise RetriableLogError("the log does not answer")


class FailingReader:
    """Its reader."""

    def __init__(self, log: Failing, reader: Any) -> None:
        self._log = log
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def poll(self, *limits: int) -> Any:
        self._log.check()
        return self._reader.poll(*limits)


def escalating(tmp_path: Path, after_ms: int = 1_000) -> Any:
    """A section that escalates to a second file."""
    urgent = {"name": "all", "sinks": ["it"], "escalate_after_ms": after_ms, "escalate_to": ["lead"]}
    out, lead = tmp_path / "out.jsonl", tmp_path / "lead.jsonl"
    return section({"files": {"it": {"path": str(out)}, "lead": {"path": str(lead)}}}, [], routes=[urgent])


def test_what_is_due_is_escalated_while_the_log_does_not_answer(transport: Transport, tmp_path: Path) -> None:
    send(transport, alert())
    with running(to_file(tmp_path), transport, tmp_path):
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 1, "it is told, and not escalated")
    store = DeskStore(tmp_path / "desk")
    with store.transaction():
        finding = store.finding("finding-1")
        assert finding is not None
        incident = store.incident(finding.incident)
        assert incident is not None
        store.put_incident(msgspec.structs.replace(incident, escalate_ms=transport.now_ms()))
    store.close()
    down: Any = Failing(transport)
    with running(escalating(tmp_path), down, tmp_path) as desk:
        until(lambda: len(lines(tmp_path / "lead.jsonl")) == 1, "it is due")
        assert not desk.health().is_ready
        assert desk.health().is_live


def test_a_desk_that_cant_read_any_more_is_not_ready_until_it_can(transport: Transport, tmp_path: Path) -> None:
    failing: Any = Failing(transport)
    failing.is_down = False
    with running(to_file(tmp_path), failing, tmp_path) as desk:
        until(lambda: desk.health().is_ready, "it has read everything")
        failing.is_down = True
        until(lambda: not desk.health().is_ready, "it can't read")
        failing.is_down = False
        until(lambda: desk.health().is_ready, "it reads again")


def test_an_alert_with_a_key_of_any_shape_stops_neither_other_alerts_nor_their_escalation(
    transport: Transport, tmp_path: Path
) -> None:
    deep = msgspec.structs.replace(alert(2, severity_id=4), dedup_key="[" * 3_000, ocsf_json=None)
    with running(escalating(tmp_path), transport, tmp_path) as desk:
        send(transport, alert(1))
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 1, "one is told")
        transport.store([outgoing(transport, ALERT, b"key", deep, deep.header)], 5_000)
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 2, "it is more severe")
        until(lambda: len(lines(tmp_path / "lead.jsonl")) == 1, "it is escalated")
        send(transport, alert(3, analytic_uid="fresh"))
        until(lambda: lines(tmp_path / "out.jsonl")[-1]["analytic"] == "fresh", "the desk reads on")
        assert desk.metrics.value(DESK_ALERTS, "rejected") == 0


def test_alerts_are_told_while_what_is_due_fails_and_the_desk_is_not_ready(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Desk, rows: Any, now_ms: int) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "on_time", fails)
        with running(to_file(tmp_path), transport, tmp_path) as desk:
            send(transport, alert())
            until(lambda: len(lines(tmp_path / "out.jsonl")) == 1, "alerts are told")
            until(lambda: NOT_TIMELY in desk.health().waits_for, "and health says so")
            patched.undo()
            until(lambda: desk.health().is_ready, "until it works again")


def test_a_desk_whose_file_cant_be_written_counts_as_hanging(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: DeskStore, *_: object) -> Any:
        raise DeskError("the disk is full")

    now_ms = [0]
    store = DeskStore(tmp_path / "desk")
    intake = plain_intake(transport, store, to_file(tmp_path), lambda: now_ms[0])
    monkeypatch.setattr(DeskStore, "transaction", fails)
    intake.start()
    try:
        now_ms[0] = LIVE_MS_MAX
        until(lambda: not intake.health().is_live, "it has not turned")
    finally:
        intake.stop()
        store.close()


def test_two_desks_do_not_share_a_folder(transport: Transport, tmp_path: Path) -> None:
    with running(to_file(tmp_path), transport, tmp_path), pytest.raises(DeskError, match="another desk runs"):
        running(to_file(tmp_path), transport, tmp_path)


def test_without_a_route_it_does_not_start(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(DeskError, match="nobody is notified"):
        running(section({}, [], routes=[]), transport, tmp_path)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"routes": [{"name": "a", "sinks": ["it"], "owners": ["x"]}, {"name": "b", "sinks": ["it"]}]},
            "an owner that",
        ),
        ({"routes": [{"name": "a", "sinks": ["gone"]}]}, "route `a` names a sink that there is not: `gone`"),
        ({"routes": [{"name": "a", "sinks": ["it"], "severity": "high"}]}, "has conditions"),
        ({"routes": [{"name": "a", "sinks": ["it"]}] * 2}, "two routes have the name `a`"),
        ({"routes": [{"name": "a", "sinks": ["it"], "escalate_after_ms": 1_000}]}, "belong together"),
        ({"files": {"it": {"path": "a"}, "b": {"path": "b"}}, "slack": {"it": {"url_file": "c"}}}, "two sinks"),
        (
            {"maintenance": [{"name": "m", "starts": "2026-12-02T00:00:00Z", "ends": "2026-12-01T00:00:00Z"}]},
            "ends before it begins",
        ),
        ({"maintenance": [{"name": "m", "starts": "2026-12-02T00:00:00", "ends": "2026-12-03T00:00:00"}]}, "timezone"),
        ({"syslog": {"s": {"host": "siem.example", "tls": False}}}, "in the clear"),
        ({"webhooks": {"w": {"url": "http://soc.example", "secret_file": "s"}}}, "plain HTTP"),
        ({"retry_first_ms": 1_000, "retry_max_ms": 100}, "is less than"),
    ],
)
def test_settings_that_would_lose_alerts_or_show_them_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        section({"files": {"it": {"path": "out"}}}, ["it"], **changes)


def test_health_metrics_and_what_waits_are_served(transport: Transport, tmp_path: Path) -> None:
    send(transport, alert())
    with running(to_file(tmp_path), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == 1, "it is delivered")
        until(lambda: desk.health().is_ready, "it has read everything")
        views = {"/deliveries": desk.view}
        listen = MetricsSection(listen=":0")
        with serving_metrics(listen, metrics=desk.metrics, probe=desk.health, views=views) as port:
            asked = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
            with asked:
                assert asked.get("/health/ready").json() == {"status": "ok"}
                assert 'stoplog_desk_deliveries_total{result="delivered",sink="it"} 1.0' in asked.get("/metrics").text
                view = asked.get("/deliveries").json()
        assert view["deliveries"] == []
        assert view["incidents"] == {"open": 1, "acknowledged": 0, "closed": 0}


def test_what_the_desk_forgets_it_forgets_in_steps(tmp_path: Path) -> None:
    from streams.desk.rows import Finding

    store = DeskStore(tmp_path)
    with store.transaction():
        for number in range(1_500):
            store.put_finding(Finding(uid=str(number), tenant="", seen_ms=number))
    with store.transaction():
        store.purge(1_200)
    assert [store.finding(str(number)) is None for number in (0, 1_100, 1_300)] == [True, False, False]
    with store.transaction():
        store.purge(1_200)
    assert [store.finding(str(number)) is None for number in (1_100, 1_199, 1_200)] == [True, True, False]
    store.close()
    assert msgspec.structs.fields(Finding)


def test_what_people_said_about_a_series_is_forgotten_when_it_is_not_heard_of(tmp_path: Path) -> None:
    change = StatusChange("finding-1", "acme", "key", State.ACKNOWLEDGED, "acknowledged", "ben", "", 1)
    with closing(DeskStore(tmp_path)) as store, store.transaction():
        for tenant, seen_ms in (("acme", 1), ("other", 3)):
            store.put_series(Series(tenant=tenant, dedup_key="key", status=change, seen_ms=seen_ms))
        store.purge(2)
        assert store.series("acme", "key") is None
        kept = store.series("other", "key")
        assert kept is not None
        assert kept.status == change


def said(
    number: int,
    state: AlertState,
    transport: Transport,
    key: SigningKey | None,
    under: int | None = None,
    fast_ms: int = 0,
) -> None:
    """A person, whose clock may be fast, says something about a finding; under the key of another one, if stated."""
    now_ms = transport.now_ms() + fast_ms
    header = Header(id=SYSTEM.uuid(now_ms), source="stoplog", time=now_ms, tenant_uid="acme")
    status = AlertStatus(
        header=header, finding_uid=f"finding-{number}", status=state, dedup_key="", by_user="ben", reason="looking"
    )
    given = status if key is None else signed_status(status, key, "")
    key_bytes = alert_status_key("acme", f"finding-{number if under is None else under}")
    transport.store([outgoing(transport, ALERT_STATUS, key_bytes, given, header)], 5_000)


def test_what_a_handler_has_signed_ends_the_escalation_and_nothing_else_does(
    transport: Transport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ben, mallory = SigningKey.made(), SigningKey.made()
    handlers = AlertHandlers.of({"ben": str(ben.public)})
    urgent = {"name": "all", "sinks": ["it"], "escalate_after_ms": 1_500, "escalate_to": ["lead"]}
    out, lead = tmp_path / "out.jsonl", tmp_path / "lead.jsonl"
    sinks = {"files": {"it": {"path": str(out)}, "lead": {"path": str(lead)}}}
    given = section(sinks, [], routes=[urgent])
    with running(given, transport, tmp_path, handlers) as desk:
        send(transport, *(alert(number, analytic_uid=f"rule-{number}") for number in (1, 2, 3, 4)))
        said(1, AlertState.ACKNOWLEDGED, transport, ben)
        said(2, AlertState.ACKNOWLEDGED, transport, mallory)
        said(3, AlertState.RESOLVED, transport, None)
        said(4, AlertState.RESOLVED, transport, ben, under=1)
        until(lambda: len(lines(lead)) == 3, "three are escalated")
        assert desk.metrics.value(DESK_ALERTS, "unproven") == 3
    assert {each["analytic"] for each in lines(lead)} == {"rule-2", "rule-3", "rule-4"}
    acknowledged = [each for each in lines(out) if each["kind"] == "acknowledged"]
    assert [(each["analytic"], each["by"], each["why"]) for each in acknowledged] == [
        ("rule-1", "ben", "acknowledged: looking")
    ]
    assert "a status does not count" in caplog.text


def test_announced_work_is_about_no_incident(transport: Transport, tmp_path: Path) -> None:
    ben = SigningKey.made()
    out = tmp_path / "out.jsonl"
    given = section({"files": {"it": {"path": str(out)}}}, [], routes=[{"name": "all", "sinks": ["it"]}])
    now_ms = transport.now_ms()
    header = Header(id=SYSTEM.uuid(now_ms), source="stoplog", time=now_ms, tenant_uid="acme")
    work = Announced(agent="etl", tools=("s3.delete",), from_time=now_ms, until_time=now_ms + 1_000, calls_max=9)
    uid = announcement_uid(header.id, "acme", "etl")
    status = AlertStatus(
        header=header,
        finding_uid=uid,
        status=AlertState.ANNOUNCED,
        dedup_key=announcement_key("acme", "etl"),
        by_user="ben",
        reason="CHG-881",
        announced=work,
    )
    with running(given, transport, tmp_path, AlertHandlers.of({"ben": str(ben.public)})) as desk:
        signed, key = signed_status(status, ben, ""), alert_status_key("acme", uid)
        transport.store([outgoing(transport, ALERT_STATUS, key, signed, header)], 5_000)
        until(lambda: desk.metrics.value(DESK_ALERTS, "taken") == 1, "the announcement is read")
        send(transport, alert(1, analytic_uid="rule-1"))
        until(lambda: len(lines(out)) == 1, "the desk goes on")
        assert desk.metrics.value(DESK_ALERTS, "unproven") == 0
    assert [each["analytic"] for each in lines(out)] == ["rule-1"]


def test_what_is_written_last_counts_also_if_the_clock_of_somebody_else_is_fast(
    transport: Transport, tmp_path: Path
) -> None:
    ann, ben = SigningKey.made(), SigningKey.made()
    handlers = AlertHandlers.of({"ann": str(ann.public), "ben": str(ben.public)})
    send(transport, alert())
    with running(to_file(tmp_path), transport, tmp_path, handlers) as desk:
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 1, "it is delivered")
        said(1, AlertState.ACKNOWLEDGED, transport, ann, fast_ms=10 * 60_000)
        said(1, AlertState.RESOLVED, transport, ben)
        until(lambda: desk.metrics.value(DESK_INCIDENTS, "closed") == 1, "it is closed")
        until(lambda: len(lines(tmp_path / "out.jsonl")) == 3, "which is told")
    assert [each["kind"] for each in lines(tmp_path / "out.jsonl")] == ["new", "acknowledged", "resolved"]


def test_a_topic_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    with (
        closing(EmbeddedLog(tmp_path / "empty.sqlite", clock=SystemClock())) as log,
        Transport(log, build_offline_codec(), SystemClock()) as empty,
        pytest.raises(LogError, match=ALERT.name),
    ):
        running(to_file(tmp_path), empty, tmp_path)
