"""Whom and what a user's message leaves out: "not to Eve", "everybody but Kim", "tutti tranne Kim", "no a Eve".

**Idea.** Who says where something must not go names a target as plainly as who says where it goes, so the name
alone would make it his. The words around it tell them apart. So what he leaves out is found here, and becomes a value
of its own, which a gate compares with the sinks of calls (`streams.provenance.extraction.extract.EXCLUDED_PATH`).

There are three ways to say it: an exception ("all but"), a contrast ("to Kim, not to Eve"), and an act that is not to
be done ("do not mail Eve"). A negation in what he tells ("Kim has not answered"), asks ("why don't you write to
Eve?"), or limits ("not before Friday", "not only Kim") leaves nothing out, nor does a double one ("to nobody but Kim").
In doubt nothing is left out: what the user has named is asked about only where a call plainly contradicts him.

It reads the six languages that requests are read in. It looks at the clause around a negation, and in the rest of the
message for what else is asked for, and for what is named again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from streams.provenance.acts.asked import asks_by_negation
from streams.provenance.acts.words_abroad import kinds_abroad
from streams.provenance.requests.clauses import STOPS, Span
from streams.provenance.requests.excluded_words import (
    AWAY,
    BEFORE,
    DENIES,
    EXCEPTIONS_OF_ALL,
    FILLERS,
    HAS_DONE,
    IS,
    LEAVES,
    LEAVING_OUT,
    LIMITING,
    MESSAGES,
    NEGATIONS,
    NEVER,
    NONE,
    NOT,
    OBLIGES,
    OBLIGES_ABROAD,
    RECIPIENTS,
    TELLS,
    THAT,
    WITHOUT,
)
from streams.provenance.requests.kinds import plain_request
from streams.provenance.requests.negations import Negations
from streams.provenance.words import STOP_WORDS

MESSAGE_CHARS_MAX = 20_000
"""How much of a message is read for it."""
EXCLUDED_MAX = 32
"""How many things a message leaves out at most."""
NEGATIONS_MAX = 256
"""How many words of a message are looked at that may leave something out."""
_NONE_REACH_WORDS = 4
_NOT_OF_NONE = STOPS | IS | TELLS | {",", "ne", "n'"}
"""Between a word for none and a recipient, they say that nobody is left out: "nothing is wrong with Eve"."""

_MAY_EXCLUDE = re.compile(
    r"n[o']t\b|\b(?:dont|no|never|nothing|but|without|than|instead|from|save for|in place)\b"
    r"|\b(?:except|exclud|omit|skip|avoid|leav)"
    r"|\b(?:abgesehen|nicht|nichts|nie|niemals|ausser|bis auf|ausgenommen|ausnahme|anstelle|ohne)|statt\b"
    r"|\b(?:ne|pas|jamais|sauf|excepte|hormis|sans|au lieu|plutot|a parte?)\b|\bn'"
    r"|\b(?:excepto|exceto|salvo|menos|sin|sem|nao|fora|nunca|aparte|excepcion|excecao|em vez|en vez|en lugar)\b"
    r"|\b(?:kein|lass|lasc|laiss|leav|keep|dej[ae]|deix[ae]|ningun|nenhum|nessun|aucun|niente|nada|rien|exclu|esclud)"
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
    spans = sorted(set(_Reader(text).spans()))[:EXCLUDED_MAX]
    return list(
        dict.fromkeys(text[first:last] for first, last in spans if not _is_named_later(text, spans, first, last))
    )


def _is_named_later(text: str, spans: Sequence[Span], first: int, last: int) -> bool:
    """Return whether what a span holds is named behind it, where it is not left out."""
    again = re.compile(rf"(?<!\w){re.escape(text[first:last])}(?!\w)", re.IGNORECASE)
    found = (match.start() for match in again.finditer(text, last))
    return any(not any(start <= place < end for start, end in spans) for place in found)


class _Reader(Negations):
    """Finds what one message leaves out."""

    def spans(self) -> Iterator[Span]:
        """Yield where something is that is left out."""
        for place in islice(filter(self._may_leave_out, range(len(self.words))), NEGATIONS_MAX):
            word = self.words[place]
            length = self.exception_at(place)
            if length:
                yield from self._excepted(place, length)
            elif word.plain in WITHOUT:
                yield from self._without(place)
            elif word.plain in DENIES:
                yield from self._negated(place)
            elif word.plain in NONE:
                yield from self.hidden_from(place)
                yield from self._none_to(place)
            elif word.plain in LEAVES and self.is_first(place):
                yield from self._left(place)
            elif word.plain == "avoid" and self.is_first(place) and self.is_form_of_act(place + 1):
                yield from self.not_done(place + 1)

    def _may_leave_out(self, place: int) -> bool:
        return self.words[place].plain in LEAVING_OUT

    def _none_to(self, place: int) -> Iterator[Span]:
        """Yield who gets none of something: "no mail to Eve", "auf keinen Fall an Eve"."""
        first, _ = self.clause(place)
        if place - first > 1 or self.is_in_question(place):
            return
        if self.plain(place) == "no" and self.plain(place + 1) not in MESSAGES:
            return
        for at in range(place + 1, place + 1 + _NONE_REACH_WORDS):
            if self.plain(at) in _NOT_OF_NONE or self.exception_at(at):
                return
            if self.plain(at) in RECIPIENTS and at + 1 < len(self.words) and self.words[at + 1].is_name:
                yield from self.run(at, is_loose=None)[0]
                return

    def _left(self, place: int) -> Iterator[Span]:
        """Yield who is to be left or kept out: "leave Eve out of it", "lass Eve weg", "deja fuera a Eve"."""
        is_before = self.plain(place + 1) in AWAY
        spans, end = self.run(place + 2 if is_before else place + 1, is_loose=None)
        end += self.plain(end) in BEFORE
        if is_before or self.plain(end) in AWAY:
            yield from spans

    def _excepted(self, place: int, length: int) -> Iterator[Span]:
        first, _ = self.clause(place)
        if self.plain(first) in THAT and self.plain(first - 1) == ",":
            first, _ = self.clause(first - 2)
        if not NEGATIONS.isdisjoint(self.plain_words[first:place]):
            return  # "To nobody but Kim", "ich will nicht, dass jemand ausser Kim es sieht"
        start = place + length
        if self.is_act(start, is_form=True):
            yield from self.not_done(start)
            return
        spans, end = self.run(start, is_loose=self.plain(place) not in EXCEPTIONS_OF_ALL)
        if self.plain(place) == "but" and not self._ends_run(end):
            return  # "Send it to everyone but Kim needs a copy first."
        if self._has_done(end):
            return  # "Everyone except Kim has answered. Write to her."
        yield from spans

    def _has_done(self, place: int) -> bool:
        word = self.plain(place)
        return word in HAS_DONE or (word.endswith("ed") and word != "need")

    def _ends_run(self, place: int) -> bool:
        word = self.plain(place)
        return word in STOPS or word == "," or (word in STOP_WORDS and word not in IS) or word in BEFORE

    def _without(self, place: int) -> Iterator[Span]:
        """Yield who is left out of something, or of whom an act must not be heard: "without telling Eve"."""
        first, _ = self.clause(place)
        if not NEGATIONS.isdisjoint(self.plain_words[first:place]):
            return  # "I don't want to start without Eve"
        if self.is_form_of_act(place + 1):
            yield from self.not_done(place + 1)
        else:
            yield from self.run(place + 1, is_loose=None)[0]

    def _negated(self, place: int) -> Iterator[Span]:
        words = self.clause_words(place)
        # "Don't forget Eve", "why don't you write to Eve?", "not only Kim"
        if asks_by_negation(self.plain_words, place) or self.is_told(place):
            return
        word = self.plain(place)
        if word == "doesn't" or (word == "not" and (self.plain(place + 1), self.plain(place + 2)) == ("to", "be")):
            # "Make sure that Eve doesn't get it", "Eve is not to be told"
            if word == "not" or not {"sure", "ensure", "need"}.isdisjoint(words):
                yield from self.targets(self.clause(place)[0], place, only_names=True)
            return
        if word in {"ne", "n'"}:
            yield from self.not_done_in_french(place)
            return
        if self.wants_not(place):
            yield from self.not_wanted(place)
            return
        if not OBLIGES_ABROAD.isdisjoint(words) or self.plain(place - 1) in OBLIGES or word in {"mustn't", "shouldn't"}:
            yield from self.hidden_from(place)
        if word in {"nicht", "nie", "niemals", "keinesfalls"}:
            yield from self.not_done_in_german(place)
        following = place + 1
        while self.plain(following) in FILLERS or self.plain(following) == "under":
            # "Do not under any circumstances"
            following += 3 if self.plain(following) == "under" else 1
        if self.plain(following) not in LIMITING:
            yield from self._negated_before(place, following)

    def _negated_before(self, place: int, following: int) -> Iterator[Span]:
        """Yield what a negation leaves out by the act or the target that it stands right beside."""
        word = self.plain(place)
        if word in {"pas", "jamais"} and self.is_act(place - 1) and self.is_first(place - 1):
            yield from self.not_done(place - 1, start=following)
            return
        if word not in {"pas", "nicht"}:
            verb = self.verb_behind(following)
            if verb is not None and self.is_order(place):
                yield from self.not_done(verb)
                return
        if word == "no":
            yield from self._none_to(place)
        if word == "pas" and self.plain(following) in {"de", "d'"}:
            yield from self._none_to(place)
        elif word in NOT or (word in NEVER and self.plain(following) in RECIPIENTS):
            yield from self._contrasted(place, following)

    def _contrasted(self, place: int, following: int) -> Iterator[Span]:
        """Yield what a negation stands right before: "to Kim, not to Eve"."""
        word, words = self.plain(place), self.clause_words(place)
        first, _ = self.clause(place)
        before = self.words[first:place]
        is_alone = bool(before) and self.plain(following) in STOPS and not kinds_abroad(before[0].plain)
        if is_alone and all(each.is_name for each in before):
            yield self._span(first, place)  # "Eve nicht!"
            return
        if word == "not" and self.plain(place - 1) in IS | OBLIGES:
            return
        if word == "nicht" and not (TELLS.isdisjoint(words) and (place - first < 2 or not self.is_in_question(place))):
            return
        if word == "pas" and not {"ne", "n'"}.isdisjoint(words):
            return
        is_placed = self.plain(following) in BEFORE
        if word in {"no", "non", "nao"} and self.plain(following) not in RECIPIENTS | {"de", "en", "di", "da"}:
            return
        # Behind "not to", a word without a capital can be a verb.
        is_loose = is_placed and (self.plain(following) != "to" or self.plain(following + 1) in BEFORE)
        yield from self.run(following, is_loose=is_loose or None)[0]
