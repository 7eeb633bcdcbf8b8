"""A reader who follows a tutorial to the letter: writes its files, runs its commands, and compares what they print."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from streams.cli.main import run
from tests.unit.docs.pages import DOCS, Block, blocks, file_named, squeezed
from tests.waiting import until

FAILS = "# exit status 1"
LEFT_OUT = "…"
STOP_S_MAX = 30
_RUNS_ON = {"gate": "serves partitions"}
"""Commands that a page has started in a second terminal, and what each prints once it is ready."""

_PUBLIC_KEY = re.compile(r"ed25519:[\w-]{43}")
_REFERENCE = re.compile(r"(?P<entry>[\w.-]+/[@\w.-]+)@ID\b")


class TutorialReader:
    """Follows one page in a folder of its own. A context manager that stops what it has started."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Nothing is done yet; `folder` is the current one."""
        self.commands_count = self.lines_count = 0
        self._folder = folder
        self._capfd = capfd
        self._said = ""
        self._heard = ""
        self._running: list[subprocess.Popen[bytes]] = []

    def follow(self, page: str) -> None:
        """Do everything on the page, in its order."""
        for block in blocks(page):
            if block.language == "sh":
                self._said = "".join(map(self._run, block.text.splitlines()))
            elif block.language == "text":
                self._compare(block.text)
            else:
                self._write(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for each in self._running:
            each.send_signal(signal.SIGINT)
        for each in self._running:
            each.wait(STOP_S_MAX)

    def _write(self, block: Block) -> None:
        name = file_named(block)
        assert name is not None, block.before
        path = self._folder / name
        assert path.exists() or block.language != "yaml", f"{name} is replaced before it is there"
        path.write_text(block.text)

    def _run(self, line: str) -> str:
        """Run a line; return what it has printed."""
        command, fails, _ = line.partition(FAILS)
        program, *args = shlex.split(self._filled_in(command))
        self.commands_count += 1
        if program == "stoplog" and args[0] in _RUNS_ON:
            return self._start(args, _RUNS_ON[args[0]])
        self._capfd.readouterr()
        if program == "stoplog":
            # Options of the command stand before what another program gets.
            end = args.index("--") if "--" in args else len(args)
            status = run([*args[:end], "--no-json", *args[end:]])
        else:
            assert program == "python", line
            status = subprocess.run([sys.executable, *args], check=False).returncode
        out, err = self._capfd.readouterr()
        assert status == (1 if fails else 0), (line, out, err)
        self._heard += out + err
        return out + err

    def _start(self, args: list[str], ready: str) -> str:
        """Start a command that runs on; return what it prints until it is ready."""
        path = self._folder / "second-terminal.txt"
        with path.open("wb") as terminal:
            command = [sys.executable, "-m", "streams.cli", *args, "--no-json"]
            self._running.append(subprocess.Popen(command, stdout=terminal, stderr=terminal))
        until(lambda: ready in path.read_text(), path.read_text)
        return path.read_text()

    def _filled_in(self, command: str) -> str:
        """A command with what it gets from those before it."""
        keys = _PUBLIC_KEY.findall(self._heard)
        command = re.sub(r"\bKEY\b", lambda _: keys[-1], command)
        return _REFERENCE.sub(self._reference, command)

    def _reference(self, found: re.Match[str]) -> str:
        ids = re.findall(rf"{re.escape(found['entry'])}@([0-9a-f]{{40}})", self._heard)
        assert ids, f"nobody has named the id of {found['entry']}: {self._heard}"
        return f"{found['entry']}@{ids[-1]}"

    def _compare(self, text: str) -> None:
        # In their order: each is looked for behind the one before.
        rest = squeezed(self._said)
        for line in text.splitlines():
            for part in line.split(LEFT_OUT):
                if not part.strip():
                    continue
                before, found, rest = rest.partition(squeezed(part).strip())
                assert found, f"`{part}` is not in:\n{before}\n\nwhich is the rest of:\n{self._said}"
            self.lines_count += line.strip() not in ("", LEFT_OUT)


def follow(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> TutorialReader:
    """Follow a page in an empty folder, with this interpreter's programs on the path, to its end."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # Programs in the folder use the code that is tested.
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    with TutorialReader(folder, capfd) as reader:
        reader.follow(page)
    return reader
