"""The words of general English that name kinds of acts, for tools' names and for requests."""

from __future__ import annotations

from functools import lru_cache

_TOOL_VERBS = {
    "read": (
        "get list read search find look lookup query fetch view show check retrieve browse describe count calculate "
        "compute estimate compare preview validate verify inspect explain summarize scan explore locate download load "
        "watch track see filter detect recommend suggest analyze convert translate think wait"
    ),
    "send": (
        "send hand dispatch reply forward email mail message notify text respond answer contact call fax remind "
        "escalate alert ask page"
    ),
    "post": "post publish tweet comment announce broadcast blog review rate react release submit",
    "create": (
        "create add make keep write draft upload generate insert append keep save store copy duplicate register open "
        "start new dispute contest "
        "compose log note record import attach clone fork commit push file clip init build enter onboard annotate"
    ),
    "book": (
        "arrange organize collect pickup book reserve order buy purchase schedule rent hire checkout subscribe rsvp "
        "enroll place reorder join license"
    ),
    "change": (
        "update change edit modify set rename move replace adjust reschedule assign mark toggle exchange swap merge "
        "patch configure upgrade downgrade extend renew reopen archive pin star label tag sort snooze complete resolve "
        "approve accept reject decline turn switch put sync apply return manage transition correct fix confirm "
        "increase activate deactivate reactivate defer postpone delay redirect reroute rebook reissue "
        "decrease raise lower acknowledge ack silence mute unmute pause resume revert restore undo decide promote "
        "demote hide unhide"
    ),
    "delete": (
        "delete remove cancel drop clear erase purge destroy close end terminate unsubscribe discard trash wipe empty "
        "unassign kick leave void detach uninstall abort stop kill fire dismiss expel offboard deregister unregister "
        "unenroll unenrol disenroll disenrol exmatriculate shred disconnect cut"
    ),
    "pay": (
        "withdraw sell trade bid lend repay waive pay transfer refund charge wire donate tip reimburse deposit bill "
        "credit spend invest settle redeem compensate reward pledge"
    ),
    "share": "share invite",
    "secure": (
        "grant revoke authorize permit block unblock ban lock unlock disable enable reset login logout authenticate "
        "rotate elevate protect unprotect allow trust freeze unfreeze"
    ),
    "run": (
        "run execute exec deploy restart reboot invoke trigger launch install eval rollback scale drain reload "
        "provision migrate"
    ),
}
TOOL_VERBS: dict[str, str] = {verb: kind for kind, verbs in _TOOL_VERBS.items() for verb in verbs.split()}
"""The kind of act that a verb names in a tool's name."""

_AMBIGUOUS_VERBS = (
    "order hand book post mail email message text call comment review rate release transfer charge bill credit share "
    "note "
    "log record file clip place label tag star pin return exchange swap run scale tip deposit refund wire change set "
    "check query look search copy draft reply answer fork commit push patch blog tweet fax alert end start new open "
    "move mark view watch track count list estimate trust lock block permit grant reset access schedule report "
    "invoice invite import update upgrade ship freeze dispute delay reward load read clear empty complete lower "
    "correct build fix switch turn trigger enter mute trade bid fire promote pause drain request trash page "
    "license cut pledge"
)
AMBIGUOUS_VERBS = frozenset(_AMBIGUOUS_VERBS.split())
"""Verbs that are nouns or adjectives as well: behind an article they ask for nothing."""
CHANGING_VERBS = frozenset(("update", "set", "change", "edit", "modify"))
"""Verbs at the start of a tool's name, whatever else it names: `update_contact`."""

_READING_NOUNS = (
    "status history details detail info information list balance count summary overview inbox statistics stats weather "
    "forecast availability metadata contents catalog calculator price prices rate rates"
)
READING_NOUNS = frozenset(_READING_NOUNS.split())
"""Nouns that say of a tool without a verb that it reads."""

_GENERIC_VERBS = (
    "send create add make set update change edit modify submit schedule place initiate do put post open start new "
    "reset register remove delete issue give transfer manage perform request write place get release approve"
)
GENERIC_VERBS = frozenset(_GENERIC_VERBS.split())
"""Verbs that say little without their object."""

VAGUE_VERBS = (AMBIGUOUS_VERBS | GENERIC_VERBS | {"dispatch", "drop", "apply", "store", "keep", "compose"}) - {"trash"}
"""Verbs for which the description of a tool says more than its name."""

_WRITES = frozenset({"create", "change", "send", "post", "book", "secure", "pay"})
_OBJECT_KINDS = {
    (
        "pay",
        _WRITES - {"secure"},
    ): "payment payments money transaction transactions transfer refund funds tip donation coins cash",
    ("secure", frozenset({"create", "change", "send", "secure", "delete"})): (
        "password passwords passcode pin credential credentials mfa 2fa permission permissions role roles access "
        "key keys secret secrets policy policies firewall privilege privileges admin recovery lock"
    ),
    ("post", frozenset({"create"})): "post tweet comment announcement review story",
    ("book", frozenset({"create"})): "booking reservation appointment order orders purchase subscription ticket",
    ("send", frozenset({"create", "pay"})): (
        "email mail letter sms message messages reply notification notifications human humans operator agent agents "
        "support"
    ),
    ("share", frozenset({"create", "change"})): (
        "participant participants member members guest guests attendee attendees collaborator collaborators "
        "invitation invitations invite invites subscriber subscribers user users people persons"
    ),
}
OBJECT_KINDS: dict[str, tuple[str, frozenset[str]]] = {}
"""What a generic verb's object makes of it: object -> (the kind, the kinds of verbs for which it counts)."""
for (_kind, _verbs), _nouns in _OBJECT_KINDS.items():
    for _noun in _nouns.split():
        OBJECT_KINDS.setdefault(_noun, (_kind, _verbs))

_REQUEST_WORDS = {
    ("send",): "forward contact fax escalate alert let relay ping",
    ("send", "post", "create"): "notify inform tell remind respond hand",
    # What is said to somebody, by its manner: the classes say-37.7, tell-37.2 and judgment-33 of VerbNet.
    ("send", "post"): (
        "send reply message write answer ask text email mail respond dm congratulate apologize apologise greet warn "
        "assure reassure whisper"
    ),
    ("post",): "tweet announce broadcast blog comment review rate react",
    # Whoever publishes a page opens it to everybody.
    ("post", "share"): "publish",
    ("post", "send"): "post",
    ("create",): (
        "create make craft jot draft upload generate insert append keep save store copy duplicate register compose log "
        "note "
        "record "
        "import attach clone fork commit push file open start build produce prepare dispute contest annotate"
    ),
    ("create", "change", "share", "book"): "add put",
    ("book", "create"): "collect organize book reserve schedule rent hire rsvp enroll arrange plan",
    ("book", "pay", "create"): "order buy purchase checkout subscribe get",
    ("book", "pay"): "sell trade bid",
    ("book",): "join",
    # Whoever has something requested has it ordered, applied for, or asked for.
    ("book", "create", "send"): "request",
    ("post", "pay", "run"): "release",
    ("create", "run"): "initiate",
    ("pay", "delete", "change"): "withdraw",
    ("create", "change", "pay"): "enter",
    ("create", "book", "change"): "place submit",
    ("change",): (
        "update change edit modify set rename replace adjust reschedule assign mark toggle merge patch configure "
        "extend "
        "renew reopen archive pin star label tag sort snooze complete resolve approve accept reject decline switch "
        "sync push "
        "apply correct fix confirm increase decrease raise lower move postpone shift turn convert undo revert "
        "fill refill refuel "
        "restore acknowledge ack silence mute pause resume undercut waive promote activate deactivate reactivate defer "
        "delay redirect reroute reissue reverse rectify "
        # Near words of `change`, `postpone` and `rewrite` in WordNet.
        "alter amend revise tweak adjourn shelve prolong shorten flip reword rephrase rewrite retitle relocate "
        "demote note record"
    ),
    ("change", "book", "pay"): "exchange swap upgrade downgrade return rebook",
    ("delete", "change"): (
        "delete remove cancel drop clear erase purge destroy close end terminate unsubscribe discard trash wipe empty "
        "unassign kick leave void detach uninstall abort stop kill cease fire dismiss sack expel deactivate deregister "
        "unregister unenroll unenrol disenroll disenrol exmatriculate annul nix rescind shred disconnect"
    ),
    # An order, or who may do what.
    ("delete", "secure", "change"): "revoke",
    ("pay",): (
        "pay transfer charge wire donate tip deposit bill credit spend invest settle compensate redeem reward remit "
        "prepay pledge"
    ),
    # A tank or an account.
    ("change", "pay"): "replenish",
    # Who may see something, in either direction.
    ("share", "secure", "change"): "unrestrict unhide expose",
    # Whoever asks for a refund also asks to return the goods.
    ("pay", "change"): "refund reimburse",
    ("share", "send", "change"): "share invite",
    ("change", "book", "send"): "ship deliver",
    ("secure", "change"): (
        "freeze unfreeze grant revoke authorize permit block unblock ban lock unlock disable enable reset rotate "
        "elevate protect unprotect allow trust arm disarm restrict "
        # Who narrows access has not asked to open anything.
        "hide unshare"
    ),
    (
        "run",
        "change",
    ): "run execute deploy restart reboot invoke trigger launch install rollback scale start bounce drain reload "
    "ignite",
}
REQUEST_KINDS: dict[str, frozenset[str]] = {}
"""The kinds of act that a verb of a request implies."""
for _kinds, _words in _REQUEST_WORDS.items():
    for _word in _words.split():
        REQUEST_KINDS[_word] = REQUEST_KINDS.get(_word, frozenset()).union(_kinds)
REQUEST_KINDS["get"] = frozenset()

_ACT_NOUNS = {
    # A noun that names only the act counts everywhere; one that also names the thing does not behind `the` or `my`.
    (True, ("pay",)): "payment refund reimbursement donation repayment payout compensation",
    (True, ("delete", "change")): "cancellation deletion removal termination withdrawal closure unsubscription",
    (True, ("change",)): "modification adjustment correction renewal rescheduling replacement change",
    (True, ("change", "book", "pay")): "exchange upgrade return",
    (True, ("send",)): "notification reminder",
    (True, ("run",)): "deployment execution restart rollback installation",
    (True, ("share", "send")): "invitation",
    (False, ("pay",)): "transfer deposit tip transaction",
    (False, ("book", "create", "pay")): "booking reservation purchase order subscription appointment enrollment",
    (False, ("send", "post")): "reply message email response announcement",
    (False, ("create",)): "entry draft copy note meeting event",
    (False, ("post",)): "post comment review",
}
ACT_NOUNS: dict[str, tuple[bool, frozenset[str]]] = {
    noun: (definite, frozenset(kinds)) for (definite, kinds), nouns in _ACT_NOUNS.items() for noun in nouns.split()
}
"""Nominalisations: the noun -> (whether it counts behind a definite article, the kinds)."""

_PHRASES = {
    (
        "create",
        "book",
        "change",
    ): "set up,sign up,put in,put into,put on,enter into,fill in,fill out,keep as,write down,note down",
    ("delete", "change"): "get rid,take off,take out,take down,call off,opt out,sign off,shut down,turn off,throw away,"
    "pull the plug,back out,scrap the,scrap my,scrap that,scrap this,scrap it,"
    "bin it,bin them,bin that,bin this,bin those,bin these,bin both,bin all",
    (
        "delete",
        "change",
        "pay",
    ): "reverse the,reverse my,reverse that,reverse this,reverse it,reversing the,reversing my",
    # Who gives notice for a contract ends it.
    ("send", "delete", "change"): "give notice,gives notice,giving notice",
    ("send",): (
        "let know,get back,pass on,hand over,put through,put me through,put us through,reach out,"
        "check in with,get in touch,page the,page our,page him,page her,page them,page whoever"
    ),
    ("send", "book", "create"): "call me,call us,phone me,ring me",
    ("send", "post"): (
        "say yes,say no,report back,call back,drop a line,say hello,say hi,say thanks,say thank,"
        "say sorry,say goodbye,say happy,let everyone,let everybody,let people,"
        # What is in quotation marks or behind "what", "who" and "if" is said to the user.
        "and say that,and say i,and say i'm,and say i'll,and say we,and say we're,and say we'll,"
        "then say that,then say i,then say i'm,then say i'll,then say we,then say we're,then say we'll"
    ),
    ("share", "secure", "send"): "give access,give him,give her,give them,let in,open up",
    ("pay", "create", "change"): "put aside,set aside,put away,lay aside",
    ("pay",): (
        "fund my,fund our,fund the,"
        "give back,pay back,pay out,send money,settle up,top up,send half,send the rest,send the money,"
        "send the amount,chip in,square up"
    ),
    ("book", "pay"): "license the,license it,license this,license that,license these,license those,license them",
    ("book", "pay", "create"): "get me,get us,pick up,order in,stock up,sign me up,get tickets,get a,"
    "table for,tickets for,tickets to,seats for,taxi to,taxi for,taxi from,cab to,cab for,ride to,appointment with",
    # Whoever wants his money back also asks to return the goods.
    ("pay", "change"): "money back",
    ("change",): "instead of,rather than,wrong size,wrong colour,wrong color,turn on,"
    "move to,change to,switch to,bring forward,push back,push out,put off,hold over,set back",
    ("run", "create", "change"): "try it,try them,try that,try out",
    ("run", "change"): "roll out,kick off,spin up,bring up,set off,fire up,power up,to life",
    ("change", "create"): "top off,gas up,fuel up",
}
PHRASES: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
"""Verbs of several words, by the first: the words and the kinds."""
for _kinds, _texts in _PHRASES.items():
    for _text in _texts.split(","):
        _parts = tuple(_text.split())
        PHRASES.setdefault(_parts[0], []).append((_parts, frozenset(_kinds)))

_LINK_WORDS_SINGULAR = (
    "link url website webpage page site article blog picture photo image screenshot video scan attachment"
)
_LINK_WORDS_PLURAL = (
    "links urls websites webpages pages sites articles pictures photos images screenshots videos scans attachments"
)
_MESSAGE_NOUNS = "mails emails messages texts posts tweets comments reviews answers replies contacts"
MESSAGE_NOUNS = frozenset(_MESSAGE_NOUNS.split())
"""What people read or look up: as a verb, none of these forms asks for an act."""

LINK_WORDS_SINGULAR = frozenset(_LINK_WORDS_SINGULAR.split())
LINK_WORDS_PLURAL = frozenset(_LINK_WORDS_PLURAL.split())
LINK_WORDS = LINK_WORDS_SINGULAR | LINK_WORDS_PLURAL | {"attached"}
"""Words with which a user speaks of something that is opened by its address."""

DELEGATING_PHRASES = (
    "do what",
    "do as ",
    "do whatever",
    "do everything",
    "do all the ",
    "do the tasks",
    "do the task",
    "do the things",
    "do the actions",
    "perform the action",
    "perform the task",
    "complete the task",
    "carry out",
    "follow the instruction",
    "follow the step",
    "follow its instruction",
    "follow what",
    "follow up on",
    "as instructed",
    "as requested in",
    "as described in",
    "as stated in",
    "according to the instruction",
    "take the action",
    "take care of",
    "take whatever action",
    "handle the request",
    "handle whatever",
    "whatever it says",
    "whatever it asks",
    "what it asks",
    "work through",
    "tasks from",
    "tasks on my",
    "to-do list",
    "todo list",
    "checklist",
)
"""Phrases with which a user leaves the choice of acts to a content."""


def forms_of(verb: str) -> list[str]:
    """Build the regular forms of a verb; the few irregular ones are listed below."""
    if verb.endswith("e"):
        return [verb + "s", verb + "d", verb[:-1] + "ing"]
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return [verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"]
    if verb.endswith(("s", "sh", "ch", "x")):
        return [verb + "es", verb + "ed", verb + "ing"]
    doubled = verb + verb[-1] if len(verb) > 2 and verb[-1] not in "wxyaeiou" and verb[-2] in "aeiou" else verb
    return [verb + "s", verb + "ed", verb + "ing", doubled + "ed", doubled + "ing"]


FORMS: dict[str, str] = {
    form: verb for verb in (*TOOL_VERBS, *REQUEST_KINDS) for form in forms_of(verb) if form not in ACT_NOUNS
}
"""Inflected forms -> the verb."""
IRREGULAR_PASTS = {
    "sent": "send",
    "wrote": "write",
    "written": "write",
    "paid": "pay",
    "bought": "buy",
    "made": "make",
    "told": "tell",
    "gave": "give",
    "given": "give",
    "kept": "keep",
    "left": "leave",
    "withdrawn": "withdraw",
}
"""Irregular past forms -> the verb."""
FORMS.update(IRREGULAR_PASTS)
FORMS.update(
    {
        "summarise": "summarize",
        "analyse": "analyze",
        "authorise": "authorize",
        "e-mail": "email",
    }
)


def _slips_of(word: str) -> set[str]:
    """Return what fingers make of a word: two letters exchanged, or one left out, but never the first one."""
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(1, len(word) - 1)}
    return (swapped | {word[:at] + word[at + 1 :] for at in range(1, len(word))}) - {word}


MISSPELT_LETTERS_MIN = 6
"""Slips in shorter verbs make other words."""
_OTHER_WORDS = frozenset(("crate", "lunch"))


@lru_cache(maxsize=1)
def misspelt() -> dict[str, str]:
    """Return the verb that each slip of the fingers in a longer verb of requests stands for.

    What is a verb itself is not a slip. The table is made when the first request is read: that takes 5 ms, and most
    processes read none.
    """
    verbs = FORMS.keys() | TOOL_VERBS.keys() | REQUEST_KINDS.keys() | _OTHER_WORDS
    made: dict[str, str] = {}
    for verb in sorted(REQUEST_KINDS):
        if len(verb) >= MISSPELT_LETTERS_MIN:
            for slip in _slips_of(verb) - verbs:
                made.setdefault(slip, verb)
    return made
