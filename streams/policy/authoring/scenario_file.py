"""Reads scenario files: `*.scenarios.yaml` beside the rules (docs/reference/scenarios.md).

Everything that can be checked without running is checked here, with the place in the file: keys, names of calls,
sessions, rules, memories and budgets, and that every step expects something that can fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from streams.policy.authoring.located_files import read_files
from streams.policy.authoring.scenario import ExpectedLine, Scenario, ScenarioStep, SessionSpec, ToolEntry
from streams.policy.authoring.scenario_expectations import ExpectReader, KnownNames
from streams.policy.authoring.scenario_keys import (
    ENTITIES_MAX,
    ENTITY_PATTERN,
    FILE_KEYS,
    LABEL_PATTERN,
    NAME_PATTERN,
    PAUSE_MS_MAX,
    SCENARIO_KEYS,
    SCENARIOS_MAX,
    SCENARIOS_SUFFIX,
    SESSION_KEYS,
    SESSIONS_MAX,
    TOOL_BOOLS,
    TOOL_BY_PATH,
    TOOL_KEYS,
    TOOL_PATH_SETS,
    TOOL_PATHS,
    TOOL_PATTERN,
    TOOL_STATES,
    TOOL_TEXTS,
    TOOLS_MAX,
)
from streams.policy.authoring.scenario_steps import StepsReader
from streams.policy.authoring.scenario_values import (
    LABEL,
    boolean_of,
    mapping_of,
    origin_fields,
    sets_of_texts,
    texts_of,
    without_absent,
    word_of,
)
from streams.policy.errors import Findings, Location
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, node_kind, to_python
from streams.policy.language.yaml_mapping import MappingReader
from streams.policy.runtime.ruleset import CompiledRuleset

_T = TypeVar("_T")


def read_scenarios(
    root: Path, ruleset: CompiledRuleset, findings: Findings, pack: str | None = None
) -> tuple[Scenario, ...]:
    """Return the scenarios of every scenario file of a pack, or of all, and report errors to `findings`. Blocking."""
    found: list[Scenario] = []
    names = KnownNames(ruleset)
    packs = {pack.name for pack in ruleset.bundle.packs}
    for path, node in read_files(root, SCENARIOS_SUFFIX, findings, pack):
        found += _FileReader(path, node, findings, names, packs).scenarios()
    return tuple(found)


class _FileReader:
    """Reads one scenario file; `path` is relative to the directory of the rules."""

    def __init__(self, path: Path, node: Node, findings: Findings, names: KnownNames, packs: set[str]) -> None:
        self._path = path.as_posix()
        self._pack = path.parent.name
        self._findings = findings
        self._expects = ExpectReader(findings, names)
        self._reader = MappingReader(node, "a scenario file", FILE_KEYS, findings)
        self._tools = _named(self._reader, "tools", TOOLS_MAX, TOOL_PATTERN, "`SERVER.TOOL`", self._tool)
        self._sessions = self._read_sessions(self._reader)
        self._entities = _named(
            self._reader, "entities", ENTITIES_MAX, ENTITY_PATTERN, "`KIND/ID`", lambda _, node: self._attributes(node)
        )
        if self._pack not in packs:
            self._reader.error("missing_pack", self._reader.location, f"`{self._pack}` is not a pack of the bundle")

    def scenarios(self) -> list[Scenario]:
        """Return the scenarios without errors."""
        found: list[Scenario] = []
        places: dict[str, Location] = {}
        for node in self._reader.items("scenarios", SCENARIOS_MAX):
            reader = MappingReader(node, "a scenario", SCENARIO_KEYS, self._findings)
            name = reader.text("name")
            if name is None:
                continue
            if name in places:
                message = f"a scenario with this name is already at {places[name]}"
                reader.error("duplicate_scenario", reader.location, message)
            places.setdefault(name, reader.location)
            found.append(self._scenario(name, reader))
        return found

    def _scenario(self, name: str, reader: MappingReader) -> Scenario:
        is_recorded = reader.node("history") is not None
        if is_recorded == (reader.node("steps") is not None):
            message = "a scenario is written as `steps`, or as `history` and `expect`"
            reader.error("missing_key", reader.location, message)
        lines: tuple[ExpectedLine, ...] = ()
        steps: tuple[ScenarioStep, ...] = ()
        sessions = {**self._sessions, **self._read_sessions(reader)}
        if is_recorded:
            for key in ("sessions", "start"):
                if reader.node(key) is not None:
                    reader.error("unknown_key", reader.at(key), f"a recorded history has no `{key}`")
            lines = self._expects.lines(reader)
        else:
            if reader.node("expect") is not None:
                message = "`expect` belongs to each step; only a recorded `history` has it here"
                reader.error("unknown_key", reader.at("expect"), message)
            steps = StepsReader(reader, sessions, self._findings, self._expects).steps()
        return Scenario(
            name=name,
            location=reader.location,
            path=self._path,
            pack=self._pack,
            sessions=sessions,
            tools=self._tools,
            start=reader.text("start") or self._reader.text("start"),
            catalog=reader.text("catalog") or self._reader.text("catalog"),
            entities=self._entities,
            steps=steps,
            history=reader.text("history"),
            lines=lines,
        )

    def _tool(self, name: Scalar, node: Node) -> ToolEntry:
        reader = MappingReader(node, "a tool", TOOL_KEYS, self._findings)
        fields: dict[str, Any] = {key: boolean_of(reader, key) for key in TOOL_BOOLS if reader.node(key) is not None}
        fields["output"] = reader.text("output", LABEL_PATTERN, LABEL)
        fields |= {key: reader.text(key) for key in TOOL_TEXTS}
        fields |= {key: texts_of(reader, key) for key in TOOL_PATHS}
        fields |= {key: sets_of_texts(reader, key) for key in TOOL_PATH_SETS}
        fields |= {key: mapping_of(reader, key) for key in TOOL_BY_PATH}
        fields["input_schema"] = mapping_of(reader, "input_schema")
        fields["state"] = word_of(reader, "state", TOOL_STATES)
        return ToolEntry(name.text, name.location, without_absent(fields))

    def _attributes(self, node: Node) -> dict[str, Any]:
        if not isinstance(node, MappingNode):
            message = f"the attributes of an entity must be a mapping, found {node_kind(node)}"
            self._findings.error("wrong_kind", node.location, message)
            return {}
        return {name.text: to_python(value) for name, value in node}

    def _read_sessions(self, reader: MappingReader) -> dict[str, SessionSpec]:
        return _named(reader, "sessions", SESSIONS_MAX, NAME_PATTERN, "letters, digits and ` ._-`", self._session)

    def _session(self, name: Scalar, node: Node) -> SessionSpec:
        reader = MappingReader(node, "a session", SESSION_KEYS, self._findings)
        fields: dict[str, Any] = {key: reader.text(key) for key in ("user", "agent", "tenant", "purpose", "delegation")}
        fields |= {key: reader.text(key) for key in ("parent", "risk")}
        fields["scopes"] = texts_of(reader, "scopes")
        fields["attended"] = boolean_of(reader, "attended") if reader.node("attended") is not None else None
        fields["expires"] = reader.duration_ms("expires", PAUSE_MS_MAX)
        fields["label"] = reader.text("label", LABEL_PATTERN, LABEL)
        fields |= origin_fields(reader, self._findings)
        return SessionSpec(name.text, name.location, without_absent(fields))


def _named(
    reader: MappingReader,
    key: str,
    count_max: int,
    pattern: re.Pattern[str],
    expected: str,
    make: Callable[[Scalar, Node], _T],
) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for name, node in reader.entries(key, count_max):
        if not pattern.match(name.text):
            message = f"a name in `{key}` must be {expected}, found `{name.text}`"
            reader.error("wrong_value", name.location, message)
            continue
        found[name.text] = make(name, node)
    return found
