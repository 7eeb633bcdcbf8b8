"""Sentences that order by saying who is to get something, where what is owed goes, or what is to be written somewhere.

"The fee of 25 EUR a month goes to DE1", "desk@x.example needs the export", "the ticket needs the label 'fraud'": none
has a verb of orders, and a model takes each for one. They count only where the number of an account, an address or the
words stand there. All of it is read in lower case.
"""

from __future__ import annotations

import re

_ACCOUNT = r"\b[a-z]{2}\d\d[a-z\d]{8,30}"
_REACHED_AT = r"(?:[^\s@]{1,64}@[\w-]{1,64}\.[\w.-]{2,64}|\+\d[\d /-]{6,20}\d)"
_TO_GET = (
    r"(?: \([^()\n]{1,60}\))? (?:also |still |now |urgently )?(?:gets?|receives?|needs?|wants?|expects?|awaits?"
    r"|requires?"
    r"|(?:is|are) waiting for|waits for) (?!to\b|no\b|your (?:help|advice|feedback)\b)[\w$\u20ac\u00a3]"
)
_GOES_TO = r"(?:goes?|(?:is|are) (?:now )?(?:due|payable|paid|sent|wired)) to(?: [a-z]{1,16}){0,2} [a-z]{0,4}\d"
FEE_GOES = re.compile(
    r"\b(?:fees?|dues|rent|contributions?|subscriptions?|memberships?|invoices?|bills?|rest|balance|shares?)"
    rf"(?: [\w.,'$\u20ac\u00a3-]{{1,24}}){{0,6}}? {_GOES_TO}"
)
"""Where what is owed goes. Half of the rent goes to charity, too: the number of an account has to follow."""
IS_SENT = re.compile(_REACHED_AT + _TO_GET)
"""Who is to get something, by where messages reach them: "desk@x.example needs it", "+49 160 55501 gets the code"."""
IS_PAID = re.compile(rf"\b{_GOES_TO}|{_ACCOUNT}{_TO_GET}")
"""Whose account is to get something."""
GETS = re.compile(rf"(?:{_REACHED_AT}|{_ACCOUNT}){_TO_GET}")
"""Either of them."""
NEEDS_TEXT = re.compile(
    r"\b(?:needs?|gets?|wants|has to get|must (?:get|have)|should (?:get|have)|is missing) (?:the|an?) "
    r"(?:[\w-]{1,20} )?(?:note|remark|label|tag|status|role|comment|text|title|wording|reason) "
    r"[\"'\u201c\u201e\u2018\u00ab][^\s]"
)
"""What is to be written on something: "the ticket needs the label 'fraud'"."""
