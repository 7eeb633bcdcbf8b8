"""`texts()`: whatever a value holds."""

from __future__ import annotations

from typing import Any

from tests.unit.policy.conditions import error, value


def test_every_text_however_deep() -> None:
    deep: Any = {"a": [{"b": ["c", 1, None, True, 2.5]}, "d"]}
    assert sorted(value("texts(args.x)", x=deep)) == ["a", "b", "c", "d"]
    assert value("texts(args.x)", x="a") == ["a"]
    assert value("texts(args.x)", x=1) == value("texts(args.x)", x=[]) == value("texts(args.x)", x=None) == []
    assert value("texts(args).exists(t, t.matches('^AKIA'))", to=["x", {"y": "AKIA0000"}]) is True
    nested: Any = "deep"
    for _ in range(2_000):
        nested = [nested]
    assert value("texts(args.x)", x=nested) == ["deep"]


def test_bounds() -> None:
    assert len(value("texts(args.x)", x=["a"] * 5_000)) == 5_000
    for much in (["a"] * 5_001, ["a" * 500_001] * 2, [[]] * 20_001):
        assert error("texts(args.x).exists(t, t == 'b')", x=much) == "value contains too many texts"
    assert "unsupported type" in error("texts(args.x).exists(t, t == 'b')", x=[object()])
