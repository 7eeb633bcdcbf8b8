"""Reads what an operator states about a tool, in the forms in which people write it."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.model.errors import StoplogError
from streams.provenance.acts.kinds import ActKind
from streams.provenance.pointers import DEPTH_MAX, normal, steps_of
from streams.sdk.mcp.catalog import ToolFacts

FACT_NAMES = tuple(field.name for field in dataclasses.fields(ToolFacts))

_KINDS = tuple(kind.value for kind in ActKind)
_PATHS = ("sink_args", "owner_args", "output_owners")
_SOURCES = ("args", "result")


class FactError(StoplogError):
    """A fact is not of its form; says which one, and what is expected."""


def stated_facts(stated: Mapping[str, Any]) -> ToolFacts:
    """Return facts from JSON values.

    Roles and undoing arguments are lists of objects in the record. Here they may also be objects by path: `arg_roles`
    `{"/to": "destination"}`, and `compensating_args` `{"/id": "/result/id"}`. `identifying_args` is a list of lists; a
    single one may be given as it is: `["/name", "/zip"]`.

    Raises:
        FactError: a value has another form than its fact.
    """
    made = dict(stated)
    if isinstance(roles := made.get("arg_roles"), Mapping):
        made["arg_roles"] = [{"path": path, "role": role} for path, role in roles.items()]
    if isinstance(roles := made.get("arg_roles"), list):
        made["arg_roles"] = [_with_role_in_capitals(each) for each in roles]
    if isinstance(undoing := made.get("compensating_args"), Mapping):
        made["compensating_args"] = [{"path": path, "source": source} for path, source in undoing.items()]
    if isinstance(paths := made.get("identifying_args"), list | tuple) and any(isinstance(path, str) for path in paths):
        made["identifying_args"] = [paths]
    try:
        facts = msgspec.convert(made, ToolFacts)
    except msgspec.ValidationError as error:
        text = str(error)
        raise FactError(f"{text[:1].lower()}{text[1:]}") from None
    _check_paths(facts)
    if facts.kind is not None and facts.kind not in _KINDS:
        near = difflib.get_close_matches(facts.kind, _KINDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"the kinds are {', '.join(_KINDS)}"
        raise FactError(f"`kind`: `{facts.kind}` is not a kind of act; {hint}")
    return facts


def _with_role_in_capitals(use: Any) -> Any:
    if isinstance(use, dict) and isinstance(role := use.get("role"), str):
        return {**use, "role": role.upper()}
    return use


def _check_paths(facts: ToolFacts) -> None:
    for name in _PATHS:
        for path in getattr(facts, name) or ():
            _check_path(name, path)
    for paths in facts.identifying_args:
        if not paths:
            raise FactError("`identifying_args`: an empty list identifies nobody")
        for path in paths:
            _check_path("identifying_args", path)
    for use in facts.arg_roles:
        _check_path("arg_roles", use.path)
    if facts.kind_arg is not None:
        _check_path("kind_arg", facts.kind_arg)
    for each in facts.compensating_args:
        _check_path("compensating_args", each.path)
        if (steps_of(each.source) or ("",))[0] not in _SOURCES:
            raise FactError(
                f"`compensating_args`: source `{each.source}` must begin with `/args/` (an argument of the call) or "
                "`/result/` (a field of its result)"
            )


def _check_path(name: str, path: str) -> None:
    steps = steps_of(path)
    if not steps or len(steps) > DEPTH_MAX or not all(steps):
        raise FactError(f"`{name}`: `{path}` is not a path; write a JSON pointer such as `/to` or `/items/*/address`")
    if any(character in path for character in "[]$") and path == normal(path):
        raise FactError(
            f"`{name}`: `{path}` is not a JSON pointer; write `/items/*/address` for every member of a list"
        )
