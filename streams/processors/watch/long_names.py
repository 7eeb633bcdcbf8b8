"""Shorten the names of a decision that are longer than the watch keeps.

Names are parts of the rows' keys, of baselines and of alerts, and agents choose many of them. A long one is shortened
(`streams.behaviour.names`), so a decision is watched whatever it names; gates shorten in the same way what they look up
in a baseline. The names of agent, session and tenant are not among them: whose decision it is must be exact. So they
are kept as they are, and what is longer than any that gates accept is rejected.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.names import NAME_CHARS_MAX, short_name
from streams.model.behaviour import BehaviourEvent
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason

AGENT_CHARS_MAX = 1_024
"""The longest name of an agent, and of its type, which without a declared one has the agent's name.

INVARIANT: gates decide about no agent with a longer name (`streams.processors.gate.record_checks`), so no agent can
have a name with which it works and is not watched.
"""
SESSION_CHARS_MAX = NAME_CHARS_MAX
"""The longest id of a session, and the longest tenant: gates accept keys of sessions of so many bytes."""

replace = msgspec.structs.replace


def check_whose(event: BehaviourEvent) -> None:
    """Check the names that say whose decision it is.

    Raises:
        RecordError: one is longer than those of all decisions of gates.
    """
    agent_chars = max(len(event.act.sub), len(event.cohort))
    session_chars = max(len(event.session_id), len(event.header.tenant_uid))
    if agent_chars <= AGENT_CHARS_MAX and session_chars <= SESSION_CHARS_MAX:
        return
    if agent_chars > AGENT_CHARS_MAX:
        text = f"the name of an agent has {agent_chars} characters: the limit is {AGENT_CHARS_MAX}"
    else:
        text = f"the name of a session or tenant has {session_chars} characters: the limit is {SESSION_CHARS_MAX}"
    raise RecordError(DeadLetterReason.RECORD_INVALID, text)


def with_short_names(event: BehaviourEvent) -> BehaviourEvent:
    """Return a decision whose names have at most `NAME_CHARS_MAX` characters each."""
    act, tool = event.act, event.tool
    names = (event.sub, event.epoch, event.reason, act.iss, tool.server_id, tool.name)
    of_call = (event.destination, event.object, event.owner)
    maybe = (act.instance_uid, act.jkt, event.root_uid, event.delegator, *of_call)
    # All of them together are seldom longer.
    if len("".join(names)) + sum(len(name) for name in maybe if name) <= NAME_CHARS_MAX:
        return event
    return replace(
        event,
        sub=short_name(event.sub),
        epoch=short_name(event.epoch),
        reason=short_name(event.reason),
        act=replace(
            act,
            iss=short_name(act.iss),
            instance_uid=act.instance_uid and short_name(act.instance_uid),
            jkt=act.jkt and short_name(act.jkt),
        ),
        tool=replace(tool, server_id=short_name(tool.server_id), name=short_name(tool.name)),
        root_uid=event.root_uid and short_name(event.root_uid),
        delegator=event.delegator and short_name(event.delegator),
        destination=event.destination and short_name(event.destination),
        object=event.object and short_name(event.object),
        owner=event.owner and short_name(event.owner),
    )
