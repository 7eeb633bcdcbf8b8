"""Baselines as a watch publishes them, for tests of what reads them."""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import DAY_MS
from streams.behaviour.estimators import Mean, Median, Peak
from streams.behaviour.profiles import Extraction, Profile
from streams.model.control import Baseline
from streams.model.keys import baseline_key
from streams.model.proof import derived_uuid
from streams.model.types import Header
from tests.kit import START_MS

AGENT = "assistant"
EPOCH = "e1"
OFFICE_HOURS = (0,) * 8 + (50,) * 10 + (0,) * 6
READS = (
    Extraction("destination", ("mail.*",), "/to", "domain"),
    Extraction("amount", ("pay.*", "bank.*"), "/amount", "number"),
)


def settled(*, calls: int = 500, epoch: str = EPOCH, **fields: object) -> Profile:
    """What is known of an agent that has worked for three weeks: it reads files and mails to one domain."""
    profile = Profile(
        AGENT,
        epoch,
        calls,
        START_MS - 21 * DAY_MS,
        START_MS,
        tools=(("files.read", calls - 100), ("mail.send", 100)),
        destinations=(("example.com", 100),),
        hours=OFFICE_HOURS,
        amounts=(("bank.pay", Median(4.0, 0.2, 60)),),
        version=1,
        is_published=True,
        busiest=Peak(0, 2.4, Mean(2.4, 0.01, 12.0)),
        reads=READS,
    )
    return msgspec.structs.replace(profile, **fields)


def baseline(profile: Profile, *, version: int = 1, time_ms: int = START_MS, tenant: str = "acme") -> Baseline:
    """The record of a profile; each version is of a later millisecond."""
    return Baseline(
        header=Header(
            id=derived_uuid("baseline", profile.agent, profile.epoch, str(version)),
            source="stoplog/watch",
            time=time_ms + version,
            tenant_uid=tenant,
        ),
        agent=profile.agent,
        epoch=profile.epoch,
        version=version,
        intents_count=profile.calls,
        state=msgspec.msgpack.encode(profile),
    )


def baseline_record_key(epoch: str = EPOCH, agent: str = AGENT, tenant: str = "acme") -> bytes:
    """The key of the record."""
    return baseline_key(tenant, agent, epoch)
