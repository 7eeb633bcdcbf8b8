"""Acts that a message says are not to be done, and what they would be about: "do not mail Eve", "no escribas a Eve"."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from streams.provenance.acts.asked_kinds import asked_kinds
from streams.provenance.acts.words import FORMS, REQUEST_KINDS, TOOL_VERBS
from streams.provenance.acts.words_abroad import SEPARABLE, kinds_abroad
from streams.provenance.requests.clauses import CLAUSE_WORDS_MAX, STOPS, Clauses, Span
from streams.provenance.requests.excluded_words import (
    ALL,
    ALSO_ACTS,
    CLITICS,
    CONDITIONS,
    CONTRASTS,
    DONT,
    EMPTY,
    EXCEPTION_STARTS,
    EXCEPTIONS,
    EXCEPTIONS_OF_ALL,
    FIRST,
    GIVING,
    GIVING_TO,
    LEARNS,
    LIMITING,
    LIMITS,
    NO_ACT,
    OBLIGES,
    OBLIGES_ABROAD,
    RECIPIENTS,
    RESUMES,
    RESUMES_AT_END,
    TELLS,
    TELLS_OTHERS,
    THAT,
    THEN,
    WANTS,
)

_THING = frozenset(("it", "es", "that"))
_PERMITTED = frozenset(("allowed", "supposed", "permitted"))
_ORDERS = frozenset(("need", "sure", "careful", "remember", "prefer", "rather", "better", "try", "please"))
"""Words before a negation that make an order of it: "be careful not to", "I'd rather not"."""
_ALL_REACH_WORDS = 4
_WRITING = GIVING | {"create"}
"""Kinds of acts by which a text gets somewhere: "create a ticket: do not mail Eve"."""
_RESUMED_REACH_WORDS = 6
_REST_CHARS_MAX = 1_000
"""How much of a message is read on either side of an act that is not to be done for what else it asks for."""


class Negations(Clauses):
    """A message in which acts may be denied."""

    def exception_at(self, place: int) -> int:
        """Return how many words say that what follows is left out; 0 if none do."""
        word = self.plain(place)
        for phrase in EXCEPTIONS if word in EXCEPTION_STARTS else ():
            if tuple(self.plain_words[place : place + len(phrase)]) == phrase:
                # "A part of it" is English.
                return 0 if self.plain(place + len(phrase)) == "of" else len(phrase)
        if word in EXCEPTIONS_OF_ALL:
            # "A todos, menos a Kim"; but "to all, but Kim has one" goes on with something else.
            last = place - 1 if word != "but" and self.plain(place - 1) == "," else place
            before = self.plain_words[max(0, last - _ALL_REACH_WORDS) : last]
            reach = takewhile(lambda word: word not in STOPS and word != ",", reversed(before))
            return 0 if ALL.isdisjoint(reach) else 1
        return 0

    def is_told(self, place: int) -> bool:
        """Return whether a negation is in what somebody else is told: "tell Eve that she must not pay Kim"."""
        is_quoted = False
        for at in range(place - 1, max(-1, place - CLAUSE_WORDS_MAX), -1):
            word = self.plain(at)
            if word in CONTRASTS or word in THEN or (word in STOPS and word != ":"):
                return False
            if word == "," and self.plain(at + 1) not in THAT:
                return False
            is_quoted = is_quoted or word == ":" or word in THAT or word == "that"
            if word in TELLS_OTHERS or (is_quoted and _WRITING & self.kinds_of(at)):
                return True
        return False

    def is_act(self, place: int, *, is_form: bool = False) -> bool:
        """Return whether a word asks for an act; with `is_form`, also the form behind "without" and the like."""
        word = self.plain(place)
        if word in NO_ACT or FORMS.get(word) in NO_ACT:
            return False
        if is_form and word.endswith("ing"):
            return not {word, FORMS.get(word, word)}.isdisjoint(REQUEST_KINDS.keys() | ALSO_ACTS)
        plain = word.removesuffix("s")
        return word in REQUEST_KINDS or word in ALSO_ACTS or bool(kinds_abroad(word) or kinds_abroad(plain))

    def is_form_of_act(self, place: int) -> bool:
        """Return whether a word behind "without" or "avoid" is an act, in any of the languages."""
        return self.is_act(place, is_form=True) or bool(kinds_abroad(self.plain(place)))

    def verb_behind(self, place: int) -> int | None:
        """Return the place of the verb that a negation denies, behind pronouns; None if none is there."""
        if self.plain(place) in _PERMITTED:
            place += 1
        if self.plain(place) == "to" and self.is_act(place + 1):
            return place + 1
        place = self.behind_pronouns(place)
        return place if self.is_act(place) else None

    def behind_pronouns(self, place: int) -> int:
        """Return the first place from this one on where no pronoun is that stands before its verb: "le lui"."""
        while self.plain(place) in CLITICS and not self.is_act(place):
            place += 1
        return place

    def is_first(self, place: int) -> bool:
        """Return whether an order can begin with a word: nothing but "and", "please" or the like stands before it."""
        before = self.plain(place - 1)
        return before in STOPS or before == "," or before in FIRST

    def is_order(self, place: int) -> bool:
        """Return whether a negation belongs to an order: "do not", "you must not", "make sure you don't"."""
        first = place - 1 if self.plain(place - 1) == "do" else place
        before = self.plain(first - 1)
        if before in OBLIGES or before in _ORDERS or self.plain(place + 1) in _PERMITTED:
            return True
        if before == "you":
            return self.plain(first - 2) in {"sure", "that", "please"} or self.is_first(first - 1)
        return self.is_first(first) and not self.is_abroad_question(place)

    def is_abroad_question(self, place: int) -> bool:
        """Return whether a "no" of another language stands in a question."""
        return self.plain(place) in {"no", "nao", "non"} and self.is_in_question(place)

    def not_done(self, verb: int, *, start: int | None = None) -> Iterator[Span]:
        """Yield the targets of an act that is not to be done."""
        start = verb + 1 if start is None else start
        end = self.end_of_object(start)
        if self.is_still_wanted(verb, start, end):
            return
        targets = self.targets(start, end)
        following = end + 1 if self.plain(end) == "," else end
        if not self.gives(verb) and self.is_act(following) and self.kinds_of(following) == self.kinds_of(verb):
            # "Don't book the Hilton for Kim, book the Plaza": for whom it is does not change.
            targets = islice(targets, 1)
        yield from targets

    def end_of_object(self, place: int) -> int:
        """Return the place behind what a denied act is about."""
        last = place + CLAUSE_WORDS_MAX
        while self.plain(place) not in STOPS and self.plain(place) not in CONTRASTS and place < last:
            if self.exception_at(place):
                break
            if self.plain(place) == "," and not (
                place + 1 < len(self.words) and self.words[place + 1].is_name and self.is_bare(place + 1)
            ):
                break
            if self.plain(place) in THEN and self.is_act(place + 1) and not self.words[place + 1].is_name:
                break
            place += 1
        return place

    def is_still_wanted(self, verb: int, start: int, end: int) -> bool:
        """Return whether the denial of an act leaves out nobody whom its object names."""
        return self.is_put_off(start, end) or self.is_resumed(verb, end) or self.does_otherwise(verb, end)

    def is_put_off(self, start: int, end: int) -> bool:
        """Return whether an act is only put off, or wanted in another manner: "not before Friday"."""
        following = end + 1 if self.plain(end) == "," else end
        # "Más" is "but", too, so what is limited by it may begin where the object ends.
        if self.is_limited(start, end + 2):
            return True
        return not CONDITIONS.isdisjoint((*self.plain_words[start:end], self.plain(following)))

    def is_limited(self, start: int, end: int) -> bool:
        """Return whether words say how much is not wanted, or who else: "not more than 300", "nobody else than"."""
        return LIMITS.search(" ".join(self.plain_words[start:end])) is not None

    def is_resumed(self, verb: int, end: int) -> bool:
        """Return whether the next clause does something else with the same: "don't cancel it, move it"."""
        place = end
        while self.plain(place) in STOPS - {"\n"} or self.plain(place) == "," or self.plain(place) in CONTRASTS:
            place += 1
        _, last = self.clause(place)
        words = self.plain_words[place : min(last, place + _RESUMED_REACH_WORDS)]
        for number, word in enumerate(words):
            if RESUMES_AT_END.fullmatch(word) and kinds_abroad(word):
                return True
            if word in RESUMES and not (word in _THING and self.gives(verb) and not self.is_same(verb, place, last)):
                before = words[number - 1] if number else ""
                behind = words[number + 1] if number + 1 < len(words) else ""
                if word == "her" and behind not in EMPTY | CONTRASTS | {""}:
                    continue  # "Summarise her mail"
                if any(each in REQUEST_KINDS or each in ALSO_ACTS or kinds_abroad(each) for each in (before, behind)):
                    return True
        return False

    def is_same(self, verb: int, start: int, end: int) -> bool:
        """Return whether a clause asks for the denied act again and names nobody else: "share it as viewer"."""
        words = range(start, end)
        return self.kinds_of(verb) == self.kinds_of(start) and not any(
            self.plain(place) in RECIPIENTS or (place > start and self.words[place].is_name) for place in words
        )

    def gives(self, verb: int) -> bool:
        """Return whether a verb gives something to somebody, or tells him."""
        word = self.plain(verb)
        return word in GIVING_TO or not GIVING.isdisjoint(self.kinds_of(verb))

    def kinds_of(self, verb: int) -> frozenset[str]:
        """Return the kinds of act that a verb stands for."""
        word = self.plain(verb)
        stem = FORMS.get(word, word)
        if stem in TOOL_VERBS:
            return frozenset((TOOL_VERBS[stem],))
        kinds = kinds_abroad(word) or kinds_abroad(word.removesuffix("s")) or REQUEST_KINDS.get(stem, frozenset())
        return kinds - {"change"} or kinds

    def does_otherwise(self, verb: int, end: int) -> bool:
        """Return whether the rest of the message asks for other acts only, which may be about the same thing: "don't
        cancel QX-7001 but change its date"."""
        if self.gives(verb):
            return False
        first, _ = self.clause(verb)
        last = self.words[end - 1].end
        start = self.words[first].start
        before, behind = self.text[max(0, start - _REST_CHARS_MAX) : start], self.text[last : last + _REST_CHARS_MAX]
        rest = f"{before}\n{behind}".lower()
        asked = asked_kinds(rest, by_user=True)
        return bool(asked) and asked.isdisjoint(self.kinds_of(verb))

    def not_done_in_french(self, place: int) -> Iterator[Span]:
        """Yield the objects of an act between "ne" and "pas", or behind "ne pas"."""
        following = place + 1
        if self.plain(following) in {"pas", "jamais", "plus"}:
            following = self.behind_pronouns(following + 1)
            if self.is_act(following) and (self.is_first(place) or self.plain(place - 1) in {"de", "d'"}):
                yield from self.not_done(following)
            return
        following = self.behind_pronouns(following)
        negation = next(
            (at for at in (following + 1, following + 2) if self.plain(at) in {"pas", "jamais", "plus", "rien"}), None
        )
        if negation is None or self.plain(negation + 1) in LIMITING:
            return
        if self.plain(following) in OBLIGES_ABROAD:
            verb = self.behind_pronouns(negation + 1)
            if self.is_act(verb):
                yield from self.not_done(verb)
        elif self.is_act(following) and self.is_first(place) and not self.is_in_question(place):
            yield from self.not_done(following, start=negation + 1)

    def not_done_in_german(self, place: int) -> Iterator[Span]:
        """Yield the objects of an order whose negation is behind them: "schreib Eve nicht", "Eve nicht schreiben"."""
        first, last = self.clause(place)
        words = self.clause_words(place)
        if self.is_in_question(place) or not TELLS.isdisjoint(words) or self.plain(place + 1) in LIMITING - {"mehr"}:
            return
        start = first
        while self.plain(start) in FIRST:
            start += 1
        verb = self.plain(start)
        if start < place and (kinds_abroad(verb) or verb in SEPARABLE or verb in ALSO_ACTS):
            if not self.is_still_wanted(start, start, last):
                yield from self.targets(start + 1, place, only_names=True)
                yield from self.targets(place + 1, self.end_of_object(place + 1))
            return
        following = place + 2 if self.plain(place + 1) == "mehr" else place + 1
        act = next((at for at in range(following, last) if kinds_abroad(self.plain(at))), None)
        if act is not None and not (self.is_put_off(start, last) or self.is_resumed(act, last)):
            yield from self.targets(start, act, only_names=True)
            yield from self.targets(act + 1, last)

    def wants_not(self, place: int) -> bool:
        """Return whether a negation says what is not wanted: "I don't want Eve to see it"."""
        if self.plain(place) in DONT or self.plain(place) == "not":
            return self.plain(place + 1) in {"want", "wish"}
        nearby = {self.plain(place - 1), self.plain(place - 2), self.plain(place + 1)}
        return not nearby.isdisjoint(WANTS) and not THAT.isdisjoint(
            (self.plain(place + 1), self.plain(place + 2), self.plain(place + 3))
        )

    def not_wanted(self, place: int) -> Iterator[Span]:
        """Yield who is not to get something: "I don't want Eve to see it", "no quiero que Eve lo reciba"."""
        if self.plain(place) in DONT or self.plain(place) == "not":
            start = place + 2
            _, last = self.clause(start)
            plain = self.plain_words[start:last]
            if "to" not in plain or self.excepts(start, last):
                return
            verb = start + plain.index("to") + 1
            if self.plain(verb) not in LEARNS and not self.is_act(verb):
                return
            if not self.is_still_wanted(verb, start, last):
                yield from self.targets(start, last, only_names=True)
            return
        that = next(at for at in (place + 1, place + 2, place + 3) if self.plain(at) in THAT)
        _, last = self.clause(that)
        if not self.excepts(that + 1, last):
            yield from self.targets(that + 1, last, only_names=True)

    def excepts(self, start: int, end: int) -> bool:
        """Return whether a negation does not hold for somebody: "anybody but Eve", "nadie más que Eve"."""
        return self.is_limited(start, end) or any(self.exception_at(place) for place in range(start, end))

    def hidden_from(self, place: int) -> Iterator[Span]:
        """Yield who must not get or learn something, as the subject of the clause: "Eve must not hear of it"."""
        first, last = self.clause(place)
        words = self.clause_words(place)
        obliges = not OBLIGES.isdisjoint(words) or not OBLIGES_ABROAD.isdisjoint(words)
        if obliges and not LEARNS.isdisjoint(words) and not self.is_in_question(place):
            subjects = list(self.targets(first, place, only_names=True))
            yield from subjects or self.targets(place, last, only_names=True)
