"""Kinds of acts: what a tool does, and what a request asks for.

There are a dozen kinds, so that a request and a tool can be compared without understanding either. The kind of a tool
is a fact that an operator states; where none is stated, `tool_kinds` proposes one. The kinds of a request come from its
verbs and its nominalisations (`payment`, `cancellation`; `asked_kinds`), and from what the user leaves to a content
(`request_kinds`). A request implies more kinds than it spells out (who schedules a meeting also creates an entry), so a
word of a request stands for a set of kinds and a word of a tool's name for one.

Rejected: to compare verb and noun together. That asks about four more honest tasks in a hundred, because requests name
the thing that they mean in too many ways.
"""

from __future__ import annotations

from enum import StrEnum

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
