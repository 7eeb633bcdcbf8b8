"""Serializes a compiled ruleset, so that a process of its own can compile the rules for a gate.

Parsing and type checking of thousands of rules takes seconds and uses a C++ library, so a gate must not do it itself.
The compiling process returns bytes (see `portable_values.py`). The gate reads most of them lazily: it reads a rule when
a tool that the rule applies to is called for the first time. To avoid a delay at that call, a gate prepares the tools
that are in use with `warm_steps`, in steps of a few milliseconds.
"""

from __future__ import annotations

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
from streams.policy.runtime.ruleset import (
    CompiledRuleset,
    Tool,
    ToolProgram,
    ToolVersion,
    compile_bundle,
    tool_version_of,
)

FORMAT = 3
RULES_PER_STEP = 16
MATCHERS_PER_STEP = 64
RULES_PER_FUNCTION_MAX = 48
"""Smaller than in a ruleset that is compiled in this process: the code of a function is generated in one step."""

Steps = Generator[None, None, None]
_Wanted = TypeVar("_Wanted")


class _RuleGroup(NamedTuple):
    """The indexes of rules that apply to the same tools."""

    match: Match
    indexes: tuple[int, ...]


def compile_portable(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None) -> bytes:
    """Parse, check and compile a bundle, and return the ruleset in portable form.

    Args:
        source: the files of the bundle, which are not trusted.
        tools: see `compile_bundle`.

    Raises:
        BundleError: the bundle is rejected; the error has every finding.
        PortableError: a value has no portable form, which is a bug.
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
    bare = msgspec.structs.replace(
        ruleset.bundle,
        packs=tuple(msgspec.structs.replace(pack, rules=(), macros=()) for pack in ruleset.bundle.packs),
    )
    return encode_message(
        (
            FORMAT,
            ruleset.digest,
            to_data(bare),
            to_data(dict(ruleset._tools)),
            to_data(memories),
            sorted(ruleset.reads),
            [(to_data(matches[key]), indexes) for key, indexes in groups.items()],
            blobs,
        )
    )


def load_ruleset(data: bytes) -> PortableRuleset:
    """Read a ruleset in portable form.

    Raises:
        PortableError: the data is not in portable form.
    """
    steps = load_steps(data)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            ruleset: PortableRuleset = done.value
            return ruleset


def load_steps(data: bytes) -> Generator[None, None, PortableRuleset]:
    """Read a ruleset in portable form in steps of a few milliseconds; the generator returns the ruleset.

    Raises:
        PortableError: the data is not in portable form.
    """
    try:
        version, digest, bundle, tools, memories, reads, groups, blobs = decode_message(data)
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
        # Gates ask for it at every event; rules are read only when they are needed.
        ruleset.reads = frozenset(map(str, reads))
    except (TypeError, ValueError, IndexError) as error:
        raise PortableError(f"portable rules can't be read: {error}") from None
    ruleset.attach_rules(blobs, index)
    return ruleset


class PortableRuleset(CompiledRuleset):
    """A ruleset that reads its rules when they are needed. Its results are those of the ruleset that was serialized."""

    def __init__(
        self, bundle: Bundle, digest: bytes, tools: Mapping[str, ToolTypes], memories: CheckedMemories
    ) -> None:
        """Initialize a ruleset without rules. Use `load_ruleset` instead."""
        super().__init__(bundle, digest, (), tools, memories)
        self._blobs: Sequence[bytes] = ()
        self._groups = _RuleGroups(0)

    def attach_rules(self, blobs: Sequence[bytes], groups: _RuleGroups) -> None:
        """Set the rules. Must be called before the ruleset is used."""
        self._blobs, self._groups = blobs, groups
        self.rules = _LazyRules(self)  # type: ignore[assignment]  # a sequence, of which only some is ever read

    def rule(self, index: int) -> CheckedRule:
        """Read and return one rule."""
        return _expect(from_data(decode_message(self._blobs[index])), CheckedRule)

    def applicable(self, server_id: str, tool_name: str, version: str) -> tuple[CheckedRule, ...]:
        """See `CompiledRuleset`."""
        return tuple(map(self.rule, self._groups.indexes(server_id, tool_name, version)))

    def warm_steps(self, tools: Iterable[Tool]) -> Steps:
        """Prepare the code for tools in small steps, so that their first call causes no delay."""
        for tool in tools:
            program = yield from self._program_steps(tool_version_of(tool), tool)
            self._keep(tool_version_of(tool), program)

    def _program(self, key: ToolVersion, tool: Tool) -> ToolProgram:
        steps = self._program_steps(key, tool)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                program: ToolProgram = done.value
                return program

    def _program_steps(self, key: ToolVersion, tool: Tool) -> Generator[None, None, ToolProgram]:
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
        return ToolProgram(tool, tuple(rules), conditions, types, plan)


class _SteppedConditions(Conditions):
    """Conditions whose code is generated part by part. Trees are read again if generated code gives up."""

    def __init__(
        self, trees: _ConditionTrees, constants: Mapping[str, Sequence[Any]], structs: Mapping[str, Any]
    ) -> None:
        super().__init__((), constants, structs)
        self._trees = trees  # type: ignore[assignment]  # a sequence that is indexed and no more
        self._structs = structs
        self._count = 0

    def add(self, trees: Sequence[Expr]) -> None:
        """Generate the code of the next conditions."""
        part = GeneratedPart(self._count, len(trees), generate(trees, self._constants, self._structs))
        self._parts = (*self._parts, part)
        self._count += len(trees)


class _ConditionTrees(Sequence[Expr]):
    """The conditions of some rules, specialized for one tool, each read when it is needed."""

    def __init__(self, ruleset: PortableRuleset, tool: tuple[str, str], tool_fields: ToolFields) -> None:
        self.indexes: list[int] = []
        self._ruleset, self._tool, self._tool_fields = ruleset, tool, tool_fields

    def of(self, rule: CheckedRule) -> Expr:
        """Return the condition of a rule, specialized for the tool."""
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
    """All rules of a ruleset, each read when it is accessed."""

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
    """Finds the rules for a tool by matching groups of rules."""

    def __init__(self, rules_count: int) -> None:
        self._rules_count = rules_count
        self._groups: list[tuple[ToolMatcher, tuple[int, ...]]] = []
        self._by_server: dict[str, list[int]] = {}
        self._anywhere: list[int] = []

    def add(self, group: _RuleGroup) -> None:
        """Add a group.

        Raises:
            IndexError: it contains the index of a rule that doesn't exist.
        """
        if any(not 0 <= index < self._rules_count for index in group.indexes):
            raise IndexError("a group contains the index of a rule that doesn't exist")
        number = len(self._groups)
        self._groups.append((ToolMatcher(group.match), group.indexes))
        servers = {pattern.text.partition(".")[0] for pattern in group.match.tools}
        if all(map(is_literal, servers)):
            for server in servers:
                self._by_server.setdefault(server, []).append(number)
        else:
            self._anywhere.append(number)

    def indexes(self, server_id: str, name: str, version: str) -> tuple[int, ...]:
        """Return the indexes of the rules for a version of a tool, in ascending order."""
        numbers: Iterator[int] = iter((*self._by_server.get(server_id, ()), *self._anywhere))
        near = (self._groups[number] for number in numbers)
        return tuple(
            sorted(index for matcher, indexes in near if matcher.matches(server_id, name, version) for index in indexes)
        )


def _tool_match(match: Match) -> tuple[tuple[Any, ...], Match]:
    """Return the part of a match that concerns tools, as a key and as a match."""
    version = match.tool_version
    key = (
        tuple(pattern.text for pattern in match.tools),
        tuple(pattern.text for pattern in match.servers),
        None if version is None else version.text,
    )
    return key, msgspec.structs.replace(match, agents=(), tenants=())


def _without_source(rule: CheckedRule) -> CheckedRule:
    """Return a rule without its texts and their locations, which only the checker needs."""
    return msgspec.structs.replace(
        rule,
        rule=msgspec.structs.replace(
            rule.rule,
            when=msgspec.structs.replace(rule.rule.when, raw=""),
            explain=(),
        ),
        expanded=_NO_EXPANSION,
        checked=_without_text(rule.checked),
        variants={tool: _without_text(checked) for tool, checked in rule.variants.items()},
        explain=tuple(
            msgspec.structs.replace(part, checked=_without_text(part.checked), expanded=_NO_EXPANSION)
            for part in rule.explain
        ),
    )


def _after_generation(rule: CheckedRule) -> CheckedRule:
    """Return the parts of a rule that are kept after its code is generated.

    Thousands of small objects would turn each full garbage collection into a pause that delays calls.
    """
    own = rule.rule
    match = Match((), agents=own.match.agents, tenants=own.match.tenants) if caller_matcher(own.match) else _ANY_CALLER
    return CheckedRule(
        msgspec.structs.replace(own, location=_NOWHERE, match=match, when=_NO_TEXT),
        _NO_EXPANSION,
        _DROPPED_CONDITION,
        _NO_VARIANTS,
        rule.explain,
        _NO_FACTS,
    )


def _without_text(checked: CheckedExpression) -> CheckedExpression:
    return msgspec.structs.replace(checked, text="")


class _DroppedTree(Expr, frozen=True):
    """Replaces the tree of a rule that is kept after code generation. No evaluator accepts it as a condition."""


_NO_FACTS: frozenset[str] = frozenset()
_NOWHERE = Location("", 0, 0)
_NO_TEXT = Scalar(_NOWHERE, "", "", "", "")
_NO_EXPANSION = ExpandedText("", (), frozenset(), frozenset())
_NO_VARIANTS: Mapping[tuple[str, str], CheckedExpression] = MappingProxyType({})
_ANY_CALLER = Match(())
_DROPPED_CONDITION = CheckedExpression("", _DroppedTree(type=None, offset=-1))  # type: ignore[arg-type]  # it is of no type


def _expect(value: Any, wanted: type[_Wanted]) -> _Wanted:
    if not isinstance(value, wanted):
        raise PortableError(f"portable rules contain a `{type(value).__name__}`, expected a `{wanted.__name__}`")
    return value
