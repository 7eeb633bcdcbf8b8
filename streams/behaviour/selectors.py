"""Find the correlations of which a rule selects an activity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from streams.behaviour.activity import ATTRIBUTES, FIELDS, MEASURES, Activity
from streams.behaviour.correlations import Correlation, Seen, Selection, selects

TEXTS_REMEMBERED_MAX = 1_024
"""For how many different values a selector remembers whether they match."""

replace = msgspec.structs.replace

_Matched = list[tuple[Correlation, list[int]]]
"""Correlations with the numbers of those of their rules that select an activity."""


class Selectors:
    """The rules of all correlations. Finds those that select an activity without looking at most of them.

    A rule that asks for a score selects nothing without that score, and most activities have none, or a low one. What
    the other rules say depends on a few texts alone, and few different ones occur again and again: that is remembered.
    """

    def __init__(self, declared: Sequence[Correlation]) -> None:
        self._declared = tuple(declared)
        self._by_text: list[tuple[int, int]] = []
        self._asked: list[tuple[int, int]] = []
        """Rules, as correlation and number, that each activity is to be asked for."""
        self._by_score: dict[str, list[tuple[int, int, Selection]]] = {}
        fields: dict[str, None] = {}
        for at, each in enumerate(declared):
            for number, rule in enumerate(each.rules):
                if rule.is_chained:
                    continue
                scores = [test.field for test in rule.tests if test.field not in FIELDS and test.field not in MEASURES]
                tests = (*rule.tests, *rule.filters)
                if scores:
                    # Scores are asked for first: most are too low, and to compare texts takes longer.
                    in_order = sorted(rule.tests, key=lambda test: test.field in FIELDS)
                    asked = replace(rule, tests=tuple(in_order))
                    self._by_score.setdefault(scores[0], []).append((at, number, asked))
                elif all(test.field in FIELDS for test in tests):
                    self._by_text.append((at, number))
                    fields.update((test.field, None) for test in tests)
                else:
                    self._asked.append((at, number))
        # Attributes instead of the texts that are made of them: equal ones make equal texts.
        # One attribute comes alone, and several as a tuple.
        self._read: Callable[[Activity], Any] = attrgetter(
            "outcome", *(ATTRIBUTES[field] for field in fields if field in ATTRIBUTES)
        )
        self._made = tuple(FIELDS[field] for field in fields if field not in ATTRIBUTES)
        self._known: dict[Any, tuple[tuple[tuple[int, int], ...], _Matched]] = {}

    def matched(self, seen: Seen) -> _Matched:
        """Return the correlations of which a rule selects the activity, in order, with the numbers of these rules.

        Nobody changes what is returned: it is remembered.
        """
        activity = seen.activity
        texts = self._read(activity)
        if self._made:
            texts = (texts, *[field(activity) for field in self._made])
        known = self._known.get(texts)
        if known is None:
            if len(self._known) >= TEXTS_REMEMBERED_MAX:
                self._known.clear()
            by_text = tuple(self._selecting(self._by_text, seen))
            known = self._known[texts] = by_text, self._in_order(by_text)
        if not (self._asked or seen.scores):
            # As of almost all activities.
            return known[1]
        found = self._selecting(self._asked, seen) if self._asked else []
        for score in seen.scores:
            asking = self._by_score.get(score)
            if asking is not None:
                found += [(at, number) for at, number, rule in asking if selects(rule, seen)]
        return self._in_order([*known[0], *found]) if found else known[1]

    def _in_order(self, found: Iterable[tuple[int, int]]) -> _Matched:
        """Return the correlations of some rules, in order, with the numbers of these rules."""
        numbers: dict[int, list[int]] = {}
        for at, number in sorted(found):
            numbers.setdefault(at, []).append(number)
        return [(self._declared[at], matched) for at, matched in numbers.items()]

    def _selecting(self, rules: Sequence[tuple[int, int]], seen: Seen) -> list[tuple[int, int]]:
        return [(at, number) for at, number in rules if selects(self._declared[at].rules[number], seen)]
