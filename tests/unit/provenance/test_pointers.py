"""Paths in arguments and results: what they cover, and what they find."""

from __future__ import annotations

import pytest

from streams.provenance.pointers import Paths, PathTable, leaves, values_at

CALL = {"to": ["a@x", "b@x"], "items": [{"address": "here", "n": 1}, {"n": 2}, {"address": "there"}], "a/b": {"~": 1}}


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/to", "/to"),
        ("/to", "/to/0"),
        ("/to/*", "/to/1"),
        ("to", "/to"),
        ("/items/*/address", "/items/2/address"),
        ("/items/*/address", "/items/0/address/street"),
        ("/a~1b", "/a~1b/~0"),
        ("/*", "/anything"),
        ("", "/anything"),
    ],
)
def test_a_path_covers_its_place_and_what_lies_below(path: str, pointer: str) -> None:
    assert Paths([path]).cover(pointer)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/to", "/too"),
        ("/to", "/x/to"),
        ("/to/*", "/to"),
        ("/items/*/address", "/items/address"),
        ("/items/*/address", "/items/0/n"),
        ("/items/*/address", "/items/0/1/address"),
        ("/a.c", "/abc"),
    ],
)
def test_a_path_covers_nothing_else(path: str, pointer: str) -> None:
    assert not Paths([path]).cover(pointer)
    assert not Paths([]).cover(pointer)


def test_a_table_gives_the_value_of_the_most_exact_path() -> None:
    table = PathTable({"/items": 1, "/items/*/address": 2, "/items/0/address": 3, "to": 4})
    assert [table.get(place) for place in ("/items/0/address", "/items/1/address", "/items/1/n", "/to/0", "/cc")] == [
        3,
        2,
        1,
        4,
        None,
    ]


def test_values_are_found_at_every_member() -> None:
    assert list(values_at(CALL, "/items/*/address")) == [("/items/0/address", "here"), ("/items/2/address", "there")]
    assert list(values_at(CALL, "/to/1")) == [("/to/1", "b@x")]
    assert list(values_at(CALL, "/a~1b/~0")) == [("/a~1b/~0", 1)]
    assert list(values_at(CALL, "/to/7")) == list(values_at(CALL, "/none/*")) == []


def test_every_leaf_has_a_pointer_that_finds_it() -> None:
    assert [value for pointer, value in leaves(CALL) for _, value in values_at(CALL, pointer)] == [
        value for _, value in leaves(CALL)
    ]
