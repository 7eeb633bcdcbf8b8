"""`stoplog desk show`, `test` and `retry`, and what is said of settings that can't be right."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509

from streams.desk.messages import Delivery
from streams.services.desk.store import DeskStore
from tests.certificates import make_certificate
from tests.unit.cli.conftest import Stoplog
from tests.unit.desk.test_formats import message
from tests.unit.services.desk.receivers import syslog, web

SETTINGS = """
[desk.files.siem]
path = "alerts.jsonl"
[desk.files.chat]
path = "missing/alerts.jsonl"
[[desk.routes]]
name = "all"
sinks = ["siem", "chat"]
"""


@pytest.fixture
def configured(home: Path) -> Path:
    (home / "stoplog.toml").write_text(SETTINGS)
    return home


def keep(home: Path, *sinks: str) -> None:
    """Let a message wait for sinks, which the first of them can't take."""
    with closing(DeskStore(home / ".stoplog" / "desk")) as store:
        with store.transaction():
            store.outbox.add([Delivery(sink, message()) for sink in sinks])
        found = store.outbox.next_delivery(sinks[0])
        assert found is not None
        store.outbox.note_fault(found.number, "status 400", sets_aside=True)


def test_what_waits_is_shown_with_the_last_answer(stoplog: Stoplog, configured: Path) -> None:
    keep(configured, "chat", "siem", "old")
    shown = stoplog("desk", "show", "--no-json")
    assert shown.status == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["sink", "waiting", "set", "aside", "the", "oldest", "since"] in lines
    assert next(line for line in lines if line[:1] == ["chat"])[1:3] == ["0", "1"]
    assert next(line for line in lines if line[:1] == ["siem"])[1:3] == ["1", "0"]
    assert "not in the settings any more" in next(line for line in shown.out.splitlines() if line.startswith("old"))
    assert "status 400 (set aside)" in shown.out
    assert "stoplog desk retry" in shown.out
    records = stoplog("desk", "show", "--json").records
    assert [each["waiting"] for each in records if "waiting" in each] == [0, 1, 1]
    assert {each["message"] for each in records if "message" in each} == {message().uid}
    assert [each["incidents"] for each in records if "incidents" in each] == [
        {"open": 0, "acknowledged": 0, "closed": 0}
    ]


def test_what_was_set_aside_is_sent_again(stoplog: Stoplog, configured: Path) -> None:
    keep(configured, "chat", "siem")
    assert stoplog("desk", "retry", "siem", "--json").records == [{"sink": "siem", "retried": 0}]
    retried = stoplog("desk", "retry", "--no-json")
    assert (retried.status, retried.out.strip()) == (0, "1 message will be sent again")
    with closing(DeskStore(configured / ".stoplog" / "desk")) as store:
        assert store.outbox.next_delivery("chat") is not None


def test_several_sinks_are_tried_again_also_one_of_former_settings_and_no_unknown_one(
    stoplog: Stoplog, configured: Path
) -> None:
    keep(configured, "old", "siem")
    unknown = stoplog("desk", "retry", "chta")
    assert unknown.status == 1
    assert "no sink `chta`; they have `chat`, `old`, `siem`" in unknown.err
    assert stoplog("desk", "retry", "old", "chat", "--json").records == [
        {"sink": "old", "retried": 1},
        {"sink": "chat", "retried": 0},
    ]


def test_a_test_says_what_each_sink_answers_and_fails_with_one(stoplog: Stoplog, configured: Path) -> None:
    tested = stoplog("desk", "test", "--no-json")
    assert tested.status == 1
    first, second = sorted(tested.out.splitlines())
    assert first == "chat: `missing/alerts.jsonl` can't be written: No such file or directory"
    assert second == "siem: accepted"
    assert stoplog("desk", "test", "siem").status == 0
    assert [json.loads(line)["kind"] for line in (configured / "alerts.jsonl").read_text().splitlines()] == ["test"] * 2


def test_a_test_says_why_there_is_no_answer_and_not_where_it_was_sent(stoplog: Stoplog, home: Path) -> None:
    url = home / "url"
    (home / "stoplog.toml").write_text(f'[desk.slack.chat]\nurl_file = "{url}"\n')
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        nobody = taken.getsockname()[1]
    certificate = make_certificate(home, x509.DNSName("localhost"))
    with syslog(certificate.server()) as receiver:
        for place, why in (
            (f"http://127.0.0.1:{nobody}", "Connection refused"),
            (f"https://localhost:{receiver.port}", "certificate not accepted: self-signed certificate"),
        ):
            url.unlink(missing_ok=True)
            url.touch(mode=0o600)
            url.write_text(f"{place}/services/secret")
            tested = stoplog("desk", "test", "--no-json")
            assert (tested.status, tested.out) == (1, f"chat: no answer ({why})\n")


def test_a_test_without_sinks_is_no_success(stoplog: Stoplog) -> None:
    for form in ("--json", "--no-json"):
        tested = stoplog("desk", "test", form)
        assert (tested.status, tested.out) == (1, "")
        assert tested.err.startswith("error: the settings have no sinks: add one")


def test_a_test_leaves_no_incident_open_at_the_pager(stoplog: Stoplog, configured: Path) -> None:
    with web(202) as receiver:
        key = configured / "key"
        key.touch(mode=0o600)
        key.write_text("pagerduty-key-1234567890\n")
        pager = f'[desk.pagerduty.pager]\nurl = "{receiver.url}"\nrouting_key_file = "key"\n'
        (configured / "stoplog.toml").write_text(pager + SETTINGS)
        assert stoplog("desk", "test", "pager").status == 0
        events = [json.loads(post.body) for post in receiver.posts]
    assert [each["event_action"] for each in events] == ["trigger", "resolve"]
    assert len({each["dedup_key"] for each in events}) == 1


def test_a_test_of_one_sink_does_not_need_the_secrets_of_others(stoplog: Stoplog, configured: Path) -> None:
    unready = '[desk.slack.unready]\nurl_file = "missing"\n'
    (configured / "stoplog.toml").write_text(unready + SETTINGS)
    assert stoplog("desk", "test", "siem").status == 0
    assert "missing" in stoplog("desk", "test", "unready").err


def test_a_sink_that_there_is_not_is_named_with_those_that_there_are(stoplog: Stoplog, configured: Path) -> None:
    unknown = stoplog("desk", "test", "pager")
    assert unknown.status == 1
    assert "no sink `pager`; they have `siem`, `chat`" in unknown.err


def test_without_a_desk_there_is_nothing_to_show(stoplog: Stoplog, configured: Path) -> None:
    shown = stoplog("desk", "show")
    assert shown.status == 1
    assert "it has not run there yet" in shown.err


@pytest.mark.parametrize(
    ("written", "instead", "what"),
    [
        ('path = "alerts.jsonl"', 'path = "alerts.jsonl"\ncolour = "red"', "`stoplog.toml:4`"),
        ('sinks = ["siem", "chat"]', 'sinks = ["siem"]\nseverity = "loud"', "`stoplog.toml:9`"),
        ('sinks = ["siem", "chat"]', 'sinks = ["pager"]', "names a sink that there is not: `pager`"),
    ],
)
def test_wrong_settings_are_named_with_their_line(
    stoplog: Stoplog, home: Path, written: str, instead: str, what: str
) -> None:
    (home / "stoplog.toml").write_text(SETTINGS.replace(written, instead))
    refused = stoplog("desk", "test")
    assert refused.status != 0
    assert what in refused.err


def test_a_route_to_no_sink_names_those_that_there_are(stoplog: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text(SETTINGS.replace('sinks = ["siem", "chat"]', 'sinks = ["pager"]'))
    told = stoplog("desk", "test").err.strip()
    assert "names a sink that there is not: `pager`; the sinks are `" in told
    assert told.endswith("`"), "the section itself is not repeated"
    assert "value error" not in told
    assert "got `" not in told


def test_a_desk_without_a_log_does_not_start(stoplog: Stoplog, configured: Path) -> None:
    started = stoplog("desk")
    assert started.status == 1
    assert "there is no embedded log" in started.err
