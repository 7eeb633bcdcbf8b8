"""Learn by which other names the subject of a session is known: the customer number of who has signed in by e-mail.

**Idea.** A session's subject has one name, that of the token. Systems that tools read have their own: a desk looks the
customer up by the address that the token has, gets a number, and finds the number in every order. Until it is known
that the number is the subject's, all of his orders are somebody else's. Trusted contents show it in two ways:

- The answer to a question about the subject alone (`find_customer_by_email` with his address) names one customer.
- The record of a customer has a field of which the operator says that it names the owner, that is the subject, and
  beside it stands the customer's id.

Only what systems assign counts: ids. An address is what a customer may enter for himself, and he may enter another
one's. And only the record of a person counts, as the tool's name says that it returns one: an order may have a buyer
and a seller, and an employee has a manager.

**Rejected.** All owners in a record of the subject: an account may have two holders, and the other one's further
accounts are not the subject's. All values of a call instead of its one argument: words, patterns and flags have no
value that is compared (`!alice`, `spouse: true`). A statement in the catalog alone: an operator would have to state for
each tool what its names say already, and everybody forgets a lookup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from streams.processors.provenance.tools import ToolUse
from streams.provenance.atoms.found import AtomKind
from streams.provenance.tools.uses import is_called_as_owner, person_returned
from streams.provenance.words import UNTYPED, names_an_id, thing_of, words_of_name

NAMES_CACHED_MAX = 4_096
_ASSIGNED = frozenset((AtomKind.ID, AtomKind.TOKEN, AtomKind.NUMBER, AtomKind.TEXT))
"""Kinds of values that systems assign."""
_NUMBER = frozenset((AtomKind.NUMBER,))
"""What a content lists as the number of something counts as that alone: other things have the same numbers."""
_CUSTOMER = "customer"
_SERVED = frozenset(("user", _CUSTOMER, "client", "member"))
"""Words for the same person, whoever is served: `find_user` may return a `customer_id`."""


class OwnerField(NamedTuple):
    """A field of a content that names an owner, or is an id.

    Attributes:
        steps: of its path.
        kind: of its value.
        digest: of its value.
        is_subject: whether it names an owner, as the operator states, and that is the subject as it is known so far.
    """

    steps: tuple[str, ...]
    kind: str
    digest: bytes
    is_subject: bool


def asks_for_subject(args: Mapping[str, Any], sub: str) -> bool:
    """Return whether a call asks for the subject and for nothing else.

    It has one argument, which is called as owners are and is the subject's name itself: an argument beside it, a
    pattern or a name such as `spouse_of` may ask for somebody else.
    """
    if len(args) != 1:
        return False
    ((name, value),) = args.items()
    if not isinstance(value, str) or not is_called_as_owner(name):
        return False
    # Two logins may differ in their case alone, and hardly two mail addresses.
    return value == sub or ("@" in sub and value.casefold() == sub.casefold())


def other_names(fields: Sequence[OwnerField], use: ToolUse, *, is_answer: bool) -> frozenset[bytes]:
    """Return the values by which the subject is known as well.

    Args:
        fields: of a content that is trusted: those that name owners, and ids.
        use: the tool that has returned it.
        is_answer: whether the tool was asked for the subject alone, and has returned one record.
    """
    person = person_returned(use.tool.entry.name) if use.is_read else None
    if person is None:
        return frozenset()
    return _ids_of(person, _of_the_record(fields, person) if is_answer else _beside_the_subject(fields))


def only_id(fields: Sequence[OwnerField], use: ToolUse) -> frozenset[bytes]:
    """Return the ids of the person whose record a content is; none if it is nobody's.

    Args:
        fields: of the content, which is trusted and no list of several elements: those that name owners, and ids.
        use: the tool that has returned it.
    """
    # A text that is nothing but a word may say that nobody was found.
    ids = [field for field in fields if field.steps or field.kind != AtomKind.TEXT]
    person = person_returned(use.tool.entry.name) or _CUSTOMER
    named = _ids_of(person, _of_the_record(ids, person))
    # Of a customer's id and another one called alike, nobody knows whose the other one is.
    return named if _are_one([field for field in ids if field.digest in named]) else frozenset()


def only_owner(owners: Sequence[OwnerField]) -> frozenset[bytes]:
    """Return the ids of an owner; none if any two of the fields have different values, so that one may name another.

    The same one may stand in each element of a list, such as that of his contracts.

    Args:
        owners: the fields of which the operator says that they name the owner.
    """
    return (
        _as_numbers_alone([field for field in owners if field.kind in _ASSIGNED]) if _are_one(owners) else frozenset()
    )


def _are_one(fields: Sequence[OwnerField]) -> bool:
    """Return whether all fields have the same value."""
    # A value is read in several ways, each of another kind. A number has its field's name in one of them.
    readings: dict[tuple[str, ...], set[tuple[str, bytes]]] = {}
    for field in fields:
        readings.setdefault(field.steps, set()).add((field.kind, field.digest))
    distinct = {frozenset(each) for each in readings.values()}
    return len(distinct) == 1 and all(len({kind for kind, _ in each}) == len(each) for each in distinct)


def _ids_of(person: str, assigned: Sequence[OwnerField]) -> frozenset[bytes]:
    """Return the ids of a person among the fields of his record."""
    things = {field.steps: _thing_named(field.steps) for field in assigned if field.kind in _ASSIGNED}
    meant = {steps for steps, thing in things.items() if thing == person}
    if not meant:
        meant = {steps for steps, thing in things.items() if thing == UNTYPED}
    if not meant and len(things) == 1 and _SERVED.issuperset((*things.values(), person)):
        meant = {*things}
    return _as_numbers_alone([field for field in assigned if field.steps in meant])


def _as_numbers_alone(ids: Sequence[OwnerField]) -> frozenset[bytes]:
    numbers = {field.steps for field in ids if field.kind == AtomKind.NUMBER}
    return frozenset(field.digest for field in ids if field.kind in (_NUMBER if field.steps in numbers else _ASSIGNED))


def _of_the_record(fields: Sequence[OwnerField], person: str) -> Sequence[OwnerField]:
    """Return the fields of the record itself: not those of persons whom it names in objects or lists of its own.

    The record is the content, the only element of a list, or what stands in a field that is called as the person is. A
    content with more objects than that may be about several people.
    """
    parents = {field.steps[:-1] for field in fields}
    if len(parents) == 1 and parents <= {("0",), (person,), ("result",), ("data",)}:
        return fields
    return [field for field in fields if not field.steps[:-1]]


def _beside_the_subject(fields: Sequence[OwnerField]) -> Sequence[OwnerField]:
    """Return the fields of objects that have another field which names the owner, as the operator says: the subject.

    Of two fields that are called alike, such as those of two elements of a list, each may name an owner of its own.
    """
    own = {field.steps[:-1]: field.steps[-1] for field in fields if field.is_subject and field.steps}
    return [
        field
        for field in fields
        if field.steps
        and own.get(field.steps[:-1], field.steps[-1]) != field.steps[-1]
        and not any(map(str.isdigit, field.steps))
    ]


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _thing_named(steps: tuple[str, ...]) -> str | None:
    """Return of whom a field is the id, `UNTYPED` if its name does not say it; None if it is not an id.

    A content that is nothing but an id has no steps.
    """
    if not steps:
        return UNTYPED
    words = words_of_name(steps[-1])
    if not names_an_id(steps[-1]) or len(words) > 2:
        return None  # `parent_customer_id` is another customer's
    thing = thing_of(steps[-1])
    if thing != UNTYPED:
        return thing
    return thing_of(steps[-2]) if len(steps) > 1 and not steps[-2].isdigit() else UNTYPED
