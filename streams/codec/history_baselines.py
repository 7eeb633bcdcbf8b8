"""Make the baseline of an agent from what a person writes into a history: what is usual for it, in plain numbers."""

from __future__ import annotations

import base64
from math import log1p
from typing import Annotated, Literal

import msgspec

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.detectors.amounts import PRIOR_SPREAD
from streams.behaviour.estimators import Mean, Median, Peak
from streams.behaviour.names import short_name
from streams.behaviour.profiles import HOURS_PER_DAY, Extraction, Profile, RiskPoint
from streams.codec.jsonform import JsonFormError

DAYS_DEFAULT = 30
AMOUNTS_COUNT = 100
PEAK_DAYS = 20.0

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_Hour = Annotated[int, msgspec.Meta(ge=0, le=HOURS_PER_DAY)]
_Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
_Pointer = Annotated[str, msgspec.Meta(pattern="^/")]
_ReadAs = Literal["text", "domain", "number"]
_Featured = Literal["destination", "object", "owner", "amount"]


class _Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a feature is found, as a file of detectors says it."""

    tools: tuple[str, ...]
    arg: _Pointer
    read_as: _ReadAs | None = msgspec.field(name="as", default=None)


class _Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is usual for an agent, as `docs/reference/history-files.md` describes it."""

    calls: _Count
    days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = DAYS_DEFAULT
    tools: dict[str, _Count] = {}
    destinations: dict[str, _Count] = {}
    hours: tuple[_Hour, _Hour] = (0, HOURS_PER_DAY)
    amounts: dict[str, _Amount] = {}
    busiest: _Count = 0
    features: dict[_Featured, tuple[_Feature, ...]] = {}
    agent_type: str = msgspec.field(name="type", default="")
    risk: _Count = 0
    user_risks: dict[str, _Count] = {}


def fill_baseline(value: dict[str, object], named: str, time_ms: int) -> None:
    """Fill in the state of a baseline from `usual`, and agent and epoch from the key.

    Args:
        value: the record's JSON; changed.
        named: the key without the tenant: agent, `/` and epoch; empty if the line has no key.
        time_ms: when the baseline was published.

    Raises:
        JsonFormError: `usual` is wrong or has no effect, or stands beside `state`.
    """
    agent, _, epoch = named.partition("/")
    if named:
        value.setdefault("agent", agent)
    value.setdefault("epoch", epoch)
    value.setdefault("version", 1)
    if "usual" not in value:
        return
    if "state" in value:
        raise JsonFormError("value: `usual` and `state` are both given")
    try:
        usual = msgspec.convert(value.pop("usual"), _Usual)
    except msgspec.ValidationError as error:
        raise JsonFormError(f"value.usual: {error}") from None
    for name, known, feature in (
        ("destinations", usual.destinations, "destination"),
        ("amounts", usual.amounts, "amount"),
    ):
        if known and feature not in usual.features:
            text = f"`{name}` needs `features.{feature}`, which says where calls have it"
            raise JsonFormError(f"value.usual: {text}")
    profile = _profile(usual, str(value.get("agent")), str(value["epoch"]), time_ms)
    value.setdefault("intents_count", usual.calls)
    value["state"] = base64.b64encode(msgspec.msgpack.encode(profile)).decode()


def _profile(usual: _Usual, agent: str, epoch: str, time_ms: int) -> Profile:
    begin, end = usual.hours
    worked = [hour for hour in range(HOURS_PER_DAY) if begin <= hour < end or (end < begin and not end <= hour < begin)]
    share, rest = divmod(usual.calls, max(1, len(worked)))
    hours = [0] * HOURS_PER_DAY
    for number, hour in enumerate(worked):
        hours[hour] = share + (number < rest)
    busiest = log1p(usual.busiest)
    return Profile(
        agent,
        epoch,
        usual.calls,
        time_ms - usual.days * DAY_MS,
        time_ms,
        tools=tuple(sorted(usual.tools.items())),
        destinations=tuple(sorted(usual.destinations.items())),
        hours=tuple(hours),
        amounts=tuple(
            (tool, Median(log1p(amount), PRIOR_SPREAD, AMOUNTS_COUNT)) for tool, amount in sorted(usual.amounts.items())
        ),
        version=1,
        is_published=True,
        busiest=Peak(0, busiest, Mean(busiest, 0.0, PEAK_DAYS)) if usual.busiest else Peak(),
        reads=tuple(
            Extraction(feature, each.tools, each.arg, each.read_as or ("number" if feature == "amount" else "text"))
            for feature, found in sorted(usual.features.items())
            for each in found
        ),
        cohort=usual.agent_type,
        risks=tuple(
            RiskPoint(short_name(user), percent / 100, time_ms, HOUR_MS)
            for user, percent in sorted({"": usual.risk, **usual.user_risks}.items())
            if percent
        ),
    )
