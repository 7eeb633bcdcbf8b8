"""`stoplog demo` that is told to end: it ends in good order, leaves nothing behind, and says nothing of its insides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deployment import ROOT
from tests.waiting import until

END_S_MAX = 60.0
INTERRUPTED = 130


@pytest.fixture(autouse=True)
def _as_on_a_terminal() -> Iterator[None]:
    """A process that a shell starts in the background ignores Ctrl-C, and so would the demonstration that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("lines", [1, 2, 12])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, lines: int, number: signal.Signals) -> None:
    """After so many lines: while its gate starts, once it serves, and amid the story."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STOPLOG_")}
    demo = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "demo", "--json"],
        cwd=ROOT,
        env={**own, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Its servers for tools are in its group: whether one is left can be asked for.
        start_new_session=True,
    )
    assert demo.stdout is not None
    for _ in range(lines):
        assert demo.stdout.readline()
    if number is signal.SIGINT:
        # As Ctrl-C on a terminal does it.
        os.killpg(demo.pid, number)
    else:
        demo.send_signal(number)
    _, told = demo.communicate(timeout=END_S_MAX)
    assert (demo.returncode, told) == (INTERRUPTED, "")
    assert list(tmp_path.iterdir()) == []
    until(lambda: not _is_there(demo.pid))


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
