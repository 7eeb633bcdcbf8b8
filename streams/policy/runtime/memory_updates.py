"""Compile, for each tool, what a call changes in the memories and budgets of a bundle.

All expressions are evaluated when the call is judged, on the facts that the rules see. The end of the call, which comes
later, only selects from the updates that were prepared then. A call whose updates can't be determined is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from streams.policy.errors import EvaluationError
from streams.policy.language.bundle import Keep, Match, Memory, Occasion, Reset, Since
from streams.policy.language.check_memory import CheckedMemories, CheckedMemory
from streams.policy.language.fact_types import Facts
from streams.policy.language.globs import ToolMatcher, caller_matcher
from streams.policy.runtime.budget_meters import BudgetMeter, Charge
from streams.policy.runtime.entity_lookups import EntityLookup, lookups_for
from streams.policy.runtime.memory_values import (
    MemoryUpdateError,
    Value,
    amount_of,
    digest_of,
    facts_needed,
    holds,
    is_for,
    program_of,
)

INTEGRITIES = ("untrusted", "trusted")
CONFIDENTIALITIES = ("public", "private", "user_identity")

_LABELS = tuple(
    {"integrity": integrity, "confidentiality": confidentiality}
    for integrity in INTEGRITIES
    for confidentiality in CONFIDENTIALITIES
)
ANY_LABEL = (1 << len(_LABELS)) - 1
_ZEROS: Mapping[Keep, Any] = {Keep.ANY: False, Keep.COUNT: 0, Keep.SUM: 0}
_LATER = frozenset({Occasion.RAN, Occasion.FAILED})
_AFTER_DENIAL = frozenset({Occasion.JUDGED, Occasion.DENIED})


class MemoryUpdate(NamedTuple):
    """Describes what a memory stores once `on` has happened to a call.

    Attributes:
        labels: the labels of the result for which the update applies, as bits by `label_index`.
        key: digest of the value of the memory's key; empty for a memory without a key.
        amount: the amount to add; None if it could not be determined, which makes the memory unclear.
        forget: whether the update clears the memory; with `since`, it starts again, or only its value for `key`.
    """

    memory: Memory
    on: Occasion
    labels: int
    key: bytes
    amount: int | None
    forget: bool = False


class Recall(NamedTuple):
    """Names a memory that the rules of a tool read."""

    memory: Memory
    key: Value | None

    def key_of(self, facts: Facts) -> bytes | None:
        """Return the digest of the key; empty for a memory without a key, None if it can't be determined."""
        if self.key is None:
            return b""
        try:
            return digest_of(self.key(facts))
        except EvaluationError:
            return None


class ToolPlan:
    """Holds the memory updates and budget charges for one version of one tool.

    Attributes:
        recalls: the memories of the session that the rules for the tool read.
        shared: the memories that sessions share, and that the rules for the tool read.
        needs: the top-level facts that updates and charges read.
        empty_history: the fact `history` of a session without stored memories; None if it depends on the call.
        has_updates: whether a call of the tool can update a memory.
        has_effects: whether a call that is not denied can update a memory or charge a budget.
        lookups: the entities that rules, memories and budgets of the tool read.
    """

    lookups: tuple[EntityLookup, ...] = ()

    def __init__(
        self, recalls: Sequence[Recall], update_rules: Sequence[_UpdateRule], meters: Sequence[BudgetMeter]
    ) -> None:
        self.recalls = tuple(recall for recall in recalls if recall.memory.per is None)
        self.shared = tuple(recall for recall in recalls if recall.memory.per is not None)
        self._update_rules = tuple(update_rules)
        self._unless_denied = tuple(rule for rule in self._update_rules if rule.on is not Occasion.DENIED)
        self._if_denied = tuple(
            rule for rule in self._update_rules if rule.on in _AFTER_DENIAL or rule.on is Occasion.APPROVED
        )
        self._budget_meters = tuple(meters)
        self.has_updates = bool(update_rules)
        own = self.recalls
        self.empty_history = None if any(recall.key is not None for recall in own) else _empty_history(own)
        self.has_effects = bool(self._unless_denied or meters)
        self.needs = frozenset[str]().union(
            *(rule.needs for rule in self._update_rules), *(meter.needs for meter in self._budget_meters)
        )

    def needing(self, more: frozenset[str]) -> ToolPlan:
        """Return the same plan with further facts in `needs`."""
        plan = ToolPlan((*self.recalls, *self.shared), self._update_rules, self._budget_meters)
        plan.needs = self.needs | more
        plan.lookups = self.lookups
        return plan

    def updates(self, facts: Facts) -> tuple[MemoryUpdate, ...]:
        """Return the memory updates of a call that is not denied, for each later outcome.

        Raises:
            MemoryUpdateError: an update can't be determined; the call must not be allowed.
        """
        if not self._unless_denied:
            return ()
        found = [rule.update(facts) for rule in self._unless_denied]
        return tuple(update for update in found if update is not None)

    def updates_if_denied(self, facts: Facts) -> tuple[MemoryUpdate, ...]:
        """Return the memory updates of a denied call, which include an approval that it received before."""
        found = []
        for rule in self._if_denied:
            # An approval that can't be determined is left out: it must not count for a later call.
            with suppress(MemoryUpdateError):
                found.append(rule.update(facts))
        return tuple(update for update in found if update is not None)

    def charges(self, facts: Facts) -> tuple[Charge, ...]:
        """Return what the call takes from budgets.

        Raises:
            MemoryUpdateError: a charge can't be determined.
        """
        if not self._budget_meters:
            return ()
        found = [meter.charge(facts) for meter in self._budget_meters]
        return tuple(charge for charge in found if charge is not None)


def label_index(integrity: str, confidentiality: str) -> int:
    """Return the index of a label's bit in `MemoryUpdate.labels`."""
    return INTEGRITIES.index(integrity) * len(CONFIDENTIALITIES) + CONFIDENTIALITIES.index(confidentiality)


class _UpdateRule:
    """Makes the updates of one memory from the calls of matching tools, or what clears it: a reset or a start.

    Args:
        item: the memory.
        clearing: its `reset` or its `since`, if the rule is for that.
    """

    def __init__(
        self, item: CheckedMemory, constants: Mapping[str, Any], clearing: Reset | Since | None = None
    ) -> None:
        if clearing is None:
            when, key, of = item.when, item.key, item.of
        elif isinstance(clearing, Since):
            when, key, of = item.since_when, item.since_key, None
        else:
            when, key, of = item.reset_when, None, None
        source = clearing or item.memory
        self.memory = item.memory
        self.match = source.match
        self.on = source.on
        self._forget = clearing is not None
        self._callers = caller_matcher(source.match) if source.match is not None else None
        self._when = program_of(when, constants)
        self._by_label = when is not None and "label" in when.facts and self.on in _LATER
        self._key = program_of(key, constants)
        self._of = program_of(of, constants)
        self.needs = facts_needed(self._callers, when, key, of)

    def update(self, facts: Facts) -> MemoryUpdate | None:
        try:
            if not is_for(self._callers, facts):
                return None
            labels = self._labels(facts)
            if not labels:
                return None
            key = digest_of(self._key(facts)) if self._key is not None else b""
            amount = amount_of(self._of(facts)) if self._of is not None else 1
        except EvaluationError as error:
            if self.on in _AFTER_DENIAL:
                return MemoryUpdate(self.memory, self.on, ANY_LABEL, b"", None)
            what = ("started again" if self.memory.since else "reset") if self._forget else "updated"
            raise MemoryUpdateError(f"memory `{self.memory.name}` can't be {what} for this call: {error}") from None
        return MemoryUpdate(self.memory, self.on, labels, key, amount, self._forget)

    def _labels(self, facts: Facts) -> int:
        if self._when is None:
            return ANY_LABEL
        if not self._by_label:
            return ANY_LABEL if holds(self._when, facts) else 0
        bits = 0
        for index, label in enumerate(_LABELS):
            if holds(self._when, {**facts, "label": label}):
                bits |= 1 << index
        return bits


class Memories:
    """Holds the memories and budgets of a bundle.

    Args:
        checked: the checked memories and budgets.
        constants: the named lists, by full name.
    """

    def __init__(self, checked: CheckedMemories, constants: Mapping[str, Any]) -> None:
        self._constants = constants
        self._entities = checked.entities
        self._reads_entities = any("entities" in part.facts for _, part in checked.expressions)
        self._items = {item.memory.name: item for item in checked.memories}
        rules = [_UpdateRule(item, constants) for item in checked.memories]
        rules += [
            _UpdateRule(item, constants, clearing)
            for item in checked.memories
            for clearing in (item.memory.reset, item.memory.since)
            if clearing is not None
        ]
        self._update_rules = [(_tools(rule.match), rule) for rule in rules]
        self._budget_meters = [(_tools(item.budget.match), BudgetMeter(item, constants)) for item in checked.budgets]

    def with_lookups(self, plan: ToolPlan, tool: tuple[str, str, str], read: frozenset[str] | None) -> ToolPlan:
        """Return the plan with the entities that the calls of a tool are about.

        Args:
            plan: the plan of the tool, with all facts that it needs.
            tool: server, name and version.
            read: the names of the entities that the tool's rules read; None if all.
        """
        if "entities" not in plan.needs:
            return plan
        # Memories and budgets may read any of them.
        lookups = lookups_for(self._entities, self._constants, tool, None if self._reads_entities else read)
        plan = plan.needing(frozenset[str]().union(*(lookup.needs for lookup in lookups)))
        plan.lookups = lookups
        return plan

    def no_entities(self) -> dict[str, Any]:
        """Return the fact `entities` of a call about things that nobody knows."""
        return {item.entity.name: {"known": False} for item in self._entities}

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all memories."""
        return frozenset(self._items)

    def empty_history(self) -> dict[str, Any]:
        """Return the fact `history` of a session in which nothing has happened."""
        return _empty_history(self._items.values())

    def plan(self, server_id: str, name: str, version: str, read: frozenset[str]) -> ToolPlan:
        """Return the plan of one version of a tool.

        Args:
            read: the names of the memories that the tool's rules read.
        """
        items = [item for item in self._items.values() if not read.isdisjoint((item.memory.name, item.memory.age_name))]
        recalls = [Recall(item.memory, program_of(item.key, self._constants)) for item in items]
        update_rules = [
            rule for tools, rule in self._update_rules if tools is None or tools.matches(server_id, name, version)
        ]
        meters = [
            meter for tools, meter in self._budget_meters if tools is None or tools.matches(server_id, name, version)
        ]
        keys = (item.key for item in items)
        return ToolPlan(recalls, update_rules, meters).needing(facts_needed(None, *keys))


def _empty_history(kept: Iterable[Recall | CheckedMemory]) -> dict[str, Any]:
    memories = [item.memory for item in kept]
    found = {memory.name: _ZEROS[memory.keep] for memory in memories if memory.keep in _ZEROS}
    return found | {memory.age_name: 0 for memory in memories if memory.per is not None}


def _tools(match: Match | None) -> ToolMatcher | None:
    return None if match is None else ToolMatcher(match)
