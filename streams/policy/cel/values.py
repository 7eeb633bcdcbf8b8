"""How CEL's values look inside of the evaluators.

bool, int (64 bits, checked by whoever computes one), double as float, string, bytes and null are Python's own; lists
are of one of `LISTS`; maps are dicts with text keys (facts) or `CelMap` (literals, any kind of key). The classes here
are what Python has no equal for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, Self

from streams.policy.errors import EvaluationError

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
NANOS_PER_SECOND = 1_000_000_000
NO_SUCH_KEY = "no such key"
"""What an error of something that is not there begins with."""


class UInt(int):
    """An unsigned 64-bit integer: equal to an int of the same value, but of another type."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


class DistinctTexts(tuple[str, ...]):
    """A list of texts, none of them twice, in which one is found without going through it."""

    def __new__(cls, texts: Iterable[str]) -> Self:
        """In the order given."""
        made = super().__new__(cls, texts)
        made.known = frozenset(made)
        return made

    known: frozenset[str]

    def __contains__(self, item: object) -> bool:
        return item.__class__ is str and item in self.known


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


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address."""

    ip: IPv4Address | IPv6Address


class ExtensionValue:
    """What the values of functions beyond CEL's own have in common: a type of their own, and a form as text.

    Equality is that of the frozen dataclasses which they are.
    """

    __slots__ = ()
    TYPE: ClassVar[TypeValue]

    def text(self) -> str:
        """What `string(value)` gives."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Network:
    """An IP address with the length of its network's prefix; the address may have bits beyond the prefix."""

    ip: IPv4Address | IPv6Address
    prefix: int


LISTS: frozenset[Any] = frozenset((list, tuple, DistinctTexts))
"""The classes of lists."""

BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, LIST, MAP, TYPE = (
    TypeValue(name) for name in ("bool", "int", "uint", "double", "string", "bytes", "null_type", "list", "map", "type")
)
TIMESTAMP, DURATION = TypeValue("google.protobuf.Timestamp"), TypeValue("google.protobuf.Duration")
ADDRESS, NETWORK = TypeValue("net.IP"), TypeValue("net.CIDR")

TYPE_NAMES: dict[str, TypeValue] = {
    known.name: known
    for known in (
        *(BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, LIST, MAP, TYPE),
        *(TIMESTAMP, DURATION, ADDRESS, NETWORK),
    )
}
"""The types that an expression may name."""

_TYPES: dict[type, TypeValue] = {
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
    list: LIST,
    tuple: LIST,
    DistinctTexts: LIST,
    dict: MAP,
    Timestamp: TIMESTAMP,
    Duration: DURATION,
    TypeValue: TYPE,
    Address: ADDRESS,
    Network: NETWORK,
}


def type_of(value: Any) -> TypeValue:
    """The CEL type of a value.

    Raises:
        EvaluationError: it is none of CEL's.
    """
    found = _TYPES.get(value.__class__)
    if found is not None:
        return found
    if isinstance(value, Mapping):
        return MAP
    if isinstance(value, ExtensionValue):
        return value.TYPE
    raise EvaluationError(f"value of unsupported type {type(value).__name__}")


class CelMap(Mapping[Any, Any]):
    """A map with keys of any kind, in which 1, 1u and 1.0 are one key and true is another."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[tuple[Any, Any]] = ()) -> None:
        self._entries: dict[Any, tuple[Any, Any]] = {}
        for key, value in entries:
            normal = normal_key(key)
            if normal is None or key.__class__ is float:
                raise EvaluationError(f"a map can't have a key of type {type_of(key).name}")
            if normal in self._entries:
                raise EvaluationError("map has a key twice")
            self._entries[normal] = (key, value)

    def __getitem__(self, key: Any) -> Any:
        return self._entries[normal_key(key)][1]

    def __contains__(self, key: object) -> bool:
        return normal_key(key) in self._entries

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def normal_key(key: Any) -> Any:
    """A form of a key in which equal keys, and only these, are equal to Python; None for what is no key."""
    kind = key.__class__
    if kind is str or kind is int:
        return key
    if kind is bool:
        return (key,)
    if kind is UInt:
        return int(key)
    if kind is float:
        return int(key) if key.is_integer() else (key, "double")
    return None


def map_get(container: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key.

    Raises:
        EvaluationError: there is none.
    """
    if key.__class__ is str or isinstance(container, CelMap):
        try:
            return container[key]
        except KeyError:
            pass
    # What was asked for may come from an argument, and errors are kept where arguments are not.
    raise EvaluationError(NO_SUCH_KEY)


def map_has(container: Mapping[Any, Any], key: Any) -> bool:
    """Whether a map has a key; a key of another type is simply not there."""
    return (key.__class__ is str or isinstance(container, CelMap)) and key in container
