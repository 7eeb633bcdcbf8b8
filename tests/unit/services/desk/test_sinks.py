"""Each sink against a receiver that fails in every way and then recovers: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from streams.desk import formats
from streams.desk.messages import Delivery, Message
from streams.metrics.declared import DESK_DELIVERIES
from streams.sdk.connection.transport import Transport
from streams.services.desk.building import build_sinks
from streams.services.desk.delivery import FAILURES_MAX
from streams.services.desk.errors import DeskError
from streams.services.desk.service import RunningDesk
from streams.services.desk.sinks import SyslogSink
from streams.services.desk.store import DeskStore
from streams.services.webhook_signing import SIGNATURE, is_signed
from tests.certificates import Certificate, make_certificate
from tests.unit.desk.alerts import alert
from tests.unit.desk.test_formats import message, replace
from tests.unit.services.desk.conftest import IMPATIENT, SECRET, WHSEC, running, section, send
from tests.unit.services.desk.receivers import Syslog, syslog, web
from tests.waiting import until

HTTP_KINDS = ("webhooks", "slack", "pagerduty", "splunk")
HTTP_FAULTS: tuple[int | str, ...] = (500, "timeout", "slow", "closed", 429, "redirect", 401)
COUNT = 5
KEY = "pagerduty-key-1234567890"
TOKEN = "splunk-token-0987654321"
ELSEWHERE = ["loop", "egress", "sweep", "drift", "flood"]

Private = Callable[[str, str], str]


class Case(NamedTuple):
    """A kind of sink: its settings, and what tells messages apart in what it has received."""

    settings: dict[str, Any]
    id_of: Callable[[Any], str]


def http_case(kind: str, url: str, private: Private) -> Case:
    if kind == "webhooks":
        given = {"url": url, "secret_file": private("whsec", WHSEC)}
        return Case({kind: {"it": given}}, lambda body: str(body["data"]["id"]))
    if kind == "slack":
        return Case({kind: {"it": {"url_file": private("url", url)}}}, lambda body: str(body["text"]))
    if kind == "pagerduty":
        given = {"url": url, "routing_key_file": private("key", KEY)}
        return Case({kind: {"it": given}}, lambda body: str(body["dedup_key"]))
    given = {"url": url, "token_file": private("token", TOKEN)}
    return Case({kind: {"it": given}}, lambda body: str(body["event"]["id"]))


def five(transport: Transport) -> None:
    """Five alerts that are five incidents."""
    send(transport, *(alert(number, analytic_uid=name) for number, name in enumerate(ELSEWHERE)))


def patience(fault: int | str) -> dict[str, Any]:
    """How long a receiver with this fault is waited for."""
    return IMPATIENT if fault in ("timeout", "slow") else {}


@contextmanager
def started(given: Any, transport: Transport, folder: Path) -> Iterator[RunningDesk]:
    with running(given, transport, folder) as desk:
        yield desk


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("fault", HTTP_FAULTS)
def test_an_http_receiver_that_fails_gets_everything_once_it_works(
    kind: str, fault: int | str, transport: Transport, private: Private, tmp_path: Path
) -> None:
    with web(202 if kind == "pagerduty" else 200) as receiver:
        receiver.script = [fault, fault]
        case = http_case(kind, receiver.url, private)
        five(transport)
        with started(section(case.settings, ["it"], **patience(fault)), transport, tmp_path) as desk:
            until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == COUNT, "all are delivered")
        got = [case.id_of(json.loads(post.body)) for post in receiver.posts]
        assert (len(got), len(set(got))) == (COUNT, COUNT)
        assert desk.metrics.value(DESK_DELIVERIES, "it", "failed") == 2
        assert receiver.redirected == 0, "a redirect would show the secret to somebody else"


@pytest.mark.parametrize("fault", ["closed", "timeout", "cut"])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_receiver_of_syslog_that_fails_gets_everything_once_it_works(
    fault: str, is_encrypted: bool, transport: Transport, tmp_path: Path, certificate: Certificate
) -> None:
    with syslog(certificate.server() if is_encrypted else None) as receiver:
        receiver.script = [fault, fault]
        sinks = {"syslog": {"it": syslog_of(receiver, certificate, is_encrypted)}}
        five(transport)
        with started(section(sinks, ["it"], **patience(fault)), transport, tmp_path) as desk:
            until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == COUNT, "all are delivered")
        ids = [frame.partition(b"externalId=")[2].partition(b" ")[0] for frame in receiver.frames]
        assert (len(ids), len(set(ids))) == (COUNT, COUNT)
        assert desk.metrics.value(DESK_DELIVERIES, "it", "failed") == 2


def test_a_receiver_that_ends_tls_without_its_last_message_has_read_everything(
    transport: Transport, tmp_path: Path, certificate: Certificate
) -> None:
    with syslog(certificate.server(), ends_in_order=False) as receiver:
        given = section({"syslog": {"it": syslog_of(receiver, certificate, is_encrypted=True)}}, ["it"])
        five(transport)
        with started(given, transport, tmp_path) as desk:
            until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == COUNT, "all are delivered")
        assert desk.metrics.value(DESK_DELIVERIES, "it", "failed") == 0
        assert len(receiver.frames) == COUNT


def test_a_receiver_that_nobody_vouches_for_gets_nothing(
    transport: Transport, tmp_path: Path, certificate: Certificate
) -> None:
    with syslog(certificate.server()) as receiver:
        given = {"host": "localhost", "port": receiver.port}
        five(transport)
        with started(section({"syslog": {"it": given}}, ["it"]), transport, tmp_path) as desk:
            until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "failed") >= 2, "it is tried again")
        assert receiver.frames == []


def test_a_file_that_cant_be_written_gets_everything_once_it_can(transport: Transport, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "alerts.jsonl"
    five(transport)
    with started(section({"files": {"it": {"path": str(path)}}}, ["it"]), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "failed") >= 2, "there is no folder")
        path.parent.mkdir()
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == COUNT, "all are delivered")
        # Whoever rotates the file need not tell the desk.
        path.rename(path.with_suffix(".1"))
        send(transport, alert(9, analytic_uid="later"))
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == COUNT + 1, "into a new file")
    lines = path.with_suffix(".1").read_text().splitlines()
    assert sorted(json.loads(line)["analytic"] for line in lines) == sorted(ELSEWHERE)
    assert [json.loads(line)["analytic"] for line in path.read_text().splitlines()] == ["later"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_line_that_a_crash_has_cut_off_does_not_spoil_the_next_one(transport: Transport, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"id": "cut o')
    send(transport, alert())
    with started(section({"files": {"it": {"path": str(path)}}}, ["it"]), transport, tmp_path) as desk:
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "delivered") == 1, "it is delivered")
    first, second = path.read_text().splitlines()
    assert (first, json.loads(second)["analytic"]) == ('{"id": "cut o', "loop")


def test_a_sink_that_fails_delays_no_other(transport: Transport, private: Private, tmp_path: Path) -> None:
    with web() as broken, web() as working:
        broken.script = ["timeout"] * 1_000
        sinks = {
            "slack": {
                "broken": {"url_file": private("broken", broken.url)},
                "working": {"url_file": private("working", working.url)},
            }
        }
        five(transport)
        given = section(sinks, ["broken", "working"])
        desk = running(given, transport, tmp_path)
        try:
            until(lambda: len(working.posts) == COUNT, "all are delivered there")
            # It may be tried for the first time later than that.
            until(lambda: broken.attempts > 0, "it is tried")
            assert (broken.attempts, broken.posts) == (1, [])

            def waiting() -> list[tuple[str, int]]:
                return [(each["sink"], each["open_count"]) for each in json.loads(desk.view())["sinks"]]

            until(lambda: waiting() == [("broken", COUNT), ("working", 0)], "and wait here")
        finally:
            broken.close()
            desk.close()


def test_a_receiver_that_wants_to_be_left_alone_is(transport: Transport, private: Private, tmp_path: Path) -> None:
    with web() as receiver:
        receiver.script, receiver.retry_after = [429], "1"
        send(transport, alert())
        given = section({"slack": {"it": {"url_file": private("url", receiver.url)}}}, ["it"])
        with started(given, transport, tmp_path):
            until(lambda: len(receiver.posts) == 1, "it is delivered")
        first, second = receiver.attempt_times
        assert second - first >= 1.0


def test_what_a_receiver_cant_read_is_set_aside_and_the_next_goes_on(
    transport: Transport, private: Private, tmp_path: Path
) -> None:
    with web() as receiver:
        receiver.script = [400]
        five(transport)
        given = section({"slack": {"it": {"url_file": private("url", receiver.url)}}}, ["it"])
        with started(given, transport, tmp_path) as desk:
            until(lambda: len(receiver.posts) == COUNT - 1, "the others are delivered")
            until(lambda: len(json.loads(desk.view())["deliveries"]) == 1, "and one waits")
            (waiting,) = json.loads(desk.view())["deliveries"]
            assert (waiting["fault"], waiting["is_set_aside"], waiting["attempts"]) == ("status 400", True, 1)


def test_a_message_on_which_the_desk_fails_is_set_aside_and_the_next_goes_on(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = formats.file_line

    def fails(one: Message) -> bytes:
        if one.analytic == "loop":
            raise ZeroDivisionError
        return whole(one)

    monkeypatch.setattr(formats, "file_line", fails)
    out = tmp_path / "out.jsonl"
    send(transport, alert(1), alert(2, analytic_uid="fine"))
    with started(section({"files": {"it": {"path": str(out)}}}, ["it"]), transport, tmp_path) as desk:
        until(out.exists, "the other is delivered")
        until(lambda: desk.metrics.value(DESK_DELIVERIES, "it", "set_aside") == 1, "and one is set aside")
        assert desk.metrics.value(DESK_DELIVERIES, "it", "failed") == FAILURES_MAX - 1
        (waiting,) = json.loads(desk.view())["deliveries"]
    assert waiting["fault"] == "ZeroDivisionError in the desk"
    assert [json.loads(line)["analytic"] for line in out.read_text().splitlines()] == ["fine"]


def test_a_message_of_another_version_is_set_aside_and_the_next_goes_on(tmp_path: Path) -> None:
    with closing(DeskStore(tmp_path)) as store, store.transaction():
        store.outbox.add([Delivery("it", message()), Delivery("it", replace(message(), uid="other"))])
    with closing(sqlite3.connect(tmp_path / "desk.sqlite")) as file, file:
        file.execute("UPDATE deliveries SET body = x'81a161' WHERE number = 1")
    with closing(DeskStore(tmp_path)) as store:
        found = store.outbox.next_delivery("it")
        assert found is not None
        assert (found.number, found.message.uid) == (2, "other")
        (load,) = store.outbox.loads()
        assert (load.open_count, load.set_aside_count) == (1, 1)


def test_messages_that_were_set_aside_are_forgotten_after_a_time_and_others_are_not(tmp_path: Path) -> None:
    made = [replace(message(), uid=str(made_ms), made_ms=made_ms) for made_ms in (1, 2, 3)]
    with closing(DeskStore(tmp_path)) as store:
        with store.transaction():
            store.outbox.add([Delivery(sink, each) for sink in ("aside", "open") for each in made])
        for number in (1, 2, 3):
            store.outbox.note_fault(number, "status 400", sets_aside=True)
        with store.transaction():
            store.purge(3)
        assert [(each.sink, each.made_ms) for each in store.outbox.open_deliveries(10)] == [
            ("aside", 3),
            ("open", 1),
            ("open", 2),
            ("open", 3),
        ]


def test_the_webhook_is_signed_over_its_id_and_body(transport: Transport, private: Private, tmp_path: Path) -> None:
    with web() as receiver:
        receiver.script = [500]
        send(transport, alert())
        with started(section(http_case("webhooks", receiver.url, private).settings, ["it"]), transport, tmp_path):
            until(lambda: len(receiver.posts) == 1, "it is delivered")
        (post,) = receiver.posts
        assert is_signed(SECRET, post.headers, post.body)
        assert not is_signed(SECRET, post.headers, post.body + b" ")
        assert not is_signed(bytes(32), post.headers, post.body)
        assert post.headers["webhook-id"] == json.loads(post.body)["data"]["id"]
        assert post.headers[SIGNATURE].startswith("v1,")


def test_no_log_line_and_no_view_has_a_secret(
    transport: Transport, private: Private, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The URL of a chat, keys and tokens: neither a failure nor a success names them, whatever the level of the log."""
    caplog.set_level(logging.DEBUG, "streams")
    with ExitStack() as opened:
        receivers = {kind: opened.enter_context(web(202 if kind == "pagerduty" else 200)) for kind in HTTP_KINDS}
        sinks: dict[str, Any] = {}
        for kind, receiver in receivers.items():
            receiver.script = [500, "closed", "timeout"]
            sinks[kind] = {kind: http_case(kind, f"{receiver.url}/T0/secret-of-{kind}", private).settings[kind]["it"]}
        sinks["slack"]["gone"] = {"url_file": private("gone", "http://127.0.0.1:1/hook/secret-of-gone")}
        send(transport, alert())
        with started(section(sinks, [*HTTP_KINDS, "gone"], **IMPATIENT), transport, tmp_path) as desk:
            until(lambda: all(each.posts for each in receivers.values()), "all are delivered")
            until(lambda: desk.metrics.value(DESK_DELIVERIES, "gone", "failed") >= 2, "and one can't be")
            said = caplog.text + desk.view().decode()
    assert "could not be sent to `gone`" in said
    for secret in (KEY, TOKEN, WHSEC, "secret-of", "/hook"):
        assert secret not in said


@pytest.mark.parametrize(
    ("text", "mode", "what"),
    [
        ("", 0o600, "has no secret in its first line"),
        ("two words", 0o600, "has no secret in its first line"),
        (KEY, 0o644, "can be read by others"),
    ],
)
def test_a_secret_that_cant_be_used_stops_the_start(text: str, mode: int, what: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    given = section({"pagerduty": {"it": {"routing_key_file": str(path)}}}, ["it"])
    with pytest.raises(DeskError, match=what):
        build_sinks(given, lambda: 0)


def test_the_url_of_a_chat_must_be_protected_and_no_error_repeats_it(private: Private) -> None:
    given = section({"slack": {"it": {"url_file": private("url", "http://chat.example/secret")}}}, ["it"])
    with pytest.raises(DeskError) as error:
        build_sinks(given, lambda: 0)
    assert "secret" not in str(error.value).replace("in its first line", "")


def test_a_receiver_of_syslog_that_does_not_answer_is_told_as_any_other_sink() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = ("127.0.0.1", closed.getsockname()[1])
    fault = SyslogSink(address, lambda message: b"2 hi", 2_000, tls=None, confirms=True).send(message())
    assert fault is not None
    assert fault.text == "no answer (Connection refused)"


def test_a_receiver_that_talks_instead_of_closing_has_confirmed_nothing() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    address = ("127.0.0.1", listening.getsockname()[1])
    sink = SyslogSink(address, lambda message: b"2 hi", 2_000, tls=None, confirms=True)

    def talk() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            while connection.recv(100):
                pass
            connection.sendall(b"x" * 100_000)

    threading.Thread(target=talk, daemon=True).start()
    fault = sink.send(message())
    listening.close()
    assert fault is not None
    assert "instead of closing" in fault.text


def syslog_of(receiver: Syslog, certificate: Certificate, is_encrypted: bool) -> dict[str, Any]:
    if not is_encrypted:
        return {"host": "127.0.0.1", "port": receiver.port, "tls": False}
    return {"host": "localhost", "port": receiver.port, "ca_file": str(certificate.certificate)}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), x509.DNSName("localhost"))
