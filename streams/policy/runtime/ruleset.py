"""The compiled ruleset: what the gate asks for each intent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeGuard, TypeVar, overload

from streams.policy.errors import BundleError, EvaluationError, Findings
from streams.policy.language.bundle import Bundle, BundleSource
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.check_memory import NO_MEMORIES, CheckedMemories, check_memories
from streams.policy.language.compile import CheckedRule, check_rules, history_struct, list_constants
from streams.policy.language.fact_types import Facts, Struct
from streams.policy.language.globs import ToolMatcher, caller_matcher, is_literal
from streams.policy.language.parse import parse_bundle
from streams.policy.language.tool_types import UNTYPED, ToolTypes
from streams.policy.results import Effect, Mode, PolicyResult, Reason, RuleEffect
from streams.policy.runtime.combine import Progress, combine, progress_of
from streams.policy.runtime.evaluate import Conditions
from streams.policy.runtime.explain import Explainer
from streams.policy.runtime.memory_updates import Memories, ToolPlan
from streams.policy.runtime.partial_evaluation import (
    Reads,
    is_constant_false,
    known_tool_fields,
    reads_of,
    specialize,
    union_of_reads,
)

PROGRAMS_MAX = 4_096
"""Tools whose applicable rules are kept ready; past it all are dropped and found again as they come."""

RESULTS_MAX = 256
"""Results kept per tool, by the rules that matched."""

Tool = Mapping[str, Any]
"""The fact `tool`."""

ToolVersion = tuple[str, str, str]
"""Server, name and version."""


class ToolProgram:
    """The rules for one version of one tool, by rule id, ready to run: those that can hold for it."""

    __slots__ = (
        "_cacheable", "callers", "conditions", "plan", "results", "rules", "tool", "tool_fields", "tool_id", "types",
    )  # fmt: skip

    def __init__(
        self,
        tool: Tool,
        rules: tuple[CheckedRule, ...],
        conditions: Conditions,
        types: ToolTypes | None,
        plan: ToolPlan,
    ) -> None:
        self.tool = tool
        self.tool_id = ".".join(tool_version_of(tool)[:2])
        self.tool_fields = known_tool_fields(tool)
        self.rules = rules
        self.conditions = conditions
        self.types = types
        self.plan = plan
        callers = {index: caller_matcher(rule.rule.match) for index, rule in enumerate(rules)}
        self.callers = {index: matcher for index, matcher in callers.items() if matcher is not None}
        # Rules whose match alone says what the result is: no explanation, no approval, no waiting.
        self._cacheable = frozenset(
            index
            for index, rule in enumerate(rules)
            if not rule.explain and rule.rule.approval is None and rule.rule.defer_ms is None
        )
        self.results: dict[tuple[int, ...], PolicyResult] = {}

    def run(self, facts: Facts, explainer: Explainer) -> PolicyResult:
        failed: list[tuple[int, str]] = []
        true = self.conditions.true_of(facts)
        if true is None:
            true, failed = self.conditions.run(facts)
        if self.callers:
            true = [index for index in true if self._is_for(index, facts)]
            failed = [(index, text) for index, text in failed if self._is_for(index, facts)]
        key = tuple(true)
        if not failed and key in self.results:
            return self.results[key]
        matched = [self.rules[index] for index in true]
        result = combine(
            [rule.rule for rule in matched],
            [(self.rules[index].rule, text) for index, text in sorted(failed)],
            progress_of(facts),
            self.tool_id,
            explainer.explain(matched, facts),
        )
        if not failed and self._cacheable.issuperset(true) and len(self.results) < RESULTS_MAX:
            self.results[key] = result
        return result

    def _is_for(self, index: int, facts: Facts) -> bool:
        """Return whether a rule is for the caller. One who can't be told is anyone: only a permit is not for them."""
        matcher = self.callers.get(index)
        if matcher is None:
            return True
        agent, tenant = facts.get("agent"), facts.get("tenant")
        agent_id = agent.get("id") if isinstance(agent, Mapping) else None
        if isinstance(agent_id, str) and isinstance(tenant, str):
            return matcher.matches(agent_id, tenant)
        return self.rules[index].rule.effect is not RuleEffect.PERMIT


class CompiledRuleset:
    """A bundle that was accepted. Not thread-safe: it keeps a cache per tool.

    Attributes:
        digest: SHA-256 of the bundle's files (32 bytes), which every verdict records.
        name: the bundle's name.
        version: its version.
        mode: enforce or shadow; in a shadow bundle nothing counts, so that every outcome is DENY `no_permit` and
            `PolicyResult.shadow` says what it would be.
        bundle: what was compiled, for reports.
        memories: what is kept count of.
        history: the type of the fact `history`.
    """

    def __init__(
        self,
        bundle: Bundle,
        digest: bytes,
        rules: tuple[CheckedRule, ...],
        tools: Mapping[str, ToolTypes],
        memories: CheckedMemories = NO_MEMORIES,
    ) -> None:
        self.digest = digest
        self.name = bundle.name
        self.version = bundle.version
        self.mode = bundle.mode
        self.bundle = bundle
        self.rules = tuple(rule for rule in rules if rule.rule.mode is not Mode.OFF)
        self._constants = list_constants(bundle)
        self._explainer = Explainer(self._constants)
        self._tools = tools
        self._index = _Index(self.rules)
        self._programs: dict[ToolVersion, ToolProgram] = {}
        # By the tool's description, which a program keeps alive: a gate shows the same object with every call.
        self._by_identity: dict[int, ToolProgram] = {}
        self.history = history_struct(bundle)
        self.memories = Memories(memories, self._constants)

    def applicable(self, server_id: str, tool_name: str, version: str) -> tuple[CheckedRule, ...]:
        """Return the rules for one version of a tool, by rule id."""
        return tuple(self._index.applicable(server_id, tool_name, version))

    def evaluate(self, facts: Facts, *, planned: bool = False) -> PolicyResult:
        """Judge one intent.

        Args:
            facts: see `schema.py`; at least `tool` and what the `needs` of its `plan` name. A fact that is missing puts
                the rules that read it in error, which fails closed. `approval` and `deferral` count towards the outcome
                too: give them whenever there are any.
            planned: `tool` is the object that `plan` was asked with, and unchanged since; it is not looked at again.

        Returns:
            The outcome. Never raises on facts of the wrong shape: they deny.
        """
        tool = facts.get("tool")
        program = self._by_identity.get(id(tool)) if planned else None
        if program is None or program.tool is not tool:
            if not is_tool_fact(tool):
                return combine((), (), Progress(), "?")
            program = self._program_for(tool)
        if program.types is not None and isinstance(args := facts.get("args"), Mapping):
            typed = program.types.coerce(args)
            facts = facts if typed is args else {**facts, "args": typed}
        return program.run(facts, self._explainer)

    def with_typed_args(self, facts: Facts) -> Facts:
        """Return the facts as conditions read them: numbers among the arguments are as the tool's types say."""
        tool, args = facts.get("tool"), facts.get("args")
        types = self._tools.get("/".join(tool_version_of(tool)[:2])) if is_tool_fact(tool) else None
        return {**facts, "args": types.coerce(args)} if types is not None and isinstance(args, Mapping) else facts

    def plan(self, tool: Tool) -> ToolPlan:
        """Return what the memories and budgets of the bundle have to do with one version of a tool; and, in its `needs`, the
        facts that its rules and they read.

        Args:
            tool: the fact `tool`. An object that was shown before is taken to be as it was, and must not be changed.
        """
        program = self._by_identity.get(id(tool))
        if program is None or program.tool is not tool:
            program = self._program_for(tool)
        return program.plan

    def judge(self, facts: Facts) -> PolicyResult:
        """`evaluate`, and a denial where it can't be told what there is to remember or to charge."""
        return self.with_memory_errors(self.evaluate(facts), facts)

    def with_memory_errors(self, result: PolicyResult, facts: Facts) -> PolicyResult:
        """Return a result of `evaluate`, or the denial that `judge` makes of it."""
        if result.effect in (Effect.DENY, Effect.QUARANTINE):
            return result
        plan = self.plan(facts["tool"])
        try:
            plan.updates(facts)
            plan.charges(facts)
        except EvaluationError as error:
            return replace(result, effect=Effect.DENY, reason=Reason.RULE_ERROR, reason_text=str(error))
        return result

    def _program_for(self, tool: Tool) -> ToolProgram:
        """Return the code for a tool as it is described; made anew where the last call of it was described otherwise."""
        key = tool_version_of(tool)
        program = self._programs.get(key)
        if program is None or program.tool_fields != known_tool_fields(tool):
            program = self._program(key, tool)
            self._keep(key, program)
        return program

    def _keep(self, key: ToolVersion, program: ToolProgram) -> None:
        if len(self._programs) >= PROGRAMS_MAX:
            self._programs.clear()
            self._by_identity.clear()
        before = self._programs.pop(key, None)
        if before is not None:
            self._by_identity.pop(id(before.tool), None)
        self._programs[key] = self._by_identity[id(program.tool)] = program

    def _program(self, key: ToolVersion, tool: Tool) -> ToolProgram:
        tool_fields = known_tool_fields(tool)
        trees = ((rule, rule.variants.get(key[:2], rule.checked).tree) for rule in self.applicable(*key))
        own = [(rule, specialize(tree, tool_fields)) for rule, tree in trees]
        own = [(rule, tree) for rule, tree in own if not is_constant_false(tree)]
        types, structs = self._types_of(key)
        conditions = Conditions([tree for _, tree in own], self._constants, structs)
        plan = self._plan_of(key, (reads_of(*each) for each in own))
        return ToolProgram(tool, tuple(rule for rule, _ in own), conditions, types, plan)

    def _types_of(self, key: ToolVersion) -> tuple[ToolTypes | None, Mapping[str, Struct]]:
        """Return the types of a tool's arguments, where they are known, and the records that its rules can read."""
        types = self._tools.get(f"{key[0]}/{key[1]}")
        return types, structs_by_type_name(types.args if types else UNTYPED.args, self.history)

    def _plan_of(self, key: ToolVersion, reads: Iterable[Reads]) -> ToolPlan:
        facts, memories = union_of_reads(reads)
        return self.memories.plan(*key, self.memories.names if memories is None else memories).needing(facts)


def is_tool_fact(tool: Any) -> TypeGuard[Tool]:
    """Return whether a fact `tool` says which tool it is; rules are for no other."""
    if not isinstance(tool, Mapping):
        return False
    return all(isinstance(part, str) for part in (tool.get("server_id"), tool.get("name"), tool.get("version", "")))


def tool_version_of(tool: Tool) -> ToolVersion:
    """Server, name and version of a tool."""
    return tool["server_id"], tool["name"], tool.get("version", "")


class _Index:
    """Finds the rules of a tool without looking at those that name other tools."""

    def __init__(self, rules: tuple[CheckedRule, ...]) -> None:
        self._rules = [(rule, ToolMatcher(rule.rule.match)) for rule in rules]
        self._by_server: dict[str, list[int]] = {}
        self._anywhere: list[int] = []
        for index, rule in enumerate(rules):
            servers = {pattern.text.partition(".")[0] for pattern in rule.rule.match.tools}
            if all(is_literal(server) for server in servers):
                for server in servers:
                    self._by_server.setdefault(server, []).append(index)
            else:
                self._anywhere.append(index)

    def applicable(self, server_id: str, name: str, version: str) -> list[CheckedRule]:
        """Return the rules for one version of a tool, by rule id."""
        near = (self._rules[index] for index in sorted([*self._by_server.get(server_id, ()), *self._anywhere]))
        return [rule for rule, matcher in near if matcher.matches(server_id, name, version)]


_R = TypeVar("_R", bound=CompiledRuleset)


@overload
def compile_bundle(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None) -> CompiledRuleset: ...
@overload
def compile_bundle(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None, *, kind: type[_R]) -> _R: ...
def compile_bundle(
    source: BundleSource,
    tools: Mapping[str, ToolTypes] | None = None,
    *,
    kind: type[CompiledRuleset] = CompiledRuleset,
) -> CompiledRuleset:
    """Parse, check and compile a bundle.

    Args:
        source: the bundle's files, not trusted.
        tools: argument types by `server_id/name`, from the tools' input schemas.
        kind: what it becomes.

    Raises:
        BundleError: with every error that was found; nothing of a bad bundle is used.
    """
    findings = Findings()
    bundle = parse_bundle(source, findings)
    if bundle is None:
        raise BundleError(findings.errors())
    rules = check_rules(bundle, tools or {}, findings)
    memories = check_memories(bundle, tools or {}, findings)
    if findings.has_errors:
        raise BundleError(findings.errors())
    return kind(bundle, source.digest, rules, dict(tools or {}), memories)
