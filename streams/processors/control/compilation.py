"""Compile a bundle's files: at once, or in the background while the rules in force go on judging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.ruleset import CompiledRuleset, Tool

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
