"""The class of each kind of detector; `risk` is apart, because it reads signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from streams.behaviour.declarations import Declaration
from streams.behaviour.detectors.amounts import ArgCusum, ArgMad, FirstAmount
from streams.behaviour.detectors.contacts import NewContact
from streams.behaviour.detectors.hours import OffHours
from streams.behaviour.detectors.loops import Loop, LoopRun
from streams.behaviour.detectors.orders import SeqSurprise
from streams.behaviour.detectors.rates import Ceiling, DestDaily, Egress, RateNb
from streams.behaviour.detectors.returns import Returns
from streams.behaviour.detectors.spread import CrossOwner, DelegVelocity, FanOut, TwoPlaces
from streams.behaviour.detectors.strays import OddContact
from streams.behaviour.detectors.terms import NewTerms, NovelCusum
from streams.behaviour.detectors.trends import ArgTrend
from streams.behaviour.detectors.versions import EpochDrift
from streams.behaviour.signals import Detector

RISK = "risk"

DETECTORS: Mapping[str, Callable[[Declaration], Detector]] = MappingProxyType(
    {
        "ceiling": Ceiling,
        "rate_nb": RateNb,
        "new_terms": NewTerms,
        "novel_cusum": NovelCusum,
        "fan_out": FanOut,
        "arg_mad": ArgMad,
        "arg_cusum": ArgCusum,
        "arg_trend": ArgTrend,
        "first_amount": FirstAmount,
        "egress": Egress,
        "dest_daily": DestDaily,
        "loop": Loop,
        "loop_run": LoopRun,
        "seq_surprise": SeqSurprise,
        "two_places": TwoPlaces,
        "deleg_velocity": DelegVelocity,
        "cross_owner": CrossOwner,
        "epoch_drift": EpochDrift,
        "off_hours": OffHours,
        "new_contact": NewContact,
        "odd_contact": OddContact,
        "returns": Returns,
    }
)
