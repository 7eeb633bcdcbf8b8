"""Compiles bundles in a separate process, so that no partition waits for it and no bundle can harm the gate."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

import msgspec

import streams
from streams.policy.errors import BundleError, Finding, Location, Severity
from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.portable import PortableRuleset, load_steps
from streams.policy.runtime.portable_values import PortableError
from streams.policy.runtime.ruleset import CompiledRuleset, Tool
from streams.ports import Clock
from streams.processors.control.compilation import Compilation, CompilerFailedError
from streams.services.gate.compiler_child import ACCEPTED, OUTPUT_BYTES_MAX, REFUSED

COMPILE_MS_MAX = 120_000
SLICE_MS = 5
"""For how long the gate's thread works on new rules at a time."""
ERROR_BYTES_MAX = 2_000
_MS_PER_S = 1_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Any]).decode
_decode_findings = msgspec.msgpack.Decoder(list[tuple[str, str, str, int, int, str, str | None, str | None]]).decode
_MODULE = "streams.services.gate.compiler_child"
# The environment can have passwords, so the process gets only the variables that an interpreter needs.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TZ", "VIRTUAL_ENV")


class ChildCompiler:
    """Compiles each bundle in a new process. Not thread-safe."""

    def __init__(
        self, clock: Clock, *, timeout_ms: int = COMPILE_MS_MAX, command: tuple[str, ...] | None = None
    ) -> None:
        """Args:
        clock: for time limits.
        timeout_ms: after how long a process is ended.
        command: the command to run instead of this interpreter; tests run commands that fail.
        """
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._command = command or (sys.executable, "-s", "-m", _MODULE)

    def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Compilation:
        """Start compiling; see the port."""
        return _ChildCompilation(self._clock, self._timeout_ms, self._command, source, tools)


class _ChildCompilation:
    def __init__(
        self,
        clock: Clock,
        timeout_ms: int,
        command: tuple[str, ...],
        source: BundleSource,
        tools: tuple[Tool, ...],
    ) -> None:
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._tools = tools
        self._child = _Child(command, _encode(dict(source.files)))
        self._deadline_ms = clock.monotonic_ms() + timeout_ms
        self._steps: Generator[None, None, CompiledRuleset] | None = None

    @property
    def is_busy(self) -> bool:
        return self._steps is not None

    def advance(self) -> CompiledRuleset | None:
        if self._steps is None:
            status = self._child.status()
            if status is None:
                if self._clock.monotonic_ms() >= self._deadline_ms:
                    self.cancel()
                    raise CompilerFailedError(f"the compilation has not finished after {self._timeout_ms} ms")
                return None
            self._steps = _ready(self._child.output(status), self._tools)
            return None
        return self._take_steps(self._steps)

    def result(self) -> CompiledRuleset:
        self._child.wait(max(self._deadline_ms - self._clock.monotonic_ms(), 0))
        self._tools = ()  # no partition waits yet: tools are prepared when they are first called
        while True:
            ruleset = self.advance()
            if ruleset is not None:
                return ruleset

    def cancel(self) -> None:
        self._child.close()

    def _take_steps(self, steps: Generator[None, None, CompiledRuleset]) -> CompiledRuleset | None:
        until_ms = self._clock.monotonic_ms() + SLICE_MS
        try:
            while True:
                next(steps)
                if self._clock.monotonic_ms() >= until_ms:
                    return None
        except StopIteration as done:
            ruleset: CompiledRuleset = done.value
            return ruleset


def _ready(answer: bytes, tools: tuple[Tool, ...]) -> Generator[None, None, CompiledRuleset]:
    """Read the output of the process, and prepare tools, step by step.

    Raises:
        BundleError: the bundle is invalid.
        CompilerFailedError: the output is malformed.
    """
    try:
        verdict, content = _decode(answer)
        if verdict == REFUSED:
            raise BundleError(map(_finding, _decode_findings(_encode(content))))
        if verdict != ACCEPTED or not isinstance(content, bytes):
            raise CompilerFailedError("its output is malformed")
        ruleset: PortableRuleset = yield from load_steps(content)
        yield from ruleset.warm_steps(tools)
    except (msgspec.DecodeError, PortableError, ValueError) as error:
        raise CompilerFailedError(f"its output can't be read: {error}") from None
    return ruleset


def _finding(row: tuple[str, str, str, int, int, str, str | None, str | None]) -> Finding:
    severity, code, path, line, column, message, rule_id, hint = row
    return Finding(Severity(severity), code, Location(path, line, column), message, rule_id, hint)


class _Child:
    """A process that reads one file and writes another, so that it never blocks this one."""

    def __init__(self, command: tuple[str, ...], request: bytes) -> None:
        self._output = _scratch()
        self._errors = _scratch()
        with _scratch() as given:
            given.write(request)
            given.seek(0)
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own command line
                    command, stdin=given, stdout=self._output, stderr=self._errors, env=_environment()
                )
            except OSError as error:
                self._output.close()
                self._errors.close()
                raise CompilerFailedError(f"`{command[0]}` can't be run: {error.strerror}") from None

    def status(self) -> int | None:
        """Return its exit status; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_ms: int) -> None:
        """Wait until it ends, for at most `timeout_ms`."""
        try:
            self._process.wait(timeout_ms / _MS_PER_S)
        except subprocess.TimeoutExpired:
            return

    def output(self, status: int) -> bytes:
        """Return its output, after it has ended.

        Raises:
            CompilerFailedError: its exit status is not 0.
        """
        try:
            if status != 0:
                raise CompilerFailedError(f"it ended with status {status}: {self._said()}")
            self._output.seek(0)
            return self._output.read(OUTPUT_BYTES_MAX)
        finally:
            self.close()

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _said(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(size - ERROR_BYTES_MAX, 0))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it wrote no error"


def _scratch() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="stoplog-rules-")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # The package may run from its source tree, where the interpreter doesn't find it from another folder.
    return {**kept, "PYTHONPATH": str(Path(streams.__file__).resolve().parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
