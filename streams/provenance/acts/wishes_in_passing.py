"""What people have done at home and among friends without the usual verb for it.

"Send him what I owe him" pays, "Rui needs to be in the group" adds somebody, "welcome her in the chat" posts, and "I
need a cab at seven" books. They are read as those of `streams.provenance.acts.wishes`. Each names the thing, the person
or the place that such an act is about, so that a verb of many meanings asks for no more than one.

**What they leave out.** Each kind that is asked for takes away what is denied or asked about an act of that kind. So
they count at the beginning of a clause alone, and never in what is asked, what somebody else thinks, or what the user
only wants to be told ("report the main points").
"""

from __future__ import annotations

import re

from streams.provenance.acts.wishes_at_work import NOBODY, wish

_STARTS = r"(?:^|[.;!]\s{1,3}|\n\s{0,3})(?:(?:please|pls|also|and|so),? ){0,2}"
"""The beginning of a sentence. An address has full stops as well."""
_BEGINS = (
    r"(?:^|[,.;:!?]\s{1,3}|\n\s{0,3}|\b(?:please|pls|and|then|so|just|also"
    r"|(?<!how )(?<!what )(?<!why )(?<!when )(?<!where )(?<!who )(?:can|could|would|will) you"
    r"|have them|have somebody|(?<!do )(?<!did )(?<!if )(?<!why )(?<!when )(?<!should )(?<!would )(?<!could )"
    r"(?:i|we)(?:'d| would)? (?:want|need|like) (?:you )?to) )"
)
_NOT_ASKED = r"(?!(?:[^.!?;\n]|\.(?=\d)){0,160}\?)"
"""After what is said and not asked: no question mark ends the sentence."""
_ENDS = r"(?=\s*(?:[.,;!\n]|\Z)|\s+(?:now|then|please|too|as well|today|tomorrow)\b)"
_DET = r"(?:the|my|our|his|her|their|that|this|these|those|all|an?|any|[\w-]{1,30}'s?)"
_SOME = r"(?:[^\s.!?;,]{1,40} )"
_RIDE = (
    r"(?:[\w-]{1,20} )?(?:cab|taxi|car|ride|lift|limo|minibus|shuttle|uber)"
    r"(?=\s*(?:[.,;!\n]|\Z)|\s+(?:at|from|to|for (?:\d|me|us|him|her|them)|on|tomorrow|tonight"
    r"|today|now|please|home|by|around|back|this|next)\b)"
)
_GROUP = (
    r"(?:[\w-]{1,30} )?(?:groups?|channels?|chats?|teams?|lists?|rotas?|rosters?|threads?|servers?"
    r"|clubs?|folders?|projects?|workspaces?|albums?|repos?|repositor(?:y|ies))\b"
)
_THE_GROUP = rf"(?:#[\w-]|(?:the|our|my|this|that) (?:{_SOME}){{0,3}}?{_GROUP}(?! (?:call|meeting|lunch|dinner|trip)))"
_NAME = (
    rf"{NOBODY}(?!(?:me|us|you|him|her|them|people|somebody|someone|anybody|anyone|everybody|everyone)\b)"
    r"[\w@.'-]{2,60}"
)
_TOLD = (
    r"(?:main|key|most|points?|numbers?|figures?|results?|summary|summaries|problems?|prices?|status|findings?|news"
    r"|totals?|details?|facts?|contents?|text|answers?|names?|dates?|differences?|progress|outcome)"
)
"""What is reported to the user himself."""
_GUARDS = r"(?:two-factor|2fa|mfa|two factor|encryption|passcode|alarm system|firewall|child lock|parental controls?)\b"
_PARCELS = r"(?:parcels?|packages?|deliver(?:y|ies)|shipments?|boxes)\b"
_KEPT = r"(?:parcels?|packages?|mail|post|deliver(?:y|ies)|shipments?|boxes|orders?|letters?)\b"
_LATER = r"(?:until|till|while|for (?:a|the|two|three|\d))"

WISHES_IN_PASSING: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Send him what I owe him", "get it to Lena, my share is 15 euros", "square that with Ida"; a list of it is told
    wish(
        rf"{_BEGINS}(?P<verb>(?:send|give|get|pay|wire|transfer|return) (?!me\b|us\b)(?:[^\s.!?;,]{{1,40}} ){{0,4}}?"
        r"(?<!of )(?<!on )(?<!about )(?<!with )(?<!list )(?:what|whatever|all|everything|the (?:money|sum|amount|rest))"
        r" (?:that )?(?:i|we)(?: still)? owe\b)"
        rf"|{_STARTS}(?:i|we)(?: still)? owe [^.!?\n]{{0,40}}?\d[^.!?\n]{{0,40}}?[.,;!] ?(?:so |and |please |then )*"
        r"(?:can you |could you |would you )?(?:please )?(?:send|square|settle|sort|transfer)"
        r" (?:it|that|the money)\b(?! to (?:me|us)\b)"
        rf"|{_STARTS}(?:my|our) (?:share|half|part|contribution) (?:of|for|in) [^.!?\n]{{1,60}}?[,;] ?"
        rf"(?:so |and |please )*(?:send|get|give|transfer) (?:it|that) to\b(?! me\b| us\b){_NOT_ASKED}",
        "pay",
    ),
    # "Cover Mia's part of the rent", "put 50 euros on my prepaid card", but not in a summary
    wish(
        rf"{_BEGINS}(?P<verb>(?:cover|front|fund) {_DET} (?:{_SOME}){{0,3}}?(?:part|share|half|costs?|fee|fare|rent"
        r"|bill|fine)\b(?![^.!?\n]{0,60}\b(?:summary|summaries|report|text|answer|reply|notes|slides|story|mail|letter"
        r"|draft|overview|list)\b))"
        rf"|{_BEGINS}(?:put|load) (?:[a-z]{{3}} |[$\u20ac\u00a3] ?)?\d[\d.,]{{0,15}}(?: ?(?:euros?|eur|dollars?|usd"
        r"|pounds?|gbp|kr|kronor|sek|francs?|chf|zloty|pln|bucks|quid)| ?[$\u20ac\u00a3])? (?:on|onto)"
        r" (?:my|the|our|his|her|their)\b",
        "pay",
    ),
    # "Rui and Ana need to be in #launch", "get Ola into #design". Not "Kim thinks Rui should be in the group"
    wish(
        rf"{_STARTS}{_NAME}(?:(?:,| and|, and) {_NAME}){{0,4}}? (?:needs? to|ha(?:s|ve) to|should|must) (?:also"
        rf" |now )?be"
        rf" (?:added |put )?(?:in|into|on|to|onto) {_THE_GROUP}{_NOT_ASKED}"
        rf"|{_BEGINS}(?P<verb>get (?!me\b|us\b|rid\b|back\b|in\b)(?:{_SOME}){{1,4}}?(?:into|onto|in(?= #))"
        rf" {_THE_GROUP})"
        # "Have Kim join the standup", "release the results to the patient"
        rf"|{_BEGINS}(?:have|let) (?!me\b|us\b)[\w-]{{2,30}} join\b{_NOT_ASKED}"
        rf"|{_BEGINS}release {_DET} (?:{_SOME}){{1,4}}?to (?!me\b|us\b|production\b|staging\b|the public\b)",
        "share change",
    ),
    # "Welcome him in #team", "wish her luck", "get word to Sven"
    wish(
        rf"{_BEGINS}(?P<verb>welcome (?!to\b|back\b|you\b|home\b|the news\b)(?:{_SOME}){{1,4}}?(?:in|on|to|with)"
        r" (?:#|(?:the|our|my|a)\b))"
        rf"|{_BEGINS}(?:wish (?:him|her|them|(?!i\b|we\b|you\b|me\b|us\b|list\b|there\b|to\b)[\w-]{{2,30}}"
        rf"|{_DET} [\w-]{{2,30}}) (?:a |an |all |good |luck\b|well\b|happy\b|merry\b)){_NOT_ASKED}"
        rf"|{_BEGINS}(?:(?:get|pass|send) (?:the )?word to (?!me\b|us\b)\w|rsvp (?:yes|no|to|for|that)\b)",
        "send post",
    ),
    # "Bill Marrow Ltd for the hours", "invoice the Lopez family": a bill is made and sent
    wish(
        rf"{_BEGINS}(?P<verb>(?:bill|invoice) (?!me\b|us\b|him\b|payment\b|is\b|was\b|for\b|from\b|number\b|no\b"
        r"|date\b|\d|[a-z]+[-_]?\d)(?![^.!?\n]{0,80}\b(?:sent|issued|wrote|gave|made|got|paid|is|was|has|had|of)\b)"
        rf"[^.!?\n]{{2,60}}? for\b){_NOT_ASKED}",
        "create send",
    ),
    # "Write up a quote": nobody has said that it is to be sent
    wish(
        rf"{_BEGINS}(?P<verb>(?:write|draw|make|work|draft|put)(?: up| out| together)? (?:an?|another)"
        r" (?:[\w-]{1,20} )?(?:quote|quotation|estimate|invoice|offer)\b)",
        "create",
    ),
    # "Have parcel 0034 kept at the depot", "hold my mail until the 12th", "leave the package with the neighbour"
    wish(
        rf"{_BEGINS}(?:have|get) (?:{_SOME}){{0,3}}?{_KEPT}(?: [\w-]{{1,30}}){{0,2}} (?:kept|held|stored|stopped)\b"
        rf"|{_BEGINS}(?P<verb>(?:keep|hold|store|stop) (?:{_DET} )?(?:{_SOME}){{0,2}}?{_KEPT}"
        rf"(?: [\w-]{{1,30}}){{0,2}} {_LATER}\b"
        rf"|(?:keep|hold|store|leave) (?:{_DET} )?(?:{_SOME}){{0,2}}?{_PARCELS}(?: [\w-]{{1,30}}){{0,2}}"
        r" (?:at|with|in|by|behind) (?:the|a|my|our)\b)"
        rf"|{_BEGINS}(?:have|ask) (?:them|the post|the depot|the carrier)(?: to)? (?:keep|hold|store) {_DET} {_KEPT}",
        "change",
    ),
    # "Point shop.x.example to 203.0.113.20", "route calls to my mobile"
    wish(
        rf"{_BEGINS}(?P<verb>point (?:{_DET} )?(?:domain |name |record )?[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,6}}"
        r" (?:to|at) [\w-]{0,63}[\d.]"
        rf"|(?:route|divert|forward|redirect) (?:{_SOME}){{0,3}}?(?:calls?|mail|post|traffic|messages)\b)",
        "change",
    ),
    # "I need a cab at seven", "call me a car". Not "I need the car papers"
    wish(
        rf"{_STARTS}(?:i|we)(?:'ll|'d)? (?:also |will |would )?(?:need|like|want) (?:an?|another) {_RIDE}{_NOT_ASKED}"
        rf"|{_BEGINS}(?:get|call|order|hail) (?:me |us |him |her |them )?(?:an?|another) {_RIDE}",
        "book create",
    ),
    # "Sign Timo up for the course", "count me in"
    wish(
        rf"{_BEGINS}(?:sign|put) (?!me up\b|up\b)(?:{_SOME}){{1,3}}?(?:up|down) for\b{_NOT_ASKED}"
        rf"|{_BEGINS}count (?:me|us|him|her|them) in\b{_NOT_ASKED}",
        "book create send",
    ),
    # "I'm not coming to the class after all", "scratch the appointment", "quit the list"
    wish(
        rf"{_STARTS}(?:i|we)(?:'m|'re| am| are) not (?:coming|going) (?:to|on) (?:the|my|our|that|this)"
        rf" (?:{_SOME}){{1,4}}?(?:after all|any ?more)(?=\s*(?:[.!\n]|\Z))"
        rf"|{_BEGINS}(?P<verb>(?:scratch|quit|nix) (?:the|my|our|that|this|his|her) (?!surface\b|service level\b)\w"
        rf"|(?:knock|strike|cross|take) (?:{_SOME}){{1,6}}?off (?:my|the|our|his|her) (?:{_SOME}){{0,2}}?(?:flight"
        r"|booking|order|list|reservation|bill of materials|schedule|plan|calendar|rota|roster)\b)"
        rf"{_NOT_ASKED}",
        "delete change",
    ),
    # "Hand over my two deals to Ida", "tick off milk and bread", "bump the priority"
    wish(
        rf"{_BEGINS}(?:hand|pass|turn|sign) over {_DET} (?!summary\b|text\b)(?:{_SOME}){{0,5}}?to (?!me\b|us\b)"
        rf"|{_BEGINS}(?P<verb>tick (?:off|them|it|both|the)\b|(?:tick|cross) (?:{_SOME}){{1,6}}?off\b"
        r"|bump (?:up )?(?:the|its|their|this|that)\b)",
        "change",
    ),
    # "Report the pothole": something is filed, and nothing is changed. Not "report the main points on HV-1"
    wish(
        rf"{_BEGINS}(?P<verb>report (?:the|an?|my|our|this|that) (?:(?!{_TOLD}\b)[^\s.!?;,]{{1,40}}"
        rf" ){{0,4}}?(?!{_TOLD}\b)[^\s.!?;,]{{1,40}}"
        rf" (?:on|in|at|to)\b(?! (?:two|three|a few|one|\d|your|short|me|us)\b)|claim {_DET}"
        rf" (?:{_SOME}){{0,4}}?(?:delay|damage|refund|compensation|loss"
        r"|cancellation|expenses?|costs?)\b)",
        "create",
    ),
    # "Flag the photo as spam"
    wish(rf"{_BEGINS}(?P<verb>flag (?:{_DET} (?!any)[^.!?\n]{{1,80}}?|it|them) as\b)", "create change"),
    # "My card is gone, stop it"
    wish(
        r"\b(?:my|our|his|her|their) (?:[\w-]{1,20} )?(?:card|phone|key|fob|badge|sim|laptop|wallet)"
        r" (?:is|was|has been|got) (?:gone|lost|stolen|missing)[.,;!-] ?"
        r"(?:so |and |please |then )*(?:stop|block|lock|disable|kill) (?:it|the card)\b",
        "secure change",
    ),
    # "Put the notice about the drill on the board", "summarise the answers in two sentences on the board"
    wish(
        rf"{_BEGINS}(?:put|stick|hang|place) (?:up )?{_DET} (?:{_SOME}){{0,2}}?(?:notice|announcement|note"
        rf"|message|photo"
        rf"|poster|sign|summary|news|text)\b[^.!?\n]{{0,60}}?\b(?:on|in|onto|into|up on) (?:the|our)"
        rf" (?:[\w-]{{1,20}} )?"
        rf"(?:board|noticeboard|bulletin board|wall|feed|blog|forum|channel|chat|group|intranet)\b{_ENDS}",
        "post",
    ),
    # "Set an alarm for 6:30", "restock the shelf", "grade the essay with B", "refer her to cardiology"
    wish(
        rf"{_BEGINS}(?P<verb>set (?:up )?(?:an?|another|my|the) (?:[\w-]{{1,20}} )?(?:alarm|timer|reminder)s?\b)",
        "create change",
    ),
    wish(rf"{_BEGINS}(?P<verb>restock (?:{_DET}|\d)){_NOT_ASKED}", "book create change"),
    wish(
        rf"{_BEGINS}(?P<verb>grade [^.!?\n]{{2,60}}? with (?:an? )?[a-f\d]\b"
        rf"|excuse (?!from\b|for\b|me\b|{_DET})[^.!?\n]{{2,60}}? (?:from|for)\b)",
        "create change",
    ),
    wish(rf"{_BEGINS}(?P<verb>refer (?!to\b|back\b|me\b)(?:{_SOME}){{1,5}}?to\b){_NOT_ASKED}", "send create"),
    # "Turn off two-factor"
    wish(
        rf"{_BEGINS}(?:turn|switch) (?:(?:on|off) (?:the |my |our )?{_GUARDS}|(?:the |my |our )?{_GUARDS} (?:on|off)\b)"
        rf"{_NOT_ASKED}",
        "secure change",
    ),
    # "Get another pack of the coffee we had", but not a copy of something, or more from it
    wish(
        rf"{_BEGINS}(?P<verb>(?:get|grab) (?:me |us )?(?:another|one more|two more) (?!look\b|chance\b|idea\b|time\b"
        r"|info\w*\b|details\b|opinion\b|try\b|day\b|week\b|cop(?:y|ies)\b|version\b|page\b|e?mail\b|message\b|letter\b"
        r"|summary\b|answer\b|list\b|line\b|of\b|from\b)(?![^.!?\n]{0,60}\bfrom\b)(?![^.!?\n]{0,60}\bof"
        r" [a-z]{1,8}[-_]?\d)"
        rf"\w){_NOT_ASKED}",
        "book pay create",
    ),
)
"""English sentences, and the kinds of acts that they ask for. A group `verb` says where the negation stands before."""
