"""Find out that the user identifies himself: he names what only he knows, and a tool of the operator says who that is.

**Idea.** All guests of a web chat are one subject, and so is a clerk whoever calls. The desk asks whom it serves, and
looks him up by name and postcode, by an address, or by an id that he names. Only the operator knows whether that is
enough, so he states it (`identifying_args`): whoever knows these arguments is the person whom the tool returns. The
first such person in a session counts as its subject (`streams.processors.provenance.aliases`), if the user has named
each argument to the session himself.

What he has named is stricter here than elsewhere. Who speaks of Patel has named the text `raj_patel_93` well enough to
read about it, and has not said that he is that one. So each value must have been said as a whole, or word by word, and
even its shortest word must have been said (`streams.processors.provenance.introduced`).

Who is not found may have made a slip. After `UNIDENTIFIED_MAX` results that say of nobody that he is the user, no call
of the session identifies anybody: else whoever names one id after the other reads all of these records.

**Rejected.** To count whoever is identified last: text that a customer has written could have the agent look up
another one. To deny what follows after a second person: families and deputies exist, so that is a question as before.
To hold for the conversation: another session of it may serve another guest of the same chat, and a delegated session
hears the user only through an agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from streams.model.canonical import CanonicalError, canonical
from streams.model.labels import Integrity
from streams.model.session import SessionEvent
from streams.processors.provenance.examined import Examined
from streams.processors.provenance.introduced import are_said
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.tools import ToolUse
from streams.processors.session_row import PENDING_READS_MAX, SessionRow
from streams.provenance.extraction.arguments import Argument
from streams.provenance.pointers import escaped
from streams.provenance.sources.memory import Seen
from streams.provenance.tools.uses import is_called_as_owner

IDENTIFYING_MAX = 8
"""Calls whose result is awaited and may say who the user is. Those after them say it of nobody."""
UNIDENTIFIED_MAX = 2
"""Results that say of nobody that he is the user, after which no call of the session does."""
_ASKED = "identifies"
"""The kind of a value that says what a call has asked."""


def identifying(
    session: SessionRow,
    row: ProvenanceRow,
    args: Mapping[str, Any],
    arguments: Iterable[Argument],
    use: ToolUse,
    memory: Memory,
) -> bytes:
    """Return the digest of what a call asks, if the user identifies himself by its arguments; empty if he does not.

    Nobody else may have been identified, or be about to be: of two whom the user names, nobody knows which he is.

    Args:
        session: the row of the session.
        row: what it has read as a whole.
        args: the arguments of the call.
        arguments: their leaves as they are read.
        use: the tool, of which the operator states which arguments identify.
        memory: what the session has seen.
    """
    label = use.tool.entry.output_label
    if not row.has_message or session.grant.ancestor_session_ids or row.identified or row.knows_subject:
        return b""
    if row.unidentified >= UNIDENTIFIED_MAX:
        return b""
    if not use.is_read or label is None or label.integrity is not Integrity.TRUSTED:
        return b""
    given = frozenset(_pointers(args))
    if given not in use.tool.uses.identifying:
        return b""
    read = {argument.pointer: argument for argument in arguments}
    if not given <= read.keys() or not are_said([read[pointer] for pointer in sorted(given)], row, memory.look):
        return b""
    try:
        asked = memory.digest(_ASKED, canonical({"tool": use.name, "args": args}).decode())
    except CanonicalError:
        return b""
    return asked if all(other == asked for other in _awaited(row, session).values()) else b""


def with_identifying(row: ProvenanceRow, session: SessionRow, intent_id: str, asked: bytes) -> ProvenanceRow:
    """Return the row with an allowed call by whose arguments the user has identified himself."""
    awaited = _awaited(row, session)
    if len(awaited) >= IDENTIFYING_MAX:
        return row
    return msgspec.structs.replace(row, identifying={**awaited, intent_id: asked})


def is_awaited(row: ProvenanceRow, event: SessionEvent) -> bool:
    """Return whether a result can say who the user is, and nobody knows that yet. An error says it of nobody.

    All words of the result are known, so that a second person is not missed.
    """
    is_result = event.intent_id is not None and event.intent_id in row.identifying and not event.is_error
    return is_result and not row.identified and not row.knows_subject and event.atoms_complete


def after_result(row: ProvenanceRow, event: SessionEvent) -> ProvenanceRow:
    """Return the row without what it knew of a result that was awaited, which has identified somebody or nobody."""
    if event.intent_id is None or event.intent_id not in row.identifying:
        return row
    others = {intent: asked for intent, asked in row.identifying.items() if intent != event.intent_id}
    return msgspec.structs.replace(
        row, identifying=others, unidentified=row.unidentified + (0 if row.identified else 1)
    )


def asks_for_identified(examined: Examined) -> bool:
    """Return whether a call asks for whoever has been identified, and for nothing else (as `asks_for_subject`)."""
    if len(examined.args) != 1 or not is_called_as_owner(next(iter(examined.args))):
        return False
    wholes = [value for value in examined.values if not value.is_part]
    return len(wholes) == 1 and bool(wholes[0].traced.flags & Seen.SUBJECT)


def _awaited(row: ProvenanceRow, session: SessionRow) -> dict[str, bytes]:
    """Return the identifying calls whose results may still come. Of calls that were not run there is none."""
    pending = session.trust.pending_reads
    if not row.identifying or len(pending) >= PENDING_READS_MAX:
        return row.identifying
    awaited = {read.intent_id for read in pending}
    return {intent: asked for intent, asked in row.identifying.items() if intent in awaited}


def _pointers(value: Any, pointer: str = "") -> Iterator[str]:
    """Yield the pointers of all leaves, also of those that say nothing: `spouse: true` asks for somebody else.

    An empty object and a list are leaves here, unlike in `streams.provenance.pointers.leaves`.
    """
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _pointers(inner, f"{pointer}/{escaped(name)}")
    else:
        yield pointer
