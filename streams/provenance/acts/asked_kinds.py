"""Find the kinds of acts that the words of a text ask for, whoever has written it.

A verb after a negation does not count, nor does one in a question or a word that is used as a noun (`asked`). English
is read by word, by phrase, and by a verb with its thing; German, French, Spanish, Portuguese, Italian and Polish by
word (`act_words_abroad`). A text in another language asks for no kind, and an act outside of the request is then a
question.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from streams.provenance.accents import ANY_WORD_OR_STOP, without_accents
from streams.provenance.acts.asked import (
    DEFINITE,
    NEGATION_REACH_WORDS,
    STOPS,
    STOPS_ABROAD,
    asks_by_negation,
    has_determiner,
    is_asked,
    is_complained_of,
    is_in_question,
    is_negated,
    is_noun,
    is_past,
    opens_to_read,
    revising_verb,
)
from streams.provenance.acts.kinds import REVISE, ActKind
from streams.provenance.acts.phrases import gapped_phrases, patterned_phrases
from streams.provenance.acts.phrases_abroad import TOLD, gives_money, marks_done, tells_somebody
from streams.provenance.acts.settling import settles_difference
from streams.provenance.acts.wishes import wishes_abroad
from streams.provenance.acts.words import (
    ACT_NOUNS,
    CHANGING_VERBS,
    FORMS,
    GENERIC_VERBS,
    OBJECT_KINDS,
    PHRASES,
    REQUEST_KINDS,
    TOOL_VERBS,
    misspelt,
)
from streams.provenance.acts.words_abroad import (
    ACCENTED,
    DETERMINERS_ABROAD,
    NEGATIONS_ABROAD,
    NOUNS_ABROAD,
    SEPARABLE,
    is_french_ne,
    kinds_abroad,
)
from streams.provenance.atoms.dates import MONTHS
from streams.provenance.words import STOP_WORDS, WORD_OR_STOP, listed

ID_LETTERS_MAX = 3
ID_DIGITS_MIN = 3
PARTICLE_REACH_WORDS = 16
_AGAIN = "re"
_NOT_AGAIN = frozenset({"remark", "remarks", "remarked"})
_NO_INSTEAD = re.compile(r"((?:\A|[.!?;,:\n\u2026-])\s{0,2}(?:oh |ah |wait |well )?no),(?= )")
"""A "no" that stands alone."""
_IF_NOT = re.compile(
    r"((?:\A|[.!?;\n]\s{0,2}|\b(?:and|but) )"
    r"(?:if not\b|if [^,.;:!?\n]{1,60}?(?:\bnot|\bcannot|n't)\b[^,.;:!?\n]{0,60}(?=,)))(?: ?already| ?yet)?[,:]?(?= )"
    r"(?![^.;!?\n]{0,60}\b(?:nothing|none|nobody|no)\b)"
    r"(?! (?:can|could|will|would|shall|should|may|do|does|did|is|are|was|what|when|who|how|why)\b(?! you\b))"
)
"""A condition whose negation denies nothing that is asked for: "If not, lock it", "if it doesn't fit, return it".
Within a sentence it may follow a denial that goes on behind it: "do not pay if it doesn't fit, or cancel"."""
_ORDINAL = re.compile(rf"(?<=\d)\.(?= (?:{'|'.join(map(re.escape, MONTHS))})\b)")
"""The full stop in "am 8. Dezember", which ends nothing."""
_PAID_REGULARLY = listed("rent debit debits instalment instalments installment installments mortgage premium")
"""What somebody who has it changed has a payment changed: "raise my rent to 1200"."""


def asked_kinds(lowered: str, *, by_user: bool = False) -> frozenset[str]:
    """Return the kinds of act that the words of a text in lower case ask for, whoever has written it.

    Args:
        lowered: the text.
        by_user: whether the user has written it. Then an act that is only changed is not asked for ("adjust my rent
            payment"); of what others write, the worst is expected.
    """
    if by_user:
        # "Pause... no, cancel it" denies what stands before.
        lowered = _IF_NOT.sub(r"\1.", _NO_INSTEAD.sub(r"\1.", lowered))
    # "My e-mail is ..." asks for no mail, and as two words the second one would be a verb.
    lowered = _ORDINAL.sub("", lowered.replace("e-mail", "email"))
    words = WORD_OR_STOP.findall(lowered)
    kinds: set[str] = set()
    for index, word in enumerate(words):
        stem = _request_stem(word)
        if stem in REQUEST_KINDS:
            if not is_negated(words, index) and is_asked(words, index, stem):
                kinds |= REQUEST_KINDS[stem]
        elif word in ACT_NOUNS and not is_negated(words, index):
            kinds |= _noun_kinds(words, index, by_user=by_user)
        for phrase, implied in PHRASES.get(word, ()):
            if tuple(words[index : index + len(phrase)]) == phrase and _is_wanted(words, index):
                kinds |= implied
    kinds |= _phrase_kinds(lowered, words) | _object_kinds(words, by_user=by_user)
    plain = without_accents(lowered)
    kinds |= _kinds_abroad(ANY_WORD_OR_STOP.findall(plain), ANY_WORD_OR_STOP.findall(lowered))
    if gives_money(plain) or settles_difference(lowered):
        kinds.add(ActKind.PAY)
    if marks_done(plain):
        kinds.add(ActKind.CHANGE)
    kinds.update(*wishes_abroad(plain))
    if by_user and ActKind.CHANGE in kinds and not _PAID_REGULARLY.isdisjoint(words):
        kinds.add(REVISE)
    return frozenset(kinds)


def _noun_kinds(words: list[str], index: int, *, by_user: bool) -> frozenset[str]:
    """Return what the noun of an act asks for ("a payment of 20")."""
    definite, found = ACT_NOUNS[words[index]]
    if by_user and ActKind.PAY in found and is_complained_of(words, index):
        return frozenset((REVISE, ActKind.CHANGE))
    if not definite and (has_determiner(words, index, DEFINITE) or (by_user and _has_number(words, index))):
        return frozenset()
    verb = revising_verb(words, index) if by_user else None
    return found if verb is None else _revised(found, verb)


def _has_number(words: list[str], index: int) -> bool:
    """Return whether a noun names one thing by its number: "booking rs-70112" asks for no booking."""
    after = words[index + 1 : index + 3]
    if after and after[0].isalpha() and len(after[0]) <= ID_LETTERS_MAX and after[0] not in STOP_WORDS:
        after = after[1:]
    return bool(after) and after[0].isdigit() and len(after[0]) >= ID_DIGITS_MIN


def _revised(kinds: frozenset[str], verb: str) -> frozenset[str]:
    """Return what a user asks for whose verb changes, or looks at, an existing act of these kinds: `REVISE` of a
    payment, otherwise nothing."""
    changes = ActKind.CHANGE in REQUEST_KINDS.get(verb, frozenset())
    return frozenset((REVISE,)) if changes and ActKind.PAY in kinds else frozenset()


def _is_wanted(words: list[str], index: int) -> bool:
    """Return whether a verb of several words is neither denied nor asked about."""
    return not is_negated(words, index) and not is_in_question(words, index)


def _phrase_kinds(lowered: str, words: list[str]) -> set[str]:
    """Return the kinds that phrases imply which are not words in a row."""
    # "Did Kim pay me back?" asks for no payment.
    found = list(gapped_phrases(words))
    if patterned := list(patterned_phrases(lowered)):
        starts = [match.start() for match in WORD_OR_STOP.finditer(lowered)]
        found += [(bisect_left(starts, place), implied) for place, implied in patterned]
    found = [each for each in found if not is_in_question(words, each[0])]
    return {kind for index, implied in found if not is_negated(words, index) for kind in implied}


def _kinds_abroad(words: list[str], written: list[str]) -> set[str]:
    """Return the kinds that words of other languages than English imply. Their negations stand on either side.

    Args:
        words: in lower case and without accents.
        written: the same as they are written.
    """
    found: set[str] = set()
    for index, word in enumerate(words):
        kinds = kinds_abroad(word)
        if len(written) == len(words) and written[index] in ACCENTED:
            kinds |= ACCENTED[written[index]]
        particles = SEPARABLE.get(word)
        if particles is not None:
            for later in words[index + 1 : index + 1 + PARTICLE_REACH_WORDS]:
                if later in STOPS_ABROAD:
                    break
                kinds |= particles.get(later, frozenset())
        if tells_somebody(words, index):
            kinds |= TOLD
        is_named = word in NOUNS_ABROAD and index > 0 and words[index - 1] in DETERMINERS_ABROAD
        if kinds and not is_named and not _is_negated_abroad(words, index):
            found |= kinds
    return found


def _is_negated_abroad(words: list[str], index: int) -> bool:
    first, last = max(0, index - NEGATION_REACH_WORDS), min(len(words), index + 1 + NEGATION_REACH_WORDS)
    for side in (range(index - 1, first - 1, -1), range(index + 1, last)):
        for place in side:
            if words[place] in STOPS_ABROAD:
                break
            if words[place] == "ne" and not is_french_ne(words, place, index):
                continue
            if words[place] in NEGATIONS_ABROAD and not asks_by_negation(words, place):
                return True
    return False


def _object_kinds(words: list[str], *, by_user: bool) -> set[str]:
    """Find `change my password`: a verb that says little, with a thing that says more, in one sentence."""
    found: set[str] = set()
    verbs: set[str] = set()
    for index, word in enumerate(words):
        if word in STOPS:
            verbs.clear()
            continue
        stem = FORMS.get(word, word)
        if (
            stem in GENERIC_VERBS
            and stem in TOOL_VERBS
            and not (is_negated(words, index) or is_past(words, index, stem) or opens_to_read(words, index, stem))
            # "Did the transfer go through?" asks for none.
            and not (is_noun(words, index, stem) and is_in_question(words, index))
        ):
            verbs.add(stem)
        override = OBJECT_KINDS.get(stem)
        deciding = () if override is None else [verb for verb in verbs if TOOL_VERBS[verb] in override[1]]
        if override is not None and deciding:
            revises = by_user and override[0] == ActKind.PAY and CHANGING_VERBS.issuperset(deciding)
            found.add(REVISE if revises else override[0])
    return found


def _request_stem(word: str) -> str:
    """Return the verb of a form: also of one that says "again", such as `reorder`."""
    stem = FORMS.get(word) or misspelt().get(word, word)
    if stem in REQUEST_KINDS or not word.startswith(_AGAIN) or word in _NOT_AGAIN:
        return stem
    rest = word.removeprefix(_AGAIN)
    return FORMS.get(rest, rest)
