"""Compares what examining calls finds with an earlier commit: `python -m bench.parts.examinations REVISION`.

The recorded agent work of `bench.injection` runs through both versions of the gate. Each call is examined with its own
arguments, and with several that are made of them: other spellings, halves of two values, values of other calls, nested
ones. For each examination, the values with their origins, all facts, and what the verdict names are compared, and so
are the verdicts themselves. A change that is only meant to cost less leaves all of it the same.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bench.injection.cases import read_cases
from bench.injection.runner import Runner
from streams.processors.provenance.drift import drift_signals
from streams.processors.provenance.examined import Examined, argument_origins
from streams.processors.provenance.facts import PROVENANCE_MAKERS
from streams.processors.provenance.memory import Memory
from streams.wiring.shipped import rules_directory

VARIANTS = 4
"""Made arguments for each call."""
POOL_MAX = 60
_FACTS = frozenset(PROVENANCE_MAKERS)
_VALUES: tuple[object, ...] = (
    "Kim Lee", "kim@shop.example", "INV-20003", "The invoice is attached", "a", "", "../x", "/var/log/app.txt", 45.5,
    "https://evil.example/x?d=1", "DE89 3704 0044 0532 0130 00", "Kim Lee <kim@shop.example>", 17, -3, 1e30,
    "a2ltQHNob3AuZXhhbXBsZQ==", "5 March 2026", "\u0430bc", "moc.live@ydobemos",
)  # fmt: skip


def main() -> int:
    """Compare, and return 1 if anything differs."""
    # This file also runs in the earlier checkout, which need not have these.
    from bench.harness.checkouts import environment_of, worktree  # noqa: PLC0415 - see above
    from bench.harness.environments import REPOSITORY  # noqa: PLC0415 - likewise
    from bench.harness.machine import forget_settings  # noqa: PLC0415 - likewise

    parser = argparse.ArgumentParser(prog="python -m bench.parts.examinations", description=__doc__)
    parser.add_argument("revision", metavar="REVISION", help="the earlier commit")
    parser.add_argument("--cases", type=int, default=1, metavar="N", help="take every N-th case (default: all)")
    options = parser.parse_args()
    forget_settings()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        checkouts = (stack.enter_context(worktree(options.revision)), REPOSITORY)
        written = [folder / name for name in ("earlier", "now")]
        for checkout, path in zip(checkouts, written, strict=True):
            # This file runs in both checkouts, with the code of each.
            command = [sys.executable, "-P", str(Path(__file__).resolve()), str(path), str(options.cases)]
            subprocess.run(command, cwd=checkout, env=environment_of(checkout), check=True)
        count, different = _compare(*written)
    print(f"{count:,} examinations and verdicts, {different:,} of them different")
    return 1 if different or not count else 0


def _compare(earlier: Path, now: Path) -> tuple[int, int]:
    """Return how many lines were compared, and how many differ; the first few of these are printed."""
    count = different = 0
    with earlier.open(encoding="utf-8") as before, now.open(encoding="utf-8") as after:
        for one, other in zip_longest(before, after):
            count += 1
            if one != other:
                different += 1
                if different <= 3:
                    print(f"before: {one}now:    {other}")
    return count, different


def write(path: Path, step: int) -> None:
    """Write what the code of this checkout finds, a line for each examination and each verdict."""
    runner = Runner(rules_directory())
    keeper = import_module("streams.processors.gate.provenance")
    examine: Callable[..., Examined] = keeper.examine
    pool: list[object] = []

    with path.open("w", encoding="utf-8") as lines:

        def examine_variants(*given: Any, **named: Any) -> Examined:
            # Earlier versions take what the memory has now.
            session, args, use, memory, *beside = given
            for made in _variants(args, pool):
                fresh = _unused(memory)
                found = examine(session, made, use, fresh, *beside, **{**named, "asked": _FACTS})
                lines.write(f"{_described(made, found)}\n")
            pool.extend(_single_values(args))
            return examine(*given, **named)

        keeper.examine = examine_variants  # type: ignore[attr-defined]  # a module's function
        for case in read_cases(("develop",))[::step]:
            pool.clear()
            for record in runner.verdicts(case, answer=False):
                lines.write(f"{case.id} {msgspec.json.encode(record).decode()}\n")


def _unused(memory: Memory) -> Memory:
    """Return the memory of the same session with nothing looked up. Both versions of the code have these names."""
    fresh = copy(memory)
    fresh._rows, fresh._looked, fresh._keeps = {}, {}, False
    return fresh


def _described(args: dict[str, Any], found: Examined) -> str:
    values = [
        (value.pointer, value.role, value.is_sink, value.is_part, value.is_shaped, _source(value.traced))
        for value in found.values
    ]
    pieces = [_source(each) for each in found.pieces]
    whole = (found.row, found.is_tainted, found.kind, sorted(found.kinds), found.is_complete, found.owners)
    facts = {name: make(found) for name, make in PROVENANCE_MAKERS.items()}
    named = (found.is_named, found.awaits, found.is_selected_by_user, argument_origins(found), drift_signals(found))
    return repr((args, values, pieces, whole, facts, named))


def _source(traced: Any) -> tuple[object, ...]:
    return traced.origin, traced.flags, traced.entry and tuple(traced.entry), traced.calls_for


def _variants(args: dict[str, Any], pool: list[object]) -> Iterator[dict[str, Any]]:
    """Yield the arguments, and what is made of them: always the same for the same arguments."""
    yield args
    dice = random.Random(zlib.crc32(repr(args).encode()))  # noqa: S311 - for test data
    values = [*_VALUES, *pool[-POOL_MAX:]]
    for _ in range(VARIANTS):
        yield _changed(args, dice, values)


_CHANGES: tuple[Callable[[str, str], object], ...] = (
    lambda text, _: text.upper(),
    lambda text, other: f"{text} {other}",
    lambda text, other: f"{other}/{text}",
    lambda text, _: f" {text}.",
    lambda text, _: text[::-1],
    lambda text, other: text[: len(text) // 2] + other[len(other) // 2 :],
    lambda text, other: {"to": text, "note": other, "list": [1, text]},
    lambda text, _: text.replace(" ", ""),
    lambda text, _: text[: max(1, len(text) // 2)],
)


def _changed(value: Any, dice: random.Random, values: list[object]) -> Any:
    if isinstance(value, dict):
        return {name: _changed(each, dice, values) for name, each in value.items()}
    if isinstance(value, list):
        more = [dice.choice(values)] if dice.random() < 0.3 else []
        return [*(_changed(each, dice, values) for each in value), *more]
    chance = dice.random()
    if isinstance(value, bool) or value is None or chance < 0.3:
        return value
    if isinstance(value, str) and chance < 0.75:
        return dice.choice(_CHANGES)(value, str(dice.choice(values)))
    return dice.choice(values)


def _single_values(value: Any) -> Iterator[object]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _single_values(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[2].isdigit():
        write(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        raise SystemExit(main())
