"""Bounds on one argument, and which values they admit (docs/explanation/delegation.md).

A bound is compiled once, from the record's type and JSON parameter. A bound that is not understood is rejected then, so
that nothing is left to be judged leniently later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable

import msgspec

from streams.delegation.errors import GrantError
from streams.model.canonical import CanonicalError, canonical, parse_strict
from streams.model.delegation import ArgumentConstraint, ConstraintType
from streams.model.reasons import Reason

_encode = msgspec.json.Encoder(order="sorted").encode

PARAMETER_CHARS_MAX = 8_192
ITEMS_MAX = 256
NESTING_MAX = 4
PARTS_MAX = 256
"""How many parts the bounds of one grant may have together."""

PATTERN_CHARS_MAX = 1_024
STARS_MAX = 32
ARRAY_ITEMS_MAX = 4_096
TEXT_CHARS_MAX = 65_536
"""Longer values are out of bounds for `SUBSET`, `CONTAINS` and `WILDCARD`: the cost of a call must be limited."""


_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029"
    # Format characters: they change the reading order, join characters, or hide them.
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Fillers and selectors of variants.
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f]"
)
"""Characters that no pattern matches: in a value with a line break, or with invisible characters, hardly any author of
a pattern expects a match."""


IsAddress = Callable[[str], bool]
"""Whether a text is exactly one mail address."""


class OneOf(msgspec.Struct, frozen=True):
    """Admits any of these values (`EXACT` has one)."""

    values: dict[Hashable, object]

    def admits(self, value: object) -> bool:
        """Return whether the value is one of them."""
        return key_of(value) in self.values


class NotOneOf(msgspec.Struct, frozen=True):
    """Admits any scalar but these values. An array or object is not admitted, because it could contain one of them."""

    values: dict[Hashable, object]

    def admits(self, value: object) -> bool:
        """Return whether the value is a scalar, and not one of them."""
        return not isinstance(value, (dict, list)) and key_of(value) not in self.values


class Range(msgspec.Struct, frozen=True):
    """Admits numbers from `low` to `high`, both included; None means unbounded."""

    low: float | None
    high: float | None

    def admits(self, value: object) -> bool:
        """Return whether the value is a number in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


class Contains(msgspec.Struct, frozen=True):
    """Admits arrays that contain all of these values, and possibly others."""

    values: dict[Hashable, object]

    def admits(self, value: object) -> bool:
        """Return whether the value is such an array, and short enough to be checked."""
        if not isinstance(value, list) or len(value) > ARRAY_ITEMS_MAX:
            return False
        return self.values.keys() <= {key_of(item) for item in value}


class Subset(msgspec.Struct, frozen=True):
    """Admits arrays that contain only these values, possibly none."""

    values: dict[Hashable, object]

    def admits(self, value: object) -> bool:
        """Return whether the value is such an array, and short enough to be checked."""
        if not isinstance(value, list) or len(value) > ARRAY_ITEMS_MAX:
            return False
        return all(key_of(item) in self.values for item in value)


class Wildcard(msgspec.Struct, frozen=True):
    """Admits texts of the form of `pattern`: `*` stands for any visible characters, or for none.

    Attributes:
        is_address: what a text must be besides (`streams.delegation.addresses`); None if any text is admitted.
    """

    pattern: str
    parts: tuple[str, ...]
    is_address: IsAddress | None = None

    def admits(self, value: object) -> bool:
        """Return whether the value is such a text."""
        if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
            return False
        if not self._fits(value) or _UNSEEN.search(value) is not None:
            return False
        return self.is_address is None or self.is_address(value)

    def _fits(self, text: str) -> bool:
        first, *inner = self.parts
        if not inner:
            return text == first
        last = inner.pop()
        at, end = len(first), len(text) - len(last)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return False
        for part in inner:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


class AllOf(msgspec.Struct, frozen=True):
    """Admits what every part admits; without parts, any value."""

    parts: tuple[Constraint, ...]

    def admits(self, value: object) -> bool:
        """Return whether all parts admit the value."""
        return all(part.admits(value) for part in self.parts)


class AnyOf(msgspec.Struct, frozen=True):
    """Admits what at least one part admits; without parts, nothing."""

    parts: tuple[Constraint, ...]

    def admits(self, value: object) -> bool:
        """Return whether one of the parts admits the value."""
        return any(part.admits(value) for part in self.parts)


Constraint = OneOf | NotOneOf | Range | Contains | Subset | Wildcard | AllOf | AnyOf


def admits_anything(bound: Constraint) -> bool:
    """Return whether a bound leaves an argument as free as one of its kind can be: any value, text, scalar or array."""
    match bound:
        case AllOf():
            return all(admits_anything(part) for part in bound.parts)
        case AnyOf():
            return any(admits_anything(part) for part in bound.parts)
        case NotOneOf() | Contains():
            return not bound.values
        case Wildcard():
            return len(bound.parts) > 1 and not any(bound.parts)
        case _:
            return False


def key_of(value: object) -> Hashable:
    """Return a key that two JSON values share exactly if they are the same: `1` and `true` are not.

    The values must be as read from canonical JSON, as arguments and parameters are: there, `1.0` is `1`.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return _encode(value)
    return (value is None or isinstance(value, bool), value)


class Room:
    """How many more parts the bounds of a grant may have: each part costs every call some time."""

    __slots__ = ("_left",)

    def __init__(self, left: int = PARTS_MAX) -> None:
        self._left = left

    def take(self) -> None:
        """Count one part.

        Raises:
            GrantError: there are no parts left.
        """
        self._left -= 1
        if self._left < 0:
            raise GrantError(Reason.DELEGATION_MALFORMED, f"bounds of more than {PARTS_MAX} parts")


def compile_constraint(constraint: ArgumentConstraint, room: Room) -> Constraint:
    """Compile a bound.

    Args:
        constraint: the bound.
        room: how many parts it may have.

    Raises:
        GrantError: its type is not known, or its parameter is not valid for its type.
    """
    text = constraint.value_json
    try:
        if len(text) > PARAMETER_CHARS_MAX:
            raise _refused(f"a parameter of {len(text)} characters, at most {PARAMETER_CHARS_MAX} are accepted")
        parameter = parse_strict(canonical(parse_strict(text)).decode())
        return _compile(constraint.type.value, parameter, room, NESTING_MAX)
    except CanonicalError as error:
        raise _refused(f"a parameter that is not readable: {error}") from None


def _compile(kind: str, parameter: object, room: Room, levels: int) -> Constraint:
    room.take()
    if levels == 0:
        raise _refused(f"bounds within bounds, deeper than {NESTING_MAX} levels")
    if kind in (ConstraintType.ALL, ConstraintType.ANY):
        parts = tuple(_part(item, room, levels - 1) for item in _items(kind, parameter))
        return AllOf(parts) if kind == ConstraintType.ALL else AnyOf(parts)
    maker = _MAKERS.get(kind)
    if maker is None:
        raise _refused(f"a bound of type `{kind[:40]}`")
    return maker(kind, parameter)


def _part(item: object, room: Room, levels: int) -> Constraint:
    if not isinstance(item, dict) or item.keys() != {"type", "value"} or not isinstance(item["type"], str):
        raise _refused("a part that is not an object of `type` and `value`")
    return _compile(item["type"], item["value"], room, levels)


def _exact(_kind: str, parameter: object) -> Constraint:
    return OneOf({key_of(parameter): parameter})


def _range(kind: str, parameter: object) -> Constraint:
    if not isinstance(parameter, dict) or not parameter or not parameter.keys() <= {"min", "max"}:
        raise _refused(f"`{kind}` without `min` or `max`, or with something else")
    bounds = tuple(parameter.values())
    if any(isinstance(bound, bool) or not isinstance(bound, (int, float)) for bound in bounds):
        raise _refused(f"`{kind}` with a bound that is not a number")
    low, high = parameter.get("min"), parameter.get("max")
    if low is not None and high is not None and low > high:
        raise _refused(f"`{kind}` whose `min` is above its `max`")
    return Range(low, high)


def _wildcard(kind: str, parameter: object) -> Constraint:
    if not isinstance(parameter, str) or len(parameter) > PATTERN_CHARS_MAX or parameter.count("*") > STARS_MAX:
        text = f"`{kind}` that is not a text of at most {PATTERN_CHARS_MAX} characters and {STARS_MAX} stars"
        raise _refused(text)
    if _UNSEEN.search(parameter) is not None:
        raise _refused(f"`{kind}` with a character that can't be seen, which would match nothing")
    return Wildcard(parameter, tuple(parameter.split("*")))


def _set_of(made: Callable[[dict[Hashable, object]], Constraint]) -> Callable[[str, object], Constraint]:
    def make(kind: str, parameter: object) -> Constraint:
        return made({key_of(item): item for item in _items(kind, parameter)})

    return make


def _items(kind: str, parameter: object) -> list[object]:
    if not isinstance(parameter, list) or len(parameter) > ITEMS_MAX:
        raise _refused(f"`{kind}` that is not an array of at most {ITEMS_MAX} items")
    return parameter


def _refused(detail: str) -> GrantError:
    return GrantError(Reason.DELEGATION_CONSTRAINT_UNKNOWN, detail)


_MAKERS: dict[str, Callable[[str, object], Constraint]] = {
    ConstraintType.EXACT.value: _exact,
    ConstraintType.RANGE.value: _range,
    ConstraintType.ONE_OF.value: _set_of(OneOf),
    ConstraintType.NOT_ONE_OF.value: _set_of(NotOneOf),
    ConstraintType.CONTAINS.value: _set_of(Contains),
    ConstraintType.SUBSET.value: _set_of(Subset),
    ConstraintType.WILDCARD.value: _wildcard,
}
