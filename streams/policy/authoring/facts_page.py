"""The declared facts as a reference page."""

from __future__ import annotations

from streams.policy.language.schema import FACTS, Field, ListOf, MapOf, Struct, type_name


def facts_page() -> str:
    """The reference page of the facts, made of the schema."""
    lines = [
        "# Facts",
        "",
        "What a condition can speak of. Declared in `streams/policy/language/schema.py`.",
        "",
        "All of it is the gate's own knowledge, except for the arguments and what is called a claim. An *optional*",
        "field that is not known is missing: reading it without `has()` is an error, which fails closed. A *sensitive*",
        "field is left out of explanations.",
        "",
        "| fact | type | what it is |",
        "|---|---|---|",
        *(f"| `{field.name}` | {_shown(field)} | {field.doc} |" for field in FACTS),
    ]
    for struct in _structs():
        lines += ["", f"## {struct.name}", "", *struct_table(struct)]
    return "\n".join(lines) + "\n"


def struct_table(struct: Struct) -> list[str]:
    """The lines of a table of a record's fields."""
    rows = [f"| `{field.name}` | {_shown(field)} | {field.doc}{_marks(field)} |" for field in struct.fields]
    return ["| field | type | what it is |", "|---|---|---|", *rows]


def _structs() -> list[Struct]:
    """Every record, in the order in which the facts name them."""
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
