"""Check whether one bound implies another: whether the parent admits every value that the child admits.

Sound and incomplete: `True` is a proof, `False` only says that none was found. Exact between two bounds of one kind
(except `ALL` and `ANY`), and wherever the narrower one admits finitely many values.
"""

from __future__ import annotations

from streams.delegation.constraints import (
    AllOf,
    AnyOf,
    Constraint,
    Contains,
    NotOneOf,
    OneOf,
    Range,
    Subset,
    Wildcard,
)

STEPS_MAX = 20_000
"""The number of comparisons for all bounds of one grant. A grant that needs more counts as not shown to be narrower."""

_PRIVATE_USE = 0xE000


class Steps:
    """How many more comparisons may be made."""

    __slots__ = ("left",)

    def __init__(self, left: int = STEPS_MAX) -> None:
        self.left = left

    def take(self, count: int = 1) -> bool:
        """Count some comparisons; return whether there were enough left."""
        self.left -= count
        return self.left >= 0


def implies(child: Constraint, parent: Constraint, steps: Steps) -> bool:
    """Return whether `parent` admits everything that `child` admits, as far as that can be shown within `steps`."""
    if not steps.take():
        return False
    if isinstance(parent, AllOf):
        return all(implies(child, part, steps) for part in parent.parts)
    values = _finite(child, steps)
    if values is not None:
        return steps.take(len(values)) and all(parent.admits(value) for value in values)
    if isinstance(child, AnyOf):
        return all(implies(part, parent, steps) for part in child.parts)
    if isinstance(parent, AnyOf) and any(implies(child, part, steps) for part in parent.parts):
        return True
    if isinstance(child, AllOf):
        return any(implies(part, parent, steps) for part in child.parts)
    return _alike(child, parent, steps)


def _finite(constraint: Constraint, steps: Steps) -> list[object] | None:
    """Return all values that the bound admits, if that is a finite list."""
    if not steps.take():
        return None
    if isinstance(constraint, OneOf):
        return list(constraint.values.values())
    if isinstance(constraint, Wildcard) and len(constraint.parts) == 1:
        return [constraint.pattern]
    if isinstance(constraint, AnyOf):
        lists = [_finite(part, steps) for part in constraint.parts]
        if any(values is None for values in lists):
            return None
        return [value for values in lists if values is not None for value in values]
    if isinstance(constraint, AllOf):
        for part in constraint.parts:
            values = _finite(part, steps)
            if values is not None:
                return [value for value in values if constraint.admits(value)] if steps.take(len(values)) else None
    return None


def _alike(child: Constraint, parent: Constraint, steps: Steps) -> bool:
    """Compare single bounds, where the narrower one admits infinitely many values."""
    if isinstance(child, Range):
        if isinstance(parent, Range):
            return _reaches(parent.low, child.low) and _reaches(_minus(parent.high), _minus(child.high))
        return isinstance(parent, NotOneOf) and _none_within(child, parent, steps)
    if isinstance(child, Wildcard):
        if isinstance(parent, Wildcard):
            return steps.take(len(child.pattern)) and _covers(parent, child)
        return isinstance(parent, NotOneOf) and _none_within(child, parent, steps)
    if isinstance(child, NotOneOf):
        return isinstance(parent, NotOneOf) and _none_within(child, parent, steps)
    if isinstance(child, Subset):
        if isinstance(parent, Subset):
            return child.values.keys() <= parent.values.keys()
        return isinstance(parent, Contains) and not parent.values
    if isinstance(child, Contains):
        return isinstance(parent, Contains) and parent.values.keys() <= child.values.keys()
    return False


def _none_within(child: Constraint, parent: NotOneOf, steps: Steps) -> bool:
    """Return whether the child, which admits only scalars, admits nothing that the parent excludes."""
    return steps.take(len(parent.values)) and not any(child.admits(value) for value in parent.values.values())


def _reaches(outer: float | None, inner: float | None) -> bool:
    """Return whether a lower bound lies at or below another; None lies below all."""
    return outer is None or (inner is not None and outer <= inner)


def _minus(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _covers(parent: Wildcard, child: Wildcard) -> bool:
    """Return whether the parent's pattern covers the child's. Exact.

    Put a letter that the parent does not contain in place of the child's stars. The parent matches that text only if
    one of its own stars matches the letter, and that star then matches anything else as well.
    """
    letter = next(chr(code) for code in range(_PRIVATE_USE, _PRIVATE_USE + 2_048) if chr(code) not in parent.pattern)
    return parent.admits(child.pattern.replace("*", letter))
