"""Keep what a session remembers for its rules, in bounded rows that are updated event by event, without scans.

Time within a memory's window is kept in buckets of 1/32 of the window. An event counts from when it happened until
its bucket has left the window, so for at most 1/32 of the window too long and never too short. What can't be kept,
because there is no room or because it is unknown, makes the memory unclear: a rule that reads it has no value
there, which fails closed.

A memory with `since` starts again with each call that its `since` matches, and counts only calls that were allowed
after that. What a call did is often reported late, after the next start. So starts are numbered, an allowed call takes
along how many there have been, and its report counts only if none has followed. Times would not do: calls of the same
millisecond have an order, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from streams.model.labels import Label
from streams.policy.language.bundle import Keep, Memory, Occasion
from streams.policy.language.fact_types import Facts
from streams.policy.runtime.memory_updates import MemoryUpdate, ToolPlan, label_index
from streams.ports.processor import StateView
from streams.processors.rows import cell_row_key, cells_of_memory, head_row_key
from streams.processors.state import CellRow, HeadRow, MemoryUpdateRow, decode_cell, decode_head, encode_row

BUCKETS_COUNT = 32
KEYS_MAX = 1_000
"""Values of `key` for which one session keeps one memory."""

_AMOUNT_MAX = 2**63 - 1
_FOREVER_MS = 2**62
_NOTHING = CellRow()
_NEW_HEAD = HeadRow()

replace = msgspec.structs.replace


class Happened(NamedTuple):
    """What has happened to a call: all occasions at once, the label of its result, and the groups that approved."""

    occasions: frozenset[Occasion]
    label: Label | None = None
    groups: tuple[str, ...] = ()


def recall(plan: ToolPlan, facts: Facts, session_key: bytes, state: StateView | None, now_ms: int) -> dict[str, Any]:
    """Return the fact `history` for a call: the current values of the memories that its tool's rules read.

    Args:
        state: None for a session of which nothing is kept yet (`SessionRow.keeps_count`).
    """
    if state is None and plan.empty_history is not None:
        return plan.empty_history
    found: dict[str, Any] = {}
    for recalled in plan.recalls:
        key = recalled.key_of(facts)
        cell = None if key is None else _cell(recalled.memory, key, session_key, state, now_ms)
        value = None if cell is None else _value(recalled.memory, cell, now_ms)
        if value is not None:
            found[recalled.memory.name] = value
    return found


def _cell(memory: Memory, key: bytes, session_key: bytes, state: StateView | None, now_ms: int) -> CellRow | None:
    """Return what is stored for the key; None if that is unclear."""
    if state is None:
        return _NOTHING
    head, row = (
        state.get(head_row_key(session_key, memory.name)),
        state.get(cell_row_key(session_key, memory.name, key)),
    )
    if head is not None and _is_unclear(decode_head(head), row is not None, now_ms):
        return None
    return _NOTHING if row is None else decode_cell(row)


def _is_unclear(head: HeadRow, has_cell: bool, now_ms: int) -> bool:
    """Return whether events may be missing: of every key, or of keys that there was no room for."""
    return now_ms < (head.unclear_until_ms if has_cell else max(head.unclear_until_ms, head.full_until_ms))


# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_LAST = Keep.LAST
_ANY = Keep.ANY


def _value(memory: Memory, cell: CellRow, now_ms: int) -> bool | int | None:
    if memory.keep is _LAST:
        age_ms = max(0, now_ms - cell.last_ms)
        known = cell.last_ms and (memory.within_ms is None or age_ms < memory.within_ms)
        return age_ms if known else None
    amount = sum(amount for _, amount in _live(cell.parts, memory.within_ms, now_ms))
    return amount > 0 if memory.keep is _ANY else min(amount, _AMOUNT_MAX)


def update_row(update: MemoryUpdate) -> MemoryUpdateRow:
    """Return an update in the form in which it is stored until the call has ended."""
    memory = update.memory
    return MemoryUpdateRow(
        memory=memory.name,
        on=update.on.value,
        labels=update.labels,
        key=update.key,
        amount=update.amount,
        forget=update.forget,
        keyed=(memory.key if memory.since is None or not update.forget else memory.since.key) is not None,
        within_ms=memory.within_ms,
        group=None if update.forget else memory.group,
        has_since=memory.since is not None,
    )


def with_starts(
    updates: tuple[MemoryUpdateRow, ...], session_key: bytes, state: StateView
) -> tuple[MemoryUpdateRow, ...]:
    """Return updates that apply later, with how often their memories have started again until now."""
    if not any(update.has_since for update in updates):
        return updates
    return tuple(
        replace(update, began=_head(update, session_key, state).starts_count) if update.has_since else update
        for update in updates
    )


def apply_updates(
    updates: Iterable[MemoryUpdateRow], happened: Happened, session_key: bytes, state: StateView, now_ms: int
) -> bool:
    """Apply what has happened to the memories, and return whether anything was changed.

    Memories start again first and are reset last: a call counts after the start that it is itself.
    """
    due = [update for update in updates if not update.tally and is_due(update, happened)]
    for update in due:
        if update.forget and update.has_since:
            _start_again(update, session_key, state, now_ms)
    for update in due:
        if not update.forget:
            _add(update, session_key, state, now_ms)
    for update in due:
        if update.forget and not update.has_since:
            _forget(update, session_key, state)
    return bool(due)


def is_due(update: MemoryUpdateRow, happened: Happened) -> bool:
    """Return whether an update applies to what has happened."""
    if Occasion(update.on) not in happened.occasions:
        return False
    if update.on == Occasion.APPROVED and update.group is not None and update.group not in happened.groups:
        return False
    label = happened.label
    if label is None:
        return True
    index = label_index(label.integrity.value.lower(), label.confidentiality.value.lower())
    return bool(update.labels >> index & 1)


def _add(update: MemoryUpdateRow, session_key: bytes, state: StateView, now_ms: int) -> None:
    if update.amount is None:
        _make_unclear(update, session_key, state, now_ms)
        return
    cell_key = cell_row_key(session_key, update.memory, update.key)
    found = state.get(cell_key)
    if update.began is not None and update.began < _last_start(update, found, session_key, state):
        return
    if found is None and update.keyed and not _has_room(update, session_key, state, now_ms):
        return
    cell = _NOTHING if found is None else decode_cell(found)
    parts = dict(_live(cell.parts, update.within_ms, now_ms))
    if update.within_ms is None:
        ends_ms, amount = now_ms, sum(parts.values())
        parts = {}
    else:
        width_ms = max(1, update.within_ms // BUCKETS_COUNT)
        ends_ms = (now_ms // width_ms + 1) * width_ms
        amount = parts.get(ends_ms, 0)
    parts[ends_ms] = min(amount + update.amount, _AMOUNT_MAX)
    last_ms = max(cell.last_ms, now_ms)
    state.put(cell_key, encode_row(CellRow(last_ms, tuple(sorted(parts.items())), cell.started)))


def _last_start(update: MemoryUpdateRow, cell: bytes | None, session_key: bytes, state: StateView) -> int:
    """Return the number of the last start of a key of the memory."""
    started = _head(update, session_key, state).started
    return started if cell is None else max(started, decode_cell(cell).started)


def _start_again(update: MemoryUpdateRow, session_key: bytes, state: StateView, now_ms: int) -> None:
    """Let the memory start again, or one key of it if the update has one."""
    cell_key = cell_row_key(session_key, update.memory, update.key)
    if not update.keyed:
        head = _head(update, session_key, state)
        if head.keys_count:
            _forget(update, session_key, state)
        elif state.get(cell_key) is not None:
            state.delete(cell_key)
        number = head.starts_count + 1
        head = HeadRow(starts_count=number, started=number)
    elif state.get(cell_key) is not None or _has_room(update, session_key, state, now_ms):
        head = _head(update, session_key, state)
        head = replace(head, starts_count=head.starts_count + 1)
        state.put(cell_key, encode_row(CellRow(started=head.starts_count)))
    else:
        # No room to say which key has started again, so for calls that have begun all of them have.
        head = _head(update, session_key, state)
        head = replace(head, starts_count=head.starts_count + 1, started=head.starts_count + 1)
    state.put(head_row_key(session_key, update.memory), encode_row(head))


def _live(parts: tuple[tuple[int, int], ...], within_ms: int | None, now_ms: int) -> tuple[tuple[int, int], ...]:
    if within_ms is None:
        return parts
    return tuple(part for part in parts if part[0] > now_ms - within_ms)


def _head(update: MemoryUpdateRow, session_key: bytes, state: StateView) -> HeadRow:
    found = state.get(head_row_key(session_key, update.memory))
    return _NEW_HEAD if found is None else decode_head(found)


def _has_room(update: MemoryUpdateRow, session_key: bytes, state: StateView, now_ms: int) -> bool:
    """Count one more key of the memory, and return whether there is room for it."""
    head = _head(update, session_key, state)
    if head.keys_count >= KEYS_MAX:
        head = _tidied(head, update, session_key, state, now_ms)
    has_room = head.keys_count < KEYS_MAX
    if has_room:
        head = replace(head, keys_count=head.keys_count + 1)
    else:
        head = replace(head, full_until_ms=max(head.full_until_ms, _counts_until(update, now_ms)))
    state.put(head_row_key(session_key, update.memory), encode_row(head))
    return has_room


def _tidied(head: HeadRow, update: MemoryUpdateRow, session_key: bytes, state: StateView, now_ms: int) -> HeadRow:
    """Delete keys whose events have all left the window. It reads all keys, so at most once in a bucket's time."""
    if update.within_ms is None or now_ms < head.tidied_ms + update.within_ms // BUCKETS_COUNT:
        return head
    rows = [(key, decode_cell(row)) for key, row in _cells(update, session_key, state)]
    over = [(key, cell.started) for key, cell in rows if not _live(cell.parts, update.within_ms, now_ms)]
    for key, _ in over:
        state.delete(key)
    # The starts of deleted keys become starts of all keys: a call that began before them must not count.
    started = max((started for _, started in over), default=0)
    return replace(head, keys_count=len(rows) - len(over), tidied_ms=now_ms, started=max(head.started, started))


def _counts_until(update: MemoryUpdateRow, now_ms: int) -> int:
    """Return when an event that happens now has certainly left the memory."""
    return _FOREVER_MS if update.within_ms is None else now_ms + update.within_ms + update.within_ms // BUCKETS_COUNT


def _make_unclear(update: MemoryUpdateRow, session_key: bytes, state: StateView, now_ms: int) -> None:
    head = _head(update, session_key, state)
    head = replace(head, unclear_until_ms=max(head.unclear_until_ms, _counts_until(update, now_ms)))
    state.put(head_row_key(session_key, update.memory), encode_row(head))


def _forget(update: MemoryUpdateRow, session_key: bytes, state: StateView) -> None:
    for key, _ in _cells(update, session_key, state):
        state.delete(key)
    head_key = head_row_key(session_key, update.memory)
    if state.get(head_key) is not None:
        state.delete(head_key)


def _cells(update: MemoryUpdateRow, session_key: bytes, state: StateView) -> list[tuple[bytes, bytes]]:
    """Return all cells of a memory: at most `KEYS_MAX`, and the one without a key."""
    return list(islice(state.scan(*cells_of_memory(session_key, update.memory)), KEYS_MAX + 1))
