"""The forms of messages: a name that a stranger has chosen ends no field, begins no line, and calls nobody."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.desk import formats
from streams.desk.desk import Desk
from streams.desk.messages import Kind, Message, message_of
from streams.desk.routes import Match, Route
from streams.desk.rows import Incident, State, StatusChange
from tests.unit.desk.alerts import T0, alert

replace = msgspec.structs.replace
HOSTILE = 'a|b\\c=d]"<!channel> <https://evil.example|click> &\nCEF:0|x|y|1|2|3|10|cnt=9\r\x00`rm -rf`\u202e\u2028end'


def message(kind: Kind = Kind.NEW, **changes: Any) -> Message:
    given = alert(**changes)
    incident = Incident(
        uid="11111111-1111-8111-8111-111111111111",
        group="g",
        route="all",
        alert=given,
        tags=("AML.T0034.002", "ASI02"),
        severity_id=given.severity_id,
        first_ms=T0,
        last_ms=T0 + 60_000,
        until_ms=T0,
        count=12,
        findings_count=3,
        agents=("agent-1", "agent-2"),
        told_count=1,
    )
    change = StatusChange("finding-1", "acme", "", State.ACKNOWLEDGED, "acknowledged", "ben", "looking", T0)
    is_change = kind in (Kind.ACKNOWLEDGED, Kind.RESOLVED)
    return message_of(incident, kind, T0 + 61_000, change if is_change else None)


def hostile(kind: Kind = Kind.NEW, text: str = HOSTILE) -> Message:
    """A message in which everything that strangers may have chosen is hostile."""
    return replace(
        message(kind), title=text, desc=text, agents=(text,), session_id=text, tenant=text, lines=(text, text), by=text
    )


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Read CEF as its specification has it, independently of what writes it."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    spans = [found.end() for found in re.finditer(r"(?<!\\)(?:\\\\)*\|", line)]
    assert len(spans) >= 7, "there are seven bars before the extension"
    header = [line[start:end] for start, end in zip([0, *spans[:6]], [end - 1 for end in spans[:7]], strict=True)]
    extension = line[spans[6] :]
    assert parts
    marks = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)(?<!\\)=", extension))
    ends = [mark.start() for mark in marks[1:]] + [len(extension)]
    fields = {mark[1]: extension[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    unescaped = {name: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text) for name, text in fields.items()}
    return [re.sub(r"\\(.)", r"\1", each) for each in header], unescaped


def test_cef_of_a_loop() -> None:
    line = formats.cef_line(message(disposition_id=2), "1.2.3")
    header, fields = read_cef(line)
    assert header == [
        "CEF:0",
        "stoplog",
        "stoplog",
        "1.2.3",
        "loop",
        "MEDIUM tool call repeated by agent-1, agent-2 (12 times, 3 findings)",
        "5",
    ]
    assert fields == {
        "externalId": message().uid,
        "rt": str(T0 + 61_000),
        "start": str(T0),
        "end": str(T0 + 60_000),
        "cnt": "12",
        "act": "blocked",
        "cat": "new",
        "suser": "agent-1, agent-2",
        "msg": "the same call 10 times in a row",
        "cs1Label": "incident",
        "cs1": "11111111-1111-8111-8111-111111111111",
        "cs2Label": "finding",
        "cs2": "finding-1",
        "cs3Label": "session",
        "cs3": "session-1",
        "cs4Label": "tags",
        "cs4": "AML.T0034.002,ASI02",
        "cs5Label": "tenant",
        "cs5": "acme",
        "cs6Label": "response",
        "cs6": "stoplog alerts ack finding-1 --key FILE\nstoplog kill --session session-1 --why 'alert finding-1'",
    }


def test_cef_labels_no_text_that_is_not_there() -> None:
    _, fields = read_cef(formats.cef_line(replace(message(), session_id="", tenant=""), "1"))
    assert {name for name in fields if name.startswith(("cs3", "cs5"))} == set()
    assert (fields["cs4Label"], fields["cs6Label"]) == ("tags", "response")


@given(st.text(max_size=200))
def test_no_name_adds_a_field_to_cef_or_a_line_to_syslog(text: str) -> None:
    told = hostile(text=text)
    line = formats.cef_line(told, "1")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    plain, fields = read_cef(formats.cef_line(hostile(text="x"), "1"))
    header, hostile_fields = read_cef(line)
    assert (len(header), header[:5], header[6]) == (len(plain), plain[:5], plain[6])
    assert set(hostile_fields) <= set(fields)
    assert hostile_fields["cnt"] == "12"
    assert hostile_fields["cs1"] == told.incident


def test_a_frame_of_syslog_has_its_length_and_the_form_of_rfc_5424() -> None:
    frame = formats.syslog_frame(message(), "1", "höst 1")
    length, _, line = frame.partition(b" ")
    assert int(length) == len(line)
    match = re.fullmatch(
        rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([\x21-\x7e]+) stoplog - new - (CEF:0\|.*)", line
    )
    assert match is not None
    assert int(match[1]) == 13 * 8 + 4  # log audit, warning
    assert match[3] == b"h-st-1"


@pytest.mark.parametrize("kind", list(Kind))
def test_slack_shows_names_as_they_are_and_calls_nobody(kind: Kind) -> None:
    text = json.loads(formats.slack_body(hostile(kind)))["text"]
    assert "<" not in text.replace("&lt;", "")
    assert ">" not in text.replace("&gt;", "")
    lines = text.split("\n")
    assert not any(line.startswith("CEF:0") for line in lines), "a line end in a name is a space"
    assert lines[0].startswith("*MEDIUM ")


def written(told: Message) -> list[str]:
    """The lines of a chat message that are no commands of its own."""
    text = json.loads(formats.slack_body(told))["text"]
    assert len(text) <= formats.TEXT_CHARS_MAX
    return [line for line in text.split("\n") if not re.fullmatch("`[^`]*`", line)]


@pytest.mark.parametrize("kind", list(Kind))
@given(text=st.one_of(st.text(max_size=60), st.text("@#*_~`[]()!<>&|:/.wachnel \n", max_size=60)))
def test_what_a_stranger_has_chosen_has_no_meaning_in_any_chat(kind: Kind, text: str) -> None:
    for name in (text, f"@{text}", f"[sign in](https://{text}", f"`{text}", f"www.{text}"):
        for line in written(hostile(kind, name)):
            shown = line[1:-1] if line.startswith("*") else line
            assert not re.search(r"@\w", shown), "a mention"
            assert not re.search(r"://|\]\(|\]\[|www\.", shown, re.IGNORECASE), "a link"
            assert "`" not in shown, "code, which would end where a command begins"
            assert not re.search(r"[*~]{2}|\*\w|~\w", shown), "a mark"


def test_names_that_are_words_are_shown_to_the_character() -> None:
    told = message(agent="mail_bot-1", title="tool call repeated: mail/send_all (v1.2)", desc="it's 3 x 4: a_b_c, 50%")
    lines = written(told)
    assert "tool call repeated: mail/send_all (v1.2) by agent-1" in lines[0]
    assert lines[1] == "it's 3 x 4: a_b_c, 50%"


@pytest.mark.parametrize("text", ["&" * 650, "<" * 800, "x" * 4_000, "@" * 4_000, "a`" * 2_000, "&lt;" * 500])
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.UPDATE, Kind.ESCALATION])
def test_no_name_pushes_the_commands_or_the_counts_out_of_a_chat(kind: Kind, text: str) -> None:
    told = replace(hostile(kind, text), lines=(), title="tool call repeated")
    lines = json.loads(formats.slack_body(told))["text"].split("\n")
    assert lines[-2:] == [f"`{ACKNOWLEDGE}`", "`stoplog kill --session session-1 --why 'alert finding-1'`"]
    assert "loop, AML.T0034.002, ASI02, tenant " in lines[2]
    for line in lines[:-2]:
        assert not re.search(r"&(?!amp;|lt;|gt;)", line), "no escape is cut"


def test_a_summary_counts_the_lines_for_which_a_chat_has_no_room() -> None:
    told = replace(message(Kind.SUMMARY), lines=("<" * 200,) * 20, left_out_count=7)
    lines = json.loads(formats.slack_body(told))["text"].split("\n")
    listed = [line for line in lines if line.startswith("- ")]
    assert 0 < len(listed) < 20
    assert f"and {20 - len(listed) + 7} more" in lines


def test_slack_says_what_to_do() -> None:
    text = json.loads(formats.slack_body(message()))["text"]
    assert text == (
        "*MEDIUM tool call repeated by agent-1, agent-2 (12 times, 3 findings)*\n"
        "the same call 10 times in a row\n"
        "loop, AML.T0034.002, ASI02, tenant acme\n"
        "`stoplog alerts ack finding-1 --key FILE`\n"
        "`stoplog kill --session session-1 --why 'alert finding-1'`"
    )
    acknowledged = json.loads(formats.slack_body(message(Kind.ACKNOWLEDGED)))["text"]
    assert acknowledged.split("\n") == [
        "*MEDIUM acknowledged: tool call repeated by agent-1, agent-2 (12 times, 3 findings)*",
        "by ben: acknowledged: looking",
    ]


ACKNOWLEDGE = "stoplog alerts ack finding-1 --key FILE"
LOOK = "stoplog alerts show finding-1"


@pytest.mark.parametrize("kind", [Kind.NEW, Kind.UPDATE, Kind.ESCALATION])
def test_every_form_has_the_command_that_acknowledges_also_when_everything_else_is_long(kind: Kind) -> None:
    long = "<&" * 4_000
    told = message(kind, title=long, desc=long, suggested_response=(long, long), session_id=long)
    assert json.loads(formats.webhook_body(told))["data"]["responses"][0] == ACKNOWLEDGE
    assert json.loads(formats.file_line(told))["responses"][0] == ACKNOWLEDGE
    assert json.loads(formats.splunk_body(told, "prod", None))["event"]["responses"][0] == ACKNOWLEDGE
    event = json.loads(formats.pagerduty_body(told, "key", "prod"))
    assert event["payload"]["custom_details"]["responses"][0] == ACKNOWLEDGE
    assert read_cef(formats.cef_line(told, "1"))[1]["cs6"].startswith(f"{ACKNOWLEDGE}\n")
    text = json.loads(formats.slack_body(told))["text"]
    assert len(text) <= formats.TEXT_CHARS_MAX
    # The commands that are left out are too long, and none is cut off.
    assert text.split("\n")[-2:] == [f"`{ACKNOWLEDGE}`", f"`{LOOK}`"]


def shown_commands(told: Message) -> dict[str, list[str]]:
    """The commands of a message in each form, as a person who reads it has them."""
    lines = json.loads(formats.slack_body(told))["text"].split("\n")
    fields = read_cef(formats.cef_line(told, "1"))[1]
    return {
        "chat": [line[1:-1] for line in lines if line.startswith("`")],
        "cef": fields["cs6"].split("\n"),
        "webhook": json.loads(formats.webhook_body(told))["data"]["responses"],
        "file": json.loads(formats.file_line(told))["responses"],
        "splunk": json.loads(formats.splunk_body(told, "prod", None))["event"]["responses"],
        "pager": json.loads(formats.pagerduty_body(told, "key", "prod"))["payload"]["custom_details"]["responses"],
    }


@given(
    st.lists(
        st.one_of(
            st.text(max_size=40),
            st.text("`'\"\\\n\r\x00&<>;$| \u2028\u202ea", max_size=12),
            st.text(min_size=900, max_size=999),
        ),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_a_command_is_shown_as_the_alert_has_it_or_left_out(names: list[str]) -> None:
    """A person copies it into a shell, which would run what follows the name if its quotes were changed."""
    commands = [f"stoplog kill --agent {shlex.quote(name)} --why 'alert finding-1'" for name in names]
    told = message(suggested_response=tuple(commands))
    for form, shown in shown_commands(told).items():
        assert shown[0] == ACKNOWLEDGE, form
        assert set(shown) <= {ACKNOWLEDGE, LOOK, *commands}, form
        assert (LOOK in shown) is (set(commands) - set(shown) != set()), form
        for each in shown:
            assert "`" not in each
            assert not re.search(r"[\x00-\x1f]", each)


def test_a_name_runs_nothing_in_the_shell_of_a_person_who_copies_the_command() -> None:
    name = "bot`;touch pwned;echo `"
    command = f"stoplog kill --agent {shlex.quote(name)} --why 'alert finding-1'"
    for form, shown in shown_commands(message(suggested_response=(command, "stoplog tail audit"))).items():
        assert shown == [ACKNOWLEDGE, "stoplog tail audit", LOOK], form


def test_an_id_that_strangers_have_chosen_is_quoted_too() -> None:
    told = message(finding_uid="x;touch pwned", suggested_response=("stoplog kill `",))
    for form, shown in shown_commands(told).items():
        words = ["stoplog", "alerts", "ack", "x;touch pwned", "--key", "FILE"]
        assert [shlex.split(each) for each in shown] == [words, ["stoplog", "alerts", "show", "x;touch pwned"]], form
    for form, shown in shown_commands(message(finding_uid="x`y", suggested_response=())).items():
        assert shown == ["stoplog alerts list"], form


@pytest.mark.parametrize("kind", [Kind.ACKNOWLEDGED, Kind.RESOLVED])
def test_what_somebody_looks_after_asks_nobody_to_acknowledge_it(kind: Kind) -> None:
    assert not any("alerts ack" in each for each in message(kind).responses)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Kind.NEW, "trigger"),
        (Kind.UPDATE, "trigger"),
        (Kind.ESCALATION, "trigger"),
        (Kind.ACKNOWLEDGED, "acknowledge"),
        (Kind.RESOLVED, "resolve"),
    ],
)
def test_all_events_of_an_incident_are_one_incident_of_the_pager(kind: Kind, action: str) -> None:
    event = json.loads(formats.pagerduty_body(message(kind), "key", "prod"))
    assert (event["routing_key"], event["event_action"]) == ("key", action)
    assert event["dedup_key"] == "11111111-1111-8111-8111-111111111111"
    assert ("payload" in event) is (action == "trigger")
    if action == "trigger":
        payload = event["payload"]
        assert set(payload) >= {"summary", "source", "severity"}, "required by Events API v2"
        assert payload["severity"] in {"critical", "error", "warning", "info"}
        assert len(payload["summary"]) <= 1_024


def test_an_event_for_splunk_has_the_message_and_the_finding() -> None:
    event = json.loads(formats.splunk_body(message(), "prod", "soc"))
    assert (event["index"], event["host"], event["sourcetype"]) == ("soc", "prod", "stoplog:alert")
    assert float(event["time"]) == (T0 + 61_000) / 1_000
    assert event["event"]["ocsf"]["class_uid"] == 2004
    assert "index" not in json.loads(formats.splunk_body(message(), "prod", None))


@given(st.text(max_size=100))
def test_a_line_of_the_file_is_one_line(text: str) -> None:
    line = formats.file_line(hostile(text=text))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["title"] == text


def test_every_kind_has_a_headline_of_one_line() -> None:
    for kind in Kind:
        assert "\n" not in formats.headline(hostile(kind))
    assert formats.headline(message(Kind.ESCALATION)).startswith("MEDIUM nobody has acknowledged: ")


def test_the_id_of_a_message_is_the_same_for_each_attempt() -> None:
    assert message().uid == message().uid
    assert len({message(kind).uid for kind in Kind}) == len(Kind)
    assert Desk((Route(name="all", match=Match(), sinks=("x",)),), (), 1)
