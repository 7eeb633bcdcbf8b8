"""What a detector is, what it reports, and the rows that it keeps.

A detector is two pure functions of rows and an activity. `score` comes first: it says how unusual the activity is, and
moves what only counts (windows, sums, accumulators). `learn` comes after, and only if the activity may be learned from:
it moves what is called normal. A detector names the keys of its rows; whoever runs it reads and writes them. So the
state is rows of bytes, no detector holds any, and one store row per term bounds what an event has to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from streams.behaviour.activity import ATTRIBUTES, FIELDS, MEASURES, Activity, row_key
from streams.behaviour.declarations import Declaration

Rows = tuple[Any, ...]
"""The rows of a detector for one activity, in the order of its keys; None where there is none yet."""

_TIME = "time.part"
KEYS_MADE_MAX = 8_192
"""Keys that a detector remembers."""
WHOLE_FROM = 1_000
"""Numbers from which on a sentence has no use for decimals."""
FAINT = 0.25
"""Scores below this share of the threshold are not reported."""


class Signal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One report of a detector.

    Attributes:
        name: the detector.
        score: how unusual, in the detector's own unit.
        share: the score as a share of the threshold; 1 and more is an alert.
        explain: the sentence for people.
    """

    name: str
    score: float
    share: float
    explain: str


class Scored(NamedTuple):
    """Rows after `score`, and what was found: the score and the words that explain it."""

    rows: Rows
    score: float = 0.0
    words: Mapping[str, object] = {}


class Detector(Protocol):
    """A detector of one kind, made from its declaration."""

    declaration: Declaration

    def keys(self, activity: Activity) -> tuple[bytes, ...] | None:
        """Return the keys of the rows that this activity concerns; None if it does not concern the detector."""

    @property
    def row_types(self) -> tuple[type, ...]:
        """The classes of the rows, in the order of the keys."""

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how unusual the activity is, and the rows with what only counts."""

    def learn(self, rows: Rows, activity: Activity) -> Rows:
        """Return the rows after learning from the activity."""


def values_of(fields: Sequence[str], activity: Activity) -> tuple[str, ...] | None:
    """Return the values of fields; None if one is missing."""
    found = []
    for field in fields:
        value = FIELDS[field](activity)
        if value is None:
            return None
        found.append(value)
    return tuple(found)


class Keyed:
    """What detectors have in common: whom they watch, and whom they compare with.

    Attributes:
        keys_have_term: whether the keys contain a digest of the term.
        reads_also: attributes of an activity that the keys depend on, besides those of the declared fields.
    """

    keys_have_term = False
    reads_also: tuple[str, ...] = ()

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._name = declaration.name
        self._peer_name = f"{declaration.name}~"
        self._key = tuple(FIELDS[field] for field in ("tenant", *declaration.key))
        self._peer = tuple(FIELDS[field] for field in ("tenant", *declaration.peer))
        self._term = FIELDS[declaration.term] if declaration.term else None
        self._value = MEASURES[declaration.value] if declaration.value else None
        self._tools = frozenset(declaration.tools)
        read = {declaration.term} if declaration.term and self.keys_have_term else set()
        read |= {"tenant", *declaration.key, *declaration.peer}
        has_time = _TIME in read
        names = {*(ATTRIBUTES[field] for field in read - {_TIME}), *self.reads_also, "tenant", "agent"}
        plain = attrgetter(*sorted(names))
        self._reads: Callable[[Activity], Any] = (lambda a: (plain(a), FIELDS[_TIME](a))) if has_time else plain
        self._made: dict[Any, tuple[bytes, ...] | None] = {}

    def keys(self, activity: Activity) -> tuple[bytes, ...] | None:
        """Return the keys of the rows that this activity concerns; None if it does not concern the detector.

        Keys that were made before are remembered: making them is most of the work of a detector.
        """
        if (self._tools and activity.tool not in self._tools) or not self.applies(activity):
            return None
        read = self._reads(activity)
        try:
            return self._made[read]
        except KeyError:
            if len(self._made) >= KEYS_MADE_MAX:
                self._made.clear()
            made = self._made[read] = self.make_keys(activity)
            return made

    def applies(self, activity: Activity) -> bool:
        """Return whether the activity has what the detector looks at."""
        del activity
        return True

    def make_keys(self, activity: Activity) -> tuple[bytes, ...] | None:
        """Return the keys, by default of the own row and of the peers' row.

        They depend on the fields of the declaration and on `reads_also` alone.
        """
        own = self.own(activity)
        return None if own is None else (own, self.peers(activity))

    def own(self, activity: Activity, *more: str) -> bytes | None:
        """Return the key of the row of whom the detector watches; None if a field of the key is missing."""
        values = []
        for field in self._key:
            value = field(activity)
            if value is None:
                return None
            values.append(value)
        return row_key(self._name, (*values, *more))

    def peers(self, activity: Activity, *more: str) -> bytes:
        """Return the key of the row of the peers."""
        values = [field(activity) or "" for field in self._peer]
        return row_key(self._peer_name, (*values, *more))


def explained(template: str, activity: Activity, words: Mapping[str, object]) -> str:
    """Return a sentence, with `{field}` and `{word}` replaced by their values in short."""
    text = template
    for name, value in words.items():
        shown = _number(value) if isinstance(value, float) else str(value)
        text = text.replace("{" + name + "}", _clipped(shown))
    if "{" in text:
        for name, field in FIELDS.items():
            if "{" + name + "}" in text:
                text = text.replace("{" + name + "}", _clipped(field(activity) or "unknown"))
    return text


def _number(value: float) -> str:
    """Return a number as people write it: three digits, and of thousands all that are before the point."""
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.3g}"


def _clipped(text: str) -> str:
    shown = text.replace("{", "(").replace("}", ")")
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
