"""An activity while it is judged: its pages, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.behaviour.activity import Activity
from streams.behaviour.growth import GROWTH, Growth, bits_of, counts_sessions, counts_terms, growth_on
from streams.behaviour.pages import Layout, OpenRows, Slot


@dataclass(slots=True)
class Case:
    """An activity, with its pages in the order of the layout's shapes.

    Where a required field has no value, there is no page: None, and a bit in `missing`. `flat` has the rows of all
    pages, `changed` a bit for each page that has changed. `matched_count` counts new groups of correlations.
    """

    activity: Activity
    events: tuple[str, ...]
    rows: OpenRows
    keys: list[bytes]
    pages: list[Any]
    flat: list[Any]
    missing: int
    changed: int = 0
    matched_count: int = 0

    def put(self, slot: Slot, row: object) -> None:
        """Set a row of a page."""
        setattr(self.pages[slot.shape], slot.attribute, row)
        self.changed |= 1 << slot.shape


class Counted:
    """Counts the pages that agents add, and keeps no more of them than an agent may add."""

    def __init__(self, layout: Layout) -> None:
        """Args:
        layout: the pages; one of its places is `GROWTH`.
        """
        self._growth = layout.slot(GROWTH)
        self._terms = bits_of(layout, counts_terms)
        self._sessions = bits_of(layout, counts_sessions)

    def growth(self, case: Case) -> Growth:
        """Return what the agent has added on the day of its activity."""
        return growth_on(getattr(case.pages[self._growth.shape], self._growth.attribute), case.activity.time_ms)

    def is_too_much(self, case: Case, growth: Growth) -> bool:
        """Return whether the activity brings something new that is not remembered any more today."""
        if growth.terms_left and growth.sessions_left:
            return False
        full = (0 if growth.terms_left else self._terms) | (0 if growth.sessions_left else self._sessions)
        created = case.rows.created
        return any(full >> number & 1 and key in created for number, key in enumerate(case.keys))

    def keep(self, case: Case, growth: Growth) -> None:
        """Mark the pages that have changed as to be written, new ones only as far as the agent may add some."""
        rows, changed, created = case.rows, case.changed, case.rows.created
        terms_left, sessions_left = growth.terms_left, growth.sessions_left
        for number, key in enumerate(case.keys):
            if not changed >> number & 1:
                continue
            if key in created:
                is_term, is_session = self._terms >> number & 1, self._sessions >> number & 1
                if (is_term and not terms_left) or (is_session and not sessions_left):
                    rows.forget(key)
                    continue
                terms_left -= is_term
                sessions_left -= is_session
                created.discard(key)
            rows.changed[key] = None
        terms, sessions = growth.terms_left - terms_left + case.matched_count, growth.sessions_left - sessions_left
        if terms or sessions:
            slot = self._growth
            grown = Growth(growth.day, growth.terms + terms, growth.sessions + sessions)
            setattr(case.pages[slot.shape], slot.attribute, grown)
            rows.changed[case.keys[slot.shape]] = None
