"""`python -m bench.behaviour.missed`: which loud attacks no alert named, and how far each detector was from one.

It runs on seeds for calibration only. Of each attack that was missed it prints what the agent did, and the strongest
signals about its sessions, as shares of their thresholds. What a table counts can then be read one by one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.behaviour.figures import Tally, judge_fleet
from bench.behaviour.judges import Detectors
from bench.behaviour.measure import CALIBRATED_ON, _figures
from simulation.bureau.bureau import make_bureau
from simulation.fleet.agents import Planned
from simulation.fleet.fleet import LOUD, PLAN, Plan, make_fleet
from simulation.fleet.habits import HABITS
from streams.behaviour.activity import Activity
from streams.behaviour.signals import Signal
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.wiring.shipped import rules_directory

SIGNALS_SHOWN = 6
BUREAU = "bureau"


@dataclass(slots=True)
class Trace:
    """What a session's calls were, and the strongest signal of each detector about them."""

    tools: Counter[str] = field(default_factory=Counter)
    strongest: dict[str, Signal] = field(default_factory=dict)
    quiet_count: int = 0


class Traced(Detectors):
    """The detectors, and what they saw of each session."""

    traces: dict[str, Trace]

    def alerts(self, activity: Activity) -> tuple[str, ...]:
        """Return the names of the findings."""
        names = super().alerts(activity)
        trace = self.traces.setdefault(activity.session, Trace())
        trace.tools[activity.tool] += 1
        trace.quiet_count += self.observed.quiet_count
        for signal in self.observed.signals:
            before = trace.strongest.get(signal.name)
            if before is None or before.share < signal.share:
                trace.strongest[signal.name] = signal
        return names


def described(calls: Sequence[Planned], traces: dict[str, Trace]) -> Iterator[str]:
    """Yield lines about an attack.

    Args:
        calls: the calls of the attack.
        traces: what was seen of each session.
    """
    first, last = (datetime.fromtimestamp(calls[at].activity.time_ms / 1e3, UTC) for at in (0, -1))
    sessions = dict.fromkeys(each.activity.session for each in calls)
    tools, strongest = Counter[str](), dict[str, Signal]()
    for session in sessions:
        trace = traces[session]
        tools += trace.tools
        for name, signal in trace.strongest.items():
            if name not in strongest or strongest[name].share < signal.share:
                strongest[name] = signal
    quiet = sum(traces[session].quiet_count for session in sessions)
    agents = sorted({each.activity.agent for each in calls})
    yield (
        f"{calls[0].kind} of {', '.join(agents)}: {len(calls)} calls in {len(sessions)} sessions, "
        f"{first:%a %d %H:%M} to {last:%a %d %H:%M}, {quiet} findings quiet"
    )
    yield "  " + ", ".join(f"{count} {tool}" for tool, count in tools.most_common(5))
    for signal in sorted(strongest.values(), key=lambda each: -each.share)[:SIGNALS_SHOWN]:
        yield f"  {signal.share:.2f} {signal.name}: {signal.explain}"


def missed(name: str, seeds: Sequence[int], only: frozenset[str], plan: Plan = PLAN) -> tuple[Tally, list[str]]:
    """Return the figures of fleets with some habits, and lines about the loud attacks that were missed.

    Args:
        name: the habits, or the second generator.
        seeds: of the fleets.
        only: the kinds of attacks to describe; all if it is empty.
        plan: how large the fleets are.
    """
    declared = parse_behaviour(load_detector_files(rules_directory())).declared
    tally, lines, odd = Tally(), list[str](), Counter[str]()
    for seed in seeds:
        fleet = make_bureau(seed) if name == BUREAU else make_fleet(seed, plan._replace(habits=HABITS[name]))
        judge = Traced(declared)
        judge.traces = {}
        judge_fleet(judge, seed, fleet, tally)
        for (its_seed, episode), (kind, strength, count, _) in tally.attacks.items():
            if its_seed == seed and not count and strength >= LOUD and (not only or kind in only):
                calls = [each for each in fleet if each.episode == episode]
                lines += [f"[{name} {seed}]", *described(calls, judge.traces)]
        kinds = {each.episode: each.kind for each in fleet if each.episode and not each.is_attack}
        odd.update(kinds[episode] for (its_seed, episode), count in tally.odd.items() if its_seed == seed and count)
    return tally, [*lines, f"{name} odd work that alerted: {dict(odd)}"]


def main() -> None:
    """Print the misses of each kind of fleet."""
    parser = argparse.ArgumentParser(prog="python -m bench.behaviour.missed", description=__doc__)
    parser.add_argument("--habits", nargs="*", default=[*HABITS, BUREAU], help="which fleets (default: all)")
    parser.add_argument("--seeds", nargs="*", type=int, default=CALIBRATED_ON, help="seeds for calibration")
    parser.add_argument("--kinds", nargs="*", default=(), help="describe only these kinds of attacks")
    options = parser.parse_args()
    for name in options.habits:
        tally, lines = missed(name, options.seeds, frozenset(options.kinds))
        figures = _figures(tally)
        print("\n".join(lines))
        for strength in ("loud", "stealthy"):
            print(name, strength, figures[strength], {kind: each[strength] for kind, each in figures["kinds"].items()})
        shown = ("false_per_10k", "false_by_name", "odd_alarmed", "odd_count", "further_per_incident")
        print(name, {each: figures[each] for each in shown}, flush=True)


if __name__ == "__main__":
    main()
