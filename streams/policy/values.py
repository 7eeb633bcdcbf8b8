"""How CEL's values look inside of the evaluators.

bool, int (64 bits, checked by whoever computes one), double as float, string, bytes and null are Python's own; lists
are lists or tuples, maps are dicts (from facts) or `CelMap`. The classes here are what Python has no equal for.
"""

from __future__ import annotations

from dataclasses import dataclass

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
NANOS_PER_SECOND = 1_000_000_000


class UInt(int):
    """An unsigned 64-bit integer: equal to an int of the same value, but of another type."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """An instant, in nanoseconds since the epoch."""

    nanos: int


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time, in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value, which is what `type(x)` gives."""

    name: str
