"""Takes from a recorded verdict whether a text holds a key, so that an explanation need not load the detectors of keys.

**Idea.** The detectors are hundreds of expressions, and loading them takes longer than all the rest of an explanation.
But they have run already: the gate has judged the same call by the same rules, and its verdict names every rule that
matched. So the rules are evaluated twice, as if the text held no key and as if it held one. If the verdict on the log
names the rules of one of the results, and not those of the other, then it says what the detectors have found.

Else nothing is taken from it, and the detectors run: where a call has no verdict of these rules, where several texts
were searched, where neither result or both are on the log. So an answer is never made up; it is the gate's.

**Rejected.** To look for beginnings of keys first: the generic detectors find what has no such beginning, so most calls
with a long text would load them anyway. To keep answers in a file: it would tell which texts hold keys. To compile the
detectors into a file of our own: the library has no interface for it, and another version of it finds other keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from streams.model.verdict import Verdict
from streams.policy.ext.held_secrets import ANSWER
from streams.policy.results import PolicyResult, Reason

_T = TypeVar("_T")
Names = tuple[tuple[str, ...], tuple[str, ...]]
"""The ids of the rules that matched, and of those in error."""

_BY_RULES = frozenset(reason.value for reason in Reason)


class RecordedAnswers:
    """Knows which texts hold keys, as far as verdicts tell.

    Args:
        verdicts: the verdicts of the session, from the log.
    """

    def __init__(self, verdicts: Iterable[Verdict]) -> None:
        self._recorded: dict[tuple[str, bytes | None], set[Names]] = defaultdict(set)
        for verdict in verdicts:
            # Other reasons are of checks before the rules, or after them: such a verdict names no rule, or not all.
            if verdict.reason in _BY_RULES:
                self._recorded[verdict.intent_id, verdict.ruleset_digest].add(_names_of(verdict))
        self._known: dict[str, bool] = {}

    def evaluate(self, intent_id: str, digest: bytes, evaluation: Callable[[], PolicyResult]) -> PolicyResult:
        """Return the result of an evaluation, and learn what its verdict tells about the text that it has searched.

        Args:
            intent_id: the intent that is judged.
            digest: the digest of the rules.
            evaluation: evaluates them, always with the same facts.
        """
        recorded = self._recorded.get((intent_id, digest))
        if not recorded:
            return self.within(evaluation)
        asked: set[str] = set()
        without = self._assuming(evaluation, asked, is_held=False)
        if not asked:
            return without
        with_key = self._assuming(evaluation, asked, is_held=True)
        is_held = _names_of(with_key) in recorded
        if len(asked) != 1 or is_held == (_names_of(without) in recorded):
            return self.within(evaluation)
        self._known[asked.pop()] = is_held
        return with_key if is_held else without

    def within(self, work: Callable[[], _T]) -> _T:
        """Do work in which `holdsSecret` has the answers that are known, and the detectors find the others."""
        return _answering(self._known.get, work)

    def _assuming(self, evaluation: Callable[[], PolicyResult], asked: set[str], *, is_held: bool) -> PolicyResult:
        """Evaluate as if each text that is not known did or did not hold a key, and note these texts in `asked`."""

        def answer(text: str) -> bool:
            known = self._known.get(text)
            if known is None:
                asked.add(text)
                return is_held
            return known

        return _answering(answer, evaluation)


def _answering(answer: Callable[[str], bool | None], work: Callable[[], _T]) -> _T:
    token = ANSWER.set(answer)
    try:
        return work()
    finally:
        ANSWER.reset(token)


def _names_of(result: PolicyResult | Verdict) -> Names:
    return tuple(hit.rule_id for hit in result.rules), tuple(fault.rule_id for fault in result.errors)
