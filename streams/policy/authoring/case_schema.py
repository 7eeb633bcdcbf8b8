"""The part of the JSON Schema of rule files that describes case files and attack files; see `file_schema.py`."""

from __future__ import annotations

from streams.policy.authoring.attack_file import ATTACK_CHANGES_MAX, CALLS_MAX, TECHNIQUES_MAX, UNCLAIMED_MAX
from streams.policy.authoring.case_file import CASES_MAX, CHANGES_MAX
from streams.policy.authoring.expected_verdict import ExpectedVerdict
from streams.policy.authoring.schema_parts import Schema, items_of, one_of, record_of, text_of
from streams.policy.results import Reason


def case_file_schema() -> Schema:
    """Return the schema of case files."""
    ids = {"type": "array", "items": {"type": "string"}}
    expect = record_of(
        {
            "verdict": one_of(ExpectedVerdict, "The verdict of the whole bundle."),
            "rules": {**ids, "description": "The rules of this pack that must match, and no others."},
            "errors": {
                **ids,
                "description": "The rules of this pack that must be in error, and no others; by default none.",
            },
            "reason": one_of(Reason, "The reason of the verdict."),
        },
        required=("verdict",),
    )
    case = record_of(
        {
            "name": text_of(),
            "base": text_of("A fixture in JSON, relative to this file's folder."),
            "set": {
                "type": "object",
                "maxProperties": CHANGES_MAX,
                "description": "Fields to set, by path, and their values.",
            },
            "unset": items_of(text_of(), CHANGES_MAX, "Paths of fields to remove."),
            "expect": expect,
        },
        required=("name", "expect"),
    )
    return record_of(
        {
            "tests": text_of("The rule file that is tested, in the same folder."),
            "base": text_of(),
            "cases": items_of(case, CASES_MAX),
        },
        required=("tests", "cases"),
    )


def attack_file_schema() -> Schema:
    """Return the schema of attack files."""
    changes = {
        "type": "object",
        "maxProperties": ATTACK_CHANGES_MAX,
        "description": "Fields to set, by path, and their values.",
    }
    calls = {
        "base": text_of("A fixture in JSON, relative to this file's folder."),
        "set": changes,
        "vary": text_of("The path of the field that differs from call to call; `values` has its values."),
        "values": {"type": "array", "minItems": 1, "maxItems": CALLS_MAX, "description": "One value for each call."},
        "calls": items_of(changes, CALLS_MAX, "The changes of each call, for calls that differ in several fields."),
    }
    technique = record_of(
        {"technique": text_of("The name of the technique."), "idea": text_of("Where the idea is published."), **calls},
        required=("technique", "idea"),
    )
    innocent = record_of(
        {"name": text_of(), "expect": one_of(ExpectedVerdict, "The verdict that all these calls must have."), **calls},
        required=("name", "expect"),
    )
    return record_of(
        {
            "attacks": text_of("The rule file that is attacked, in the same folder."),
            "base": text_of(),
            "techniques": items_of(technique, TECHNIQUES_MAX, "Attacks, by technique."),
            "innocent": items_of(innocent, TECHNIQUES_MAX, "Calls of everyday work."),
            "unclaimed": items_of(text_of(), UNCLAIMED_MAX, "Sentences about what the pack doesn't protect against."),
        },
        required=("attacks", "techniques", "innocent", "unclaimed"),
    )
