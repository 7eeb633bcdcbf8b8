"""Reads histories of behaviour: `*.histories.yaml` beside the detectors (docs/reference/behaviour-histories.md).

A history is declared, not recorded: weeks of everyday work are a few lines, which say who calls what, when, and with
which values. So a reader sees what is usual and what is not, and nobody has to keep megabytes of records. Everything
that is not stated is drawn by a function of the history's name, so it is the same each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from streams.model.verdict import Outcome
from streams.policy.authoring.located_files import read_files
from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode
from streams.policy.language.yaml_mapping import MappingReader
from streams.processors.watch.behaviour_file import NAME_PATTERN
from streams.processors.watch.features import Cohort

API_VERSION = "histories/v1"
HISTORIES_SUFFIX = ".histories.yaml"
HISTORIES_MAX = 200
BLOCKS_MAX = 100
AGENTS_MAX = 100
TOOLS_MAX = 100
ITEMS_MAX = 64
DAYS_MAX = 366
CALLS_PER_SESSION_MAX = 10_000
SESSIONS_PER_DAY_MAX = 500
CALLS_MAX = 200_000
"""Calls of one history."""
PAUSE_MS_MAX = 86_400_000
LENGTH_MAX = 100_000
DEPTH_MAX = 16
MINUTE_MS = 60_000

WORD_PATTERN = re.compile(r"\{([^{}]*)\}")
RANGE_PATTERN = re.compile(r"(0|[1-9][0-9]{0,8})\.\.(0|[1-9][0-9]{0,8})\Z")
PER_SESSION = " per session"
PLAIN_WORDS = ("n", "day", "agent", "session")
_TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_./-]{1,64}\Z")
_WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/:@-]{0,127}\Z")
_SESSION_GLOB = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9 ._*?-]{0,127}\Z")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_OUTCOMES = {"allow": Outcome.ALLOW, "deny": Outcome.DENY, "quarantine": Outcome.QUARANTINE}

FILE_KEYS = ("apiVersion!", "pack!", "types", "calls!", "work", "histories!")
HISTORY_KEYS = ("name!", "why", "work", "then!", "alerts!")
BLOCK_KEYS = (
    "agents!", "days!", "weekends", "at!", "until", "sessions", "session", "tools!", "drawn", "count", "every",
    "steady", "args", "outcome", "reason", "user", "instances", "grant", "depth", "delegator", "model", "version",
    "prompt", "untrusted_from",
)  # fmt: skip


class Between(NamedTuple):
    """A number that is drawn for each call, from `low` to `high`, each factor as likely as the other."""

    low: float
    high: float


class Rising(NamedTuple):
    """A number that goes from `first` to `last` over the calls of a block, by a constant factor."""

    first: float
    last: float


class Length(NamedTuple):
    """A text of about so many characters: from 0.7 to 1.4 times as many."""

    chars: int


Value = str | float | bool | Between | Rising | Length
"""The value of an argument. Text may contain words in braces, which are replaced for each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Calls that are alike.

    Attributes:
        agents: who makes them; each of them does.
        first_day, last_day: from which day on and until which, counted from 0, a Monday.
        weekends: whether also on Saturdays and Sundays.
        at_ms, until_ms: between which times of the day sessions begin; at `at_ms` exactly if there is no end.
        sessions: how many sessions an agent has on a day.
        session: the name of the session; empty for one that is made of agent, day and number.
        tools: what is called, one after the other and again from the beginning; `is_drawn` if each is drawn from them.
        count: how many calls a session has.
        every_ms: the time between two calls, half to one and a half times as long unless `is_steady`.
        args: what arguments are other than in the rest of the file, by tool.
        untrusted_from: from which call of a session on (counted from 1) it has read untrusted data; 0 for never.
    """

    location: Location
    agents: tuple[str, ...]
    first_day: int
    last_day: int
    weekends: bool = False
    at_ms: int
    until_ms: int
    sessions: int = 1
    session: str = ""
    tools: tuple[str, ...]
    is_drawn: bool = False
    count: int
    every_ms: int = 20_000
    is_steady: bool = False
    args: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    outcome: Outcome = Outcome.ALLOW
    reason: str = ""
    user: str = ""
    instances: tuple[str, ...] = ()
    grant: str = ""
    depth: int = 1
    delegator: str = ""
    model: str = "model-1"
    version: str = ""
    prompt: str = ""
    untrusted_from: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One history.

    Attributes:
        pack: the pack of detectors that it tests.
        calls: the arguments of each tool.
        blocks: everything that happens.
        types: which agents are of one type.
        alerts: the sessions that alerts are expected about, as globs, by the name of the detector or correlation.
    """

    name: str
    pack: str
    location: Location
    calls: Mapping[str, Mapping[str, Value]]
    blocks: tuple[Block, ...]
    types: tuple[Cohort, ...]
    alerts: Mapping[str, tuple[str, ...]]

    @property
    def is_quiet(self) -> bool:
        """Return whether no alert is expected: it is the odd but honest counterpart of an abuse."""
        return not self.alerts


def read_histories(
    root: Path, packs: Mapping[str, str], findings: Findings, folder: str | None = None
) -> tuple[History, ...]:
    """Return the histories of every file `*.histories.yaml` below a directory. Blocking.

    Args:
        root: the directory.
        packs: the pack of each declared detector and correlation, by its name.
        findings: receives the errors, with file and line.
        folder: the folder in it whose histories are read; None: all.
    """
    found: list[History] = []
    names: dict[str, Location] = {}
    for _, node in read_files(root, HISTORIES_SUFFIX, findings, folder):
        found += _FileReader(node, packs, names, findings).histories()
    return tuple(found)


class _FileReader:
    def __init__(self, node: Node, packs: Mapping[str, str], names: dict[str, Location], findings: Findings) -> None:
        self._findings, self._packs, self._names = findings, packs, names
        reader = self._reader = MappingReader(node, "a file of histories", FILE_KEYS, findings)
        if reader.text("apiVersion") not in (None, API_VERSION):
            reader.error("wrong_value", reader.at("apiVersion"), f"`apiVersion` must be `{API_VERSION}`")
        self._pack = reader.text("pack", NAME_PATTERN, "the name of a pack of detectors") or ""
        known = set(packs.values())
        if self._pack and self._pack not in known:
            hint = nearest(self._pack, known)
            reader.error("missing_pack", reader.at("pack"), f"no file of detectors has the pack `{self._pack}`", hint)
        self._types = tuple(filter(None, (self._type(each) for each in reader.items("types", ITEMS_MAX))))
        self._calls = self._arguments(reader, "calls")
        self._work = self._blocks(reader, "work")

    def histories(self) -> list[History]:
        found: list[History] = []
        for node in self._reader.items("histories", HISTORIES_MAX):
            reader = MappingReader(node, "a history", HISTORY_KEYS, self._findings)
            name = reader.text("name")
            reader.text("why")
            own = self._blocks(reader, "work")
            blocks = (*(own or self._work), *self._blocks(reader, "then"))
            alerts = self._alerts(reader)
            if name is None:
                continue
            first = self._names.setdefault(name, reader.at("name"))
            if first != reader.at("name"):
                reader.error("duplicate_name", reader.at("name"), f"a history of this name is already at {first}")
            found.append(
                History(
                    name=name,
                    pack=self._pack,
                    location=reader.location,
                    calls=self._calls,
                    blocks=blocks,
                    types=self._types,
                    alerts=alerts,
                )
            )
        return found

    def _type(self, node: Node) -> Cohort | None:
        reader = MappingReader(node, "an agent type", ("match!", "type!"), self._findings)
        match, name = reader.texts("match", ITEMS_MAX), reader.text("type", NAME_PATTERN, "a name")
        return Cohort(match, name) if match and name else None

    def _alerts(self, reader: MappingReader) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, node in reader.entries("alerts", ITEMS_MAX):
            if name.text not in self._packs:
                hint = nearest(name.text, self._packs)
                message = f"there is no detector or correlation `{name.text[:80]}`"
                self._findings.error("unknown_detector", name.location, message, hint=hint)
            items = node.items if isinstance(node, SequenceNode) else (node,)
            texts = [each.text for each in items if isinstance(each, Scalar) and _SESSION_GLOB.match(each.text)]
            if not texts or len(texts) != len(items):
                self._findings.error("wrong_kind", node.location, f"`{name.text[:80]}` must be names of sessions")
            found[name.text] = tuple(texts)
        return found

    def _arguments(self, reader: MappingReader, key: str) -> dict[str, dict[str, Value]]:
        found: dict[str, dict[str, Value]] = {}
        for tool, node in reader.entries(key, TOOLS_MAX):
            if not _TOOL.match(tool.text):
                message = f"`{tool.text[:80]}` is not a tool such as `SERVER.TOOL`"
                self._findings.error("wrong_value", tool.location, message)
            elif not isinstance(node, MappingNode):
                message = f"`{tool.text}` must be a mapping of arguments; `{{}}` if there are none"
                self._findings.error("wrong_kind", node.location, message)
            else:
                values = {name.text: self._value(name.text, value) for name, value in node}
                found[tool.text] = {name: value for name, value in values.items() if value is not None}
        return found

    def _value(self, name: str, node: Node) -> Value | None:
        if isinstance(node, Scalar) and node.value is not None:
            if isinstance(node.value, str):
                self._check_words(node)
            return node.value
        keys = ("between", "rising", "length")
        if not isinstance(node, MappingNode) or len(node.entries) != 1:
            hint = f"one of {', '.join(keys)}"
            self._findings.error("wrong_kind", node.location, f"`{name}` must be a value or a mapping", hint=hint)
            return None
        reader = MappingReader(node, f"`{name}`", keys, self._findings)
        if reader.node("length") is not None:
            chars = reader.integer("length", 1, LENGTH_MAX)
            return None if chars is None else Length(chars)
        for key, kind in (("between", Between), ("rising", Rising)):
            items = reader.items(key, 2)
            numbers = [number for each in items if (number := _number(each)) is not None]
            if len(numbers) == 2 and min(numbers) > 0:
                return kind(*numbers)
            if reader.node(key) is not None:
                reader.error("wrong_value", reader.at(key), f"`{key}` must be two numbers above 0")
        return None

    def _check_words(self, node: Scalar) -> None:
        for match in WORD_PATTERN.finditer(node.text):
            word = match[1].removesuffix(PER_SESSION)
            of_range = RANGE_PATTERN.match(word)
            if word in PLAIN_WORDS or (of_range and int(of_range[1]) <= int(of_range[2])) or "|" in word:
                continue
            hint = "write {1..40}, {red|green}, {1..40 per session}, {n}, {day}, {agent} or {session}"
            self._findings.error("wrong_value", node.at(match.start()), f"`{match[0][:80]}` says no value", hint=hint)

    def _blocks(self, reader: MappingReader, key: str) -> tuple[Block, ...]:
        found = (self._block(node) for node in reader.items(key, BLOCKS_MAX))
        return tuple(block for block in found if block is not None)

    def _block(self, node: Node) -> Block | None:
        reader = MappingReader(node, "a block of calls", BLOCK_KEYS, self._findings)
        tools = self._tools(reader)
        days = self._days(reader)
        at_ms, until_ms = self._clock(reader, "at"), self._clock(reader, "until")
        every_ms = reader.duration_ms("every", PAUSE_MS_MAX)
        agents = reader.texts("agents", AGENTS_MAX, _WHO, "names of agents")
        outcome = reader.text("outcome")
        if outcome is not None and outcome not in _OUTCOMES:
            reader.error("wrong_value", reader.at("outcome"), f"`outcome` must be one of {', '.join(_OUTCOMES)}")
        count = reader.integer("count", 1, CALLS_PER_SESSION_MAX)
        args, instances = self._arguments(reader, "args"), reader.texts("instances", ITEMS_MAX, _WHO, "instances")
        sessions = reader.integer("sessions", 1, SESSIONS_PER_DAY_MAX) or 1
        words = {
            key: reader.text(key, _WHO, "a name")
            for key in ("session", "user", "grant", "delegator", "model", "version", "prompt")
        }
        depth = reader.integer("depth", 1, DEPTH_MAX)
        untrusted_from = reader.integer("untrusted_from", 0, CALLS_PER_SESSION_MAX)
        flags = {key: self._flag(reader, key) for key in ("weekends", "drawn", "steady")}
        reason = reader.text("reason")
        if not tools or not agents or days is None or at_ms is None:
            return None
        return Block(
            location=reader.location,
            agents=agents,
            first_day=days[0],
            last_day=days[1],
            weekends=flags["weekends"],
            at_ms=at_ms,
            until_ms=at_ms if until_ms is None else until_ms,
            sessions=sessions,
            session=words["session"] or "",
            tools=tools,
            is_drawn=flags["drawn"],
            count=len(tools) if count is None else count,
            every_ms=20_000 if every_ms is None else every_ms,
            is_steady=flags["steady"],
            args=args,
            outcome=_OUTCOMES.get(outcome or "allow", Outcome.ALLOW),
            reason=reason or "",
            user=words["user"] or "",
            instances=instances,
            grant=words["grant"] or "",
            depth=depth or 1,
            delegator=words["delegator"] or "",
            model=words["model"] or "model-1",
            version=words["version"] or "",
            prompt=words["prompt"] or "",
            untrusted_from=untrusted_from or 0,
        )

    def _tools(self, reader: MappingReader) -> tuple[str, ...]:
        """Return the tools of a block; one may come several times, as it does in a session."""
        found = []
        for node in reader.items("tools", TOOLS_MAX):
            text = node.text if isinstance(node, Scalar) else ""
            if text not in self._calls:
                message = f"`calls` has no tool `{text[:80]}`"
                self._findings.error("unknown_tool", node.location, message, hint=nearest(text, self._calls))
            found.append(text)
        return tuple(found)

    def _days(self, reader: MappingReader) -> tuple[int, int] | None:
        node = reader.node("days")
        if node is None:
            return None
        items = node.items if isinstance(node, SequenceNode) else (node, node)
        days = [each.value for each in items if isinstance(each, Scalar) and isinstance(each.value, int)]
        if len(items) != 2 or len(days) != 2 or not 0 <= days[0] <= days[1] <= DAYS_MAX:
            message = f"`days` must be a day or [FIRST, LAST], counted from 0, a Monday, up to {DAYS_MAX}"
            reader.error("wrong_value", node.location, message)
            return None
        return days[0], days[1]

    def _clock(self, reader: MappingReader, key: str) -> int | None:
        text = reader.text(key, _CLOCK, 'a time of the day in quotes, such as "09:00"')
        if text is None:
            return None
        hours, minutes = text.split(":")
        return (int(hours) * 60 + int(minutes)) * MINUTE_MS

    def _flag(self, reader: MappingReader, key: str) -> bool:
        node = reader.node(key)
        if node is None:
            return False
        if not isinstance(node, Scalar) or not isinstance(node.value, bool):
            reader.error("wrong_value", node.location, f"`{key}` must be true or false")
            return False
        return node.value


def _number(node: Node) -> float | None:
    value = node.value if isinstance(node, Scalar) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
