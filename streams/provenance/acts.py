"""Kinds of acts: what a tool does, and what a request asks for.

There are a dozen kinds, so that a request and a tool can be compared without understanding either. The kind of a tool
is a fact that an operator states; where none is stated, `propose_kind` reads it from the first verb of the tool's name,
else of its description. The kinds of a request come from its verbs and its nominalisations (`payment`, `cancellation`).
A request implies more kinds than it spells out (who schedules a meeting also creates an entry), so a word of a request
stands for a set of kinds and a word of a tool's name for one.

Rejected: to compare verb and noun together. That asks about four more honest tasks in a hundred, because requests name
the thing that they mean in too many ways. The names of tools are read in English only. Requests are also read in
German, French, Spanish, Portuguese and Italian (`act_words_abroad`); one in another language implies no kind, and an
act outside of the request is then a question.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from enum import StrEnum

from streams.provenance.act_words import (
    ACT_NOUNS,
    AMBIGUOUS_VERBS,
    DELEGATING_PHRASES,
    FORMS,
    GENERIC_VERBS,
    LINK_WORDS,
    LINK_WORDS_PLURAL,
    LINK_WORDS_SINGULAR,
    OBJECT_KINDS,
    PHRASES,
    READING_NOUNS,
    REQUEST_KINDS,
    TOOL_VERBS,
    VAGUE_VERBS,
    misspelt,
)
from streams.provenance.act_words_abroad import (
    ACCENTED,
    DETERMINERS_ABROAD,
    NEGATIONS_ABROAD,
    NOUNS_ABROAD,
    SEPARABLE,
    kinds_abroad,
    word_without_accents,
)
from streams.provenance.asked import (
    DEFINITE,
    NEGATION_REACH_WORDS,
    NEGATIONS,
    STOPS,
    STOPS_ABROAD,
    asks_by_negation,
    has_determiner,
    is_asked,
    is_in_question,
    is_negated,
    is_noun,
    is_past,
    opens_to_read,
    revising_verb,
)
from streams.provenance.left_to import leaves_acts_to_tasks, leaves_values_to_content
from streams.provenance.phrases import gapped_phrases, patterned_phrases
from streams.provenance.phrases_abroad import TOLD, delegates, gives_money, leaves_values, marks_done, tells_somebody
from streams.provenance.words import CAMEL, STOP_WORDS, listed

DELEGATE = "delegate"
"""In the scope of a request: the user leaves the choice of acts to a content ("do what the note says")."""
FILL = "fill"
"""In the scope of a request: he leaves values of the acts that he names to a content ("pay the bill")."""
FOLLOW = "follow"
"""In the scope of a request: the user speaks of a link or a page, so the agent may open one that it is shown."""
REVISE = "revise"
"""In the scope of a request: the user wants an existing payment changed, and no new one. Tools that change payments are
of kind `pay`, because a new account for one is as good as a payment; a request for any other change does not ask for
them."""
USUAL = "usual"
"""In the scope of a request: something is to be as trusted data show that it always was ("same account as always")."""

SUM = "sum"
"""In the scope of a request: he names amounts of money himself, with their currency; the scope states the largest."""

DESCRIPTION_CHARS_MAX = 400
ID_LETTERS_MAX = 3
ID_DIGITS_MIN = 3
REQUEST_CHARS_MAX = 20_000
PARTICLE_REACH_WORDS = 16


class ActKind(StrEnum):
    """What a tool does, as far as a request can tell."""

    READ = "read"
    SEND = "send"
    """Gives a message to persons who are named."""
    POST = "post"
    """Publishes to readers who are not named one by one."""
    CREATE = "create"
    BOOK = "book"
    """Reserves, orders or buys."""
    CHANGE = "change"
    DELETE = "delete"
    """Deletes, cancels or ends."""
    PAY = "pay"
    SHARE = "share"
    """Gives others access, or makes them members."""
    SECURE = "secure"
    """Changes who may do what: passwords, keys, permissions, protections."""
    RUN = "run"
    """Runs code, jobs or machines."""
    OTHER = "other"
    """Nothing is known about the tool. No request implies it."""


_WORD = re.compile(r"[A-Za-z][A-Za-z']*|[0-9]+|[.!?;\n]")
_ANY_WORD = re.compile(r"[^\W\d_]+|[.,!?;\n]")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"]+")
_BEFORE_ADDRESS = r"[\s:(\[<'\"]"
_ITS_ADDRESS = rf"(?:{_BEFORE_ADDRESS}{{1,3}}(?:at|under|unter))?{_BEFORE_ADDRESS}{{1,4}}\0"
_NAMED_PAGE = re.compile(
    # "The page https://shop.example", "the site (at www.shop.example)"
    rf"\b(?:{'|'.join(sorted(LINK_WORDS_SINGULAR))}){_ITS_ADDRESS}"
    # "The pages https://a.example and https://b.example"; a comma after an address counts as part of it.
    rf"|\b(?:{'|'.join(sorted(LINK_WORDS_PLURAL))}){_ITS_ADDRESS}(?:\s{{1,3}}(?:(?:and|or|und|et|y|e|o)\s{{1,3}})?\0)+"
)
"""Words for pages with the addresses of just these pages behind them, where a NUL stands for an address."""
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_AGAIN = "re"
_NOT_AGAIN = frozenset({"remark", "remarks", "remarked"})
_SENTENCE_END = re.compile(r"[.!?\n]")


def words_of_name(name: str) -> list[str]:
    """Split a tool's or an argument's name into lower-case words: `sendEmail`, `send_email` -> `send`, `email`."""
    return [word.lower() for part in _SEPARATORS.split(name) if part for word in CAMEL.split(part) if word]


def propose_kind(name: str, description: str = "", read_only: bool | None = None) -> str:
    """Propose the kind of act of a tool.

    Args:
        name: the tool's name, without its server.
        description: what the server says about it; only its beginning is read.
        read_only: the operator's fact; None if he did not state it. A tool that only reads is `read`.

    Returns:
        One of `ActKind`; `other` if neither text holds a verb that is known.
    """
    if read_only:
        return ActKind.READ
    named, words = words_of_name(name), _first_sentence(description)
    kind, described = _kind_of_words(named), _kind_of_words(words)
    stems = [FORMS.get(word, word) for word in named]
    is_vague = not any(stem in TOOL_VERBS and stem not in VAGUE_VERBS for stem in stems)
    is_vague = is_vague and not (kind is not None and kind not in {TOOL_VERBS.get(stem) for stem in stems})
    if is_vague and described not in {None, ActKind.READ} and words and FORMS.get(words[0], words[0]) in TOOL_VERBS:
        kind = described
    return _not_read(kind or described, read_only) or ActKind.OTHER


def possible_kinds(name: str, description: str = "") -> frozenset[str]:
    """Return all kinds of act that a tool's name and the first sentence of its description speak of.

    A request for any of them may be a request for the tool: "add an event and invite people" does both.
    """
    words = _first_sentence(description)
    found = {_kind_of_words(words_of_name(name)), _kind_of_words(words)}
    for index, word in enumerate(words):
        stem = FORMS.get(word, word)
        if stem in TOOL_VERBS and not is_noun(words, index, stem) and (index == 0 or stem not in AMBIGUOUS_VERBS):
            found.add(TOOL_VERBS[stem])
    return frozenset(kind for kind in found if kind not in {None, ActKind.READ})


def revises_payments(name: str, description: str = "") -> bool:
    """Return whether a tool's name, or the first sentence of its description, speaks of changing a payment."""
    return any(map(_speaks_of_revising, (words_of_name(name), _first_sentence(description))))


def _speaks_of_revising(words: list[str]) -> bool:
    # Not "set up a transfer".
    stems = [FORMS.get(word, word) for word in words]
    is_change = bool(stems) and stems[0] in _CHANGING and stems[0] != "set"
    return is_change and any(OBJECT_KINDS.get(stem, ("",))[0] == ActKind.PAY for stem in stems)


def _first_sentence(description: str) -> list[str]:
    text = _SENTENCE_END.split(description[:DESCRIPTION_CHARS_MAX].strip(), maxsplit=1)[0]
    return [word.lower() for word in _WORD.findall(text)]


def kind_of_action(action: str) -> str | None:
    """Return the kind that the value of a tool's `action` argument names (`cancel` -> `delete`); None if unknown."""
    return _kind_of_words(words_of_name(action[:DESCRIPTION_CHARS_MAX]))


_POINTS_TO_DATA = re.compile(
    # "The account is in the letter", but not "What is in the letter?"; what is in the contacts is in no text
    r"\b(?:the|its|his|her|their|my|our|all) (?:\w+ ){1,3}(?:is|are|stands?) (?:\w+ )?(?:in|on)"
    r" (?:the|that|this|my|his|her|our|their)\b(?! (?:contacts|address ?book|phone ?book)\b)"
    # "Pay the water bill", "settle invoice 12"
    r"|\b(?:pay|settle|transfer|wire|clear)\b[^.!?\n]{0,60}\b(?:bill|invoice|fine|fee|due|reminder|contribution)s?\b"
    # "as in their contract", "as described there", "as he asked"
    r"|\bas (?:(?:is|was|were|it is) )?"
    r"(?:in|on|described|stated|listed|noted|written|agreed|proposed|requested|specified)\b"
    r"|\bas (?:it|he|she|they|the \w+(?: [\w-]+)?|my \w+(?: [\w-]+)?) "
    r"(?:asks?|asked|says?|said|wants?|wanted|wrote|notes?|noted|requests?|requested)\b"
    # "what she asks for", "everything that the list names"
    r"|\b(?:what|whatever|everything|all|anything|those|whoever|everybody|everyone) (?:that )?"
    r"(?:it|he|she|they|the \w+(?: [\w-]+)?|my \w+(?: [\w-]+)?|is|are) "
    r"(?:asks?|asked|says?|said|wants?|wanted|needs?|wrote|names?|lists?|requests?|requested|missing|wrong|broken)\b"
    r"|\b(?:everything|all|whatever) (?:that )?(?:is|are|stands?|'s) on (?:the|that|this|my|his|her|our|their)\b"
    r"|\b(?:who|that) (?:has |have )?(?:asks?|asked|requests?|requested|wants?|wanted)\b"
    # "Oleg asked to be added", "what the doctor prescribed"
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:asks|asked|requests|requested|proposed|suggested|recommended|prescribed)\b"
    r"|\baccording to\b|\baccordingly\b"
    # "Mail 12 names a library. Try it."
    r"|\btry (?:it|them|that)\b"
)
"""Sentences that say that a value stands in data that the user speaks of, or that data say what is needed."""

_THAT_STANDS = (
    r"\W{1,2}"
    r"(?:(?:that|which)(?:'s| is| are) (?:\w+ )?|(?:as )?(?:found|given|listed|shown|stated|named|written) )(?:in|on) "
)
_DETERMINED = (
    r"(?:the|that|this|my|our|his|her|its|their|[a-z]+'s) "
    r"(?:(?!(?:in|on|at|by|per|from|for|see|to|of|with|and|or)\b)[\w'-]+ ){0,2}"
)
_PAGE = r"(?:(?:web|home)[ -]?)?(?:pages?|sites?|profile|blog|card)\b"
_CONTENT = (
    rf"(?:{_PAGE}|(?:letter|e-?mail|mail|message|invoice|bill|receipt|reminder|ticket|issue|note|file|document"
    r"|attachment|form|contract|sheet|list|report|record|post|comment|review)s?\b)"
)
"""What can hold a value that the user leaves to it."""
_VALUE_IN_DATA = re.compile(
    # "The text is in /hr/easter.txt", "the address is in ticket T-5540"
    r"\b(?:the|its|his|her|their|my|our|all) (?:\w+ ){1,3}(?:is|are|stands?) (?:\w+ )?(?:in|on) (?:\w+ )?"
    r"(?:[#/~]\w|\w+\.\w{2,4}\b|\w+-\d)|"
    # "She wrote the address in her mail", "he left it on the ticket"
    r"\b(?!(?:i|we|you)\b)[a-z]+ (?:wrote|gave|left|mentioned|stated|named|noted) (?:it|the|his|her|their|a|an|all)"
    r" (?:[\w'-]+ ){0,4}(?:in|on)\b"
    # "Her address that's on her website", "the number given in his letter", "the IBAN (found on the page)". Not "the
    # account that's in her name": a content has to follow. Mails stand in drafts, while an address stands on a page.
    rf"|\b(?:address(?:es)?|number|ibans?|account|phone){_THAT_STANDS}{_DETERMINED}{_CONTENT}"
    rf"|\b(?:his|her|their|whose|[a-z]+'s) (?:own )?e-?mail{_THAT_STANDS}{_DETERMINED}{_PAGE}"
    # "Put the number from the note into the field", "copy the total out of her letter"
    r"|\b(?:put|set|copy|enter|take|use|fill|change|update|add|write|save|store|record|transfer)"
    r" (?:the|its|his|her|their|that|all|both) (?:[\w'-]+ ){1,4}(?:from|out of) "
    rf"{_DETERMINED}{_CONTENT}"
    # "Kim wrote when she can come. Set the date to that." "They sent a new number, put it into the record."
    r"|\b(?!(?:i|we|you)\b)[a-z]+ (?:wrote|said|told|mentioned|gave|sent|texted|mailed|named|stated|answered|replied)\b"
    r"[^\n]{1,120}?[.;,!] ?(?:[\w-]+ ){0,3}?"
    r"(?:(?:set|change|update|move|adjust|make) [^.!?\n]{1,60}?\bto (?:that|this|it)\b"
    r"|(?:put|enter|write|add|copy|save) (?:it|that|this|them) (?:in|into|to|on)\b)"
    # "There is a new number in the notes, put it into the record."
    r"|\bthere(?:'s| is| are) (?:[\w-]+ ){1,5}(?:in|on) [^\n.!?]{1,80}?[.,;] ?(?:[\w-]+ ){0,3}?"
    r"(?:(?:put|enter|write|add|copy|save) (?:it|that|this|them) (?:in|into|on)\b"
    r"|use (?:it|that|this|them)\b(?! to\b))"
    # "See his mail for when he comes"
    r"|\bsee (?:the|his|her|its|their|my|our|this|that) (?:[\w-]+ ){1,4}for\b"
)
"""Sentences that say where a value of the acts stands that the user names himself; they leave no choice of acts."""
_HAS_IT_DONE = re.compile(
    r"\bwhat [^.!?\n]{1,40} (?:asked|asks|told|wants|wanted) me to(?: do)?(?: in [^.,!?\n]{1,40})?,? "
    r"(?:and|then|and then) (?:please |just )?(?:do|handle) (?:it|that|them|so)\b(?!\s*\?)"
)
"""Look at what Kim asked me to do, and do it."""
_REPEATS = re.compile(r"\b(?:same|usual) (?:\w+ ){1,3}again\b")
"""The same hotel again: whoever says so asks to book it, in whatever words."""
_USES_INSTEAD = re.compile(
    r"\buse (?:the|my|this|that) (?:\w+ ){0,3}(?:address|iban|account|number|phone|e-?mail|card|name|one)\b"
)
"""Use the address that I sent: it replaces another one."""
_HIS_OWN = re.compile(
    r"\b(?:that|which|what) i (?:have )?(?:sent|gave|wrote|written|posted|attached|put)\b"
    r"|\bi (?:have |already )?(?:sent|gave|wrote|written|posted) (?:you|it|my|the)\b"
)

_USUAL_PLACE = re.compile(
    r"\b(?:same|usual|known) (?:bank )?(?:account|iban|payee|recipient|address|number|card|place|details)\b"
    r"|\bthe usual (?:one|way|place)\b"
)
_CLAUSE_END = re.compile(r"[.,!?;\n]")


def speaks_of_usual(text: str) -> bool:
    """Return whether a user's message says that something is to go where it usually goes.

    What it says in a clause with a negation does not count: "but not to the same account as always".
    """
    clauses = _CLAUSE_END.split(_lowered(text))
    return any(_USUAL_PLACE.search(each) is not None and NEGATIONS.isdisjoint(each.split()) for each in clauses)


def _lowered(text: str) -> str:
    return text[:REQUEST_CHARS_MAX].lower().replace("\u2019", "'")


def plain_request(text: str) -> str:
    """Return a user's message as its words are compared: in lower case, and without accents."""
    return _without_accents(_lowered(text))


def request_kinds(text: str) -> frozenset[str]:
    """Return the kinds of act that a user's message asks for.

    A verb after a negation does not count. A word that can be a noun (`order`, `post`) counts only where it is not
    used as one: "my order" asks for nothing, "order two of them" does.

    Args:
        text: the message; what is beyond `REQUEST_CHARS_MAX` is not read, which implies less.

    Returns:
        Kinds; with `DELEGATE` where the user leaves the choice of acts to data, with `FILL` where he leaves values of
        the acts to them, with `FOLLOW` where he speaks of links, and with `REVISE` where he has a payment changed.
    """
    lowered = _lowered(text)
    kinds = set(asked_kinds(lowered, by_user=True))
    plain = _without_accents(lowered)
    leaves_acts = any(phrase in lowered for phrase in DELEGATING_PHRASES) or _HAS_IT_DONE.search(lowered) is not None
    if leaves_acts or delegates(plain) or leaves_acts_to_tasks(plain):
        kinds.add(DELEGATE)
    if _REPEATS.search(lowered) is not None:
        kinds |= REQUEST_KINDS["order"]
    if _USES_INSTEAD.search(lowered) is not None:
        kinds |= {ActKind.CHANGE, FILL} if _HIS_OWN.search(lowered) is not None else {ActKind.CHANGE}
    if _POINTS_TO_DATA.search(lowered) is not None:
        # Where data say what is needed and he names no act ("same for the wiki: whoever asked"), they choose it.
        kinds.add(FILL if kinds or "?" in lowered else DELEGATE)
    elif kinds and (
        _VALUE_IN_DATA.search(lowered) is not None or leaves_values(plain) or leaves_values_to_content(lowered, plain)
    ):
        kinds.add(FILL)
    if _speaks_of_links(lowered):
        kinds.add(FOLLOW)
    return frozenset(kinds)


def _speaks_of_links(lowered: str) -> bool:
    """Return whether a request in lower case speaks of something that is opened by its address.

    Who names the address of a page speaks of that one: "read the page www.shop.example" asks for no other, but "... and
    the article that it links to" does, and so does "the pages linked from www.shop.example".
    """
    without = _NAMED_PAGE.sub(" ", _ADDRESS.sub(" \0", lowered.replace("\0", " ")))
    return not LINK_WORDS.isdisjoint(_WORD.findall(without))


def asked_kinds(lowered: str, *, by_user: bool = False) -> frozenset[str]:
    """Return the kinds of act that the words of a text in lower case ask for, whoever has written it.

    Args:
        lowered: the text.
        by_user: whether the user has written it. Then an act that is only changed is not asked for ("adjust my rent
            payment"); of what others write, the worst is expected.
    """
    if by_user and "no, " in lowered:
        # "Pause... no, cancel it" denies what stands before.
        lowered = _NO_INSTEAD.sub(r"\1.", lowered)
    words = _WORD.findall(lowered)
    kinds: set[str] = set()
    for index, word in enumerate(words):
        stem = _request_stem(word)
        if stem in REQUEST_KINDS:
            if not is_negated(words, index) and is_asked(words, index, stem):
                kinds |= REQUEST_KINDS[stem]
        elif word in ACT_NOUNS and not is_negated(words, index):
            definite, found = ACT_NOUNS[word]
            if definite or not (has_determiner(words, index, DEFINITE) or (by_user and _has_number(words, index))):
                verb = revising_verb(words, index) if by_user else None
                kinds |= found if verb is None else _revised(found, verb)
        for phrase, implied in PHRASES.get(word, ()):
            if tuple(words[index : index + len(phrase)]) == phrase and _is_wanted(words, index):
                kinds |= implied
    kinds |= _phrase_kinds(lowered, words) | _object_kinds(words, by_user=by_user)
    plain = _without_accents(lowered)
    kinds |= _kinds_abroad(_ANY_WORD.findall(plain), _ANY_WORD.findall(lowered))
    if gives_money(plain):
        kinds.add(ActKind.PAY)
    if marks_done(plain):
        kinds.add(ActKind.CHANGE)
    if by_user and ActKind.CHANGE in kinds and not _PAID_REGULARLY.isdisjoint(words):
        kinds.add(REVISE)
    return frozenset(kinds)


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


_NO_INSTEAD = re.compile(r"((?:\A|[.!?;,:\n\u2026-])\s{0,2}(?:oh |ah |wait |well )?no),(?= )")
"""A "no" that stands alone."""
_PAID_REGULARLY = listed("rent debit debits instalment instalments installment installments mortgage premium")
"""What somebody who has it changed has a payment changed: "raise my rent to 1200"."""


def _is_wanted(words: list[str], index: int) -> bool:
    """Return whether a verb of several words is neither denied nor asked about."""
    return not is_negated(words, index) and not is_in_question(words, index)


def _phrase_kinds(lowered: str, words: list[str]) -> set[str]:
    """Return the kinds that phrases imply which are not words in a row."""
    # "Did Kim pay me back?" asks for no payment.
    found = list(gapped_phrases(words))
    if patterned := list(patterned_phrases(lowered)):
        starts = [match.start() for match in _WORD.finditer(lowered)]
        found += [(bisect_left(starts, place), implied) for place, implied in patterned]
    found = [each for each in found if not is_in_question(words, each[0])]
    return {kind for index, implied in found if not is_negated(words, index) for kind in implied}


def _without_accents(lowered: str) -> str:
    return lowered if lowered.isascii() else _ANY_WORD.sub(lambda match: word_without_accents(match[0]), lowered)


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
            if words[place] in NEGATIONS_ABROAD and not asks_by_negation(words, place):
                return True
    return False


def _kind_of_words(words: list[str]) -> str | None:
    stems = [FORMS.get(word, word) for word in words]
    verb = _verb_of(words, stems)
    if verb is None:
        return ActKind.READ if READING_NOUNS.intersection(stems) else None
    return _with_object(verb, stems)


def _verb_of(words: list[str], stems: list[str]) -> str | None:
    """Find the verb: the first word, unless that can be a noun and the last word says more (`order_status`)."""
    verbs = [stem for stem in stems if stem in TOOL_VERBS]
    if not verbs or stems[0] in _CHANGING:
        return stems[0] if verbs else None
    if stems[0] in AMBIGUOUS_VERBS:
        last = stems[-1]
        if last in READING_NOUNS:
            return None
        is_verb = (
            last in TOOL_VERBS
            and not words[-1].endswith("ing")
            and (last not in AMBIGUOUS_VERBS or TOOL_VERBS[last] == ActKind.READ)
        )
        if is_verb:
            return last
        if stems[0] in TOOL_VERBS:
            return stems[0]
    # A form such as `forwarding` names a thing where another verb begins the name: `set_forwarding`.
    is_named = {stem for word, stem in zip(words[1:], stems[1:], strict=True) if word.endswith("ing")}
    verbs = [verb for verb in verbs if verb == stems[0] or verb not in is_named] or verbs
    return next((verb for verb in verbs if verb not in AMBIGUOUS_VERBS), verbs[0])


_BEFORE_OTHER_THINGS = listed("of to for in on at with from about into by where when whether that which")
"""What follows one of them is not what a verb acts on ("write to the customer of an order"), but can be a recipient
("transfer to a human")."""
_CHANGING = listed("update set change edit modify")
"""Verbs at the start of a name, whatever else it names: `update_contact`."""
_PUBLIC_PLACES = listed("channel thread feed wall forum timeline")
"""Where many read what is written into it."""
_PERSONS = listed("user member guest participant attendee collaborator subscriber")


def _with_object(verb: str, stems: list[str]) -> str:
    kind = TOOL_VERBS[verb]
    place = stems.index(verb)
    after = stems[place + 1 :]
    own = next((number for number, stem in enumerate(after) if stem in _BEFORE_OTHER_THINGS), len(after))
    for number, noun in enumerate(after + stems[:place]):
        if own <= number < len(after) and noun in _PUBLIC_PLACES and kind in {ActKind.CREATE, ActKind.SEND}:
            return ActKind.POST
        override = OBJECT_KINDS.get(noun)
        if override is None or verb not in GENERIC_VERBS or kind not in override[1]:
            continue
        if noun in _PERSONS and number + 1 < own:
            continue  # The thing is what follows: `update_user_address`.
        if own <= number < len(after) and override[0] != ActKind.SEND:
            continue
        return override[0]
    return kind


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
        ):
            verbs.add(stem)
        override = OBJECT_KINDS.get(stem)
        deciding = () if override is None else [verb for verb in verbs if TOOL_VERBS[verb] in override[1]]
        if override is not None and deciding:
            revises = by_user and override[0] == ActKind.PAY and _CHANGING.issuperset(deciding)
            found.add(REVISE if revises else override[0])
    return found


def _request_stem(word: str) -> str:
    """Return the verb of a form: also of one that says "again", such as `reorder`."""
    stem = FORMS.get(word) or misspelt().get(word, word)
    if stem in REQUEST_KINDS or not word.startswith(_AGAIN) or word in _NOT_AGAIN:
        return stem
    rest = word.removeprefix(_AGAIN)
    return FORMS.get(rest, rest)


def _not_read(kind: str | None, read_only: bool | None) -> str | None:
    """Drop `read` for a tool of which the operator says that it does more than read."""
    return None if kind == ActKind.READ and read_only is False else kind
