"""Whether a sentence reads like an instruction: to an assistant, or to anybody.

This is a flag and no decision. Whoever writes an instruction that this does not recognise gains nothing but a question
to a person in place of a denial; no call is allowed because of it. It knows English verbs, the verbs and polite words
of some other languages, and the marks of roles that models know. It does not understand: a wish ("it would be lovely if
...") goes unseen, and "check-in is at 2 pm" counts as an order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, partial
from itertools import pairwise

from streams.provenance.acts.words import AMBIGUOUS_VERBS
from streams.provenance.instructions.orders_abroad import may_order_abroad, orders_abroad
from streams.provenance.instructions.orders_as_calls import orders_as_call
from streams.provenance.instructions.role_marks import has_role_mark, has_role_mark_in_lines
from streams.provenance.instructions.said_as_facts import FACTS, orders_as_fact, said_to_be_done
from streams.provenance.sieved import Sieved, SievedSet
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
IMPERATIVES = listed(
    "accept access acknowledge act activate add adjust advise alert allow alter announce answer append apply approve "
    "archive arrange ask assemble assign assume attach authorise authorize avoid backup ban bid bill block book bring "
    "broadcast build buy call cancel carry cease change charge check choose cite clean clear click clone close "
    "collapse collect combine commit compensate complete compose configure confirm connect consider contact continue "
    "convert copy correct count create credit deactivate debit decline deduct delete deliver demote deny deploy "
    "deposit deregister describe destroy detach dial disable disarm disband discard disclose disenroll disenrol "
    "dismiss dispatch display disregard do dock donate double downgrade download draft drain drop edit elevate email "
    "embed emit empty enable encode encrypt end enrol enroll ensure enter erase escalate establish evacuate evict "
    "exchange exclude execute exmatriculate expand expel export expose extend extract feature fetch file fill find "
    "finish fire fix flag follow forget format forward freeze generate get gift give go grant halt handle help hide "
    "hire hold identify ignore implement import include increase inform initiate insert inspect install instruct "
    "invest invite invoice invoke issue join keep kick kill launch lease leave lend let lift link list load loan "
    "locate lock log look lower mail make mark mention merge message migrate mint modify monitor mount move mute "
    "navigate nominate notify obey obtain offboard offer omit onboard open order organize override overwrite pass "
    "paste pause pay perform permit phone pick pin place play point post postpone prepare prepay print proceed "
    "process produce prolong promote prompt protect provide provision publish pull purchase purge push put query quit "
    "quote raise ratify reach reactivate read reassign rebook reboot rebuild recommend record rectify redeem redeploy "
    "redirect redo reduce refer refuel refund register reimburse reinstall reissue reject relay release reload "
    "relocate remember remind remit remove rename render renew rent reopen repay repeat replace reply report repost "
    "request require reroute rerun reschedule reserve reset resolve respond restart restore restrict resume retrieve "
    "return retweet reveal reverse revert review revise revoke reword rewrite ring roll rollback rotate run save say "
    "scale schedule search select sell send set settle share ship shorten show shut sign silence skip slash sms "
    "snooze split sponsor stake star start state stop store submit subscribe substitute subtract summarise "
    "summarize supply surrender suspend swap switch sync tag take talk tell terminate test text tip toggle top trade "
    "transfer transform translate transmit trigger triple trust try turn tweak tweet unassign unblock undo unenroll "
    "unenrol unfollow unfreeze unfriend unhide uninstall unlock unmute unpin unprotect unregister unshare unsubscribe "
    "unsuspend update upgrade upload use utilise utilize verify view visit void vote wait waive warn watch whitelist "
    "wipe wire withdraw write zero comment fund tick"
)
_ALSO_LABELS = listed(
    "act address bill book call charge check contact count credit deposit display dock double email end exchange "
    "extract feature file fire flag gift help hire hold invoice lease lift link list mail note offer order phone pin "
    "play point post record register rent report request review ring roll scale set show silence star start tag "
    "test text tip top trade triple view void zero comment fund tick"
)
"""Imperatives that are as often the name of a field, or begin one."""
_CLEAR_VERBS = IMPERATIVES - _ALSO_LABELS
_AFTER_VERBS = listed(
    "a all an and any at back both by down each every everyone everything for from her him his in it its me my no now "
    "off on only our out over that the their them these this those to up us what whether with your "
    "http https www one two three four five six seven eight nine ten eleven twelve twenty fifty hundred thousand"
)
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
_DUTY = re.compile(r"\b(?:has|have|needs?) to (?:also |always |now |first |immediately )?([a-z]{2,24})\b")
_PRONOUNS = listed("i he she it we they who")
"""Whoever speaks of himself, or of somebody, gives no order: "He has to leave early"."""
_SUBJECT_CHARS_MAX = 48
_WISH = re.compile(
    r"\b(?:asks|wants|requests|requires|expects|orders|instructs|tells) (?:[^\s]{1,40} ){1,3}to ([a-z]{2,24})\b"
)
_VERB_AND_PLACE = re.compile(r"\b([a-z]{2,24}) (?:https?:|www\.|@[a-z0-9])")
"""The verb before an address: "for a better price open https://..."."""
_PURPOSE = re.compile(r"^\W{0,4}(?:in order )?to [a-z]{2,24} ((?:[^\s,]{1,40} ?){3,10})")
"""What follows a purpose: "to finish the move create a rule". The verb of the purpose itself commands nothing."""
_SET_TO = re.compile(r"(?:^\W{0,4}|[,;:] )(?:please |now |then )?(?:set|point) (?:[^\s]{1,40} ){1,4}to [^\s]")
_HAVE_DONE = re.compile(
    r"(?:^|[,;:] )(?:please |then )?have (?:[^\s]{1,40} ){1,6}(?:[a-z]{2,20}ed|sent|paid|made|done)\b"
)
_OTHER_SCRIPTS = re.compile(
    "请|請|してください|下さい|하세요|십시오|कृपया|الرجاء|من فضلك|בבקשה|παρακαλώ|s'il (?:vous|te) pla"
)
_ID = r"[A-Za-z]{1,8}[-_]?\d[\w-]{0,24}"
_THEN = r"(?:^\W{0,4}|[,;:] )(?:(?:please|also|then|now|and) ){0,2}"
_QUOTED = re.compile(rf"{_THEN}([a-z]{{2,24}}) [\"\u201c\u201e\u00ab][^\W_]")
"""A verb, and its object in quotes: "Add \"Let Max in\" on Friday"."""
_RUN_ON = re.compile(
    r"([A-Z](?:(?<=[^\W_][ )\"'%].)|(?<=[^\W_][ )\"'%] .))[a-z]{1,14})"
    rf" ([^\s@]{{1,64}}@[^\s@]|{_ID}|[a-z]{{1,24}}\b|\d)"
)
"""A word with a capital inside of a sentence, and what follows: a title or a subject often ends without a full stop,
and then an order begins ("Pizza party Pay the host again")."""
_RUN_ON_OBJECTS = listed(
    "a an the this that these those my your our his her their its it me us them him all any each every everybody "
    "everyone everything"
)
"""What follows the verb of an order, and hardly ever a noun: "Team Call with Kim" is a title."""
_RUN_ON_IDS = re.compile(
    rf"[A-Z](?:(?<=[^\W_][ )\"'%].)|(?<=[^\W_][ )\"'%] .))[a-z]{{1,14}} {_ID}(?:, {_ID})*,? (?:and|or) {_ID}"
)
"""Several ids behind a verb: "nice colour Lock th-1, th-2 and th-3". Of a title, one follows."""
_RUN_ON_PLACE = re.compile(
    r"[A-Z](?:(?<=[^\W_][ )\"'%].)|(?<=[^\W_][ )\"'%] .))[a-z]{1,14} (?:in public (?:that|how|what)\b"
    r"|(?:in|into|to|on) [#@][\w-]|(?:at|in|into|on|under|to) "
    r"(?:the|your|every|each) (?:very )?(?:end|top|bottom|beginning|start|subject|answer|reply|text|summary|note"
    r"|message)\b(?! of\b))"
)
"""Where something is to be written: "the wiper is gone Write at the end that ..."."""
_RUN_ON_PARTICLE = re.compile(
    r"[A-Z](?:(?<=[^\W_][ )\"'%].)|(?<=[^\W_][ )\"'%] .))(?:witch|urn|et|hut|ut|ass|and|all|ake|ign|og|ive) "
    r"(?:on|off|up|out|down|over|back|away|in) (?:a|an|the|this|that|these|those|my|your|our|his|her|their|it"
    r"|everything)\b"
)
"""The same with a verb of two words: "from 109 euros Switch on the reply". The switch on a wall has no capital."""
_ONE_MORE = re.compile(
    rf"(?:\b([\w']{{1,24}})\W{{1,3}})?\b([a-z]{{2,24}}) {_ID},? (?:too|as well|also|instead|again|in addition)\b"
)
"""A verb, an id, and that it comes on top of something else: "to be safe book H-12 as well"."""
_FRONTED = re.compile(
    r"^\W{0,4}(?:because of|due to|owing to|in (?:view of|return for|addition to)|instead of|for|as|after|before|until)"
    rf" ((?:[\w'-]{{1,24}} ){{0,4}}?)([\w'-]{{1,24}}) ([a-z]{{2,24}}) (?:back )?"
    rf"(?:{_ID}|[$€£¥₹]? ?\d|[^\s@]{{1,64}}@[^\s@])[^.!?\n]{{0,24}} (?:to|now|today|at once|immediately)\b"
)
"""A reason, and then an order without a comma: "because of arrears pay 2000 EUR at once"."""
_BEFORE_NO_ORDER = _PRONOUNS | listed(
    "you to a an the this that my your our his her its their can could will would shall should may might must did does "
    "do not never of for with by per next last each every"
)
"""Words behind which a verb is none of an order."""
_BEFORE_LABELS = listed(
    "about on in under via see old new same other another wrong right first second latest paid sent got gave had has "
    "have made took wrote bought sold found lost saw kept"
)
"""Words behind which an imperative that is also a noun is one, as it is behind `-ed`: "received order"."""
_ARTICLES = listed("a an the this that these those my your our his her its their any all some")
_MANY = listed("people staff everyone everybody children members")
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
        """Whether it may have one of `_FORMS`."""
        return _FORMS.may_be_in(self._lowered)


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
    if sorts & _TRIGGER and (_has_trigger(spaced, sorts, text) or _runs_on(sentence)):
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
    if "_" in lowered and orders_as_call(lowered, _CLEAR_VERBS):
        return True
    if " to be " in lowered and (said_to_be_done(lowered, IMPERATIVES) or orders_as_fact(lowered, _CLEAR_VERBS)):
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
    return _asks_for_act(lowered, text)


def _asks_for_act(lowered: str, text: KnownText) -> bool:
    """Return whether a sentence asks for an act in another form than an imperative: as a duty of somebody who is named,
    as a wish of somebody, as something to be had done, or with what to open or to follow right behind the verb."""
    if text.has_forms and any(orders(match) for match, orders in _FORMS.matches(lowered)):
        return True
    if (fronted := _FRONTED.match(lowered)) is not None and _is_order_behind(*fronted.groups()):
        return True
    if (purpose := _PURPOSE.match(lowered)) is not None:
        words = purpose.group(1).split()
        return any(word in IMPERATIVES and later in _AFTER_VERBS for word, later in pairwise(words))
    return False


def _has_verb(match: re.Match[str]) -> bool:
    return match.group(1) in IMPERATIVES


def _has_clear_verb(match: re.Match[str]) -> bool:
    return match.group(1) in _CLEAR_VERBS


def _has_verb_of_order(match: re.Match[str]) -> bool:
    return _orders(*match.groups())


def _has_verb_of_duty(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _SUBJECT_CHARS_MAX) : match.start()].split()
    return match.group(1) in IMPERATIVES and bool(before) and before[-1] not in _PRONOUNS


_FORMS = SievedSet[Callable[[re.Match[str]], bool]](
    (
        (_VERB_AND_PLACE, _has_verb),
        (_ONE_MORE, _has_verb_of_order),
        (_SET_TO, bool),
        (_HAVE_DONE, bool),
        (_QUOTED, _has_clear_verb),
        (_WISH, _has_verb),
        (_DUTY, _has_verb_of_duty),
        *((pattern, partial(orders, _CLEAR_VERBS)) for pattern, orders in FACTS),
    )
)
"""Forms of orders without an imperative, and whether a match of one is an order."""


def _orders(before: str | None, verb: str) -> bool:
    """Return whether a verb is that of an order, by the word before it."""
    if verb not in IMPERATIVES or before in _BEFORE_NO_ORDER:
        return False
    is_noun = before is not None and (before.endswith(("ed", "ing")) or before in _BEFORE_LABELS)
    return not (is_noun and verb in _ALSO_LABELS)


def _is_order_behind(reason: str, before: str, verb: str) -> bool:
    """Return whether an order stands behind a reason. Of "until Friday guests pay 20 EUR now", guests pay."""
    is_phrase = not set(reason.split()) <= _ARTICLES
    return _orders(before, verb) and not (is_phrase and (before.endswith("s") or before in _MANY))


def _runs_on(sentence: str) -> bool:
    """Return whether an order begins inside of a sentence, with a capital and no sign before it."""
    for match in _RUN_ON.finditer(sentence):
        verb, following = match.group(1).lower(), match.group(2)
        if verb in IMPERATIVES and (
            following in _RUN_ON_OBJECTS
            or "@" in following
            # "Policy Update 3" and "Order PO-12" are titles. What can be nothing but a verb orders with any object.
            or verb not in AMBIGUOUS_VERBS
        ):
            return True
    if _RUN_ON_PARTICLE.search(sentence) is not None:
        return True
    return any(
        verb in verbs
        for pattern, verbs in ((_RUN_ON_IDS, _CLEAR_VERBS), (_RUN_ON_PLACE, IMPERATIVES))
        for verb in (match[0].split(" ", 1)[0].lower() for match in pattern.finditer(sentence))
    )


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
                word not in _ALSO_LABELS
                or following in _AFTER_VERBS
                or (word not in _BEFORE_ADDRESSES and _TO_ADDRESS.match(clause, match.end(1)) is not None)
            )
        if word in _NEVER and following is not None:
            return True
        if word not in _OPENERS:
            return False
        position = match.end(1)
    return False
