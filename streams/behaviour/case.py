"""An activity while it is judged: its pages, and which of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from streams.behaviour.activity import Activity
from streams.behaviour.growth import GROWTH, Growth, bits_of, counts_sessions, counts_terms, growth_on
from streams.behaviour.pages import Layout, OpenRows, Slot

PATTERNS_MAX = 1_024
"""For how many combinations of detectors or pages it is remembered what they are."""


class Case(msgspec.Struct, gc=False):
    """An activity, with its pages.

    `keys` are those of the pages in the order of the layout's shapes, None for a shape without a page. `changed` has a
    bit for each page that has changed. `matched_count` counts new groups of correlations.
    """

    activity: Activity
    events: tuple[str, ...]
    rows: OpenRows
    keys: tuple[bytes | None, ...]
    pages: Sequence[list[Any]]
    changed: int = 0
    matched_count: int = 0

    def put(self, slot: Slot, row: object) -> None:
        """Set a row of a page."""
        self.pages[slot.shape][slot.number] = row
        self.changed |= 1 << slot.shape

    def row(self, slot: Slot) -> Any:
        """Return a row of a page."""
        return self.pages[slot.shape][slot.number]


class _Shape(NamedTuple):
    """A shape whose page has changed, and whether new pages of it are counted."""

    number: int
    page_type: type
    is_term: bool
    is_session: bool


class _Changed(NamedTuple):
    """The shapes whose pages have changed: each by itself, what reads the keys of all of them, and their classes."""

    shapes: tuple[_Shape, ...]
    keys_in: Callable[[tuple[bytes | None, ...]], tuple[bytes, ...]]
    page_types: tuple[type, ...]


class Counted:
    """Counts the pages that agents add, and keeps no more of them than an agent may add."""

    def __init__(self, layout: Layout) -> None:
        """Args:
        layout: the pages; one of its places is `GROWTH`.
        """
        self._layout = layout
        self._changed: dict[int, _Changed] = {}
        self._growth = layout.slot(GROWTH)
        self._terms = bits_of(layout, counts_terms)
        self._sessions = bits_of(layout, counts_sessions)

    def growth(self, case: Case) -> Growth:
        """Return what the agent has added on the day of its activity."""
        # As `case.row` would read it: every decision asks.
        return growth_on(case.pages[self._growth.shape][self._growth.number], case.activity.time_ms)

    def is_too_much(self, case: Case, growth: Growth) -> bool:
        """Return whether the activity brings something new that is not remembered any more today.

        Args:
            case: the activity.
            growth: what the agent has added, which is full.
        """
        full = (0 if growth.terms_left else self._terms) | (0 if growth.sessions_left else self._sessions)
        created = case.rows.created
        return any(full >> number & 1 and key in created for number, key in enumerate(case.keys))

    def keep(self, case: Case, growth: Growth) -> None:
        """Keep the pages that have changed, new ones only as far as the agent may add some."""
        rows, keys, created, changed = case.rows, case.keys, case.rows.created, case.rows.changed
        it = self._changed.get(case.changed) or self._known(case.changed)
        its_keys = it.keys_in(keys)
        if created.isdisjoint(its_keys) and not case.matched_count:
            # As mostly. What is changed has a page, so it has a key.
            changed.update(zip(its_keys, it.page_types, strict=True))
            return
        terms = sessions = 0
        for number, page_type, is_term, is_session in it.shapes:
            key = keys[number]
            if key is None:
                continue
            if key in created:
                if (is_term and terms >= growth.terms_left) or (is_session and sessions >= growth.sessions_left):
                    rows.forget(key)
                    continue
                terms += is_term
                sessions += is_session
                created.discard(key)
            changed[key] = page_type
        terms += case.matched_count
        if terms or sessions:
            # Its page may have been noted before: what was added is known when all pages are.
            at = self._growth
            case.put(at, Growth(growth.day, growth.terms + terms, growth.sessions + sessions))
            changed[keys[at.shape] or b""] = self._layout.shapes[at.shape].page_type

    def _known(self, changed: int) -> _Changed:
        """Return the shapes with these bits, and remember them: few combinations occur again and again."""
        if len(self._changed) >= PATTERNS_MAX:
            self._changed.clear()
        shapes = tuple(
            _Shape(number, shape.page_type, bool(self._terms >> number & 1), bool(self._sessions >> number & 1))
            for number, shape in enumerate(self._layout.shapes)
            if changed >> number & 1
        )
        numbers = [shape.number for shape in shapes]
        keys_in: Callable[..., tuple[bytes, ...]] = (
            itemgetter(*numbers) if len(numbers) > 1 else lambda keys: tuple([keys[number] for number in numbers])
        )
        made = self._changed[changed] = _Changed(shapes, keys_in, tuple(shape.page_type for shape in shapes))
        return made
