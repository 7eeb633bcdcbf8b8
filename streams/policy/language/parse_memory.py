"""Parses `history:` and `budgets:` of a rule file. `check_memory.py` checks their expressions later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import (
    AGE_SUFFIX,
    Budget,
    Keep,
    Match,
    MeasureKind,
    Memory,
    Occasion,
    Pack,
    Per,
    Reset,
    Since,
)
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, node_kind
from streams.policy.language.schema import RESERVED_WORDS
from streams.policy.language.yaml_mapping import MappingReader

MEMORIES_MAX = 100
BUDGETS_MAX = 100
WITHIN_MS_MAX = 31 * 86_400_000
WINDOW_MS_MIN = 1_000
WINDOW_MS_MAX = 31 * 86_400_000
LIMIT_MAX = 2**53 - 1
WARN_PERCENT_MAX = 99
TARGETS_MAX = 1_000
"""The largest limit of a budget of distinct values, because each value is stored."""
KEYS_DEFAULT = 10_000
KEYS_MAX = 1_000_000
"""The most keys that a budget may have in one window. The budget allocator stores a row of about 100 bytes for each."""

FRESH_MS_MIN = 100
FRESH_MS_DEFAULT = 1_000
FRESH_MS_MAX = 3_600_000

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
RESET_OCCASIONS = (Occasion.RAN, Occasion.ALLOWED, Occasion.APPROVED)
SINCE_OCCASIONS = (Occasion.ALLOWED, Occasion.JUDGED, Occasion.RAN, Occasion.FAILED, Occasion.APPROVED)
_SHARED_KEYS = ("per", "window", "fresh", "keys_max")
_MATCH_KEYS = ("tools!", "servers", "tool_version", "agents", "tenants")

ReadMatch = Callable[[MappingReader, str, tuple[str, ...]], Match | None]
"""Parses the match under a key, which may have further keys; see `parse_match.read_match`."""


def read_memories(reader: MappingReader, pack: str, findings: Findings, read_match: ReadMatch) -> tuple[Memory, ...]:
    """Return the memories of a rule file and report their errors to `findings`."""
    found = []
    for key, node in reader.entries("history", MEMORIES_MAX):
        memory = _memory(key, node, pack, findings, read_match)
        if _is_name(reader, "memory", key) and memory is not None:
            found.append(memory)
    return tuple(found)


def _memory(key: Scalar, node: Node, pack: str, findings: Findings, read_match: ReadMatch) -> Memory | None:
    keys = ("keep!", "on!", "match", "when", "key", "of", "within", "group", "reset", "since", *_SHARED_KEYS)
    reader = MappingReader(node, f"memory `{key.text[:80]}`", keys, findings)
    keep, on = reader.choice("keep", Keep), reader.choice("on", Occasion)
    of = reader.scalar("of")
    if keep is Keep.SUM and reader.node("of") is None:
        reader.error(
            "missing_key",
            reader.location,
            "a memory that keeps a sum needs the key `of`: an expression such as `args.amount`",
        )
    if keep not in (Keep.SUM, None) and reader.node("of") is not None:
        reader.error("wrong_value", reader.at("of"), f"`of` is allowed only with `keep: sum`, found `keep: {keep}`")
    if on not in (Occasion.APPROVED, None) and reader.node("group") is not None:
        reader.error("wrong_value", reader.at("group"), "`group` is allowed only with `on: approved`")
    match, when, kept_by = read_match(reader, "match", ()), reader.scalar("when"), reader.scalar("key")
    within_ms, group = reader.duration_ms("within", WITHIN_MS_MAX), reader.text("group")
    reset, since = _reset(reader, findings, read_match), _since(reader, findings, read_match)
    if reset is not None and since is not None:
        reader.error("wrong_value", reader.at("since"), "a memory has either `reset` or `since`, not both")
    if since is not None and since.key is not None and kept_by is None:
        text = "`since` has a `key`, but the memory keeps no value by key: give the memory a `key`, too"
        reader.error("wrong_value", reader.at("since"), text)
    shared = _shared(reader, keep, on)
    if keep is None or on is None:
        return None
    return Memory(
        key.text, key.location, pack, keep, on, match, when, kept_by, of, within_ms, group, reset, since, *shared
    )


def _shared(
    reader: MappingReader, keep: Keep | None, on: Occasion | None
) -> tuple[Per | None, int | None, int | None, int | None]:
    """Return what shares a memory, its window, how fresh it is, and how many keys it may have; all None if none."""
    per = reader.choice("per", Per) if reader.node("per") is not None else None
    window_ms, fresh_ms = reader.duration_ms("window", WINDOW_MS_MAX), reader.duration_ms("fresh", FRESH_MS_MAX)
    keys_max = reader.integer("keys_max", 1, KEYS_MAX)
    if per is None or per is Per.SESSION:
        why = "is allowed only for a memory that sessions share: with `per: user`, for example"
        _report_keys(reader, ("window", "fresh", "keys_max"), why)
        return None, None, None, None
    _report_keys(reader, ("within", "group", "reset", "since"), "is not allowed for a memory that sessions share")
    if on in (Occasion.JUDGED, Occasion.DENIED):
        # What can't be evaluated for a denied call makes a session's memory unclear, which can't be reported to others.
        why = f"is not allowed with `on: {on}` for a memory that sessions share"
        _report_keys(reader, ("when", "key", "of"), why)
    if keep is Keep.LAST or on is Occasion.APPROVED:
        found = "keep: last" if keep is Keep.LAST else "on: approved"
        reader.error("wrong_value", reader.location, f"a memory that sessions share can't have `{found}`")
    if reader.node("window") is None:
        message = f"a memory per {per} needs the key `window`, such as `24h`: only one per session can omit it"
        reader.error("missing_key", reader.location, message)
    for name, found_ms, min_ms in (("window", window_ms, WINDOW_MS_MIN), ("fresh", fresh_ms, FRESH_MS_MIN)):
        if found_ms is not None and found_ms < min_ms:
            reader.error("wrong_value", reader.at(name), f"`{name}` must be at least {min_ms} ms")
    if reader.node("key") is None:
        _report_keys(reader, ("keys_max",), "is allowed only with `key`")
        return per, window_ms, fresh_ms or FRESH_MS_DEFAULT, None
    return per, window_ms, fresh_ms or FRESH_MS_DEFAULT, keys_max or KEYS_DEFAULT


def _report_keys(reader: MappingReader, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if reader.node(name) is not None:
            reader.error("wrong_value", reader.at(name), f"`{name}` {why}")


def _reset(reader: MappingReader, findings: Findings, read_match: ReadMatch) -> Reset | None:
    node = reader.node("reset")
    if node is None:
        return None
    match = read_match(reader, "reset", ("on", "when"))
    inner = MappingReader(node, "`reset`", (*_MATCH_KEYS, "on", "when"), findings)
    on, when = inner.choice("on", Occasion) or Occasion.RAN, inner.scalar("when")
    if on not in RESET_OCCASIONS:
        message = f"`on` of a reset must be one of {', '.join(RESET_OCCASIONS)}, found `{on}`"
        inner.error("wrong_value", inner.at("on"), message)
    return None if match is None else Reset(on, match, when)


def _since(reader: MappingReader, findings: Findings, read_match: ReadMatch) -> Since | None:
    node = reader.node("since")
    if node is None:
        return None
    match = read_match(reader, "since", ("on", "when", "key"))
    inner = MappingReader(node, "`since`", (*_MATCH_KEYS, "on", "when", "key"), findings)
    on, when, key = inner.choice("on", Occasion) or Occasion.ALLOWED, inner.scalar("when"), inner.scalar("key")
    if on not in SINCE_OCCASIONS:
        message = f"`on` of `since` must be one of {', '.join(SINCE_OCCASIONS)}, found `{on}`"
        inner.error("wrong_value", inner.at("on"), message)
    return None if match is None else Since(on, match, when, key)


def read_budgets(reader: MappingReader, pack: str, findings: Findings, read_match: ReadMatch) -> tuple[Budget, ...]:
    """Return the budgets of a rule file and report their errors to `findings`."""
    found = []
    for key, node in reader.entries("budgets", BUDGETS_MAX):
        budget = _budget(key, node, pack, findings, read_match)
        if _is_name(reader, "budget", key) and budget is not None:
            found.append(budget)
    return tuple(found)


def _budget(key: Scalar, node: Node, pack: str, findings: Findings, read_match: ReadMatch) -> Budget | None:
    keys = ("per!", "measure!", "limit!", "match", "when", "window", "key", "keys_max", "warn_percent")
    reader = MappingReader(node, f"budget `{key.text[:80]}`", keys, findings)
    per, limit = reader.choice("per", Per), reader.integer("limit", 1, LIMIT_MAX)
    measured = _measure(reader, findings)
    window_ms = reader.duration_ms("window", WINDOW_MS_MAX)
    if window_ms is not None and window_ms < WINDOW_MS_MIN:
        reader.error("wrong_value", reader.at("window"), f"`window` must be at least {WINDOW_MS_MIN} ms")
    if reader.node("window") is None and per not in (Per.SESSION, None):
        message = f"a budget per {per} needs the key `window`, such as `24h`: only one per session can omit it"
        reader.error("missing_key", reader.location, message)
    match, when = read_match(reader, "match", ()), reader.scalar("when")
    if measured is not None and measured[0] is MeasureKind.DISTINCT and limit is not None and limit > TARGETS_MAX:
        reader.error("wrong_value", reader.at("limit"), f"`limit` of distinct values must be at most {TARGETS_MAX}")
    kept_by, keys_max = _key(reader, per)
    warn_percent = reader.integer("warn_percent", 1, WARN_PERCENT_MAX)
    if per is None or limit is None or measured is None:
        return None
    warn_at = -(-limit * warn_percent // 100) if warn_percent else 0
    return Budget(
        key.text,
        key.location,
        pack,
        per,
        *measured,
        match,
        when,
        limit,
        window_ms,
        kept_by,
        keys_max,
        warn_at,
    )


def _key(reader: MappingReader, per: Per | None) -> tuple[Scalar | None, int | None]:
    """Return the key of a budget, and how many values of it may be in use; None and None if it has no key."""
    keys_max = reader.integer("keys_max", 1, KEYS_MAX)
    if reader.node("key") is None:
        if reader.node("keys_max") is not None:
            reader.error("wrong_value", reader.at("keys_max"), "`keys_max` is allowed only with `key`")
        return None, None
    if per is Per.SESSION:
        message = "a budget per session can't have a `key`: use another `per`, or a memory with `keep: sum` and `key`"
        reader.error("wrong_value", reader.at("key"), message)
    return reader.scalar("key"), keys_max or KEYS_DEFAULT


def _measure(reader: MappingReader, findings: Findings) -> tuple[MeasureKind, Scalar | None] | None:
    node = reader.node("measure")
    if isinstance(node, Scalar):
        if node.text == MeasureKind.CALLS:
            return MeasureKind.CALLS, None
        message = f"`measure` must be `calls`, `{{sum: EXPRESSION}}` or `{{distinct: EXPRESSION}}`, found `{node.text}`"
        reader.error("wrong_value", node.location, message)
    elif isinstance(node, MappingNode):
        inner = MappingReader(node, "`measure`", ("sum", "distinct"), findings)
        if len(node.entries) == 1:
            kind = MeasureKind.SUM if inner.node("sum") is not None else MeasureKind.DISTINCT
            of = inner.scalar(kind)
            return None if of is None else (kind, of)
        inner.error("wrong_length", node.location, "`measure` must have one of the keys `sum` and `distinct`")
    elif node is not None:
        reader.error("wrong_kind", node.location, f"`measure` must be `calls` or a mapping, found {node_kind(node)}")
    return None


def report_repeated_names(packs: Iterable[Pack], findings: Findings) -> None:
    """Report memories and budgets with the same name: their names are shared by all packs of the bundle."""
    seen: dict[tuple[str, str], Location] = {}
    for pack in packs:
        for what, items in (("memory", pack.memories), ("budget", pack.budgets)):
            for item in items:
                is_shared = isinstance(item, Memory) and item.per is not None
                # The age of a shared memory is a field beside it.
                for name in (item.name, f"{item.name}{AGE_SUFFIX}")[: 1 + is_shared]:
                    first = seen.setdefault((what, name), item.location)
                    if first != item.location:
                        message = f"{what} `{name}` is defined twice, first at {first}"
                        hint = "names must be unique in the bundle"
                        findings.error("duplicate_name", item.location, message, hint=hint)


def _is_name(reader: MappingReader, what: str, key: Scalar) -> bool:
    if NAME_PATTERN.match(key.text) and key.text not in RESERVED_WORDS:
        return True
    message = f"a {what} name must be lower-case letters, digits and `_`, found `{key.text[:80]}`"
    reader.error("wrong_value", key.location, message)
    return False
