"""What a detector is, what it reports, and the rows that it keeps.

A detector is two pure functions of rows and an activity. `score` comes first: it says how unusual the activity is, and
moves what only counts (windows, sums, accumulators). `learn` comes after, and only if the activity may be learned from:
it moves what is called normal. A detector names the places of its rows; whoever runs it reads and writes them. So the
state is rows of bytes, no detector holds any, and one page per term bounds what an event has to read (see `pages`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from streams.behaviour.activity import FIELDS, MEASURES, Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.pages import Place

Rows = tuple[Any, ...]
"""The rows of a detector for one activity, in the order of its places; None where there is none yet."""

WHOLE_FROM = 1_000
"""Numbers from which on a sentence has no use for decimals."""
FAINT = 0.25
"""Scores below this share of the threshold are not reported."""
TEMPLATES_MAX = 256
"""Sentences whose parts are remembered: those of a hundred declarations are some."""
_NAMED = re.compile(r"\{([^{}]*)\}")


class Signal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One report of a detector.

    Attributes:
        name: the detector.
        score: how unusual, in the detector's own unit.
        share: the score as a share of the threshold; 1 and more is an alert.
        template: the sentence for people, before its names are replaced by what they stand for.
        activity: the activity, and `words` what explains the score.
    """

    name: str
    score: float
    share: float
    template: str
    activity: Activity
    words: Mapping[str, object]

    @property
    def explain(self) -> str:
        """The sentence for people. Almost all signals are faint, and nobody asks for theirs."""
        return explained(self.template, self.activity, self.words)


class Scored(msgspec.Struct, frozen=True, gc=False):
    """What `score` has found.

    Attributes:
        rows: the rows afterwards.
        score: the score, and `words` what explains it.
        noted: what was reckoned of the rows and the activity that `learn` needs as well.
    """

    rows: Rows
    score: float = 0.0
    words: Mapping[str, object] = {}
    noted: Any = None


class Detector(Protocol):
    """A detector of one kind, made from its declaration."""

    declaration: Declaration
    keys_have_term: bool
    needs: int
    faint: float

    @property
    def places(self) -> tuple[Place, ...]:
        """Where its rows are."""

    @property
    def row_types(self) -> tuple[type, ...]:
        """The classes of the rows, in the order of the places."""

    def score(self, rows: Rows, activity: Activity) -> Scored:
        """Return how unusual the activity is, and the rows with what only counts."""

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows after learning from the activity, as `score` has left them, with what it has noted."""


class Keyed:
    """What detectors have in common: whom they watch, and whom they compare with.

    Attributes:
        keys_have_term: whether there is a row of each value of the term.
        needs: bits (`presence`) of what an activity must have, beside the fields that its places require.
        places: where the rows are, by default the own row and the peers' row.
        faint: the score from which on it is reported. What is certain to stay below need not be reckoned.
    """

    keys_have_term = False
    needs = 0

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.faint = FAINT * declaration.threshold
        self._term = FIELDS[declaration.term] if declaration.term else None
        self._value = MEASURES[declaration.value] if declaration.value else None
        self.places = self.make_places()

    def make_places(self) -> tuple[Place, ...]:
        """Return where the rows are, by default the own row and the peers' row."""
        return (self.own(), self.peers())

    def learn(self, rows: Rows, activity: Activity, noted: Any) -> Rows:
        """Return the rows as they are: by default nothing is learned."""
        del activity, noted
        return rows

    def own(self, *more: str, part: str = "") -> Place:
        """Return the place of a row of whom the detector watches.

        Args:
            more: further fields, whose values have rows of their own.
            part: which of several rows of these fields.
        """
        name = self.declaration.name
        return Place((*self.declaration.key, *more), f"{name}.{part}" if part else name)

    def peers(self, *more: str, part: str = "") -> Place:
        """Return the place of a row of the peers; likewise."""
        return Place((*self.declaration.peer, *more), f"{self.declaration.name}~{part}", is_required=False)


def learns(detector: Detector) -> bool:
    """Return whether a detector has a `learn` of its own. That of `Keyed` need not be called."""
    its_own: object = type(detector).learn
    return its_own is not Keyed.learn


def explained(template: str, activity: Activity, words: Mapping[str, object]) -> str:
    """Return a sentence, with `{field}` and `{word}` replaced by their values in short."""
    parts = [*_parts_of(template)]
    for at in range(1, len(parts), 2):
        parts[at] = _shown(parts[at], activity, words)
    return "".join(parts)


@lru_cache(maxsize=TEMPLATES_MAX)
def _parts_of(template: str) -> tuple[str, ...]:
    """Return the parts of a sentence: plain text and names in turn."""
    return tuple(_NAMED.split(template))


def _shown(name: str, activity: Activity, words: Mapping[str, object]) -> str:
    """Return what stands in a sentence for a name; the name itself if it is none of a word and none of a field."""
    if name in words:
        value = words[name]
        return _clipped(_number(value) if isinstance(value, float) else str(value))
    field = FIELDS.get(name)
    return "{" + name + "}" if field is None else _clipped(field(activity) or "unknown")


def _number(value: float) -> str:
    """Return a number as people write it: three digits, and of thousands all that are before the point."""
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.3g}"


def _clipped(text: str) -> str:
    shown = text.replace("{", "(").replace("}", ")")
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
