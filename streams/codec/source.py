"""Writes the source of one function, line by line, and knows for each line which field of the record it serves.

The codec's functions are straight-line code made from a schema, as `dataclasses` makes `__init__`: no dispatch on types
is left for the moment a record passes. Nothing of a schema but checked names and numbers ever becomes source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from streams.codec.schema_types import SchemaError

LINES_MAX = 20_000
"""Of one function: a schema can use a record at many places, each of which has its own lines."""


class Place(NamedTuple):
    """Where a compiled function stood when it failed: the field's path, and its local variables."""

    path: str
    variables: dict[str, Any]


class Compiled(NamedTuple):
    """A function made from source; `paths` has the path of the field that each of its lines serves."""

    function: Callable[..., Any]
    paths: tuple[str, ...]

    def place(self, error: BaseException) -> Place:
        """Where `error` came out of the function."""
        code = self.function.__code__
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code is code:
                return Place(self.paths[step.tb_lineno - 1], step.tb_frame.f_locals)
            step = step.tb_next
        return Place(self.paths[0], {})


class Source:
    """A function being written. `path` is the field that the coming lines serve."""

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
        """Lines added within are the block's."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Lines added within serve the field `name` of the current one."""
        before = self.path
        self.path = f"{before}.{name}"
        yield
        self.path = before

    def fresh(self) -> str:
        """A variable that isn't used yet."""
        self._count += 1
        return f"v{self._count}"

    def bind(self, name: str, value: object) -> str:
        """Make `value` known to the function by `name`."""
        self._names[name] = value
        return name

    def bind_fresh(self, value: object) -> str:
        """Make `value` known by a name of its own."""
        return self.bind(f"k_{self.fresh()}", value)

    def compile(self) -> Compiled:
        """The function."""
        names = dict(self._names)
        exec(compile("\n".join(self._lines), f"<codec of {self._paths[0]}>", "exec"), names)  # noqa: S102 - our own lines
        function: Callable[..., Any] = names["compiled"]  # type: ignore[assignment]  # the last line defines it
        return Compiled(function, tuple(self._paths))
