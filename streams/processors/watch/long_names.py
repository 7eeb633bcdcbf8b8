"""Shorten the names of a decision that are longer than the watch keeps.

Names are parts of the rows' keys, of baselines and of alerts, and agents choose many of them. A long one is cut, and
ends with a digest of all of it: so different names stay different, and a decision is watched whatever it names. The
names of agent, session and tenant are not among them: whose decision it is must be exact, so it is rejected.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from streams.model.behaviour import BehaviourEvent

NAME_CHARS_MAX = 512
_DIGEST_CHARS = 32

replace = msgspec.structs.replace


def with_short_names(event: BehaviourEvent) -> BehaviourEvent:
    """Return a decision whose names have at most `NAME_CHARS_MAX` characters each."""
    act, tool = event.act, event.tool
    names = (event.sub, event.epoch, event.reason, act.iss, tool.server_id, tool.name)
    maybe = (act.instance_uid, act.jkt, event.root_uid, event.destination, event.object, event.owner)
    # All of them together are seldom longer.
    if len("".join(names)) + sum(len(name) for name in maybe if name) <= NAME_CHARS_MAX:
        return event
    return replace(
        event,
        sub=_short(event.sub),
        epoch=_short(event.epoch),
        reason=_short(event.reason),
        act=replace(
            act,
            iss=_short(act.iss),
            instance_uid=act.instance_uid and _short(act.instance_uid),
            jkt=act.jkt and _short(act.jkt),
        ),
        tool=replace(tool, server_id=_short(tool.server_id), name=_short(tool.name)),
        root_uid=event.root_uid and _short(event.root_uid),
        destination=event.destination and _short(event.destination),
        object=event.object and _short(event.object),
        owner=event.owner and _short(event.owner),
    )


def _short(name: str) -> str:
    if len(name) <= NAME_CHARS_MAX:
        return name
    # What another writer puts on the topic may have half of a pair of surrogates.
    digest = sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: NAME_CHARS_MAX - _DIGEST_CHARS - 1]}#{digest}"
