"""Writes a new pack for its author to extend: a rule that permits, one that denies, test cases and a scenario."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from streams.model.errors import FormError, StoplogError
from streams.operations.private_file import replace_whole
from streams.policy.authoring.case_file import TESTS_SUFFIX
from streams.policy.authoring.file_schema import schema_text
from streams.policy.authoring.scenario_keys import SCENARIOS_SUFFIX
from streams.policy.language.bundle import BUNDLE_FILE, RULES_SUFFIX
from streams.policy.language.fact_types import FactType, Field, Kind, ListOf, MapOf, Struct
from streams.policy.language.fact_validation import NOT_REQUIRED
from streams.policy.language.schema import FACTS, now_facts

SCHEMA_FILE = "schema.json"
FIXTURES = "fixtures"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_.-]{1,64}\Z")
_PACKS = re.compile(r"^packs: \[([a-z0-9_, ]*)\]$", re.MULTILINE)
_DIGEST = "ab" * 32
_ISSUER = "https://issuer.example"
_MONDAY_NOON_MS = 1_767_614_400_000


class ScaffoldError(StoplogError):
    """The pack can't be written."""


class ScaffoldFormError(ScaffoldError, FormError):
    """The name of a pack or of a tool is malformed."""


class Scaffold(NamedTuple):
    """The files that were written, and whether the pack must still be added to `bundle.yaml`."""

    written: tuple[Path, ...]
    must_be_listed: bool


def make_pack(directory: Path, name: str, tool: str) -> Scaffold:
    """Write a new pack; existing files are not overwritten. Blocking.

    Args:
        directory: the bundle's directory; created, with a `bundle.yaml`, if there is none.
        name: the pack's name.
        tool: `SERVER.TOOL`, which its rules apply to.

    Raises:
        ScaffoldFormError: a name is malformed.
        ScaffoldError: the pack exists already, or can't be written; nothing of it is left then.
    """
    if not _NAME.match(name):
        raise ScaffoldFormError(
            f"a pack's name is a letter, followed by letters, digits and `_`, all lower-case; found `{name}`"
        )
    if not _TOOL.match(tool):
        raise ScaffoldFormError(f"a tool is written `SERVER.TOOL`, such as `mail.send`; found `{tool}`")
    folder = directory / name
    if folder.exists():
        raise ScaffoldError(f"`{folder}` exists already; choose another name")
    files = {
        folder / f"{name}{RULES_SUFFIX}": _rules(name, tool),
        folder / f"{name}{TESTS_SUFFIX}": _cases(name),
        folder / f"{name}{SCENARIOS_SUFFIX}": _scenario(name, tool),
        directory / FIXTURES / f"{name}.json": _fixture(tool),
        directory / SCHEMA_FILE: schema_text(),
    }
    bundle = directory / BUNDLE_FILE
    is_new = not bundle.is_file()
    if is_new:
        files[bundle] = _bundle(name)
    written = []
    try:
        for path, text in files.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                written.append(path)
                path.write_text(text, "utf-8")
        must_be_listed = not (is_new or _list_pack(bundle, name))
    except OSError as error:
        # A part of a pack would be in the way when the command is run again.
        for path in written:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        if error.filename is not None:
            raise
        raise ScaffoldError(f"the pack can't be written to `{directory}`: {error.strerror}") from error
    return Scaffold(tuple(written), must_be_listed)


def _list_pack(bundle: Path, name: str) -> bool:
    """Add a pack to the list of packs. False if the list is not on one line, so that a person must add it."""
    text = bundle.read_text("utf-8")
    if not re.search(r"^packs:", text, re.MULTILINE):
        return True
    listed = _PACKS.search(text)
    if listed is None:
        return False
    names = sorted({*(part.strip() for part in listed[1].split(",") if part.strip()), name})
    replace_whole(bundle, f"{text[: listed.start()]}packs: [{', '.join(names)}]{text[listed.end() :]}".encode())
    return True


def _bundle(name: str) -> str:
    return (
        f"# yaml-language-server: $schema=./{SCHEMA_FILE}\n"
        "apiVersion: rules/v1\n"
        "bundle: default\n"
        'version: "1"\n'
        f"packs: [{name}]\n"
    )


def _rules(name: str, tool: str) -> str:
    prefix = name.upper().replace("_", "-")
    server = tool.partition(".")[0]
    return f"""# yaml-language-server: $schema=../{SCHEMA_FILE}
apiVersion: rules/v1
pack: {name}
rules:
  - id: {prefix}-001
    effect: permit
    match: {{tools: [{tool}]}}
    when: '"{server}:use" in user.scopes'
    reason: a user who holds {server}:use
    tags: [ASI03]

  - id: {prefix}-010
    effect: deny
    match: {{tools: ["{server}.*"]}}
    when: session.tainted && !tool.read_only
    reason: the session has read untrusted data, and the call changes something
    tags: [ASI01]
"""


def _cases(name: str) -> str:
    prefix = name.upper().replace("_", "-")
    permit, deny = f"{prefix}-001", f"{prefix}-010"
    return f"""# yaml-language-server: $schema=../{SCHEMA_FILE}
tests: {name}{RULES_SUFFIX}
base: ../{FIXTURES}/{name}.json
cases:
  - {{name: with the scope, expect: {{verdict: allow, rules: [{permit}]}}}}
  - {{name: without the scope, set: {{user.scopes: []}}, expect: {{verdict: deny, reason: no_permit, rules: []}}}}
  - name: scopes unknown
    unset: [user.scopes]
    expect: {{verdict: deny, reason: no_permit, rules: [], errors: [{permit}]}}
  - name: after untrusted data was read
    set: {{session.tainted: true}}
    expect: {{verdict: deny, reason: rule_denied, rules: [{permit}, {deny}]}}
  - name: reading after untrusted data was read
    set: {{session.tainted: true, tool.read_only: true}}
    expect: {{verdict: allow, rules: [{permit}]}}
  - name: not known what was read
    unset: [session.tainted]
    expect: {{verdict: deny, reason: rule_error, rules: [{permit}], errors: [{deny}]}}
"""


def _scenario(name: str, tool: str) -> str:
    prefix = name.upper().replace("_", "-")
    permit, deny = f"{prefix}-001", f"{prefix}-010"
    server = tool.partition(".")[0]
    return f"""# yaml-language-server: $schema=../{SCHEMA_FILE}
tools:
  {tool}: {{destructive: false, open_world: false, reversible: true, output: untrusted private}}
sessions:
  assistant: {{user: alice, scopes: ["{server}:use"]}}
scenarios:
  - name: what a call returns is untrusted, so the next one is denied
    steps:
      - {{call: {tool}, as: first, expect: {{verdict: allow, rules: [{permit}]}}}}
      - {{result: first}}
      - {{call: {tool}, expect: {{verdict: deny, rules: [{permit}, {deny}], alerts: [{deny}]}}}}
"""


def _fixture(tool: str) -> str:
    """Return the facts of an ordinary call: all fields of the schema except optional ones."""
    server, _, short = tool.partition(".")
    facts = {field.name: _value(field.type) for field in FACTS if field.name not in NOT_REQUIRED}
    facts["args"] = {}
    facts["agent"] |= {"id": "assistant"}
    facts["user"] |= {"id": "alice", "scopes": [f"{server}:use"]}
    facts["tenant"] = "acme"
    facts["session"] |= {"id": "s-1", "confidentiality": "public"}
    facts["tool"] |= {"id": tool, "server_id": server, "name": short, "version": "1", "reversible": True}
    facts["tool"]["definition_digest"] = _DIGEST
    facts["catalog"] = {"reviewed_digests": [_DIGEST]}
    facts["delegation"] |= {"root_issuer": _ISSUER, "hops": [_root_hop(facts["user"]["scopes"])]}
    facts["now"] = now_facts(_MONDAY_NOON_MS)
    return json.dumps(facts, indent=2) + "\n"


def _root_hop(scopes: list[str]) -> dict[str, Any]:
    return {
        "uid": "g-1",
        "issuer": _ISSUER,
        "sub": "alice",
        "actor": "assistant",
        "depth": 0,
        "scopes": scopes,
        "expires_in_ms": 600_000,
    }


_EMPTY: dict[Kind, Any] = {Kind.BOOL: False, Kind.INT: 0, Kind.DOUBLE: 0.0, Kind.STRING: "", Kind.DYN: None}


def _value(fact_type: FactType) -> Any:
    if isinstance(fact_type, Struct):
        return {field.name: _value(field.type) for field in fact_type.fields if _is_there(field)}
    if isinstance(fact_type, ListOf):
        return []
    return {} if isinstance(fact_type, MapOf) else _EMPTY[fact_type]


def _is_there(field: Field) -> bool:
    return not field.optional
