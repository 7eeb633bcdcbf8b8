"""An activity while it is judged: its pages, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.growth import GROWTH, Growth, bits_of, counts_sessions, counts_terms, growth_on
from streams.behaviour.pages import Layout, OpenRows, Shape, Slot

PATTERNS_MAX = 1_024
"""For how many combinations of detectors or pages it is remembered where their rows stand."""


@dataclass(slots=True)
class Case:
    """An activity, with the rows of its pages.

    `keys` are those of the pages in the order of the layout's shapes, `flat` has the rows of all of them. Where a
    required field has no value, there is no page: None, and a bit in `missing`. `changed` has a bit for each page that
    has changed. `matched_count` counts new groups of correlations.
    """

    activity: Activity
    events: tuple[str, ...]
    rows: OpenRows
    keys: tuple[bytes | None, ...]
    flat: list[Any]
    missing: int
    changed: int = 0
    matched_count: int = 0

    def put(self, slot: Slot, row: object) -> None:
        """Set a row of a page."""
        self.flat[slot.position] = row
        self.changed |= 1 << slot.shape


class _Span(NamedTuple):
    """Where the rows of a page stand among those of all pages, and whether new pages of its shape are counted."""

    number: int
    shape: Shape
    start: int
    end: int
    is_term: bool
    is_session: bool


class Counted:
    """Counts the pages that agents add, and keeps no more of them than an agent may add."""

    def __init__(self, layout: Layout) -> None:
        """Args:
        layout: the pages; one of its places is `GROWTH`.
        """
        self._layout = layout
        self._spans: dict[int, tuple[_Span, ...]] = {}
        self._growth = layout.slot(GROWTH)
        self._terms = bits_of(layout, counts_terms)
        self._sessions = bits_of(layout, counts_sessions)

    def growth(self, case: Case) -> Growth:
        """Return what the agent has added on the day of its activity."""
        return growth_on(case.flat[self._growth.position], case.activity.time_ms)

    def is_too_much(self, case: Case, growth: Growth) -> bool:
        """Return whether the activity brings something new that is not remembered any more today."""
        if not growth.is_full:
            return False
        full = (0 if growth.terms_left else self._terms) | (0 if growth.sessions_left else self._sessions)
        created = case.rows.created
        return any(full >> number & 1 and key in created for number, key in enumerate(case.keys))

    def keep(self, case: Case, growth: Growth) -> None:
        """Put back the pages that have changed, new ones only as far as the agent may add some."""
        rows, flat, keys, created = case.rows, case.flat, case.keys, case.rows.created
        open_rows, changed = rows.rows, rows.changed
        terms = sessions = 0
        for number, shape, start, end, is_term, is_session in self._spans.get(case.changed) or self._of(case.changed):
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
            if shape.shared:
                rows.store_page(key, shape, flat[start:end])
            else:
                # As `store_page` does; it would be called for ten pages of each decision.
                open_rows[key] = flat[start:end]
                changed[key] = shape.page_type
        terms += case.matched_count
        if terms or sessions:
            # Its page may be stored for the second time: what was added is known when all pages are.
            at = self._growth
            start, end = self._layout.spans[at.shape]
            flat[at.position] = Growth(growth.day, growth.terms + terms, growth.sessions + sessions)
            rows.store_page(keys[at.shape] or b"", self._layout.shapes[at.shape], flat[start:end])

    def _of(self, changed: int) -> tuple[_Span, ...]:
        """Return the spans of the pages with these bits, and remember them: few combinations occur again and again."""
        if len(self._spans) >= PATTERNS_MAX:
            self._spans.clear()
        pairs = zip(self._layout.shapes, self._layout.spans, strict=True)
        made = self._spans[changed] = tuple(
            _Span(number, shape, start, end, bool(self._terms >> number & 1), bool(self._sessions >> number & 1))
            for number, (shape, (start, end)) in enumerate(pairs)
            if changed >> number & 1
        )
        return made
