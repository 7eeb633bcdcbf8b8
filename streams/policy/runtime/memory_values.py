"""What memories and budgets take from the facts of a call: keys, amounts and conditions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from streams.policy.cel.exact import compile_exact
from streams.policy.errors import EvaluationError
from streams.policy.language.check_memory import MemoryExpression
from streams.policy.language.fact_types import Facts
from streams.policy.language.globs import CallerMatcher
from streams.policy.results import Reason

KEY_BYTES = 16
AMOUNT_MAX = 2**53 - 1

Test = Callable[[Facts], bool]
Value = Callable[[Facts], Any]


class MemoryUpdateError(EvaluationError):
    """Reports that the memory updates or budget charges of a call can't be determined."""

    reason = Reason.RULE_ERROR


def digest_of(value: Any) -> bytes:
    """Return a short digest of a text or a whole number; 1 and 1.0 have the same digest, as they are equal in JSON.

    Raises:
        EvaluationError: `value` is neither.
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


def amount_of(value: Any) -> int:
    """Return the amount to add, at least 0, so that a sum never decreases."""
    number = _whole(value)
    if number is None:
        found = type(value).__name__
        raise EvaluationError(f"an amount must be a whole number, found {found}; `money.minor` is `args.amount` as one")
    return min(max(number, 0), AMOUNT_MAX)


def program_of(expression: MemoryExpression | None, constants: Mapping[str, Any]) -> Value | None:
    """Return a function of the facts that evaluates an expression; None if there is none."""
    return None if expression is None else compile_exact(expression.tree, constants)


def facts_needed(callers: CallerMatcher | None, *expressions: MemoryExpression | None) -> frozenset[str]:
    """Return the top-level facts that expressions, and the match of callers, read."""
    read = frozenset[str]().union(*(item.facts for item in expressions if item is not None))
    return read | {"agent", "tenant"} if callers is not None else read


def is_for(callers: CallerMatcher | None, facts: Facts) -> bool:
    """Return whether the caller is among those that are matched.

    Raises:
        EvaluationError: the caller is not known.
    """
    if callers is None:
        return True
    agent, tenant = facts.get("agent"), facts.get("tenant")
    agent_id = agent.get("id") if isinstance(agent, Mapping) else None
    if not isinstance(agent_id, str) or not isinstance(tenant, str):
        raise EvaluationError("agent or tenant is not known")
    return callers.matches(agent_id, tenant)


def holds(test: Test, facts: Facts) -> bool:
    """Return whether a condition is true.

    Raises:
        EvaluationError: it is not a bool, or can't be evaluated.
    """
    value = test(facts)
    if value is True or value is False:
        return value
    raise EvaluationError("condition is not a bool")
