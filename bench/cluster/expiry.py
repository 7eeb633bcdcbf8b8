"""Says of the allowed calls that expired whether a faster executor could well have run them. Pure.

A verdict's life begins when its intent is stored. Where gates stand still for longer than that, as long as a quorum is
lost, a verdict has expired before anybody can read it, and no executor can save it. What could be read in time and
expired later shows executors that are too slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.cluster.reading import Arrival, Stored, instant_ms
from streams.model.reasons import Refusal

RUN_MS = 1_000.0
"""What reading a verdict, checking it and running its call may take on a busy machine."""


class Expired(NamedTuple):
    """How many allowed calls expired.

    Attributes:
        unread: less than RUN_MS was left once their verdicts could be read: hardly any executor could have run them.
        in_time: more was left.
        left_s_max: how much was left of one of these, at the longest, in seconds; 0.0 without any.
    """

    unread: int
    in_time: int
    left_s_max: float


def expired_calls(verdicts: Sequence[Arrival], settled: Sequence[Stored], begin_ms: float, end_ms: float) -> Expired:
    """Count the calls whose verdicts could be read within a time, and that executors have reported as expired.

    Args:
        verdicts: when each verdict could be read.
        settled: all audit records of executors.
        begin_ms: since the epoch.
        end_ms: likewise.
    """
    expired = {each.fields["verdict_id"] for each in settled if each.fields["reason"] == Refusal.VERDICT_EXPIRED}
    left_ms = [
        instant_ms(record.fields["expires_at"]) - at_ms
        for at_ms, record in verdicts
        if begin_ms <= at_ms < end_ms and record.fields["verdict_id"] in expired
    ]
    in_time = [each for each in left_ms if each >= RUN_MS]
    return Expired(len(left_ms) - len(in_time), len(in_time), round(max(in_time, default=0.0) / 1_000, 1))
