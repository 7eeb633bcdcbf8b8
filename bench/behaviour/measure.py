"""Measure the detectors on fleets that they were not calibrated on, beside a static rate limit and a z-score."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from bench.behaviour.engine_cost import DECISIONS, QUICK_DECISIONS, us_per_decision
from bench.behaviour.figures import Tally, judge_fleet
from bench.behaviour.judges import Detectors, Judge, RateLimit, ZScore
from bench.behaviour.processes import signals_in_gate, watch_on_kafka
from bench.behaviour.stops import Stops
from simulation.bureau.bureau import SIZE, Size, make_bureau
from simulation.fleet.agents import Planned
from simulation.fleet.announced import notices_of
from simulation.fleet.fleet import PLAN, Plan, make_fleet
from simulation.fleet.habits import HABITS, OFFICE
from streams.cli.version import is_compiled
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.services.gate.heap import settle_heap
from streams.wiring.shipped import rules_directory

CALIBRATED_ON = (1, 2, 3, 4)
"""Fleets that thresholds were chosen by."""
REPORTED_ON = (101, 102, 103, 104)
OTHER_FLEETS_ON = (201, 202)
"""Seeds of the fleets with other habits and sizes, of which none was used for calibration."""
SIZES = (10, 80)
"""Agents of fleets that are smaller and larger than those for calibration."""
FALSE_PER_10K_MAX = 1.0
RATE_LIMITS = (60, 90, 120, 150, 200, 250, 300, 400, 600)
Z_LIMITS = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0)

BUREAUS: Mapping[str, Size] = MappingProxyType({"bureau": SIZE, "bureau, new nights": Size(has_new_nights=True)})
"""Fleets of the second generator."""

ANNOUNCED_SHARE = 0.7
"""How many of the batches that somebody has ordered are announced, in the fleets in which any are."""
ANNOUNCED: Mapping[str, str] = MappingProxyType(
    {"more odd work, announced": "more odd work", "bureau, announced": "bureau"}
)
"""Names of these fleets, and which fleets they are."""

QUICK_PLAN = Plan(agents_count=12, days_count=10, quiet_days_count=5, attacks_each=1)


def run(*, quick: bool = False) -> dict[str, Any]:
    """Return the figures of all judges."""
    plan, reported = (QUICK_PLAN, REPORTED_ON[:1]) if quick else (PLAN, REPORTED_ON)
    calibrated = CALIBRATED_ON[:1] if quick else CALIBRATED_ON
    others = OTHER_FLEETS_ON[:1] if quick else OTHER_FLEETS_ON
    limits = _chosen_limits(calibrated, plan)
    files = parse_behaviour(load_detector_files(rules_directory()))
    makers: dict[str, Callable[[], Judge]] = {
        "detectors": lambda: Detectors(files.declared),
        f"{limits['rate']:.0f} calls an hour": lambda: RateLimit(limits["rate"]),
        f"z-score of {limits['z']:.0f}": lambda: ZScore(limits["z"]),
    }
    tallies, stopped = {name: Tally() for name in makers}, Tally()
    cost = {"events": 0, "seconds": 0.0, "rows": 0, "bytes": 0, "agents": 0, "sessions": 0}
    for seed in reported:
        fleet = make_fleet(seed, plan)
        judge_fleet(Detectors(files.declared), seed, fleet, stopped, Stops())
        for name, make in makers.items():
            judge = make()
            # As the process of a watch does.
            settle_heap()
            begin = time.process_time()
            judge_fleet(judge, seed, fleet, tallies[name])
            if isinstance(judge, Detectors):
                cost["seconds"] += time.process_time() - begin
                cost["events"] += len(fleet)
                rows = judge.rows
                cost["rows"] += len(rows)
                cost["bytes"] += sum(len(key) + len(row) for key, row in rows.items())
                cost["agents"] += len({each.activity.agent for each in fleet})
                cost["sessions"] += len({each.activity.session for each in fleet})
    return {
        "calibrated_on": list(calibrated),
        "reported_on": list(reported),
        "judges": {
            name: _figures(tally) | (_rules(stopped) if name == "detectors" else {}) for name, tally in tallies.items()
        },
        "is_compiled": is_compiled(),
        "others_on": list(others),
        "others": _other_fleets(files, plan, others, quick=quick),
        "cost": {
            "us_per_decision": us_per_decision(
                make_fleet(reported[0], plan), files, QUICK_DECISIONS if quick else DECISIONS
            ),
            "us_per_event": round(1e6 * cost["seconds"] / cost["events"], 1),
            "bytes_per_agent": round(cost["bytes"] / cost["agents"]),
            "bytes_per_session": round(cost["bytes"] / cost["sessions"]),
            "rows_per_agent": round(cost["rows"] / cost["agents"]),
            "events": cost["events"],
        },
        # Processes and a broker take minutes.
        "processes": None
        if quick
        else {"watch": watch_on_kafka(make_fleet(reported[0], plan)), "gate": signals_in_gate()},
    }


def _other_fleets(files: BehaviourFiles, plan: Plan, seeds: Sequence[int], *, quick: bool) -> dict[str, dict[str, Any]]:
    """Return the figures of the detectors on fleets that are unlike those for calibration."""
    plans = {name: plan._replace(habits=habits) for name, habits in HABITS.items() if habits is not OFFICE}
    plans |= {f"{count} agents": plan._replace(agents_count=count) for count in SIZES}
    makers: dict[str, Callable[[int], list[Planned]]] = {
        name: partial(make_fleet, plan=its_plan) for name, its_plan in plans.items()
    }
    makers |= {name: partial(make_bureau, size=size) for name, size in BUREAUS.items()}
    makers |= {name: makers[of] for name, of in ANNOUNCED.items()}
    if quick:
        makers = dict(list(makers.items())[:1])
    found = {}
    for name, make in makers.items():
        tally = Tally()
        for seed in seeds:
            fleet = make(seed)
            notices = notices_of(fleet, ANNOUNCED_SHARE, seed) if name in ANNOUNCED else ()
            judge_fleet(Detectors(files.declared, notices), seed, fleet, tally, Stops())
        found[name] = _figures(tally) | _rules(tally)
    return found


def _chosen_limits(seeds: Sequence[int], plan: Plan) -> dict[str, float]:
    """Return the strictest limits of the simple judges that keep to the allowed false alerts."""
    fleets = [(seed, make_fleet(seed, plan)) for seed in seeds]
    chosen: dict[str, float] = {}
    simple: dict[str, tuple[Callable[[float], Judge], Sequence[float]]] = {
        "rate": (RateLimit, RATE_LIMITS),
        "z": (ZScore, Z_LIMITS),
    }
    for name, (make, limits) in simple.items():
        for limit in limits:
            tally = Tally()
            for seed, fleet in fleets:
                judge_fleet(make(limit), seed, fleet, tally)
            chosen[name] = limit
            if tally.false_per_10k <= FALSE_PER_10K_MAX:
                break
    return chosen


def _rules(tally: Tally) -> dict[str, Any]:
    """Return what the shipped shadow rules would have stopped."""
    return {
        "rules_per_10k": round(tally.rules_per_10k, 2),
        "rules_by_name": dict(sorted(tally.rules.items())),
        "rules_attacks": (tally.stopped_attacks(is_loud=True), tally.stopped_attacks(is_loud=False)),
    }


def _figures(tally: Tally) -> dict[str, Any]:
    kinds = {
        kind: {
            "loud": tally.recall(kind, is_loud=True),
            "stealthy": tally.recall(kind, is_loud=False),
            "minutes": tally.delay_minutes(kind),
        }
        for kind in tally.kinds()
    }
    return {
        "kinds": kinds,
        "loud": tally.recall(None, is_loud=True),
        "stealthy": tally.recall(None, is_loud=False),
        "minutes": tally.delay_minutes(None),
        "false_per_10k": round(tally.false_per_10k, 2),
        "false_per_agent_day": round(sum(tally.false_count.values()) / tally.agent_days, 4),
        "stopped_per_10k": round(tally.stopped_per_10k, 2),
        "odd_alarmed": round(tally.odd_share, 3),
        "odd_count": len(tally.odd),
        "further_per_incident": round(tally.further_per_incident, 2),
        "honest_calls": tally.honest_count,
        "false_by_name": dict(sorted(tally.false_count.items())),
    }
