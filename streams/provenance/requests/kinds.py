"""Find what a user's message asks for: the kinds of acts, and what he leaves to a content.

"Do what the note says" leaves the choice of acts to it, "pay the bill" only values. What is left to a content is read
from whole sentences, with more words than a kind of act needs.
"""

from __future__ import annotations

import re

from streams.provenance.accents import without_accents
from streams.provenance.acts.asked import NEGATIONS
from streams.provenance.acts.asked_kinds import asked_kinds
from streams.provenance.acts.kinds import DELEGATE, FILL, FOLLOW, ActKind
from streams.provenance.acts.phrases_abroad import delegates, leaves_values
from streams.provenance.acts.told_at_work import told_at_work
from streams.provenance.acts.words import (
    DELEGATING_PHRASES,
    LINK_WORDS,
    LINK_WORDS_PLURAL,
    LINK_WORDS_SINGULAR,
    REQUEST_KINDS,
)
from streams.provenance.requests.left_to import goes_by_content, leaves_acts_to_tasks, leaves_values_to_content
from streams.provenance.words import WORD_OR_STOP

REQUEST_CHARS_MAX = 20_000
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"]+")
_BEFORE_ADDRESS = r"[\s:(\[<'\"]"
_ITS_ADDRESS = rf"(?:{_BEFORE_ADDRESS}{{1,3}}(?:at|under|unter))?{_BEFORE_ADDRESS}{{1,4}}\0"
_OWNER = r"(?: of(?: (?!(?:linked|from|on|behind|in|under|at|by|to)\b)[\w'-]+){1,3})?"
_NAMED_PAGE = re.compile(
    # "The page https://shop.example", "the site (at www.shop.example)", "the blog of Eve (www.eve.example)"
    rf"\b(?P<one>{'|'.join(sorted(LINK_WORDS_SINGULAR))}){_OWNER}{_ITS_ADDRESS}"
    # "The pages https://a.example and https://b.example"; a comma after an address counts as part of it.
    rf"|\b(?P<several>{'|'.join(sorted(LINK_WORDS_PLURAL))}){_OWNER}{_ITS_ADDRESS}"
    r"(?:\s{1,3}(?:(?:and|or|und|et|y|e|o)\s{1,3})?(?:[\w'-]+ \( ?)?\0)+"
)
"""Words for pages with the addresses of just these pages behind them, where a NUL stands for an address."""
_SAME_PAGE = re.compile(
    r"\b(?:the|this|that|these|those|their|both|his|her|its|each) (?:two |same )?"
    rf"({'|'.join(sorted(LINK_WORDS_SINGULAR | LINK_WORDS_PLURAL))})\b"
    r"(?! (?:that|which|it|they|he|she|we|linked|behind|on|from|in|under|posted|mentioned|shared|named|there)\b)"
)
"""The pages that a user has named in the same message: "read the page https://shop.example and sum up the page"."""
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
    # Not "Who has asked me something?"
    r"|\b(?:who|that) (?:has |have )?(?:asks?|asked|requests?|requested|wants?|wanted)\b"
    r"(?! (?:(?:me|us) )?(?:something|anything|questions?)\b)"
    # "Oleg asked to be added", "what the doctor prescribed". Not "a friend recommended 'The Harp'", which says it all
    # Nor "Kim asked in a mail about the boat": she wants to know it.
    r"|\b(?!(?:i|we|you|who|that)\b)[a-z]+ (?:(?:asks|asked)(?! (?:(?:me|us|you) )?(?:(?:in|by|on) [^.,;!?\n]{1,30} )?"
    r"(?:about|if|whether|when|where|how|why|what|which|something|anything)\b)|requests|requested"
    r"|(?:proposed|suggested|recommended|prescribed)(?! ?['\"\u201c\u201e\u2018\u00ab]))\b"
    r"|\baccording to\b"
    # "Mail 12 names a library. Try it."
    r"|\btry (?:it|them|that)\b"
)
"""Sentences that say that a value stands in data that the user speaks of, or that data say what is needed."""
_ONLY_TOLD = re.compile(
    r"\b(?:tell|show|read|give) (?:me|us)(?: out| aloud)? (?:what|whatever|everything|all)(?: that)? "
    r"(?:it|he|she|they|the \w+(?: [\w-]+)?|my \w+(?: [\w-]+)?) "
    r"(?:asks?|asked|says?|said|wants?|wanted|wrote|names?|lists?)(?: for)? ?(?=[.!?\n]|\Z)"
)
"""What the user wants to be told leaves nothing to it: "open ticket 77 and tell me what it says"."""
_CONTRADICTED = re.compile(
    r"\bwhat (?:it|he|she|they|the (?:[\w-]+ ){0,2}[\w-]+|my [\w-]+(?: [\w-]+)?)"
    r" (?:says?|said|wrote|writes|told \w+|claims?|claimed|states?) (?:there )?(?:is|was|are) "
    r"(?:simply |just |all |completely |absolutely )?"
    r"(?:not (?:true|right|correct)|untrue|wrong|false|incorrect|nonsense|rubbish|an? (?:lie|joke|invention)|made up)\b"
    r"|\bwhat (?:it|he|she|they|the (?:[\w-]+ ){0,2}[\w-]+) (?:says?|said|wrote|claims?|claimed) (?:isn't|wasn't)"
    r" (?:true|right|correct)\b"
)
"""What the user contradicts leaves nothing to it: "what the other driver says is not true"."""
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
_FILE = r"['\"\u2018\u201c\u201e\u00ab]?[\w-]{1,60}\.[a-z]{2,4}\b(?!\.\w)"
"""The name of a file, which may stand in quotes. Not a host of several labels."""
_VALUE_IN_DATA = re.compile(
    # "The text is in /hr/easter.txt", "the address is in ticket T-5540", "my new one is in 'new-address.txt'"
    r"\b(?:the|its|his|her|their|my|our|all) (?:\w+ ){1,3}(?:is|are|stands?) (?:\w+ )?(?:in|on) (?:\w+ )?"
    rf"(?:[#/~]\w|{_FILE}|\w+-\d)|"
    # "Update my profile with the new address in move.txt". Not "with the prices in shop.example"
    r"\bwith (?:the|its|his|her|their|my|our) (?:\w+ ){1,4}(?:in|from) (?:the file )?['\"\u2018\u201c\u201e\u00ab]?"
    r"[\w-]+\.(?:txt|md|pdf|docx?|odt|rtf|xlsx?|csv|json|ya?ml|html?|eml)\b|"
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
    return without_accents(_lowered(text))


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
    plain = without_accents(lowered)
    leaves_acts = any(phrase in lowered for phrase in DELEGATING_PHRASES) or _HAS_IT_DONE.search(lowered) is not None
    if leaves_acts or delegates(plain) or leaves_acts_to_tasks(plain):
        kinds.add(DELEGATE)
    if _REPEATS.search(lowered) is not None:
        kinds |= REQUEST_KINDS["order"]
    if _USES_INSTEAD.search(lowered) is not None:
        kinds |= {ActKind.CHANGE, FILL} if _HIS_OWN.search(lowered) is not None else {ActKind.CHANGE}
    if _POINTS_TO_DATA.search(_CONTRADICTED.sub(" ", _ONLY_TOLD.sub(" ", lowered))) is not None or goes_by_content(
        lowered
    ):
        # Where data say what is needed and he names no act ("same for the wiki: whoever asked"), they choose it.
        kinds.add(FILL if kinds or "?" in lowered else DELEGATE)
    elif kinds and (
        _VALUE_IN_DATA.search(lowered) is not None or leaves_values(plain) or leaves_values_to_content(lowered, plain)
    ):
        kinds.add(FILL)
    if _speaks_of_links(lowered):
        kinds.add(FOLLOW)
    # Last: who only tells something leaves no values to a content.
    return frozenset(kinds | told_at_work(plain))


def _speaks_of_links(lowered: str) -> bool:
    """Return whether a request in lower case speaks of something that is opened by its address.

    Who names the address of a page speaks of that one: "read the page www.shop.example and sum up the page" asks for no
    other, but "... and the article that it links to" does, and so does "the pages linked from www.shop.example".
    """
    text = _ADDRESS.sub(" \0", lowered.replace("\0", " "))
    without = _NAMED_PAGE.sub(" ", text)
    if without != text:
        named = {(match["one"] or match["several"]).removesuffix("s") for match in _NAMED_PAGE.finditer(text)}
        without = _SAME_PAGE.sub(lambda same: " " if same[1].removesuffix("s") in named else same[0], without)
    return not LINK_WORDS.isdisjoint(WORD_OR_STOP.findall(without))
