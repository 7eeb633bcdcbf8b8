"""Hold what is usual for agents, as watches have published it. Gates use it, and wait for none of it.

What a gate knows here makes a verdict stricter and never milder, as the checker of rules sees to. So nothing has to be
assumed of a baseline that is missing: there is no signal. One that can't be read leaves the one before it in force,
which nothing has replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import DAY_MS, KEPT_DAYS
from streams.behaviour.profiles import HOURS_PER_DAY, RISKS_MAX, Profile
from streams.behaviour.usual import Usual, usual_of
from streams.model.control import Baseline
from streams.model.errors import RecordError
from streams.model.keys import baseline_key
from streams.model.reasons import DeadLetterReason
from streams.processors.control.risks import Risks

AGENTS_MAX = 5_000
"""Agents whose baselines are held. Beyond them, those of the tenant with the most that were published longest ago are
forgotten: no tenant can have those of others forgotten by naming many agents."""
EPOCHS_MAX = 4
"""Epochs of an agent that are held, the newest ones."""
STALE_MS = KEPT_DAYS * DAY_MS
"""A baseline that was not renewed in this time says nothing."""
STATE_BYTES_MAX = 64 * 1024
USUAL_CACHED_MAX = 1_024
NUMBER_MAX = 1e6
"""The highest mean, median or spread. These are logarithms, and watches stay far below."""
LOG_SPREAD_MAX = 100.0
"""The highest logarithm of a spread, whose exponential is used in calculations."""
COUNT_MAX = 1 << 53

_decode = msgspec.msgpack.Decoder(Profile).decode


class _Held(NamedTuple):
    """A snapshot of an epoch: its bytes, the time that it states, and when it was written."""

    state: bytes
    time_ms: int
    appended_ms: int


@dataclass
class Baselines:
    """Holds the baselines of all agents.

    Attributes:
        next_offset: up to where the topic has been read.
        risks: the risks of agents and users.
    """

    next_offset: int = 0
    risks: Risks = field(default_factory=Risks)
    _held: dict[tuple[str, str], dict[str, _Held]] = field(default_factory=dict)
    _agents: dict[str, dict[str, None]] = field(default_factory=dict)
    _names: dict[bytes, tuple[str, str, str]] = field(default_factory=dict)
    _usual: dict[tuple[str, str], Usual] = field(default_factory=dict)

    @property
    def newest_ms(self) -> int:
        """Return when the newest snapshot was written; 0 without any."""
        return max((each.appended_ms for epochs in self._held.values() for each in epochs.values()), default=0)

    @property
    def count(self) -> int:
        """Return of how many agents a baseline is held."""
        return len(self._held)

    def usual_of(self, tenant_uid: str, agent: str, now_ms: int) -> Usual | None:
        """Return what is usual for an agent; None if that is not known, or was not renewed for too long."""
        who = tenant_uid, agent
        epochs = self._held.get(who)
        if epochs is None or now_ms - max(each.appended_ms for each in epochs.values()) > STALE_MS:
            return None
        found = self._usual.get(who)
        if found is None:
            if len(self._usual) >= USUAL_CACHED_MAX:
                self._usual.clear()
            found = self._usual[who] = usual_of(_decode(each.state) for each in epochs.values())
        return found

    def offer(self, key: bytes, record: Baseline, appended_ms: int) -> None:
        """Apply a snapshot.

        Raises:
            RecordError: it can't be used, or is older than the one that is held. That one stays in force.
        """
        tenant_uid = record.header.tenant_uid
        own_key = baseline_key(tenant_uid, record.agent, record.epoch)
        if key != own_key:
            shown, own = (each[:120].decode("utf-8", "replace") for each in (key, own_key))
            raise RecordError(DeadLetterReason.KEY_MISMATCH, f"the record's key is `{shown}`, but its own is `{own}`")
        profile = _checked(record)
        who = tenant_uid, record.agent
        epochs = self._held.get(who, {})
        before = epochs.get(record.epoch)
        if before is not None and record.header.time <= before.time_ms:
            text = f"version {record.version} is of {record.header.time}, and one of {before.time_ms} is in force"
            raise RecordError(DeadLetterReason.SEQUENCE_REPLAYED, text)
        # The order of insertion is that of the newest snapshots.
        epochs.pop(record.epoch, None)
        epochs[record.epoch] = _Held(record.state, record.header.time, appended_ms)
        self._held[who] = epochs
        agents = self._agents.setdefault(tenant_uid, {})
        agents.pop(record.agent, None)
        agents[record.agent] = None
        self._names[key] = (*who, record.epoch)
        self.risks.replace((*who, record.epoch), profile)
        self._usual.pop(who, None)
        if len(epochs) > EPOCHS_MAX:
            self._drop(who, next(iter(epochs)))
        if len(self._held) > AGENTS_MAX:
            largest = max(self._agents, key=lambda tenant: len(self._agents[tenant]))
            oldest = largest, next(iter(self._agents[largest]))
            for epoch in tuple(self._held[oldest]):
                self._drop(oldest, epoch)

    def forget(self, key: bytes) -> None:
        """Apply a tombstone: nothing is known of the agent in this epoch any more."""
        named = self._names.get(key)
        if named is not None:
            self._drop(named[:2], named[2])

    def clear(self) -> None:
        """Forget everything, as if nothing had been read."""
        self.next_offset = 0
        self._held.clear()
        self._agents.clear()
        self._names.clear()
        self._usual.clear()
        self.risks.clear()

    def _drop(self, who: tuple[str, str], epoch: str) -> None:
        """Forget an epoch, and the agent with its last one."""
        epochs = self._held[who]
        del epochs[epoch]
        self._names.pop(baseline_key(*who, epoch), None)
        self._usual.pop(who, None)
        self.risks.drop((*who, epoch))
        if not epochs:
            del self._held[who]
            del self._agents[who[0]][who[1]]
            if not self._agents[who[0]]:
                del self._agents[who[0]]
            self.risks.forget_agent(*who)


def _checked(record: Baseline) -> Profile:
    """Return the state of a snapshot, if it can be reckoned with.

    Raises:
        RecordError: it can't.
    """
    if len(record.state) > STATE_BYTES_MAX:
        text = f"a baseline of {len(record.state)} bytes: the limit is {STATE_BYTES_MAX}"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    try:
        profile = _decode(record.state)
    except msgspec.MsgspecError as error:
        raise RecordError(DeadLetterReason.RECORD_INVALID, f"the baseline can't be read: {error}") from None
    past = profile.busiest.past
    numbers = [past.mean, past.var, past.weight]
    for _, median in profile.amounts:
        numbers += [median.median, median.spread]
    log_spreads: list[float] = []
    for tether in (past.tether, *(median.tether for _, median in profile.amounts)):
        if tether is not None:
            numbers.append(tether.level)
            log_spreads.append(tether.log_spread)
    counts = [profile.calls, *profile.hours, *(count for _, count in (*profile.tools, *profile.destinations))]
    is_sound = (
        (profile.agent, profile.epoch) == (record.agent, record.epoch)
        and len(profile.hours) == HOURS_PER_DAY
        and min(counts) >= 0
        and max(counts) <= COUNT_MAX
        and past.var >= 0
        and len(profile.risks) <= RISKS_MAX
        and all(point.half_life_ms > 0 and point.share >= 0 and isfinite(point.share) for point in profile.risks)
        # Comparisons with a NaN are false.
        and all(-NUMBER_MAX <= number <= NUMBER_MAX for number in numbers)
        and all(-LOG_SPREAD_MAX <= number <= LOG_SPREAD_MAX for number in log_spreads)
    )
    if not is_sound:
        raise RecordError(DeadLetterReason.RECORD_INVALID, "the baseline has numbers or names that no watch writes")
    return profile
