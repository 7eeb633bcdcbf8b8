"""Tell task drift: acting calls that nothing in the request, or in what was read for it, calls for.

**Idea.** A hijacked agent does something else than its task. A call drifts if it acts, if no scope of the session asks
for its kind of act, and if none of its values is the user's or a field of what he has pointed at: then neither the
request nor a record that it led to names anything of the call. One such call may be a wish that was not understood;
several are another task. So the session counts them, with those that were denied, and tells rules and the verdict. The
starter packs deny one where an instruction by others calls for this kind of act: then the only evidence for it is
theirs. They never decide by the number.

**Rejected.** A share of all calls: a long session would hide a short drift. What is usual for the agent: that is known
to `stoplog watch`, which sees more than one session.
"""

from __future__ import annotations

from streams.model.verdict import Signal, ValueOrigin
from streams.processors.provenance.examined import Examined, is_pointed
from streams.processors.provenance.requested import is_requested
from streams.provenance.acts.kinds import DELEGATE
from streams.provenance.sources.origins import Traced

NAME = "drift"


def is_drift(examined: Examined) -> bool:
    """Return whether a call acts, and nothing in the request or its results calls for it; worked out once."""
    if examined.drifts is None:
        examined.drifts = _is_drift(examined)
    return examined.drifts


def _is_drift(examined: Examined) -> bool:
    if examined.use.is_read or is_requested(examined):
        return False
    if any(scope.kind == DELEGATE for scope in examined.row.scopes):
        return False
    return not any(_calls_for(value.traced) for value in examined.values)


def _calls_for(traced: Traced) -> bool:
    """Return whether a value stands for the request: the user's, or a field that he has pointed at. Text of others is
    what hijacks an agent, also where he has asked for it."""
    return traced.origin is not ValueOrigin.TEXT and is_pointed(traced)


def drift_of(examined: Examined) -> int:
    """Return how many acting calls of the session drift, this one included."""
    return examined.row.drifts + is_drift(examined)


def drift_signals(examined: Examined | None) -> tuple[Signal, ...]:
    """Return what the verdict of a call names; nothing for a call that does not drift itself."""
    if examined is None or not is_drift(examined):
        return ()
    count = drift_of(examined)
    text = f"nothing in the request calls for this act: {count} such acts in the session"
    return (Signal(name=NAME, score=float(count), explain=text),)
