"""Store the effects that the end of an allowed call has: memory updates, and charges to return if it did not run."""

from __future__ import annotations

import msgspec

from streams.model.labels import Label
from streams.policy.language.bundle import Occasion
from streams.ports.processor import StateView
from streams.processors.rows import effects_row_key
from streams.processors.session_row import SessionRow, ToolName, evolve
from streams.processors.sessions.memory import Happened, with_starts
from streams.processors.state import EffectsRow, decode_effects, encode_row

_LATER = frozenset({Occasion.RAN.value, Occasion.FAILED.value})
replace = msgspec.structs.replace


def store_effects(
    effects: EffectsRow, session_key: bytes, intent_id: str, row: SessionRow, state: StateView
) -> SessionRow:
    """Store the effects that an allowed call has at its end, if there are any, and return the session's row."""
    later = tuple(update for update in effects.memory_updates if update.on in _LATER)
    if not later and not effects.charges:
        return row
    stored = replace(effects, memory_updates=with_starts(later, session_key, state))
    state.put(effects_row_key(session_key, intent_id), encode_row(stored))
    return evolve(row, effects_count=row.counters.effects_count + 1)


def pop_reported_effects(
    session_key: bytes, intent_id: str, tool: ToolName | None, row: SessionRow, state: StateView
) -> tuple[SessionRow, EffectsRow | None]:
    """Pop the effects of a call whose end is reported; ignore a report that names another tool than the allowed one.

    Args:
        tool: the tool that the report names.
    """
    found = state.get(effects_row_key(session_key, intent_id)) if row.counters.effects_count else None
    if found is None or decode_effects(found).tool not in (None, tool):
        return row, None
    return pop_effects(session_key, intent_id, row, state)


def pop_effects(
    session_key: bytes, intent_id: str, row: SessionRow, state: StateView
) -> tuple[SessionRow, EffectsRow | None]:
    """Return the session's row and the stored effects of a call, and delete them; None if there are none."""
    if not row.counters.effects_count:
        return row, None
    key = effects_row_key(session_key, intent_id)
    found = state.get(key)
    if found is None:
        return row, None
    state.delete(key)
    return evolve(row, effects_count=row.counters.effects_count - 1), decode_effects(found)


def completion(is_error: bool, label: Label) -> Happened:
    """Return what has happened to a call that has ended.

    Args:
        is_error: whether the call failed.
        label: the label of its result.
    """
    return Happened(frozenset({Occasion.FAILED if is_error else Occasion.RAN}), label)
