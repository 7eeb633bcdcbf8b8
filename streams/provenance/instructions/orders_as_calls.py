"""Orders that have the form of a call or of a line of a form: `close_ticket: 77`, `withdraw_funds.amount: 5000`.

They have no sentence, and a model that has such a tool takes them for what is to be done. The end
of a name says of most fields that they are no tool (`return_date`, `send_at`).
"""

from __future__ import annotations

import re
from collections.abc import Set

from streams.provenance.words import listed

_GIVEN = re.compile(
    r"(?:^|[\s\"'`>({\[,;])([a-z]{2,24})_([a-z]{2,24}(?:_[a-z]{2,24}){0,3})(?:\.[a-z_]{1,40})?[\"'`]?\s{0,2}[:=(]\s{0,2}"
    r"(?!(?:true|false|yes|no|on|off|none|null)\b)[^\s)]"
)
"""The name of a tool with what it is given. What is on or off is a setting."""
_CALLED = re.compile(
    r"\b(?:action|next_action|tool|function|command|call|call_tool|tool_call|method)[\"'`]?\s{0,2}[:=]\s{0,2}[\"'`]?"
    r"([a-z]{2,24})_[a-z]{2,24}"
)
"""A field that says which tool is to be called."""
_FIELDS = listed(
    "at by on in to from of for id ids no nr key code name date time day year month count total amount price sum cost "
    "rate limit status state type kind url link path file text title size mode level flag version address email "
    "enabled allowed required until since before after reason note notes message_id user only ssl tls policy frequency "
    "issues request merge tax alive"
)
"""Words at the end of a name with which it is a field, and no tool."""


def orders_as_call(lowered: str, verbs: Set[str]) -> bool:
    """Return whether a sentence in lower case names a tool that acts with what it is given.

    Args:
        lowered: the sentence in lower case.
        verbs: those of orders.
    """
    if any(match[1] in verbs for match in _CALLED.finditer(lowered)):
        return True
    given = _GIVEN.finditer(lowered)
    return any(match[1] in verbs and match[2].rpartition("_")[2] not in _FIELDS for match in given)
