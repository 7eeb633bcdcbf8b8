"""Warns of names that the log does not know: nothing that matches a mistyped one must not be taken for good news."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from streams.cli.terminal.text import printable, warn
from streams.model.revocation import RevocationKind

if TYPE_CHECKING:
    # Loads settings.
    from streams.operations.operator import Operator

_SEPARATOR = "|"


def nearest_text(near: Iterable[str]) -> str:
    """Return which names are nearest to one that is not known, to be put behind what is said of it."""
    listed = ", ".join(map(printable, near))
    return f"; the nearest: {listed}" if listed else ""


def warn_unknown(operator: Operator, kind: RevocationKind, what: str, name: str) -> None:
    """Warn if the log does not know a name. Blocking.

    Args:
        operator: reads the log.
        kind: of what it is the name.
        what: the word for that.
        name: `name`, or `tenant|name`.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    from streams.operations.known_names import unknown_among  # noqa: PLC0415 - so that help answers at once

    is_whole = _SEPARATOR in name or kind is RevocationKind.TENANT
    spelled: Callable[[str], str] = str if is_whole else _without_tenant
    for near in unknown_among(operator, kind, [name], spelled).values():
        warn(f"no {what} `{printable(name)}` is on the {operator.log.name}{nearest_text(near)}")


def _without_tenant(name: str) -> str:
    return name.partition(_SEPARATOR)[2]
