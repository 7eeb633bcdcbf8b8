"""Compile a bundle's files: at once, or in the background while the rules in force go on judging."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

from streams.policy import PolicyError
from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.ruleset import CompiledRuleset, Tool

COMPILED_KEPT_MAX = 4
"""Compiled rules that are kept: those in force, and those before them, so that a rollback takes no time."""

CompileBundle = Callable[[BundleSource], CompiledRuleset]
"""Compiles a bundle at once. Raises PolicyError for a bundle that is rejected."""


class CompilerFailedError(Exception):
    """Reports that a bundle could not be checked, because its compiling process died or took too long."""


class Compilation(Protocol):
    """Compiles one bundle, step by step."""

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has work to do, rather than waiting for another process."""

    def advance(self) -> CompiledRuleset | None:
        """Continue for some milliseconds at most, and return the rules when they are ready.

        Raises:
            PolicyError: the bundle is rejected.
            CompilerFailedError: the bundle could not be checked.
        """

    def result(self) -> CompiledRuleset:
        """Continue to the end, and return the rules. Blocks; raises the same errors as `advance`."""

    def cancel(self) -> None:
        """Stop compiling."""


class BundleCompiler(Protocol):
    """Starts compilations of bundles."""

    def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Compilation:
        """Start to compile a bundle.

        Args:
            source: the bundle's files, which are not trusted.
            tools: the tools that are in use; the code for them is prepared along with the rules.
        """


class CompiledBundles:
    """Compiles one bundle at a time, and keeps some of those that it has compiled."""

    def __init__(self, compiler: BundleCompiler) -> None:
        """Args:
        compiler: starts compilations.
        """
        self._compiler = compiler
        self._running: tuple[BundleSource, Compilation] | None = None
        self._compiled: OrderedDict[bytes, CompiledRuleset] = OrderedDict()

    @property
    def is_busy(self) -> bool:
        """Whether a compilation has work to do, rather than waiting for another process."""
        return self._running is not None and self._running[1].is_busy

    def rules_of(
        self, source: BundleSource, tools: Callable[[], tuple[Tool, ...]], *, blocking: bool
    ) -> CompiledRuleset | None:
        """Return the rules of a bundle; None while they are compiled. What else was being compiled is cancelled.

        Args:
            source: the bundle's files, which are not trusted.
            tools: returns the tools that are in use; called if the compilation starts.
            blocking: whether to wait until they are ready.

        Raises:
            PolicyError: the bundle is rejected.
            CompilerFailedError: the bundle could not be checked.
        """
        if source.digest in self._compiled:
            self._compiled.move_to_end(source.digest)
            return self._compiled[source.digest]
        if self._running is None or self._running[0] is not source:
            self.cancel()
            self._running = (source, self._compiler.start(source, tools()))
        compilation = self._running[1]
        try:
            ruleset = compilation.result() if blocking else compilation.advance()
        except (PolicyError, CompilerFailedError):
            self._running = None
            raise
        if ruleset is None:
            return None
        self._running = None
        if ruleset.digest != source.digest:
            raise CompilerFailedError("the compiler returned other rules than it was given")
        self._compiled[source.digest] = ruleset
        return ruleset

    def forget_but(self, wanted: Iterable[bytes]) -> None:
        """Drop the oldest compiled rules, except for those with these digests."""
        kept = frozenset(wanted)
        for digest in list(self._compiled):
            if len(self._compiled) <= COMPILED_KEPT_MAX:
                return
            if digest not in kept:
                del self._compiled[digest]

    def cancel(self) -> None:
        """Stop compiling."""
        if self._running is not None:
            self._running[1].cancel()
            self._running = None


class InlineCompiler:
    """Compiles in the caller's thread: for tests, histories and simulations."""

    def __init__(self, compile_bundle: CompileBundle) -> None:
        self._compile = compile_bundle

    def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Compilation:  # noqa: ARG002 - the port's
        """See `BundleCompiler`."""
        return _Inline(self._compile, source)


class _Inline:
    is_busy = True

    def __init__(self, compile_bundle: CompileBundle, source: BundleSource) -> None:
        self._compile = compile_bundle
        self._source = source

    def advance(self) -> CompiledRuleset | None:
        return self.result()

    def result(self) -> CompiledRuleset:
        return self._compile(self._source)

    def cancel(self) -> None:
        """Do nothing: no compilation is under way."""
