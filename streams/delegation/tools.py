"""Tools of a grant: which calls they allow, and whether they are narrower than others.

A tool with a bound on any argument is a closed world: every bounded argument must be present, and no others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from streams.delegation.constraints import AllOf, Constraint, Room, compile_constraint
from streams.delegation.errors import GrantError
from streams.delegation.subsumption import Steps, implies
from streams.model.delegation import ToolGrant
from streams.model.reasons import Reason

ANYTHING = "*"
"""As a tool's name: all tools of its server; as a server's name too: all tools of all servers."""

CONSTRAINTS_MAX = 32
POINTER_CHARS_MAX = 512
POINTER_DEPTH_MAX = 16

Path = tuple[str, ...]
_MISSING = object()
_BAD_ESCAPE = re.compile("~(?![01])")
_INDEX = re.compile("0|[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class GrantedTool:
    """A tool in a grant.

    Attributes:
        bounds: by the path of the argument; without any, all arguments are allowed.
        ways: those paths, and all that lead to them.
    """

    server_id: str
    name: str
    bounds: Mapping[Path, Constraint]
    ways: frozenset[Path] = frozenset()

    def covers(self, server_id: str, name: str) -> bool:
        """Return whether this is the tool, or a wildcard for it."""
        return self.server_id in (ANYTHING, server_id) and self.name in (ANYTHING, name)

    def fault(self, args: Mapping[str, object]) -> str | None:
        """Return why the tool may not be called with these arguments; None if it may."""
        if not self.bounds:
            return None
        for path, bound in self.bounds.items():
            value = _at(args, path)
            if value is _MISSING:
                return f"`{_pointer(path)}` is missing"
            if not bound.admits(value):
                return f"`{_pointer(path)}` is out of bounds"
        stray = self._stray(args, ())
        if stray is None:
            return None
        # The name of an argument that the grant does not have is the agent's text, which reasons never contain.
        known = stray if stray in self.ways else (*stray[:-1], "*")
        return f"`{_pointer(known)}` is not named by the grant"

    def _stray(self, value: object, path: Path) -> Path | None:
        """Return the path of an argument that no bound names."""
        if path in self.bounds:
            return None
        if isinstance(value, Mapping):
            inner = ((str(name), item) for name, item in value.items())
        elif isinstance(value, list):
            inner = ((str(index), item) for index, item in enumerate(value))
        else:
            return path
        for name, item in inner:
            below = (*path, name)
            if below not in self.ways:
                return below
            stray = self._stray(item, below)
            if stray is not None:
                return stray
        return None


def compile_tool(tool: ToolGrant, room: Room | None = None) -> GrantedTool:
    """Compile a tool of a grant.

    Args:
        room: how many more parts the bounds of the whole grant may have.

    Raises:
        GrantError: a bound is not understood, a pointer is invalid, or there are too many bounds.
    """
    if not tool.server_id or not tool.name or (tool.server_id == ANYTHING and tool.name != ANYTHING):
        raise _malformed(f"`{tool.server_id[:80]}/{tool.name[:80]}` does not name a tool")
    if len(tool.constraints) > CONSTRAINTS_MAX:
        raise _malformed(f"{len(tool.constraints)} bounds on one tool, at most {CONSTRAINTS_MAX} are accepted")
    room = Room() if room is None else room
    bounds: dict[Path, Constraint] = {}
    for constraint in tool.constraints:
        path = parse_pointer(constraint.argument)
        bound = compile_constraint(constraint, room)
        known = bounds.get(path)
        if known is not None:
            bound = AllOf((*known.parts, bound) if isinstance(known, AllOf) else (known, bound))
        bounds[path] = bound
    ways = frozenset(path[:length] for path in bounds for length in range(1, len(path) + 1))
    return GrantedTool(tool.server_id, tool.name, bounds, ways)


def is_narrower(child: GrantedTool, parent: GrantedTool, steps: Steps) -> bool:
    """Return whether `parent` allows every call that `child` allows, as far as that can be shown."""
    if not parent.covers(child.server_id, child.name):
        return False
    if not parent.bounds:
        return True
    # The closed world of the child must lie within the parent's: no argument that the parent does not name.
    for path in child.bounds:
        if not any(path[: len(named)] == named for named in parent.bounds):
            return False
    return all(
        path in child.bounds and implies(child.bounds[path], bound, steps) for path, bound in parent.bounds.items()
    )


def parse_pointer(text: str) -> Path:
    """Return the path of a JSON pointer (RFC 6901).

    Raises:
        GrantError: the text is not a JSON pointer, or too long.
    """
    if not text:
        return ()
    if len(text) > POINTER_CHARS_MAX or not text.startswith("/") or _BAD_ESCAPE.search(text):
        raise _malformed(f"`{text[:80]}` is not a JSON pointer of at most {POINTER_CHARS_MAX} characters")
    path = tuple(token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))
    if len(path) > POINTER_DEPTH_MAX:
        raise _malformed(f"`{text[:80]}` is deeper than {POINTER_DEPTH_MAX} levels")
    return path


def _at(value: object, path: Path) -> object:
    for token in path:
        if isinstance(value, Mapping):
            value = value.get(token, _MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return _MISSING
    return value


def _pointer(path: Path) -> str:
    text = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in path)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _malformed(detail: str) -> GrantError:
    return GrantError(Reason.DELEGATION_MALFORMED, detail)
