"""The names in generated code: constants, local variables, and fields that are loaded at its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.policy.cel.values import LISTS, DistinctTexts
from streams.policy.runtime.code_guards import CLASSES, TypeMismatchError


class UnsupportedNodeError(Exception):
    """Generated code can't express an expression; the exact evaluator evaluates the rule."""


class Unset:
    """Marks a shared value that is not computed yet."""


UNSET = Unset()


class SymbolsMark(NamedTuple):
    """A state of `Symbols`, to which `reset` returns."""

    loads_count: int
    fields: dict[tuple[str, ...], str]
    lookups: dict[str, str]


class Symbols:
    """Allocates the names of one generated function.

    Attributes:
        table: the constants by name, which become the globals of the function.
    """

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._texts: dict[str, str] = {}
        self._sets: dict[tuple[Any, ...], frozenset[Any]] = {}
        self._fields: dict[tuple[str, ...], str] = {}
        self._lookups: dict[str, str] = {}
        self._loads: list[str] = []
        self._locals = 0

    @property
    def loads(self) -> tuple[str, ...]:
        """Return the lines that load fields."""
        return tuple(self._loads)

    def mark(self) -> SymbolsMark:
        """Return the current state of the loaded fields."""
        return SymbolsMark(len(self._loads), dict(self._fields), dict(self._lookups))

    def reset(self, mark: SymbolsMark) -> None:
        """Forget the fields that were loaded since `mark`."""
        del self._loads[mark.loads_count :]
        self._fields, self._lookups = mark.fields, mark.lookups

    def local(self) -> str:
        """Return the name of a new local variable."""
        self._locals += 1
        return f"v{self._locals}"

    def constant(self, value: Any) -> str:
        """Return the name of a constant."""
        if value.__class__ is str:
            name = self._texts.get(value)
            if name is None:
                name = self._texts[value] = f"k{len(self.table)}"
                self.table[name] = value
            return name
        name = self._names.get(id(value))
        if name is None:
            # The table keeps the value alive, so that no other value gets its id.
            name = self._names[id(value)] = f"k{len(self.table)}"
            self.table[name] = value
        return name

    def constant_set(self, values: Sequence[Any]) -> str:
        """Return the name of a constant set of values."""
        made = self._sets.setdefault(tuple(values), frozenset(values))
        return self.constant(made)

    def literal(self, value: Any) -> str:
        """Return the code of a constant: a keyword of Python, or a name."""
        if value is None or value is True or value is False:
            return str(value)
        return self.constant(value)

    def load(self, path: tuple[str, ...], kind: str) -> str:
        """Return a local variable with the value of a field that every intent has; its class is checked once.

        Args:
            path: the path of the field.
            kind: the kind of its type.
        """
        known = self._fields.get(path)
        if known is not None:
            return known
        holder = "facts" if len(path) == 1 else self.load(path[:-1], "map")
        name = self._fields[path] = self.local()
        self._loads.append(f"        {name} = {holder}[{self.constant(path[-1])}]")
        if kind == "list":
            mismatch = f"not in {self.constant(LISTS)}"
        else:
            mismatch = f"is not {self.constant(CLASSES['map' if kind.startswith('struct:') else kind])}"
        self._loads.append(f"        if {name}.__class__ {mismatch}: raise {self.constant(TypeMismatchError)}")
        return name

    def load_lookup(self, code: str) -> str:
        """Return a local variable in which a text can be looked up: the set of a `DistinctTexts`, or the list itself.

        Args:
            code: the local variable of the list.
        """
        known = self._lookups.get(code)
        if known is None:
            known = self._lookups[code] = self.local()
            distinct = f"{code}.__class__ is {self.constant(DistinctTexts)}"
            self._loads.append(f"        {known} = {code}.known if {distinct} else {code}")
        return known
