"""The declaration of a detector, as a rule file has it, and the parameters that each kind takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from streams.behaviour.activity import DAY_MS, HOUR_MS

MINUTE_MS = 60_000


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """One declared detector.

    Attributes:
        kind: the algorithm; a key of `KINDS`.
        name: its name; signals are called `signal.NAME`.
        key: the fields that tell apart what it watches.
        peer: the fields that peers have in common; empty for a detector without peers.
        term: the field whose values it follows.
        value: the measure that it follows.
        tools: the tools that it watches; empty for all.
        threshold: the score from which on it alerts.
        min_support: how much it must have seen before it alerts.
        settle_ms: for how long it must have seen it.
        window_ms: the width of its windows.
        half_life_ms: how fast accumulated evidence fades.
        history_ms: how long a baseline remembers.
        deviations: how many standard deviations above what is normal a count has to be.
        limit: how many events a ceiling allows in a window.
        allowance: how much evidence an accumulator takes for granted at each step.
        count_max: how many terms are kept of one key.
        alerts: whether it alerts by itself; otherwise it only adds to risk.
        title: the title of its alerts.
        explain: the sentence of its signals.
        severity: low, medium, high or critical.
        tags: of OWASP and ATLAS.
    """

    kind: str
    name: str
    key: tuple[str, ...]
    peer: tuple[str, ...] = ()
    term: str | None = None
    value: str | None = None
    tools: tuple[str, ...] = ()
    threshold: float
    min_support: float = 0.0
    settle_ms: int = 0
    window_ms: int = HOUR_MS
    half_life_ms: int = 12 * HOUR_MS
    history_ms: int = 30 * DAY_MS
    deviations: float = 4.0
    limit: int = 600
    allowance: float = 0.0
    count_max: int = 2_000
    alerts: bool = True
    title: str = ""
    explain: str = ""
    severity: str = "medium"
    tags: tuple[str, ...] = ()


class Takes(msgspec.Struct, frozen=True):
    """What a kind takes.

    Attributes:
        needs: parameters that must be declared.
        may: parameters that may be.
        words: what `explain` may name beside fields.
        measure: what its score is.
    """

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    measure: str = ""


_BASELINE = ("peer", "min_support", "history_ms")

KINDS: Mapping[str, Takes] = MappingProxyType(
    {
        "ceiling": Takes(("limit", "window_ms"), (), ("count", "limit"), "allowance used, 1 is all of it"),
        "rate_nb": Takes(("window_ms",), _BASELINE, ("count", "usual", "times"), "-log10 p"),
        "new_terms": Takes(
            ("term",), (*_BASELINE, "settle_ms", "count_max", "value"), ("bits", "peers", "seen"), "bits"
        ),
        "novel_cusum": Takes(
            ("term",),
            (*_BASELINE, "settle_ms", "count_max", "half_life_ms", "allowance"),
            ("bits", "sum"),
            "bits, accumulated",
        ),
        "fan_out": Takes(("term", "window_ms"), (*_BASELINE, "deviations"), ("count", "usual"), "different terms"),
        "arg_mad": Takes(("value",), _BASELINE, ("amount", "usual", "z"), "deviations"),
        "arg_cusum": Takes(
            ("value",),
            (*_BASELINE, "half_life_ms", "allowance"),
            ("amount", "usual", "sum"),
            "log likelihood ratio, accumulated",
        ),
        "arg_trend": Takes(("term",), ("history_ms",), ("amount", "usual", "count", "z"), "deviations"),
        "first_amount": Takes(("value", "peer"), ("min_support",), ("amount", "usual"), "deviations"),
        "egress": Takes(
            ("value", "half_life_ms"), (*_BASELINE, "term", "settle_ms"), ("sum", "usual", "z"), "deviations"
        ),
        "dest_daily": Takes(("term",), (*_BASELINE, "count_max"), ("count", "usual", "days"), "-log10 p"),
        "loop": Takes((), (*_BASELINE, "term", "deviations", "window_ms"), ("count", "usual"), "repeats"),
        "loop_run": Takes((), ("peer", "min_support"), ("count", "stay"), "-log10 p"),
        "seq_surprise": Takes(
            (), (*_BASELINE, "allowance", "half_life_ms", "deviations"), ("bits", "sum", "usual"), "bits, accumulated"
        ),
        "two_places": Takes(("window_ms",), (), ("count",), "returns to an instance"),
        "deleg_velocity": Takes(("window_ms",), (*_BASELINE, "deviations"), ("count", "usual", "by"), "children"),
        "cross_owner": Takes((), (*_BASELINE, "deviations"), ("count", "usual"), "foreign owners"),
        "epoch_drift": Takes(
            (), ("peer", "min_support", "count_max"), ("sum", "times", "before", "change"), "likelihood ratio"
        ),
        "off_hours": Takes((), (*_BASELINE, "settle_ms"), ("bits", "days", "hour", "count"), "bits"),
        "new_contact": Takes(
            ("term", "window_ms"), (*_BASELINE, "settle_ms", "value"), ("sum", "usual", "z"), "deviations"
        ),
        "odd_contact": Takes(
            ("term", "window_ms"),
            (*_BASELINE, "settle_ms", "allowance"),
            ("sum", "sessions"),
            "bits, accumulated",
        ),
        "returns": Takes(
            ("term", "window_ms"), (*_BASELINE, "settle_ms", "deviations"), ("count", "usual"), "sessions"
        ),
        "risk": Takes(("half_life_ms",), ("allowance",), ("sum", "causes"), "shares of thresholds"),
    }
)
"""The kinds of detectors, and what their declarations contain beside what every declaration contains."""

PARAMETERS = (
    "peer",
    "term",
    "value",
    "min_support",
    "settle_ms",
    "window_ms",
    "half_life_ms",
    "history_ms",
    "deviations",
    "limit",
    "allowance",
    "count_max",
)
