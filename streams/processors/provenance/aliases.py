"""Learn by which other names the subject of a session is known: the customer number of who has signed in by e-mail.

**Idea.** A session's subject has one name, that of the token. Systems that tools read have their own: a desk looks the
customer up by the address that the token has, gets a number, and finds the number in every order. Until it is known
that the number is the subject's, all of his orders are somebody else's. Trusted contents show it in two ways:

- The answer to a question about the subject alone (`find_customer_by_email` with his address) names one customer.
- The record of a customer has two fields of which the operator says that they name its owner, and one is the subject.

Only what systems assign counts: ids. An address is what a customer may enter for himself, and he may enter another
one's. And only the record of a person counts, as the tool's name says that it returns one: an order may have a buyer
and a seller, and an employee has a manager.

**Rejected.** All owners in a record of the subject: an account may have two holders, and the other one's further
accounts are not the subject's. A statement in the catalog alone: an operator would have to state for each tool what its
names say already, and everybody forgets a lookup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from streams.processors.provenance.examined import Value
from streams.processors.provenance.tools import ToolUse
from streams.provenance.atoms.found import AtomKind
from streams.provenance.sources.memory import Seen
from streams.provenance.tools.uses import persons_in
from streams.provenance.words import UNTYPED, names_an_id, thing_of, words_of_name

NAMES_CACHED_MAX = 4_096
_ASSIGNED = frozenset((AtomKind.ID, AtomKind.TOKEN, AtomKind.NUMBER, AtomKind.TEXT))
"""Kinds of values that systems assign."""
_NUMBER = frozenset((AtomKind.NUMBER,))
"""What a content lists as the number of something counts as that alone: other things have the same numbers."""
_SERVED = frozenset(("user", "customer", "client", "member"))
"""Words for the same person, whoever is served: `find_user` may return a `customer_id`."""


class OwnerField(NamedTuple):
    """A field of a content that names an owner.

    Attributes:
        steps: of its path.
        kind: of its value.
        digest: of its value.
        is_subject: whether the value is the subject, as it is known so far.
    """

    steps: tuple[str, ...]
    kind: str
    digest: bytes
    is_subject: bool


def asks_for_subject(values: Iterable[Value]) -> bool:
    """Return whether a call asks for the subject and for nothing else: each of its values is the subject itself."""
    found = False
    for value in values:
        if not value.is_part:
            if not value.traced.flags & Seen.SUBJECT:
                return False
            found = True
    return found


def other_names(fields: Sequence[OwnerField], use: ToolUse, *, is_answer: bool) -> frozenset[bytes]:
    """Return the values by which the subject is known as well.

    Args:
        fields: of a content that is trusted, those that name owners.
        use: the tool that has returned it.
        is_answer: whether the tool was asked for the subject alone, and has returned one record.
    """
    persons, is_person = persons_in(use.tool.entry.name)
    if not use.is_read or not persons:
        return frozenset()
    assigned = _shallowest(fields) if is_answer else _beside_the_subject(fields, use)
    things = {field.steps: _thing_named(field.steps) for field in assigned if field.kind in _ASSIGNED}
    meant = {steps for steps, thing in things.items() if thing in persons}
    if not meant and is_person:
        meant = {steps for steps, thing in things.items() if thing == UNTYPED}
    if not meant and len(things) == 1 and _SERVED.issuperset((*things.values(), *persons)):
        meant = {*things}
    numbers = {field.steps for field in assigned if field.kind == AtomKind.NUMBER}
    return frozenset(
        field.digest
        for field in assigned
        if field.steps in meant and field.kind in (_NUMBER if field.steps in numbers else _ASSIGNED)
    )


def _shallowest(fields: Sequence[OwnerField]) -> Sequence[OwnerField]:
    """Return the fields of the record itself: not those of persons whom it names in objects or lists of its own."""
    # An element of a list at the top is a record; the caller has seen that there is one only.
    depths = [len(field.steps) for field in fields if not any(map(str.isdigit, field.steps[1:]))]
    return [field for field in fields if len(field.steps) == min(depths, default=-1)]


def _beside_the_subject(fields: Sequence[OwnerField], use: ToolUse) -> Sequence[OwnerField]:
    """Return the fields of objects that have another field which, as the operator says, names the owner: the subject.

    Of two fields that are called alike, such as those of two elements of a list, each may name an owner of its own.
    """
    if not use.tool.entry.output_owners:
        return ()
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
