"""Tell acts on what the user has named for other acts only: he has QX-1 cancelled, and QX-2 moved.

The agent's runtime finds such values (`streams.provenance.requests.tied`), and states them once more under paths of
their own. They hold until he says something else, which may be about any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from streams.model.session import Atom, SessionEvent
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.contents import is_trusted
from streams.processors.provenance.examined import OF_RECORDS, Examined, is_pointed
from streams.provenance.acts.calls import ALL_CALLS, bits_of
from streams.provenance.extraction.extract import TIED_PATH
from streams.provenance.requests.tied import TIED_MAX
from streams.provenance.sources.memory import DIGEST_BYTES, Seen

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER = ValueOrigin.USER


def is_tied(atom: Atom) -> bool:
    """Return whether a value of a message only says beside which acts the user has named it."""
    return atom.path.startswith(TIED_PATH)


def ties_of(event: SessionEvent, tied: Iterable[Atom]) -> dict[bytes, int]:
    """Return what is tied after a message of the user, by digests, with kinds of acts as bits.

    Any message ends what an earlier one has tied: it may be about the same act once more ("the other one, too").

    Args:
        event: the message.
        tied: the values that it ties.
    """
    ties = {
        atom.digest[:DIGEST_BYTES]: int(bits) & ALL_CALLS
        for atom in tied
        if (bits := atom.path.removeprefix(TIED_PATH)).isdecimal() and len(bits) <= _DIGITS_MAX
        if is_trusted(atom.label)
    }
    if len(ties) > TIED_MAX:
        return {}
    known = reduce(or_, ties.values(), 0)
    # A deriver of another kind may have understood more acts, and does not say which of them is about what.
    others = bits_of(scope.kind or "" for scope in event.task_scopes) & ~known
    return {digest: calls | others for digest, calls in ties.items()}


_DIGITS_MAX = len(str(ALL_CALLS))


def is_for_another(examined: Examined) -> bool:
    """Return whether the user has named what an act is about only for acts of other kinds.

    That holds if it is about nothing else that he has named or pointed at: who has a file changed and something sent to
    Kim may mean that Kim gets the file.
    """
    tied = examined.row.tied
    wanted, found = bits_of(examined.kinds), False
    for value in examined.values:
        traced = value.traced
        if not value.is_sink or value.is_part or traced.flags & Seen.SUBJECT:
            continue
        if traced.origin is _USER:
            calls = None if traced.entry is None else tied.get(traced.entry.digest)
            if calls is None or calls & wanted:
                return False
            found = True
        elif traced.origin in OF_RECORDS and is_pointed(traced):
            return False
    return found
