"""Whether a call is what the session is for: the kind of act that the request asks for, inside of the limits stated."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.model.money import Money, Unit, limit_of, read_money
from streams.model.verdict import ValueOrigin
from streams.processors.control.tool_uses import ToolUses
from streams.processors.provenance.examined import OF_RECORDS, Examined, Value, is_pointed
from streams.processors.provenance.task_scopes import is_sort
from streams.processors.provenance.ties import is_for_another
from streams.processors.provenance.tools import leaf_at
from streams.provenance.acts.calls import Calls, compare
from streams.provenance.acts.kinds import DELEGATE, FILL, FOLLOW, SUM, ActKind
from streams.provenance.pointers import last_name, leaves, place_at
from streams.provenance.requests.agreed import ACCEPT, AGREE, REFUSE
from streams.provenance.requests.counted import AMOUNT, is_counted
from streams.provenance.requests.object_named import NAMED, NUMBERED
from streams.provenance.requests.scope import DERIVED, Scope, ScopedArgument
from streams.provenance.requests.sorts_named import NAMES, sorts_in
from streams.provenance.sources.memory import Seen
from streams.provenance.sources.origins import Traced
from streams.provenance.tools.places import words_of
from streams.provenance.words import thing_of


def is_requested(examined: Examined) -> bool:
    """Return whether the request asks for this kind of act. Every request asks for reads, except of links."""
    scopes = examined.row.scopes
    if not examined.use.is_read:
        # Most messages tie nothing, and each intent comes here.
        is_other = bool(examined.row.tied) and is_for_another(examined)
        return examined.is_named or any(
            not (is_other and scope.source == DERIVED) and _asks_for(scope, examined) and covers(scope, examined)
            for scope in scopes
        )
    opens_link = examined.use.is_outward and any(value.is_sink for value in examined.values)
    return not opens_link or any(scope.kind in (FOLLOW, ActKind.READ) for scope in scopes)


# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER, _TEXT = ValueOrigin.USER, ValueOrigin.TEXT
_AMOUNT_POINTER = "/amount"
_COUNTING = frozenset(("num", "number", "of", "no", "nr", "count", "total"))
"""Words beside that for a thing, in the name of an argument that counts it."""
_DATED = frozenset(("year", "month", "week", "day", "hour", "minute", "seat", "ticket"))
"""Names of arguments that say which one, as the parts of a date do, and not how many."""
_UNSTATED = (ValueOrigin.TEXT, ValueOrigin.NOWHERE)
NEEDING_WORDS = frozenset((ActKind.DELETE, ActKind.SECURE, ActKind.SHARE))
"""Kinds of acts that need a word of the user's for what they are done to if others call for them."""
_SHOWN = Seen.TRUSTED | Seen.FIELD | Seen.TEXT | Seen.SUBJECT
"""Where a value that the user has named can stand as well."""


def is_agreed(examined: Examined) -> bool:
    """Return whether the user's last message agrees to an act, and others have had no say since.

    What the session awaits counts as read, because the agent may know it already. What others have named for this is
    another matter: they may have asked the agent to wait for the answer. So is what they order, even if
    the user has named what it acts on: a yes does not say to which of several acts it is. And where it is known what
    the agent has proposed, a yes covers no call with a value that only others name, and that was not proposed, be it
    what is acted on, an amount or a time.
    """
    if not examined.row.agreed_acts or examined.awaits or any(map(_is_others, examined.values)):
        return False
    if any(value.proposed in ("none", "other") for value in examined.values):
        return False
    return not any(_is_called_for(value, examined) for value in examined.values)


def _is_called_for(value: Value, examined: Examined) -> bool:
    """Return whether an instruction by others calls for just this act with what it acts on."""
    traced = value.traced
    if not value.is_sink or not traced.is_instructed:
        return False
    return compare(traced.calls_for, examined.kinds, is_content=False) == Calls.THIS


def is_stated(examined: Examined) -> bool:
    """Return whether the user has said himself where an act goes, or which amount it moves.

    Every sink must be his, or a field of a record that he has pointed at. That he names a record is not enough: who
    asks where his order is does not ask to cancel it. What is only his is: nobody else could want it to be used. An act
    that moves money needs the amount from him: an address may only say who he is.
    """
    wholes = [value for value in examined.values if not value.is_part]
    sinks = [value for value in wholes if value.is_sink]
    if not sinks or not all(is_pointed(value.traced) and not _is_others(value) for value in sinks):
        return False
    if is_for_another(examined):
        return False
    uses = examined.use.tool.uses
    if any(_is_money(value, uses) and not _is_his_or_none(value, examined) for value in wholes):
        return False
    return any(_says_what(value, uses) for value in wholes)


def _is_his_or_none(value: Value, examined: Examined) -> bool:
    """Return whether the user has named an amount, or that nothing is moved: `fee: 0`."""
    return value.traced.origin is ValueOrigin.USER or not str(leaf_at(examined.args, value.pointer)).strip("0.")


def _is_money(value: Value, uses: ToolUses) -> bool:
    return value.role is ArgumentRole.AMOUNT and not value.is_sink and uses.is_money(value.pointer)


def _is_others(value: Value) -> bool:
    """Return whether text by others names where an act goes, or what it is about, and the user does not."""
    traced = value.traced
    return value.is_sink and bool(traced.flags & Seen.NAMED) and traced.origin is not ValueOrigin.USER


def _says_what(value: Value, uses: ToolUses) -> bool:
    """Return whether a value is an amount of money that the user has named, or a place that only he has named.

    Other numbers prove nothing: "I have 2 questions" is not about a quantity.
    """
    if value.traced.origin is not ValueOrigin.USER:
        return False
    if value.role is ArgumentRole.AMOUNT:
        return _is_money(value, uses)
    is_place = value.is_sink and value.is_shaped and value.role is ArgumentRole.DESTINATION
    return is_place and not value.traced.flags & _SHOWN


def _asks_for(scope: Scope, examined: Examined) -> bool:
    """Return whether a scope says which calls are wanted, and not only by which tool.

    Who permits a tool has not asked for every call of it that others may want. What the user has said tells them apart;
    if he has said nothing to the session, the scope is all that there is. A tool for several acts (`manage_event`) is
    not asked for by what it acts on either.
    """
    if scope.kind or not examined.row.has_message:
        return True
    return not examined.use.tool.uses.has_several_kinds and _describes(scope, examined)


def _describes(scope: Scope, examined: Examined) -> bool:
    """Return whether a scope says where a call goes or what it acts on: all of its sinks.

    Of a tool without sinks nobody knows which arguments say that, so its scope must say all of them. Limits of other
    arguments, such as a format, are no more than that: a scope that permits less must not ask for more.
    """
    sinks = examined.use.tool.uses.sinks
    pointers = [pointer for pointer, _ in leaves(examined.args) if not sinks or sinks.cover(pointer)]
    if not pointers or (scope.targets and sinks):
        return bool(pointers)
    places = [place_at(path) for path, _ in scope.arguments]
    return all(any(place.cover(pointer) for place in places) for pointer in pointers)


def covers(scope: Scope, examined: Examined) -> bool:
    """Return whether a call is inside of one scope."""
    if scope.kind in (DELEGATE, FILL, FOLLOW, AGREE, ACCEPT, REFUSE):
        return False
    if scope.kind and scope.kind not in examined.kinds:
        return False
    if scope.tools and examined.use.name not in scope.tools:
        return False
    if 0 <= scope.count_max <= _allowed_before(scope, examined):
        return False
    if scope.targets and not _aims_at(scope, examined):
        return False
    if scope.arguments:
        found = list(leaves(examined.args))
        if not all(_has_value(limit, found) for limit in scope.arguments):
            return False
    return not scope.amount_max or _is_within(scope, examined)


def _allowed_before(scope: Scope, examined: Examined) -> int:
    """Return how many calls that count for a scope were allowed: of its tools if it names any, else of the kind."""
    acts = examined.row.acts
    return sum(acts.get(tool, 0) for tool in scope.tools) if scope.tools else acts.get(examined.kind, 0)


def _aims_at(scope: Scope, examined: Examined) -> bool:
    """Return whether every sink has one of the targets as its value."""
    sinks = {value.pointer for value in examined.values if value.is_sink}
    return all(str(leaf_at(examined.args, pointer)).casefold() in scope.targets for pointer in sinks)


def _has_value(limit: ScopedArgument, found: Iterable[tuple[str, Any]]) -> bool:
    """Return whether a call has an argument that a scope limits, and nothing but the values that it states there.

    What a call leaves out is whatever the server takes instead, which nobody has stated.

    Args:
        limit: the argument, and the values that it may have.
        found: the places and values of the call's leaves.
    """
    path, values = limit
    place = place_at(path)
    limited = [value for pointer, value in found if place.cover(pointer)]
    return bool(limited) and all(str(value).casefold() in values for value in limited)


def limits_reads(scope: Scope, examined: Examined) -> bool:
    """Return whether a scope says which reads are inside: by their kind, or by the arguments of the tool, or of any.

    What an act of some kind must have as arguments says nothing of reads.
    """
    if scope.kind == ActKind.READ:
        return True
    return bool(scope.arguments) and (examined.use.name in scope.tools if scope.tools else not scope.kind)


def _is_within(scope: Scope, examined: Examined) -> bool:
    """Return whether the amount of a call is within the limit of a scope, both in minor units of one currency.

    A call without an amount, or with one that can't be read, is not; and a scope whose limit can't be read covers none.
    A scope that states no currency limits the amount in whatever currency the call states.
    """
    money = _sum_of(examined)
    if money is None or (scope.currency and money.currency.upper() != scope.currency.upper()):
        return False
    limit = limit_of(scope.amount_max, (scope.currency or money.currency).upper())
    return limit is not None and money.minor <= limit


def exceeds_sum(examined: Examined) -> bool:
    """Return whether a call has an amount of money, and more than the largest one that the user has named."""
    if not any(_is_money(value, examined.use.tool.uses) for value in examined.values):
        return False
    named = [scope for scope in examined.row.scopes if scope.kind == SUM and scope.source == DERIVED]
    return bool(named) and not any(_is_within(scope, examined) for scope in named)


def is_widened(examined: Examined, stated: Set[str]) -> bool:
    """Return whether a call acts on something that others name, and nothing of it is what the user has named.

    He has left only values to a content. Who has named a person by name has not said which number is another one's, so
    names are compared with names, and numbers with numbers.

    Args:
        examined: the call.
        stated: the kinds that scopes state.
    """
    wholes = [value for value in examined.values if not value.is_part and value.role not in _SAY_NO_OBJECT]
    if any(value.traced.origin is ValueOrigin.USER or _is_field_pointed_at(value.traced) for value in wholes):
        return False
    return any(
        value.is_sink
        and value.role is not ArgumentRole.DESTINATION
        and value.traced.flags & (Seen.FIELD | Seen.TEXT)
        and (NUMBERED if value.is_shaped else NAMED) in stated
        for value in wholes
    )


_SAY_NO_OBJECT = frozenset((ArgumentRole.CONTENT, ArgumentRole.AMOUNT, ArgumentRole.TIME))


def _is_field_pointed_at(traced: Traced) -> bool:
    """Return whether a value is a field of a record that the user has pointed at. That text is shown to him is not
    enough: all of a letter is."""
    return traced.origin in OF_RECORDS and is_pointed(traced)


def is_counted_otherwise(value: Value, examined: Examined, counted: Set[str]) -> bool:
    """Return whether an argument has a number of a thing of which the user has said how many, and it is not his.

    Args:
        value: a value of the call.
        examined: the call.
        counted: the things of which he has said it.
    """
    if value.is_sink or value.is_part or value.traced.origin not in _UNSTATED:
        return False
    name = last_name(value.pointer)
    if name.lower() in _DATED or (name.lower() == AMOUNT and examined.kind != ActKind.BOOK):
        # An amount of shares is one of an order. Of a payment, it is the money.
        return False
    # `reminder_minutes` is not what "30 minutes" are said of.
    counts = len(set(words_of(name)) - _COUNTING) == 1 and is_counted(thing_of(name), counted)
    return (
        counts
        and str(leaf_at(examined.args, value.pointer)).replace(".", "", 1).isdigit()
        and not is_one(value, examined)
    )


def values_in_place_of_his(examined: Examined) -> list[int]:
    """Return which values of a call are sinks that only text by others names, where the user has named one of the sort.

    A call that has his as well puts nothing in its place.
    """
    values = examined.values
    # What is not found counts as text where a result is awaited or words are missing, and nobody has named it.
    others = [
        (number, value)
        for number, value in enumerate(values)
        if value.is_sink and not value.is_part and value.traced.origin is _TEXT and value.traced.entry is not None
    ]
    named = {scope.kind.removeprefix(NAMES) for scope in examined.row.scopes if is_sort(scope)} if others else None
    if not named:
        return []
    stated = [value for value in values if not value.is_part and value.traced.origin is _USER]
    his = {sort for value in stated for sort in _sorts_of(value, examined)}
    found = [(number, named.intersection(_sorts_of(value, examined))) for number, value in others]
    return [number for number, sorts in found if sorts and his.isdisjoint(sorts)]


def _sorts_of(value: Value, examined: Examined) -> tuple[str, ...]:
    return sorts_in(str(leaf_at(examined.args, value.pointer)))


def is_one(value: Value, examined: Examined) -> bool:
    """Return whether a number is one, which is what most calls have where nobody says any."""
    return str(leaf_at(examined.args, value.pointer)) == "1"


def _sum_of(examined: Examined) -> Money | None:
    """Return what all arguments that are amounts of money come to together; None if there are none, or one is unclear.

    They are called as the tool calls them (`price`, `payments/0/value`), and are in major units; `amount` is in the
    unit of the tool's amounts. An `amount` that is not among them could be made up: it counts only if there is no
    other one.
    """
    uses, args = examined.use.tool.uses, examined.args
    pointers = [value.pointer for value in examined.values if uses.is_money(value.pointer)]
    if not pointers and "amount" in args:
        return uses.largest_money_of(args)
    total = 0
    currency = ""
    for pointer in pointers:
        is_own = pointer == _AMOUNT_POINTER
        stated = {**args, "amount": leaf_at(args, pointer)}
        money = uses.largest_money_of(args) if is_own else read_money(stated, Unit.MAJOR)
        if money is None:
            return None
        total, currency = total + money.minor, money.currency
    return Money(total, currency) if pointers else None
