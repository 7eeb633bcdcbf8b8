"""What an executor can run: tools, their results, and a runner that limits how long a call takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from streams.model.canonical import CanonicalError, canonical, sha256

TOOL_TIMEOUT_MS = 60_000
HANGING_MAX = 16
"""How many timed-out calls may still hold a thread; beyond that an executor must be restarted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What a tool returned: text, bytes or a JSON value, and its media type if the tool knows that."""

    content: object
    is_error: bool = False
    content_type: str | None = None


class ToolRunner(Protocol):
    """A tool of an executor. Called from several threads at once."""

    def definition_digest(self) -> bytes | None:
        """Return the SHA-256 of the tool's current definition; None if the tool has none."""

    def run(self, args: Mapping[str, object], timeout_ms: int) -> ToolResult:
        """Run the tool; an exception is reported as an error of the tool. It should end within `timeout_ms`."""


class Cancellation:
    """Asks a call to end early, because its verdict was revoked. Thread-safe; set at most once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def is_set(self) -> bool:
        """Return whether the call should end."""
        return self._event.is_set()

    def wait(self, timeout_ms: int) -> bool:
        """Wait up to `timeout_ms` for the cancellation, then return `is_set`. Tools use it to sleep."""
        return self._event.wait(timeout_ms / 1000)

    def when_set(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the cancellation is set, in the thread that sets it; at once if it is set already."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def set(self) -> None:
        """Ask the call to end."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class ToolCancelledError(Exception):
    """The call has ended early, as asked. What it had done by then is not undone."""


class ToolNotBegunError(Exception):
    """The call was cancelled before it began: it has done nothing, and never will."""


@runtime_checkable
class CancellableTool(Protocol):
    """A `ToolRunner` whose calls can be ended early."""

    def run_cancellable(self, args: Mapping[str, object], timeout_ms: int, cancellation: Cancellation) -> ToolResult:
        """Run the tool as `run` does; it should end soon once `cancellation` is set.

        Raises:
            ToolCancelledError: it has ended early.
        """


class CancellableFunctionTool:
    """A Python function as a tool whose calls can be ended early; gets the arguments and the `Cancellation`."""

    def __init__(
        self,
        function: Callable[[Mapping[str, object], Cancellation], object],
        definition_digest: bytes | None = None,
    ) -> None:
        self._function = function
        self._definition_digest = definition_digest

    def definition_digest(self) -> bytes | None:
        """Return the digest that the tool was made with."""
        return self._definition_digest

    def run(self, args: Mapping[str, object], timeout_ms: int) -> ToolResult:
        """Call the function without a way to end it early."""
        return self.run_cancellable(args, timeout_ms, Cancellation())

    def run_cancellable(
        self,
        args: Mapping[str, object],
        timeout_ms: int,  # noqa: ARG002 - of the protocol
        cancellation: Cancellation,
    ) -> ToolResult:
        """Call the function."""
        result = self._function(args, cancellation)
        return result if isinstance(result, ToolResult) else ToolResult(content=result)


class FunctionTool:
    """A Python function as a tool; gets the arguments as one mapping."""

    def __init__(
        self, function: Callable[[Mapping[str, object]], object], definition_digest: bytes | None = None
    ) -> None:
        self._function = function
        self._definition_digest = definition_digest

    def definition_digest(self) -> bytes | None:
        """Return the digest that the tool was made with."""
        return self._definition_digest

    def run(self, args: Mapping[str, object], timeout_ms: int) -> ToolResult:  # noqa: ARG002 - of the protocol
        """Call the function."""
        result = self._function(args)
        return result if isinstance(result, ToolResult) else ToolResult(content=result)


class ToolTimeoutError(Exception):
    """A tool has not ended in time. It is not known whether it has done its work."""


class HangingToolsError(Exception):
    """Too many timed-out calls still run."""


class BoundedRunner:
    """Runs tools, each in a thread of its own, and abandons calls that take too long. Thread-safe.

    A thread can't be ended from outside, so an abandoned call may still have its effect.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hanging_count = 0

    def run(
        self,
        tool: ToolRunner,
        args: Mapping[str, object],
        timeout_ms: int,
        cancellation: Cancellation | None = None,
    ) -> ToolResult:
        """Run a tool; blocks until it ends, for at most `timeout_ms`.

        Args:
            cancellation: ends the call early, if the tool supports that.

        Raises:
            ToolTimeoutError: the tool did not end in time.
            HangingToolsError: too many earlier calls still hang; this one was not begun.
            ToolNotBegunError: the call was cancelled before it began.
            Exception: whatever the tool raised.
        """
        self.refuse_if_hanging()
        call = _Call(tool, args, timeout_ms, cancellation)
        thread = threading.Thread(target=call.run, name="stoplog-tool", daemon=True)
        thread.start()
        if not call.ended.wait(timeout_ms / 1000) and self._give_up(call):
            raise ToolTimeoutError(f"the tool has not ended after {timeout_ms} ms")
        if call.error is not None:
            raise call.error
        if call.result is None:
            raise TypeError("the tool returned no ToolResult")
        return call.result

    def refuse_if_hanging(self) -> None:
        """Raise an error if no more calls can be run; call this before a verdict is used up.

        Raises:
            HangingToolsError: too many calls hang.
        """
        with self._lock:
            if self._hanging_count >= HANGING_MAX:
                raise HangingToolsError(f"{HANGING_MAX} tool calls hang: restart the executor, and check the tool")

    def _give_up(self, call: _Call) -> bool:
        """Return whether the call still runs; its thread then counts as hanging until it ends."""

        def ended() -> None:
            with self._lock:
                self._hanging_count -= 1

        with self._lock:
            if not call.on_late_end(ended):
                return False
            self._hanging_count += 1
            return True


class _Call:
    """One run of a tool in its own thread."""

    def __init__(
        self, tool: ToolRunner, args: Mapping[str, object], timeout_ms: int, cancellation: Cancellation | None
    ) -> None:
        self._tool = tool
        self._args = args
        self._timeout_ms = timeout_ms
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._late: Callable[[], None] | None = None
        self.ended = threading.Event()
        self.result: ToolResult | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._run()
        except Exception as error:
            self.error = error
        finally:
            with self._lock:
                self.ended.set()
                late = self._late
            if late is not None:
                late()

    def _run(self) -> ToolResult:
        tool, cancellation = self._tool, self._cancellation
        if cancellation is not None and cancellation.is_set():
            raise ToolNotBegunError
        if cancellation is not None and isinstance(tool, CancellableTool):
            return tool.run_cancellable(self._args, self._timeout_ms, cancellation)
        return tool.run(self._args, self._timeout_ms)

    def on_late_end(self, callback: Callable[[], None]) -> bool:
        """Call `callback` when the call ends; return False if it has ended already."""
        with self._lock:
            if self.ended.is_set():
                return False
            self._late = callback
            return True


def content_digest(content: object) -> bytes | None:
    """Return the SHA-256 of a result: of bytes as they are, of text in UTF-8, of JSON in canonical form (RFC 8785).

    Returns None for anything else.
    """
    form = _form(content)
    return None if form is None else sha256(form)


def content_text(content: object) -> str | None:
    """Return a result as the text whose digest is `content_digest`; None for what has none.

    Bytes that are not UTF-8 are read as far as they are text.
    """
    form = _form(content)
    return None if form is None else form.decode("utf-8", "replace")


def _form(content: object) -> bytes | None:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    try:
        return canonical(content)
    except CanonicalError:
        pass
    try:
        # Large integers and the like have no canonical form, but the result still deserves a digest.
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        return None
