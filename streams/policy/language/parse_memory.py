"""The `history:` and `budgets:` of a rule file: their form, names and bounds. Expressions are checked later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import Budget, Keep, Match, MeasureKind, Memory, Occasion, Pack, Per, Reset
from streams.policy.language.located_yaml import Entries, Node, Scalar, kind_of
from streams.policy.language.schema import RESERVED_WORDS
from streams.policy.language.yaml_mapping import Form

MEMORIES_MAX = 100
BUDGETS_MAX = 100
WITHIN_MS_MAX = 31 * 86_400_000
WINDOW_MS_MIN = 1_000
WINDOW_MS_MAX = 31 * 86_400_000
LIMIT_MAX = 2**53 - 1
TARGETS_MAX = 1_000
"""The largest limit of a budget of distinct values: each of them is kept."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_CERTAIN = (Occasion.RAN, Occasion.ALLOWED, Occasion.APPROVED)

ReadMatch = Callable[[Form, str, tuple[str, ...]], Match | None]
"""Reads a `match` under a key that may also have further keys."""


def read_memories(form: Form, pack: str, findings: Findings, read_match: ReadMatch) -> tuple[Memory, ...]:
    """The memories of a rule file; what is wrong with them goes to `findings`."""
    found = []
    for key, node in form.entries("history", MEMORIES_MAX):
        memory = _memory(key, node, pack, findings, read_match)
        if _is_name(form, "memory", key) and memory is not None:
            found.append(memory)
    return tuple(found)


def _memory(key: Scalar, node: Node, pack: str, findings: Findings, read_match: ReadMatch) -> Memory | None:
    keys = ("keep!", "on!", "match", "when", "key", "of", "within", "group", "reset")
    form = Form(node, f"memory `{key.text[:80]}`", keys, findings)
    keep, on = form.choice("keep", Keep), form.choice("on", Occasion)
    of = form.scalar("of")
    if keep is Keep.SUM and form.node("of") is None:
        form.error("missing_key", form.location, "a memory that keeps a sum needs the key `of`, such as `args.amount`")
    if keep not in (Keep.SUM, None) and form.node("of") is not None:
        form.error("wrong_value", form.at("of"), f"`of` says what is summed, this memory keeps `{keep}`")
    if on not in (Occasion.APPROVED, None) and form.node("group") is not None:
        form.error("wrong_value", form.at("group"), "`group` goes with `on: approved` only")
    match, when, kept_by = read_match(form, "match", ()), form.scalar("when"), form.scalar("key")
    within_ms, group = form.duration_ms("within", WITHIN_MS_MAX), form.text("group")
    reset = _reset(form, findings, read_match)
    if keep is None or on is None:
        return None
    return Memory(key.text, key.location, pack, keep, on, match, when, kept_by, of, within_ms, group, reset)


def _reset(form: Form, findings: Findings, read_match: ReadMatch) -> Reset | None:
    node = form.node("reset")
    if node is None:
        return None
    match = read_match(form, "reset", ("on", "when"))
    inner = Form(node, "`reset`", ("tools!", "servers", "tool_version", "agents", "tenants", "on", "when"), findings)
    on, when = inner.choice("on", Occasion) or Occasion.RAN, inner.scalar("when")
    if on not in _CERTAIN:
        message = f"a memory can be reset by what was {', '.join(_CERTAIN)}, found `{on}`"
        inner.error("wrong_value", inner.at("on"), message)
    return None if match is None else Reset(on, match, when)


def read_budgets(form: Form, pack: str, findings: Findings, read_match: ReadMatch) -> tuple[Budget, ...]:
    """The budgets of a rule file; what is wrong with them goes to `findings`."""
    found = []
    for key, node in form.entries("budgets", BUDGETS_MAX):
        budget = _budget(key, node, pack, findings, read_match)
        if _is_name(form, "budget", key) and budget is not None:
            found.append(budget)
    return tuple(found)


def _budget(key: Scalar, node: Node, pack: str, findings: Findings, read_match: ReadMatch) -> Budget | None:
    keys = ("per!", "measure!", "limit!", "match", "when", "window")
    form = Form(node, f"budget `{key.text[:80]}`", keys, findings)
    per, limit = form.choice("per", Per), form.integer("limit", 1, LIMIT_MAX)
    measured = _measure(form, findings)
    window_ms = form.duration_ms("window", WINDOW_MS_MAX)
    if window_ms is not None and window_ms < WINDOW_MS_MIN:
        form.error("wrong_value", form.at("window"), f"a budget's `window` is at least {WINDOW_MS_MIN} ms")
    if form.node("window") is None and per not in (Per.SESSION, None):
        message = f"a budget per {per} needs a `window`, such as `24h`; one per session can do without"
        form.error("missing_key", form.location, message)
    match, when = read_match(form, "match", ()), form.scalar("when")
    if measured is not None and measured[0] is MeasureKind.DISTINCT and limit is not None and limit > TARGETS_MAX:
        form.error("wrong_value", form.at("limit"), f"a limit of distinct values is at most {TARGETS_MAX}")
    if per is None or limit is None or measured is None:
        return None
    return Budget(key.text, key.location, pack, per, *measured, match, when, limit, window_ms)


def _measure(form: Form, findings: Findings) -> tuple[MeasureKind, Scalar | None] | None:
    node = form.node("measure")
    if isinstance(node, Scalar):
        if node.text == MeasureKind.CALLS:
            return MeasureKind.CALLS, None
        message = f"`measure` must be `calls`, `{{sum: EXPRESSION}}` or `{{distinct: EXPRESSION}}`, found `{node.text}`"
        form.error("wrong_value", node.location, message)
    elif isinstance(node, Entries):
        inner = Form(node, "`measure`", ("sum", "distinct"), findings)
        if len(node.entries) == 1:
            kind = MeasureKind.SUM if inner.node("sum") is not None else MeasureKind.DISTINCT
            of = inner.scalar(kind)
            return None if of is None else (kind, of)
        inner.error("wrong_length", node.location, "`measure` takes one of `sum` and `distinct`")
    elif node is not None:
        form.error("wrong_kind", node.location, f"`measure` must be `calls` or a mapping, found {kind_of(node)}")
    return None


def no_repeated_names(packs: Iterable[Pack], findings: Findings) -> None:
    """Memories and budgets are the bundle's: any rule may read any memory, so each name is there once."""
    seen: dict[tuple[str, str], Location] = {}
    for pack in packs:
        for what, items in (("memory", pack.memories), ("budget", pack.budgets)):
            for item in items:
                first = seen.setdefault((what, item.name), item.location)
                if first != item.location:
                    message = f"{what} `{item.name}` is defined twice, first at {first}"
                    findings.error("duplicate_name", item.location, message, hint="names are the whole bundle's")


def _is_name(form: Form, what: str, key: Scalar) -> bool:
    if _NAME.match(key.text) and key.text not in RESERVED_WORDS:
        return True
    message = f"a {what}'s name must be lower-case letters, digits and `_`, found `{key.text[:80]}`"
    form.error("wrong_value", key.location, message)
    return False
