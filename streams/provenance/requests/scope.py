"""What a session may do for the request: scopes that are stated, and those that are derived from the request's text.

A scope is a list of `TaskScope`. Whoever states it as text writes `KIND`, `KIND:TARGET` or `tool:SERVER/NAME` in the
`scopes` of `PURPOSE_SET`. A derived scope holds kinds of acts only: it can turn an allow into a question, and never
more.

A deriver is any function from text to scopes. The deterministic one, `derive_scopes`, is the default; it runs where the
text is at hand, which is never the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from streams.model.session import ScopeSource, SessionEvent, SessionEventType, TaskScope
from streams.provenance.acts.kinds import DELEGATE, FILL, FOLLOW, REVISE, SUM, USUAL, ActKind
from streams.provenance.atoms.arithmetic import operations_in
from streams.provenance.requests.agreed import ACCEPT, AGREE, REFUSE, accepts, agrees, refuses
from streams.provenance.requests.counted import counted_in
from streams.provenance.requests.kinds import plain_request, request_kinds, speaks_of_usual
from streams.provenance.requests.languages import FOREIGN, is_foreign
from streams.provenance.requests.object_named import objects_named
from streams.provenance.requests.sorts_named import NAMES, SORTS_MAX, sorts_in
from streams.provenance.requests.spoken_of import spoken_of
from streams.provenance.requests.sums import largest_sum

Deriver = Callable[[str], tuple[TaskScope, ...]]
"""Derives scopes from a user's message. One that asks a model is an adapter outside of this package."""

SCOPES_MAX = 64
"""Scopes that are kept of a session. Of more, the weightiest are kept, then the latest: so the session may do less."""
TARGETS_MAX = 64
LIMITED_VALUES_MAX = 1_024
"""Values that the scopes of a session may state for single arguments. Each costs every intent of the session."""
_TOOL = "tool"
_KINDS = frozenset(kind.value for kind in ActKind) | {DELEGATE, FILL, FOLLOW, REVISE}
REQUEST_KINDS = tuple(sorted(_KINDS))
"""What a derived scope can ask for. Not `AGREE`, which speaks of what the agent has just said."""


ScopedArgument = tuple[str, tuple[str, ...]]
"""The path of an argument, and the values that it may have, in lower case."""


class Scope(msgspec.Struct, frozen=True, array_like=True):
    """A scope as the gate keeps it.

    Attributes:
        source: who states it: a number of `SOURCES`.
        kind: the kind of act; empty for any.
        tools: `server/name`; empty for any.
        targets: the values that sinks may have, in lower case; empty for any.
        count_max: how many calls of the kind are inside; -1 for any number.
        amount_max: an exact decimal in major units, such as `99.50`; empty for any.
        currency: of `amount_max`; empty for that of the call.
        arguments: what some arguments must be.
    """

    source: int
    kind: str = ""
    tools: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    count_max: int = -1
    amount_max: str = ""
    currency: str = ""
    arguments: tuple[ScopedArgument, ...] = ()


SOURCES = (ScopeSource.DERIVED, ScopeSource.PERSON, ScopeSource.ISSUER)
"""In the order of their weight; the order is the format of rows."""
DERIVED = SOURCES.index(ScopeSource.DERIVED)


def derive_scopes(text: str) -> tuple[TaskScope, ...]:
    """Derive scopes from a user's message: one for each kind of act that it asks for, in alphabetical order.

    One more says that the message is in a language in which requests are not read (`FOREIGN`), one that it agrees to
    what the agent has put to the user (`AGREE`) or at least lets it stand (`ACCEPT`), one that it refuses or corrects
    something (`REFUSE`), one that something is to go where it usually goes (`USUAL`), and one that he names what it is
    about (`NAMED`, `NUMBERED`). After the kinds, and in the place of one, come the operations by which the user has
    amounts worked out (`streams.provenance.atoms.arithmetic`), the things of which he says how many
    (`streams.provenance.requests.counted`), the sorts of which it names a value
    (`streams.provenance.requests.sorts_named`), the matters that it speaks of
    (`streams.provenance.requests.spoken_of`), and last `SUM`, which states the largest amount of money that the
    message names.
    """
    kinds = request_kinds(text)
    if agrees(text, requests=bool(kinds)):
        kinds |= {AGREE}
    # Any request ends what was agreed before, unless it agrees to something itself.
    if (AGREE in kinds or not kinds) and refuses(text, agrees=AGREE in kinds):
        stands: tuple[str, ...] = (REFUSE,)
    else:
        stands = () if kinds or not accepts(text) else (ACCEPT,)
    if is_foreign(text):
        kinds |= {FOREIGN}
    if FILL in kinds and speaks_of_usual(text):
        kinds |= {USUAL}
    if not kinds.isdisjoint((FILL, DELEGATE)):
        kinds |= objects_named(text, kinds)
    stated = tuple(TaskScope(kind=kind) for kind in (*stands, *sorted(kinds), *operations_in(text)))
    plain = plain_request(text)
    counted = tuple(TaskScope(kind=thing) for thing in counted_in(plain))
    largest = largest_sum(plain) if kinds else ""
    named = sorts_in(text)[:SORTS_MAX] if kinds.isdisjoint((FILL, DELEGATE, FOREIGN)) else ()
    sorts = tuple(TaskScope(kind=f"{NAMES}{sort}") for sort in named)
    matters = tuple(TaskScope(kind=each) for each in spoken_of(plain))
    return (*stated, *counted, *sorts, *matters, *((TaskScope(kind=SUM, amount_max=largest),) if largest else ()))


def with_derived_scopes(event: SessionEvent, text: str, derive: Deriver = derive_scopes) -> SessionEvent:
    """Return a user's message with the scopes that its text implies, unless its writer has stated some."""
    if event.type is not SessionEventType.USER_MESSAGE or event.task_scopes:
        return event
    return msgspec.structs.replace(event, task_scopes=derive(text), scope_source=ScopeSource.DERIVED)


def parse_scopes(stated: Iterable[str]) -> tuple[TaskScope, ...]:
    """Return the scopes that are written as text; texts that are none of a task are left out.

    `KIND` permits a kind of act, `KIND:TARGET` that kind with this value in its sinks, `tool:SERVER/NAME` a tool.
    """
    return tuple(scope for text in stated if (scope := _parse(text)) is not None)


def _parse(text: str) -> TaskScope | None:
    kind, colon, rest = text.partition(":")
    if kind == _TOOL and rest:
        return TaskScope(tools=(rest,))
    if kind not in _KINDS or (colon and not rest):
        return None
    return TaskScope(kind=kind, targets=(rest,) if rest else ())
