"""The tutorials, followed to the letter: every file is written and every command is run, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.reader import follow


def test_the_tutorial_on_rules_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = follow("tutorial/first-rule.md", tmp_path, monkeypatch, capfd)
    assert reader.commands_count >= 10
    assert reader.lines_count >= 40


def test_the_tutorial_on_agents_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = follow("tutorial/first-agent.md", tmp_path, monkeypatch, capfd)
    assert reader.commands_count >= 15
    assert reader.lines_count >= 12
