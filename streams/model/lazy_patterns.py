"""Patterns that are compiled when they are first used.

To compile one takes 0.02 to 1 ms. A short command loads three hundred, and uses half of them: those that describe an
error, or read a form that the records of this command do not have, need not be ready.
"""

from __future__ import annotations

import re
from typing import Any, cast


class _LazyPattern:
    """Has what a compiled pattern has. Each of its methods is kept where it is found first."""

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """Compile the pattern, or take it from the cache of `re`, and keep what is asked for."""
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found


def lazy_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what `re.compile` returns, compiled when one of its methods is first used.

    A wrong pattern raises its `re.error` then. Functions of `re` do not accept the result: use its methods.
    """
    return cast("re.Pattern[str]", _LazyPattern(text, flags))
