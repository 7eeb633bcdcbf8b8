"""Tell whether a message agrees to what the agent has put to the user, or answers a question of the agent's.

**Idea.** At a service desk, the agent reads, says what it would do, and acts once the customer has said yes. The yes
has no verb, and before it the customer has described a wish ("my knee hurts") and no act. So "yes please", "the second
one" and "Friday, 3 pm" are evidence that nothing else in the request gives: the user has spoken after everything that
the agent has read. The gate therefore counts a few acts after such a message as ones that the user knows of, until the
session reads what others may write again (`ProvenanceRow.agreed_acts`).

What the agent has proposed makes nothing the user's: the agent reports that itself, so a hijacked one could report
anything. It only bounds what a yes covers (`streams.processors.provenance.proposals`).

**Rejected.** Every message but the first one: "thanks, and what does it cost?" agrees to nothing. Words of agreement
alone: most answers to "which one?" have none.
"""

from __future__ import annotations

import re

from streams.provenance.requests.languages import is_known
from streams.provenance.words import listed

AGREE = "agree"
"""In the scope of a message: the user agrees to what the agent has put to him, or answers its question."""

ACCEPT = "accept"
"""In the scope of a message that does not agree: in a few words, it refuses nothing, asks nothing, and asks for nothing
("perfect, thanks"). What the agent has proposed stands, but the message does not agree to an act."""

REFUSE = "refuse"
"""In the scope of a message: it refuses, puts off or corrects ("no", "the other one, please"). What the user has let
stand before has ended. A message can agree and correct at once."""

AGREEING_CHARS_MAX = 2_000
"""Longer messages are stories, and no answers."""
ANSWER_WORDS_MAX = 8
"""An answer with a number, a day or a choice in it has at most as many words."""
BARE_ANSWER_WORDS_MAX = 3
"""Any other answer has at most as many words ("debit", "the window seat")."""
_REACH_WORDS = 3
"""A word of agreement is among the first so many words of a clause, or ends a clause of one more."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_CLAUSE_END = re.compile(r"[.!;,\n]+|\s[-\u2013\u2014]+\s|\b(?:but|aber|mais|pero|mas|ma)\b")
_PRAISE = listed(
    "ok okay okey okie k kk alright alrighty right great good fine perfect cool lovely wonderful excellent super "
    "perfectly klar parfait vale perfecto perfeito perfetto"
)
"""Words of agreement that also end a talk: "great, thanks" agrees to nothing."""
_YES = _PRAISE | listed(
    "yes yep yeah yea yup yess ya aye sure exactly correct absolutely definitely certainly deal agreed confirmed "
    "confirm accept agree proceed indeed ja jawohl jep gerne genau einverstanden richtig stimmt bestaetige oui "
    "ouais accord confirme si claro confirmo sim certo va"
)
_YES_PHRASES = re.compile(
    r"\b(?:go ahead|go on|go for|do (?:it|that|so|them|both)|please do|let'?s do|let us do|of course|by all means"
    r"|sounds (?:good|great|fine|right|ok|okay|perfect)|works for me|that works"
    r"|that(?:'?s| is) (?:it|fine|right|ok|okay|the one)|(?:that|this) one"
    r"|i(?:'ll| will| would|'d)? (?:take|have|go with|like|prefer) (?:it|that|this|the|them)"
    r"|the (?:[\w-]+ ){0,2}ones? (?:then|please)|it is then|why not"
    r"|as you (?:say|said|suggest|suggested|propose|proposed)"
    r"|mach(?:en)? (?:das|es)|in ordnung|d'accord|vas-y|allez-y|adelante|va bene)\b"
    r"|\bthen$|^\W*(?:the )?(?:first|second|third|fourth|last|other|latter|former)(?: one)?$"
)
"""Agreement in several words, or the choice of one of several things."""
_NO = listed(
    "no nope nah not never don't dont doesn't didn't won't can't cannot isn't wouldn't shouldn't neither nothing none "
    "nein nicht kein keine nie non ne pas jamais nunca nao mai niente "
    "nee niet geen nej inte ikke ej"
)
_CORRECTS = listed(
    "meant mean wrong other others another instead rather different meinte meinten gemeint falsch falsche falschen "
    "sondern stattdessen andere anderen anderer anderes autre autres plut\u00f4t mauvais mauvaise faux otro otra otros "
    "otras equivocado equivocada outro outra outros outras errado errada altro altra altri altre invece sbagliato "
    "sbagliata inny inna inne inn\u0105 drugi druga drug\u0105 drugie ander annan andra anden andet annet"
)
"""Words that put something else in the place of what was said."""
_HESITATES = listed("hm hmm hmmm uh um uhm er erm ehm euh mm mmm")
_HOLD = re.compile(
    r"\b(?:wait|hold on|hang on|stop|never ?mind|forget|not yet|not now|think about|let me think"
    r"|(?:leave|keep) (?:it|all|every)\w*|maybe|perhaps|(?:an|some )other time|refus\w+|declin\w+|disagree\w*|wrong"
    r"|terrible|ridiculous|unacceptable|nonsense|scam|fraud\w*"
    r"|(?:don't|dont|do not) (?!want|need|mind|care|know|have|like|think|worry|see)\w+"
    r"|too expensive|no way|no thanks?|no thank you|changed? my mind|warte|moment mal|attendez|espera|aspetta)\b"
)
"""Words that put everything off, wherever they stand."""
_ASKS = listed(
    "what what's which who whom whose when where why how is are was were do does did can could will would should "
    "may any wie was wer wann wo warum welche"
)
"""What a question begins with, also without its mark."""
_JOINTS = listed("and so then also und et y e")
_CLOSES = listed(
    "thanks thank thx ty bye goodbye cheers merci danke gracias obrigado grazie morning afternoon evening day night "
    "weekend"
)
_COURTESY = _CLOSES | listed(
    "hi hello hey hallo you so much very many lot a for your help again there have nice then that all"
)
_ASSENTS = _YES | _COURTESY | listed("please bitte tak prosz\u0119 s\u00ed grazie ok\u00e9 dzi\u0119kuj\u0119 dobrze")
_CHOICES = listed(
    "one ones first second third fourth fifth last latter former both other option monday tuesday wednesday "
    "thursday friday saturday sunday today tonight tomorrow january february march april may june july august "
    "september october november december montag dienstag mittwoch donnerstag freitag samstag sonntag morgen lundi "
    "mardi mercredi jeudi vendredi samedi dimanche lunes martes miercoles jueves viernes sabado domingo"
)
"""Words that choose a thing or a day."""
_PRONOUNS = listed(
    "i i'm i'd i'll we you it it's that that's this he she they there ich wir es das je tu nous yo eu io"
)
"""Words of whole sentences, which are more than an answer."""


def agrees(text: str, *, requests: bool = False) -> bool:
    """Return whether a message agrees to a proposal, or answers a question in a few words.

    Args:
        text: what the user has written after what the agent has said.
        requests: whether the message asks for an act itself: then it agrees to another one only if it says so.

    Returns:
        True for "yes please", "go ahead with both", "the second one", "Friday, 3 pm"; False for a refusal, for a
        question, also one after a yes, for thanks and praise alone, and for a message that tells something new.
    """
    lowered = _lowered(text)
    words = _WORD.findall(lowered)
    if _objects(lowered, words) or _only_closes(words):
        return False
    return any(map(_agrees_in_clause, _clauses(lowered))) or (not requests and _is_answer(words))


def accepts(text: str) -> bool:
    """Return whether a message that asks for no act lets stand what the agent has put to the user: a few words, none
    of which refuses or puts off, and no question. All of them are words of assent or thanks, or the language is known:
    in another one, nobody knows a refusal."""
    lowered = _lowered(text)
    words = _WORD.findall(lowered)
    if len(words) > ANSWER_WORDS_MAX or _objects(lowered, words) or not _NO.isdisjoint(words):
        return False
    return _ASSENTS.issuperset(words) or is_known(text)


def refuses(text: str, *, agrees: bool) -> bool:
    """Return whether a message refuses, puts off or corrects something.

    Args:
        text: what the user has written.
        agrees: whether it agrees to something. Then it refuses nothing else, but may choose "the other one".
    """
    lowered = _lowered(text)
    words = _WORD.findall(lowered)
    if not _CORRECTS.isdisjoint(words):
        return True
    return not agrees and (not _NO.isdisjoint(words) or _HOLD.search(lowered) is not None)


def _lowered(text: str) -> str:
    return text[: AGREEING_CHARS_MAX + 1].lower().replace("\u2019", "'").strip()


def _clauses(lowered: str) -> list[str]:
    return [clause for part in _CLAUSE_END.split(lowered) if (clause := part.strip())]


def _objects(lowered: str, words: list[str]) -> bool:
    """Return whether a message does not answer a proposal: it puts off, asks, says nothing, or is long."""
    if not words or len(lowered) > AGREEING_CHARS_MAX or _HOLD.search(lowered) is not None:
        return True
    return "?" in lowered or any(map(_asks, _clauses(lowered)))


def _asks(clause: str) -> bool:
    """Return whether a clause is a question without its mark, after what may join it to another one."""
    words = _WORD.findall(clause)
    while words and words[0] in _JOINTS:
        words.pop(0)
    return bool(words) and words[0] in _ASKS and _YES_PHRASES.match(" ".join(words)) is None


def _only_closes(words: list[str]) -> bool:
    """Return whether a message says thanks or goodbye, and otherwise only praises."""
    return not _CLOSES.isdisjoint(words) and all(word in _COURTESY or word in _PRAISE for word in words)


def _agrees_in_clause(clause: str) -> bool:
    """Return whether a clause has a phrase of agreement, or begins or ends with a word of it, and refuses nothing."""
    words = _WORD.findall(clause)
    if not _NO.isdisjoint(words):
        return False
    if _YES_PHRASES.search(clause) is not None:
        return True
    place = next((number for number, word in enumerate(words) if word in _YES), None)
    if place is None:
        return False
    return place < _REACH_WORDS or (place == len(words) - 1 and len(words) <= _REACH_WORDS + 1)


def _is_answer(words: list[str]) -> bool:
    """Return whether a message is a few words that choose something, or name it."""
    if not _NO.isdisjoint(words) or all(word in _COURTESY or word in _PRAISE or word in _HESITATES for word in words):
        return False
    if any(word in _CHOICES or any(map(str.isdigit, word)) for word in words):
        return len(words) <= ANSWER_WORDS_MAX
    return len(words) <= BARE_ANSWER_WORDS_MAX and _PRONOUNS.isdisjoint(words)
