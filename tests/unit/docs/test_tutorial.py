"""The tutorial, followed to the letter: every file is written and every command is run, in its order."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from streams.cli.main import run
from tests.unit.docs.pages import blocks, file_named, squeezed

PAGE = "tutorial/first-rule.md"
FAILS = "# exit status 1"
LEFT_OUT = "…"


def test_the_tutorial_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    said, commands, checked = "", 0, 0
    for block in blocks(PAGE):
        if block.language == "sh":
            said = ""
            for line in block.text.splitlines():
                command, fails, _ = line.partition(FAILS)
                program, *args = shlex.split(command)
                assert program == "stoplog"
                capfd.readouterr()
                status = run([*args, "--no-json"])
                out, err = capfd.readouterr()
                said += out + err
                assert status == (1 if fails else 0), (line, out, err)
                commands += 1
        elif block.language == "text":
            # In their order: each is looked for behind the one before.
            rest = squeezed(said)
            for line in block.text.splitlines():
                if line in {"", LEFT_OUT}:
                    continue
                before, found, rest = rest.partition(squeezed(line).strip())
                assert found, f"`{line}` is not in:\n{before}\n\nwhich is the rest of:\n{said}"
                checked += 1
        else:
            name = file_named(block)
            assert name is not None, block.before
            path = tmp_path / name
            assert path.exists() or block.language != "yaml", f"{name} is replaced before it is there"
            path.write_text(block.text)
    assert commands >= 10
    assert checked >= 40
