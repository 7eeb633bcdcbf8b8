"""The page of functions names every function that a condition may call, and every field of their records."""

from __future__ import annotations

import re

from streams.policy.authoring.functions_page import functions_page
from streams.policy.language.extension_declarations import EXTENSION_OVERLOADS, EXTENSION_STRUCTS
from streams.policy.language.fact_types import ListOf, Struct
from streams.policy.language.function_declarations import NETWORK_OVERLOADS

PAGE = functions_page()


def test_every_function_is_there() -> None:
    for name in (*EXTENSION_OVERLOADS, *NETWORK_OVERLOADS):
        assert name == "string" or re.search(rf"^\| `([a-zA-Z.]+\.)?{re.escape(name)}\(", PAGE, re.MULTILINE), name


def test_every_way_to_call_one_has_an_id_of_its_own_and_says_what_it_is() -> None:
    overloads = [overload for listed in EXTENSION_OVERLOADS.values() for overload in listed]
    ids = [overload.id for overload in overloads]
    assert len(ids) == len(set(ids))
    assert all(overload.doc for overload in overloads)


def test_every_field_of_a_record_is_there() -> None:
    waiting: list[Struct] = list(EXTENSION_STRUCTS)
    while waiting:
        struct = waiting.pop()
        assert f"### {struct.name}\n" in PAGE
        for field in struct.fields:
            assert f"| `{field.name}` | " in PAGE
            inner = field.type.element if isinstance(field.type, ListOf) else field.type
            if isinstance(inner, Struct):
                waiting.append(inner)
