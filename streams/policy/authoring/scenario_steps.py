"""Reads the steps of a scenario, and resolves the names that they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.policy.authoring.scenario import EventName, ScenarioStep, SessionSpec, StopKind, Verb
from streams.policy.authoring.scenario_expectations import ExpectReader, expects_something
from streams.policy.authoring.scenario_keys import (
    AFTER_PATTERN,
    DEFAULT_AFTER_MS,
    DEFAULT_SESSION,
    ENTITY_PATTERN,
    JUDGED_VERBS,
    LABEL_PATTERN,
    NAME_PATTERN,
    NAMING_VERBS,
    PAUSE_MS_MAX,
    RECORD_KEYS,
    REPEAT_MAX,
    STEPS_MAX,
    TOOL_PATTERN,
    VERB_KEYS,
)
from streams.policy.authoring.scenario_values import (
    LABEL,
    boolean_of,
    mapping_of,
    origin_fields,
    texts_of,
    without_absent,
)
from streams.policy.errors import Findings, nearest
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, node_kind
from streams.policy.language.yaml_mapping import DURATION_PATTERN, UNITS_MS, MappingReader

_VOWELS = "aeiou"


class StepsReader:
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
            fields = {"attributes": mapping_of(reader, "attributes")}
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
            fields["label"] = reader.text("label", LABEL_PATTERN, LABEL)
            fields["error"] = boolean_of(reader, "error") if reader.node("error") is not None else None
        elif verb in (Verb.APPROVE, Verb.REFUSE):
            fields |= {"by": reader.text("by"), "groups": texts_of(reader, "groups")}
        return reader.text(verb), without_absent(fields)

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
        fields: dict[str, Any] = {"args": mapping_of(reader, "args"), "sources": texts_of(reader, "sources")}
        fields |= {key: reader.text(key) for key in ("user", "agent")}
        return without_absent(fields | origin_fields(reader, self._findings))

    def _event_fields(self, reader: MappingReader) -> dict[str, Any]:
        fields: dict[str, Any] = {key: reader.text(key) for key in ("risk", "purpose")}
        fields["tool"] = reader.text("tool", TOOL_PATTERN, "a tool, as `SERVER.TOOL`")
        fields["label"] = reader.text("label", LABEL_PATTERN, LABEL)
        fields["scopes"] = texts_of(reader, "scopes")
        return without_absent(fields)

    def _stopped(self, verb: Verb, reader: MappingReader) -> tuple[str | None, dict[str, Any]]:
        """Return the kind of what is stopped, and its name in `fields`."""
        fields = without_absent({"reason": reader.text("reason")})
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


def _record_fields(reader: MappingReader, findings: Findings) -> dict[str, Any]:
    node = reader.node("record")
    if node is None:
        return {}
    inner = MappingReader(node, "`record`", RECORD_KEYS, findings)
    return without_absent(
        {"record": inner.text("record"), "key": inner.text("key"), "value": mapping_of(inner, "value")}
    )
