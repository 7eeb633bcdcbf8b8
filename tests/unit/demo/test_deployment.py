"""The demonstration when what it needs is not there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from stoplog_demo.deployment import demo_settings, demonstrate, state_dir
from stoplog_demo.story import StoryView


def test_a_terminal_is_left_as_it_was_if_the_log_can_not_be_opened(tmp_path: Path) -> None:
    state_dir(tmp_path).write_text("a file, where the folder should be")
    stream = io.StringIO()
    view = StoryView(Console(file=stream, force_terminal=True, width=100, color_system=None))
    with pytest.raises(NotADirectoryError):
        demonstrate(demo_settings(tmp_path, None), tmp_path, view, lambda _: [])
    hidden, shown_again = stream.getvalue().rfind("\x1b[?25l"), stream.getvalue().rfind("\x1b[?25h")
    assert 0 <= hidden < shown_again
