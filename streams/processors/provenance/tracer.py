"""Trace a value of a call: find out whether the user, trusted data, a record or text by others has named it.

A value is looked up as a whole first (`streams.provenance.sources.origins`). The tracer adds what follows from the
user's words: what a scope names is his, and so is what consists of what he has named; an amount that he has had worked
out is worth what it was worked out of. Of a value in a sink that nothing shows, it looks for the halves and the host as
well, and for other hosts that look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from streams.model.catalog import ArgumentRole
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.tools import Place
from streams.provenance.acts.calls import INCLUDE, UNKNOWN
from streams.provenance.acts.kinds import USUAL
from streams.provenance.acts.words import FORMS, TOOL_VERBS
from streams.provenance.atoms.arithmetic import operands
from streams.provenance.atoms.days_in_words import words_for_day
from streams.provenance.atoms.days_meant import NAMED, SAID, days_apart, forms_of
from streams.provenance.atoms.found import AtomKind, Found, kind_of_words
from streams.provenance.atoms.numbers import ORDERED, WORKED_OUT
from streams.provenance.atoms.phones import dialled_at_home
from streams.provenance.atoms.relative_days import BY
from streams.provenance.extraction.arguments import Argument, extract_unusual, usual_reading
from streams.provenance.extraction.postal import assembled
from streams.provenance.pointers import place_at
from streams.provenance.requests.kinds_said import WORDS_FOR
from streams.provenance.requests.scope import DERIVED, ScopedArgument
from streams.provenance.sources.lookalikes import Comparison
from streams.provenance.sources.memory import ATOMS_MAX, Seen
from streams.provenance.sources.origins import (
    NOWHERE,
    Look,
    Traced,
    built_on,
    day_ordered,
    is_composed,
    is_day_said,
    is_hour_said,
    joined,
    may_be_ordered,
    seen_in,
    trace,
)
from streams.provenance.words import text_value

replace = msgspec.structs.replace
UNDONE_MAX = 128
"""Amounts for a call of which others may have been worked out."""
_NO_TARGETS: frozenset[str] = frozenset()
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_AMOUNT, _NUMBER, _PHONE, _USER = AtomKind.AMOUNT, AtomKind.NUMBER, AtomKind.PHONE, ValueOrigin.USER
_WORDS, _DATE = AtomKind.TEXT, AtomKind.DATE
_CONTENT, _DESTINATION = ArgumentRole.CONTENT, ArgumentRole.DESTINATION
_TEXT, _NOWHERE = ValueOrigin.TEXT, ValueOrigin.NOWHERE
_OTHERS = (ValueOrigin.FIELD, _TEXT, _NOWHERE)
_NEUTRAL = Traced(_NOWHERE)
"""What nothing is said against, and that proves nothing. Not the same as `NOWHERE`, of which more may be found out."""
_OPERANDS = (_USER, ValueOrigin.TRUSTED, ValueOrigin.FIELD)
"""Where an amount can come from that another one was worked out of, the best source first."""
# A name of a module is found at once, one of a class after a search of the class.
_SAID, _INSTRUCTED, _LEFT_OUT, _SHOWN = Seen.USER, Seen.INSTRUCTED, Seen.EXCLUDED, Seen.SHOWN


class Tracer:
    """Traces values.

    Attributes:
        look: as below.
        may_be_dictated: whether an instruction of others wants to have something written.

    Args:
        look: finds values in what the session has seen.
        row: what the session has read as a whole. Its scopes name values that are the user's, and say what else his
            words say: how amounts are worked out, and what is as usual.
        tool: the full name of the tool.
        subject: the session's subject.
        missing: what a value is that is not found.
        missing_words: the same of one without a shape.
        now_ms: the instant, from which days are counted that only words describe; None if no instruction was read.
    """

    __slots__ = (
        "_comparison",
        "_is_full",
        "_lacks_words",
        "_limits",
        "_missing",
        "_missing_words",
        "_now_ms",
        "_reached",
        "_scopes",
        "_subject",
        "_targets",
        "_undone_left",
        "look",
        "may_be_dictated",
    )

    def __init__(
        self,
        look: Look,
        row: ProvenanceRow,
        tool: str,
        subject: str,
        missing: Traced,
        missing_words: Traced,
        *,
        now_ms: int | None = None,
    ) -> None:
        targets = _NO_TARGETS
        limits: list[ScopedArgument] = []
        for scope in row.scopes:
            if scope.targets:
                targets = targets.union(scope.targets)
            if scope.arguments and (not scope.tools or tool in scope.tools):
                limits += scope.arguments
        self.look = look
        self._missing, self._missing_words = missing, missing_words
        self._now_ms = now_ms
        self._targets = targets
        self._limits = limits
        self._scopes = row.scopes
        self._reached = row.reached
        self.may_be_dictated = bool(row.calls_for & INCLUDE)
        self._undone_left = UNDONE_MAX
        self._is_full = row.atoms_count >= ATOMS_MAX
        self._lacks_words = row.lacks_words
        self._subject = subject
        self._comparison: Comparison | None = None

    def is_sole(self, traced: Traced, kinds: Iterable[AtomKind]) -> bool:
        """Return whether a value stands where the user says that such a one does, and no other of its kind.

        Args:
            traced: where the value was seen.
            kinds: the kinds that it can have.
        """
        entry = traced.entry
        if entry is None or not traced.flags & _SHOWN or traced.origin is not _TEXT:
            return False
        return any(self._reached.get(kind) == entry.digest and self.has_said_any(WORDS_FOR[kind]) for kind in kinds)

    def has_said_any(self, words: Iterable[str]) -> bool:
        """Return whether the user has said one of some words, in canonical form."""
        return any(self._has_said(kind_of_words(word), word) for word in words)

    def _has_said(self, kind: AtomKind, value: str) -> bool:
        entry = self.look(kind, value)
        return entry is not None and bool(entry.flags & _SAID)

    def whole(
        self,
        seen: Traced,
        argument: Argument,
        founds: list[Found],
        place: Place,
        *,
        is_told: bool,
        is_read: bool = False,
    ) -> Traced:
        """Return where a leaf comes from that the user has not named; what consists of what he named is his.

        Args:
            seen: where the leaf was seen as a whole.
            argument: the leaf.
            founds: all kinds that it can have, with their canonical forms.
            place: what it is for. In a sink, the host of an address and the halves of the leaf are looked for if
                nothing else is found.
            is_told: whether a fact will hold it; only then it is taken apart.
            is_read: whether it says what is read inside of the operator's systems.
        """
        value, (role, is_sink) = argument.value, place
        if (self._targets or self._limits) and self._is_in_scope(argument.pointer, str(value).casefold()):
            return replace(seen, origin=_USER)
        # A text that is passed on, such as the body of a mail, does not consist of what the user named.
        if is_told and (is_sink or role is not _CONTENT) and self._is_of_parts(value, seen, is_read=is_read):
            return replace(seen, origin=_USER)
        if is_sink and role is not _DESTINATION and isinstance(value, str) and self._has_said_verb_of(value):
            return replace(seen, origin=_USER)
        if not is_sink and (seen is NOWHERE or seen.origin is _TEXT):
            for each in founds:
                if each.kind is _DATE:
                    seen = self._said_day(each.value, seen)
        if seen is not NOWHERE:
            return seen
        if any(each.kind is _PHONE and self._has_dialled(each.value) for each in founds):
            return replace(seen, origin=_USER)
        built = built_on(founds, self.look) if is_sink else None
        if built is None and is_sink and is_told and isinstance(value, str):
            built = assembled(value, self.look) or joined(value, self._part)
        return built or (self._missing_of(founds, is_sink=is_sink) if self._lacks_words else self._missing)

    def _said_day(self, date: str, seen: Traced) -> Traced:
        """Return what is known of a date that the user has named in no way but from another day.

        "In two weeks" names it, and "tomorrow" takes away what text by others says, but not what an instruction does.
        "A week later" makes the date worth what the other day is. An hour has to be his own, and no instruction may
        name both.

        Args:
            date: in canonical form.
            seen: where it was seen.
        """
        if not date[0].isdigit() or not is_hour_said(date, self.look):
            return seen
        day, sign, _ = date.partition("T")
        if sign and seen.is_instructed:
            return seen
        if self._has_said(_DATE, f"{NAMED}{day}"):
            return replace(seen, origin=_USER)
        if not seen.is_instructed and self._has_said(_DATE, f"{SAID}{day}"):
            return _NEUTRAL
        if self._has_said(_DATE, BY):
            for _, base in days_apart(day, partial(self._has_said, _DATE)):
                traced = self._day(base)
                # An instruction may name a day that is so far from any record.
                if traced.origin is _USER or not (traced.origin in (_TEXT, _NOWHERE) or seen.is_instructed):
                    return traced
        return seen

    def _has_said_verb_of(self, value: str) -> bool:
        """Return whether a value is a form of a verb that the user has said: who says "arm it" has named `armed`, and
        who gives somebody "edit rights", `editor`."""
        word = value.lower()
        verb = FORMS.get(word) or (word[:-2] if word.endswith(("er", "or")) and word[:-2] in TOOL_VERBS else None)
        return verb is not None and self._has_said(kind_of_words(verb), verb)

    def _has_dialled(self, digits: str) -> bool:
        """Return whether the user has named a phone number as it is dialled in its country. Nobody else has named the
        number, so the agent has put the country's code before it."""
        return any(self._has_said(AtomKind.ACCOUNT, each) for each in dialled_at_home(digits))

    def _is_in_scope(self, pointer: str, value: str) -> bool:
        """Return whether a scope names a value, for all sinks or for this argument."""
        return value in self._targets or any(
            value in values and place_at(path).cover(pointer) for path, values in self._limits
        )

    def _is_of_parts(self, value: object, seen: Traced, *, is_read: bool) -> bool:
        """Return whether a value of which nobody knows a good source consists of what the user has named."""
        origin = seen.origin
        if not (origin is _TEXT or origin is _NOWHERE) or not isinstance(value, str):
            return False
        is_accused = self._lacks_words or bool(seen.flags & _INSTRUCTED)
        return is_composed(value, self._is_named, is_accused=is_accused, is_read=is_read)

    def has_called(self, handle: str, seen: Traced) -> bool:
        """Return whether the user has called somebody by a handle: who answers "the guest Ravi" means `@guest-ravi`."""
        return is_composed(handle, self._is_named, is_accused=self._lacks_words or bool(seen.flags & _INSTRUCTED))

    def compared(self, seen: Traced, founds: Iterable[Found]) -> Traced:
        """Return what is known of a value in a sink with what the hosts in it look like.

        That of the user and of trusted data is not compared.
        """
        if seen.origin not in _OTHERS:
            return seen
        if self._comparison is None:
            self._comparison = Comparison(self.look, is_full=self._is_full, subject=self._subject)
        flags = self._comparison.of(founds)
        return replace(seen, flags=seen.flags | flags) if flags else seen

    def _part(self, text: str) -> Traced:
        usual = usual_reading(text)
        if usual is None:
            return trace(extract_unusual(text), self.look)
        kind, value = usual
        return seen_in(self.look(kind, value)) if value else NOWHERE

    def _is_named(self, text: str) -> bool:
        """Return whether the best source of a part is the user, who has not left it out."""
        usual = usual_reading(text)
        if usual is None:
            flags = trace(extract_unusual(text), self.look).flags
        else:
            kind, value = usual
            entry = self.look(kind, value) if value else None
            flags = 0 if entry is None else entry[1]
        return bool(flags & _SAID) and not flags & _LEFT_OUT

    def unstated(self, founds: Sequence[Found], *, is_money: bool) -> Traced:
        """Return what is known of an amount that nothing states.

        An order without a currency may call for it. If none does, the user may have had it worked out.

        Args:
            founds: how it reads.
            is_money: whether it is one of money.
        """
        for each in founds:
            if each.kind is _AMOUNT:
                entry = self.look(_NUMBER, f"{ORDERED}:{each.value}")
                if entry is not None and entry.flags & _INSTRUCTED:
                    return Traced(_NOWHERE, _INSTRUCTED, None, entry.calls_for)
        traced = self._worked_out(founds) if is_money else NOWHERE
        if traced is not NOWHERE:
            return traced
        entry = self.look(_NUMBER, WORKED_OUT)
        if entry is None or not entry.flags & _INSTRUCTED:
            return NOWHERE
        return Traced(_NOWHERE, _INSTRUCTED, None, entry.calls_for)

    def _day(self, day: str) -> Traced:
        """Return where a day was seen, with its year or without it."""
        traced = seen_in(self.look(_DATE, day))
        return seen_in(self.look(_DATE, f"-{day[4:]}")) if traced is NOWHERE else traced

    def ordered_date(self, founds: Sequence[Found]) -> Traced:
        """Return what is known of a date that nothing states: an order may call for a part of it, or for its day in
        words that count from today ("next Friday", "in two weeks") or from another day ("a week later"), unless the
        user has said any of these words."""
        traced = day_ordered(founds, self.look)
        if traced is not NOWHERE or self._now_ms is None:
            return traced
        for found in founds:
            day = found.value.partition("T")[0]
            if found.kind is not _DATE or is_day_said(day, self.look) or not may_be_ordered(found.value, self.look):
                continue
            seen = [*self._words_said(day, self._now_ms)]
            ordered = [each for each in seen if each.is_instructed and each.calls_for & ~UNKNOWN]
            if ordered and not any(each.origin is _USER for each in seen):
                return Traced(_NOWHERE, _INSTRUCTED, None, ordered[0].calls_for)
        return traced

    def _words_said(self, day: str, now_ms: int) -> Iterator[Traced]:
        """Yield where the words for a day were seen."""
        for word in words_for_day(day, now_ms):
            yield seen_in(self.look(kind_of_words(word), word))
        for form in forms_of(day, now_ms):
            yield seen_in(self.look(_DATE, form))
        if self.look(_DATE, BY) is not None:
            for form, base in days_apart(day, lambda form: self.look(_DATE, form) is not None):
                if self._day(base) is not NOWHERE:
                    yield seen_in(self.look(_DATE, form))

    @property
    def is_usual(self) -> bool:
        """Whether the user has something go where it usually goes."""
        return any(scope.kind == USUAL and scope.source == DERIVED for scope in self._scopes)

    def _worked_out(self, founds: Iterable[Found]) -> Traced:
        """Return where the amount comes from that the user has had another one worked out of.

        The amount is worth as much. Text by others does not count: they could write the one that yields what they want.
        """
        # "12 eur" is 12 as well, and "-12" is what has gone instead of come.
        amounts = [each.value for each in founds if each.kind is _AMOUNT and each.value.replace(".", "", 1).isdigit()]
        said = [scope.kind for scope in self._scopes if scope.source == DERIVED]
        best, rank = NOWHERE, len(_OPERANDS)
        # Of what the user's words say, `operands` leaves out kinds of acts.
        for operand in operands(amounts, said, self._undone_left):
            self._undone_left -= 1
            for written in (operand, f"-{operand}"):
                seen = seen_in(self.look(_AMOUNT, written))
                if seen.origin in _OPERANDS[:rank]:
                    best, rank = seen, _OPERANDS.index(seen.origin)
        return best

    def piece(self, founds: list[Found]) -> Traced:
        """Trace an address or a piece of one. What is not found says nothing, also where something is missing."""
        return trace(founds, self.look)

    def words(self, text: str) -> Traced:
        """Trace a sentence of a longer text. What is not found says nothing."""
        value = text_value(text)
        return seen_in(self.look(_WORDS, value)) if value else NOWHERE

    def has_said_words(self, text: str) -> bool:
        """Return whether the user has said each longer word of a sentence: then he has dictated it himself."""
        words = [value for word in text.split() if (value := text_value(word))]
        return bool(words) and all(self.has_said_any((word,)) for word in words)

    def part(self, found: Found) -> Traced:
        """Trace a value inside of a longer text."""
        seen = trace((found,), self.look)
        if seen is not NOWHERE:
            return seen
        return self._missing_of((found,), is_sink=False) if self._lacks_words else self._missing

    def _missing_of(self, founds: Iterable[Found], *, is_sink: bool) -> Traced:
        """Return what a value is that is not found. One in a sink may be put together of words."""
        may_be_words = is_sink or any(each.kind is _WORDS for each in founds)
        return self._missing_words if may_be_words else self._missing
