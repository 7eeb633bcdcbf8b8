"""What a request asks for in words that no single verb says: "call it off", "get her a seat", "Ada needs to see it".

A phrase stands for kinds of acts as a verb of `streams.provenance.acts.words` does. Phrases that are made of a verb and
a particle may have an object between them. Everything is read in lower case, and a negation before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from streams.provenance.acts.asked import STOPS
from streams.provenance.acts.wishes import WISHES
from streams.provenance.acts.wishes_at_work import WISHES_AT_WORK
from streams.provenance.acts.wishes_in_passing import WISHES_IN_PASSING
from streams.provenance.acts.words import PHRASES
from streams.provenance.sieved import SievedSet
from streams.provenance.words import listed

_PARTICLES = listed("on off up down in out back over away through aside forward")
_OBJECTS = listed("it them that this these those him her us me the my our his their your all both everything a an")
"""Words with which an object between a verb and its particle begins."""
_GAP_WORDS_MAX = 3
_WISH = (
    r"\b(?:wants?|needs?|i'd like|we'd like|would like|prefer|can (?:i|we) (?:have|get)|could (?:i|we) (?:have|get))"
)
"""How people begin to say what they would like to have."""
_WISH_ENDS = (
    r"(?:$|(?=\s*[.,!?;\n])|(?=\s+(?:please|pls|plz|now|here|today|asap|immediately|instead|but|because|at once"
    r"|right (?:now|away)|on the (?:phone|line)"
    r"|(?:to|who can|that can) (?:talk|speak|chat|call|help|assist|look|take over|deal|handle))\b))"
)
"""What follows a person whom somebody wants to speak to; whose number or report is wanted has other words there."""
_DIGITS = r"\d+(?:[.,]\d+)*"
_IN_WORDS = (
    r"(?:an? )?(?:(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|fou?rty|fifty"
    r"|sixty|seventy|eighty|ninety|couple|few|hundred|thousand|million)[ -](?:of |and )?){1,4}"
)
_NAME = r"[^\W\d_]+"
"""A person, or what is his of one: "him", "Tom", "(my) flatmate"."""
_SUM = (
    rf"(?:[$€£] ?{_DIGITS} ?(?:k|m|thousand|grand|million)?"
    rf"|(?:{_DIGITS} ?(?:k|m|thousand|million)? ?|{_IN_WORDS})"
    r"(?:[$€£]|euros?|dollars?|pounds?|eur|usd|gbp|chf|bucks|quid|grand))(?![\w-])"
    # "Send Anna 5k", but not "the 10k" or "5k photos"
    rf"|(?<!the ){_DIGITS}k(?=\s*(?:[.,!?;\n]|\Z)"
    r"|\s+(?:to|this|next|each|every|on|for|by|as|today|tomorrow|now|please|from|via|back)\b)"
)
"""An amount of money as it is said in a chat: "$5k", "2k euros", "fifty bucks", "5k"."""
_PATTERNS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(pattern), frozenset(kinds.split()))
    for pattern, kinds in (
        # "Get her a seat", but not "get all the orders"
        (
            r"\b(?:get|grab|find) (?:me|us|him|her|them|everyone|everybody|(?!all|back|only|just|both)[a-z]+) "
            r"(?:a|an|one|two|three|four|five|some|tickets?|seats?|rooms?)\b",
            "book pay create",
        ),
        # "I want him to have a card", "I'd like my sister to get my miles"
        (
            r"\b(?:want|need|like|wish) (?:him|her|them|(?:my|our|the) \w+) to (?:have|get|receive)\b",
            "create book pay share send",
        ),
        # "I'd prefer another seat", "we need two more bags", "can I have a bigger one?"
        (
            rf"{_WISH} (?:\w+ ){{0,2}}(?:another|extra|additional|new|different|other|more|replacement|bigger|smaller"
            r"|larger|cheaper|better|faster|slower|longer|shorter|earlier|later)\b",
            "change book create pay",
        ),
        # "If it's under 500, take it", "take that one please"
        (
            r"(?<!\bto )(?<!\bi )(?<!\byou )(?<!\bthey )(?<!\bcan )"
            r"\b(?:take|grab|go for) (?:it|them|this|that|(?:this|that|the \w+) one|both)"
            r"(?: then| please)?(?=\s*(?:[.,;!?\n]|\Z))",
            "book change create pay",
        ),
        # "I'd rather have the red one"
        (r"\b(?:rather (?:have|take|keep|fly|go|get)|prefer) (?:the|an?|to)\b", "change book"),
        # "I'd rather have it repaired in Leeds"
        (r"\b(?:i|we)(?:'d| would) (?:much )?rather (?:have|get|see) (?:\S+ ){1,4}\w+ed\b", "change book"),
        # "Push the review to Friday", "move lunch back by an hour", "bring it forward"
        (
            r"\b(?:push|pull|bring|move|shift|slide|bump|nudge|put) (?:\S+ ){1,8}"
            r"(?:(?:to|until|till) (?:the )?(?:today|tonight|tomorrow|noon|next|this|morning|afternoon|evening|"
            r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d)|by (?:an?|half|one|two|three|\d+) "
            r"(?:minutes?|hours?|days?|weeks?|months?)|(?:forward|back|ahead|earlier|later)\b)",
            "change",
        ),
        # "Put a tenth of it aside", "send her my share", "give them 20 euros"
        (r"\b(?:put|set|lay|move)\b[^.!?;\n]{1,80}\baside\b|\binto (?:my|our|the) savings\b", "pay change create"),
        (
            r"\b(?:send|give|wire|get) (?:\S+ ){1,3}(?:my|his|her|our|their|the) (?:own )?"
            r"(?:share|half|cut|contribution|portion|(?<!the )(?:third|quarter|fifth|sixth|eighth|tenth|part)"
            # Not "my quarter report"
            r"(?=\s*(?:[.,!?;\n]|\Z)"
            r"| (?:of|for|in|to|on|by|as|at|from|via|and|too|back|now|today|tomorrow|please|this)\b))\b"
            r"(?! (?:of|in) (?:\w+ )?(?:file|report|page|work))",
            "pay",
        ),
        # "Send Carys an extra 50 this month", "send her the 150 for May": what has no name is money
        (
            r"\b(?:send|give|wire|lend|slip) (?:[^\s.,!?;]+ ){1,3}"
            r"(?:(?:(?:an )?(?:extra|additional)|another|a further) \d|(?:the|those|his|her|their) \d\d)"
            r"\d*(?:[.,]\d+)?(?=\s*(?:[.,!?;\n](?!\d)|\Z)|\s+(?:this|next|each|every|on|for|by|as|today|tomorrow|now|please)\b)",
            "pay",
        ),
        # "Give Tom his 8.40", "send him 15.50 back". Not "send build 2.45 to them", nor "give Kim 10.30"
        (
            rf"\b(?:send|give|pay|wire|transfer|hand) (?:my )?(?!(?:me|us|the|a|an)\b){_NAME} (?:his|her|their) "
            r"\d+[.,]\d\d(?=\s*(?:[.,!?;]\s|[!?;\n]|\.?\Z)|\s+back\b)"
            r"|\b(?:send|give|pay|wire|transfer|hand) (?:him|her|them|everybody|everyone) \d+[.,]\d\d back\b",
            "pay",
        ),
        # "Send the exact amount that I was charged to the club", "send a third of the rent to Jo"
        (
            r"\b(?:send|give|wire|transfer) (?:[^\s.,!?;]+ ){0,2}?(?:the|that) (?:very )?exact (?:amount|sum)\b"
            r"(?! of (?!money\b))[^.!?;\n]{0,80}?\bto (?!me\b|us\b)"
            r"|\b(?:send|give|wire|transfer) (?:a|one) (?:half|third|quarter|fifth|sixth|tenth) of "
            r"(?:it|that|the (?:rent|bill|cost|costs|price|amount|total|sum|money)) to\b",
            "pay",
        ),
        # "Move 200 from my savings to my current account"
        (
            rf"\b(?:move|shift|put) (?:{_SUM}|{_DIGITS}) (?:more |over )?(?:from|to|into|onto) (?:my|our|the) "
            r"(?:[\w-]+ ){0,3}?(?:account|savings|pot|wallet)\b",
            "pay change",
        ),
        (
            r"\b(?:send|give|lend|loan|hand|slip|shoot|spot|pass|venmo|zelle|paypal|cashapp) "
            rf"(?:\S+ ){{0,3}}(?:{_SUM})",
            "pay",
        ),
        # "Send the same amount to the printer". Not "the same amount of photos"
        (
            r"\b(?:send|give|pay|wire|transfer) (?!me\b|us\b)(?:[^\s.,!?;]+ ){0,4}?"
            r"the (?:same|full|whole|usual|remaining|outstanding) (?:amount|sum)\b(?! of (?!money\b))",
            "pay",
        ),
        # "Close it with a comment that says so". Not "find the issue with a comment that says so"
        (
            r"\b(?:close|merge|reject|approve|resolve|decline|reopen|return)\b[^.!?;\n]{0,60}? "
            r"with (?P<verb>a (?:[a-z]+ )?(?:comment|message|reply) (?:that (?:says?|explains?|it|this|we|the)\b"
            r"|saying|explaining|why\b|to say|which (?:says?|explains?)))",
            "send post",
        ),
        # "Open the same in the other project"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:and|then|please|to|just|you) )(?P<verb>(?:open|file|raise|log) "
            r"(?:the same|a similar|another|a second)(?: one| issue| ticket| bug)? (?:in|at|on|for|against)\b)",
            "create",
        ),
        # "Get Kim's signature on it", "have the contract signed by Kim"
        (
            r"\b(?:get|obtain|collect|request) (?:[\w'-]+ ){1,3}signature\b"
            r"|(?:^|[,.;:!?\n]\s?|\b(?:and|then|please|to) )(?:have|get) (?:[\w'-]+ ){1,4}signed by (?!then\b|now\b)",
            "send create",
        ),
        # "Send somebody", "have a plumber come", "get someone to look at it"
        (
            r"\b(?:send|get|have) (?:(?:somebody|someone)\b(?! (?:a|an|the|my|our|this|that)\b)"
            r"|(?:an?|the|your|another) "
            r"(?:\w+ )?\w+ (?:to )?(?:come|visit|ring|call|look|drop by|stop by|pick|collect|repair|fix|inspect))\b",
            "book send create",
        ),
        # "It must only be visible to Kim", "keep it private": who narrows access has not asked to open anything.
        (
            r"\b(?:only|just) (?:be |become )?(?:visible|accessible|readable|viewable|editable) (?:to|for|by)\b"
            r"|\b(?:visible|accessible|readable|viewable|editable) (?:only|just) (?:to|for|by)\b"
            r"|\b(?:make|keep|turn) (?:\S+ ){1,4}(?:private|confidential)\b",
            "secure change",
        ),
        # "It should be visible to Kim", "make the folder public", "give Kim and Lee edit rights"
        (
            r"(?<!only )(?<!just )\b(?:be|become|stay|remain) (?:visible|accessible|readable|viewable|editable)"
            r" (?:to|for|by)\b"
            r"|\b(?:make|turn) (?:\S+ ){1,4}public\b|\b(?:give|grant) (?:\S+ ){1,6}(?:rights?|access|permissions?)\b",
            "share secure change",
        ),
        # "I want to fly home on Friday", "we need to get to Oslo"
        (
            r"\b(?:want|wanna|need|like|have) (?:to )?"
            r"(?:fly|travel|leave|depart|(?:get|go|come) (?:to|from|back|home|out))\b",
            "book change create pay",
        ),
        (r"\binstead\b", "change book"),
        # "I don't want it any more", "she no longer needs the room", "I want out of my contract"
        (
            r"\b(?:don't|dont|do not|doesn't|does not|won't) (?:want|need|use)\b[^.!?;\n]{0,40}"
            r"\b(?:any ?more|any longer)\b|\bno longer (?:want|need|require|use)s?\b"
            r"|\bwants? (?:\w+ ){0,2}(?:gone|out of)\b|\b(?:get|take) me off\b",
            "delete change",
        ),
        # "I ordered it by mistake", "it arrived broken", "they don't fit"
        (
            r"\bby (?:mistake|accident)\b|\b(?:was|were|made) (?:a|an|my) (?:\w+ )?(?:mistake|error|accident)\b"
            r"|\b(?:ordered|bought|booked|chose|picked|got|sent|received) (?:me )?the wrong\b"
            r"|\b(?:arrived|came|was delivered) (?:\w+ )?(?:damaged|broken|defective|faulty|cracked|wrong|late)\b"
            r"|\b(?:doesn't|don't|didn't|does not|do not) fit\b|\btoo (?:small|big|large|tight|loose|short|long) for\b",
            "change delete",
        ),
        # "It should say Elena, not Elana", "the street is spelled wrong"
        (
            r"\b(?:should|must|ought to) (?:say|read|be spelled|be spelt)\b"
            r"|\b(?:is|are|was) (?:spelled|spelt|written) \w+"
            r"|(?<!what )\b(?:is|are) (?:wrong|incorrect|outdated|misspelled|misspelt)\b",
            "change",
        ),
        # "I was charged twice", "you owe me 20", "I want all of that money back"
        (
            r"\b(?:overcharged|double charged)\b|\bowe (?:me|us)\b"
            r"|\b(?:charged|billed|paid) (?:me |us |for it )?(?:twice|double|two times|too much)\b"
            r"|\b(?:want|need|get|have) (?:my|the|that|all(?: of)?)(?: \w+){1,2} back\b",
            "pay change",
        ),
        # "Somebody stole my phone", "I lost my card"
        (r"\b(?:stole|lost) my\b|\b(?:was|were|got|been|it's|is) (?:\w+ )?stolen\b", "secure change"),
        # "My sister is joining us"
        (r"\b(?:joins|join|joining|coming with|comes with|come with) (?:me|us)\b", "book create change share"),
        # "I don't want to talk to a bot, is somebody there?"
        (
            r"\b(?:talk|speak|chat) (?:to|with) (?:a |an |the |your |some)?"
            r"(?:human|person|body|one|bot|machine|manager|supervisor|representative|agent|colleague)\b"
            r"|\b(?:real|actual|live) (?:person|human|agent|people)\b|\b(?:somebody|someone|anybody|anyone) there\b"
            r"|\b(?:want|need|get|get me|transfer me to|connect me (?:to|with)|put me through to) "
            rf"(?:a|an|the|some|your) (?:\w+ )?(?:human|representative|supervisor|manager){_WISH_ENDS}"
            r"|\bhuman being\b|\bnot? (?:a )?(?:bot|robot|machine)\b",
            "send",
        ),
        # "Make it two", "can you make that the later flight?"
        (r"\bmake (?:it|that|them|my \w+|the \w+) (?!sure\b|clear\b|work\b|a note\b)\w+", "change"),
        (r"\bsplit (?:it|them|that|the (?:payment|amount|bill|cost|total|price))\b", "pay"),
        # "The auditor needs to see the file", "so that she can see it", but not "I need to see my bill"
        (
            r"\b(?:(?:needs|wants|asked) (?:to (?:see|view|read|edit|open|get into|look at)|(?:\w+ )?access)"
            r"|they (?:need|want) (?:to (?:see|view|read|edit|open)|(?:\w+ )?access)"
            r"|so (?:that )?(?:he|she|they) can (?:see|view|read|edit|open|get into)"
            r"|let (?!me\b|us\b|you\b)(?:\w+,? ){1,4}(?:see|view|read|edit|open|join|into|comment)"
            r"|(?:ask(?:s|ed)?|request(?:s|ed)?) (?:\S+ ){0,4}for (?:\w+ )?access)\b",
            "share secure",
        ),
        # "Find an hour on Tuesday and block it", "block the slot for us"
        (
            r"\b(?:hour|slot|time|morning|afternoon|window)s?\b[^.!?\n]{0,80}\b(?:and|then|please) "
            r"(?P<verb>block (?:it|that|them|out|off)\b)"
            r"|\bblock (?:out |off )?(?:an|a|the|that|this|two|half) (?:[\w-]+ )?"
            r"(?:hour|slot|time|morning|afternoon|window)s?\b",
            "book create",
        ),
        # "Send one of them back to him"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:please|and|then|to|just|can you|could you) )"
            r"(?P<verb>send (?:it|them|this|that|these|those|"
            r"(?:one|some|all|both|half|two) of (?:it|them|those|these)) back\b)",
            "pay send change",
        ),
        # "Send the last debit back", "send the charger back to them"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:please|and|then|to|just|can you|could you) )"
            r"(?P<verb>send (?:the|that|this|my|those|these) (?:[\w-]+ ){1,4}back\b)",
            "send change",
        ),
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:please|and|then|to|just|can you|could you) )"
            r"(?P<verb>send (?:the|that|this|my|those|these) (?:[\w-]+ ){0,2}"
            r"(?:debit|payment|charge|transfer|money)s? back\b)",
            "pay",
        ),
        # "Post the tickets to me on paper", "have it sent by registered mail"
        (
            r"\b(?:post|mail|sen[dt]|ship|deliver) (?:\S+ ){0,10}"
            r"(?:on paper|by (?:registered |normal )?(?:post|courier|letter)|by registered mail|in the post)\b",
            "change book send",
        ),
        # "Wish them good luck", but not "I wish them well"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:and|then|please|to|just) )(?P<verb>wish (?!me\b|us\b|i\b|you\b|to\b)\w+)",
            "send post",
        ),
        # "Take the cheapest one", "I'll take the second"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:i'll|we'll|i will|we will|let's|please|just|then|and|i'd|ok|okay|yes) )"
            r"(?P<verb>take (?:the (?:cheapest|cheaper|best|first|second|third|last|other|earlier|later|bigger|smaller)"
            r"(?= one\b| option\b|\s*[.!]?\s*\Z)|(?:that|this) one\b|one of (?:them|those)(?=\s*[.!]?\s*\Z)"
            r"|the one (?:that |which )?(?:they|he|she|it|the \w+|is|has|with|near|nearest|closest|for|at|in)\b))",
            "book create pay",
        ),
        # "Send my itinerary to Arun": who has a thing of many pages or of a place sent has it shared
        (
            r"\b(?:send|forward|give|pass|get) (?:(?:him|her|them|[a-z]+) )?(?:my|our|the|this|that|his|her|their)"
            r" (?:[\w-]+ ){0,2}(?:itinerary|calendar|album|folder|playlist|location|board|notebook|whiteboard|dashboard"
            r"|travel plans?)\b",
            "share",
        ),
        # "Object to it"
        (
            r"(?:^|[,.;:!?\n]\s?|\b(?:i|we|please|and|then|to|just) )"
            r"(?P<verb>object to (?:it|this|that|the|these|those|both)\b)|\braise an objection\b",
            "create change",
        ),
        # "Put 4.2 on staging", "it can go live"
        (
            r"\b(?:put|push|move|bring|ship|get|promote) (?:\S+ ){1,4}(?:on|onto|into|in|to) (?:the )?"
            r"(?:staging|production|prod|live|test)\b|\b(?:go|goes|bring \w+|put \w+) live\b",
            "run post",
        ),
        # "Block the first for tax", "block two hours on Friday": in a calendar
        (
            r"\b(?:block|keep|hold|reserve) (?:out |off )?(?:the |that |this |an? |my |it )?"
            r"(?:(?:first|second|next|last|whole|half|two|three|\d+) )?(?:[\w-]+ )?(?:(?:hours?|minutes?|slot|time|gap"
            r"|day|morning|afternoon|evening)\b|(?<=first )(?=for\b)|(?<=second )(?=for\b)|(?<=last )(?=for\b))",
            "create book change",
        ),
        # "Tell me when flights get cheaper": what watches over something is created
        (
            r"\b(?:tell|warn|alert|notify|remind|let|inform) (?:me|us) (?:know )?(?:when(?:ever)?|if|once|as soon as)\b"
            r"[^.!?;\n]{1,80}\b(?:gets?|becomes?|is|are|goes?|drops?|falls?|rises?) (?:\w+er|available|back|free|below"
            r"|under|above|over|down|up)\b",
            "create",
        ),
        # "Take everyone off", "kick all others out": they lose access
        (
            r"\b(?:take|kick|throw|get|cut) (?:every(?:one|body)|all|anyone|anybody|the others|(?:\S+ ){1,2}others?) "
            r"(?:\w+ )?(?:off|out)\b",
            "delete change secure share",
        ),
        # "Leave a comment", "give it a good review"
        (
            r"\b(?:leave|drop|give \w+|add|put) (?:a|an|another|one|some) (?:[\w-]+ )?"
            r"(?:comment|review|rating|reaction)s?\b",
            "post",
        ),
        (r"\b(?:leave|drop) (?:\w+ )?(?:a|an|another|one) (?:[\w-]+ )?(?:message|note|reply)s?\b", "send post create"),
        # "Close it and say so", "you can say so in #backend", but not "if the guests say so"
        (r"\bsay so (?:in|to|on)\b|(?:^|[,.;:!?\n]\s|\b(?:and|then|please|to|just) )say so\b", "send post"),
        # "Make him a door code", "I need the porting code"
        (
            r"\b(?:make|create|generate|issue|set up|get|give) (?:\S+ ){0,4}"
            r"(?:door|access|entry|guest|gate|visitor)[ -](?:code|pin|passcode|pass|card)s?\b",
            "secure share create",
        ),
        (
            r"\b(?:i|we)(?:'d)? (?:also |still |just )?(?:need|want|like) (?:the|an?|my|our) (?:[\w-]+ ){0,3}"
            r"(?:code|certificate|attestation|confirmation)\b",
            "create send",
        ),
        # "Thank them for it", but not "thank you"
        (r"\bthank (?!you\b|god\b|goodness\b)\w+", "send post"),
        # "Sounds good, next step please"
        (r"\b(?:next|following) (?:step|stage|round|phase)\b", "change"),
    )
)

_ALL_PATTERNS = SievedSet(chain(_PATTERNS, WISHES, WISHES_AT_WORK, WISHES_IN_PASSING))


def gapped_phrases(words: Sequence[str]) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield the places and kinds of verbs whose particle follows an object: `take the chair out`.

    Args:
        words: of a text, in lower case, with its stops.
    """
    for index, word in enumerate(words):
        if word not in PHRASES or index + 2 >= len(words) or words[index + 1] not in _OBJECTS:
            continue
        for later in words[index + 2 : index + 2 + _GAP_WORDS_MAX]:
            if later in STOPS:
                break
            if later in _PARTICLES:
                for parts, kinds in PHRASES[word]:
                    if parts == (word, later):
                        yield index, kinds
                break


def patterned_phrases(lowered: str) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield the places, in characters, and kinds of the other phrases in a text in lower case."""
    for match, kinds in _ALL_PATTERNS.matches(lowered):
        yield match.start("verb" if match.re.groups and match["verb"] else 0), kinds
