"""Examine a call: trace its values, and find out what kind of act it is and whose data it is about.

The result makes the facts `origins`, `act`, `scope`, `owner` and `read`, and the origins of the verdict. It is made
once for a case, and only if a rule of the tool reads one of these facts.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from streams.model.labels import Integrity, Label
from streams.processors.provenance.derived import ALL
from streams.processors.provenance.examined import NO_OWNERS, OF_RECORDS, Examined, Owners
from streams.processors.provenance.identifying import identifying
from streams.processors.provenance.memory import Memory, read_content, read_provenance
from streams.processors.provenance.mentioned import (
    counted_elsewhere,
    is_left_to,
    is_mentioned,
    is_of_other_matter,
    is_of_other_thing,
    is_unspoken,
    is_worded,
    tells_person,
)
from streams.processors.provenance.owners import StatedOwners
from streams.processors.provenance.ownership import is_unread, owners_of
from streams.processors.provenance.proposals import compared
from streams.processors.provenance.requested import NEEDING_WORDS, is_requested
from streams.processors.provenance.rows import ContentRow, ProvenanceRow
from streams.processors.provenance.set_fields import FIELDS, with_roles_of_fields
from streams.processors.provenance.tools import ToolUse
from streams.processors.provenance.tracer import Tracer
from streams.processors.provenance.user_words import begun
from streams.processors.provenance.values import ORIGINS_MAX, traced_pieces, values_of
from streams.processors.session_row import PENDING_READS_MAX, SessionRow
from streams.provenance.acts.calls import Calls, compare
from streams.provenance.acts.kinds import ActKind
from streams.provenance.atoms.found import AtomKind
from streams.provenance.extraction.arguments import arguments_in
from streams.provenance.sources.origins import AWAITED, NOWHERE, UNKNOWN, Look

replace = msgspec.structs.replace
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED, _OTHER_KIND, _OTHER_CALLS = Integrity.TRUSTED, ActKind.OTHER, Calls.OTHER
_CHANGING = frozenset((ActKind.CHANGE, ActKind.PAY, ActKind.BOOK, ActKind.SECURE, ActKind.CREATE))
"""Kinds of acts that set something: what is deleted, sent or run says itself what it is."""
_NOTHING_COUNTED: frozenset[str] = frozenset()
_HIS = Owners(is_subject=True, is_other=False)
"""Whose data a call reads by which the user identifies himself: the fields that name the owner will say who he is."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """What is known of a session, and of owners, before a call is examined.

    Attributes:
        row: what the session has read as a whole; None if that is not known yet.
        label: the join of what it has read or may have read; None if that is not known yet.
        stated: what operators' systems say about whose the records are; None if they say nothing.
        owned: the things that have owners, as other tools of the server show.
        now_ms: the instant of stream time; None if that is not known.
    """

    row: ProvenanceRow | None = None
    label: Label | None = None
    stated: StatedOwners | None = None
    owned: frozenset[str] = frozenset()
    now_ms: int | None = None


_NOTHING_KNOWN = Known()


def examine(
    session: SessionRow,
    args: dict[str, Any],
    use: ToolUse,
    memory: Memory,
    *,
    asked: frozenset[str],
    known: Known = _NOTHING_KNOWN,
) -> Examined:
    """Examine a call.

    Args:
        session: the row of its session.
        args: its arguments, which conform to the tool's schema.
        use: its tool.
        memory: what the session has seen.
        asked: the facts that rules read. What only `owner` or `flow` tells is left out if that is not one of them.
        known: what need not be found out again.
    """
    row, sub = known.row, session.identity.sub
    if row is None:
        row = read_provenance(memory.session_key, memory.state)
    if row is None:
        row = begun(memory, session)
    label = session.effective_label() if known.label is None else known.label
    is_tainted = label.integrity is not _TRUSTED
    awaits = bool(session.trust.pending_reads) and _awaits_untrusted(session, row, is_tainted=is_tainted)
    missing = UNKNOWN if not row.is_complete else AWAITED if awaits else NOWHERE
    missing_words = AWAITED if missing is NOWHERE and row.lacks_words else missing
    only = memory.values_of_subject_only(row, sub)
    look = memory.look if only is None else _look_for(only, memory.look)
    now_ms = known.now_ms if row.is_instructed else None
    tracer = Tracer(look, row, use.name, sub, missing, missing_words, now_ms=now_ms)
    arguments, are_all = arguments_in(args, use.thing)
    urls: dict[tuple[AtomKind, str], None] = {}
    asks_for_pieces = use.is_outward and "flow" in asked
    values = values_of(arguments, use, tracer, urls if asks_for_pieces else None)
    for argument in arguments:
        are_all = are_all and argument.complete
    is_complete = are_all and len(values) <= ORIGINS_MAX and len(urls) <= ORIGINS_MAX
    owners = NO_OWNERS
    if "owner" in asked:
        owners = owners_of(values, args, use, sub, known.stated)
        if known.owned and not use.is_read and owners.age_ms is None and is_unread(values, use, known.owned):
            owners = replace(owners, is_unread=True)
    identifies = b""
    if use.tool.entry.identifying_args and not awaits:
        identifies = identifying(session, row, args, arguments, use, memory)
    if identifies and use.tool.uses.trusts_owners and owners.age_ms is None:
        owners = _HIS
    # Of a session that has seen nothing but its subject, no piece can be what data have shown.
    pieces = tuple(traced_pieces(urls, tracer)) if urls and only is None else ()
    told = tuple(values[:ORIGINS_MAX])
    if not use.is_read and not FIELDS.isdisjoint(args):
        told = with_roles_of_fields(told, args)
    contents: dict[int, ContentRow | None] = {}
    for seen in (*[value.traced for value in told], *pieces) if pieces else [value.traced for value in told]:
        entry = seen.entry
        if entry is not None and (number := entry.event) not in contents:
            contents[number] = read_content(memory.session_key, number, memory.state)
    kind = use.tool.uses.kind_of(args)
    examined = Examined(
        row, is_tainted, args, use, kind, use.kinds_of(kind), told, is_complete, owners, contents, pieces, awaits=awaits
    )
    examined.identifies = identifies
    examined.tells_person = asks_for_pieces and tells_person(examined, tracer)
    _compare_with_words(examined, tracer)
    if row.proposed:
        examined.values = compared(examined, arguments, memory)
    examined.counted = _NOTHING_COUNTED if row.has_message or not row.asked_s else counted_elsewhere(told, row, memory)
    return examined


def _compare_with_words(examined: Examined, tracer: Tracer) -> None:
    """Add what of a call the user has mentioned, beside its values."""
    row, use, told, args, kind = examined.row, examined.use, examined.values, examined.args, examined.kind
    is_tainted = examined.is_tainted
    examined.is_named = kind == _OTHER_KIND and tracer.has_said_any(use.own_words)
    is_inner_act = not use.is_read and not use.is_outward
    may_be_unspoken = is_inner_act or (not use.is_read and row.calls_for != 0 and not examined.has_sinks)
    if may_be_unspoken and row.has_message and (is_tainted or _is_only_called_for_by_others(examined)):
        examined.is_unspoken = is_unspoken(examined, tracer)
    is_called_for = is_inner_act and row.has_message and row.calls_for != 0
    examined.is_worded = row.is_instructed and is_worded(told, use, tracer, is_called_for=is_called_for)
    examined.is_mentioned = is_inner_act and row.is_instructed and is_mentioned(told, args, tracer)
    if kind in NEEDING_WORDS and row.is_instructed and row.has_message:
        examined.is_of_other_thing = is_of_other_thing(use, tracer)
    if (is_tainted or row.has_untrusted) and row.has_message and kind in _CHANGING:
        examined.is_of_other_matter = is_of_other_matter(examined, tracer)
    examined.is_left_to = use.is_read and is_left_to(row, use, tracer)


def _is_only_called_for_by_others(examined: Examined) -> bool:
    """Return whether an instruction in a field that others have written may call for an act, and nothing else does.

    A session stays trusted if its results are, all but single fields. Desks act by the rest of them, so nothing less
    counts there. Neither may the user have asked for such an act, nor a value of the call have been looked up.
    """
    row = examined.row
    if not row.has_untrusted or not row.calls_for:
        return False
    if compare(row.calls_for, examined.kinds, is_content=False) == _OTHER_CALLS:
        return False
    return not is_requested(examined) and not any(
        not value.is_sink and value.traced.origin in OF_RECORDS for value in examined.values
    )


def _awaits_untrusted(session: SessionRow, row: ProvenanceRow, *, is_tainted: bool) -> bool:
    """Return whether the result of a call has not been reported, and others may write anything in it, or have written
    what it is made of.

    The session remembers only so many calls: if it remembers as many, a tainted one may have made one more.
    """
    awaited = session.trust.pending_reads
    if not awaited:
        return False
    return (is_tainted and len(awaited) >= PENDING_READS_MAX) or any(
        read.has_untrusted or read.label.integrity is not _TRUSTED or row.derived.get(read.intent_id) == ALL
        for read in awaited
    )


def _look_for(values: Container[tuple[str, str]], look: Look) -> Look:
    """Return what looks only for some values: nothing else can be found."""
    return lambda kind, value: look(kind, value) if (kind, value) in values else None
