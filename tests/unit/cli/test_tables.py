"""Tables on terminals of different widths: nothing is cut off, and what names a thing can be copied."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from streams.cli.terminal.screen import Screen
from tests.unit.cli.terminal import written_to_terminal

COLUMNS = ("entry", "version", "state", "status", "owner", "signed by")
ENTRY = "git/git_create_branch@b3a561726c4a4f3f15cbd93e87279c11b4da5493"
ROWS = ((ENTRY, "1", "approved", "in force", "-", "operator@example.com"), (f"{ENTRY[:-1]}4", "2", "open", "", "-", ""))


def shown(
    monkeypatch: pytest.MonkeyPatch, width: int, columns: tuple[str, ...], rows: Sequence[Sequence[str]]
) -> list[str]:
    """What a terminal of this width shows of a table, line by line."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    written = written_to_terminal(monkeypatch, lambda: Screen(as_json=False).table(columns, rows))
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).splitlines()]


def test_on_a_wide_terminal_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 140, COLUMNS, ROWS)
    assert [line.split() for line in lines] == [
        ["entry", "version", "state", "status", "owner", "signed", "by"],
        [ENTRY, "1", "approved", "in", "force", "-", "operator@example.com"],
        [f"{ENTRY[:-1]}4", "2", "open", "-"],
    ]


def test_a_column_that_is_squeezed_is_folded_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 122, COLUMNS, ROWS)
    assert max(map(len, lines)) <= 122
    assert lines[1].split()[:3] == [ENTRY, "1", "approved"]
    assert "operator@example.com" in "".join(line.split()[-1] for line in lines[1:4])


def test_names_get_the_room_that_there_is_before_what_can_be_wrapped_between_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = ("tenant", "agent", "tool", "first call", "last call")
    when = ("2026-11-30 06:14:23.253", "2026-11-30 06:14:24.046")
    lines = shown(monkeypatch, 90, columns, [("acme", "office-assistant", "git/git_create_branch", *when)])
    assert lines[1].split()[:3] == ["acme", "office-assistant", "git/git_create_branch"]
    assert len(lines) == 3


def test_the_digest_of_rules_stays_in_one_piece_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ("serial", "in force for", "version", "digest", "published", "by", "signed by", "action")
    rows = [("3", "all", "1", "456bb57f5948", "2026-11-29 07:01:36", "root", "-", "rollback")]
    lines = shown(monkeypatch, 80, columns, rows)
    assert max(map(len, lines)) <= 80
    assert any("456bb57f5948" in line.split() for line in lines)


def test_on_a_narrow_terminal_columns_without_content_leave_their_room_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns, rows = (
        ("tool", "review expires", "owner", "signed by"),
        [("mail/send_a_long_message", "-", "team-mail", "")],
    )
    assert shown(monkeypatch, 40, columns, rows) == [
        "tool                      owner",
        "mail/send_a_long_message  team-mail",
    ]
    assert shown(monkeypatch, 80, columns, rows)[0].split() == ["tool", "review", "expires", "owner", "signed", "by"]


def test_where_the_columns_have_no_room_each_cell_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 80, COLUMNS, ROWS) == [
        f"entry      {ENTRY}",
        "version    1",
        "state      approved",
        "status     in force",
        "signed by  operator@example.com",
        "",
        f"entry      {ENTRY[:-1]}4",
        "version    2",
        "state      open",
    ]


def test_a_long_name_of_somebody_else_does_not_hide_what_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"/inputSchema/properties/{'a' * 200}\x1b[2J"
    rows = [("high", name, "tells the model to ignore its instructions", "ignore all earlier instructions")]
    lines = shown(monkeypatch, 80, ("concern", "where", "what", "text"), rows)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for word in ("tells", "model", "ignore", "instructions"):
        assert word in text
    assert "\x1b" not in text


def test_a_table_without_names_of_columns_begins_with_its_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("agent", "office-assistant"), ("alert", "afdc2ea2-0aa7-8a62-af2d-7ec20c7f3d0e")]
    assert shown(monkeypatch, 80, ("", ""), rows) == [f"agent  {rows[0][1]}", f"alert  {rows[1][1]}"]
