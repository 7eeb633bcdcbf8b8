"""Whom and what a user's message leaves out: "not to Eve", "everybody but Kim", "alle außer Kim", "no escribas a Eve".

**Idea.** Who says where something must not go names a target as plainly as who says where it goes, so the name
alone would make it his. The words around it tell them apart. So what he leaves out is found here, and becomes a value
of its own, which a gate compares with the sinks of calls (`streams.provenance.extract.EXCLUDED_PATH`).

There are three ways to say it: an exception ("all but"), a contrast ("to Kim, not to Eve"), and an act that is not to
be done ("do not mail Eve"). A negation in what he tells ("Kim has not answered"), asks ("why don't you write to
Eve?"), or limits ("not before Friday", "not only Kim") leaves nothing out, nor does a double one ("to nobody but Kim").
In doubt nothing is left out: what the user has named is asked about only where a call plainly contradicts him.

It reads the six languages that requests are read in. All of it looks at a few words around the negation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from streams.provenance.act_words import FORMS, REQUEST_KINDS, TOOL_VERBS
from streams.provenance.act_words_abroad import SEPARABLE, kinds_abroad
from streams.provenance.acts import asked_kinds, plain_request
from streams.provenance.clauses import CLAUSE_WORDS_MAX, STOPS, Clauses, Span
from streams.provenance.excluded_words import (
    ALL,
    ALSO_ACTS,
    BEFORE,
    CLITICS,
    CONDITIONS,
    CONTRASTS,
    DONT,
    EMPTY,
    EXCEPTIONS,
    EXCEPTIONS_OF_ALL,
    FILLERS,
    FIRST,
    GIVING,
    GIVING_TO,
    IS,
    LEARNS,
    LIMITING,
    NEGATIONS,
    NEVER,
    NO_ACT,
    NOT,
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
    WHY,
    WITHOUT,
)
from streams.provenance.words import STOP_WORDS

MESSAGE_CHARS_MAX = 20_000
"""How much of a message is read for it."""
EXCLUDED_MAX = 32
"""How many things a message leaves out at most."""
_ALL_REACH_WORDS = 4
_RESUMED_REACH_WORDS = 6

_MAY_EXCLUDE = re.compile(
    r"n[o']t\b|\b(?:dont|no|never|but|without|than|instead|from)\b|\b(?:except|exclud|omit|skip|avoid|leav)"
    r"|\b(?:nicht|nichts|nie|niemals|ausser|bis auf|ausgenommen|ausnahme|anstelle|ohne)|statt\b"
    r"|\b(?:ne|pas|jamais|sauf|excepte|hormis|sans|au lieu|plutot|a part)\b|\bn'"
    r"|\b(?:excepto|exceto|salvo|menos|sin|sem|nao|fora|nunca|aparte|excepcion|excecao|em vez|en vez|en lugar)\b"
    r"|\b(?:non|tranne|eccetto|fuorche|escluso|esclusa|senza|eccezione|invece|posto|meno|mai)\b"
)
"""One of them is in every message that leaves something out."""


def excluded_in(text: str) -> list[str]:
    """Return what a user's message leaves out, as it is written, each once, in the order of the message.

    What he names again after that, outside of what he leaves out, is not among it.

    Args:
        text: the message.
    """
    text = text[:MESSAGE_CHARS_MAX].replace("\u2019", "'")
    if _MAY_EXCLUDE.search(plain_request(text)) is None:
        return []
    spans = sorted(dict.fromkeys(_Reader(text).spans()))[:EXCLUDED_MAX]
    return list(
        dict.fromkeys(text[first:last] for first, last in spans if not _is_named_later(text, spans, first, last))
    )


def _is_named_later(text: str, spans: Sequence[Span], first: int, last: int) -> bool:
    """Return whether what a span holds is named behind it, where it is not left out."""
    again = re.compile(rf"(?<!\w){re.escape(text[first:last])}(?!\w)", re.IGNORECASE)
    found = (match.start() for match in again.finditer(text, last))
    return any(not any(start <= place < end for start, end in spans) for place in found)


class _Reader(Clauses):
    """Finds what one message leaves out."""

    def spans(self) -> Iterator[Span]:
        """Yield where something is that is left out."""
        for place, word in enumerate(self.words):
            if word.plain in STOPS:
                continue
            length = self._exception_at(place)
            if length:
                yield from self._excepted(place, length)
            elif word.plain in WITHOUT:
                yield from self._without(place)
            elif word.plain in NOT or word.plain in NEVER or word.plain in DONT or word.plain in {"ne", "n'"}:
                yield from self._negated(place)
            elif word.plain == "nichts":
                yield from self._hidden_from(place)
            elif word.plain == "avoid" and self._is_first(place):
                yield from self._not_done(place + 1, is_form=True)

    def _exception_at(self, place: int) -> int:
        """Return how many words say that what follows is left out; 0 if none do."""
        words = [self.plain(place + number) for number in range(4)]
        for phrase in EXCEPTIONS:
            if tuple(words[: len(phrase)]) == phrase:
                # "A part of it" is English.
                return 0 if self.plain(place + len(phrase)) == "of" else len(phrase)
        if words[0] in EXCEPTIONS_OF_ALL:
            before = self.words[max(0, place - _ALL_REACH_WORDS) : place]
            reach = list(takewhile(lambda word: word.plain not in STOPS and word.plain != ",", reversed(before)))
            return 1 if any(word.plain in ALL for word in reach) else 0
        return 0

    def _excepted(self, place: int, length: int) -> Iterator[Span]:
        first, _ = self.clause(place)
        if not NEGATIONS.isdisjoint(word.plain for word in self.words[first:place]):
            return  # "To nobody but Kim"
        start = place + length
        if self._is_act(start, is_form=True):
            yield from self._not_done(start, is_form=True)
            return
        spans, end = self.run(start, is_loose=self.plain(place) not in EXCEPTIONS_OF_ALL)
        if self.plain(place) == "but" and not self._ends_run(end):
            return  # "Send it to everyone but Kim needs a copy first."
        yield from spans

    def _ends_run(self, place: int) -> bool:
        word = self.plain(place)
        return word in STOPS or word == "," or (word in STOP_WORDS and word not in IS) or word in BEFORE

    def _without(self, place: int) -> Iterator[Span]:
        """Yield who is left out of something, or of whom an act must not be heard: "without telling Eve"."""
        first, _ = self.clause(place)
        if not NEGATIONS.isdisjoint(word.plain for word in self.words[first:place]):
            return  # "I don't want to start without Eve"
        if self._is_act(place + 1, is_form=True) or kinds_abroad(self.plain(place + 1)):
            yield from self._not_done(place + 1, is_form=True)
        else:
            yield from self.run(place + 1, is_loose=None)[0]

    def _negated(self, place: int) -> Iterator[Span]:
        words = self.clause_words(place)
        if not WHY.isdisjoint(words[:2]) or self._is_told(place):
            return
        word = self.plain(place)
        if word in {"ne", "n'"}:
            yield from self._not_done_in_french(place)
            return
        if self._wants_not(place):
            yield from self._not_wanted(place)
            return
        if not OBLIGES_ABROAD.isdisjoint(words) or self.plain(place - 1) in OBLIGES or word in {"mustn't", "shouldn't"}:
            yield from self._hidden_from(place)
        if word in {"nicht", "nie", "niemals", "keinesfalls"}:
            yield from self._not_done_in_german(place)
        following = place + 1
        while self.plain(following) in FILLERS:
            following += 1
        if self.plain(following) not in LIMITING:
            yield from self._negated_before(place, following)

    def _negated_before(self, place: int, following: int) -> Iterator[Span]:
        """Yield what a negation leaves out that stands before it."""
        word = self.plain(place)
        if word in {"pas", "jamais"} and self._is_act(place - 1) and self._is_first(place - 1):
            yield from self._not_done(place - 1, start=following)
            return
        if word not in {"pas", "nicht"}:
            verb = self._verb_behind(following)
            if verb is not None and self._is_order(place):
                yield from self._not_done(verb)
                return
        if word in NOT:
            yield from self._contrasted(place, following)

    def _is_told(self, place: int) -> bool:
        """Return whether a negation is in what somebody else is told: "tell Eve that she must not pay Kim"."""
        is_quoted = False
        for at in range(place - 1, max(-1, place - CLAUSE_WORDS_MAX), -1):
            word = self.plain(at)
            if word in CONTRASTS or word in THEN or (word in STOPS and word != ":"):
                return False
            if word == "," and self.plain(at + 1) not in THAT:
                return False
            is_quoted = is_quoted or word == ":" or word in THAT or word == "that"
            if word in TELLS_OTHERS or (is_quoted and GIVING & self._kinds_of(at)):
                return True
        return False

    def _contrasted(self, place: int, following: int) -> Iterator[Span]:
        """Yield what a negation stands right before: "to Kim, not to Eve"."""
        word, words = self.plain(place), self.clause_words(place)
        first, _ = self.clause(place)
        if word == "not" and self.plain(place - 1) in IS | OBLIGES:
            return
        if word == "nicht" and not (TELLS.isdisjoint(words) and (place - first < 2 or not self.is_in_question(place))):
            return
        if word == "pas" and not {"ne", "n'"}.isdisjoint(words):
            return
        is_placed = self.plain(following) in BEFORE
        if word in {"no", "non", "nao"} and self.plain(following) not in RECIPIENTS | {"al", "de", "en", "di", "da"}:
            return
        # Behind "not to", a word without a capital can be a verb.
        is_loose = is_placed and (self.plain(following) != "to" or self.plain(following + 1) in BEFORE)
        yield from self.run(following, is_loose=True if is_loose else None)[0]

    def _is_act(self, place: int, *, is_form: bool = False) -> bool:
        word = self.plain(place)
        if word in NO_ACT or FORMS.get(word) in NO_ACT:
            return False
        if is_form and word.endswith("ing"):
            return FORMS.get(word, word) in REQUEST_KINDS or FORMS.get(word) in ALSO_ACTS
        plain = word.removesuffix("s")
        return word in REQUEST_KINDS or word in ALSO_ACTS or bool(kinds_abroad(word) or kinds_abroad(plain))

    def _verb_behind(self, place: int) -> int | None:
        """Return the place of the verb that a negation denies, behind pronouns; None if none is there."""
        if self.plain(place) == "to" and self._is_act(place + 1):
            return place + 1
        while self.plain(place) in CLITICS and not self._is_act(place):
            place += 1
        return place if self._is_act(place) else None

    def _is_first(self, place: int) -> bool:
        before = self.plain(place - 1)
        return before in STOPS or before == "," or before in FIRST

    def _is_order(self, place: int) -> bool:
        """Return whether a negation belongs to an order: "do not", "you must not", "make sure you don't"."""
        first = place - 1 if self.plain(place - 1) == "do" else place
        before = self.plain(first - 1)
        if before in OBLIGES or before in {"need", "sure", "careful", "remember", "prefer", "rather", "better"}:
            return True
        if before in {"try", "please"}:
            return True
        if before == "you":
            return self.plain(first - 2) in {"sure", "that", "please"} or self._is_first(first - 1)
        return self._is_first(first) and not self._is_abroad_question(place)

    def _is_abroad_question(self, place: int) -> bool:
        return self.plain(place) in {"no", "nao", "non"} and self.is_in_question(place)

    def _not_done(self, verb: int, *, start: int | None = None, is_form: bool = False) -> Iterator[Span]:
        """Yield the targets of an act that is not to be done."""
        if is_form and not (self._is_act(verb, is_form=True) or kinds_abroad(self.plain(verb))):
            return
        start = verb + 1 if start is None else start
        end = self._end_of_object(start)
        if self._is_put_off(start, end) or self._is_resumed(verb, end) or self._does_otherwise(verb, end):
            return
        yield from self.targets(start, end)

    def _end_of_object(self, place: int) -> int:
        last = place + CLAUSE_WORDS_MAX
        while self.plain(place) not in STOPS and self.plain(place) not in CONTRASTS and place < last:
            if self._exception_at(place):
                break
            if self.plain(place) == "," and not (
                place + 1 < len(self.words) and self.words[place + 1].is_name and self.is_bare(place + 1)
            ):
                break
            if self.plain(place) in THEN and self._is_act(place + 1) and not self.words[place + 1].is_name:
                break
            place += 1
        return place

    def _is_put_off(self, start: int, end: int) -> bool:
        following = end + 1 if self.plain(end) == "," else end
        words = [word.plain for word in self.words[start:end]]
        return not CONDITIONS.isdisjoint((*words, self.plain(following)))

    def _is_resumed(self, verb: int, end: int) -> bool:
        """Return whether the next clause does something else with the same: "don't cancel it, move it"."""
        place = end
        while self.plain(place) in STOPS - {"\n"} or self.plain(place) == "," or self.plain(place) in CONTRASTS:
            place += 1
        _, last = self.clause(place)
        words = [word.plain for word in self.words[place : min(last, place + _RESUMED_REACH_WORDS)]]
        for number, word in enumerate(words):
            if RESUMES_AT_END.fullmatch(word) and kinds_abroad(word):
                return True
            if word in RESUMES and not (word in {"it", "es", "that"} and self._gives(verb)):
                before = words[number - 1] if number else ""
                behind = words[number + 1] if number + 1 < len(words) else ""
                if word == "her" and behind not in EMPTY | {""}:
                    continue  # "Summarise her mail"
                if any(each in REQUEST_KINDS or each in ALSO_ACTS or kinds_abroad(each) for each in (before, behind)):
                    return True
        return False

    def _gives(self, verb: int) -> bool:
        word = self.plain(verb)
        return word in GIVING_TO or not GIVING.isdisjoint(self._kinds_of(verb))

    def _kinds_of(self, verb: int) -> frozenset[str]:
        word = self.plain(verb)
        stem = FORMS.get(word, word)
        if stem in TOOL_VERBS:
            return frozenset((TOOL_VERBS[stem],))
        kinds = kinds_abroad(word) or kinds_abroad(word.removesuffix("s")) or REQUEST_KINDS.get(stem, frozenset())
        return kinds - {"change"} or kinds

    def _does_otherwise(self, verb: int, end: int) -> bool:
        """Return whether the rest of the message asks for other acts only, which may be about the same thing: "don't
        cancel QX-7001 but change its date"."""
        if self._gives(verb):
            return False
        first, _ = self.clause(verb)
        last = self.words[end - 1].end
        rest = f"{self.text[: self.words[first].start]}\n{self.text[last:]}".lower()
        asked = asked_kinds(rest, by_user=True)
        return bool(asked) and asked.isdisjoint(self._kinds_of(verb))

    def _not_done_in_french(self, place: int) -> Iterator[Span]:
        words = self.words
        following = place + 1
        if self.plain(following) in {"pas", "jamais", "plus"}:
            following += 1
            while self.plain(following) in CLITICS and not self._is_act(following):
                following += 1
            if self._is_act(following) and (self._is_first(place) or self.plain(place - 1) in {"de", "d'"}):
                yield from self._not_done(following)
            return
        while self.plain(following) in CLITICS and not self._is_act(following):
            following += 1
        negation = next(
            (at for at in (following + 1, following + 2) if self.plain(at) in {"pas", "jamais", "plus", "rien"}), None
        )
        if negation is None or negation >= len(words) or self.plain(negation + 1) in LIMITING:
            return
        if self.plain(following) in OBLIGES_ABROAD:
            verb = negation + 1
            while self.plain(verb) in CLITICS and not self._is_act(verb):
                verb += 1
            if self._is_act(verb):
                yield from self._not_done(verb)
        elif self._is_act(following) and self._is_first(place) and not self.is_in_question(place):
            yield from self._not_done(following, start=negation + 1)

    def _not_done_in_german(self, place: int) -> Iterator[Span]:
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
            if not (
                self._is_put_off(start, last) or self._is_resumed(start, last) or self._does_otherwise(start, last)
            ):
                yield from self.targets(start + 1, place, only_names=True)
                yield from self.targets(place + 1, self._end_of_object(place + 1))
            return
        following = place + 2 if self.plain(place + 1) == "mehr" else place + 1
        act = next((at for at in range(following, last) if kinds_abroad(self.plain(at))), None)
        if act is not None and not (self._is_put_off(start, last) or self._is_resumed(act, last)):
            yield from self.targets(start, act, only_names=True)
            yield from self.targets(act + 1, last)

    def _wants_not(self, place: int) -> bool:
        if self.plain(place) in DONT or self.plain(place) == "not":
            return self.plain(place + 1) in {"want", "wish"}
        nearby = {self.plain(place - 1), self.plain(place - 2), self.plain(place + 1)}
        return not nearby.isdisjoint(WANTS - {"want", "wish", "like"}) and not THAT.isdisjoint(
            (self.plain(place + 1), self.plain(place + 2), self.plain(place + 3))
        )

    def _not_wanted(self, place: int) -> Iterator[Span]:
        """Yield who is not to get something: "I don't want Eve to see it", "no quiero que Eve lo reciba"."""
        if self.plain(place) in DONT or self.plain(place) == "not":
            start = place + 2
            _, last = self.clause(start)
            plain = [word.plain for word in self.words[start:last]]
            if "to" not in plain:
                return
            verb = start + plain.index("to") + 1
            if self.plain(verb) not in LEARNS and not self._is_act(verb):
                return
            if (
                not self._is_put_off(start, last)
                and not self._is_resumed(verb, last)
                and not self._does_otherwise(verb, last)
            ):
                yield from self.targets(start, last, only_names=True)
            return
        that = next(at for at in (place + 1, place + 2, place + 3) if self.plain(at) in THAT)
        _, last = self.clause(that)
        yield from self.targets(that + 1, last, only_names=True)

    def _hidden_from(self, place: int) -> Iterator[Span]:
        """Yield who must not get or learn something, as the subject of the clause: "Eve must not hear of it"."""
        first, last = self.clause(place)
        words = self.clause_words(place)
        obliges = not OBLIGES.isdisjoint(words) or not OBLIGES_ABROAD.isdisjoint(words)
        if obliges and not LEARNS.isdisjoint(words) and not self.is_in_question(place):
            yield from self.targets(first, last, only_names=True)
