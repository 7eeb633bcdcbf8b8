"""Shows many sessions as a table, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from streams.cli.terminal.screen import Screen
from streams.cli.terminal.text import age_text, short
from streams.codec.instants import instant_text
from streams.operations.sessions.search import Listed

_GAP_CHARS = 2
_NAME_CHARS_MIN = 12
_WHY_CHARS_MIN = 12
# What is longer is an id of somebody's own making; it must not push everything else off the screen.
_ID_CHARS_MAX = 40


def show_list(screen: Screen, sessions: Sequence[Listed], now_ms: int, *, whole: bool) -> None:
    """Write sessions for a person.

    Args:
        sessions: in the order of the list.
        now_ms: what ages are counted to.
        whole: whether nothing is cut, and lines may be longer than the terminal is wide.
    """
    if whole:
        columns = ("state", "session", "agent", "for", "opened", "allowed", "denied", "why")
        screen.table(columns, [_whole_row(listed) for listed in sessions], whole=True)
    elif sessions:
        rows = [_row(listed, now_ms) for listed in sessions]
        head: tuple[str, ...] = ("state", "session", "agent", "for", "age", "allowed", "denied", "why")
        head, *fitted = _fitted([head, *rows], screen.width_chars)
        screen.table(head, fitted)


def _whole_row(listed: Listed) -> tuple[str, ...]:
    view, standing = listed.view, listed.standing
    name, opened = f"{view.tenant_uid}|{view.session_id}", instant_text(view.opened_ms)
    return (standing.state.value, name, view.act.sub, view.sub, opened, *_counts(listed), standing.why)


def _row(listed: Listed, now_ms: int) -> tuple[str, ...]:
    view, standing = listed.view, listed.standing
    age = age_text(now_ms - view.opened_ms, brief=True) if view.opened_ms else ""
    # What most reasons begin with takes the room of what tells them apart.
    why = standing.why.removeprefix("the session ")
    return (standing.state.value, listed.short_id, view.act.sub, view.sub, age, *_counts(listed), why)


def _counts(listed: Listed) -> tuple[str, str]:
    def count(*outcomes: str) -> str:
        calls = listed.view.calls.values()
        return str(sum(counts.get(outcome, 0) for counts in calls for outcome in outcomes))

    return count("ALLOW"), count("DENY", "QUARANTINE")


def _fitted(rows: Sequence[tuple[str, ...]], width_chars: int) -> list[tuple[str, ...]]:
    """Cut reasons, which the state says in brief, and then names, so that each row fits into one line.

    Where there is too little room for reasons, they are left out.
    """
    state, name, agent, user, age, allowed, denied, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    name = min(name, _ID_CHARS_MAX)
    # Without the reasons and the gap before them.
    left = width_chars - (state + name + age + allowed + denied) - _GAP_CHARS * (len(rows[0]) - 2)
    with_why = left - _GAP_CHARS - _WHY_CHARS_MIN
    for_names = left if with_why < 2 * _NAME_CHARS_MIN else with_why
    half = max(_NAME_CHARS_MIN, for_names // 2)
    # Each has half of the room, and what the other leaves of its half.
    agent = min(agent, max(half, for_names - min(user, half)))
    user = min(user, max(_NAME_CHARS_MIN, for_names - agent))
    widths = [state, name, agent, user, age, allowed, denied]
    if for_names == with_why:
        widths.append(left - _GAP_CHARS - agent - user)
    return [tuple(short(cell, width) for cell, width in zip(row, widths, strict=False)) for row in rows]
