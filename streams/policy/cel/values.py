"""The representation of CEL's values in the evaluators.

bool, int (64 bits, checked by the operators), double (float), string, bytes and null are Python's own types. Lists have
one of the classes in `LISTS`. Maps are dicts with text keys (facts) or `CelMap` (literals, with any kind of key). This
module defines the classes for values that Python does not have.
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
"""The beginning of the error for a missing field or key."""


class UInt(int):
    """An unsigned 64-bit integer. It is equal to an int of the same value, but has another type."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


class DistinctTexts(tuple[str, ...]):
    """A list of distinct texts with a set for fast lookup."""

    def __new__(cls, texts: Iterable[str]) -> Self:
        """Make a list with the texts in the given order."""
        made = super().__new__(cls, texts)
        made.known = frozenset(made)
        return made

    known: frozenset[str]

    def __contains__(self, item: object) -> bool:
        return item.__class__ is str and item in self.known


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time, in nanoseconds since the epoch."""

    nanos: int


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A duration in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value, such as `type(x)` returns."""

    name: str


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address."""

    ip: IPv4Address | IPv6Address


class ExtensionValue:
    """The base class of values that CEL itself does not have: each has its own type and a form as text.

    Subclasses are frozen dataclasses, whose equality is that of CEL.
    """

    __slots__ = ()
    TYPE: ClassVar[TypeValue]

    def text(self) -> str:
        """Return the result of `string(value)`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Network:
    """An IP network: an address, which may have bits after the prefix, and the length of the prefix."""

    ip: IPv4Address | IPv6Address
    prefix: int


LISTS: frozenset[Any] = frozenset((list, tuple, DistinctTexts))
"""The classes that represent lists."""

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
"""The types that expressions can name."""

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
    """Return the CEL type of a value.

    Raises:
        EvaluationError: the value is not a CEL value.
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
    """A map with keys of any kind, in which 1, 1u and 1.0 are the same key, and true is another one."""

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
    """Return a normal form of a key, equal in Python if the keys are equal in CEL, or None if it can't be a key."""
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
    """Return the value of a key.

    Raises:
        EvaluationError: the map does not have the key.
    """
    if key.__class__ is str or isinstance(container, CelMap):
        try:
            return container[key]
        except KeyError:
            pass
    # The error does not contain the key, which may come from an argument: errors are recorded, arguments are not.
    raise EvaluationError(NO_SUCH_KEY)


def map_has(container: Mapping[Any, Any], key: Any) -> bool:
    """Return whether a map has a key; False for a key of another type."""
    return (key.__class__ is str or isinstance(container, CelMap)) and key in container
