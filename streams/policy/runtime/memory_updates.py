"""What a call means to the memories and budgets of a bundle: compiled, by tool.

Expressions are evaluated when the call is judged, on the facts that the rules see. What comes later, the end of the
call, only picks from what was prepared then. A call of which can't be told what there is to remember is not allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from streams.policy.cel.exact import compile_exact
from streams.policy.errors import EvaluationError
from streams.policy.language.bundle import Budget, Keep, Match, MeasureKind, Memory, Occasion
from streams.policy.language.check_memory import CheckedBudget, CheckedMemories, CheckedMemory, Expression
from streams.policy.language.globs import CallerMatcher, ToolMatcher, caller_matcher
from streams.policy.language.schema import Facts

KEY_BYTES = 16
AMOUNT_MAX = 2**53 - 1
TARGETS_PER_CALL_MAX = 100
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

Test = Callable[[Facts], bool]
Value = Callable[[Facts], Any]


class Note(NamedTuple):
    """What is to be remembered once `on` has happened to a call.

    Attributes:
        labels: for which labels of the result, as bits by `label_index`.
        key: digest of the value that it is kept for; empty where a memory has no key.
        amount: what is added; None where that could not be told, so that the memory is not clear any more.
    """

    memory: Memory
    on: Occasion
    labels: int
    key: bytes
    amount: int | None
    forget: bool = False


class Charge(NamedTuple):
    """What a call takes of a budget if it is allowed: an amount, or values that count once each."""

    budget: Budget
    amount: int
    targets: tuple[bytes, ...] = ()


class Recall(NamedTuple):
    """A memory that the rules of a tool read."""

    memory: Memory
    key: Value | None

    def key_of(self, facts: Facts) -> bytes | None:
        """For which key; empty for a memory without, None when it can't be told."""
        if self.key is None:
            return b""
        try:
            return digest_of(self.key(facts))
        except EvaluationError:
            return None


class KeepingError(EvaluationError):
    """It can't be told what is to be remembered of a call."""


class Plan:
    """What the memories and budgets of a bundle have to do with one version of one tool.

    Attributes:
        recalls: the memories that rules for the tool read.
        needs: the top-level facts that are read for keeping count.
        nothing: the fact `history` where nothing is kept yet; None where that takes a look at the call.
        keeps: whether a call of the tool leaves anything to be remembered.
        counts: whether one that is not denied does, or takes anything of a budget.
    """

    def __init__(self, recalls: Sequence[Recall], watches: Sequence[_Watch], meters: Sequence[_Meter]) -> None:
        self.recalls = tuple(recalls)
        self._watches = tuple(watches)
        self._unless_denied = tuple(watch for watch in self._watches if watch.on is not Occasion.DENIED)
        self._if_denied = tuple(
            watch for watch in self._watches if watch.on in _AFTER_DENIAL or watch.on is Occasion.APPROVED
        )
        self._meters = tuple(meters)
        self.keeps = bool(watches)
        self.nothing = None if any(recall.key is not None for recall in recalls) else _nothing(recalls)
        self.counts = bool(self._unless_denied or meters)
        self.needs = frozenset[str]().union(
            *(watch.needs for watch in self._watches), *(meter.needs for meter in self._meters)
        )

    def needing(self, more: frozenset[str]) -> Plan:
        """The same plan with further facts in `needs`."""
        plan = Plan(self.recalls, self._watches, self._meters)
        plan.needs = self.needs | more
        return plan

    def notes(self, facts: Facts) -> tuple[Note, ...]:
        """What there is to remember of a call that is not denied, whatever else becomes of it.

        Raises:
            KeepingError: that can't be told for a call that must not be allowed then.
        """
        if not self._unless_denied:
            return ()
        found = [watch.note(facts) for watch in self._unless_denied]
        return tuple(note for note in found if note is not None)

    def denied_notes(self, facts: Facts) -> tuple[Note, ...]:
        """What there is to remember of a call that is denied; an approval that it had had is one of the things."""
        found = []
        for watch in self._if_denied:
            # What can't be told of an approval is none: it must not count for a later call.
            with suppress(KeepingError):
                found.append(watch.note(facts))
        return tuple(note for note in found if note is not None)

    def charges(self, facts: Facts) -> tuple[Charge, ...]:
        """What the call takes of budgets.

        Raises:
            KeepingError: that can't be told.
        """
        if not self._meters:
            return ()
        found = [meter.charge(facts) for meter in self._meters]
        return tuple(charge for charge in found if charge is not None)


def label_index(integrity: str, confidentiality: str) -> int:
    """The bit of a label in `Note.labels`."""
    return INTEGRITIES.index(integrity) * len(CONFIDENTIALITIES) + CONFIDENTIALITIES.index(confidentiality)


def digest_of(value: Any) -> bytes:
    """A short digest of a text or a whole number; 1 and 1.0 are the same, as they are in JSON.

    Raises:
        EvaluationError: it is neither.
    """
    number = _whole(value)
    if number is not None:
        text = f"i{number}"
    elif isinstance(value, str):
        text = f"s{value}"
    else:
        raise EvaluationError(f"a key must be text or a whole number, found {type(value).__name__}")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _amount_of(value: Any) -> int:
    """A sum never shrinks, whatever is added to it."""
    number = _whole(value)
    if number is None:
        raise EvaluationError(f"an amount must be a whole number, found {type(value).__name__}")
    return min(max(number, 0), AMOUNT_MAX)


def _targets_of(value: Any) -> tuple[bytes, ...]:
    values = value if isinstance(value, list | tuple) else (value,)
    if len(values) > TARGETS_PER_CALL_MAX:
        raise EvaluationError(f"{len(values)} values in one call, at most {TARGETS_PER_CALL_MAX} are counted")
    return tuple(sorted({digest_of(item) for item in values}))


class _Watch:
    """One memory, or the reset of one, for a tool that it is about."""

    def __init__(self, item: CheckedMemory, constants: Mapping[str, Any], *, forget: bool) -> None:
        memory = item.memory
        reset = memory.reset if forget else None
        match = reset.match if reset is not None else memory.match
        when = item.reset_when if forget else item.when
        self.memory = memory
        self.on = reset.on if reset is not None else memory.on
        self._forget = forget
        self._callers = caller_matcher(match) if match is not None else None
        self._when = _program(when, constants)
        self._by_label = when is not None and "label" in when.facts and self.on in _LATER
        self._key = None if forget else _program(item.key, constants)
        self._of = None if forget else _program(item.of, constants)
        self.needs = _needs(self._callers, when, None if forget else item.key, None if forget else item.of)

    def note(self, facts: Facts) -> Note | None:
        try:
            if not _is_for(self._callers, facts):
                return None
            labels = self._labels(facts)
            if not labels:
                return None
            key = digest_of(self._key(facts)) if self._key is not None else b""
            amount = _amount_of(self._of(facts)) if self._of is not None else 1
        except EvaluationError as error:
            if self.on in _AFTER_DENIAL:
                return Note(self.memory, self.on, ANY_LABEL, b"", None)
            what = "reset" if self._forget else "kept"
            raise KeepingError(f"memory `{self.memory.name}` can't be {what} for this call: {error}") from None
        return Note(self.memory, self.on, labels, key, amount, self._forget)

    def _labels(self, facts: Facts) -> int:
        if self._when is None:
            return ANY_LABEL
        if not self._by_label:
            return ANY_LABEL if _holds(self._when, facts) else 0
        bits = 0
        for index, label in enumerate(_LABELS):
            if _holds(self._when, {**facts, "label": label}):
                bits |= 1 << index
        return bits


class _Meter:
    """One budget, for a tool whose calls it limits."""

    def __init__(self, item: CheckedBudget, constants: Mapping[str, Any]) -> None:
        self.budget = item.budget
        self._callers = caller_matcher(item.budget.match) if item.budget.match is not None else None
        self._when = _program(item.when, constants)
        self._of = _program(item.of, constants)
        self.needs = _needs(self._callers, item.when, item.of)

    def charge(self, facts: Facts) -> Charge | None:
        try:
            if not _is_for(self._callers, facts):
                return None
            if self._when is not None and not _holds(self._when, facts):
                return None
            if self._of is None:
                return Charge(self.budget, 1)
            value = self._of(facts)
            if self.budget.measure is MeasureKind.DISTINCT:
                return Charge(self.budget, 0, _targets_of(value))
            return Charge(self.budget, _amount_of(value))
        except EvaluationError as error:
            text = f"budget `{self.budget.name}` can't be charged for this call: {error}"
            raise KeepingError(text) from None


class Memories:
    """All that a bundle keeps count of.

    Args:
        checked: memories and budgets.
        constants: the named lists, by full name.
    """

    def __init__(self, checked: CheckedMemories, constants: Mapping[str, Any]) -> None:
        self._constants = constants
        self._items = {item.memory.name: item for item in checked.memories}
        self._watches = [
            (_tools(item.memory.match), _Watch(item, constants, forget=False)) for item in checked.memories
        ] + [
            (_tools(item.memory.reset.match), _Watch(item, constants, forget=True))
            for item in checked.memories
            if item.memory.reset is not None
        ]
        self._meters = [(_tools(item.budget.match), _Meter(item, constants)) for item in checked.budgets]

    @property
    def names(self) -> frozenset[str]:
        """Of every memory."""
        return frozenset(self._items)

    def nothing(self) -> dict[str, Any]:
        """The fact `history` of a session in which nothing has happened."""
        return _nothing(self._items.values())

    def plan(self, server_id: str, name: str, version: str, read: frozenset[str]) -> Plan:
        """The plan of one version of a tool; `read` names the memories that its rules read."""
        recalls = [Recall(item.memory, _program(item.key, self._constants))
                   for memory, item in self._items.items() if memory in read]  # fmt: skip
        watches = [watch for tools, watch in self._watches if tools is None or tools.matches(server_id, name, version)]
        meters = [meter for tools, meter in self._meters if tools is None or tools.matches(server_id, name, version)]
        keys = (self._items[recall.memory.name].key for recall in recalls)
        return Plan(recalls, watches, meters).needing(_needs(None, *keys))


def _nothing(kept: Iterable[Recall | CheckedMemory]) -> dict[str, Any]:
    memories = [item.memory for item in kept]
    return {memory.name: _ZEROS[memory.keep] for memory in memories if memory.keep in _ZEROS}


def _tools(match: Match | None) -> ToolMatcher | None:
    return None if match is None else ToolMatcher(match)


def _program(expression: Expression | None, constants: Mapping[str, Any]) -> Value | None:
    return None if expression is None else compile_exact(expression.tree, constants)


def _needs(callers: CallerMatcher | None, *expressions: Expression | None) -> frozenset[str]:
    read = frozenset[str]().union(*(item.facts for item in expressions if item is not None))
    return read | {"agent", "tenant"} if callers is not None else read


def _is_for(callers: CallerMatcher | None, facts: Facts) -> bool:
    if callers is None:
        return True
    agent, tenant = facts.get("agent"), facts.get("tenant")
    agent_id = agent.get("id") if isinstance(agent, Mapping) else None
    if not isinstance(agent_id, str) or not isinstance(tenant, str):
        raise EvaluationError("agent or tenant is not known")
    return callers.matches(agent_id, tenant)


def _holds(test: Test, facts: Facts) -> bool:
    value = test(facts)
    if value is True or value is False:
        return value
    raise EvaluationError("condition is not a bool")
