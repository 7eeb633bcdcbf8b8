"""Keep what limits a session to its task, and what else the user's words say: numbers, how amounts are worked out.

The token service weighs more than a person, and a person more than what is derived from words. No lighter scope takes
the room of a weightier one, and one whose limits have no room permits less, never more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from streams.model.session import ArgumentLimit, ScopeSource, TaskScope
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.provenance.acts.kinds import SUM
from streams.provenance.atoms.arithmetic import is_operation
from streams.provenance.extraction.extract import extract_arguments
from streams.provenance.requests.agreed import ACCEPT, AGREE, REFUSE
from streams.provenance.requests.counted import COUNTED
from streams.provenance.requests.languages import FOREIGN
from streams.provenance.requests.object_named import OBJECTS
from streams.provenance.requests.scope import (
    DERIVED,
    LIMITED_VALUES_MAX,
    SCOPES_MAX,
    SOURCES,
    TARGETS_MAX,
    Scope,
    ScopedArgument,
)
from streams.provenance.requests.sorts_named import NAMES
from streams.provenance.requests.spoken_of import SPEAKS, joined
from streams.provenance.sources.memory import Entry, Seen

replace = msgspec.structs.replace

_NO_VALUE: ScopedArgument = ("", ())
"""What no argument has."""
OPERATIONS_KEPT_MAX = 12
"""Operations by which the user has amounts worked out, over all of his messages."""
NUMBERS_KEPT_MAX = 16
"""Things that the user has counted, and largest amounts, over all of his messages since he has asked for something."""

SORTS_KEPT_MAX = 16
"""Sorts of which the user has named a value, over all of his messages since he has asked for something."""


def holds_for_request(scope: Scope) -> bool:
    """Return whether what a scope says of the user's words holds until he asks for something else."""
    if _is_number(scope) or is_sort(scope):
        return True
    return scope.source == DERIVED and (scope.kind in OBJECTS or scope.kind == FOREIGN)


def _is_number(scope: Scope) -> bool:
    """Return whether a scope says that the user has named a number."""
    return scope.source == DERIVED and (scope.kind == SUM or scope.kind.startswith(COUNTED))


def is_sort(scope: Scope) -> bool:
    """Return whether a scope says of which sort the user has named a value."""
    return scope.source == DERIVED and scope.kind.startswith(NAMES)


def is_of_matters(scope: Scope) -> bool:
    """Return whether a scope says which matters the user has mentioned."""
    return scope.source == DERIVED and scope.kind.startswith(SPEAKS)


def with_scopes(row: ProvenanceRow, scopes: Iterable[TaskScope], source: ScopeSource, memory: Memory) -> ProvenanceRow:
    """Return the row with further scopes of a source. Those of the token service replace its earlier ones."""
    number = SOURCES.index(source)
    kept = tuple(each for each in row.scopes if source is ScopeSource.DERIVED or each.source != number)
    entries: list[Entry] = []
    for scope in scopes:
        if scope.kind in (ACCEPT, AGREE, REFUSE) and source is ScopeSource.DERIVED:
            continue  # It holds for the message only, and permits no kind of act.
        targets = scope.targets[:TARGETS_MAX]
        entries += [
            Entry(memory.digest(each.kind, each.value), Seen.USER)
            for target in targets
            for each in extract_arguments({"target": target}).found
        ]
        made = Scope(
            source=number,
            kind=scope.kind or "",
            tools=scope.tools[:TARGETS_MAX],
            targets=tuple(target.casefold() for target in targets),
            count_max=-1 if scope.count_max is None else scope.count_max,
            amount_max=scope.amount_max or "",
            currency=scope.currency or "",
            arguments=_limits(scope.arguments, is_derived=source is ScopeSource.DERIVED),
        )
        if made not in kept:
            kept = (*kept, made)
    kept = _with_last(kept, lambda each: is_operation(each.kind), OPERATIONS_KEPT_MAX)
    kept = _with_last(kept, _is_number, NUMBERS_KEPT_MAX)
    kept = _with_last(kept, is_sort, SORTS_KEPT_MAX)
    kept = _with_one_of_matters(kept)
    if len(kept) > SCOPES_MAX:
        # INVARIANT: no lighter scope takes the place of a weightier one: the weightiest ones set the limit.
        kept = tuple(sorted(kept, key=lambda scope: scope.source))[-SCOPES_MAX:]
    return memory.add(replace(row, scopes=_within_values(kept)), entries)


def _with_one_of_matters(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the scopes with one that says which matters all of the user's messages speak of."""
    such = [scope for scope in scopes if is_of_matters(scope)]
    if len(such) < 2:
        return scopes
    others = tuple(scope for scope in scopes if not is_of_matters(scope))
    return (*others, Scope(source=DERIVED, kind=joined(scope.kind for scope in such)))


def _with_last(scopes: tuple[Scope, ...], is_such: Callable[[Scope], bool], kept_max: int) -> tuple[Scope, ...]:
    """Return the scopes with the last of some only: however often the user has amounts worked out, or counts things,
    the kinds of acts that he has asked for keep their room."""
    such = [scope for scope in scopes if is_such(scope)]
    if len(such) <= kept_max:
        return scopes
    dropped = such[:-kept_max]
    return tuple(scope for scope in scopes if scope not in dropped)


def _within_values(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the scopes of a session with no more values of arguments than every intent can be compared with.

    Those of the weightiest are kept, then the earliest. A scope for which there is no room covers no call: without its
    limits it would permit more.
    """
    if not any(scope.arguments for scope in scopes):
        return scopes
    room = LIMITED_VALUES_MAX
    made = list(scopes)
    for number in sorted(range(len(scopes)), key=lambda number: -scopes[number].source):
        count = sum(max(1, len(values)) for _, values in scopes[number].arguments)
        if count <= room:
            room -= count
        else:
            made[number] = replace(scopes[number], arguments=(_NO_VALUE,))
    return tuple(dict.fromkeys(made))


def _limits(arguments: Sequence[ArgumentLimit], *, is_derived: bool) -> tuple[ScopedArgument, ...]:
    """Return what arguments must be. A scope that limits more of them than are kept covers no call: without the others
    it would permit more than its issuer has stated. So does a derived one that limits any: nothing derives limits, and
    an agent could write so many that each of its calls is slow."""
    if len(arguments) > TARGETS_MAX or (is_derived and arguments):
        return (_NO_VALUE,)
    return tuple((each.path, tuple(value.casefold() for value in each.values[:TARGETS_MAX])) for each in arguments)
