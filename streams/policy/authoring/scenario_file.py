"""Reads scenario files: `*.scenarios.yaml` beside the rules (docs/reference/scenarios.md).

Everything that can be checked without running is checked here, with the place in the file: keys, names of calls,
sessions, rules, memories and budgets, and that every step expects something that can fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from streams.policy.authoring.located_files import read_files
from streams.policy.authoring.scenario import (
    EventName,
    ExpectedLine,
    Scenario,
    ScenarioStep,
    SessionSpec,
    StopKind,
    ToolEntry,
    Verb,
)
from streams.policy.authoring.scenario_expectations import ExpectReader, KnownNames, expects_something
from streams.policy.authoring.scenario_keys import (
    AFTER_PATTERN,
    DEFAULT_AFTER_MS,
    DEFAULT_SESSION,
    ENTITIES_MAX,
    ENTITY_PATTERN,
    FILE_KEYS,
    JUDGED_VERBS,
    LABEL_PATTERN,
    MODEL_KEYS,
    NAME_PATTERN,
    NAMES_MAX,
    NAMING_VERBS,
    PAUSE_MS_MAX,
    RECORD_KEYS,
    REPEAT_MAX,
    SCENARIO_KEYS,
    SCENARIOS_MAX,
    SCENARIOS_SUFFIX,
    SESSION_KEYS,
    SESSIONS_MAX,
    STEPS_MAX,
    TOOL_BOOLS,
    TOOL_BY_PATH,
    TOOL_KEYS,
    TOOL_PATHS,
    TOOL_PATTERN,
    TOOL_STATES,
    TOOL_TEXTS,
    TOOLS_MAX,
    UNITS_MS,
    VALUE_CHARS_MAX,
    VERB_KEYS,
)
from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode, node_kind, to_python
from streams.policy.language.yaml_mapping import DURATION_PATTERN, MappingReader
from streams.policy.runtime.ruleset import CompiledRuleset

_T = TypeVar("_T")
_VOWELS = "aeiou"
_LABEL = "a label such as `untrusted private`"


def read_scenarios(root: Path, ruleset: CompiledRuleset, findings: Findings) -> tuple[Scenario, ...]:
    """Return the scenarios of every scenario file below a directory, and report errors to `findings`. Blocking."""
    found: list[Scenario] = []
    names = KnownNames(ruleset)
    packs = {pack.name for pack in ruleset.bundle.packs}
    for path, node in read_files(root, SCENARIOS_SUFFIX, findings):
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
            steps = _StepsReader(reader, sessions, self._findings, self._expects).steps()
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
        fields: dict[str, Any] = {key: _boolean(reader, key) for key in TOOL_BOOLS if reader.node(key) is not None}
        fields["output"] = reader.text("output", LABEL_PATTERN, _LABEL)
        fields |= {key: reader.text(key) for key in TOOL_TEXTS}
        fields |= {key: _texts(reader, key) for key in TOOL_PATHS}
        fields |= {key: _mapping(reader, key) for key in TOOL_BY_PATH}
        fields["input_schema"] = _mapping(reader, "input_schema")
        fields["state"] = _one_of(reader, "state", TOOL_STATES)
        return ToolEntry(name.text, name.location, _present(fields))

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
        fields["scopes"] = _texts(reader, "scopes")
        fields["attended"] = _boolean(reader, "attended") if reader.node("attended") is not None else None
        fields["expires"] = reader.duration_ms("expires", PAUSE_MS_MAX)
        fields["label"] = reader.text("label", LABEL_PATTERN, _LABEL)
        fields |= _origin(reader, self._findings)
        return SessionSpec(name.text, name.location, _present(fields))


class _StepsReader:
    """Reads the steps of one scenario, and resolves the names that they use."""

    def __init__(
        self,
        reader: MappingReader,
        sessions: Mapping[str, SessionSpec],
        findings: Findings,
        expects: ExpectReader,
    ) -> None:
        self._reader = reader
        self._sessions = sessions
        self._findings = findings
        self._expects = expects
        self._calls: dict[str, str] = {}
        self._default_session = next(iter(sessions), DEFAULT_SESSION)

    def steps(self) -> tuple[ScenarioStep, ...]:
        """Return the steps without errors."""
        nodes = self._reader.items("steps", STEPS_MAX)
        found = (self._step(number, node) for number, node in enumerate(nodes, start=1))
        steps = tuple(step for step in found if step is not None)
        # After other errors it may only seem so.
        if nodes and not self._findings.has_errors and not any(expects_something(step.expect) for step in steps):
            message = "no step of this scenario expects anything"
            self._reader.error("expects_nothing", self._reader.location, message)
        return steps

    def _step(self, number: int, node: Node) -> ScenarioStep | None:
        if not isinstance(node, MappingNode):
            self._findings.error("wrong_kind", node.location, f"a step must be a mapping, found {node_kind(node)}")
            return None
        verb = self._verb(node)
        if verb is None:
            return None
        own = () if verb is Verb.WAIT else (f"{verb}!",)
        keys = (*own, "at!" if verb is Verb.WAIT else "at", *VERB_KEYS[verb], "expect")
        what = f"{'an' if verb.value[0] in _VOWELS else 'a'} `{verb}` step"
        reader = MappingReader(node, what, keys, self._findings)
        target, fields = self._target(verb, reader)
        if target is None:
            return None
        call, session = self._call_and_session(verb, target, reader)
        expect = self._expects.step(reader, self._calls, is_judged=verb in JUDGED_VERBS, what=f"`{verb}`")
        repeat = reader.integer("repeat", 1, REPEAT_MAX) if reader.node("repeat") is not None else 1
        after_ms = _after_ms(reader)
        if expect is None or repeat is None or after_ms is None:
            return None
        return ScenarioStep(
            location=reader.location,
            number=number,
            verb=verb,
            target=target,
            session=session,
            call=call,
            after_ms=after_ms,
            fields=fields,
            repeat=repeat,
            expect=expect,
        )

    def _verb(self, node: MappingNode) -> Verb | None:
        verbs = [verb for verb in Verb if verb is not Verb.WAIT and node.get(verb) is not None]
        if len(verbs) == 1:
            return verbs[0]
        known = [str(verb) for verb in Verb if verb is not Verb.WAIT]
        if verbs:
            message = f"a step does one thing, found {' and '.join(f'`{verb}`' for verb in verbs)}"
            self._findings.error("many_verbs", node.location, message, hint="make a step of each")
            return None
        others = [key for key, _ in node if key.text not in ("at", "expect")]
        if not others and node.get("at") is not None:
            return Verb.WAIT
        at = others[0] if others else None
        hint = next((hint for key in others if (hint := nearest(key.text, known))), None)
        message = f"a step needs one of {', '.join(known)}; or only `at`, to let time pass"
        self._findings.error("missing_key", at.location if at else node.location, message, hint=hint)
        return None

    def _target(self, verb: Verb, reader: MappingReader) -> tuple[str | None, dict[str, Any]]:
        fields: dict[str, Any]
        if verb is Verb.WAIT:
            return "", {}
        if verb is Verb.RECORD:
            return "", _record_fields(reader, self._findings)
        if verb is Verb.ENTITY:
            fields = {"attributes": _mapping(reader, "attributes")}
            return reader.text(verb, ENTITY_PATTERN, "an entity, as `KIND/ID`"), fields
        if verb in (Verb.STOP, Verb.RELEASE):
            return self._stopped(verb, reader)
        if verb is Verb.CALL:
            return reader.text(verb, TOOL_PATTERN, "a tool, as `SERVER.TOOL`"), self._call_fields(reader)
        if verb is Verb.EVENT:
            event = reader.choice(verb, EventName)
            return event, self._event_fields(reader)
        fields = {"by": None, "groups": None, "error": None, "label": None}
        if verb is Verb.RESULT:
            fields["label"] = reader.text("label", LABEL_PATTERN, _LABEL)
            fields["error"] = _boolean(reader, "error") if reader.node("error") is not None else None
        elif verb in (Verb.APPROVE, Verb.REFUSE):
            fields |= {"by": reader.text("by"), "groups": _texts(reader, "groups")}
        return reader.text(verb), _present(fields)

    def _call_and_session(self, verb: Verb, target: str, reader: MappingReader) -> tuple[str, str]:
        """Return the name of the call that a step makes or is about, and the name of its session."""
        if verb is Verb.CALL:
            name = reader.text("as", NAME_PATTERN, "a name") or target
            session = self._session(reader, reader.text("session"), "session")
            if reader.node("as") is not None and name in self._calls:
                reader.error("duplicate_call", reader.at("as"), f"another call is called `{name}`")
            self._calls[name] = session
            return name, session
        if verb in NAMING_VERBS:
            if target not in self._calls:
                message = f"no step before this one has the call `{target}`"
                reader.error("unknown_call", reader.at(verb), message, nearest(target, self._calls))
            return target, self._calls.get(target, self._default_session)
        if verb is Verb.OPEN:
            return "", self._session(reader, target, "open")
        if verb is Verb.EVENT:
            return "", self._session(reader, reader.text("session"), "session")
        return "", ""

    def _session(self, reader: MappingReader, name: str | None, key: str) -> str:
        if name is None:
            return self._default_session
        if name not in self._sessions and (self._sessions or name != DEFAULT_SESSION):
            message = f"`{name}` is not in `sessions`"
            reader.error("unknown_session", reader.at(key), message, nearest(name, self._sessions))
        return name

    def _call_fields(self, reader: MappingReader) -> dict[str, Any]:
        fields: dict[str, Any] = {"args": _mapping(reader, "args"), "sources": _texts(reader, "sources")}
        fields |= {key: reader.text(key) for key in ("user", "agent")}
        return _present(fields | _origin(reader, self._findings))

    def _event_fields(self, reader: MappingReader) -> dict[str, Any]:
        fields: dict[str, Any] = {key: reader.text(key) for key in ("risk", "purpose")}
        fields["tool"] = reader.text("tool", TOOL_PATTERN, "a tool, as `SERVER.TOOL`")
        fields["label"] = reader.text("label", LABEL_PATTERN, _LABEL)
        fields["scopes"] = _texts(reader, "scopes")
        return _present(fields)

    def _stopped(self, verb: Verb, reader: MappingReader) -> tuple[str | None, dict[str, Any]]:
        """Return the kind of what is stopped, and its name in `fields`."""
        fields = _present({"reason": reader.text("reason")})
        node = reader.node(verb)
        if isinstance(node, Scalar) and node.text == StopKind.ALL:
            return StopKind.ALL, fields
        if not isinstance(node, MappingNode) or len(node.entries) != 1:
            at = node.location if node is not None else reader.location
            reader.error("wrong_kind", at, f"`{verb}` must be `all`, or one kind and a name such as {{agent: helper}}")
            return None, {}
        ((key, value),) = node.entries
        kinds = [kind for kind in StopKind if kind is not StopKind.ALL]
        inner = MappingReader(node, f"`{verb}`", kinds, self._findings)
        if inner.node(key.text) is None:
            return None, {}
        name = inner.text(key.text)
        if name is None or not isinstance(value, Scalar):
            return None, {}
        if key.text == StopKind.SESSION:
            self._session(inner, name, key.text)
        return key.text, {**fields, "name": name}


def _after_ms(reader: MappingReader) -> int | None:
    node = reader.node("at")
    if node is None:
        return DEFAULT_AFTER_MS
    match = AFTER_PATTERN.match(node.text) if isinstance(node, Scalar) else None
    after_ms = int(match[1]) * UNITS_MS[match[2]] if match else -1
    if not 0 <= after_ms <= PAUSE_MS_MAX:
        shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
        is_plain = isinstance(node, Scalar) and DURATION_PATTERN.match(node.text) is not None
        hint = f"write `+{node.text}`" if isinstance(node, Scalar) and is_plain else None
        message = f"`at` must be the time since the step before, such as `+5m`, up to +31d; found {shown}"
        reader.error("wrong_value", node.location, message, hint)
        return None
    return after_ms


def _origin(reader: MappingReader, findings: Findings) -> dict[str, Any]:
    """Return model, system prompt and tools, as sessions and calls state them."""
    fields: dict[str, Any] = {key: reader.text(key) for key in ("prompt", "toolset")}
    node = reader.node("model")
    if node is not None:
        model = MappingReader(node, "`model`", MODEL_KEYS, findings)
        fields["model"] = _present({key.rstrip("!"): model.text(key.rstrip("!")) for key in MODEL_KEYS})
    return fields


def _record_fields(reader: MappingReader, findings: Findings) -> dict[str, Any]:
    node = reader.node("record")
    if node is None:
        return {}
    inner = MappingReader(node, "`record`", RECORD_KEYS, findings)
    return _present({"record": inner.text("record"), "key": inner.text("key"), "value": _mapping(inner, "value")})


def _mapping(reader: MappingReader, key: str) -> Any:
    node = reader.node(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.error("wrong_kind", node.location, f"`{key}` must be a mapping, found {node_kind(node)}")
        return None
    return reader.value(key, VALUE_CHARS_MAX)


def _texts(reader: MappingReader, key: str) -> list[str] | None:
    """Return a list of texts that may be empty; None if it is absent."""
    node = reader.node(key)
    if node is None or (isinstance(node, SequenceNode) and not node.items):
        return None if node is None else []
    return list(reader.texts(key, NAMES_MAX))


def _boolean(reader: MappingReader, key: str) -> bool | None:
    node = reader.node(key)
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    if node is not None:
        shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
        reader.error("wrong_kind", node.location, f"`{key}` must be true or false, found {shown}")
    return None


def _one_of(reader: MappingReader, key: str, known: tuple[str, ...]) -> str | None:
    """Return one of some words, in upper case, as records have it; files write it in lower case."""
    text = reader.text(key)
    if text is None or text.upper() in known:
        return None if text is None else text.upper()
    words = [word.lower() for word in known]
    message = f"`{key}` must be one of {', '.join(words)}, found `{text}`"
    reader.error("wrong_value", reader.at(key), message, nearest(text, words))
    return None


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


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
