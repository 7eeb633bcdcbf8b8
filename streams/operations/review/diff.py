"""Compares the approved definition and facts of a tool with the proposed ones."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from streams.model.catalog import ToolCatalogEntry
from streams.model.labels import WORST, Confidentiality, Integrity, Label

CHANGES_MAX = 500
VALUE_CHARS_MAX = 4_000
DEPTH_MAX = 64

FACT_FIELDS = (
    "read_only",
    "destructive",
    "idempotent",
    "open_world",
    "reversible",
    "compensating_tool",
    "output_label",
    "output_labels",
    "sink_args",
    "owner",
    "kind",
    "kind_arg",
    "arg_roles",
    "owner_args",
    "output_owners",
    "content_type",
    "compensating_args",
    "identifying_args",
)
"""The facts, which the operator sets and the server can't."""

_SAFE_VALUES = {"read_only": True, "destructive": False, "idempotent": True, "open_world": False, "reversible": True}
"""The values with which rules permit more."""

_PROTECTING_LISTS = frozenset({"sink_args", "owner_args", "output_owners", "arg_roles"})
"""Lists of which each member can only make rules stricter: what goes is looser."""
_JUDGED_BY = frozenset({"kind", "kind_arg", "content_type"})
"""Facts by which calls and results are judged: another value can permit what was not permitted before."""

_HINTS = {
    "readOnlyHint": "read_only",
    "destructiveHint": "destructive",
    "idempotentHint": "idempotent",
    "openWorldHint": "open_world",
}


class ChangeKind(StrEnum):
    """The kinds of change."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Change(NamedTuple):
    """One difference.

    Attributes:
        pointer: where: a JSON pointer into the definition, or `facts/NAME`.
        before: the old value as JSON; empty if the part was added.
        after: the new value as JSON; empty if the part was removed.
        is_looser: whether rules would permit more than before.
        lines: of a changed text, its lines or words with `-` and `+` before those that went and came.
    """

    kind: ChangeKind
    pointer: str
    before: str
    after: str
    is_looser: bool = False
    lines: tuple[str, ...] = ()


def diff_entries(before: ToolCatalogEntry, after: ToolCatalogEntry) -> tuple[Change, ...]:
    """Return the differences between two entries of a tool: of the whole definitions, then of the facts.

    At most `CHANGES_MAX`; that there are more is one of them.
    """
    changes: list[Change] = []
    for change in (*_diff(definition_of(before), definition_of(after), "", 0), *_diff_facts(before, after)):
        changes.append(change)
        if len(changes) >= CHANGES_MAX:
            changes.append(Change(ChangeKind.CHANGED, "", "", f'"more than {CHANGES_MAX} differences"'))
            break
    return tuple(changes)


def definition_of(entry: ToolCatalogEntry) -> dict[str, Any]:
    """Return the tool as its server lists it; built from the parts of the entry if the entry has no definition."""
    if entry.definition_json is not None:
        loaded = _loaded(entry.definition_json)
        return loaded if isinstance(loaded, dict) else {"definition": loaded}
    parts = {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "inputSchema": _loaded(entry.input_schema_json),
        "outputSchema": _loaded(entry.output_schema_json),
        "annotations": _loaded(entry.annotations_json),
        "_meta": _loaded(entry.meta_json),
    }
    return {name: part for name, part in parts.items() if part is not None}


def facts_of(entry: ToolCatalogEntry) -> dict[str, Any]:
    """Return the operator's facts about the tool, as JSON values."""
    facts: dict[str, Any] = {name: msgspec.to_builtins(getattr(entry, name)) for name in FACT_FIELDS}
    return facts


def claims_of(entry: ToolCatalogEntry) -> dict[str, bool]:
    """Return the server's hints that claim more safety than the facts, by the name of the fact."""
    annotations = definition_of(entry).get("annotations")
    if not isinstance(annotations, Mapping):
        return {}
    claimed = {fact: annotations.get(hint) for hint, fact in _HINTS.items()}
    return {
        fact: hint
        for fact, hint in claimed.items()
        if isinstance(hint, bool) and hint is _SAFE_VALUES[fact] and getattr(entry, fact) is not hint
    }


def _diff_facts(before: ToolCatalogEntry, after: ToolCatalogEntry) -> Iterator[Change]:
    was, now = facts_of(before), facts_of(after)
    for name in FACT_FIELDS:
        if was[name] != now[name]:
            looser = _is_looser(name, getattr(before, name), getattr(after, name))
            yield Change(ChangeKind.CHANGED, f"facts/{name}", _json(was[name]), _json(now[name]), looser)


def _is_looser(name: str, before: Any, after: Any) -> bool:
    if name in _SAFE_VALUES:
        return bool(after is _SAFE_VALUES[name])
    if name in _PROTECTING_LISTS:
        return bool(set(before) - set(after))
    if name in _JUDGED_BY:
        return True
    if name == "identifying_args":
        return bool(set(after) - set(before))
    if name == "output_label":
        return _is_looser_label(before or WORST, after or WORST)
    return name == "output_labels"


def _is_looser_label(before: Label, after: Label) -> bool:
    order = list(Confidentiality)
    trusted = after.integrity is Integrity.TRUSTED and before.integrity is not Integrity.TRUSTED
    opener = order.index(after.confidentiality) > order.index(before.confidentiality)
    wider = before.readers is not None and (after.readers is None or bool(set(after.readers) - set(before.readers)))
    return trusted or opener or wider


def _diff(before: Any, after: Any, pointer: str, depth: int) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict) and depth < DEPTH_MAX:
        for key in [*before, *(key for key in after if key not in before)]:
            place = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield Change(ChangeKind.REMOVED, place, _json(before[key]), "")
            elif key not in before:
                yield Change(ChangeKind.ADDED, place, "", _json(after[key]))
            else:
                yield from _diff(before[key], after[key], place, depth + 1)
    elif isinstance(before, list) and isinstance(after, list) and depth < DEPTH_MAX:
        yield from _diff_lists(before, after, pointer, depth)
    elif type(before) is type(after) and before == after:
        return
    elif isinstance(before, str) and isinstance(after, str):
        yield Change(ChangeKind.CHANGED, pointer, _json(before), _json(after), lines=_text_lines(before, after))
    else:
        yield Change(ChangeKind.CHANGED, pointer, _json(before), _json(after))


def _diff_lists(before: list[Any], after: list[Any], pointer: str, depth: int) -> Iterator[Change]:
    """Compare lists of plain values (`required`, `enum`) by removed and added values; other lists place by place."""
    if all(not isinstance(each, dict | list) for each in (*before, *after)):
        # With their types, because in Python 1 equals true.
        was, now = ([(type(each), each) for each in values] for values in (before, after))
        gone = [each for kind, each in was if (kind, each) not in now]
        new = [each for kind, each in now if (kind, each) not in was]
        if not gone and not new and was != now:
            yield Change(ChangeKind.CHANGED, pointer, _json(before), _json(after))
        for each in gone:
            yield Change(ChangeKind.REMOVED, pointer, _json(each), "")
        for each in new:
            yield Change(ChangeKind.ADDED, pointer, "", _json(each))
        return
    for index in range(max(len(before), len(after))):
        place = f"{pointer}/{index}"
        if index >= len(after):
            yield Change(ChangeKind.REMOVED, place, _json(before[index]), "")
        elif index >= len(before):
            yield Change(ChangeKind.ADDED, place, "", _json(after[index]))
        else:
            yield from _diff(before[index], after[index], place, depth + 1)


def _text_lines(before: str, after: str) -> tuple[str, ...]:
    """Return the differences of a text by sentence or line, so that an insertion into a long one stands out."""
    was, now = _pieces(before[:VALUE_CHARS_MAX]), _pieces(after[:VALUE_CHARS_MAX])
    lines: list[str] = []
    for step in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        tag, was_from, was_to, now_from, now_to = step
        if tag == "equal":
            continue
        lines += [f"- {piece}" for piece in was[was_from:was_to]]
        lines += [f"+ {piece}" for piece in now[now_from:now_to]]
    return tuple(lines)


def _pieces(text: str) -> list[str]:
    pieces = text.replace(". ", ".\n").splitlines()
    return [piece.strip() for piece in pieces if piece.strip()]


def _loaded(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"
