"""Whether a sentence reads like an instruction: to an assistant, or to anybody.

This is a flag and no decision. Whoever writes an instruction that this does not recognise gains nothing but a question
to a person in place of a denial; no call is allowed because of it. It knows English verbs, the verbs and polite words
of some other languages, and the marks of roles that models know. It does not understand: a wish ("it would be lovely if
...") goes unseen, and "check-in is at 2 pm" counts as an order.
"""

from __future__ import annotations

import re
from functools import cached_property

from streams.provenance.instructions.order_forms import FORMS, has_form, orders_behind_reason
from streams.provenance.instructions.order_words import AFTER_VERBS, ALSO_LABELS, CLEAR_VERBS, IMPERATIVES
from streams.provenance.instructions.orders_abroad import may_order_abroad, orders_abroad
from streams.provenance.instructions.orders_as_calls import orders_as_call
from streams.provenance.instructions.role_marks import has_role_mark, has_role_mark_in_lines
from streams.provenance.instructions.run_on_orders import runs_on
from streams.provenance.instructions.said_as_facts import orders_as_fact, said_to_be_done
from streams.provenance.sieved import Sieved
from streams.provenance.words import listed

_BETWEEN_CLAUSES = r"[,;:(\[{\"\s](?:(?<=\S)\s*+(?:[,;:(\[{\"]\s*+)*+|(?<=\s)(?:-|and|then)\s)"
"""Signs in a row part two clauses only once: a line of JSON has several of them around each name."""
_CLAUSE = re.compile(_BETWEEN_CLAUSES)
_FIRST = r"[\s\d.)\]>*#\-\u2022_'\"<!]{0,16}([^\W\d_]{1,24}(?:'t)?)"
_FIRST_WORD = re.compile(rf"{_FIRST}(?:\s{{1,4}}([^\W\d_]{{1,24}}|\S))?")
_CLAUSE_AND_FIRST_WORD = re.compile(rf"{_BETWEEN_CLAUSES}(?={_FIRST}|)")
"""Parts clauses, and takes the first word of what follows with it: few of these words begin an order."""

_OPENERS = listed(
    "please kindly now then also first firstly second next finally lastly just so but and or always never do "
    "don't important note todo urgent attention warning remember immediately simply again instead step action "
    "you"
)
"""Words after which an imperative may come."""
_POLITE = listed(
    "please kindly bitte veuillez por favor prego alstublieft proszę lütfen пожалуйста ignore disregard "
    "override jailbreak ignorieren ignoriere ignorez ignora ignorar"
)
_ADDRESSED = listed(
    "you your assistant ai agent llm chatbot bot model gpt system user's everyone team recipient reader"
)
_DUTIES = listed(
    "must should shall need needs have has ought required require requires want wants expected supposed "
    "instructed can will going mandatory necessary"
)
_PASSIVE = Sieved(
    r"\b(?:must|should|shall|needs? to|ha(?:s|ve) to|is to|are to|ought to) (?:not |now |also )?be\b|\bmust\b"
    # "Everybody who answers has to quote it", but not "He has to leave early."
    r"|\b(?:should|shall|needs? to|ha(?:s|ve) to|is to|are to|ought to) (?:not |now |also |always )?"
    r"(?:add|attach|begin|cite|get|receive|contain|end|give|hold|include|link|mention|name|put|quote|say|start|state"
    r"|use|write)\b"
)
_OTHER_SCRIPTS = re.compile(
    "请|請|してください|下さい|하세요|십시오|कृपया|الرجاء|من فضلك|בבקשה|παρακαλώ|s'il (?:vous|te) pla"
)
_TO_ADDRESS = re.compile(
    r"\s{1,4}(?:[^\s@]{1,64}@[^\s@]{1,64}\.[^\s@]{1,64}|@\w{2,40}|\+\d[\d ()-]{5,18}\d)\s{1,4}[^\W_]"
)
"""An address behind a verb, and more behind that: "Mail kim@x.example the key", and not a line of a card."""
_BEFORE_ADDRESSES = listed("contact phone")
"""Labels behind which an address stands, and then often another one."""
_NEVER = frozenset(("never", "don't"))
"""Words that make any verb after them a prohibition, at the start of a sentence."""
_FIRST_IN_ORDERS = IMPERATIVES | _NEVER | _OPENERS
"""Words of which one stands first in a clause that is an order."""
_AROUND_WORDS = ".,;:!?()[]\"'*"
_TRIGGERS = frozenset(
    form
    for word in (IMPERATIVES | _POLITE | _DUTIES | _NEVER)
    for form in (word, f"{word},", f"{word}.", f"{word}:", f"{word}!", f"({word}", f'"{word}', f"'{word}", f"*{word}")
)
"""Words of instructions as they stand between spaces, with what is most often beside them."""
_TRIGGER, _POLITE_WORD, _DUTY_WORD, _ADDRESSED_WORD, _VERB, _ABROAD = (1 << bit for bit in range(6))
"""Sorts of words: those of `_TRIGGERS`, those of the tables below without the signs around them, foreign verbs."""
_SORTS: dict[str, int] = {}
for _sort, _words in (
    (_POLITE_WORD, _POLITE),
    (_DUTY_WORD, _DUTIES),
    (_ADDRESSED_WORD, _ADDRESSED),
    (_VERB, IMPERATIVES | _NEVER),
):
    for _word in _words:
        _SORTS[_word] = _SORTS.get(_word, 0) | _sort
_JOINTS = ('":"', '["', ',"', '{"')
"""Signs of JSON in a text, in front of what may be an order."""
_CLAUSES_MAX = 16
_FIRST_WORDS_MAX = 4


class KnownText:
    """What is known of all of a text, which spares its sentences most of the work."""

    def __init__(self, lowered: str) -> None:
        self._lowered = lowered

    @cached_property
    def has_roles(self) -> bool:
        """Whether it has the mark of a role."""
        return has_role_mark_in_lines(self._lowered)

    @cached_property
    def has_forms(self) -> bool:
        """Whether it may have one of `FORMS`."""
        return FORMS.may_be_in(self._lowered)


def instructs(sentence: str, lowered: str, text: KnownText) -> bool:
    """Return whether a sentence reads like an instruction: an imperative at its start or at that of a clause, a polite
    word, a duty of the reader, something that must be, or the mark of a role.

    Args:
        sentence: as it is written, which shows where an order begins without a sign before it.
        lowered: the same in lower case.
        text: what is known of all of its text.
    """
    spaced = lowered
    if '"' in lowered and any(map(lowered.__contains__, _JOINTS)):
        # What looks like the end of a result and the begin of another is often written without spaces.
        spaced = lowered.replace('"', ' "')
    sorts = 0
    for each in set(map(_SORTS_OF.__getitem__, spaced.split())):
        sorts |= each
    if sorts & _TRIGGER and (_has_trigger(spaced, sorts, text) or runs_on(sentence)):
        return True
    if _has_other_form(lowered, spaced, sorts):
        return True
    if text.has_roles and has_role_mark(lowered):
        return True
    return not lowered.isascii() and _OTHER_SCRIPTS.search(lowered) is not None


def _has_other_form(lowered: str, spaced: str, sorts: int) -> bool:
    """Return whether a sentence orders without a word of English orders: in another language, as a call, or as what is
    to be done.

    Args:
        lowered: the sentence in lower case.
        spaced: the same with spaces before what its quotes hold.
        sorts: the sorts of its words.
    """
    if "_" in lowered and orders_as_call(lowered, CLEAR_VERBS):
        return True
    if " to be " in lowered and (said_to_be_done(lowered, IMPERATIVES) or orders_as_fact(lowered, CLEAR_VERBS)):
        return True
    return bool(sorts & _ABROAD) and any(map(orders_abroad, _CLAUSE.split(spaced, _CLAUSES_MAX)))


_SORTS_CACHED_MAX = 16_384
"""A long text has some thousand different words. To find one out again costs ten times as much as to know it."""


class _SortsOf(dict[str, int]):
    """Of which sorts words are, as they stand between spaces: sets of bits, found out when a word is first met."""

    def __missing__(self, between_spaces: str) -> int:
        if len(self) >= _SORTS_CACHED_MAX:
            self.clear()
        word = between_spaces.strip(_AROUND_WORDS)
        sorts = _SORTS.get(word, 0) | (_TRIGGER if between_spaces in _TRIGGERS else 0)
        sorts |= _ABROAD if may_order_abroad(word) else 0
        self[between_spaces] = sorts
        return sorts


_SORTS_OF = _SortsOf()


def _has_trigger(lowered: str, sorts: int, text: KnownText) -> bool:
    """Look closer at a sentence that has a word of instructions."""
    if sorts & _POLITE_WORD:
        return True
    if sorts & _DUTY_WORD and (sorts & _ADDRESSED_WORD or _PASSIVE.search(lowered) is not None):
        return True
    if not sorts & _VERB:
        return False
    first, *others = _CLAUSE_AND_FIRST_WORD.split(lowered, _CLAUSES_MAX)
    if _begins_with_imperative(first):
        return True
    for word, clause in zip(others[::2], others[1::2], strict=True):
        if word in _FIRST_IN_ORDERS and _begins_with_imperative(clause):
            return True
    return (text.has_forms and has_form(lowered)) or orders_behind_reason(lowered)


def _begins_with_imperative(clause: str) -> bool:
    position = 0
    for _ in range(_FIRST_WORDS_MAX):
        match = _FIRST_WORD.match(clause, position)
        if match is None:
            return False
        word, following = match.groups()
        if word in IMPERATIVES:
            # `Contact: ...` and `Order number` are labels.
            return following is not None and (
                word not in ALSO_LABELS
                or following in AFTER_VERBS
                or (word not in _BEFORE_ADDRESSES and _TO_ADDRESS.match(clause, match.end(1)) is not None)
            )
        if word in _NEVER and following is not None:
            return True
        if word not in _OPENERS:
            return False
        position = match.end(1)
    return False
