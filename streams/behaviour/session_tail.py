"""What is remembered of a session from one call to the next: its last tools and events, and what it has looked at."""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import BATCH_FROM, Activity, digest_of
from streams.behaviour.pages import Place

replace = msgspec.structs.replace

TAIL = Place(("session.id",), "@tail")
SEEN_MAX = 64
"""Events of a session that are remembered, to tell those that arrive twice."""
EVENTS_MAX = 16
"""Event ids in an alert's evidence."""
OBJECTS_MAX = 8
"""How many of the things that a session has looked at are remembered: the first ones."""


class SessionTail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The end of a session: its last two tools, digests of its last events, the ids of the newest, and its hold.

    `held_until_ms` is until when nothing is learned from the session, because it has alerted. `objects` are digests of
    what it has looked at first, without sending anything. `tools` are the first three tools that it has used, and
    `calls` is how many calls it has made, up to `BATCH_FROM`.
    """

    previous_tool: str = ""
    before_tool: str = ""
    seen: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    held_until_ms: int = 0
    objects: tuple[int, ...] = ()
    tools: tuple[str, ...] = ()
    calls: int = 0


def activity_after(tail: SessionTail, activity: Activity) -> Activity:
    """Return an activity with what the session did before it: the last two tools, whether it answers to them, and
    whether it is a batch."""
    previous, before = tail.previous_tool, tail.before_tool
    is_answer = activity.destination is not None and digest_of(activity.object or "") in tail.objects
    # A call of a third tool, or of a session of which an earlier version has not kept the tools, is none of a batch.
    is_batch = tail.calls >= BATCH_FROM and not tail.tools[2:] and (activity.tool in tail.tools or not tail.tools[1:])
    return replace(activity, previous_tool=previous, before_tool=before, is_answer=is_answer, is_batch=is_batch)


def seen_after(tail: SessionTail, event: int) -> tuple[int, ...]:
    """Return the digests of the last events after one more."""
    return (*tail.seen, event)[-SEEN_MAX:]


def tail_after(
    tail: SessionTail, activity: Activity, event: int, events: tuple[str, ...], held_until_ms: int, *, is_taught: bool
) -> SessionTail:
    """Return the end of a session after a call.

    Args:
        tail: the end before it.
        activity: the call.
        event: the digest of its event.
        events: the ids of the newest events, that of the call included.
        held_until_ms: until when nothing is learned from the session.
        is_taught: whether the call may be learned from. What it looks at is remembered only then.
    """
    objects = tail.objects
    is_looked_at = activity.object is not None and activity.destination is None
    if is_taught and is_looked_at and not objects[OBJECTS_MAX - 1 :]:
        digest = digest_of(activity.object or "")
        objects = objects if digest in objects else (*objects, digest)
    tools, calls = tail.tools, tail.calls
    if calls < BATCH_FROM and (calls or not tail.previous_tool):
        calls += 1
    if calls and not (tools[2:] or activity.tool in tools):
        tools = (*tools, activity.tool)
    return SessionTail(
        activity.tool,
        tail.previous_tool,
        seen_after(tail, event),
        events,
        held_until_ms,
        objects,
        tools,
        calls,
    )
