"""Copies in which modules are compiled: records stay Python, and all else of a module is left for the compiler."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from scripts.compiled import REPOSITORY, compiled_modules, split_records
from streams.behaviour.detectors.registry import DETECTORS

MODULE = '''"""Counts."""

from __future__ import annotations

import msgspec


class Count(msgspec.Struct, frozen=True, array_like=True):
    """A count, or none."""

    count: int | None = None

    def more(self) -> Count:
        """Return one more."""
        return Count(one_more(self.count or 0))


class Counter:
    """Counts."""

    def last(self) -> Count:
        """Return the last count."""
        return Count(one_more(1)).more()


def one_more(count: int) -> int:
    """Return one more."""
    return count + 1
'''


def test_records_are_those_of_a_copy_that_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "counted"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "counts.py").write_text(MODULE)
    split_records(tmp_path, "counted/counts.py")
    monkeypatch.syspath_prepend(tmp_path)
    counts = importlib.import_module("counted.counts")
    assert counts.Count is sys.modules["counted._py_counts"].Count
    assert counts.Counter is not sys.modules["counted._py_counts"].Counter
    assert counts.Counter().last() == counts.Count(3)


def test_a_module_without_records_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("def one() -> int:\n    return 1\n")
    split_records(tmp_path, "plain.py")
    assert [path.name for path in tmp_path.iterdir()] == ["plain.py"]
    assert (tmp_path / "plain.py").read_text() == "def one() -> int:\n    return 1\n"


@pytest.mark.parametrize("module", compiled_modules())
def test_no_record_of_a_listed_module_is_compiled(module: str, tmp_path: Path) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    text = (REPOSITORY / module).read_text()
    path.write_text(text)
    split_records(tmp_path, module)
    left = {each.name for each in ast.parse(path.read_text()).body if isinstance(each, ast.ClassDef)}
    classes = {each.name: each for each in ast.parse(text).body if isinstance(each, ast.ClassDef)}
    # Keywords of a class are what is lost when it is compiled.
    assert not [name for name in left if classes[name].keywords]
    assert {each.name for each in ast.parse(path.read_text()).body if isinstance(each, ast.FunctionDef)} == {
        each.name for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)
    }


def test_all_detectors_are_compiled_as_what_they_inherit_from_is() -> None:
    """A class that is not compiled can't inherit from one that is, so a watch with one left out would not start."""
    modules = {f"{kind.__module__.replace('.', '/')}.py" for kind in DETECTORS.values()}
    assert modules <= set(compiled_modules())


@pytest.mark.parametrize("module", compiled_modules())
def test_no_set_of_a_listed_module_is_joined_with_the_keys_of_a_mapping(module: str) -> None:
    """mypy says that a frozen set stays one, and Python makes a set: compiled code raises an error where it gets it."""
    joined = [each for each in ast.walk(ast.parse((REPOSITORY / module).read_text())) if isinstance(each, ast.BinOp)]
    operands = [operand for each in joined for operand in (each.left, each.right)]
    functions = [each.func for each in operands if isinstance(each, ast.Call)]
    assert not [each for each in functions if isinstance(each, ast.Attribute) and each.attr in {"keys", "items"}]


@pytest.mark.parametrize("kind", DETECTORS.values(), ids=lambda kind: kind.__name__)
def test_rows_of_a_detector_have_the_type_that_they_are_inherited_with(kind: type) -> None:
    """mypyc rejects an attribute whose type is not that of the base class; mypy takes tuples of other lengths."""
    inherited = [each for each in kind.__mro__[1:] if "row_types" in vars(each)]
    if "row_types" in vars(kind) and inherited:
        assert all("row_types" in each.__annotations__ for each in (kind, *inherited))
