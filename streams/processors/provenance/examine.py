"""Examine a call: trace its values, and find out what kind of act it is and whose data it is about.

The result makes the facts `origins`, `act`, `scope`, `owner` and `read`, and the origins of the verdict. It is made
once for a case, and only if a rule of the tool reads one of these facts.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from streams.model.catalog import ArgumentRole
from streams.model.labels import Integrity, Label
from streams.model.verdict import ValueOrigin
from streams.ports.processor import StateView
from streams.processors.provenance.examined import NO_OWNERS, Examined, Owners, Value
from streams.processors.provenance.flow import is_passed_on, personal_words, pieces_of
from streams.processors.provenance.memory import (
    ASKED_FOR,
    Memory,
    at_request,
    begun,
    read_content,
    read_provenance,
)
from streams.processors.provenance.owners import StatedOwners
from streams.processors.provenance.rows import ContentRow, ProvenanceRow
from streams.processors.provenance.tools import SETTINGS_MAX, ToolUse, has_same_shape, leaf_at
from streams.processors.session_row import PENDING_READS_MAX, SessionRow
from streams.provenance.act_words import FORMS
from streams.provenance.acts import DELEGATE, FILL, USUAL, ActKind
from streams.provenance.arguments import (
    Argument,
    arguments_in,
    extract_part,
    extract_unusual,
    short_reading,
    usual_reading,
)
from streams.provenance.arithmetic import operands
from streams.provenance.counted import COUNTED, things_like
from streams.provenance.found import AtomKind, Found, kind_of_words
from streams.provenance.lookalikes import HOSTED, Comparison, hosts_written_otherwise
from streams.provenance.memory import ATOMS_MAX, Seen
from streams.provenance.numbers import ORDERED
from streams.provenance.origins import (
    AWAITED,
    NOWHERE,
    SHAPED,
    UNKNOWN,
    Look,
    Traced,
    built_on,
    is_composed,
    joined,
    seen_in,
    trace,
    unnamed,
)
from streams.provenance.phones import dialled_at_home
from streams.provenance.places import words_of
from streams.provenance.pointers import last_name, place_at
from streams.provenance.postal import assembled
from streams.provenance.scope import DERIVED, Scope, ScopedArgument
from streams.provenance.words import TEXT_CHARS_MAX, THINGS_ALIKE, UNTYPED, listed, short_value, thing_of

replace = msgspec.structs.replace
ORIGINS_MAX = 128
"""Values of a call that are looked at. A call with more counts as one with a value from instructed text in a sink."""


PARTS_MAX = 2_048
"""Values inside of texts that are looked up."""
UNDONE_MAX = 128
"""Amounts for a call of which others may have been worked out."""


def examine(
    session: SessionRow,
    args: dict[str, Any],
    use: ToolUse,
    memory: Memory,
    session_key: bytes,
    state: StateView,
    *,
    asked: frozenset[str],
    stated: StatedOwners | None = None,
    owned: frozenset[str] = frozenset(),
    row: ProvenanceRow | None = None,
    label: Label | None = None,
) -> Examined:
    """Examine a call.

    Args:
        session: the row of its session.
        args: its arguments, which conform to the tool's schema.
        use: its tool.
        memory: what the session has seen.
        session_key: the key of the session.
        state: the partition's state.
        asked: the facts that rules read. What only `owner` or `flow` tells is left out if that is not one of them.
        stated: what operators' systems say about whose the records are; None if they say nothing.
        owned: the things that have owners, as other tools of the server show.
        row: what the session has read as a whole; None if that is not known yet.
        label: the join of what it has read or may have read; None if that is not known yet.
    """
    if row is None:
        row = read_provenance(session_key, state)
    if row is None:
        row = begun(memory, session)
    is_tainted = (session.effective_label() if label is None else label).integrity is not _TRUSTED
    missing = NOWHERE if row.is_complete else UNKNOWN
    awaits = is_tainted and _awaits_untrusted(session)
    if awaits and missing is NOWHERE:
        missing = AWAITED
    targets = _NO_TARGETS
    limits: list[ScopedArgument] = []
    for scope in row.scopes:
        if scope.targets:
            targets = targets.union(scope.targets)
        if scope.arguments and (not scope.tools or use.name in scope.tools):
            limits += scope.arguments
    only = memory.values_of_subject_only(row, session.identity.sub)
    look = memory.look if only is None else _look_for(only, memory.look)
    is_full = row.atoms_count >= ATOMS_MAX
    tracer = _Tracer(look, missing, targets, limits, row.scopes, is_full=is_full, subject=session.identity.sub)
    arguments, are_all = arguments_in(args, use.thing)
    urls: dict[tuple[AtomKind, str], None] = {}
    asks_for_pieces = use.is_outward and "flow" in asked
    values = _values(arguments, use, tracer, urls if asks_for_pieces else None)
    for argument in arguments:
        are_all = are_all and argument.complete
    is_complete = are_all and len(values) <= ORIGINS_MAX and len(urls) <= ORIGINS_MAX
    owners = NO_OWNERS
    if "owner" in asked:
        owners = _owners(values, args, use, session.identity.sub, stated)
        if owned and not use.is_read and owners.age_ms is None and _is_unread(values, use, owned):
            owners = replace(owners, is_unread=True)
    # Of a session that has seen nothing but its subject, no piece can be what data have shown.
    pieces = tuple(_pieces(urls, tracer)) if urls and only is None else ()
    told = tuple(values[:ORIGINS_MAX])
    contents: dict[int, ContentRow | None] = {}
    for seen in (*[value.traced for value in told], *pieces) if pieces else [value.traced for value in told]:
        entry = seen.entry
        if entry is not None and (number := entry.event) not in contents:
            contents[number] = read_content(session_key, number, state)
    kind = use.tool.uses.kind_of(args)
    examined = Examined(
        row,
        is_tainted,
        args,
        use,
        kind,
        use.kinds_of(kind),
        told,
        is_complete,
        owners,
        contents,
        pieces,
        kind == _OTHER and tracer.has_said_any(use.own_words),
        awaits=awaits,
    )
    examined.tells_person = asks_for_pieces and _tells_person(examined, tracer)
    is_inner_act = not use.is_read and not use.is_outward
    examined.is_unspoken = is_inner_act and is_tainted and row.has_message and _is_unspoken(examined, tracer)
    examined.is_worded = _is_worded(told, use, tracer)
    examined.is_left_to = use.is_read and _is_left_to(row, use, tracer)
    examined.counted = _NOTHING_COUNTED if row.has_message or not row.asked_s else _counted_elsewhere(told, row, memory)
    return examined


def _is_unspoken(examined: Examined, tracer: _Tracer) -> bool:
    """Return whether nothing that the user has said names the tool of a call, what it sets, or a value of it.

    That it acts on himself says nothing: at a desk, every call does.
    """
    for value in examined.values:
        if value.traced.origin is _USER and not value.traced.flags & Seen.SUBJECT:
            return False
    use = examined.use
    if tracer.has_said_any((*use.spoken_of, *use.words_of_settings(examined.args))):
        return False
    # "Bring my dog": as the value of a setting, a short word has no source.
    short = [short_value(value) for value in islice(examined.args.values(), SETTINGS_MAX) if isinstance(value, str)]
    return not tracer.has_said_any(filter(None, short))


def _counted_elsewhere(values: Iterable[Value], row: ProvenanceRow, memory: Memory) -> frozenset[str]:
    """Return the things that arguments are called after, and of which the user has said in another session how many.

    What he has said to this session itself is in its row.
    """
    called = {thing for value in values for thing in things_like(thing_of(last_name(value.pointer)))}
    return frozenset(
        thing for thing in called if memory.look(ASKED_FOR, at_request(row.asked_s, f"{COUNTED}{thing}")) is not None
    )


def _is_worded(values: Iterable[Value], use: ToolUse, tracer: _Tracer) -> bool:
    """Return whether the user has said the tool's own word, where he and an instruction of others name one sink."""
    for value in values:
        # A loop costs less than a function for each value.
        if value.is_sink and value.traced.origin is _USER and value.traced.flags & _INSTRUCTED:
            return tracer.has_said_any(use.own_words)
    return False


def _is_left_to(row: ProvenanceRow, use: ToolUse, tracer: _Tracer) -> bool:
    """Return whether the user leaves acts or values to a content, and speaks of what the tool reads.

    Trusted data can't be what others have written to him. Who speaks of his contacts has pointed at none of them.
    """
    label = use.tool.output_label
    if (label is not None and label.integrity is _TRUSTED) or not any(scope.kind in _LEFT for scope in row.scopes):
        return False
    return tracer.has_said_any(word for word in use.spoken_of if word not in use.own_words)


def _tells_person(examined: Examined, tracer: _Tracer) -> bool:
    """Return whether a call writes what identifies a person into a text, of which the user has not spoken."""
    for value in examined.values:
        if value.role is not _CONTENT or value.is_sink or not value.is_shaped or not is_passed_on(value.traced):
            continue
        entry, content = value.traced.entry, examined.content_of(value.traced)
        if entry is None or content is None or content.audience_at(entry.path).is_public:
            continue
        for path in content.paths_at(entry.path):
            words = personal_words(path)
            if words and not tracer.has_said_any(words):
                return True
    return False


def _awaits_untrusted(session: SessionRow) -> bool:
    """Return whether the result of a call that others may write has not been reported. Only a tainted session does.

    The session remembers only so many calls: if it remembers as many, there may have been one more.
    """
    awaited = session.trust.pending_reads
    return len(awaited) >= PENDING_READS_MAX or any(read.label.integrity is not _TRUSTED for read in awaited)


def _look_for(values: Container[tuple[str, str]], look: Look) -> Look:
    """Return what looks only for some values: nothing else can be found."""
    return lambda kind, value: look(kind, value) if (kind, value) in values else None


# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_AMOUNT, _NUMBER, _URL, _USER = AtomKind.AMOUNT, AtomKind.NUMBER, AtomKind.URL, ValueOrigin.USER
_PHONE = AtomKind.PHONE
_MAILBOX, _WORDS = AtomKind.ADDRESS, AtomKind.TEXT
_TRUSTED, _CONTENT, _OTHER = Integrity.TRUSTED, ArgumentRole.CONTENT, ActKind.OTHER
_AMOUNTS, _DESTINATION = ArgumentRole.AMOUNT, ArgumentRole.DESTINATION
_LEFT = (DELEGATE, FILL)
_NO_TARGETS: frozenset[str] = frozenset()
_NOTHING_COUNTED: frozenset[str] = frozenset()
_TEXT, _NOWHERE = ValueOrigin.TEXT, ValueOrigin.NOWHERE
_OTHERS = (ValueOrigin.FIELD, _TEXT, _NOWHERE)
_KNOWN = ValueOrigin.TRUSTED
_OPERANDS = (_USER, _KNOWN, ValueOrigin.FIELD)
"""Where an amount can come from that another one was worked out of, the best source first."""
# A name of a module is found at once, one of a class after a search of the class.
_SAID, _INSTRUCTED, _LEFT_OUT = Seen.USER, Seen.INSTRUCTED, Seen.EXCLUDED
_OWN, _FOREIGN, _OWNED = Seen.OWN, Seen.FOREIGN, Seen.OWN | Seen.FOREIGN


class _Tracer:
    """Traces values.

    Args:
        look: finds values in what the session has seen.
        missing: what a value is that is not found.
        targets: the values that a scope names, in lower case.
        limits: the values that scopes name for single arguments of the tool.
        scopes: what the user's words say, besides kinds of acts: how amounts are worked out, and what is as usual.
        is_full: whether the session had no room for some of what it has seen.
        subject: the session's subject.
    """

    __slots__ = (
        "_comparison",
        "_is_full",
        "_limits",
        "_missing",
        "_scopes",
        "_subject",
        "_targets",
        "_undone_left",
        "look",
    )

    def __init__(
        self,
        look: Look,
        missing: Traced,
        targets: frozenset[str],
        limits: Sequence[ScopedArgument],
        scopes: Sequence[Scope],
        *,
        is_full: bool,
        subject: str,
    ) -> None:
        self.look = look
        self._missing = missing
        self._targets = targets
        self._limits = limits
        self._scopes = scopes
        self._undone_left = UNDONE_MAX
        self._is_full = is_full
        self._subject = subject
        self._comparison: Comparison | None = None

    def has_said_any(self, words: Iterable[str]) -> bool:
        """Return whether the user has said one of some words, in canonical form."""
        return any(self._has_said(kind_of_words(word), word) for word in words)

    def _has_said(self, kind: AtomKind, value: str) -> bool:
        entry = self.look(kind, value)
        return entry is not None and bool(entry.flags & _SAID)

    def whole(
        self,
        seen: Traced,
        argument: Argument,
        founds: list[Found],
        role: ArgumentRole,
        *,
        is_sink: bool,
        is_told: bool,
        is_read: bool = False,
    ) -> Traced:
        """Return where a leaf comes from that the user has not named; what consists of what he named is his.

        Args:
            seen: where the leaf was seen as a whole.
            argument: the leaf.
            founds: all kinds that it can have, with their canonical forms.
            role: what it is for.
            is_sink: whether it says where data goes or what is acted on. Then the host of an address and the halves of
                the leaf are looked for if nothing else is found.
            is_told: whether a fact will hold it; only then it is taken apart.
            is_read: whether it says what is read inside of the operator's systems.
        """
        value = argument.value
        if (self._targets or self._limits) and self._is_in_scope(argument.pointer, str(value).casefold()):
            return replace(seen, origin=_USER)
        # A text that is passed on, such as the body of a mail, does not consist of what the user named.
        if is_told and (is_sink or role is not _CONTENT) and self._is_of_parts(value, seen, is_read=is_read):
            return replace(seen, origin=_USER)
        if is_sink and role is not _DESTINATION and isinstance(value, str) and self._has_said_verb_of(value):
            return replace(seen, origin=_USER)
        if seen is not NOWHERE:
            return seen
        if any(each.kind is _PHONE and self._has_dialled(each.value) for each in founds):
            return replace(seen, origin=_USER)
        built = built_on(founds, self.look) if is_sink else None
        if built is None and is_sink and is_told and isinstance(value, str):
            built = assembled(value, self.look) or joined(value, self._part)
        return self._missing if built is None else built

    def _has_said_verb_of(self, value: str) -> bool:
        """Return whether a value is a form of a verb that the user has said: who says "arm it" has named `armed`."""
        verb = FORMS.get(value.lower())
        return verb is not None and self._has_said(kind_of_words(verb), verb)

    def _has_dialled(self, digits: str) -> bool:
        """Return whether the user has named a phone number as it is dialled in its country. Nobody else has named the
        number, so the agent has put the country's code before it."""
        return any(self._has_said(AtomKind.ACCOUNT, each) for each in dialled_at_home(digits))

    def _is_in_scope(self, pointer: str, value: str) -> bool:
        """Return whether a scope names a value, for all sinks or for this argument."""
        return value in self._targets or any(
            value in values and place_at(path).cover(pointer) for path, values in self._limits
        )

    def _is_of_parts(self, value: object, seen: Traced, *, is_read: bool) -> bool:
        """Return whether a value of which nobody knows a good source consists of what the user has named."""
        origin = seen.origin
        if not (origin is _TEXT or origin is _NOWHERE) or not isinstance(value, str):
            return False
        return is_composed(value, self._is_named, is_accused=bool(seen.flags & _INSTRUCTED), is_read=is_read)

    def has_called(self, handle: str, seen: Traced) -> bool:
        """Return whether the user has called somebody by a handle: who answers "the guest Ravi" means `@guest-ravi`."""
        return is_composed(handle, self._is_named, is_accused=bool(seen.flags & _INSTRUCTED))

    def compared(self, seen: Traced, founds: Iterable[Found]) -> Traced:
        """Return what is known of a value in a sink with what the hosts in it look like.

        That of the user and of trusted data is not compared.
        """
        if seen.origin not in _OTHERS:
            return seen
        if self._comparison is None:
            self._comparison = Comparison(self.look, is_full=self._is_full, subject=self._subject)
        flags = self._comparison.of(founds)
        return replace(seen, flags=seen.flags | flags) if flags else seen

    def _part(self, text: str) -> Traced:
        usual = usual_reading(text)
        if usual is None:
            return trace(extract_unusual(text), self.look)
        kind, value = usual
        return seen_in(self.look(kind, value)) if value else NOWHERE

    def _is_named(self, text: str) -> bool:
        """Return whether the best source of a part is the user, who has not left it out."""
        usual = usual_reading(text)
        if usual is None:
            flags = trace(extract_unusual(text), self.look).flags
        else:
            kind, value = usual
            entry = self.look(kind, value) if value else None
            flags = 0 if entry is None else entry[1]
        return bool(flags & _SAID) and not flags & _LEFT_OUT

    def unstated(self, founds: Sequence[Found], *, is_money: bool) -> Traced:
        """Return what is known of an amount that nothing states.

        An order without a currency may call for it. If none does, the user may have had it worked out.

        Args:
            founds: how it reads.
            is_money: whether it is one of money.
        """
        for each in founds:
            if each.kind is _AMOUNT:
                entry = self.look(_NUMBER, f"{ORDERED}:{each.value}")
                if entry is not None and entry.flags & _INSTRUCTED:
                    return Traced(_NOWHERE, _INSTRUCTED, None, entry.calls_for)
        return self._worked_out(founds) if is_money else NOWHERE

    @property
    def is_usual(self) -> bool:
        """Whether the user has something go where it usually goes."""
        return any(scope.kind == USUAL and scope.source == DERIVED for scope in self._scopes)

    def _worked_out(self, founds: Iterable[Found]) -> Traced:
        """Return where the amount comes from that the user has had another one worked out of.

        The amount is worth as much. Text by others does not count: they could write the one that yields what they want.
        """
        # "12 eur" is 12 as well, and "-12" is what has gone instead of come.
        amounts = [each.value for each in founds if each.kind is _AMOUNT and each.value.replace(".", "", 1).isdigit()]
        said = [scope.kind for scope in self._scopes if scope.source == DERIVED]
        best, rank = NOWHERE, len(_OPERANDS)
        # Of what the user's words say, `operands` leaves out kinds of acts.
        for operand in operands(amounts, said, self._undone_left):
            self._undone_left -= 1
            for written in (operand, f"-{operand}"):
                seen = seen_in(self.look(_AMOUNT, written))
                if seen.origin in _OPERANDS[:rank]:
                    best, rank = seen, _OPERANDS.index(seen.origin)
        return best

    def piece(self, founds: list[Found]) -> Traced:
        """Trace an address or a piece of one. What is not found says nothing, also where something is missing."""
        return trace(founds, self.look)

    def part(self, found: Found) -> Traced:
        """Trace a value inside of a longer text."""
        seen = trace((found,), self.look)
        return self._missing if seen is NOWHERE else seen


def _values(
    arguments: Iterable[Argument], use: ToolUse, tracer: _Tracer, urls: dict[tuple[AtomKind, str], None] | None
) -> list[Value]:
    """Return the leaves of the arguments as values, then the values inside of those that are not known as a whole.

    Args:
        arguments: the leaves.
        use: the tool.
        tracer: traces them.
        urls: takes the kinds and canonical forms of addresses, also of those inside of texts that others could have
            written; None if nobody asks for them.
    """
    values: list[Value] = []
    opened: list[tuple[Argument, bool]] = []
    for argument in arguments:
        is_exact = False
        if not argument.wholes and use.place_of(argument.pointer)[1]:
            argument.wholes = short_reading(argument, tracer.look)
        if argument.wholes:
            # Of the values that no fact will hold, only what they say of owners counts: taking them apart adds nothing.
            value = _whole(argument, use, tracer, is_told=len(values) < ORIGINS_MAX)
            values.append(value)
            traced, is_shaped = value.traced, value.is_shaped
            is_exact = is_shaped
            if traced.origin is _USER:
                # What he has said as a whole is not an address that the agent has put together.
                if not is_shaped or (argument.is_usual and traced.flags & _SAID):
                    continue
                is_exact = True
            if is_shaped and urls is not None and traced.entry is None:
                # The name of a mailbox that nothing has shown can carry data.
                urls.update(((each.kind, each.value), None) for each in argument.wholes if each.kind is _MAILBOX)
        if argument.text and (not is_exact or (urls is not None and argument.may_hold_addresses)):
            opened.append((argument, is_exact))
    if opened:
        values += _opened_values(opened, use, tracer, urls, told=ORIGINS_MAX - len(values))
    return values


def _opened_values(
    opened: Iterable[tuple[Argument, bool]],
    use: ToolUse,
    tracer: _Tracer,
    urls: dict[tuple[AtomKind, str], None] | None,
    *,
    told: int,
) -> list[Value]:
    """Return the values inside of leaves; of one that is known as a whole, only the addresses are taken.

    Args:
        opened: the leaves, and whether each is known as a whole.
        use: the tool.
        tracer: traces them.
        urls: takes addresses, as for `_values`.
        told: how many values a fact will hold.
    """
    values: list[Value] = []
    for argument, is_exact in opened:
        parts = argument.parts()
        if urls is not None:
            for each in (*argument.wholes, *parts):
                if each.kind is _URL or each.kind is _MAILBOX:
                    urls[each.kind, each.value] = None
        if is_exact or not parts:
            continue
        values += _inner(argument, parts, use, tracer, told=told - len(values))
        if len(values) >= PARTS_MAX:
            argument.complete = False
            break
    return values


def _inner(argument: Argument, parts: list[Found], use: ToolUse, tracer: _Tracer, *, told: int) -> Iterable[Value]:
    """Yield the values inside of a leaf. Of the first `told`, the hosts are compared if the leaf says where it goes.

    A long text that is passed on, such as the body of a mail, says that nowhere: its links are content.
    """
    role, is_sink = use.place_of(argument.pointer)
    compares = is_sink and (role is not _CONTENT or len(str(argument.value)) <= TEXT_CHARS_MAX)
    for number, each in enumerate(parts):
        traced = tracer.part(each)
        if each.kind is _MAILBOX and each.value.startswith("@") and tracer.has_called(each.value, traced):
            traced = replace(traced, origin=_USER)
        if compares and number < told and each.kind in HOSTED:
            traced = tracer.compared(traced, (each,))
        if is_sink and traced.flags & _LEFT_OUT:
            traced = _as_target(traced, argument.pointer, use)
        yield Value(argument.pointer, role, is_sink, True, True, traced)


_POSTAL = listed("postcode postal zip zipcode plz")
"""Words of names whose numbers are those of a place."""


def _whole(argument: Argument, use: ToolUse, tracer: _Tracer, *, is_told: bool) -> Value:
    """Return a leaf as a value, with its origin."""
    pointer, founds = argument.pointer, argument.wholes
    role, is_sink = use.places.get(pointer) or use.place_of(pointer)
    is_shaped = has_amount = has_number = False
    for each in founds:
        kind = each.kind
        if kind is _WORDS:
            continue
        if kind in SHAPED:
            is_shaped = True
        elif kind is _AMOUNT:
            has_amount = True
        elif kind is _NUMBER:
            has_number = True
    may_be_money = has_amount and role is _AMOUNTS and not is_sink
    if may_be_money and is_shaped and use.tool.uses.is_money(pointer):
        # "12850" can be an id, but an amount is not one, however many digits it has.
        founds, is_shaped = [each for each in founds if each.kind not in SHAPED], False
    if has_amount or has_number:
        founds = _as_numbers(founds, use, pointer, role, is_sink=is_sink)
    traced = trace(founds, tracer.look)
    if has_amount and role is _AMOUNTS and traced.origin is _USER:
        # "50-150 EUR" may also be read as one number (50150), but it states no such amount.
        traced = trace([each for each in founds if each.kind is _AMOUNT], tracer.look)
    if traced.origin is not _USER:
        is_read = use.is_read and not use.is_outward and not is_sink
        traced = tracer.whole(traced, argument, founds, role, is_sink=is_sink, is_told=is_told, is_read=is_read)
        if is_sink:
            traced = _in_sink(traced, argument, tracer, is_told=is_told, is_shaped=is_shaped)
        elif has_amount and traced is NOWHERE:
            traced = tracer.unstated(founds, is_money=may_be_money and use.tool.uses.is_money(pointer))
    traced = _as_target(traced, pointer, use) if is_sink and traced.flags & _LEFT_OUT else traced
    return Value(pointer, role, is_sink, False, is_shaped, traced)


_TAKES_LEFT_OUT = listed(
    "exclude excluded excluding exclusion exclusions except exception exceptions without ignore ignored skip skipped "
    "omit not old previous former current replaced"
)
"""Words of the names of arguments that take what is left out, or what was there before."""


def _as_target(traced: Traced, pointer: str, use: ToolUse) -> Traced:
    """Return what is known of a value in a sink that the user has left out: he has not named it as a target."""
    if use.is_read or not _TAKES_LEFT_OUT.isdisjoint(words_of(last_name(pointer))):
        return replace(traced, flags=traced.flags & ~_LEFT_OUT)
    return unnamed(traced)


def _in_sink(traced: Traced, argument: Argument, tracer: _Tracer, *, is_told: bool, is_shaped: bool) -> Traced:
    """Return what is known of a value in a sink that the user has not named."""
    if traced.origin is _KNOWN and tracer.is_usual:
        # "Same account as always": he has pointed at what trusted data show, whoever names it as well.
        return replace(traced, flags=traced.flags | Seen.POINTED)
    if is_told and traced.origin in _OTHERS and argument.may_hold_hosts:
        return tracer.compared(traced, _hosted(argument, is_shaped=is_shaped))
    return traced


def _as_numbers(
    founds: Iterable[Found], use: ToolUse, pointer: str, role: ArgumentRole, *, is_sink: bool
) -> list[Found]:
    """Return how a leaf reads that holds a number: under which names it may be known, and as which amount."""
    readings = list(founds)
    if is_sink and _POSTAL.isdisjoint(words_of(last_name(pointer))):
        # In a sink, the same amount proves nothing, but "9006 Tromsø" has no amount in it.
        readings = [each for each in readings if each.kind is not _AMOUNT]
    readings += [*_numbers_as_named(readings, use)]
    if role is _AMOUNTS:
        readings += [Found(_AMOUNT, f"-{each.value}", each.path) for each in readings if each.kind is _AMOUNT]
    return readings


def _hosted(argument: Argument, *, is_shaped: bool) -> Iterable[Found]:
    """Yield what of a leaf may have a host. One that has no shape as a whole is taken apart later."""
    yield from argument.wholes
    if not argument.is_usual:
        if is_shaped:
            yield from argument.parts()
        yield from hosts_written_otherwise(str(argument.value))


def _numbers_as_named(founds: Iterable[Found], use: ToolUse) -> Iterable[Found]:
    """Yield what the number of a leaf may name besides what its argument says: `17` of `get_order` is `order 17`, and
    the `email_id` 28 is that of `mail 28`."""
    for each in founds:
        if each.kind is _NUMBER:
            thing, _, digits = each.value.partition(":")
            things = use.things if each.value.startswith(use.own_numbers) else ()
            for other in (*things, *THINGS_ALIKE.get(thing, ())):
                yield Found(_NUMBER, f"{other}:{digits}", each.path, whole_field=True)


def _pieces(urls: Iterable[tuple[AtomKind, str]], tracer: _Tracer) -> Iterable[Traced]:
    """Trace what stands in the addresses that the agent has put together, which are those that were not shown.

    Args:
        urls: the kinds and canonical forms of all addresses of the arguments, also of those inside of texts.
        tracer: traces their pieces.
    """
    for kind, address in islice(urls, ORIGINS_MAX):
        if tracer.piece([Found(kind, address)]) is NOWHERE:
            for founds in pieces_of(address, extract_part):
                yield tracer.piece(founds)


def _owners(values: Iterable[Value], args: Any, use: ToolUse, sub: str, stated: StatedOwners | None) -> Owners:
    """Return whose data the call is about: what operators' systems say of a record counts, else what contents say."""
    owner_args = use.tool.uses.owner_args
    has_owner_args = bool(owner_args)
    named = own = 0
    other = False
    if stated is None and not has_owner_args:
        # Of most values, nothing says whose they are.
        values = [value for value in values if value.traced.flags & _OWNED]
        if not values:
            return NO_OWNERS
    for value in values:
        flags = value.traced.flags
        names_owner = has_owner_args and not value.is_part and owner_args.cover(value.pointer)
        if stated is not None and (names_owner or _names_record(value, use)):
            is_own = stated.is_subjects(leaf_at(args, value.pointer), _thing_of(value, use), in_all_kinds=names_owner)
            if is_own is not None:
                named, own, other = named + 1, own + is_own, other or not is_own
                continue
        if names_owner:
            text = leaf_at(args, value.pointer)
            named += 1
            if text == sub or flags & _OWN:
                own += 1
            elif use.states_owners or (isinstance(text, str) and has_same_shape(text, sub)):
                other = True
        elif flags & _FOREIGN and not flags & _OWN and (value.is_sink or use.is_read) and value.is_shaped:
            other = True
        elif flags & _OWN and value.is_shaped and not value.is_part:
            named += 1
            own += 1
    is_subject = bool(named) and named == own and not other
    if stated is None:
        return Owners(is_subject, other)
    return Owners(is_subject, other, stated.age_ms, stated.is_unclear)


_SHOWN = Seen.TRUSTED | Seen.FIELD | Seen.SUBJECT


def _is_unread(values: Iterable[Value], use: ToolUse, owned: frozenset[str]) -> bool:
    """Return whether a call acts on a record of a kind that has owners, and no record that was read holds it.

    Text that others wrote does not show whose it is.
    """
    return any(
        value.is_sink
        and not value.traced.flags & _SHOWN
        and _names_record(value, use)
        and _thing_of(value, use) in owned
        for value in values
    )


_NAMES_NO_RECORD = frozenset({ArgumentRole.CONTENT, ArgumentRole.AMOUNT, ArgumentRole.TIME, ArgumentRole.DESTINATION})


def _names_record(value: Value, use: ToolUse) -> bool:
    """Return whether a value says what is read or acted on. Where something goes may well be somebody else's."""
    return not value.is_part and (value.is_sink or use.is_read) and value.role not in _NAMES_NO_RECORD


def _thing_of(value: Value, use: ToolUse) -> str:
    """Return what the argument of a value is called: `order` for `/order_ids/0`, and for the `id` of `get_order`."""
    name = last_name(value.pointer)
    thing = thing_of(name) if name else UNTYPED
    return use.thing if thing == UNTYPED else thing
