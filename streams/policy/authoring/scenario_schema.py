"""The part of the JSON Schema of rule files that describes scenario files; see `file_schema.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from streams.model.reasons import DeadLetterReason, Reason
from streams.policy.authoring import scenario_keys as keys
from streams.policy.authoring.scenario import EventName, ScenarioVerdict, StopKind, Verb

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_SETS_OF_TEXTS: Schema = {"anyOf": [_TEXTS, {"type": "array", "items": {**_TEXTS, "minItems": 1}}]}
_BOOL: Schema = {"type": "boolean"}
_OBJECT: Schema = {"type": "object"}
_NUMBERS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
_MEMORIES: Schema = {"type": "object", "additionalProperties": {"type": ["integer", "boolean", "null"]}}
_END_OF_TEXT = r"\Z"


def scenario_schemas() -> dict[str, Schema]:
    """Return the definitions of scenario files, by name."""
    return {
        "scenario_file": _scenario_file(),
        "scenario_tool": _keyed(keys.TOOL_KEYS, _tool_values()),
        "scenario_session": _keyed(keys.SESSION_KEYS, _session_values()),
        "scenario": _scenario(),
        "scenario_step": {"oneOf": [_step(verb) for verb in Verb]},
        "scenario_expect": {"anyOf": [_enum(ScenarioVerdict), _expect()]},
        "scenario_call": {"anyOf": [_enum(ScenarioVerdict), _call()]},
        "scenario_label": _matching(keys.LABEL_PATTERN, "A label in two words, such as `untrusted private`."),
        "scenario_model": _keyed(keys.MODEL_KEYS, {}),
    }


def _scenario_file() -> Schema:
    values = {
        "start": {**_TEXT, "description": "When the scenarios begin, as RFC 3339."},
        "catalog": {**_TEXT, "description": "A file with catalog entries, relative to this file's folder."},
        "tools": {"type": "object", "additionalProperties": _ref("scenario_tool"), "maxProperties": keys.TOOLS_MAX},
        "entities": {
            "type": "object",
            "additionalProperties": _OBJECT,
            "maxProperties": keys.ENTITIES_MAX,
            "description": "Attributes of entities, by `KIND/ID`.",
        },
        "sessions": _sessions(),
        "scenarios": {"type": "array", "items": _ref("scenario"), "minItems": 1, "maxItems": keys.SCENARIOS_MAX},
    }
    return _keyed(keys.FILE_KEYS, values)


def _sessions() -> Schema:
    schema = {"type": "object", "additionalProperties": _ref("scenario_session"), "maxProperties": keys.SESSIONS_MAX}
    return {**schema, "description": "Who is in each session, by name. Steps without `session` are in the first one."}


def _scenario() -> Schema:
    line = _keyed(("line!", "verdict", *keys.CALL_EXPECT_KEYS, *keys.STEP_EXPECT_KEYS), {
        **_expected(), "line": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "end"}]}
    })  # fmt: skip
    values = {
        "sessions": _sessions(),
        "steps": {"type": "array", "items": _ref("scenario_step"), "minItems": 1, "maxItems": keys.STEPS_MAX},
        "history": {**_TEXT, "description": "A recorded history, relative to this file's folder."},
        "expect": {"type": "array", "items": line, "minItems": 1},
    }
    return _keyed(keys.SCENARIO_KEYS, values)


def _step(verb: Verb) -> Schema:
    own = () if verb is Verb.WAIT else (f"{verb}!",)
    judged = verb in keys.JUDGED_VERBS
    names = (*own, "at!" if verb is Verb.WAIT else "at", *keys.VERB_KEYS[verb], "expect!" if judged else "expect")
    return _keyed(names, {**_step_values(), str(verb): _target(verb)})


def _target(verb: Verb) -> Schema:
    if verb is Verb.CALL:
        return _matching(keys.TOOL_PATTERN, "The tool, as `SERVER.TOOL`.")
    if verb is Verb.EVENT:
        return _enum(EventName)
    if verb in (Verb.STOP, Verb.RELEASE):
        kinds = [kind for kind in StopKind if kind is not StopKind.ALL]
        one = {"type": "object", "properties": {str(kind): _TEXT for kind in kinds}, "additionalProperties": False}
        return {"anyOf": [{"const": str(StopKind.ALL)}, {**one, "minProperties": 1, "maxProperties": 1}]}
    if verb is Verb.ENTITY:
        return _matching(keys.ENTITY_PATTERN, "The entity whose attributes are published, as `KIND/ID`.")
    if verb is Verb.RECORD:
        return _keyed(keys.RECORD_KEYS, {"value": _OBJECT})
    return _TEXT


def _step_values() -> dict[str, Schema]:
    return {
        "at": _matching(keys.AFTER_PATTERN, "How long after the step before, such as `+5m`; by default a second."),
        "args": _OBJECT,
        "attributes": _OBJECT,
        "as": _matching(keys.NAME_PATTERN, "The name by which other steps call this call; by default its tool."),
        "sources": {**_TEXTS, "description": "The sources that the agent names for the call."},
        "model": _ref("scenario_model"),
        "repeat": {"type": "integer", "minimum": 1, "maximum": keys.REPEAT_MAX},
        "error": _BOOL,
        "label": _ref("scenario_label"),
        "groups": _TEXTS,
        "scopes": _TEXTS,
        "expect": _ref("scenario_expect"),
    }


def _tool_values() -> dict[str, Schema]:
    return {
        **dict.fromkeys(keys.TOOL_BOOLS, _BOOL),
        **dict.fromkeys(keys.TOOL_PATHS, _TEXTS),
        **dict.fromkeys(keys.TOOL_PATH_SETS, _SETS_OF_TEXTS),
        **dict.fromkeys(keys.TOOL_BY_PATH, _OBJECT),
        "output": _ref("scenario_label"),
        "input_schema": _OBJECT,
        "state": {"enum": [state.lower() for state in keys.TOOL_STATES]},
    }


def _session_values() -> dict[str, Schema]:
    return {
        "scopes": _TEXTS,
        "attended": _BOOL,
        "expires": {"$ref": "#/$defs/duration"},
        "model": _ref("scenario_model"),
        "label": _ref("scenario_label"),
    }


def _expect() -> Schema:
    return _keyed(("verdict", *keys.CALL_EXPECT_KEYS, *keys.STEP_EXPECT_KEYS), _expected())


def _call() -> Schema:
    return _keyed(("verdict!", *keys.CALL_EXPECT_KEYS), _expected())


def _expected() -> dict[str, Schema]:
    return {
        "verdict": _enum(ScenarioVerdict),
        "reason": _enum(Reason),
        "rules": {**_TEXTS, "description": "The rules of this pack that must match, and no others."},
        "errors": {**_TEXTS, "description": "The rules of this pack that must be in error; by default none."},
        "memories": {**_MEMORIES, "description": "Values of memories, as the rules read them for this call."},
        "budgets": {**_NUMBERS, "description": "What has been used of budgets after this step."},
        "calls": {"type": "object", "additionalProperties": _ref("scenario_call")},
        "alerts": {**_TEXTS, "description": "The rules or reasons that raise an alert in this step."},
        "dead_letters": {"type": "array", "items": _enum(DeadLetterReason)},
    }


def _keyed(listed: Iterable[str], values: Mapping[str, Schema]) -> Schema:
    """Return the schema of a mapping; keys that end in `!` are required, and values without a schema are texts."""
    names = tuple(listed)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name[:-1] for name in names if name.endswith("!")],
        "properties": {key: values.get(key, _TEXT) for key in (name.rstrip("!") for name in names)},
    }


def _enum(choices: type[StrEnum]) -> Schema:
    return {"enum": [str(choice) for choice in choices]}


def _matching(pattern: re.Pattern[str], doc: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern.removesuffix(_END_OF_TEXT)})$", "description": doc}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
