"""A compiled ruleset as bytes, for the process that enforces it.

Parsing and type checking take seconds for thousands of rules, and go through a library in another language; so they
are done in a process of their own. What that hands over is data (`portable_values.py`). Reading it costs little because
nearly all of it is read later: a rule, when a tool that it is for is first called. Whoever can't wait then has the
tools that matter made ready beforehand, in small steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, overload

import msgspec

from streams.policy.cel.tree import Expr
from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import Bundle, BundleSource, Match
from streams.policy.language.check import CheckedExpression
from streams.policy.language.check_memory import CheckedMemories, check_memories
from streams.policy.language.compile import CheckedRule
from streams.policy.language.globs import ToolMatcher, caller_matcher, is_literal
from streams.policy.language.located_yaml import Scalar
from streams.policy.language.macros import ExpandedText
from streams.policy.language.tool_types import ToolTypes
from streams.policy.runtime import ruleset as whole
from streams.policy.runtime.codegen import generate
from streams.policy.runtime.evaluate import Conditions, GeneratedPart
from streams.policy.runtime.partial_evaluation import (
    READS_TOOL,
    ToolFields,
    is_constant_false,
    known_tool_fields,
    reads_of,
    specialize,
)
from streams.policy.runtime.portable_values import (
    PortableError,
    decode_message,
    encode_message,
    from_data,
    to_data,
)
from streams.policy.runtime.ruleset import CompiledRuleset, Tool, ToolVersion, compile_bundle, tool_version_of

FORMAT = 2
RULES_PER_STEP = 16
MATCHERS_PER_STEP = 64
RULES_PER_FUNCTION_MAX = 48
"""Fewer than in a ruleset that was compiled in place: the code of one function is made in one step."""

Steps = Generator[None, None, None]
_Wanted = TypeVar("_Wanted")


class _RuleGroup(NamedTuple):
    """Rules for the same tools, by their indexes."""

    match: Match
    indexes: tuple[int, ...]


def compile_portable(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None) -> bytes:
    """Parse, check and compile a bundle; gives the portable form of what `compile_bundle` gives.

    Raises:
        BundleError: with every error that was found.
        PortableError: something of it has no portable form; a bug.
    """
    ruleset = compile_bundle(source, tools)
    return _dump(ruleset, check_memories(ruleset.bundle, tools or {}, Findings()))


def _dump(ruleset: CompiledRuleset, memories: CheckedMemories) -> bytes:
    groups: dict[tuple[Any, ...], list[int]] = {}
    matches: dict[tuple[Any, ...], Match] = {}
    blobs: list[bytes] = []
    for index, rule in enumerate(ruleset.rules):
        key, match = _tool_match(rule.rule.match)
        matches.setdefault(key, match)
        groups.setdefault(key, []).append(index)
        blobs.append(encode_message(to_data(_without_source(rule))))
    bare = dataclasses.replace(
        ruleset.bundle,
        packs=tuple(dataclasses.replace(pack, rules=(), macros=()) for pack in ruleset.bundle.packs),
    )
    return encode_message(
        (
            FORMAT,
            ruleset.digest,
            to_data(bare),
            to_data(dict(ruleset._tools)),
            to_data(memories),
            [(to_data(matches[key]), indexes) for key, indexes in groups.items()],
            blobs,
        )
    )


def load_ruleset(data: bytes) -> PortableRuleset:
    """Return the ruleset of a portable form, in one go.

    Raises:
        PortableError: the data is no portable form.
    """
    steps = load_steps(data)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            ruleset: PortableRuleset = done.value
            return ruleset


def load_steps(data: bytes) -> Generator[None, None, PortableRuleset]:
    """Yield the same in steps of a few milliseconds each; gives the ruleset at the end.

    Raises:
        PortableError: the data is no portable form.
    """
    try:
        version, digest, bundle, tools, memories, groups, blobs = decode_message(data)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise PortableError(f"portable rules can't be read: {error}") from None
    if version != FORMAT or not isinstance(digest, bytes):
        raise PortableError(f"portable rules are of format {version!r}, not {FORMAT}")
    yield
    ruleset = PortableRuleset(
        _expect(from_data(bundle), Bundle), digest, from_data(tools), _expect(from_data(memories), CheckedMemories)
    )
    yield
    try:
        if not all(isinstance(blob, bytes) for blob in blobs):
            raise ValueError("a rule has no portable form")
        index = _RuleGroups(len(blobs))
        for number, (match, indexes) in enumerate(groups):
            index.add(_RuleGroup(_expect(from_data(match), Match), tuple(indexes)))
            if number % MATCHERS_PER_STEP == 0:
                yield
    except (TypeError, ValueError, IndexError) as error:
        raise PortableError(f"portable rules can't be read: {error}") from None
    ruleset.attach_rules(blobs, index)
    return ruleset


def active_tools(ruleset: CompiledRuleset, limit: int) -> tuple[Tool, ...]:
    """Return the tools that a ruleset has been asked about, at most `limit`: those that came last."""
    return tuple(program.tool for program in ruleset._programs.values())[-limit:]


class PortableRuleset(CompiledRuleset):
    """A ruleset whose rules are read as they are needed. Judges as the one that it was made of does."""

    def __init__(
        self, bundle: Bundle, digest: bytes, tools: Mapping[str, ToolTypes], memories: CheckedMemories
    ) -> None:
        """Use `load_ruleset`."""
        super().__init__(bundle, digest, (), tools, memories)
        self._blobs: Sequence[bytes] = ()
        self._groups = _RuleGroups(0)

    def attach_rules(self, blobs: Sequence[bytes], groups: _RuleGroups) -> None:
        """Make the rules its own, before it is first used."""
        self._blobs, self._groups = blobs, groups
        self.rules = _LazyRules(self)  # type: ignore[assignment]  # a sequence, of which only some is ever read

    def rule(self, index: int) -> CheckedRule:
        """Return one rule, read anew."""
        return _expect(from_data(decode_message(self._blobs[index])), CheckedRule)

    def applicable(self, server_id: str, tool_name: str, version: str) -> tuple[CheckedRule, ...]:
        """See `CompiledRuleset`."""
        return tuple(map(self.rule, self._groups.indexes(server_id, tool_name, version)))

    def warm_steps(self, tools: Iterable[Tool]) -> Steps:
        """Make tools ready in small steps, so that their first call finds everything at hand."""
        for tool in tools:
            program = yield from self._program_steps(tool_version_of(tool), tool)
            self._keep(tool_version_of(tool), program)

    def _program(self, key: ToolVersion, tool: Tool) -> whole.ToolProgram:
        steps = self._program_steps(key, tool)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                program: whole.ToolProgram = done.value
                return program

    def _program_steps(self, key: ToolVersion, tool: Tool) -> Generator[None, None, whole.ToolProgram]:
        types, structs = self._types_of(key)
        trees = _ConditionTrees(self, key[:2], known_tool_fields(tool))
        conditions = _SteppedConditions(trees, self._constants, structs)
        rules: list[CheckedRule] = []
        reads = READS_TOOL
        waiting: list[Expr] = []
        indexes = self._groups.indexes(*key)
        for count, index in enumerate(indexes, start=1):
            rule = self.rule(index)
            tree = trees.of(rule)
            if not is_constant_false(tree):
                trees.indexes.append(index)
                waiting.append(tree)
                reads = reads.union(reads_of(rule, tree))
                rules.append(_after_generation(rule))
            if len(waiting) == RULES_PER_FUNCTION_MAX:
                conditions.add(waiting)
                waiting = []
                yield
            elif count % RULES_PER_STEP == 0:
                yield
        if waiting:
            conditions.add(waiting)
            yield
        plan = self._plan_of(key, (reads,))
        yield
        return whole.ToolProgram(tool, tuple(rules), conditions, types, plan)


class _SteppedConditions(Conditions):
    """Conditions whose code is made part by part, and whose trees are read again where that gives up."""

    def __init__(
        self, trees: _ConditionTrees, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Any]
    ) -> None:
        super().__init__((), constants, structs)
        self._trees = trees  # type: ignore[assignment]  # a sequence that is indexed and no more
        self._structs = structs
        self._count = 0

    def add(self, trees: Sequence[Expr]) -> None:
        """Make the code of the next conditions."""
        part = GeneratedPart(self._count, len(trees), generate(trees, self._constants, self._structs))
        self._parts = (*self._parts, part)
        self._count += len(trees)


class _ConditionTrees(Sequence[Expr]):
    """The conditions of some rules for one tool."""

    def __init__(self, ruleset: PortableRuleset, tool: tuple[str, str], tool_fields: ToolFields) -> None:
        self.indexes: list[int] = []
        self._ruleset, self._tool, self._tool_fields = ruleset, tool, tool_fields

    def of(self, rule: CheckedRule) -> Expr:
        """Return the condition that is for the tool."""
        return specialize(rule.variants.get(self._tool, rule.checked).tree, self._tool_fields)

    def __len__(self) -> int:
        return len(self.indexes)

    @overload
    def __getitem__(self, index: int) -> Expr: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Expr, ...]: ...
    def __getitem__(self, index: int | slice) -> Expr | tuple[Expr, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        return self.of(self._ruleset.rule(self.indexes[index]))


class _LazyRules(Sequence[CheckedRule]):
    """All rules of a ruleset, each read when it is asked for."""

    def __init__(self, ruleset: PortableRuleset) -> None:
        self._ruleset = ruleset

    def __len__(self) -> int:
        return len(self._ruleset._blobs)

    @overload
    def __getitem__(self, index: int) -> CheckedRule: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CheckedRule, ...]: ...
    def __getitem__(self, index: int | slice) -> CheckedRule | tuple[CheckedRule, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        return self._ruleset.rule(range(len(self))[index])


class _RuleGroups:
    """Finds the rules of a tool by matching groups of them at once."""

    def __init__(self, rules_count: int) -> None:
        self._rules_count = rules_count
        self._groups: list[tuple[ToolMatcher, tuple[int, ...]]] = []
        self._by_server: dict[str, list[int]] = {}
        self._anywhere: list[int] = []

    def add(self, group: _RuleGroup) -> None:
        """Take in a group.

        Raises:
            IndexError: it names a rule that isn't there.
        """
        if any(not 0 <= index < self._rules_count for index in group.indexes):
            raise IndexError("a group names a rule that isn't there")
        number = len(self._groups)
        self._groups.append((ToolMatcher(group.match), group.indexes))
        servers = {pattern.text.partition(".")[0] for pattern in group.match.tools}
        if all(map(is_literal, servers)):
            for server in servers:
                self._by_server.setdefault(server, []).append(number)
        else:
            self._anywhere.append(number)

    def indexes(self, server_id: str, name: str, version: str) -> tuple[int, ...]:
        """Return the rules for a version of a tool, in their order."""
        numbers: Iterator[int] = iter((*self._by_server.get(server_id, ()), *self._anywhere))
        near = (self._groups[number] for number in numbers)
        return tuple(
            sorted(index for matcher, indexes in near if matcher.matches(server_id, name, version) for index in indexes)
        )


def _tool_match(match: Match) -> tuple[tuple[Any, ...], Match]:
    """Return what of a match is about tools: as a key, and as a match."""
    version = match.tool_version
    key = (
        tuple(pattern.text for pattern in match.tools),
        tuple(pattern.text for pattern in match.servers),
        None if version is None else version.text,
    )
    return key, dataclasses.replace(match, agents=(), tenants=())


def _without_source(rule: CheckedRule) -> CheckedRule:
    """Return a rule without what only the checker needs: texts, and the ways back to their files."""
    return dataclasses.replace(
        rule,
        rule=dataclasses.replace(
            rule.rule,
            when=dataclasses.replace(rule.rule.when, raw=""),
            explain=(),
        ),
        expanded=_NO_EXPANSION,
        checked=_without_text(rule.checked),
        variants={tool: _without_text(checked) for tool, checked in rule.variants.items()},
        explain=tuple(
            dataclasses.replace(part, checked=_without_text(part.checked), expanded=_NO_EXPANSION)
            for part in rule.explain
        ),
    )


def _after_generation(rule: CheckedRule) -> CheckedRule:
    """Return what is kept of a rule whose code was made: thousands of small objects would make each full garbage collection a
    pause that calls feel."""
    own = rule.rule
    match = Match((), agents=own.match.agents, tenants=own.match.tenants) if caller_matcher(own.match) else _ANY_CALLER
    return CheckedRule(
        dataclasses.replace(own, location=_NOWHERE, match=match, when=_NO_TEXT),
        _NO_EXPANSION,
        _DROPPED_CONDITION,
        _NO_VARIANTS,
        rule.explain,
        _NO_FACTS,
    )


def _without_text(checked: CheckedExpression) -> CheckedExpression:
    return dataclasses.replace(checked, text="")


class _DroppedTree(Expr):
    """Stands where a tree was, in rules that are kept: no evaluator knows it, so it can't be taken for a condition."""


_NO_FACTS: frozenset[str] = frozenset()
_NOWHERE = Location("", 0, 0)
_NO_TEXT = Scalar(_NOWHERE, "", "", "", "")
_NO_EXPANSION = ExpandedText("", (), frozenset(), frozenset())
_NO_VARIANTS: Mapping[tuple[str, str], CheckedExpression] = MappingProxyType({})
_ANY_CALLER = Match(())
_DROPPED_CONDITION = CheckedExpression("", _DroppedTree(type=None, offset=-1))  # type: ignore[arg-type]  # it is of no type


def _expect(value: Any, wanted: type[_Wanted]) -> _Wanted:
    if not isinstance(value, wanted):
        raise PortableError(f"portable rules hold a `{type(value).__name__}` where a `{wanted.__name__}` is wanted")
    return value
