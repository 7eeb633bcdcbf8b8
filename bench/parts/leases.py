"""Measures how much of a shared budget is spent before the first refusal on slow clusters: `python -m bench leases`.

Gates and budget allocators run in virtual time (`simulation/slow_cluster.py`), so that the figures are the same on
every machine. A budget of 3,000 is shared by all sessions, and the intents ask for more than that.
"""

from __future__ import annotations

from typing import Any

from simulation.slow_cluster import Load, SlowCluster
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.model.reasons import Reason

GATES = (2, 4)
COMMITS_MS = (10, 100, 300)
LOADS: dict[str, dict[str, Any]] = {
    "400 intents/s of 1": {},
    "1,000 intents/s of 1": {"intents_per_s": 1_000, "intents": 8_000, "sessions": 192},
    "400 intents/s of 1, 5 or 20": {"amounts": (1, 5, 20), "intents": 1_500},
}


def main() -> None:
    """Print the table."""
    wire = CodecWire(Codec(CommittedSchemas.load()))
    print(
        f"{'load':<29}{'gates':>6}{'commit ms':>11}{'spent before':>14}{'spent':>8}{'unavailable':>13}"
        f"{'median ms':>11}{'slowest ms':>12}"
    )
    print(f"{'':<29}{'':>6}{'':>11}{'a refusal %':>14}{'%':>8}")
    for name, more in LOADS.items():
        for gates in GATES:
            for commit_ms in COMMITS_MS:
                load = Load(commit_ms, gates)._replace(**more)
                spending = SlowCluster(load, wire).run()
                print(
                    f"{name:<29}{gates:>6}{commit_ms:>11}{100 * spending.before_refusal / load.limit:>14.1f}"
                    f"{100 * spending.spent / load.limit:>8.1f}"
                    f"{spending.reasons[Reason.BUDGET_UNAVAILABLE.value]:>13}{spending.median_ms:>11}{spending.waited_ms:>12}"
                )


if __name__ == "__main__":
    main()
