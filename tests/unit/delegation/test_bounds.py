"""Bounds on arguments, case by case: what they admit, what they refuse to be, and that none costs without end."""

from __future__ import annotations

import json
import time
import unicodedata
from typing import Any

import pytest

from streams.delegation.constraints import ARRAY_ITEMS_MAX, PARTS_MAX, TEXT_CHARS_MAX, Room, compile_constraint
from streams.delegation.errors import GrantError
from streams.delegation.subsumption import Steps, implies
from streams.delegation.tools import compile_tool, parse_pointer
from streams.model.canonical import canonical_args
from streams.model.delegation import ArgumentConstraint, ConstraintType
from streams.model.reasons import Reason
from tests.unit.delegation.family import bound, tool


def compiled(kind: str, value: Any) -> Any:
    return compile_constraint(bound("/x", kind, value), Room())


@pytest.mark.parametrize(
    ("kind", "parameter", "admitted", "refused"),
    [
        ("EXACT", 1, [1, 1.0], [True, "1", 2, None, [1]]),
        ("EXACT", 1.0, [1], [1.5]),
        ("EXACT", {"a": [1.0]}, [{"a": [1]}], [{"a": [2]}, {"a": [1], "b": 1}, {"a": 1}]),
        ("EXACT", None, [None], [False, 0, "", []]),
        ("ONE_OF", ["a", 1, None], ["a", 1, None], ["A", "1", False, 0]),
        ("ONE_OF", [], [], ["a", None]),
        ("NOT_ONE_OF", ["a", 1], ["A", True, None, 2], ["a", 1, ["b"], {"b": 1}]),
        ("RANGE", {"min": 1, "max": 2.5}, [1, 2.5, 2], [0.999, 2.6, True, "2", None, [2]]),
        ("RANGE", {"max": 0}, [0, -1e15], [1]),
        ("CONTAINS", ["a"], [["a"], ["b", "a"]], [[], ["b"], "a", {"a": 1}]),
        ("CONTAINS", [], [[], ["a"]], ["", None]),
        ("SUBSET", ["a", [1]], [[], ["a", "a"], [[1]]], [["b"], "a", [["a"]], [1]]),
        ("WILDCARD", "a*c", ["ac", "abc", "a*c", "aüc"], ["abd", "xac", "AC", 1, "a\nc", "a\u2028c"]),
        (
            "WILDCARD",
            "*",
            ["héllo 😀", "日本"],
            ["a\u200bb", "a\u202eb", "\ufeffa", "a\u00adb", "a\U000e0041", "a\ufe0f", "\u3164"],
        ),
        ("WILDCARD", "*", ["", "anything"], [None, "tab\t"]),
        ("WILDCARD", "a*b*a", ["aba", "axbya"], ["aa", "ab", "aab"]),
        ("WILDCARD", "plain", ["plain"], ["plai", "plainer", "*"]),
        ("WILDCARD", "aa*aa", ["aaaa"], ["aaa", "aa"]),
        ("ALL", [], [None, [], "anything"], []),
        ("ANY", [], [], [None, [], "anything"]),
        (
            "ALL",
            [{"type": "WILDCARD", "value": "*@x"}, {"type": "NOT_ONE_OF", "value": ["b@x"]}],
            ["a@x"],
            ["b@x", "a@y"],
        ),
        ("ANY", [{"type": "EXACT", "value": 1}, {"type": "RANGE", "value": {"min": 5}}], [1, 5, 9], [2, "1"]),
    ],
)
def test_what_it_admits(kind: str, parameter: Any, admitted: list[Any], refused: list[Any]) -> None:
    ready = compiled(kind, parameter)

    def read(value: Any) -> Any:
        return canonical_args(canonical_args(json.dumps({"x": value}))[1].decode())[0]["x"]

    assert all(ready.admits(read(value)) for value in admitted)
    assert not any(ready.admits(read(value)) for value in refused)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("UNKNOWN", "1"),
        ("EXACT", "{"),
        ("EXACT", "NaN"),
        ("EXACT", "1e999"),
        ("EXACT", "9007199254740993"),
        ("EXACT", '{"a": 1, "a": 2}'),
        ("EXACT", '"\\ud800"'),
        ("EXACT", "[" * 100 + "]" * 100),
        ("EXACT", json.dumps("x" * 8_192)),
        ("ONE_OF", '"a"'),
        ("ONE_OF", json.dumps(list(range(257)))),
        ("RANGE", "{}"),
        ("RANGE", "5"),
        ("RANGE", '{"min": "1"}'),
        ("RANGE", '{"min": true}'),
        ("RANGE", '{"min": 1, "most": 2}'),
        ("RANGE", '{"min": 2, "max": 1}'),
        ("WILDCARD", "1"),
        ("WILDCARD", json.dumps("a\nb")),
        ("WILDCARD", json.dumps("*" * 33)),
        ("WILDCARD", json.dumps("x" * 1_025)),
        ("ALL", "{}"),
        ("ALL", '["EXACT"]'),
        ("ALL", '[{"type": "EXACT"}]'),
        ("ALL", '[{"type": "exact", "value": 1}]'),
        ("ALL", '[{"type": "EXACT", "value": 1, "more": 1}]'),
        ("ALL", '[{"type": 1, "value": 1}]'),
        ("ANY", '[{"type": "ALL", "value": [{"type": "UNKNOWN", "value": 1}]}]'),
    ],
)
def test_what_is_not_understood_is_refused(kind: str, text: str) -> None:
    with pytest.raises(GrantError) as refused:
        compile_constraint(ArgumentConstraint(argument="/x", type=ConstraintType(kind), value_json=text), Room())
    assert refused.value.reason is Reason.DELEGATION_CONSTRAINT_UNKNOWN


PART = {"type": "WILDCARD", "value": "a*"}


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (("EXACT", 1), ("RANGE", {"min": 1, "max": 1})),
        (("EXACT", "ab"), ("WILDCARD", "a*")),
        (("EXACT", ["a"]), ("SUBSET", ["a", "b"])),
        (("EXACT", "a"), ("NOT_ONE_OF", ["b"])),
        (("ONE_OF", [1, 2]), ("ONE_OF", [2, 1, 3])),
        (("ONE_OF", []), ("ANY", [])),
        (("RANGE", {"min": 1, "max": 5}), ("RANGE", {"min": 1, "max": 5})),
        (("RANGE", {"min": 2}), ("RANGE", {"min": 1})),
        (("RANGE", {"max": 2}), ("NOT_ONE_OF", [3, "a", True])),
        (("NOT_ONE_OF", ["a", "b"]), ("NOT_ONE_OF", ["a"])),
        (("CONTAINS", ["a", "b"]), ("CONTAINS", ["a"])),
        (("CONTAINS", ["a"]), ("CONTAINS", ["a"])),
        (("SUBSET", ["a"]), ("SUBSET", ["a", "b"])),
        (("SUBSET", ["a"]), ("SUBSET", ["a"])),
        (("SUBSET", ["a"]), ("CONTAINS", [])),
        (("WILDCARD", "plain"), ("ONE_OF", ["plain", "other"])),
        (("WILDCARD", "a*b"), ("WILDCARD", "a*")),
        (("WILDCARD", "a*b*c"), ("WILDCARD", "*b*")),
        (("WILDCARD", "a*"), ("WILDCARD", "a*")),
        (("WILDCARD", "a*"), ("NOT_ONE_OF", ["b", 1])),
        (("WILDCARD", "a*"), ("ALL", [])),
        (("ALL", [PART, {"type": "NOT_ONE_OF", "value": ["ab"]}]), ("WILDCARD", "a*")),
        (("ALL", [PART, {"type": "ONE_OF", "value": ["ab", "b"]}]), ("EXACT", "ab")),
        (("ANY", [PART, {"type": "EXACT", "value": "abc"}]), ("WILDCARD", "a*")),
        (("ANY", [{"type": "EXACT", "value": 1}, {"type": "EXACT", "value": 2}]), ("ONE_OF", [1, 2])),
        (("WILDCARD", "ab*"), ("ANY", [{"type": "EXACT", "value": 1}, PART])),
        (("WILDCARD", "ab*"), ("ALL", [PART, {"type": "WILDCARD", "value": "*"}])),
    ],
)
def test_what_is_narrower_is_shown_to_be(child: tuple[str, Any], parent: tuple[str, Any]) -> None:
    assert implies(compiled(*child), compiled(*parent), Steps())


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (("RANGE", {"min": 1, "max": 5}), ("RANGE", {"min": 1.1, "max": 5})),
        (("RANGE", {"min": 1}), ("RANGE", {"min": 1, "max": 5})),
        (("RANGE", {"max": 3}), ("NOT_ONE_OF", [3])),
        (("RANGE", {"max": 3}), ("ONE_OF", [1, 2, 3])),
        (("SUBSET", ["a"]), ("CONTAINS", ["a"])),
        (("CONTAINS", ["a"]), ("SUBSET", ["a"])),
        (("NOT_ONE_OF", ["a"]), ("WILDCARD", "*")),
        (("WILDCARD", "*"), ("NOT_ONE_OF", ["a"])),
        (("WILDCARD", "*a"), ("WILDCARD", "a*")),
        (("WILDCARD", "*"), ("WILDCARD", "**a")),
        (("WILDCARD", "a*a"), ("WILDCARD", "a*a*a")),
        (("ALL", []), ("WILDCARD", "*")),
        (("ANY", [PART, {"type": "EXACT", "value": 1}]), ("WILDCARD", "a*")),
        (("EXACT", True), ("EXACT", 1)),
        (("EXACT", "a\nb"), ("WILDCARD", "a*")),
    ],
)
def test_what_only_looks_narrower_is_not(child: tuple[str, Any], parent: tuple[str, Any]) -> None:
    assert not implies(compiled(*child), compiled(*parent), Steps())


def nested(levels: int) -> tuple[str, Any]:
    spec: tuple[str, Any] = ("EXACT", 1)
    for _ in range(levels):
        spec = ("ALL", [{"type": spec[0], "value": spec[1]}])
    return spec


def test_bounds_within_bounds_have_a_depth() -> None:
    assert compiled(*nested(3)).admits(1)
    with pytest.raises(GrantError, match="deeper than 4 levels"):
        compiled(*nested(4))


def test_the_parts_of_a_grant_are_counted_over_all_its_tools() -> None:
    room = Room()
    for _ in range(PARTS_MAX // 4):
        compile_tool(tool("a", "b", bound("/x", "ALL", [{"type": "EXACT", "value": 1}] * 3)), room)
    with pytest.raises(GrantError) as refused:
        compile_tool(tool("a", "b", bound("/x", "EXACT", 1)), room)
    assert refused.value.reason is Reason.DELEGATION_MALFORMED


def test_what_is_longer_than_is_looked_at_is_out_of_bounds() -> None:
    assert compiled("SUBSET", [1]).admits([1] * ARRAY_ITEMS_MAX)
    assert not compiled("SUBSET", [1]).admits([1] * (ARRAY_ITEMS_MAX + 1))
    assert not compiled("CONTAINS", [1]).admits([1] * (ARRAY_ITEMS_MAX + 1))
    assert compiled("WILDCARD", "*").admits("x" * TEXT_CHARS_MAX)
    assert not compiled("WILDCARD", "*").admits("x" * (TEXT_CHARS_MAX + 1))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"type": "SUBSET", "value": [[1]]}, [[1], *([2] for _ in range(ARRAY_ITEMS_MAX - 1))]),
        ({"type": "EXACT", "value": []}, [[n] for n in range(40_000)]),
        ({"type": "WILDCARD", "value": "*a" * 15 + "*b"}, "a" * TEXT_CHARS_MAX),
        ({"type": "CONTAINS", "value": [[0]]}, [[1]] * ARRAY_ITEMS_MAX),
    ],
)
def test_no_call_costs_without_end(part: dict[str, Any], value: Any) -> None:
    """The most parts that a grant may have, against the most that a call may hold."""
    room = Room()
    ready = [compile_constraint(bound("/x", "ANY", [part] * 63), room) for _ in range(PARTS_MAX // 64)]
    before = time.thread_time()
    assert not any(each.admits(value) for each in ready)
    # Of the processor, because others share the machine.
    assert time.thread_time() - before < 5.0


def test_no_comparison_costs_without_end() -> None:
    parts = [{"type": "WILDCARD", "value": f"{n}*"} for n in range(100)]
    one, other = compiled("ANY", parts), compiled("ALL", [{"type": "ANY", "value": parts}] * 2)
    before = time.thread_time()
    assert not implies(other, one, Steps(100))
    assert implies(one, other, Steps())
    # Of the processor, because others share the machine.
    assert time.thread_time() - before < 5.0


class TestTools:
    @pytest.mark.parametrize(
        ("pointer", "path"),
        [("", ()), ("/", ("",)), ("/a~1b/~0c", ("a/b", "~c")), ("/a/0", ("a", "0"))],
    )
    def test_pointers(self, pointer: str, path: tuple[str, ...]) -> None:
        assert parse_pointer(pointer) == path

    @pytest.mark.parametrize("pointer", ["a", "/~", "/~2", "/a/~", "x/y", "/" + "a" * 512, "/a" * 17])
    def test_what_is_no_pointer(self, pointer: str) -> None:
        with pytest.raises(GrantError) as refused:
            parse_pointer(pointer)
        assert refused.value.reason is Reason.DELEGATION_MALFORMED

    @pytest.mark.parametrize(
        ("pointers", "args", "fault"),
        [
            (["/a"], {"a": 1}, None),
            (["/a"], {"a": {"deep": [1]}}, None),
            (["/a"], {"a": 1, "b": 1}, "`/*` is not named"),
            (["/a"], {}, "`/a` is missing"),
            (["/a"], {"a": 1, "": 2}, "`/*` is not named"),
            (["/a/b"], {"a": {"b": 1}}, None),
            (["/a/b"], {"a": {"b": 1, "c": 1}}, "`/a/*` is not named"),
            (["/a/b"], {"a": 1}, "`/a/b` is missing"),
            (["/a/0"], {"a": [1]}, None),
            (["/a/0"], {"a": [1, 2]}, "`/a/*` is not named"),
            (["/a/1"], {"a": [1]}, "`/a/1` is missing"),
            (["/a/0"], {"a": {"0": 1}}, None),
            (["/a/00"], {"a": [1]}, "`/a/00` is missing"),
            (["/a/-"], {"a": [1]}, "`/a/-` is missing"),
            (["/a/0/b", "/c"], {"a": [{"b": 1}], "c": 2}, None),
            (["/a/0/b", "/c"], {"a": [{"b": 1}, {}], "c": 2}, "`/a/*` is not named"),
            (["/a", "/a/b"], {"a": {"b": 1, "c": 1}}, None),
            (["/a", "/a/b"], {"a": {"c": 1}}, "`/a/b` is missing"),
            (["/x~1y"], {"x/y": 1}, None),
            ([""], {"anything": 1}, None),
        ],
    )
    def test_a_tool_with_a_bound_is_a_closed_world(
        self, pointers: list[str], args: dict[str, Any], fault: str | None
    ) -> None:
        ready = compile_tool(tool("s", "t", *(bound(pointer, "ALL", []) for pointer in pointers)))
        found = ready.fault(args)
        assert (found is None) if fault is None else (found or "").startswith(fault)

    def test_without_bounds_arguments_are_free(self) -> None:
        assert compile_tool(tool("s", "t")).fault({"anything": 1}) is None

    def test_all_bounds_on_one_argument_count(self) -> None:
        ready = compile_tool(tool("s", "t", bound("/n", "RANGE", {"min": 1}), bound("/n", "RANGE", {"max": 5})))
        assert [ready.fault({"n": n}) is None for n in (0, 1, 5, 6)] == [False, True, True, False]

    @pytest.mark.parametrize(("server_id", "name"), [("", "t"), ("s", ""), ("*", "t")])
    def test_what_names_no_tool(self, server_id: str, name: str) -> None:
        with pytest.raises(GrantError, match="does not name a tool"):
            compile_tool(tool(server_id, name))

    def test_too_many_bounds(self) -> None:
        with pytest.raises(GrantError, match="33 bounds on one tool"):
            compile_tool(tool("s", "t", *(bound(f"/{n}", "EXACT", 1) for n in range(33))))


def test_no_pattern_matches_what_nobody_sees() -> None:
    """Every control and format character that Unicode knows of here."""
    anything = compiled("WILDCARD", "*")
    unseen = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in {"Cc", "Cf", "Zl", "Zp"}]
    assert [char for char in unseen if anything.admits(f"a{char}b")] == []
