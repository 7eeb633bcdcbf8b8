"""Keys and packs on a disk that is full: each is there as a whole or not at all, and the command can be run again."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = {
    "root key": (("keys", "new"), Path(".stoplog/root.key")),
    "key of a publisher": (("keys", "publisher", "new", "--out", "ann.pem"), Path("ann.pem")),
    "key of gates": (("keys", "seal", "new", "--out", "gate.pem"), Path("gate.pem")),
}


def ended(home: Path, command: tuple[str, ...], bytes_max: int) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no more than so many bytes to a file."""
    return subprocess.run(
        [sys.executable, "-B", "-m", "streams.cli", *command],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY)),
    )


@pytest.mark.parametrize(("command", "key"), COMMANDS.values(), ids=COMMANDS)
def test_a_key_that_can_not_be_written_leaves_nothing(home: Path, command: tuple[str, ...], key: Path) -> None:
    failed = ended(home, command, 8)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert f"`{key}` can't be" in failed.stderr
    assert not (home / key).exists()
    done = ended(home, command, resource.RLIM_INFINITY)
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / key).stat().st_size > 8


def test_a_pack_that_can_not_be_written_is_not_in_the_way(home: Path) -> None:
    failed = ended(home, ("rules", "new", "notes"), 800)
    assert failed.returncode == 1
    assert failed.stderr == "error: the pack can't be written to `rules`: File too large\n"
    assert [path for path in (home / "rules").rglob("*") if path.is_file()] == []
    assert ended(home, ("rules", "new", "notes"), resource.RLIM_INFINITY).returncode == 0


def test_a_list_of_packs_that_can_not_be_written_stays_as_it_is(home: Path) -> None:
    assert ended(home, ("rules", "new", "notes"), resource.RLIM_INFINITY).returncode == 0
    bundle = home / "rules" / "bundle.yaml"
    # It is longer than the other files of a pack, so that the disk is full only when it is written.
    bundle.write_text(f"{bundle.read_text()}# {'x' * 100_000}\n")
    before = bundle.read_text()
    assert ended(home, ("rules", "new", "mails"), 90_000).returncode == 1
    assert bundle.read_text() == before
    assert not (home / "rules" / "mails").exists()
    assert ended(home, ("rules", "new", "mails"), resource.RLIM_INFINITY).returncode == 0
