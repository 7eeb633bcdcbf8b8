"""Makes the reference page of the facts."""

from __future__ import annotations

from streams.policy.language.fact_types import Field, ListOf, MapOf, Struct, type_name
from streams.policy.language.schema import ENTITY_FIELDS, FACTS


def facts_page() -> str:
    """Return the reference page of the facts, generated from their schema."""
    lines = [
        "# Facts",
        "",
        "Conditions can use the following facts. They are declared in `streams/policy/language/schema.py`, and those",
        "of provenance in `provenance_facts.py` beside it.",
        "",
        "All facts are the gate's own knowledge, except the arguments and the fields that are described as claims. An",
        "*optional* field that is not known is missing: reading it without `has()` is an error, which fails closed.",
        "Explanations do not show the value of a *sensitive* field.",
        "",
        "| fact | type | meaning |",
        "|---|---|---|",
        *(f"| `{field.name}` | {_shown(field)} | {field.doc} |" for field in FACTS),
    ]
    for struct in _structs():
        lines += ["", f"## {struct.name}", "", *struct_table(struct)]
    lines += [
        "",
        "## Entity",
        "",
        "Each field of `entities` has these fields, and the attributes that the bundle declares",
        "([entities](entities.md)).",
        "",
        *struct_table(Struct("Entity", ENTITY_FIELDS)),
    ]
    return "\n".join(lines) + "\n"


def struct_table(struct: Struct) -> list[str]:
    """Return the lines of a table with the fields of a record."""
    rows = [f"| `{field.name}` | {_shown(field)} | {field.doc}{_marks(field)} |" for field in struct.fields]
    return ["| field | type | meaning |", "|---|---|---|", *rows]


def _structs() -> list[Struct]:
    """Return every record, in the order in which the facts use them."""
    found: dict[str, Struct] = {}
    waiting = [field.type for field in reversed(FACTS)]
    while waiting:
        top = waiting.pop()
        if isinstance(top, ListOf):
            waiting.append(top.element)
        elif isinstance(top, MapOf):
            waiting.append(top.value)
        elif isinstance(top, Struct) and top.fields and top.name not in found:
            found[top.name] = top
            waiting.extend(field.type for field in reversed(top.fields))
    return list(found.values())


def _shown(field: Field) -> str:
    return type_name(field.type)


def _marks(field: Field) -> str:
    marks = [word for word, there in (("optional", field.optional), ("sensitive", field.sensitive)) if there]
    return f" (*{', '.join(marks)}*)" if marks else ""
