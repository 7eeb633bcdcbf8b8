"""Make a copy of this checkout in which some modules are compiled: `python -m scripts.compiled FOLDER`.

mypyc compiles the modules that `tool.stoplog.compiled` in `pyproject.toml` lists. This checkout stays as it is, and
what it installs stays Python. The copy is for measurements and for comparisons of what both versions write (ADR 0119),
and with `--wheel DIST` a wheel for this platform and version of Python is built from it.

**Records stay Python.** msgspec makes the class of a record from its keywords and annotations, and mypyc passes on
neither. So a compiled module takes its records from a copy of itself beside it, `_py_NAME.py`, which is not compiled.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parents[1]
COPIED = (
    "streams",
    "simulation",
    "bench",
    "scripts",
    "tests",
    "examples",
    "schemas",
    "rules",
    "shadow_rules",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
HOOK = "scripts/compiled_wheel_hook.py"
CODEC_FUNCTIONS = "streams/codec/ready_made.py"
"""What `scripts.codec_functions` writes."""
TESTS = (
    "tests/unit/behaviour",
    "tests/unit/processors/watch",
    "tests/unit/engine",
    "tests/unit/codec/test_ready_made.py",
    "tests/property/test_behaviour.py",
)
"""Tests of the compiled modules."""
TEST_S_MAX = 900
RECORD_BASES = frozenset({"Struct", "Record", "NamedTuple", "Enum", "IntEnum", "StrEnum"})
BUILD_S_MAX = 1_800
_BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import Distribution
modules = mypycify(["--config-file", "pyproject.toml", *sys.argv[1:]], debug_level="0")
build = Distribution({"name": "stoplog-compiled", "ext_modules": modules}).get_command_obj("build_ext")
build.inplace = True
build.ensure_finalized()
build.run()
"""


class BuildError(Exception):
    """The modules can't be compiled."""


def compiled_modules(root: Path = REPOSITORY) -> tuple[str, ...]:
    """Return the files of the modules that are compiled, as `pyproject.toml` of a checkout lists them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    return tuple(settings["tool"]["stoplog"]["compiled"])


def make_compiled(folder: Path) -> Path:
    """Copy this checkout and compile the listed modules of the copy. Takes some minutes, and needs a C compiler.

    Args:
        folder: where the copy goes. It must not exist.

    Returns:
        The folder.

    Raises:
        BuildError: the modules can't be compiled.
        FileExistsError: the folder exists.
    """
    folder.mkdir(parents=True)
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    modules = compiled_modules(folder)
    _run_python("-m", "scripts.codec_functions", CODEC_FUNCTIONS, folder=folder)
    for module in modules:
        split_records(folder, module)
    _run_python("-c", _BUILD, *modules, folder=folder)
    return folder


def make_wheel(folder: Path, dist: Path) -> None:
    """Build a wheel from a folder of `make_compiled`.

    Args:
        folder: the folder; its `pyproject.toml` names a build hook from then on.
        dist: where the wheel goes.

    Raises:
        BuildError: the wheel can't be built.
    """
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write(f'\n[tool.hatch.build.targets.wheel.hooks.custom]\npath = "{HOOK}"\n')
    _run_python("-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist.resolve()), folder=folder)


def passes_tests(folder: Path) -> bool:
    """Run the tests of the compiled modules in a folder of `make_compiled`, and return whether they pass.

    Left out are those that replace functions of these modules: compiled functions call each other directly.
    """
    done = subprocess.run(  # noqa: S603 - a tool of ours, and file names of this checkout
        [sys.executable, "-m", "pytest", "--quiet", "-m", "not interpreted", *TESTS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        timeout=TEST_S_MAX,
        check=False,
    )
    return done.returncode == 0


def _run_python(*arguments: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own script, a tool of ours, and file names of this checkout
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S_MAX,
        check=False,
    )
    if done.returncode:
        raise BuildError("\n".join(_errors(done.stdout)))


def split_records(root: Path, module: str) -> None:
    """Let a module take its records from a copy of itself that is not compiled.

    Args:
        root: the checkout of the module; changed.
        module: its file.
    """
    path = root / module
    text = path.read_text()
    records = [each for each in ast.parse(text).body if isinstance(each, ast.ClassDef) and _is_record(each)]
    if not records:
        return
    twin = path.with_name(f"_py_{path.name}")
    twin.write_text(text)
    name = ".".join(twin.relative_to(root).with_suffix("").parts)
    lines = text.splitlines()
    for record in reversed(records):
        lines[record.lineno - 1 : record.end_lineno] = [f"from {name} import {record.name} as {record.name}"]
    path.write_text("\n".join(lines) + "\n")


def _is_record(each: ast.ClassDef) -> bool:
    names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in each.bases}
    return not RECORD_BASES.isdisjoint(names)


def _errors(output: str) -> Iterator[str]:
    """Yield the lines of a build's output that say what is wrong; all of them if none does."""
    lines = output.splitlines()
    found = [line for line in lines if "error" in line.lower()]
    yield from found or lines


def main() -> int:
    """Make the copy and perhaps a wheel; return the exit status, 1 if tests of the compiled modules fail."""
    parser = argparse.ArgumentParser(prog="python -m scripts.compiled", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where the copy goes; it must not exist (default: nowhere)"
    )
    parser.add_argument("--wheel", type=Path, metavar="DIST", help="also build a wheel from it, into this folder")
    parser.add_argument("--test", action="store_true", help="run the tests of the compiled modules")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary) / "compiled").resolve()
        try:
            make_compiled(folder)
            if options.wheel is not None:
                make_wheel(folder, options.wheel)
        except (BuildError, FileExistsError) as error:
            parser.error(str(error))
        sys.stdout.write(f"{len(compiled_modules(folder))} modules are compiled\n")
        return 0 if not options.test or passes_tests(folder) else 1


if __name__ == "__main__":
    raise SystemExit(main())
