"""Type-checks the expressions of memories, budgets and entities, and reports every error with its location."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streams.policy.cel.tree import Expr, free_names
from streams.policy.errors import Findings
from streams.policy.language.bundle import Budget, Bundle, Entity, Match, MeasureKind, Memory
from streams.policy.language.compile import PackChecker
from streams.policy.language.located_yaml import Scalar
from streams.policy.language.macros import ExpandedText
from streams.policy.language.schema import FACT_NAMES
from streams.policy.language.tool_types import ToolTypes

_CONDITION_TYPES = frozenset({"bool"})
_KEY_TYPES = frozenset({"string", "int", "dyn"})
_AMOUNT_TYPES = frozenset({"int", "dyn"})
_TARGET_TYPES = frozenset({"string", "int", "list", "dyn"})


class MemoryExpression(msgspec.Struct, frozen=True):
    """A well-typed expression of a memory or a budget; `facts` are the top-level facts that it reads."""

    expanded: ExpandedText
    tree: Expr
    facts: frozenset[str]


class CheckedMemory(msgspec.Struct, frozen=True):
    """A memory whose expressions are well typed."""

    memory: Memory
    when: MemoryExpression | None
    key: MemoryExpression | None
    of: MemoryExpression | None
    reset_when: MemoryExpression | None
    since_when: MemoryExpression | None = None
    since_key: MemoryExpression | None = None


class CheckedBudget(msgspec.Struct, frozen=True):
    """A budget whose expressions are well typed."""

    budget: Budget
    when: MemoryExpression | None
    of: MemoryExpression | None
    key: MemoryExpression | None = None


class CheckedEntity(msgspec.Struct, frozen=True):
    """A declared entity whose key is well typed."""

    entity: Entity
    key: MemoryExpression


class CheckedMemories(msgspec.Struct, frozen=True):
    """The checked memories, budgets and entities of a bundle, each ordered by name."""

    memories: tuple[CheckedMemory, ...] = ()
    budgets: tuple[CheckedBudget, ...] = ()
    entities: tuple[CheckedEntity, ...] = ()

    @property
    def expressions(self) -> tuple[tuple[str, MemoryExpression], ...]:
        """Return every expression with the name of its pack."""
        found = [(item.memory.pack, part) for item in self.memories for part in
                 (item.when, item.key, item.of, item.reset_when, item.since_when, item.since_key)]  # fmt: skip
        found += [(item.budget.pack, part) for item in self.budgets for part in (item.when, item.of, item.key)]
        found += [(item.entity.pack, item.key) for item in self.entities]
        return tuple((pack, part) for pack, part in found if part is not None)


NO_MEMORIES = CheckedMemories()
"""The result for a bundle without memories and budgets."""


def check_memories(bundle: Bundle, tools: Mapping[str, ToolTypes], findings: Findings) -> CheckedMemories:
    """Check every memory, every budget and every entity of a bundle.

    Args:
        bundle: the parsed bundle.
        tools: argument types by `server_id/name`.
        findings: receives the errors.
    """
    memories: list[CheckedMemory] = []
    budgets: list[CheckedBudget] = []
    entities: list[CheckedEntity] = []
    for pack in bundle.packs:
        if not (pack.memories or pack.budgets or pack.entities):
            continue
        checker = _MemoryChecker(PackChecker(bundle, pack, tools, findings), findings)
        memories.extend(map(checker.memory, pack.memories))
        budgets.extend(map(checker.budget, pack.budgets))
        entities.extend(item for item in map(checker.entity, pack.entities) if item is not None)
    return CheckedMemories(
        tuple(sorted(memories, key=lambda item: item.memory.name)),
        tuple(sorted(budgets, key=lambda item: item.budget.name)),
        tuple(sorted(entities, key=lambda item: item.entity.name)),
    )


class _MemoryChecker:
    def __init__(self, checks: PackChecker, findings: Findings) -> None:
        self._checks = checks
        self._findings = findings

    def memory(self, memory: Memory) -> CheckedMemory:
        match, reset, since = memory.match, memory.reset, memory.since
        return CheckedMemory(
            memory,
            self._expression(memory.when, match, _CONDITION_TYPES),
            self._expression(memory.key, match, _KEY_TYPES, may_read_label=False),
            self._expression(memory.of, match, _AMOUNT_TYPES, may_read_label=False),
            self._expression(reset.when, reset.match, _CONDITION_TYPES) if reset else None,
            self._expression(since.when, since.match, _CONDITION_TYPES) if since else None,
            self._expression(since.key, since.match, _KEY_TYPES, may_read_label=False) if since else None,
        )

    def budget(self, budget: Budget) -> CheckedBudget:
        kinds = _TARGET_TYPES if budget.measure is MeasureKind.DISTINCT else _AMOUNT_TYPES
        return CheckedBudget(
            budget,
            self._expression(budget.when, budget.match, _CONDITION_TYPES),
            self._expression(budget.of, budget.match, kinds),
            self._expression(budget.key, budget.match, _KEY_TYPES, may_read_label=False),
        )

    def entity(self, entity: Entity) -> CheckedEntity | None:
        key = self._expression(entity.key, entity.match, _KEY_TYPES, may_read_label=False, what="the key of an entity")
        if key is None:
            return None
        if "entities" in key.facts:
            message = "the key of an entity can't read `entities`: it is evaluated before they are looked up"
            self._findings.error("reads_entities", entity.key.location, message)
        return CheckedEntity(entity, key)

    def _expression(
        self,
        scalar: Scalar | None,
        match: Match | None,
        kinds: frozenset[str],
        *,
        may_read_label: bool = True,
        what: str = "a memory or a budget",
    ) -> MemoryExpression | None:
        if scalar is None:
            return None
        found = self._checks.value(scalar, match, kinds)
        if found is None:
            return None
        expanded, checked = found
        facts = frozenset(name.partition(".")[0] for name in free_names(checked.tree)) & FACT_NAMES
        if "history" in facts:
            message = f"{what} can't read `history`: read it in a rule"
            self._findings.error("reads_history", scalar.location, message)
        if "label" in facts and not may_read_label:
            message = "`key` and `of` can't read `label`: they are evaluated before the call has a result"
            self._findings.error("reads_label", scalar.location, message)
        return MemoryExpression(expanded, checked.tree, facts)
