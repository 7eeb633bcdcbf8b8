"""Say whose data a call is about.

What operators' systems say of a record counts. Of a record that they say nothing about, contents say it: the fields
that name an owner, in what the session has read, and in the arguments of the call itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.examined import NO_OWNERS, Owners, Value
from streams.processors.provenance.owners import StatedOwners
from streams.processors.provenance.tools import ToolUse, has_same_shape, leaf_at
from streams.provenance.pointers import Paths, last_name
from streams.provenance.sources.memory import Seen
from streams.provenance.tools.uses import names_person
from streams.provenance.words import UNTYPED, thing_of

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_DESTINATION, _USER = ArgumentRole.DESTINATION, ValueOrigin.USER
_SUBJECT, _OWN, _FOREIGN, _OWNED = Seen.SUBJECT, Seen.OWN, Seen.FOREIGN, Seen.OWN | Seen.FOREIGN


def owners_of(values: Iterable[Value], args: Any, use: ToolUse, sub: str, stated: StatedOwners | None) -> Owners:
    """Return whose data the call is about: what operators' systems say of a record counts, else what contents say."""
    owner_args = use.tool.uses.owner_args
    has_owner_args = bool(owner_args)
    looked_up = (use.tool.uses.owners_looked_up or None) if use.is_read and use.states_owners else None
    named = own = 0
    other = False
    if stated is None and not has_owner_args and looked_up is None:
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
            # A record of the subject names other people, too: whose manager he is, or who has referred him.
            if text == sub or flags & (_SUBJECT if names_person(value.pointer) else _OWN):
                own += 1
            elif use.states_owners or (isinstance(text, str) and has_same_shape(text, sub)):
                other = True
        elif flags & _FOREIGN and not flags & _OWN and (value.is_sink or use.is_read) and value.is_shaped:
            # Whom the user names to send to is not acted on, also if somebody else's record holds the address.
            other = other or not (value.role is _DESTINATION and value.traced.origin is _USER)
        elif flags & _OWN and value.is_shaped and not value.is_part:
            named += 1
            own += 1
    other = other or (looked_up is not None and _looks_up_another(values, args, looked_up, sub))
    is_subject = bool(named) and named == own and not other
    if stated is None:
        return Owners(is_subject, other)
    return Owners(is_subject, other, stated.age_ms, stated.is_unclear)


def _looks_up_another(values: Iterable[Value], args: Any, looked_up: Paths, sub: str) -> bool:
    """Return whether a call looks up what belongs to somebody who is named as the subject is, and is another one."""
    return any(
        not value.is_part and looked_up.cover(value.pointer) and _is_somebody_else(leaf_at(args, value.pointer), sub)
        for value in values
    )


def _is_somebody_else(text: Any, sub: str) -> bool:
    """Return whether a text names a person as the subject is named, and another one."""
    if not isinstance(text, str) or text.casefold() == sub.casefold():
        return False
    return has_same_shape(text, sub) or ("@" in text and "@" in sub)


_SHOWN = Seen.TRUSTED | Seen.FIELD | Seen.SUBJECT


def is_unread(values: Iterable[Value], use: ToolUse, owned: frozenset[str]) -> bool:
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
