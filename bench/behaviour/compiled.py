"""`python -m bench.behaviour.compiled`: what compiled modules give the watch, and whether it writes the same.

The checkout is copied, and the modules that `pyproject.toml` lists are compiled there (`scripts.compiled`), which needs
a C compiler. Both versions judge the same fleet in turns (`bench.harness.turns`), and the median of the ratios counts.
Then both play two fleets to their ends, and everything that they write is compared (`bench.behaviour.outcomes`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.harness.checkouts import environment_of
from bench.harness.child import Child
from bench.harness.environments import REPOSITORY
from bench.harness.turns import take_turns
from scripts.compiled import make_compiled

SEED = 101
WARM_UP, COUNTED, TURNS = 2_000, 500, 13
DECISIONS = 4_000
PARTS = ("detectors", "watch")
OUTCOMES_S_MAX = 600


def ratios_of(part: str, compiled: Path, turns: int = TURNS) -> tuple[float, float, float]:
    """Return the CPU time of a decision in us, of Python and compiled, and how many times as fast compiled is.

    Args:
        part: one of `PARTS`: the detectors alone, or both workers of the watch on a log in memory.
        compiled: a checkout with compiled modules.
        turns: how many turns of each count.
    """
    order = {"part": part, "seed": SEED, "counts": [WARM_UP, *[COUNTED] * turns]}
    with ExitStack() as stack:
        children = [
            stack.enter_context(Child("bench.behaviour.turn_child", order, checkout=checkout))
            for checkout in (REPOSITORY, compiled)
        ]
        pairs = take_turns(children, _turn_us, turns)
    plain, quick = (median(took_us) for took_us in zip(*pairs, strict=True))
    return plain, quick, median(plain_us / quick_us for plain_us, quick_us in pairs)


def _turn_us(child: Child) -> float:
    child.wait_ready()
    child.begin()
    return float(child.output.readline())


def outcomes_of(checkout: Path, decisions: int = DECISIONS) -> str:
    """Return the digests of everything that the watch of a checkout writes about two fleets."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.behaviour.outcomes", "--decisions", str(decisions)],
        cwd=checkout,
        env=environment_of(checkout),
        stdout=subprocess.PIPE,
        text=True,
        timeout=OUTCOMES_S_MAX,
        check=True,
    )
    return done.stdout


def main() -> int:
    """Compile, measure, compare and print; return the exit status, 1 if both versions don't write the same."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.behaviour.compiled", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--compiled", type=Path, help="a folder that `python -m scripts.compiled` has made")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        compiled = (options.compiled or make_compiled(Path(folder) / "compiled")).resolve()
        for part in PARTS:
            plain, quick, ratio = ratios_of(part, compiled)
            print(f"{part:10} {plain:6.1f} us a decision, compiled {quick:6.1f} us: {ratio:.2f} times as fast")
        is_same = outcomes_of(REPOSITORY) == outcomes_of(compiled)
    print("both write the same" if is_same else "they do NOT write the same")
    return 0 if is_same else 1


if __name__ == "__main__":
    raise SystemExit(main())
