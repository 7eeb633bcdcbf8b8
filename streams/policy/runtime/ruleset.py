"""The compiled ruleset, with which the gate judges each intent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeGuard, TypeVar, overload

from msgspec.structs import replace

from streams.policy.cel.work import CURRENT, Account
from streams.policy.errors import BundleError, Findings
from streams.policy.language.bundle import Bundle, BundleSource
from streams.policy.language.check import structs_by_type_name
from streams.policy.language.check_memory import NO_MEMORIES, CheckedMemories, check_memories
from streams.policy.language.compile import (
    CheckedRule,
    Wanted,
    check_rules,
    entities_struct,
    history_struct,
    list_constants,
)
from streams.policy.language.fact_types import Facts, Struct
from streams.policy.language.globs import ToolMatcher, caller_matcher, is_literal
from streams.policy.language.parse import parse_bundle
from streams.policy.language.schema import READS_BASELINE
from streams.policy.language.tool_types import UNTYPED, ToolTypes
from streams.policy.results import Effect, Mode, PolicyResult, RuleEffect
from streams.policy.runtime.combine import Progress, combine, progress_of
from streams.policy.runtime.evaluate import Conditions
from streams.policy.runtime.explain import Explainer
from streams.policy.runtime.memory_updates import Memories, ToolPlan
from streams.policy.runtime.memory_values import MemoryUpdateError
from streams.policy.runtime.partial_evaluation import (
    Reads,
    is_constant_false,
    known_tool_fields,
    reads_of,
    specialize,
    union_of_reads,
)

PROGRAMS_MAX = 4_096
"""The number of tools whose programs are cached. If it is exceeded, the whole cache is cleared."""

RESULTS_MAX = 256
"""The number of results that are cached for each tool, by the rules that match."""

Tool = Mapping[str, Any]
"""The fact `tool`."""

ToolVersion = tuple[str, str, str]
"""Server, name and version."""


class ToolProgram:
    """The rules that can match for one version of one tool, ordered by rule id, with their generated code."""

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
        # Rules whose results depend only on whether they match: without explanation, approval and deferral.
        self._cacheable = frozenset(
            index
            for index, rule in enumerate(rules)
            if not rule.explain and rule.rule.approval is None and rule.rule.defer_ms is None
        )
        self.results: dict[tuple[int, ...], PolicyResult] = {}

    def run(self, facts: Facts, explainer: Explainer) -> PolicyResult:
        """Judge one intent, with all of its rules on one account of work."""
        failed: list[tuple[int, str]] = []
        token = CURRENT.set(Account())
        try:
            true = self.conditions.true_of(facts)
            if true is None:
                true, failed = self.conditions.run(facts)
        finally:
            CURRENT.reset(token)
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
        """Return whether a rule applies to the caller.

        A caller who is not known may be anyone: a permit does not apply to such a call, all other rules do.
        """
        matcher = self.callers.get(index)
        if matcher is None:
            return True
        agent, tenant = facts.get("agent"), facts.get("tenant")
        agent_id = agent.get("id") if isinstance(agent, Mapping) else None
        if isinstance(agent_id, str) and isinstance(tenant, str):
            return matcher.matches(agent_id, tenant)
        return self.rules[index].rule.effect is not RuleEffect.PERMIT


class CompiledRuleset:
    """A compiled bundle. Not thread-safe, because it has caches for each tool.

    Attributes:
        digest: the SHA-256 digest of the bundle's files (32 bytes), which every verdict records.
        name: the bundle's name.
        version: the bundle's version.
        mode: enforce or shadow. No rule of a shadow bundle is enforced, so every outcome is DENY `no_permit`, and
            `PolicyResult.shadow` has the outcome that the rules would have.
        bundle: the parsed bundle, for reports.
        memories: the memories and budgets.
        history: the type of the fact `history`.
        reads: the top-level facts that any of the rules reads.
    """

    conditions_kind: ClassVar[type[Conditions]] = Conditions
    """How conditions are evaluated."""

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
        self.reads = frozenset[str]().union(*(rule.facts for rule in self.rules))
        self._constants = list_constants(bundle)
        self._explainer = Explainer(self._constants)
        self._tools = tools
        self._index = _Index(self.rules)
        self._programs: dict[ToolVersion, ToolProgram] = {}
        # By the identity of the fact `tool`, which the program keeps alive: a gate passes the same object each time.
        self._by_identity: dict[int, ToolProgram] = {}
        self.history = history_struct(bundle)
        self.entities = entities_struct(bundle)
        self.memories = Memories(memories, self._constants)

    @property
    def rules_that_read_baselines(self) -> list[str]:
        """Return the ids of the rules that read what is usual for an agent."""
        return [rule.rule.id for rule in self.rules if READS_BASELINE in reads_of(rule, rule.checked.tree).facts]

    def applicable(self, server_id: str, tool_name: str, version: str) -> tuple[CheckedRule, ...]:
        """Return the rules that apply to one version of a tool, ordered by rule id."""
        return tuple(self._index.applicable(server_id, tool_name, version))

    def evaluate(self, facts: Facts, *, planned: bool = False) -> PolicyResult:
        """Judge one intent.

        Args:
            facts: the facts of `schema.py`; at least `tool` and those in the `needs` of its `plan`. If a fact is
                missing, the rules that read it are in error, which fails closed. `approval` and `deferral` affect the
                outcome too: pass them if there are any.
            planned: `tool` is the object that was passed to `plan` and has not changed since; it is not checked again.

        Returns:
            The result. Malformed facts deny the intent and raise no error.
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
        """Return the facts with the numbers in `args` converted to the tool's types, as conditions read them."""
        tool, args = facts.get("tool"), facts.get("args")
        types = self._tools.get("/".join(tool_version_of(tool)[:2])) if is_tool_fact(tool) else None
        return {**facts, "args": types.coerce(args)} if types is not None and isinstance(args, Mapping) else facts

    def plan(self, tool: Tool) -> ToolPlan:
        """Return the memory updates and budget charges for one version of a tool, and the facts that it needs.

        Args:
            tool: the fact `tool`. The caller must not change the object after this call.
        """
        program = self._by_identity.get(id(tool))
        if program is None or program.tool is not tool:
            program = self._program_for(tool)
        return program.plan

    def judge(self, facts: Facts) -> PolicyResult:
        """Judge one intent like `evaluate`, but deny it if its memory updates or charges can't be determined."""
        return self.with_memory_errors(self.evaluate(facts), facts)

    def with_memory_errors(self, result: PolicyResult, facts: Facts) -> PolicyResult:
        """Return a result of `evaluate`, or a denial if the memory updates or charges can't be determined."""
        if result.effect in (Effect.DENY, Effect.QUARANTINE):
            return result
        plan = self.plan(facts["tool"])
        try:
            plan.updates(facts)
            plan.charges(facts)
        except MemoryUpdateError as error:
            return replace(result, effect=Effect.DENY, reason=error.reason, reason_text=str(error))
        return result

    def _program_for(self, tool: Tool) -> ToolProgram:
        """Return the program for a tool. It is made again if the catalog describes the tool differently than before."""
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
        conditions = self.conditions_kind([tree for _, tree in own], self._constants, structs)
        plan = self._plan_of(key, (reads_of(*each) for each in own))
        return ToolProgram(tool, tuple(rule for rule, _ in own), conditions, types, plan)

    def _types_of(self, key: ToolVersion) -> tuple[ToolTypes | None, Mapping[str, Struct]]:
        """Return the types of a tool's arguments, or None if unknown, and the records that its rules can read."""
        types = self._tools.get(f"{key[0]}/{key[1]}")
        return types, structs_by_type_name(types.args if types else UNTYPED.args, self.history, self.entities)

    def _plan_of(self, key: ToolVersion, reads: Iterable[Reads]) -> ToolPlan:
        facts, memories, entities = union_of_reads(reads)
        plan = self.memories.plan(*key, self.memories.names if memories is None else memories).needing(facts)
        return self.memories.with_lookups(plan, key, entities)


def active_tools(ruleset: CompiledRuleset, limit: int) -> tuple[Tool, ...]:
    """Return the tools for which a ruleset has judged intents, at most `limit`, the most recently added ones."""
    return tuple(program.tool for program in ruleset._programs.values())[-limit:]


def is_tool_fact(tool: Any) -> TypeGuard[Tool]:
    """Return whether a value is a fact `tool` that identifies a tool."""
    if not isinstance(tool, Mapping):
        return False
    return all(isinstance(part, str) for part in (tool.get("server_id"), tool.get("name"), tool.get("version", "")))


def tool_version_of(tool: Tool) -> ToolVersion:
    """Return server, name and version of a tool."""
    return tool["server_id"], tool["name"], tool.get("version", "")


class _Index:
    """Finds the rules that apply to a tool, without matching those that name other servers."""

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
        """Return the rules that apply to one version of a tool, ordered by rule id."""
        near = (self._rules[index] for index in sorted([*self._by_server.get(server_id, ()), *self._anywhere]))
        return [rule for rule, matcher in near if matcher.matches(server_id, name, version)]


_R = TypeVar("_R", bound=CompiledRuleset)


@overload
def compile_bundle(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None) -> CompiledRuleset: ...
@overload
def compile_bundle(
    source: BundleSource, tools: Mapping[str, ToolTypes] | None = None, *, kind: type[_R], wanted: Wanted | None = None
) -> _R: ...
def compile_bundle(
    source: BundleSource,
    tools: Mapping[str, ToolTypes] | None = None,
    *,
    kind: type[CompiledRuleset] = CompiledRuleset,
    wanted: Wanted | None = None,
) -> CompiledRuleset:
    """Parse, check and compile a bundle.

    Args:
        source: the files of the bundle, which are not trusted.
        tools: argument types by `server_id/name`, from the tools' input schemas.
        kind: the class of the result.
        wanted: which rules to check and compile, by default all. Leave rules out only of a bundle that was checked.

    Raises:
        BundleError: the bundle is rejected; the error has every finding.
    """
    findings = Findings()
    bundle = parse_bundle(source, findings)
    if bundle is None:
        raise BundleError(findings.errors())
    rules = check_rules(bundle, tools or {}, findings, wanted)
    memories = check_memories(bundle, tools or {}, findings)
    if findings.has_errors:
        raise BundleError(findings.errors())
    return kind(bundle, source.digest, rules, dict(tools or {}), memories)
