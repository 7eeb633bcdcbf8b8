"""What is known about a call: where its values come from, what kind of act it is, and whose data it is."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.model.budget import CarriedSource
from streams.model.catalog import ArgumentRole
from streams.model.verdict import ArgumentOrigin, ValueOrigin
from streams.processors.provenance.flow import UNSTATED, Audience
from streams.processors.provenance.rows import ContentRow, ProvenanceRow
from streams.processors.provenance.tools import ToolUse
from streams.provenance.acts.calls import READING
from streams.provenance.acts.kinds import DELEGATE
from streams.provenance.sources.memory import Seen, digests_in
from streams.provenance.sources.origins import Traced

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER = ValueOrigin.USER
_TEXT = ValueOrigin.TEXT
_NOWHERE = ValueOrigin.NOWHERE
_BY_OTHERS = (ValueOrigin.FIELD, ValueOrigin.TEXT)
OF_RECORDS = (ValueOrigin.FIELD, ValueOrigin.TRUSTED)
"""The origins of a value that was looked up: a field of a record."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """A value of the arguments.

    Attributes:
        pointer: the JSON pointer of its leaf.
        role: what the leaf is for.
        is_sink: whether the leaf says where data goes or what is acted on.
        is_part: whether the value is a part of the leaf's text.
        is_shaped: whether it has the shape of a machine's value: an address, a link, an id.
        traced: where it comes from.
        proposed: what the agent's proposal says of it, which the user has let stand (`proposals.compared`); empty if it
            is not asked.
    """

    pointer: str
    role: ArgumentRole
    is_sink: bool
    is_part: bool
    is_shaped: bool
    traced: Traced
    proposed: str = ""


class Owners(msgspec.Struct, frozen=True, gc=False):
    """Whose data a call is about.

    Attributes:
        is_subject: whether every argument that names an owner names the subject.
        is_other: whether one names somebody else, or the call is about a record of somebody else.
        age_ms: the time since operators' systems last knew whose it is; None if they don't say it.
        is_unclear: whether they may say it, but what they say can't be read.
        is_unread: whether the call acts on a record of a kind that has owners, of which nobody has shown whose it is.
    """

    is_subject: bool
    is_other: bool
    age_ms: int | None = None
    is_unclear: bool = False
    is_unread: bool = False


NO_OWNERS = Owners(is_subject=False, is_other=False)
"""The owners of a call for which no rule asks whose data it is about."""


class Examined(msgspec.Struct):
    """What is known about a call.

    Attributes:
        row: what the session has read as a whole.
        is_tainted: whether the session has read, or may have read, what others may write.
        args: the arguments.
        use: how the tool uses its arguments.
        kind: the kind of act.
        kinds: the kinds of act that the call may be asked for as.
        values: the values of the arguments.
        is_complete: whether all values were looked at.
        owners: whose data the call is about.
        contents: the events that the values were seen in, by number; None for one that is not kept.
        pieces: where the values come from that stand in addresses which the agent has put together; none if no rule
            asks where data go.
        is_named: whether the user has said what the tool does in the tool's own word, of which the kind is not known.
        drifts: whether the call is an act that nothing calls for; None until somebody asks.
        awaits: whether the result of a read is awaited that others may write.
        tells_person: whether a text of it holds what identifies a person, of which the user has not spoken; False if no
            rule asks where data go.
        is_unspoken: whether nothing that the user has said names the tool, an argument that it sets, or a value of the
            call other than himself; False of reads, of outward acts with a target, if he has said nothing, and before
            anything untrusted was read.
        counted: things that an argument is called after, and of which the user has said in another session of the
            conversation how many there are; only of a session to which he has said nothing.
        is_worded: whether the user has said what the tool does in the tool's own word; only looked up if the user and
            an instruction by others name the same sink, or if one may call for an act inside.
        is_mentioned: whether the user has said a word of whatever instructions of others name as the call's target;
            False of reads and of outward acts.
        is_of_other_thing: whether the user has said no word for what the tool is about, in an act that ends something,
            changes who may do what, or gives access; False where no instruction by others was read.
        is_of_other_matter: whether the user has mentioned other matters than the one that the act changes, and nothing
            that it sets is theirs or in a record; False of reads, of messages and of what only runs, and before
            anything untrusted was read.
        is_left_to: whether the user leaves acts or values to a content, and speaks of what the tool reads; False of
            acts, and of tools whose results are trusted.
        identifies: the digest of what is asked, if the user has identified himself by the arguments; empty if not.
    """

    row: ProvenanceRow
    is_tainted: bool
    args: dict[str, Any]
    use: ToolUse
    kind: str
    kinds: frozenset[str]
    values: tuple[Value, ...]
    is_complete: bool
    owners: Owners
    contents: dict[int, ContentRow | None]
    pieces: tuple[Traced, ...] = ()
    is_named: bool = False
    drifts: bool | None = None
    awaits: bool = False
    tells_person: bool = False
    is_unspoken: bool = False
    is_worded: bool = False
    counted: frozenset[str] = frozenset()
    is_left_to: bool = False
    is_mentioned: bool = False
    is_of_other_thing: bool = False
    is_of_other_matter: bool = False
    identifies: bytes = b""

    @property
    def has_sinks(self) -> bool:
        """Whether one of its arguments says where data go or what is acted on."""
        return any(value.is_sink for value in self.values)

    def content_of(self, traced: Traced) -> ContentRow | None:
        """Return the event that a value was seen in first; None if it was seen in none, or in one that is not kept."""
        entry = traced.entry
        return None if entry is None else self.contents.get(entry.event)

    def audience_of(self, traced: Traced) -> Audience:
        """Return who may see what a value was found in; of what is not kept, as of unlabelled data."""
        entry, content = traced.entry, self.content_of(traced)
        return UNSTATED if entry is None or content is None else content.audience_at(entry.path)

    def carried_from(self, digest: bytes) -> tuple[str, ...]:
        """Return what other sessions have read or written that held a value."""
        return tuple(each.event_id for each in self.row.carried if digest in digests_in(each.digests))

    def pointers_of(self, source: CarriedSource) -> tuple[str, ...]:
        """Return where the arguments have values that another session has read, or written into a store."""
        digests = set(digests_in(source.digests))
        found = [each.pointer for each in self.values if each.traced.entry and each.traced.entry.digest in digests]
        return tuple(dict.fromkeys(found))

    @property
    def is_selected_by_user(self) -> bool:
        """Whether the user has pointed at what a read returns: with at least one value, and none from elsewhere.

        A value that only an instruction to read names is the choice of others, also in a text that he has asked for.
        Also if he leaves acts or values to such a content ("do the to-dos in my note"), and no text by others may have
        chosen which one is read.
        """
        origins = [value for value in self.values if not value.is_part]
        if self.is_left_to and not any(_is_chosen_by_others(value.traced) for value in origins):
            return True
        # Who leaves acts to his list has not pointed at what others wrote into the records that it names.
        leaves_acts = any(scope.kind == DELEGATE for scope in self.row.scopes)
        points = _is_users if leaves_acts else is_pointed
        return any(points(value.traced) for value in origins) and all(
            (is_pointed(value.traced) and not _is_called_up(value.traced)) or value.traced.origin is _NOWHERE
            for value in origins
        )


def _is_users(traced: Traced) -> bool:
    """Return whether the user has named a value himself."""
    return traced.origin is _USER


def _is_called_up(traced: Traced) -> bool:
    """Return whether only an instruction of others names a value, and that calls for a read."""
    return traced.origin is _TEXT and traced.is_instructed and bool(traced.calls_for & READING)


def _is_chosen_by_others(traced: Traced) -> bool:
    """Return whether text by others may have chosen a value: it names it, or nothing shows where the value is from."""
    return not is_pointed(traced) and (traced.origin in (_TEXT, _NOWHERE) or bool(traced.flags & Seen.NAMED))


def is_pointed(traced: Traced) -> bool:
    """Return whether the user has named a value, or the record that it is a field of."""
    if traced.origin is _TEXT:
        return bool(traced.flags & Seen.SHOWN)
    return traced.origin is _USER or bool(traced.flags & (Seen.POINTED | Seen.OWN))


def argument_origins(examined: Examined) -> tuple[ArgumentOrigin, ...]:
    """Return the origins of the values as the verdict has them."""
    # From a list, which takes half as long as from a generator.
    return tuple([_argument_origin(value, examined) for value in examined.values])


def _argument_origin(value: Value, examined: Examined) -> ArgumentOrigin:
    traced = value.traced
    entry, content = traced.entry, examined.content_of(traced)
    if entry is None or content is None:
        event_ids: tuple[str, ...] = ()
        paths: tuple[str, ...] = ()
    else:
        event_ids, paths = (content.event_id,), content.paths_at(entry.path)
    if entry is not None and examined.row.carried and traced.origin in _BY_OTHERS:
        event_ids += examined.carried_from(entry.digest)
    row = examined.row
    is_identified = bool(row.identified) and entry is not None and entry.digest in row.identified
    return ArgumentOrigin(
        pointer=value.pointer,
        role=value.role,
        origin=traced.origin,
        instructed=traced.is_instructed,
        decoded=traced.is_decoded,
        event_ids=event_ids,
        paths=paths,
        identified_by=(row.identified_by or None) if is_identified else None,
    )
