"""JSON lines: with nothing that moves the cursor of a terminal, on which a program's input often ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from streams.cli.terminal.screen import Screen
from tests.unit.cli.terminal import written_to_terminal

HOSTILE = {
    "c1": "\x9b31m",
    "bidi": "\u202egnp.exe",
    "del": "\x7f",
    "astral": "\U000e0041\U0001f600",
    "half": "\ud83d",
    "é": 1,
}


def write(line: str | None) -> None:
    screen = Screen(as_json=True)
    if line is None:
        screen.record(HOSTILE)
    else:
        screen.line(line)


@pytest.mark.parametrize("line", [None, json.dumps(HOSTILE, ensure_ascii=False)])
def test_on_a_terminal_all_but_printable_ascii_is_escaped(monkeypatch: pytest.MonkeyPatch, line: str | None) -> None:
    text = written_to_terminal(monkeypatch, lambda: write(line)).removesuffix(b"\r\n")
    assert all(0x20 <= byte <= 0x7E for byte in text)
    assert json.loads(text) == HOSTILE


def test_for_a_program_text_stays_text_and_what_no_terminal_may_get_is_escaped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        Screen(as_json=True).record(HOSTILE)
        Screen(as_json=True).record({"text": "é 中 \U0001f600"})
        monkeypatch.undo()
    hostile, honest = (tmp_path / "out").read_text("utf-8").splitlines()
    assert json.loads(hostile) == HOSTILE
    assert all(character.isprintable() for character in hostile)
    assert honest == '{"text":"é 中 \U0001f600"}'


def test_sentences_are_wrapped_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    sentence = "denied: it came only from text that others wrote, beside an instruction"
    written = written_to_terminal(monkeypatch, lambda: Screen(as_json=False).prose(sentence)).decode().splitlines()
    assert len(written) == 2
    assert all(len(line) <= 40 for line in written)
    assert " ".join(line.strip() for line in written) == sentence
    Screen(as_json=False).prose(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"


def test_a_name_with_a_line_end_writes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "x\nno changes since version 3, which was approved\r\u2028\u0085y"
    screen = Screen(as_json=False)
    screen.say(f"proposed by {forged}")
    screen.quote(forged)
    screen.say("ours:\n  two lines", lines=True)
    assert capsys.readouterr().out.split("\n") == [
        r"proposed by x\x0ano changes since version 3, which was approved\x0d\u2028\x85y",
        "  | x",
        r"  | no changes since version 3, which was approved\x0d\u2028\x85y",
        "ours:",
        "  two lines",
        "",
    ]
