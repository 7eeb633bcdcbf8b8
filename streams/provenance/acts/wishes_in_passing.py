"""What people have done at home and among friends without the usual verb for it.

"Send him what I owe him" pays, "Rui needs to be in the group" adds somebody, "welcome her in the chat" posts, and "I
need a cab at seven" books. They are read as those of `streams.provenance.acts.wishes`. Each names the thing, the person
or the place that such an act is about, so that a verb of many meanings asks for no more than one.
"""

from __future__ import annotations

import re

from streams.provenance.acts.wishes_at_work import NOBODY, wish

_BEGINS = (
    r"(?:^|[,.;:!?\n]\s{0,3}|\b(?:please|pls|and|then|so|just|also|can you|could you|would you|will you|have them|have"
    r" somebody|(?:want|need|like|ask|tell|have|help) (?:[\w'-]{1,30} )?to|you to) )"
)
_NOT_ASKED = r"(?!(?:[^.!?;\n]|\.(?=\d)){0,160}\?)"
"""After what is said and not asked: no question mark ends the sentence."""
_DET = r"(?:the|my|our|his|her|their|that|this|these|those|all|an?|any|[\w-]{1,30}'s?)"
_SOME = r"(?:[^\s.!?;,]{1,40} )"
_RIDE = r"(?:cab|taxi|car|ride|lift|limo|minibus|shuttle|uber)"
_GROUP = (
    r"(?:[\w-]{1,30} )?(?:groups?|channels?|chats?|teams?|lists?|rotas?|rosters?|boards?|calls?|meetings?|threads?"
    r"|servers?"
    r"|clubs?|folders?|projects?|workspaces?|albums?|repos?|repositor(?:y|ies))\b"
)
_IN_GROUP = rf"(?:in|into|on|to|onto) (?:#[\w-]|(?:the|our|my|this|that) (?:{_SOME}){{0,3}}?{_GROUP})"
_ACTIVITY = (
    r"(?:trip|hike|tour|party|dinner|lunch|course|class|lesson|workshop|seminar|training|race|run|tournament|match"
    r"|game|camp"
    r"|potluck|barbecue|bbq|excursion|webinar|session|shift|slot|concert|show|quiz|meetup)s?\b"
)
_KEPT = r"(?:parcels?|packages?|mail|post|deliver(?:y|ies)|shipments?|boxes|orders?|letters?)\b"
_LATER = r"(?:until|till|while|for (?:a|the|two|three|\d))"

WISHES_IN_PASSING: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    # "Send him what I owe him", "get it to Lena, my share is 15 euros", "square that with Ida"
    wish(
        r"\b(?:send|give|get|pay|wire|transfer|return) (?:[^\s.!?;,]{1,40} ){0,4}?(?:what|whatever|all|everything"
        r"|the (?:money"
        r"|sum|amount|rest)) (?:that )?(?:i|we)(?: still)? owe\b"
        r"|\b(?:i|we)(?: still)? owe(?:d)? [^.!?\n]{1,60}?[.,;!] ?(?:so |and |but |please |then )*(?:can you "
        r"|could you |would"
        r" you )?(?:please )?(?:send|get|square|settle|give|sort|transfer)\b"
        r"|\bwhat (?:i|we)(?: still)? owe\b[^.!?\n]{0,60}?[.,;!?] ?(?:so |and |please )*(?:can you |could you "
        r"|would you "
        r"|please )*(?P<verb>send|get|transfer) (?:it|that|the money) (?:to |over\b|across\b)"
        r"|\b(?:my|our) (?:share|half|part|contribution) (?:of|for|in) [^.!?\n]{1,60}?\b(?:send|get|give"
        r"|transfer) (?:it|that)"
        r" to\b",
        "pay",
    ),
    # "Cover Mia's part of the rent", "put 50 euros on my prepaid card"
    wish(
        rf"{_BEGINS}(?P<verb>cover|front|fund) {_DET} (?:{_SOME}){{0,3}}?(?:part|share|half|costs?|fee|fare|rent"
        rf"|bill|fine)\b"
        r"|\b(?:put|load) (?:[a-z]{3} |[$\u20ac\u00a3] ?)?\d[\d.,]*(?: ?(?:euros?|eur|dollars?|usd|pounds?|gbp|kr"
        r"|kronor|sek"
        r"|francs?|chf|zloty|pln|bucks|quid)| ?[$\u20ac\u00a3])? (?:on|onto) (?:my|the|our|his|her|their)\b",
        "pay",
    ),
    # "Rui and Ana need to be in #launch", "Kai should be on the guest list as well", "get Ola into #design"
    wish(
        rf"(?<!who )(?<!that )(?<!which )\b(?:needs?|ha(?:s|ve)|ought"
        rf"|wants?) to be (?:\w{{1,8}} )?{_IN_GROUP}{_NOT_ASKED}"
        rf"|(?<!who )(?<!that )(?<!which )\b(?:should|must) (?:also |now )?be (?:\w{{1,8}} )?{_IN_GROUP}{_NOT_ASKED}"
        rf"|{_BEGINS}(?P<verb>get (?!me\b|us\b|rid\b|back\b|in\b)(?:{_SOME}){{1,4}}?(?:in|into|onto) (?:#[\w-]"
        rf"|(?:the|our|my|this|that) (?:{_SOME}){{0,3}}?{_GROUP}))"
        rf"|{NOBODY}\b[\w-]{{2,30}} belongs? (?:in|on|to) (?:#[\w-]|(?:the|our|my) (?:{_SOME}){{0,3}}?{_GROUP})"
        r"(?=\s*(?:[.,;!\n]|\Z|of\b|now\b|too\b|as well\b|from\b))"
        # "Have Kim join the standup", "release the results to the patient"
        rf"|{_BEGINS}(?:have|let) (?!me\b|us\b)[\w-]{{2,30}} join\b"
        rf"|{_BEGINS}release {_DET} (?:{_SOME}){{1,4}}?to (?!me\b|us\b|production\b|staging\b|the public\b)",
        "share change",
    ),
    # "Welcome him in #team", "wish her luck", "get word to Sven"
    wish(
        rf"{_BEGINS}(?P<verb>welcome (?:him|her|them|{_DET} (?!to\b)\w|(?!to\b|back\b|you\b"
        rf"|home\b)[\w-]{{2,30}} (?:in|on|to"
        r"|with)\b))"
        rf"|{_BEGINS}(?:wish (?:him|her|them|(?!i\b|we\b|you\b|me\b|us\b|list\b|there\b|to\b)[\w-]{{2,30}}"
        rf"|{_DET} [\w-]{{2,30}}) (?:a |an |all |good |luck\b|well\b|happy\b|merry\b))"
        rf"|{_BEGINS}(?:(?:get|pass|send|bring) (?:the )?word to\b|rsvp\b)",
        "send post",
    ),
    # "Bill Marrow Ltd for the hours", "invoice the Lopez family": a bill is made and sent
    wish(
        rf"{_BEGINS}(?P<verb>(?:bill|invoice) (?!me\b|us\b|him\b|payment\b|is\b|was\b|for\b|from\b|number\b|no\b"
        rf"|date\b|\d|[a-z]+"
        r"[-_]?\d)[^.!?\n]{2,60}? for\b)"
        r"|\b(?:write|draw|make|work|draft|put)(?: up| out| together)? (?:an?|the|another) (?:[\w-]{1,20} )?(?:quote"
        r"|quotation"
        r"|estimate|invoice|offer)\b",
        "create send",
    ),
    # "Have parcel 0034 kept at the depot", "hold my mail until the 12th", "leave the package with the neighbour"
    wish(
        rf"\b(?:have|get|want|need) (?:{_SOME}){{0,3}}?{_KEPT}(?: [\w-]{{1,30}}){{0,2}} (?:kept|held|stored|stopped)\b"
        rf"|{_BEGINS}(?P<verb>(?:keep|hold|store|stop|leave) (?:{_DET} )?(?:{_SOME}){{0,2}}?{_KEPT}"
        rf"(?: [\w-]{{1,30}}){{0,2}} (?:{_LATER}|at|with|in|by|behind)\b)"
        rf"|\b(?:have|ask) (?:them|the post|the depot|the carrier)(?: to)? (?:keep|hold|store) {_DET} {_KEPT}",
        "change",
    ),
    # "Point shop.x.example to 203.0.113.20", "route calls to my mobile"
    wish(
        rf"{_BEGINS}(?P<verb>point (?!me\b|us\b|out\b|it out\b)(?:{_SOME}){{1,4}}?(?:to|at) [^\s]{{0,40}}[\d.]"
        rf"|(?:route|divert|forward|redirect) (?:{_SOME}){{0,3}}?(?:calls?|mail|post|traffic|messages)\b)",
        "change",
    ),
    # "I need a cab at seven", "call me a car", "sign Timo up for the course", "count me in", "put me down for it"
    wish(
        rf"\b(?:i|we)(?:'ll|'d)? (?:also |will |would )?(?:need|like|want|take) (?:an?|the"
        rf"|another) (?:[\w-]{{1,20}} )?{_RIDE}\b"
        rf"|\b(?:get|call|order|find|send|hail) (?:me |us |him |her |them )?(?:an?"
        rf"|another) (?:[\w-]{{1,20}} )?{_RIDE}\b"
        rf"|\b(?:sign|put) (?!me up\b|up\b)(?:{_SOME}){{1,3}}?(?:up|down) for\b"
        rf"|\bcount (?:me|us|him|her|them) in\b|\b(?:i|we)(?:'d| would)? (?:like|want|love) to (?:come|go) (?:to|on"
        rf"|along)\b"
        rf"[^.!?\n]{{0,40}}\b{_ACTIVITY}(?![^.!?\n]{{0,80}}\?)",
        "book create send",
    ),
    # "I'm not coming to the class after all", "the 3 pm with Lea is off", "scratch the appointment", "quit the list"
    wish(
        rf"\b(?:i|we)(?:'m|'re| am| are) not (?:coming|going) (?:to|on) (?:the|my|our|that"
        rf"|this) (?:{_SOME}){{0,3}}?{_ACTIVITY}"
        rf"|{_BEGINS}(?P<verb>(?:scratch|quit|nix) (?:the|my|our|that|this|his|her) (?!surface\b|service level\b)\w)"
        rf"|\b(?:knock|strike|cross|take) (?:{_SOME}){{1,6}}?off (?:my|the|our|his|her) (?:{_SOME}){{0,2}}?(?:flight"
        rf"|booking|order"
        r"|list|reservation|bill of materials|schedule|plan|calendar|rota|roster)\b"
        rf"|(?:^|[.!\n] ?|\b(?:and|so|that) )the (?:\d[\d:.]{{0,4}}(?: ?[ap]\.?m\.?)?|{_ACTIVITY}) (?:with|of|for|on)"
        r" [^.,!?\n]{1,40} is off(?=\s*(?:[.,;!\n]|\Z))",
        "delete change",
    ),
    # "Hand over my two deals to Ida", "tick off milk and bread", "bump the priority"
    wish(
        rf"\b(?:hand|pass|turn|sign) over {_DET} (?:{_SOME}){{0,5}}?to (?!me\b|us\b)"
        rf"|{_BEGINS}(?P<verb>tick (?:off|them|it|both|the)\b|(?:tick|check|cross) (?:{_SOME}){{1,6}}?off\b"
        r"|bump (?:up )?(?:the|its|their|this|that)\b)",
        "change",
    ),
    # "Report the pothole", "flag the photo as spam", "claim the delay"
    wish(
        rf"{_BEGINS}(?P<verb>(?:report|flag) {_DET} [^.!?\n]{{1,80}}? (?:as|for|on|in|at|to)\b|flag (?:it|them) as\b"
        rf"|claim {_DET} (?:{_SOME}){{0,4}}?(?:delay|damage|refund|compensation|loss|cancellation|expenses?|costs?)\b)",
        "create change send",
    ),
    # "My card is gone, stop it"
    wish(
        r"\b(?:card|phone|key|fob|badge|sim|laptop|wallet)\b[^.!?\n]{0,20}\b(?:gone|lost|stolen"
        r"|missing)\b[^!?\n]{0,20}?[.,;!-] ?"
        r"(?:so |and |please |then )*(?:stop|block|lock|disable|kill) (?:it|that|the card)\b",
        "secure change",
    ),
    # "Put the notice about the drill on the board", "summarise the answers in two sentences on the board"
    wish(
        rf"\b(?:put|stick|hang|place) (?:up )?{_DET} (?:{_SOME}){{0,2}}?(?:notice|announcement|note|message|photo"
        rf"|poster|sign"
        rf"|summary|news|text)\b[^.!?\n]{{0,60}}?\b(?:on|in|onto|into|up on) (?:the|our) (?:[\w-]{{1,20}} )?"
        r"(?:board|noticeboard|bulletin board|wall|feed|blog|forum|channel|chat|group|intranet)\b",
        "post",
    ),
    # "Set an alarm for 6:30", "restock the shelf", "grade the essay", "refer her to cardiology"
    wish(
        rf"{_BEGINS}(?P<verb>set (?:up )?(?:an?|another|my|the) (?:[\w-]{{1,20}} )?(?:alarm|timer|reminder)s?\b)",
        "create change",
    ),
    wish(rf"{_BEGINS}(?P<verb>restock (?:{_DET}|\d))", "book create change"),
    wish(
        rf"{_BEGINS}(?P<verb>(?:grade|excuse) (?!from\b|for\b|me\b)[^.!?\n]{{2,60}}? (?:with|from|for)\b)",
        "create change",
    ),
    wish(rf"{_BEGINS}(?P<verb>refer (?!to\b|back\b|me\b)(?:{_SOME}){{1,5}}?to\b)", "send create book"),
    # "Turn off two-factor"
    wish(
        r"\b(?:turn|switch) (?:on |off )?(?:the |my |our )?(?:two-factor|2fa|mfa|two factor|encryption|passcode|pin"
        r"|alarm"
        r" system|firewall|child lock|parental controls?)\b",
        "secure change",
    ),
    # "Print the boarding pass"
    wish(rf"{_BEGINS}(?P<verb>print (?:out )?(?:{_DET}|\d|two|three) \w)", "run"),
    # "Get another pack of the coffee we had"
    wish(
        rf"{_BEGINS}(?P<verb>(?:get|grab) (?:me |us )?(?:another|one more|two more|more) (?!look\b|chance\b|idea\b"
        rf"|time\b|info\w*\b"
        r"|details\b|opinion\b|try\b|day\b|week\b)\w)",
        "book pay create",
    ),
)
"""English sentences, and the kinds of acts that they ask for. A group `verb` says where the negation stands before."""
