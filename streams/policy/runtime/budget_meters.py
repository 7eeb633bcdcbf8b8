"""What an allowed call takes from the budgets of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from streams.policy.errors import EvaluationError
from streams.policy.language.bundle import Budget, MeasureKind
from streams.policy.language.check_memory import CheckedBudget
from streams.policy.language.fact_types import Facts
from streams.policy.language.globs import caller_matcher
from streams.policy.results import Reason
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

TARGETS_PER_CALL_MAX = 100
BUDGET_KEY_BYTES_MAX = 256
"""The longest text that may be the key of a budget, in UTF-8."""


class Charge(NamedTuple):
    """Describes what an allowed call takes from a budget: an amount, or values that count once each.

    Attributes:
        key: digest of the value of the budget's key; empty for a budget without a key.
    """

    budget: Budget
    amount: int
    targets: tuple[bytes, ...] = ()
    key: bytes = b""


class BudgetKeyError(MemoryUpdateError):
    """Reports that a call has no valid value for the key of a budget."""

    reason = Reason.BUDGET_KEY_INVALID


def _targets_of(value: Any) -> tuple[bytes, ...]:
    values = value if isinstance(value, list | tuple) else (value,)
    if len(values) > TARGETS_PER_CALL_MAX:
        raise EvaluationError(f"{len(values)} values in one call, at most {TARGETS_PER_CALL_MAX} are counted")
    return tuple(sorted({digest_of(item) for item in values}))


class BudgetMeter:
    """Makes the charges to one budget from the calls of matching tools."""

    def __init__(self, item: CheckedBudget, constants: Mapping[str, Any]) -> None:
        self.budget = item.budget
        self._callers = caller_matcher(item.budget.match) if item.budget.match is not None else None
        self._when = program_of(item.when, constants)
        self._of = program_of(item.of, constants)
        self._key = program_of(item.key, constants)
        self.needs = facts_needed(self._callers, item.when, item.of, item.key)

    def charge(self, facts: Facts) -> Charge | None:
        """Return what a call takes from the budget; None if it takes nothing.

        Raises:
            BudgetKeyError: the call has no valid value for the key of the budget.
            MemoryUpdateError: the charge can't be determined.
        """
        try:
            if not is_for(self._callers, facts):
                return None
            if self._when is not None and not holds(self._when, facts):
                return None
            key = b"" if self._key is None else self._key_of(self._key, facts)
            if self._of is None:
                return Charge(self.budget, 1, (), key)
            value = self._of(facts)
            if self.budget.measure is MeasureKind.DISTINCT:
                return Charge(self.budget, 0, _targets_of(value), key)
            return Charge(self.budget, amount_of(value), (), key)
        except BudgetKeyError:
            raise
        except EvaluationError as error:
            text = f"budget `{self.budget.name}` can't be charged for this call: {error}"
            raise MemoryUpdateError(text) from None

    def _key_of(self, key: Value, facts: Facts) -> bytes:
        """Return the digest of the value of the budget's key.

        Raises:
            BudgetKeyError: there is none, or it is not text or a whole number, or it is too long.
        """
        try:
            value = key(facts)
            if isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > BUDGET_KEY_BYTES_MAX:
                raise EvaluationError(f"a key may have {BUDGET_KEY_BYTES_MAX} bytes at most")
            return digest_of(value)
        except EvaluationError as error:
            raise BudgetKeyError(f"the key of budget `{self.budget.name}` is not usable: {error}") from None
