"""Bounds what intents without a proof cost a partition: beyond a number in a window they get no verdicts of their own.

**Idea.** Whoever can write to the intent topic can write intents without a proof, as fast as the brokers take them, and
each whole denial costs as much as an honest verdict: a verdict, an audit record, an alert, and rows. So a partition
gives `unproven_per_window_max` of them a verdict in a window of `unproven_window_ms`. Each further one becomes a dead
letter, unread beyond its proof. The first of these has an audit record and raises an alert. The others have one common
audit record, which is written when the window ends and says how many they were; the dead letters say which.

The count is a row of the partition and the window is stream time, so that the outcome of an intent depends on the log
alone.

**Rejected.** A count for each session: names of sessions cost nothing, so a flood takes a new one for each intent. To
judge the intents of other sessions first: it changes the order in which stream time, timers and shared budgets see
them, and helps only as far as the gate looks ahead, while a flood is as long as its writer likes (ADR 0035).
"""

from __future__ import annotations

from enum import Enum

import msgspec

from streams.ports.processor import StateView
from streams.processors.rows import UNPROVEN_FLOOD_KEY, TimerKind, timer_payload
from streams.processors.settings import GateSettings

_PAYLOAD = timer_payload(TimerKind.UNPROVEN_FLOOD, b"")


class Admission(Enum):
    """The outcome of an intent without a proof, as far as its number decides."""

    JUDGED = 1
    SET_ASIDE = 2
    LEFT_OUT = 3
    """It is set aside, and has no audit record of its own."""


class FloodRow(msgspec.Struct, frozen=True, array_like=True):
    """What a partition has seen of intents without a proof.

    Attributes:
        start_ms: when the window began.
        count: how many there were since.
        left_out: how many of them have no audit record of their own.
    """

    start_ms: int
    count: int = 0
    left_out: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FloodRow).decode


def admit(state: StateView, settings: GateSettings, now_ms: int) -> Admission:
    """Count an intent without a proof, and return whether it is judged.

    Args:
        state: the partition's.
        settings: how many are judged in a window.
        now_ms: stream time.
    """
    found = state.get(UNPROVEN_FLOOD_KEY)
    row = FloodRow(now_ms) if found is None else _decode(found)
    elapsed_ms = now_ms - row.start_ms
    is_over = row.count <= settings.unproven_per_window_max and elapsed_ms >= settings.unproven_window_ms
    if is_over or elapsed_ms < 0:
        # Below 0, an operator has set stream time back, and the window's timer is as far ahead as the window.
        row = FloodRow(now_ms, left_out=row.left_out)
    # INVARIANT: intents that are left out are reported by a timer, which ends their window.
    count = row.count + 1
    admission = Admission.JUDGED
    left_out = row.left_out
    if count > settings.unproven_per_window_max:
        admission = Admission.SET_ASIDE if count == settings.unproven_per_window_max + 1 else Admission.LEFT_OUT
        if admission is Admission.SET_ASIDE:
            state.set_timer(row.start_ms + settings.unproven_window_ms, _PAYLOAD)
        else:
            left_out += 1
    state.put(UNPROVEN_FLOOD_KEY, _encode(FloodRow(row.start_ms, count, left_out)))
    return admission


def end_window(state: StateView) -> FloodRow | None:
    """End the window, and return what was counted in it; None if there is none."""
    found = state.get(UNPROVEN_FLOOD_KEY)
    if found is None:
        return None
    state.delete(UNPROVEN_FLOOD_KEY)
    return _decode(found)
