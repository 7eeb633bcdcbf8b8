"""Converts a solution of the solver to facts, which the exact evaluator can check."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import z3

from streams.policy.authoring.smt.fact_variables import FactVariable, FactVariables, Path
from streams.policy.authoring.smt.terms import ANY, Double, Sort, Term, is_of
from streams.policy.language.fact_types import FactType, Kind, ListOf, MapOf, Struct
from streams.policy.language.schema import ENTITIES, FACTS, HISTORY

_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}|\"\"")
_EMPTY_VALUES: dict[Kind, Any] = {Kind.BOOL: False, Kind.INT: 0, Kind.DOUBLE: 0.0, Kind.STRING: "", Kind.DYN: None}


def facts_of(
    model: Any,
    variables: FactVariables,
    members: dict[Path, list[tuple[Term, Any]]],
    paths: Iterable[Path],
    own: tuple[Struct, Struct],
) -> dict[str, Any]:
    """Return facts in which the given fields have their values in the model, and all others are empty.

    Args:
        model: the model of z3.
        variables: the variables for fields.
        members: for each list, the values whose membership was tested, with the variables for the result.
        paths: the fields that occur in the formula.
        own: the types of the facts `history` and `entities`.
    """
    facts = empty_facts(*own)
    for path in sorted(paths, key=len):
        fact_variable = variables[path]
        holder = _holder(facts, path)
        if holder is None:
            continue
        if not _holds(model, fact_variable.present):
            holder.pop(path[-1], None)
        else:
            _set_value(model, holder, fact_variable, members.get(path, ()))
    tool = facts["tool"]
    tool["id"] = tool["id"] or f"{tool['server_id']}.{tool['name']}"
    return facts


def empty_facts(history: Struct = HISTORY, entities: Struct = ENTITIES) -> dict[str, Any]:
    """Return facts in which every value is false, zero or empty, without optional fields."""
    own = {"history": history, "entities": entities}
    return {field.name: _empty(own.get(field.name, field.type)) for field in FACTS}


def _empty(kind: FactType) -> Any:
    if isinstance(kind, Struct):
        return {field.name: _empty(field.type) for field in kind.fields if not field.optional}
    if isinstance(kind, ListOf):
        return []
    return {} if isinstance(kind, MapOf) else _EMPTY_VALUES[kind]


def _holder(facts: dict[str, Any], path: Path) -> dict[str, Any] | None:
    holder: Any = facts
    for part in path[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None


def _set_value(
    model: Any, holder: dict[str, Any], fact_variable: FactVariable, members: Iterable[tuple[Term, Any]]
) -> None:
    value = value_of(model, fact_variable.term)
    if isinstance(value, list):
        value = [value_of(model, element) for element, held in members if _holds(model, held)]
    if not (isinstance(value, dict) and isinstance(holder.get(fact_variable.path[-1]), dict)):
        holder[fact_variable.path[-1]] = value


def value_of(model: Any, term: Term) -> Any:
    """Return the value of a term in a model, as a value of facts."""
    if term.sort is not Sort.ANY:
        return _plain(model, term.sort, term.value)
    sort = next(sort for sort in Sort if sort is not Sort.ANY and _holds(model, is_of(sort, term.value)))
    value = term.value
    inner: dict[Sort, Any] = {
        Sort.BOOL: lambda: ANY.get_bool(value),
        Sort.INT: lambda: ANY.get_int(value),
        Sort.STRING: lambda: ANY.get_string(value),
        Sort.DOUBLE: lambda: Double(ANY.get_nan(value), ANY.get_real(value)),
    }
    return _plain(model, sort, inner[sort]() if sort in inner else None)


def _plain(model: Any, sort: Sort, value: Any) -> Any:
    if sort is Sort.BOOL:
        return _holds(model, value)
    if sort is Sort.INT:
        return model.eval(value, model_completion=True).as_long()
    if sort is Sort.STRING:
        return _text(model.eval(value, model_completion=True))
    if sort is Sort.DOUBLE:
        real = model.eval(value.real, model_completion=True)
        exact = real if z3.is_rational_value(real) else real.approx(20)
        return float("nan") if _holds(model, value.is_nan) else float(exact.as_fraction())
    return {Sort.LIST: [], Sort.MAP: {}}.get(sort)


def _text(value: Any) -> str:
    quoted = value.sexpr()
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else '"', quoted[1:-1])


def _holds(model: Any, condition: Any) -> bool:
    return bool(z3.is_true(model.eval(condition, model_completion=True)))
