"""Find the values of a call, each with where it comes from: the leaves of its arguments, then what stands inside.

A leaf that the user has named, or that is an address or an id as a whole, is one value. Every other text is opened: the
body of a mail is only content, but its links and numbers may be anybody's. If a rule asks where data go, the addresses
in any leaf are taken apart as well, because an agent can put data into one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

from streams.model.catalog import ArgumentRole
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.examined import Value
from streams.processors.provenance.flow import pieces_of
from streams.processors.provenance.tools import Place, ToolUse
from streams.processors.provenance.tracer import Tracer
from streams.provenance.acts.words import CHANGING_VERBS
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.extraction.arguments import Argument, extract_part, short_reading
from streams.provenance.instructions.dictated import sentences_of_text
from streams.provenance.pointers import last_name
from streams.provenance.sources.lookalikes import HOSTED, hosts_written_otherwise
from streams.provenance.sources.memory import Seen
from streams.provenance.sources.origins import NOWHERE, SHAPED, Traced, trace, unnamed
from streams.provenance.tools.places import words_of
from streams.provenance.words import TEXT_CHARS_MAX, THINGS_ALIKE, listed

replace = msgspec.structs.replace
ORIGINS_MAX = 128
"""Values of a call that are looked at. A call with more counts as one with a value from instructed text in a sink."""
SENTENCES_MAX = 32
"""Sentences of a text of which it is looked up whether somebody dictates them."""
PARTS_MAX = 2_048
"""Values inside of texts that are looked up."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_AMOUNT, _NUMBER, _URL, _USER = AtomKind.AMOUNT, AtomKind.NUMBER, AtomKind.URL, ValueOrigin.USER
_MAILBOX, _WORDS, _DATE = AtomKind.ADDRESS, AtomKind.TEXT, AtomKind.DATE
_CONTENT, _AMOUNTS, _TIME = ArgumentRole.CONTENT, ArgumentRole.AMOUNT, ArgumentRole.TIME
_UNKNOWN = ArgumentRole.UNKNOWN
_KNOWN, _OTHERS = ValueOrigin.TRUSTED, (ValueOrigin.FIELD, ValueOrigin.TEXT, ValueOrigin.NOWHERE)
# A name of a module is found at once, one of a class after a search of the class.
_SAID, _LEFT_OUT, _SOLE = Seen.USER, Seen.EXCLUDED, Seen.SOLE


def values_of(
    arguments: Iterable[Argument], use: ToolUse, tracer: Tracer, urls: dict[tuple[AtomKind, str], None] | None
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
            value = _as_read(value, argument) if use.is_read else value
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
        if tracer.may_be_dictated and not use.is_read:
            values += [each for argument, _ in opened for each in _dictated(argument, use, tracer)]
    return values


def _dictated(argument: Argument, use: ToolUse, tracer: Tracer) -> Iterable[Value]:
    """Yield the sentences of a text that an instruction dictates, where other words stand beside them."""
    role, is_sink = use.place_of(argument.pointer)
    if role is not _CONTENT or is_sink:
        return
    for sentence in islice(sentences_of_text(argument.text), SENTENCES_MAX):
        traced = tracer.words(sentence)
        if traced.is_instructed and traced.origin is ValueOrigin.TEXT and not tracer.has_said_words(sentence):
            yield Value(argument.pointer, role, False, True, False, traced)


def _opened_values(
    opened: Iterable[tuple[Argument, bool]],
    use: ToolUse,
    tracer: Tracer,
    urls: dict[tuple[AtomKind, str], None] | None,
    *,
    told: int,
) -> list[Value]:
    """Return the values inside of leaves; of one that is known as a whole, only the addresses are taken.

    Args:
        opened: the leaves, and whether each is known as a whole.
        use: the tool.
        tracer: traces them.
        urls: takes addresses, as for `values_of`.
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


def _inner(argument: Argument, parts: list[Found], use: ToolUse, tracer: Tracer, *, told: int) -> Iterable[Value]:
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


def _whole(argument: Argument, use: ToolUse, tracer: Tracer, *, is_told: bool) -> Value:
    """Return a leaf as a value, with its origin."""
    pointer, founds = argument.pointer, argument.wholes
    role, is_sink = place = use.places.get(pointer) or use.place_of(pointer)
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
        founds = _as_numbers(founds, use, pointer, place)
    traced = trace(founds, tracer.look)
    if has_amount and role is _AMOUNTS and traced.origin is _USER:
        # "50-150 EUR" may also be read as one number (50150), but it states no such amount.
        traced = trace([each for each in founds if each.kind is _AMOUNT], tracer.look)
    if traced.origin is not _USER:
        is_read = use.is_read and not use.is_outward and not is_sink
        traced = tracer.whole(traced, argument, founds, place, is_told=is_told, is_read=is_read)
        if is_sink:
            traced = _in_sink(traced, argument, tracer, is_told=is_told, is_shaped=is_shaped)
        elif traced is NOWHERE and (has_amount or role is _TIME):
            is_money = may_be_money and use.tool.uses.is_money(pointer)
            traced = _unstated(founds, tracer, is_amount=has_amount, is_money=is_money)
        else:
            # `action: update` says no more than that something is changed: it accuses nobody.
            traced = NOWHERE if role is _UNKNOWN and str(argument.value).lower() in CHANGING_VERBS else traced
    traced = _as_target(traced, pointer, use) if is_sink and traced.flags & _LEFT_OUT else traced
    return Value(pointer, role, is_sink, False, is_shaped, traced)


def _as_read(value: Value, argument: Argument) -> Value:
    """Return a leaf of a read, a day as a time: which one it looks at says nothing about whose records it returns."""
    is_day = not value.is_shaped and any(each.kind is _DATE for each in argument.wholes)
    return replace(value, role=_TIME) if is_day else value


def _unstated(founds: list[Found], tracer: Tracer, *, is_amount: bool, is_money: bool) -> Traced:
    """Return what is known of an amount or a time that nothing states: an order may call for a part of it."""
    if is_amount:
        return tracer.unstated(founds, is_money=is_money)
    return tracer.ordered_date(founds)


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


def _in_sink(traced: Traced, argument: Argument, tracer: Tracer, *, is_told: bool, is_shaped: bool) -> Traced:
    """Return what is known of a value in a sink that the user has not named."""
    if traced.origin is _KNOWN and tracer.is_usual:
        # "Same account as always": he has pointed at what trusted data show, whoever names it as well.
        return replace(traced, flags=traced.flags | Seen.POINTED)
    if is_shaped and tracer.is_sole(traced, [each.kind for each in argument.wholes]):
        traced = replace(traced, flags=traced.flags | _SOLE)
    if is_told and traced.origin in _OTHERS and argument.may_hold_hosts:
        return tracer.compared(traced, _hosted(argument, is_shaped=is_shaped))
    return traced


def is_postal(pointer: str) -> bool:
    """Return whether an argument is called after postcodes."""
    return not _POSTAL.isdisjoint(words_of(last_name(pointer)))


def _as_numbers(founds: Iterable[Found], use: ToolUse, pointer: str, place: Place) -> list[Found]:
    """Return how a leaf reads that holds a number: under which names it may be known, and as which amount."""
    role, is_sink = place
    readings = list(founds)
    if is_sink and not is_postal(pointer):
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


def traced_pieces(urls: Iterable[tuple[AtomKind, str]], tracer: Tracer) -> Iterable[Traced]:
    """Trace what stands in the addresses that the agent has put together, which are those that were not shown.

    Args:
        urls: the kinds and canonical forms of all addresses of the arguments, also of those inside of texts.
        tracer: traces their pieces.
    """
    for kind, address in islice(urls, ORIGINS_MAX):
        if tracer.piece([Found(kind, address)]) is NOWHERE:
            for founds in pieces_of(address, extract_part):
                yield tracer.piece(founds)
