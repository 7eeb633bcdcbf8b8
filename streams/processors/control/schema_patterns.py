"""Bound the time that the patterns of a schema take, by their sizes and the lengths of the texts.

**How.** The validator matches in time proportional to the size of the compiled pattern and the length of the text:
about a second for 100,000 bytes of pattern and 262,144 characters, with patterns that were made for it. So small
patterns weigh 1 and others 10, and weight times characters is the work. Most schemas are so light that the size of the
arguments settles it.

A pattern such as `^[^\\n]{1,200}$` is large when it is compiled, because each character of UTF-8 has several forms, but
it has only one way to match a text. Patterns that begin with `^` and repeat one thing may therefore be larger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import jsonschema_rs

PATTERN_BYTES_MAX = 100_000
"""Largest compiled pattern, unless it has one way to match."""

PLAIN_PATTERN_BYTES_MAX = 1_000_000
"""Largest compiled pattern that has one way to match a text."""

PATTERNS_MAX = 100
"""Most patterns of a schema. All of them may be tried on one text, and each is kept compiled."""

PATTERN_WORK_MAX = 2_700_000
"""Weights of patterns times characters: about a second in the worst case."""

_SMALL_BYTES, _SMALL_WEIGHT, _LARGE_WEIGHT = 10_000, 1, 10
_ATOM = r"(?:\[\^?\]?(?:[^\[\]\\&~]|\\.)*\]|\\[^xupPbBAzk0-9]|[^\[\](){}|*+?^$\\])"
_PLAIN = re.compile(rf"\^{_ATOM}{{0,16}}(?:\{{[0-9]{{1,5}}(?:,[0-9]{{1,5}})?\}})?{_ATOM}{{0,16}}\$\Z")
"""Anchored at both ends, without groups and alternatives, and with at most one repetition."""


class SchemaPatterns:
    """The weights of a schema's patterns."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile each pattern.

        Raises:
            ValueError: a pattern is not valid or too large, and the validator would not notice.
        """
        self._weights: dict[str, int] = {}
        self.bytes_max = PATTERN_BYTES_MAX
        refused: list[str] = []
        for pattern in patterns:
            if _compiles(pattern, _SMALL_BYTES):
                self._weights[pattern] = _SMALL_WEIGHT
            elif _compiles(pattern, PATTERN_BYTES_MAX):
                self._weights[pattern] = _LARGE_WEIGHT
            elif _PLAIN.match(pattern) and _compiles(pattern, PLAIN_PATTERN_BYTES_MAX):
                self._weights[pattern] = _SMALL_WEIGHT
                self.bytes_max = PLAIN_PATTERN_BYTES_MAX
            else:
                # It may stand in an example. If it is a pattern, the validator rejects it, unless it may be larger.
                self._weights[pattern] = _LARGE_WEIGHT
                refused.append(pattern)
        if refused and self.bytes_max != PATTERN_BYTES_MAX:
            raise ValueError(f"the pattern `{refused[0][:80]}` is not valid, or too large when it is compiled")

    def weight(self, pattern: object) -> int:
        """Return the weight of a pattern; 0 for anything else."""
        return self._weights.get(pattern, 0) if isinstance(pattern, str) else 0


def _compiles(pattern: str, bytes_max: int) -> bool:
    try:
        jsonschema_rs.validator_for(
            {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions(size_limit=bytes_max)
        )
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True
