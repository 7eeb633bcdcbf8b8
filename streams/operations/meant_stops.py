"""Finds the stop that a person wants to release."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from streams.operations.known_names import NEAR_MAX, NEARNESS_MIN, can_tell, is_known, may_be_short
from streams.operations.operator import Operator
from streams.operations.stops import RevocationTargetError, meant_target, read_stops
from streams.operations.topics.lookup import first_lines


class Stop(NamedTuple):
    """What a release is about.

    Attributes:
        target: the `id` of the revocation.
        until_ms: until when it is stopped, or was, in ms since the epoch; `FOR_GOOD` for a stop without an end; None if
            the topic has no stop of it.
        is_known: whether the topic has had a stop of it, or the log knows the name, or can't tell.
        near: the names of stops in force that look like it, the nearest first, if nothing is known of this one.
    """

    target: str
    until_ms: int | None
    is_known: bool = True
    near: tuple[str, ...] = ()


def meant_stop(operator: Operator, kind: RevocationKind, stated: str) -> Stop:
    """Return the stop that a person names. Blocking.

    A session may be named by the beginning of its id, as lists show it, if exactly one session that is stopped has this
    beginning. A name that was stopped as it is comes first, because `kill` stops names as they are.

    Args:
        stated: see `streams.operations.stops.revocation_target`.

    Raises:
        RevocationTargetError: see `streams.operations.stops.meant_target`; or it is the beginning of several ids.
        TopicReadError, LogError: the log can't be read.
    """
    target = meant_target(operator, kind, stated)
    found, _ = read_stops(operator, operator.deployment.release.trusted())
    until_ms = found.stopped_until(kind, target)
    if until_ms is not None or found.released_since(kind, target, 0) or is_known(operator, kind, target):
        return Stop(target, until_ms)
    stopped = _stopped(found, kind, operator.clock.now_ms())
    begun = [name for name in stopped if name.startswith(target)] if may_be_short(kind, target) else []
    if len(begun) > 1:
        listed = first_lines([f"  {name}" for name in begun])
        raise RevocationTargetError(
            f"nothing is released: the ids of {len(begun)} stopped sessions begin with `{target}`; give more of the id:"
            f"\n{listed}"
        )
    if begun:
        return Stop(begun[0], found.stopped_until(kind, begun[0]))
    near = difflib.get_close_matches(target, stopped, NEAR_MAX, NEARNESS_MIN)
    return Stop(target, None, not can_tell(operator, kind), tuple(near))


def _stopped(found: RevocationSet, kind: RevocationKind, now_ms: int) -> list[str]:
    """Return the names of a kind of which a stop is in force, in order."""
    names = {target for each, target in found.all_keys() if each is kind}
    return sorted(name for name in names if now_ms < (found.stopped_until(kind, name) or 0))
