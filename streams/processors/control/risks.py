"""Hold the risks that watches have published with the baselines of agents: by agent, by user, by type of agents.

A risk of a user is the highest one of a session of the user, with whatever agent. That of peers is the highest one of
another agent of the same type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.behaviour.profiles import Profile, RiskPoint

_PERCENT = 100
_PERCENT_MAX = 10_000

Source = tuple[str, str, str]
"""The snapshot that a risk comes from: tenant, agent and epoch."""
_Table = dict[tuple[str, str], dict[Source, RiskPoint]]


@dataclass
class Risks:
    """The published risks, by whom they are about."""

    _of_agents: _Table = field(default_factory=dict)
    _of_users: _Table = field(default_factory=dict)
    _of_types: _Table = field(default_factory=dict)
    _places: dict[Source, list[tuple[_Table, tuple[str, str]]]] = field(default_factory=dict)
    _types: dict[tuple[str, str], str] = field(default_factory=dict)

    def replace(self, source: Source, profile: Profile) -> None:
        """Hold the risks of a snapshot instead of those that it had before."""
        self.drop(source)
        tenant, agent, _ = source
        if profile.cohort:
            self._types[tenant, agent] = profile.cohort
        for point in profile.risks:
            if point.user:
                self._add(self._of_users, (tenant, point.user), source, point)
            else:
                self._add(self._of_agents, (tenant, agent), source, point)
                self._add(self._of_types, (tenant, profile.cohort), source, point)

    def drop(self, source: Source) -> None:
        """Forget the risks of a snapshot."""
        for table, name in self._places.pop(source, ()):
            points = table[name]
            del points[source]
            if not points:
                del table[name]

    def forget_agent(self, tenant: str, agent: str) -> None:
        """Forget the type of an agent of which no snapshot is held."""
        self._types.pop((tenant, agent), None)

    def clear(self) -> None:
        """Forget everything."""
        for table in (self._of_agents, self._of_users, self._of_types, self._places, self._types):
            table.clear()

    def of(self, tenant: str, agent: str, user: str, now_ms: int) -> tuple[int, int, int]:
        """Return the risks of an agent, of a user and of the agent's peers, in percent of their thresholds."""
        cohort = self._types.get((tenant, agent), "")
        peers = self._of_types.get((tenant, cohort), {}) if cohort else {}
        return (
            _highest(self._of_agents.get((tenant, agent), {}).values(), now_ms),
            _highest(self._of_users.get((tenant, user), {}).values(), now_ms),
            _highest((point for source, point in peers.items() if source[1] != agent), now_ms),
        )

    def _add(self, table: _Table, name: tuple[str, str], source: Source, point: RiskPoint) -> None:
        table.setdefault(name, {})[source] = point
        self._places.setdefault(source, []).append((table, name))


def _highest(points: Iterable[RiskPoint], now_ms: int) -> int:
    highest = max((point.at(now_ms) for point in points), default=0.0)
    return int(min(_PERCENT_MAX, highest * _PERCENT))
