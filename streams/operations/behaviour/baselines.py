"""Reads what watches have published about an agent: what is usual for it, in each epoch of its behaviour.

**Why the published snapshots.** The topic of baselines is compacted, has one record for each agent and epoch, and
analysts may read it. The changelog of the watch has the same numbers in rows of its own layout, and belongs to the
watch: who may read it sees every row of every agent, and each change of a row would change this command. The price is
that a snapshot is as old as `watch.publish_ms` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from streams.behaviour.epochs import EpochParts, epoch_parts
from streams.behaviour.profiles import Profile
from streams.model.control import Baseline
from streams.model.errors import StoplogError
from streams.model.topics import BASELINE
from streams.operations.topics.decoded import Decoder, decoded
from streams.operations.topics.reader import read_to_end
from streams.policy.errors import nearest
from streams.ports import Clock
from streams.ports.open_log import Log

KNOWN_SHOWN_MAX = 10

_decode = msgspec.msgpack.Decoder(Profile).decode


class BaselineMissingError(StoplogError):
    """No watch has published anything about an agent."""


class Known(NamedTuple):
    """What is usual for an agent in one epoch, and when it was published."""

    tenant_uid: str
    profile: Profile
    published_ms: int

    @property
    def parts(self) -> EpochParts:
        """Return what the epoch is made of."""
        return epoch_parts(self.profile.epoch)


def read_baselines(log: Log, decoder: Decoder, clock: Clock, tenant_uid: str, agent: str) -> tuple[Known, ...]:
    """Return what is usual for an agent in each epoch, the newest epoch first. Blocking.

    Args:
        log: the log.
        decoder: of its records.
        clock: how long a read may take.
        tenant_uid: the tenant of the agent.
        agent: the agent.

    Raises:
        BaselineMissingError: nothing has been published about the agent; names agents that it could be.
        TopicReadError, LogError: the topic can't be read.
    """
    found: dict[str, Known] = {}
    others: set[str] = set()
    elsewhere: set[str] = set()
    for known in _published(log, decoder, clock):
        if known.tenant_uid == tenant_uid and known.profile.agent == agent:
            found[known.profile.epoch] = known
        elif known.tenant_uid == tenant_uid:
            others.add(known.profile.agent)
        elif known.profile.agent == agent:
            elsewhere.add(f"`{known.tenant_uid}|{agent}`")
    if not found:
        raise BaselineMissingError(_missing(tenant_uid, agent, others, sorted(elsewhere)))
    return tuple(sorted(found.values(), key=lambda each: (each.profile.first_ms, each.profile.epoch), reverse=True))


def _published(log: Log, decoder: Decoder, clock: Clock) -> Iterator[Known]:
    for received in read_to_end(log, (BASELINE.name,), clock):
        record = decoded(decoder, received)
        if isinstance(record, Baseline):
            try:
                profile = _decode(record.state)
            except msgspec.MsgspecError:
                # A version of the watch that this one doesn't know has written it.
                continue
            yield Known(record.header.tenant_uid, profile, record.header.time)


def _missing(tenant_uid: str, agent: str, others: set[str], elsewhere: Sequence[str]) -> str:
    whose = f"agent `{agent}`" if not tenant_uid else f"agent `{agent}` of tenant `{tenant_uid}`"
    text = f"no watch has published what is usual for {whose}"
    if elsewhere:
        return f"{text}; another tenant has such an agent: {_listed(elsewhere)}"
    if not others:
        named = f" (for another tenant, say `TENANT|{agent}`)" if tenant_uid else ""
        how = "`stoplog watch` publishes it at most once in `watch.publish_ms`, from calls that were allowed"
        return f"{text}: {how}{named}"
    hint = nearest(agent, others)
    return f"{text} ({hint or f'known are {_listed(sorted(others))}'})"


def _listed(names: Sequence[str]) -> str:
    more = "" if len(names) <= KNOWN_SHOWN_MAX else f", and {len(names) - KNOWN_SHOWN_MAX} more"
    return f"{', '.join(names[:KNOWN_SHOWN_MAX])}{more}"
