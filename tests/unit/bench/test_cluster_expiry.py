"""What `bench.cluster` says about calls that expired: only what could be read in time is the executors' fault."""

from __future__ import annotations

import datetime
from typing import Any

from bench.cluster.expiry import Expired, expired_calls
from bench.cluster.reading import Arrival, Stored


def readable(name: str, at_ms: float, expires_at: Any) -> Arrival:
    return Arrival(at_ms, Stored(0, 0, b"", {"verdict_id": name, "expires_at": expires_at}))


def settled(name: str, reason: str) -> Stored:
    return Stored(0, 0, b"", {"verdict_id": name, "reason": reason})


VERDICTS = [
    readable("late", 40_000.0, 30_000),
    readable("nearly late", 40_500.0, 41_000),
    readable("in time", 41_000.0, datetime.datetime.fromtimestamp(53.5, datetime.UTC)),
    readable("run", 42_000.0, 60_000),
    readable("of another case", 90_000.0, 80_000),
]
SETTLED = [
    *(settled(name, "verdict_expired") for name in ("late", "nearly late", "in time", "of another case")),
    settled("run", "done"),
]


def test_what_could_be_read_in_time_is_told_apart_from_what_could_not() -> None:
    assert expired_calls(VERDICTS, SETTLED, 0.0, 80_000.0) == Expired(2, 1, 12.5)
    assert expired_calls(VERDICTS, SETTLED, 80_000.0, float("inf")) == Expired(1, 0, 0.0)
    assert expired_calls(VERDICTS, SETTLED[-1:], 0.0, float("inf")) == Expired(0, 0, 0.0)
