"""The demonstration when what it needs is not there, and what commands need that look at it afterwards."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console
from stoplog_demo.command import WhatNext
from stoplog_demo.deployment import demo_settings, demonstrate, state_dir
from stoplog_demo.story import StoryView

from streams.audit.signatures import SigningKey
from streams.wiring.settings_loading import load_settings


def test_a_terminal_is_left_as_it_was_if_the_log_can_not_be_opened(tmp_path: Path) -> None:
    state_dir(tmp_path).write_text("a file, where the folder should be")
    stream = io.StringIO()
    view = StoryView(Console(file=stream, force_terminal=True, width=100, color_system=None))
    with pytest.raises(NotADirectoryError):
        demonstrate(demo_settings(tmp_path, None), tmp_path, view, lambda _: [])
    hidden, shown_again = stream.getvalue().rfind("\x1b[?25l"), stream.getvalue().rfind("\x1b[?25h")
    assert 0 <= hidden < shown_again


def test_on_a_cluster_commands_are_told_to_trust_what_its_gate_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_gate = demo_settings(tmp_path, "broker:9092")
    for command, _ in WhatNext("broker:9092", None)(None):
        for word in shlex.split(command):
            name, is_variable, value = word.partition("=")
            if is_variable and name.startswith("STOPLOG_"):
                monkeypatch.setenv(name, value)
    of_commands = load_settings()
    for name in ("log", "bootstrap", "rules", "catalog", "release"):
        assert getattr(of_commands, name) == getattr(of_the_gate, name), name
    assert of_commands.topics.prefix == of_the_gate.topics.prefix


def test_where_people_are_named_commands_are_not_told_to_trust_what_nobody_has_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stoplog.toml").write_text(f'[release.releasers]\nann = "{SigningKey.made().public}"\n')
    told = " ".join(command for command, _ in WhatNext("broker:9092", None)(None))
    assert "STOPLOG_RULES__ALLOW_UNSIGNED=true" in told
    assert "STOPLOG_RELEASE" not in told


@pytest.mark.parametrize("bootstrap", [None, "broker:9092"])
def test_it_takes_from_the_settings_of_this_machine_only_the_cluster_and_what_is_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bootstrap: str | None
) -> None:
    plain = demo_settings(tmp_path, bootstrap)
    monkeypatch.chdir(tmp_path)
    Path("stoplog.toml").write_text(
        '[kafka]\n"security.protocol" = "SSL"\n[seal]\nkey_file = "seal.key"\n[gate]\ndeployment = "prod"\n'
        '[content]\ncapture = ["arguments"]\n'
    )
    found = demo_settings(tmp_path, bootstrap)
    for name in ("seal", "gate"):
        assert getattr(found, name) == getattr(plain, name), name
    assert list(found.content.capture) == ["arguments"]
    assert found.kafka == ({} if bootstrap is None else {"security.protocol": "SSL"})
