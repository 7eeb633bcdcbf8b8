"""How a bundle's files become rules in force: at once, or on the side while the rules before them go on judging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.ruleset import CompiledRuleset, Tool

CompileBundle = Callable[[BundleSource], CompiledRuleset]
"""Compiles at once. Raises PolicyError for a bundle that is refused."""


class CompilerFailedError(Exception):
    """Whether the bundle is good can't be told: the compiling process died, or took too long."""


class Compilation(Protocol):
    """A bundle on its way."""

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has something to do, rather than to wait for another process."""

    def advance(self) -> CompiledRuleset | None:
        """Go on, for milliseconds at most; the rules once they are ready.

        Raises:
            PolicyError: the bundle is refused.
            CompilerFailedError: see there.
        """

    def result(self) -> CompiledRuleset:
        """Go on to the end. Blocks; raises what `advance` does."""

    def cancel(self) -> None:
        """Drop it."""


class BundleCompiler(Protocol):
    """Compiles bundles."""

    def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Compilation:
        """Begin with a bundle.

        Args:
            source: its files, not trusted.
            tools: those that are called now; they are to be ready when the rules are.
        """


class InlineCompiler:
    """Compiles at once, in the caller's thread: for tests, histories and simulations."""

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
        """Nothing goes on."""
