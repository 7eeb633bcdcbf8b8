"""The form of rule files as a JSON Schema, for completion and checks in editors: `rules/schema.json`.

Keys, values and bounds are the parser's own. What a schema can't say (that a condition is well typed, that an id is
there once) `stoplog rules check` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from streams.policy.authoring.case_file import CASES_MAX, CHANGES_MAX, ExpectedVerdict
from streams.policy.language import parse, parse_match, parse_memory, yaml_mapping
from streams.policy.language.bundle import FILES_MAX, Keep, Occasion, Per
from streams.policy.language.schema import FACTS
from streams.policy.results import Mode, Reason, RuleEffect

Schema = dict[str, Any]

_END_OF_TEXT = r"\Z"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS = ["string", "number", "boolean"]
_FACT_NAMES = ", ".join(field.name for field in FACTS)
_CONDITION = (
    f"A condition in CEL, of type bool. It can speak of {_FACT_NAMES}, of `lists.NAME` and of `macros.NAME`. "
    "Put it in quotes where it begins with `!` or holds `: ` or ` #`."
)


def file_schema() -> Schema:
    """The schema of `bundle.yaml`, of `*.rules.yaml` and of `*.tests.yaml`: which of them it is shows in the keys."""
    return {
        "$schema": _DIALECT,
        "title": "stoplog rule files",
        "description": "Made by `python -m scripts.reference`. bundle.yaml, *.rules.yaml and *.tests.yaml.",
        "type": "object",
        "if": {"required": ["pack"]},
        "then": {"$ref": "#/$defs/rule_file"},
        "else": {
            "if": {"required": ["tests"]},
            "then": {"$ref": "#/$defs/case_file"},
            "else": {"$ref": "#/$defs/bundle"},
        },
        "$defs": {
            "bundle": _bundle(),
            "rule_file": _rule_file(),
            "case_file": _case_file(),
            "rule": _rule(),
            "match": _match(),
            "memory": _memory(),
            "budget": _budget(),
            "patterns": _items(
                {"type": "string", "pattern": _whole(parse_match.GLOB_PATTERN)},
                parse_match.PATTERNS_MAX,
                "`*` is any text, `?` one",
            ),
            "condition": {"type": _SCALARS, "description": _CONDITION},
            "expression": {"type": _SCALARS, "description": "An expression in CEL."},
            "duration": {
                "type": "string",
                "pattern": _whole(yaml_mapping.DURATION_PATTERN),
                "description": "A number and ms, s, m, h or d, such as `30s`.",
            },
            "lists": _named({"type": "array", "items": {"type": _SCALARS}, "maxItems": yaml_mapping.LIST_ITEMS_MAX},
                            parse.NAME_PATTERN, "Lists of constants of one type, read as `lists.NAME`."),
            "macros": _named({"type": _SCALARS}, parse.NAME_PATTERN,
                             "Expressions that conditions use as `macros.NAME`."),
        },
    }  # fmt: skip


def schema_text() -> str:
    """`file_schema()` as the text of `rules/schema.json`."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def _bundle() -> Schema:
    digest = {"type": "string", "pattern": _whole(parse.DIGEST_PATTERN)}
    return _record(
        {
            "apiVersion": {"const": parse.API_VERSION},
            "bundle": {
                "type": "string",
                "pattern": _whole(parse.NAME_PATTERN),
                "description": "What verdicts call it.",
            },
            "version": {"type": "string", "pattern": _whole(parse.VERSION_PATTERN)},
            "mode": _one_of((Mode.ENFORCE, Mode.SHADOW), "`shadow`: evaluated and recorded, nothing counts."),
            "description": _text(),
            "owners": _items(_text(), parse.TAGS_MAX),
            "packs": _items(
                {"type": "string", "pattern": _whole(parse.PACK_PATTERN)},
                FILES_MAX,
                "The packs there are, and no others.",
            ),
            "schema_digest": digest,
            "catalog_digest": digest,
            "lists": _ref("lists"),
            "macros": _ref("macros"),
        },
        required=("apiVersion", "bundle", "version"),
    )


def _rule_file() -> Schema:
    return _record(
        {
            "apiVersion": {"const": parse.API_VERSION},
            "pack": {
                "type": "string",
                "pattern": _whole(parse.PACK_PATTERN),
                "description": "The name of its directory.",
            },
            "owner": _text(),
            "description": _text(),
            "lists": _ref("lists"),
            "macros": _ref("macros"),
            "history": _named(
                _ref("memory"),
                parse_memory.NAME_PATTERN,
                "What the rules remember of a session, read as `history.NAME`.",
            ),
            "budgets": _named(_ref("budget"), parse_memory.NAME_PATTERN, "What may be used up in all."),
            "rules": _items(_ref("rule"), parse.RULES_MAX),
        },
        required=("apiVersion", "pack", "rules"),
    )


def _rule() -> Schema:
    properties = {
        "id": {"type": "string", "pattern": _whole(parse.RULE_ID_PATTERN), "description": "Once in the bundle."},
        "version": {"type": "string", "pattern": _whole(parse.VERSION_PATTERN)},
        "effect": _one_of(RuleEffect, "What the rule asks for where its condition is true."),
        "mode": _one_of(Mode, "`shadow`: recorded, and changes nothing."),
        "match": _ref("match"),
        "when": _ref("condition"),
        "reason": _text("One sentence, shown to whoever is affected."),
        "explain": _named(
            _ref("expression"), parse.NAME_PATTERN, "Values that go into the verdict.", parse.EXPLAIN_MAX
        ),
        "tags": _items(
            {"type": "string", "pattern": _whole(parse.TAG_PATTERN)}, parse.TAGS_MAX, "OWASP and ATLAS ids."
        ),
        "obligations": _items(_obligation(), parse.OBLIGATIONS_MAX, "For whoever runs the call."),
        "approval": _approval(),
        "defer": _ref("duration"),
    }
    rule = _record(properties, required=("id", "effect", "match", "when", "reason"))
    rule["allOf"] = [
        _goes_with("approval", RuleEffect.REQUIRE_APPROVAL),
        _goes_with("defer", RuleEffect.DEFER),
        {
            "if": _effect_is(RuleEffect.DENY, RuleEffect.QUARANTINE),
            "then": {"properties": {"obligations": False}},
        },
    ]
    return rule


def _goes_with(key: str, effect: RuleEffect) -> Schema:
    """A key that rules of one effect must have, and no others may."""
    return {"if": _effect_is(effect), "then": {"required": [key]}, "else": {"properties": {key: False}}}


def _effect_is(*effects: RuleEffect) -> Schema:
    return {"properties": {"effect": {"enum": [str(effect) for effect in effects]}}, "required": ["effect"]}


def _obligation() -> Schema:
    return _record(
        {
            "id": {"type": "string", "pattern": _whole(parse.RULE_ID_PATTERN)},
            "type": {"type": "string", "pattern": _whole(parse.NAME_PATTERN)},
            "properties": {"type": "object"},
        },
        required=("id", "type"),
    )


def _approval() -> Schema:
    bind = _items({"enum": list(parse.BIND_KNOWN)}, len(parse.BIND_KNOWN), "What an approval is for.")
    bind["allOf"] = [{"contains": {"const": name}} for name in parse.BIND_ALWAYS]
    return _record(
        {
            "group": _text("Who is asked."),
            "quorum": {"type": "integer", "minimum": 1, "maximum": parse.QUORUM_MAX, "default": 1},
            "ttl": _ref("duration"),
            "bind": bind,
        },
        required=("group",),
    )


def _match(more: Mapping[str, Schema] | None = None) -> Schema:
    tool = {"type": "string", "pattern": _whole(parse_match.TOOL_GLOB_PATTERN)}
    server = {"type": "string", "pattern": _whole(parse_match.SERVER_GLOB_PATTERN)}
    properties = {
        "tools": _items(tool, parse_match.PATTERNS_MAX, "`SERVER.TOOL` patterns, or `*`."),
        "servers": _items(server, parse_match.PATTERNS_MAX, "`*` is any text, `?` one"),
        "tool_version": {"type": "string", "pattern": _whole(parse_match.VERSION_GLOB_PATTERN)},
        "agents": _ref("patterns"),
        "tenants": _ref("patterns"),
        **(more or {}),
    }
    return _record(properties, required=("tools",))


def _memory() -> Schema:
    certain = _one_of(parse_memory.RESET_OCCASIONS, "The event that makes it forget.")
    return _record(
        {
            "keep": _one_of(Keep, "`any` (a bool), `count`, `sum`, `last` (milliseconds since)."),
            "on": _one_of(Occasion, "What happens to a call."),
            "match": _ref("match"),
            "when": _ref("condition"),
            "key": _ref("expression"),
            "of": _ref("expression"),
            "within": _ref("duration"),
            "group": _text(),
            "reset": _match({"on": certain, "when": _ref("condition")}),
        },
        required=("keep", "on"),
    )


def _budget() -> Schema:
    measured = {kind: _record({kind: _ref("expression")}, required=(kind,)) for kind in ("sum", "distinct")}
    return _record(
        {
            "per": _one_of(Per, "Who shares it."),
            "measure": {"anyOf": [{"const": "calls"}, *measured.values()]},
            "limit": {"type": "integer", "minimum": 1, "maximum": parse_memory.LIMIT_MAX},
            "match": _ref("match"),
            "when": _ref("condition"),
            "window": _ref("duration"),
        },
        required=("per", "measure", "limit"),
    )


def _case_file() -> Schema:
    ids = {"type": "array", "items": {"type": "string"}}
    expect = _record(
        {
            "verdict": _one_of(ExpectedVerdict, "Of the whole bundle."),
            "rules": {**ids, "description": "The rules of this pack that match."},
            "errors": {**ids, "description": "Those that are in error; none, where nothing is said."},
            "reason": _one_of(Reason, "Why."),
        },
        required=("verdict",),
    )
    case = _record(
        {
            "name": _text(),
            "base": _text("A fixture, from the file's folder."),
            "set": {"type": "object", "maxProperties": CHANGES_MAX, "description": "Fields and their values."},
            "unset": _items(_text(), CHANGES_MAX, "Fields that are taken away."),
            "expect": expect,
        },
        required=("name", "expect"),
    )
    return _record(
        {"tests": _text("The rule file beside it."), "base": _text(), "cases": _items(case, CASES_MAX)},
        required=("tests", "cases"),
    )


def _record(properties: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }


def _named(value: Schema, name: re.Pattern[str], doc: str, count_max: int = parse.NAMES_MAX) -> Schema:
    return {
        "type": "object",
        "description": doc,
        "propertyNames": {"pattern": _whole(name)},
        "additionalProperties": value,
        "maxProperties": count_max,
    }


def _items(item: Schema, count_max: int, doc: str = "") -> Schema:
    made: Schema = {"type": "array", "items": item, "minItems": 1, "maxItems": count_max}
    return {**made, "description": doc} if doc else made


def _text(doc: str = "") -> Schema:
    made: Schema = {"type": "string", "minLength": 1, "maxLength": yaml_mapping.TEXT_CHARS_MAX}
    return {**made, "description": doc} if doc else made


def _one_of(choices: Iterable[StrEnum], doc: str) -> Schema:
    return {"enum": [str(choice) for choice in choices], "description": doc}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _whole(pattern: re.Pattern[str]) -> str:
    """The parser's pattern as JSON Schema has it, which finds a pattern anywhere unless told otherwise."""
    return f"^(?:{pattern.pattern.removesuffix(_END_OF_TEXT).replace(_END_OF_TEXT, '$')})$"
