"""Keep what the agent has said that it would do, and tell acts that are something else than the user has let stand.

**Idea.** The agent says "shall I move HV-1004 to 26 June?", the user says yes, and then the agent does something else
for which a text asks: HV-1009, or 6 July. So a session keeps digests of the values in the outputs of its model, by
sorts (`streams.provenance.requests.proposed`): those since the user's last message, and those that he has answered with
a yes, or at least with nothing against them. A value of a call that text by others names, and that neither he has named
nor the agent proposed, is another one than was proposed if the proposal has one of its sort that the call lacks. A
value that an output only mentions has no sort, so no other one can be in its place.

A name in a proposal ("Couples Massage") stands for the id in the record that it is a field of.

INVARIANT: a proposal makes no value trusted, because text that steers the agent can have it propose anything. It can
only take from what a yes covers. So nothing is gained by an agent that reports other words than it has said.

Where an output came without its values, or with more than are kept, nothing is known of the proposal, and a yes covers
what it covers without one. Any other request ends a proposal, and so does a refusal or a correction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

import msgspec

from streams.model.catalog import ArgumentRole
from streams.model.session import SessionEvent
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.examined import Examined, Value, is_pointed
from streams.processors.provenance.memory import Memory, read_content, stored_entries
from streams.processors.provenance.requested import is_one
from streams.processors.provenance.rows import ContentRow, ProvenanceRow
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.extraction.arguments import Argument
from streams.provenance.pointers import last_name, steps_of
from streams.provenance.requests.proposed import COUNT, MENTIONED, MONEY, NAME, PROPOSED_MAX, SORT_PATH, day_and_time
from streams.provenance.requests.sorts_named import sorts_in
from streams.provenance.sources.memory import DIGEST_BYTES, Entry, Seen, digests_in
from streams.provenance.tools.places import words_of

replace = msgspec.structs.replace
Proposal = Mapping[str, bytes]
_Record = tuple[int, tuple[str, ...]]
"""A record that was read: the number of its event, and the steps to it."""

_UNKNOWN = "?"
"""The sort in a proposal of which not everything is known."""
_NOT_KNOWN: Proposal = {_UNKNOWN: b""}
SORTS_MAX = 32
"""Sorts of the values of a proposal. Of one with more, nothing is known."""
_SORT_CHARS_MAX = 64
_LOOKED_UP = Seen.FIELD | Seen.TRUSTED
_FIELD = "@"
_ID = ("id",)
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER, _NOWHERE = ValueOrigin.USER, ValueOrigin.NOWHERE
_AMOUNT, _DATE = AtomKind.AMOUNT, AtomKind.DATE
_AMOUNTS, _TIME = ArgumentRole.AMOUNT, ArgumentRole.TIME
_BOUND = (ArgumentRole.TARGET, ArgumentRole.DESTINATION, _AMOUNTS, _TIME)


def with_output(row: ProvenanceRow, event: SessionEvent, memory: Memory) -> ProvenanceRow:
    """Return the row after the agent has said something."""
    if not event.atoms_complete or len(event.atoms) > PROPOSED_MAX:
        return replace(row, proposing=_NOT_KNOWN)
    stated = [(atom.path.removeprefix(SORT_PATH)[:_SORT_CHARS_MAX], atom.digest[:DIGEST_BYTES]) for atom in event.atoms]
    found = [each for each in stated if each[0] not in (NAME, MENTIONED)]
    names = {digest: (NAME, digest) in stated for sort, digest in stated if sort in (NAME, MENTIONED)}
    found += _ids_of_named(names, memory)
    return replace(row, proposing=_with(row.proposing, found))


def after_message(row: ProvenanceRow, *, agrees: bool, accepts: bool, asks: bool, refuses: bool) -> ProvenanceRow:
    """Return the row after a message of the user.

    Args:
        row: what was known before it.
        agrees: whether it says yes to what the agent has proposed.
        accepts: whether it at least says nothing against it.
        asks: whether it asks for an act.
        refuses: whether it refuses or corrects something, or nobody can tell.
    """
    if not row.proposing and not row.proposed:
        return row
    # "And what does it cost?" leaves what he has let stand before.
    before = {} if asks or refuses else row.proposed
    if not agrees and (asks or not accepts):
        return replace(row, proposing={}, proposed=before)
    # After "the other one, please" nobody knows which of the values are meant.
    found = [("" if refuses else sort, digest) for sort, held in row.proposing.items() for digest in digests_in(held)]
    return replace(row, proposing={}, proposed=_with(before, found) if _UNKNOWN not in row.proposing else _NOT_KNOWN)


def _with(proposal: Proposal, found: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Return a proposal with further values; one of which nothing is known if there is no room for all."""
    if _UNKNOWN in proposal:
        return dict(proposal)
    made = {sort: dict.fromkeys(digests_in(held)) for sort, held in proposal.items()}
    # A proposal without values is one as well.
    made.setdefault("", {})
    for sort, digest in found:
        made.setdefault(sort, {})[digest] = None
    is_full = len(made) > SORTS_MAX or sum(map(len, made.values())) > PROPOSED_MAX
    return dict(_NOT_KNOWN) if is_full else {sort: b"".join(held) for sort, held in made.items()}


def _ids_of_named(names: Mapping[bytes, bool], memory: Memory) -> list[tuple[str, bytes]]:
    """Return the ids in the records of which an output says a name, each with the field's name as its sort.

    Args:
        names: digests of the names, each with whether it is proposed, and not only mentioned. The ids in a record of
            which all names are only mentioned have no sort.
        memory: what the session has read.
    """
    known = [entry for digest in names if (entry := memory.find(digest)) is not None and entry.flags & _LOOKED_UP]
    contents = {entry.event: read_content(memory.session_key, entry.event, memory.state) for entry in known}
    records: dict[_Record, bool] = {}
    for entry in known:
        if steps := _steps_of(entry, contents):
            record = entry.event, steps[:-1]
            records[record] = records.get(record, False) or names[entry.digest]
    if not records:
        return []
    ids: dict[str, dict[_Record, bytes]] = {}
    for entry in stored_entries(memory.session_key, memory.state):
        steps = _steps_of(entry, contents)
        if steps and (record := (entry.event, steps[:-1])) in records and words_of(steps[-1])[-1:] == _ID:
            ids.setdefault(steps[-1].lower(), {})[record] = entry.digest
    # What text by others names as well may be kept as of that text. Then nobody knows of which record it is the id.
    return [
        (f"{_FIELD}{name}"[:_SORT_CHARS_MAX] if records[record] and _has_all(found, records.keys()) else "", digest)
        for name, found in ids.items()
        for record, digest in found.items()
    ]


def _has_all(found: Mapping[_Record, bytes], records: Set[_Record]) -> bool:
    """Return whether all records are found that belong to the same lists as those that are."""
    lists = {(event, steps[:-1]) for event, steps in found}
    return all(record in found for record in records if (record[0], record[1][:-1]) in lists)


def _steps_of(entry: Entry, contents: Mapping[int, ContentRow | None]) -> tuple[str, ...]:
    content = contents.get(entry.event)
    paths = () if content is None else content.paths_at(entry.path)
    return steps_of(paths[0]) if paths else ()


def compared(examined: Examined, arguments: Iterable[Argument], memory: Memory) -> tuple[Value, ...]:
    """Return the values of a call with what the proposal says of them that the user has let stand.

    It is asked of those values of an act that say where it goes, what is acted on, how much or when, that text by
    others names, and that the user has not named: `this` if the agent has proposed them, `other` if it has proposed
    others of their sort that the call lacks, and `none` otherwise.
    """
    proposal = examined.row.proposed
    if _UNKNOWN in proposal or examined.use.is_read:
        return examined.values
    by_place = {argument.pointer: argument for argument in arguments}
    proposed = {sort: set(digests_in(held)) for sort, held in proposal.items()}
    in_call = {digest for argument in by_place.values() for digest in _readings(argument.wholes, memory)}
    return tuple(
        replace(value, proposed=_said(value, argument, examined, proposed, in_call, memory))
        if (argument := by_place.get(value.pointer)) is not None and _is_suspect(value, argument, examined, memory)
        else value
        for value in examined.values
    )


def _is_suspect(value: Value, argument: Argument, examined: Examined, memory: Memory) -> bool:
    """Return whether text by others, and not the user, names what a yes is about."""
    traced = value.traced
    if value.is_part or traced.origin is _USER or traced.flags & Seen.SUBJECT:
        return False
    if (not value.is_sink and value.role not in _BOUND) or is_one(value, examined):
        return False
    if traced.entry is not None and traced.flags & Seen.TEXT and (traced.flags & Seen.NAMED or not is_pointed(traced)):
        return True
    if value.role is _AMOUNTS and traced.origin is _NOWHERE and traced.is_instructed:
        return True
    # Texts say a day without its year.
    return any(_is_others(each, memory) for each in argument.wholes if each.kind is _DATE)


def _is_others(date: Found, memory: Memory) -> bool:
    seen = [memory.look(_DATE, reading) for _, readings in day_and_time(date.value) for reading in readings]
    return any(each is not None and each.flags & Seen.NAMED and not each.flags & Seen.USER for each in seen)


def _readings(founds: Iterable[Found], memory: Memory) -> Iterator[bytes]:
    for each in founds:
        yield memory.digest(each.kind, each.value)
        if each.kind is _DATE:
            for _, readings in day_and_time(each.value):
                yield from (memory.digest(_DATE, reading) for reading in readings)


def _said(
    value: Value,
    argument: Argument,
    examined: Examined,
    proposed: Mapping[str, set[bytes]],
    in_call: set[bytes],
    memory: Memory,
) -> str:
    """Return what a proposal says of a value that only others name."""
    everything = set[bytes]().union(*proposed.values())
    missing = [sorts for sorts, digests in _pieces(value, argument, examined, memory) if everything.isdisjoint(digests)]
    if not missing:
        return "this"
    is_other = any(proposed.get(sort, set()) - in_call for sorts in missing for sort in sorts)
    return "other" if is_other else "none"


def _pieces(
    value: Value, argument: Argument, examined: Examined, memory: Memory
) -> list[tuple[tuple[str, ...], set[bytes]]]:
    """Return what a value states, each with the sorts that it can have, and with the digests of its readings."""
    dates = [each for each in argument.wholes if each.kind is _DATE]
    if dates and (value.role is _TIME or len(dates) == len(argument.wholes)):
        stated: dict[str, set[bytes]] = {}
        for date in dates:
            for sort, readings in day_and_time(date.value):
                stated.setdefault(sort, set()).update(memory.digest(_DATE, reading) for reading in readings)
        return [((sort,), digests) for sort, digests in stated.items()]
    amounts = [each for each in argument.wholes if each.kind is _AMOUNT]
    if value.role is _AMOUNTS and amounts and not value.is_sink:
        sort = MONEY if examined.use.tool.uses.is_money(value.pointer) else COUNT
        return [((sort,), set(_readings(amounts, memory)))]
    name = last_name(value.pointer).lower()
    # Of a record that is called by its name, `room_type_id` is what the argument `new_room_type_id` takes.
    fields = [f"{_FIELD}{name[start:]}" for start in range(len(name)) if not start or name[start - 1] == "_"]
    return [((*sorts_in(str(argument.value)), *fields), set(_readings(argument.wholes, memory)))]
