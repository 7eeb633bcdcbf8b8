"""Give a correlation what another one has found: correlations whose rules are correlations.

The rule matches the activities at which the window of the other correlation fulfils it, whether or not that one is
quiet. Of such an activity, the fields are its own: by which fields the other correlation groups says nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from streams.behaviour.correlations import Correlation

_Matched = Sequence[tuple[Correlation, Sequence[int]]]


class Chains:
    """Knows which correlations refer to which.

    Attributes:
        referred: the names of those that others refer to.

    Args:
        declared: the correlations. Whichever another one refers to is declared before it.
    """

    def __init__(self, declared: Sequence[Correlation]) -> None:
        self._declared = tuple(declared)
        self._places = {each.name: at for at, each in enumerate(declared)}
        self._referring: dict[str, list[tuple[int, int]]] = {}
        for at, each in enumerate(declared):
            for number, rule in enumerate(each.rules):
                if rule.is_chained:
                    self._referring.setdefault(rule.name, []).append((at, number))
        self.referred = frozenset(self._referring)

    def in_order(self, matched: _Matched, met: Set[str]) -> Iterator[tuple[Correlation, Sequence[int]]]:
        """Yield the correlations that an activity is a match of, with the rules, each before those that refer to it.

        Args:
            matched: the correlations of which a rule selects the activity, with these rules.
            met: the names of the correlations that are fulfilled; whoever evaluates what is yielded adds them.
        """
        waiting = {self._places[each.name]: list(numbers) for each, numbers in matched}
        while waiting:
            at = min(waiting)
            each = self._declared[at]
            yield each, sorted(waiting.pop(at))
            if each.name in met:
                for place, number in self._referring.get(each.name, ()):
                    waiting.setdefault(place, []).append(number)
