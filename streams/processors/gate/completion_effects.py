"""What an allowed call leaves behind until it has ended: things to remember of its end, and what to give back."""

from __future__ import annotations

import msgspec

from streams.model.labels import Label
from streams.policy.language.bundle import Occasion
from streams.ports.processor import StateView
from streams.processors.sessions.memory import Happened, apply_updates
from streams.processors.state import (
    EffectsRow,
    SessionRow,
    ToolName,
    decode_effects,
    effects_row_key,
    encode_row,
)

_LATER = frozenset({Occasion.RAN.value, Occasion.FAILED.value})
replace = msgspec.structs.replace


def leave(effects: EffectsRow, session_key: bytes, intent_id: str, row: SessionRow, state: StateView) -> SessionRow:
    """A call was allowed: keep what its end will bring of `effects`, if anything. Returns the session's row."""
    later = tuple(update for update in effects.memory_updates if update.on in _LATER)
    if not later and not effects.charges:
        return row
    state.put(effects_row_key(session_key, intent_id), encode_row(replace(effects, memory_updates=later)))
    return replace(row, effects_count=row.effects_count + 1)


def take_ended(
    session_key: bytes, intent_id: str, tool: ToolName | None, row: SessionRow, state: StateView
) -> tuple[SessionRow, EffectsRow | None]:
    """`take`, for a report that the call has ended; one that names another tool than was allowed ends nothing."""
    found = state.get(effects_row_key(session_key, intent_id)) if row.effects_count else None
    if found is None or decode_effects(found).tool not in (None, tool):
        return row, None
    return take(session_key, intent_id, row, state)


def take(session_key: bytes, intent_id: str, row: SessionRow, state: StateView) -> tuple[SessionRow, EffectsRow | None]:
    """What was left for the end of a call, once: it is gone afterwards."""
    if not row.effects_count:
        return row, None
    key = effects_row_key(session_key, intent_id)
    found = state.get(key)
    if found is None:
        return row, None
    state.delete(key)
    return replace(row, effects_count=row.effects_count - 1), decode_effects(found)


def remember_end(
    effects: EffectsRow, is_error: bool, label: Label, session_key: bytes, state: StateView, now_ms: int
) -> bool:
    """A call has ended with a result labelled so; whether anything was remembered of it."""
    occasion = Occasion.FAILED if is_error else Occasion.RAN
    return apply_updates(effects.memory_updates, Happened(frozenset({occasion}), label), session_key, state, now_ms)
