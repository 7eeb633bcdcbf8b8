"""Compiling in a process of its own: what comes back, and what doesn't when the process goes wrong."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from streams.policy import BundleError, BundleSource, bundle_from_files, compile_bundle, load_bundle
from streams.policy.runtime.ruleset import CompiledRuleset
from streams.processors.control.compilation import Compilation, CompilerFailedError
from streams.services.gate.compiler import ChildCompiler
from streams.wiring.clock import SystemClock
from tests.kit import BUNDLE, BUNDLE_FILES
from tests.waiting import until

RULES = Path(__file__).parents[4] / "rules"
SOURCE = bundle_from_files(BUNDLE_FILES)
WAIT_S_MAX = 60
GIT_LOG = {"server_id": "git", "name": "git_log", "version": "1"}
SLOW_MS = 500
"""Far above what a step takes, for a machine that has much else to do."""


def finish(compilation: Compilation) -> CompiledRuleset:
    """As a gate does: a step, other work, a step, ..."""
    deadline_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline_s:
        ruleset = compilation.advance()
        if ruleset is not None:
            return ruleset
        time.sleep(0 if compilation.is_busy else 0.002)
    raise AssertionError("it was never done")


def running(code: str, *, timeout_ms: int = 60_000) -> ChildCompiler:
    """A compiler whose process runs this code instead."""
    return ChildCompiler(SystemClock(), timeout_ms=timeout_ms, command=(sys.executable, "-c", code))


def test_rules_come_back_as_they_would_be_here() -> None:
    source = load_bundle(RULES)
    made = finish(ChildCompiler(SystemClock()).start(source, (GIT_LOG,)))
    here = compile_bundle(source)
    assert made.digest == here.digest
    assert [each.rule.id for each in made.rules] == [each.rule.id for each in here.rules]
    assert list(made._programs) == [("git", "git_log", "1")]


def test_it_can_be_waited_for() -> None:
    made = ChildCompiler(SystemClock()).start(SOURCE, ({"server_id": "mail", "name": "send", "version": "1"},)).result()
    assert made.digest == SOURCE.digest


@pytest.mark.timed
def test_no_step_takes_long() -> None:
    compilation = ChildCompiler(SystemClock()).start(SOURCE, ())
    longest_s = 0.0
    while True:
        began_s = time.monotonic()
        ruleset = compilation.advance()
        longest_s = max(longest_s, time.monotonic() - began_s)
        if ruleset is not None:
            break
        time.sleep(0.002)
    assert longest_s < SLOW_MS / 1_000


def test_a_bad_bundle_is_refused_with_all_errors() -> None:
    files = {
        "bundle.yaml": BUNDLE,
        "testing/testing.rules.yaml": BUNDLE_FILES["testing/testing.rules.yaml"]
        .replace("session.tainted", "session.taintd")
        .replace("10 / args.divide", "10 / 'é'"),
    }
    source = bundle_from_files(files)
    with pytest.raises(BundleError) as here:
        compile_bundle(source)
    for end in (finish, lambda compilation: compilation.result()):
        with pytest.raises(BundleError) as caught:
            end(ChildCompiler(SystemClock()).start(source, ()))
        assert caught.value.findings == here.value.findings
        assert str(caught.value) == str(here.value)
    assert len(here.value.findings) == 2


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('no memory for this')", "ended with status 1: no memory for this"),
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9: it wrote no error"),
        ("print('nonsense')", "its output can't be read"),
        ("", "its output can't be read"),
        ("import sys, msgspec; sys.stdout.buffer.write(msgspec.msgpack.encode((7, b'')))", "is malformed"),
        ("import sys, msgspec; sys.stdout.buffer.write(msgspec.msgpack.encode((0, 'x')))", "is malformed"),
        ("import sys, msgspec; sys.stdout.buffer.write(msgspec.msgpack.encode((0, b'x')))", "can't be read"),
        ("import sys, msgspec; sys.stdout.buffer.write(msgspec.msgpack.encode((1, [['x']])))", "can't be read"),
        (
            "import sys, msgspec\n"
            "row = ('grave', 'c', 'p', 1, 1, 'm', None, None)\n"
            "sys.stdout.buffer.write(msgspec.msgpack.encode((1, [row])))",
            "can't be read",
        ),
    ],
)
def test_a_process_that_goes_wrong_says_nothing_of_the_bundle(code: str, told: str) -> None:
    for end in (finish, lambda compilation: compilation.result()):
        with pytest.raises(CompilerFailedError, match=told):
            end(running(code).start(SOURCE, ()))


def endless(pid_file: Path) -> str:
    """Code that writes down its process, and does not end."""
    return f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"


def written(pid_file: Path) -> int:
    """The process, once it has begun: that takes a while on a busy machine."""
    until(lambda: pid_file.exists() and pid_file.read_text() != "", "the process has begun")
    return int(pid_file.read_text())


class Clock(SystemClock):
    """The machine's clock, and how far it is ahead."""

    ahead_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.ahead_ms


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    for number, end in enumerate((finish, lambda compilation: compilation.result())):
        clock, pid_file = Clock(), tmp_path / f"pid-{number}"
        command = (sys.executable, "-c", endless(pid_file))
        compilation = ChildCompiler(clock, timeout_ms=600_000, command=command).start(SOURCE, ())
        pid = written(pid_file)
        # Of the time, half a second is left: it is waited for, and then the process is ended.
        clock.ahead_ms = 599_500
        with pytest.raises(CompilerFailedError, match="not finished after 600000 ms"):
            end(compilation)
        assert not _runs(pid)


def test_a_compilation_that_is_dropped_leaves_no_process(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    compilation = running(endless(pid_file)).start(SOURCE, ())
    pid = written(pid_file)
    compilation.cancel()
    assert not _runs(pid)
    compilation.cancel()


def test_the_process_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_KAFKA__SASL_PASSWORD", "secret")
    seen = tmp_path / "seen"
    code = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)) + repr(os.listdir('/proc/self/fd')))"
    with (tmp_path / "open").open("w"), pytest.raises(CompilerFailedError):
        finish(running(code).start(SOURCE, ()))
    assert "secret" not in seen.read_text()


def test_a_program_that_is_not_there_is_told() -> None:
    compiler = ChildCompiler(SystemClock(), command=("no-such-program",))
    with pytest.raises(CompilerFailedError, match="`no-such-program` can't be run"):
        compiler.start(SOURCE, ())


def test_the_process_is_bounded_in_memory_and_output() -> None:
    greedy = "from streams.services.gate import compiler_child\ncompiler_child._bound()\nbytes(5_000_000_000)\n"
    with pytest.raises(CompilerFailedError, match="MemoryError"):
        finish(running(greedy).start(BundleSource({}, b""), ()))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
