"""Writes the source of one function, line by line, and knows for each line which field of the record it serves.

The codec's functions are straight-line code made from a schema, as `dataclasses` makes `__init__`: no dispatch on types
is left for the moment a record passes. Nothing of a schema but checked names and numbers ever becomes source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple, Protocol

from streams.codec.ready_made import MAKERS
from streams.codec.schema_types import SchemaError

LINES_MAX = 20_000
"""The longest function: a schema can use a record in many places, and each place has its own lines."""


CODES_MAX = 64
"""How many compiled texts are kept: topics whose records are of one kind have the same."""


class Place(NamedTuple):
    """Where a compiled function failed: the field's path, and its local variables."""

    path: str
    variables: dict[str, Any]


class Ready(Protocol):
    """A function that reads or writes records, and knows where it has failed."""

    @property
    def function(self) -> Callable[..., Any]:
        """Return the function."""

    def place(self, error: BaseException) -> Place:
        """Return where in the function `error` was raised."""


class Compiled(NamedTuple):
    """A function made from source; `paths` has the path of the field for each of its lines.

    `plain` is the function that Python has made of the source, if `function` was compiled beforehand (`ready_made`).
    That leaves to `plain` what it can't read or write itself, so errors are raised there.
    """

    function: Callable[..., Any]
    paths: tuple[str, ...]
    plain: Callable[..., Any] | None = None

    def place(self, error: BaseException) -> Place:
        """Return where in the function `error` was raised."""
        code = (self.plain or self.function).__code__
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code is code:
                return Place(self.paths[step.tb_lineno - 1], step.tb_frame.f_locals)
            step = step.tb_next
        return Place(self.paths[0], {})


class Source:
    """A function while it is written. `path` is the field that the next lines are for."""

    def __init__(self, signature: str, path: str) -> None:
        self.path = path
        self._lines = [f"def compiled({signature}):"]
        self._paths = [path]
        self._indent = 1
        self._count = 0
        self._names: dict[str, object] = {}

    def line(self, text: str) -> None:
        """Add a line at the current depth.

        Raises:
            SchemaError: there are `LINES_MAX` already.
        """
        if len(self._lines) >= LINES_MAX:
            raise SchemaError(f"{self.path}: schema needs more than {LINES_MAX} lines of code")
        self._lines.append("    " * self._indent + text)
        self._paths.append(self.path)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Put lines that are added within into the block."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Mark lines that are added within as those of the field `name` of the current one."""
        before = self.path
        self.path = f"{before}.{name}"
        yield
        self.path = before

    def fresh(self) -> str:
        """Return a new variable name."""
        self._count += 1
        return f"v{self._count}"

    def bind(self, name: str, value: object) -> str:
        """Make `value` available to the function as `name`."""
        self._names[name] = value
        return name

    def bind_fresh(self, value: object) -> str:
        """Make `value` available under a new name, and return the name."""
        return self.bind(f"k_{self.fresh()}", value)

    def compile(self) -> Compiled:
        """Return the function."""
        names, text = dict(self._names), self.text
        exec(_code(text, f"<codec of {self._paths[0]}>"), names)  # noqa: S102 - our own lines
        plain: Callable[..., Any] = names["compiled"]  # type: ignore[assignment]  # the last line defines it
        maker = MAKERS.get(text)
        if maker is None:
            return Compiled(plain, tuple(self._paths))
        return Compiled(maker(names), tuple(self._paths), plain)

    @property
    def text(self) -> str:
        """The source."""
        return "\n".join(self._lines)

    @property
    def names(self) -> Mapping[str, object]:
        """The values that the function knows by name."""
        return self._names


@lru_cache(maxsize=CODES_MAX)
def _code(text: str, place: str) -> CodeType:
    return compile(text, place, "exec")
