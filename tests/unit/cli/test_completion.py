"""Completion: with the script that is printed, in a real bash; for the other shells by what their scripts ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli.main import COMMANDS, COMPLETE_VARIABLE, Shell
from tests.unit.cli.conftest import Stoplog


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a program `stoplog`, which runs this code."""
    program = tmp_path / "bin" / "stoplog"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m streams.cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def bash_completes(path: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    bash = shutil.which("bash")
    assert bash is not None, "these tests need bash"
    typed = " ".join(f"'{word}'" for word in ("stoplog", *words))
    script = (
        'eval "$(stoplog --completion bash)"; '
        f'COMP_WORDS=({typed}); COMP_CWORD={len(words)}; COMP_LINE="stoplog {" ".join(words)}"; '
        "declared=$(complete -p stoplog); function=${declared#*-F }; ${function%% *} stoplog; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "--norc", "--noprofile", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ses",), {"session"}),
        (("session", ""), {"show", "list"}),
        (("rules", "p"), {"publish", "promote"}),
        (("tail", "ver"), {"verdicts"}),
        (("kill", "--to"), {"--tool"}),
        (("rules", "explain", "--int"), {"--intent"}),
        (("keys", "publisher", ""), {"new"}),
    ],
)
def test_bash_completes_commands_choices_and_options(path: str, words: tuple[str, ...], offered: set[str]) -> None:
    assert set(bash_completes(path, *words)) == offered


def test_bash_lists_every_command(path: str) -> None:
    assert set(bash_completes(path, "")) == set(COMMANDS)


@pytest.mark.parametrize(
    ("instruction", "asked"),
    [
        ("complete_zsh", {"_TYPER_COMPLETE_ARGS": "stoplog session s"}),
        ("complete_fish", {"_TYPER_COMPLETE_ARGS": "stoplog session s", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_other_shells_get_what_their_scripts_ask_for(path: str, instruction: str, asked: dict[str, str]) -> None:
    done = subprocess.run(
        ["stoplog"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, COMPLETE_VARIABLE: instruction, **asked},
    )
    assert "show" in done.stdout
    assert "list" not in done.stdout


@pytest.mark.parametrize("shell", Shell)
def test_the_script_of_each_shell_is_printed(stoplog: Stoplog, shell: Shell) -> None:
    result = stoplog("--completion", shell.value)
    assert (result.status, result.err) == (0, "")
    assert COMPLETE_VARIABLE in result.out
    assert f"complete_{shell.value}" in result.out
    assert stoplog("--completion", "csh").status == 2
