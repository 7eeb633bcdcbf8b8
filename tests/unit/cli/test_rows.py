"""Lines for people: any record gives one, and nothing in it reaches the terminal as more than text."""

from __future__ import annotations

import json
import logging
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from simulation.records import header
from streams.cli.terminal.log_output import JsonFormatter, LineFormatter
from streams.cli.unlogged import LabelledHandler
from streams.cli.views.rows import Row, event_row, heading, letter_row, line_of, row_of
from streams.codec.ocsf import handled_finding
from streams.model.alert_status import AlertState, AlertStatus
from streams.model.audit import AuditCheckpoint
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.topics import BY_NAME
from streams.operations.topics.tail import SUBJECTS, DeadLetter
from tests.records import RECORD_TOPICS, RECORD_TYPES, records

TIME_MS = 1_764_061_200_123
HOSTILE = "\x1b]0;owned\x07\u202egnp.exe\r\n\x9b2J"
LINES_MAX = 5


EXAMPLES_MAX = 60


def is_harmless(text: str) -> bool:
    """Whether nothing in it controls a terminal, or hides; line ends are ours."""
    return not any(unicodedata.category(character)[0] == "C" for character in text.replace("\n", ""))


@settings(max_examples=EXAMPLES_MAX, deadline=None)
@given(st.data(), st.sampled_from(RECORD_TOPICS), st.integers(20, 300))
def test_any_record_gives_a_line(data: st.DataObject, topic: str, width_chars: int) -> None:
    record = data.draw(records(RECORD_TYPES[topic]))
    line = line_of(row_of(record), TIME_MS, width_chars).plain
    assert line.startswith("09:00:00.123  ")
    assert is_harmless(line)
    assert line.count("\n") < LINES_MAX


@settings(max_examples=EXAMPLES_MAX, deadline=None)
@given(st.text(), st.text(), st.integers(20, 300))
def test_any_dead_letter_gives_a_line(text: str, key: str, width_chars: int) -> None:
    letter = DeadLetter("agent.intent.v1", "0", "7", "record_truncated", text, b"")
    line = line_of(letter_row(letter, key.encode("utf-8", "replace")), TIME_MS, width_chars).plain
    assert is_harmless(line)
    assert "DEAD LETTER" in line


@pytest.mark.parametrize("width_chars", [80, 100, 120])
@pytest.mark.parametrize("word", ["word ", "no-space-in-it"])
def test_long_reasons_go_on_below(width_chars: int, word: str) -> None:
    letter = DeadLetter("t", "0", "7", "reason", word * 90, b"")
    lines = line_of(letter_row(letter, b"acme|s-1"), TIME_MS, width_chars).plain.split("\n")
    assert len(lines) == 4
    assert all(len(line) <= width_chars for line in lines)
    assert all(line.startswith(" " * 14) for line in lines[1:])
    assert lines[-1].endswith("…")


def test_a_long_name_is_not_cut_off_on_a_narrow_terminal() -> None:
    row = Row("ALERT HIGH", "", "s-1", "delegation_arguments_not_granted", "why")
    lines = line_of(row, TIME_MS, 80).plain.split("\n")
    assert [line.strip() for line in lines[1:]] == ["delegation_arguments_not_granted", "why"]
    assert "some_reason_of_26_letters_" in line_of(row._replace(call="some_reason_of_26_letters_"), TIME_MS, 80).plain


def test_what_people_do_with_an_alert_has_its_alert_and_who_and_why() -> None:
    status = AlertStatus(
        header=header("status", TIME_MS),
        finding_uid="f-1",
        status=AlertState.RESOLVED,
        dedup_key="k",
        by_user="ann",
        reason="a release",
        title="a loop",
        severity_id=4,
    )
    row = event_row(handled_finding(status))
    assert (row.what, row.call, row.why) == ("OCSF HIGH", "f-1", "resolved: a loop: ann: a release")


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("width_chars", [40, 120, 200])
def test_the_heading_fits(subject: str, width_chars: int) -> None:
    assert len(heading(subject, width_chars).plain) <= width_chars


@pytest.mark.parametrize("width_chars", [80, 200])
def test_a_column_stands_under_its_name(width_chars: int) -> None:
    """The rule of an alert is no call, and the kind of a stop neither."""
    row = Row("ALERT HIGH", "", "s-1", "PROV-020", "why")
    line, head = line_of(row, TIME_MS, width_chars).plain, heading("alerts", width_chars).plain
    assert head.index("found by") == line.index("PROV-020")
    assert head.index("session") == line.index("s-1")
    assert heading("revocations", width_chars).plain.split()[-3:] == ["name", "kind", "why"]
    assert "call" in heading("verdicts", width_chars).plain


def test_a_stop_is_shown_by_its_own_name() -> None:
    """With its tenant before it, the column would have no room for it."""
    stop = Revocation(
        header=header("stop", TIME_MS),
        kind=RevocationKind.SESSION,
        id="a-long-tenant|s-1",
        state=RevocationState.REVOKED,
        reason="a drill",
        initiating_entity="ann",
        effective_at=TIME_MS,
    )
    row = row_of(stop)
    assert (row.session, row.call, row.why) == ("s-1", "session", "a drill (by ann, tenant a-long-tenant)")
    everything = row_of(replace(stop, kind=RevocationKind.ALL, id="*"))
    assert (everything.session, everything.why) == ("*", "a drill (by ann)")


def test_every_subject_names_topics_that_exist() -> None:
    assert all(topic in BY_NAME for topics in SUBJECTS.values() for topic in topics)


def log_record(text: str) -> logging.LogRecord:
    return logging.LogRecord("streams.engine", logging.WARNING, "worker.py", 1, text, (), None)


def test_log_lines_for_programs_are_json_and_for_people_are_harmless() -> None:
    fields = json.loads(JsonFormatter().format(log_record(HOSTILE)))
    assert (fields["level"], fields["logger"], fields["text"]) == ("warning", "streams.engine", HOSTILE)
    assert fields["time"].endswith("Z")
    line = LineFormatter().format(log_record(HOSTILE))
    assert is_harmless(line)
    assert "warning: \\x1b]0;owned" in line


def test_no_text_in_the_log_looks_like_another_line_of_it() -> None:
    line = LineFormatter().format(log_record("a\n12:00:00 warning: b"))
    assert line.split("\n")[1:] == ["  12:00:00 warning: b"]


def test_a_warning_of_a_command_has_no_color_where_no_terminal_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    LabelledHandler().emit(log_record("the broker is away"))
    assert capsys.readouterr().err == "warning: the broker is away\n"


@pytest.mark.parametrize(("size", "told"), [(1, "1 record"), (2, "2 records")])
def test_a_head_counts_its_records(size: int, told: str) -> None:
    head = AuditCheckpoint(
        header=header("head", TIME_MS),
        partition=0,
        tree_size=size,
        root=b"r" * 32,
        first_audit_offset=0,
        signed_head="",
    )
    assert row_of(head).why == told
