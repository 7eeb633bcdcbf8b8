"""An activity while it is judged: its pages, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.behaviour.activity import Activity
from streams.behaviour.growth import GROWTH, Growth, bits_of, counts_sessions, counts_terms, growth_on
from streams.behaviour.pages import Layout, OpenRows, Slot


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


class Counted:
    """Counts the pages that agents add, and keeps no more of them than an agent may add."""

    def __init__(self, layout: Layout) -> None:
        """Args:
        layout: the pages; one of its places is `GROWTH`.
        """
        self._spans = tuple(
            (shape, start, end, 1 << number)
            for number, (shape, (start, end)) in enumerate(zip(layout.shapes, layout.spans, strict=True))
        )
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
        rows, flat, changed, created = case.rows, case.flat, case.changed, case.rows.created
        terms_left, sessions_left, terms, sessions = growth.terms_left, growth.sessions_left, 0, 0
        for key, (shape, start, end, bit) in zip(case.keys, self._spans, strict=True):
            if key is None or not changed & bit:
                continue
            if key in created:
                is_term, is_session = bool(self._terms & bit), bool(self._sessions & bit)
                if (is_term and terms >= terms_left) or (is_session and sessions >= sessions_left):
                    rows.forget(key)
                    continue
                terms += is_term
                sessions += is_session
                created.discard(key)
            rows.store_page(key, shape, flat[start:end])
        terms += case.matched_count
        if terms or sessions:
            # Its page may be stored for the second time: what was added is known when all pages are.
            shape, start, end, _ = self._spans[self._growth.shape]
            flat[self._growth.position] = Growth(growth.day, growth.terms + terms, growth.sessions + sessions)
            rows.store_page(case.keys[self._growth.shape] or b"", shape, flat[start:end])
