"""What alerts are worth: recall, false alerts, time to detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.behaviour.judges import Detectors, Judge
from bench.behaviour.stops import Stops
from simulation.fleet.agents import DAY_MS, Planned
from simulation.fleet.fleet import LOUD


@dataclass(slots=True)
class Tally:
    """What a judge made of some fleets.

    Attributes:
        attacks: of each attack, by fleet and episode: its kind, its strength, how many alerts named one of its
            sessions, and how long after its first call the first of them came.
        odd: of each odd but honest episode, how many alerts it caused.
        honest_count: everyday calls, and `false_count` alerts about them, by name.
        odd_calls_count: calls of odd but honest episodes.
        stopped_count: honest calls, odd ones included, of sessions about which there was an alert before: those that
            would be stopped if somebody quarantined each of these sessions. No gate does.
        agent_days: agents times days.
        rules: of the calls that the shipped shadow rules would stop, how many are honest, by rule; `rules_count` how
            many honest calls those are, and `rules_attacks` of which attacks they would stop a call. It is all that
            behaviour stops.
    """

    attacks: dict[tuple[int, str], tuple[str, float, int, int | None]] = field(default_factory=dict)
    odd: dict[tuple[int, str], int] = field(default_factory=dict)
    honest_count: int = 0
    odd_calls_count: int = 0
    stopped_count: int = 0
    false_count: dict[str, int] = field(default_factory=dict)
    agent_days: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    rules_count: int = 0
    rules_attacks: set[tuple[int, str]] = field(default_factory=set)

    def recall(self, kind: str | None, *, is_loud: bool) -> tuple[int, int]:
        """Return how many attacks were found, of how many; of all kinds for None."""
        chosen = [
            count
            for each, strength, count, _ in self.attacks.values()
            if kind in (None, each) and (strength >= LOUD) is is_loud
        ]
        return sum(1 for count in chosen if count), len(chosen)

    def kinds(self) -> list[str]:
        """Return the kinds of attacks."""
        return sorted({kind for kind, *_ in self.attacks.values()})

    def delay_minutes(self, kind: str | None) -> float | None:
        """Return the median time to detection; None if nothing was found."""
        found = [late for each, _, _, late in self.attacks.values() if late is not None and kind in (None, each)]
        return round(median(found) / 60_000, 1) if found else None

    @property
    def false_per_10k(self) -> float:
        """Alerts about everyday calls, in 10,000 of them."""
        return 1e4 * sum(self.false_count.values()) / max(1, self.honest_count)

    @property
    def stopped_per_10k(self) -> float:
        """Honest calls that would be stopped if each alert quarantined its session, in 10,000 of them."""
        return 1e4 * self.stopped_count / max(1, self.honest_count + self.odd_calls_count)

    @property
    def rules_per_10k(self) -> float:
        """Honest calls that the shipped shadow rules would stop, in 10,000 of them."""
        return 1e4 * self.rules_count / max(1, self.honest_count + self.odd_calls_count)

    def stopped_attacks(self, *, is_loud: bool) -> tuple[int, int]:
        """Return of how many attacks the shipped shadow rules would stop a call, of how many."""
        chosen = [key for key, (_, strength, _, _) in self.attacks.items() if (strength >= LOUD) is is_loud]
        return sum(key in self.rules_attacks for key in chosen), len(chosen)

    @property
    def further_per_incident(self) -> float:
        """Alerts after the first one about the same attack, on average."""
        counts = [count for *_, count, _ in self.attacks.values() if count]
        return sum(count - 1 for count in counts) / max(1, len(counts))

    @property
    def odd_share(self) -> float:
        """The share of odd but honest episodes that caused an alert."""
        return sum(1 for count in self.odd.values() if count) / max(1, len(self.odd))


def judge_fleet(judge: Judge, seed: int, fleet: Sequence[Planned], tally: Tally, stops: Stops | None = None) -> None:
    """Let a judge see a fleet, and add what it made of it to the tally.

    Args:
        judge: what raises alerts.
        seed: tells the fleet apart.
        fleet: what it does.
        tally: changed.
        stops: a gate behind the detectors, if it is to be asked what it would stop.
    """
    begins: dict[str, int] = {}
    sessions = {}
    for planned in fleet:
        if planned.is_attack:
            begins.setdefault(planned.episode, planned.activity.time_ms)
            sessions[planned.activity.session] = planned
            tally.attacks.setdefault((seed, planned.episode), (planned.kind, planned.strength, 0, None))
        elif planned.episode:
            tally.odd.setdefault((seed, planned.episode), 0)
            tally.odd_calls_count += 1
        else:
            tally.honest_count += 1
    agents = {planned.activity.agent for planned in fleet}
    tally.agent_days += len(agents) * ((fleet[-1].activity.time_ms - fleet[0].activity.time_ms) // DAY_MS + 1)
    alarmed: set[str] = set()
    for planned in fleet:
        session = planned.activity.session
        tally.stopped_count += session in alarmed and session not in sessions
        if stops is not None:
            _stop(stops, planned, seed, sessions, tally)
        for name in judge.alerts(planned.activity):
            alarmed.add(session)
            _count(planned, name, seed, sessions, begins, tally)
        if stops is not None and isinstance(judge, Detectors):
            stops.learn(planned.activity, judge.observed)


def _stop(stops: Stops, planned: Planned, seed: int, sessions: dict[str, Planned], tally: Tally) -> None:
    names = stops.stopped_by(planned.activity)
    attack = sessions.get(planned.activity.session)
    if names and attack is not None:
        tally.rules_attacks.add((seed, attack.episode))
    elif names:
        tally.rules_count += 1
        for name in names:
            tally.rules[name] = tally.rules.get(name, 0) + 1


def _count(
    planned: Planned, name: str, seed: int, sessions: dict[str, Planned], begins: dict[str, int], tally: Tally
) -> None:
    attack = sessions.get(planned.activity.session)
    if attack is not None:
        kind, strength, count, late = tally.attacks[seed, attack.episode]
        since_ms = max(0, planned.activity.time_ms - begins[attack.episode])
        tally.attacks[seed, attack.episode] = (kind, strength, count + 1, since_ms if late is None else late)
    elif planned.episode:
        tally.odd[seed, planned.episode] += 1
    else:
        tally.false_count[name] = tally.false_count.get(name, 0) + 1
