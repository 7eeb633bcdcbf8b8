"""One agent of a fleet, and the calls of its sessions."""

from __future__ import annotations

from math import exp
from random import Random  # noqa: TID251 - everything of a fleet is drawn from one seeded source
from typing import NamedTuple

import msgspec

from simulation.fleet.habits import Habits
from simulation.fleet.roles import BYTES, DESTINED, OWNED, PAYING, WITH_OBJECT, Role
from streams.behaviour.activity import Activity

START_MS = 1_767_571_200_000
"""Monday, 2026-01-05, 00:00 UTC."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000
GAINED_SHARE = 0.06
LIKED_FACTOR = 3.0
NEW_TOOLS = ("summarise", "plan", "lookup", "export", "remember")
replace = msgspec.structs.replace


class Planned(NamedTuple):
    """A call of a fleet and what it belongs to.

    Attributes:
        activity: the call.
        episode: the attack or odd piece of honest work that it is part of; empty for everyday work.
        kind: the kind of attack or of odd work.
        is_attack: whether it is an attack.
        strength: of the attack, from 0 to 1.
    """

    activity: Activity
    episode: str = ""
    kind: str = ""
    is_attack: bool = False
    strength: float = 0.0


class Session(NamedTuple):
    """Where calls belong to."""

    id: str
    instance: str
    user: str
    owner: str
    root: str
    depth: int = 1


class Version(NamedTuple):
    """A version of an agent.

    Attributes:
        day: the day from which on the agent is this version.
        epoch: its name.
        taste: how much it likes each move from a tool to the next, beside what is usual for its role.
        length, size, pause: how long its sessions are, how much its calls carry and how slowly they follow each other,
            as factors.
    """

    day: int
    epoch: str
    taste: dict[tuple[str, str], float]
    length: float = 1.0
    size: float = 1.0
    pause: float = 1.0


class Agent:
    """An agent: whom it writes to, what it works with, how large its payments are, which versions it has been.

    Attributes:
        day: the day on which it works.
    """

    def __init__(self, name: str, role: Role, rng: Random, shared: list[str], habits: Habits) -> None:
        self.name, self.role, self._rng, self._habits = name, role, rng, habits
        epoch = f"model-1/{rng.getrandbits(32):08x}"
        mine = [f"{role.name}-{rng.getrandbits(40):x}.example" for _ in range(role.regulars_count // 2)]
        self.regulars = [*rng.sample(shared, min(len(shared), role.regulars_count - len(mine))), *mine]
        self.secrets = [f"{role.name}/key-{number}" for number in rng.sample(range(12), 4)]
        self.activity_factor = exp(rng.gauss(0, 0.3))
        self.amount_factor = exp(rng.gauss(0, 0.25))
        self.shift_hours = rng.choice(habits.shifts)
        spread = habits.taste_spread
        taste = {(before, after): exp(rng.gauss(0, spread)) for before, row in role.flow.items() for after in row}
        self._versions = [Version(0, epoch, taste)]
        self.day = 0
        self._gained: dict[str, tuple[int, str | None]] = {}
        self._serial = 0

    @property
    def version(self) -> Version:
        """The version that works on the day."""
        return self._version_on(self.day)

    def _version_on(self, day: int) -> Version:
        return next((it for it in reversed(self._versions) if it.day <= day), self._versions[0])

    @property
    def sending_tool(self) -> str:
        """The tool by which an agent of this role would send data away."""
        return "http.post" if self.role.name in ("engineer", "operations") else "mail.send"

    @property
    def paying_tool(self) -> str:
        """The tool by which an agent of this role would pay."""
        return "pay.refund" if self.role.name == "support" else "pay.transfer"

    @property
    def usual_amount(self) -> float:
        """The median of its payments; of an agent that never pays, that of a large payment."""
        return (self.role.amount or 5_000) * self.amount_factor

    def session(self, root: str = "", depth: int = 1) -> Session:
        """Return a new session of the agent."""
        rng = self._rng
        name = f"s-{rng.getrandbits(64):016x}"
        user = f"user-{rng.randrange(40)}"
        return Session(
            name, f"{self.name}/{rng.randrange(6)}", user, f"c-{rng.randrange(3_000)}", root or f"g-{name}", depth
        )

    def call(self, session: Session, tool: str, time_ms: int, *, is_trusted: bool = True) -> Activity:
        """Return an everyday call of a tool."""
        rng, role = self._rng, self.role
        self._serial += 1
        amount = self._amount() if tool in PAYING else None
        thing = self._object(tool) if tool in WITH_OBJECT else None
        destination = self._destination() if tool in DESTINED else self._gained.get(tool, (0, None))[1]
        unlike = rng.getrandbits(24) if rng.random() < 0.93 else 0
        return Activity(
            event_id=f"{self.name}#{self._serial}",
            time_ms=time_ms,
            tenant="acme",
            agent=self.name,
            epoch=self._version_on((time_ms - START_MS) // DAY_MS).epoch,
            cohort=role.name if self._habits.has_types else self.name,
            session=session.id,
            instance=session.instance,
            user=session.user,
            root=session.root,
            depth=session.depth,
            # Helpers are the agent's own.
            delegator=self.name if session.depth > 1 else "",
            tool=tool,
            outcome="ALLOW" if rng.random() > 0.006 else "DENY",
            call=f"{tool}/{thing}/{destination}/{amount}/{unlike}",
            destination=destination,
            object=thing,
            owner=self._owner(session) if tool in OWNED else None,
            amount=amount,
            size_bytes=int(BYTES.get(tool, 120) * self.version.size * exp(rng.gauss(0, self._habits.bytes_spread))),
            is_trusted=is_trusted,
        )

    def next_tool(self, before: str) -> str:
        """Return the tool that comes after another one."""
        gained = [tool for tool, (day, _) in self._gained.items() if day <= self.day]
        if gained and self._rng.random() < GAINED_SHARE:
            return self._rng.choice(gained)
        row, taste = self.role.flow.get(before) or self.role.flow[""], self.version.taste
        tools = list(row)
        return self._rng.choices(
            tools, [row[tool] * taste[before if before in self.role.flow else "", tool] for tool in tools]
        )[0]

    def work(self, session: Session, start_ms: int, calls_count: int) -> list[Activity]:
        """Return the calls of a session of everyday work."""
        rng, found, tool, time_ms, is_trusted = self._rng, list[Activity](), "", start_ms, True
        for _ in range(calls_count):
            tool = self.next_tool(tool)
            is_trusted = is_trusted and not (tool in ("web.fetch", "docs.read") and rng.random() < 0.5)
            found.append(self.call(session, tool, time_ms, is_trusted=is_trusted))
            # Most calls follow within seconds, some after a pause in which somebody reads.
            time_ms += int(1_000 * self.version.pause * exp(rng.gauss(2.0, 1.0))) + (
                int(rng.expovariate(1 / 90_000)) if rng.random() < 0.1 else 0
            )
        return found

    def adopt(self, destination: str) -> None:
        """Begin to write to a destination regularly."""
        self.regulars.append(destination)

    def release(self) -> None:
        """Become a new version on the day, which does a little of everything differently."""
        rng, habits = self._rng, self._habits
        epoch, last = f"model-{rng.randrange(2, 9)}/{rng.getrandbits(32):08x}", self._versions[-1]
        taste = {move: liking * exp(rng.gauss(0, habits.taste_spread)) for move, liking in last.taste.items()}
        self._versions.append(last._replace(day=self.day, epoch=epoch, taste=taste))
        if habits.release_spread:
            self._change(habits.release_spread)

    def _change(self, spread: float) -> None:
        """Change in the newest version what thorough releases change beside tastes."""
        rng = self._rng
        length, size, pause = (exp(rng.gauss(0, spread)) for _ in range(3))
        # Beside the usual, whatever the versions before it were like.
        self._versions[-1] = self._versions[-1]._replace(length=length, size=size, pause=pause)
        if rng.random() < 0.5:
            service = f"service-{rng.getrandbits(32):x}.example" if rng.random() < 0.5 else None
            self._gained[f"{self.role.name}.{rng.choice(NEW_TOOLS)}{rng.randrange(9)}"] = (self.day, service)
        if rng.random() < 0.5:
            self._like(rng)

    def _like(self, rng: Random) -> None:
        """Let the newest version like one of the known tools more."""
        liked = rng.choice([tool for tool in self.role.flow if tool])
        taste = {
            move: liking * LIKED_FACTOR if move[1] == liked else liking
            for move, liking in self._versions[-1].taste.items()
        }
        self._versions[-1] = self._versions[-1]._replace(taste=taste)

    def roll_out(self, day: int) -> None:
        """Become the new version of a day, which is the same for all agents of the role."""
        shared = Random(f"{self.role.name} {day}")  # noqa: S311 - a simulation that has to be repeatable
        epoch = f"model-{day}/{shared.getrandbits(32):08x}"
        self._gained[f"{self.role.name}.assist{day}"] = (day, f"service-{shared.getrandbits(32):x}.example")
        self._versions.append(self._versions[-1]._replace(day=day, epoch=epoch))
        self._like(shared)

    def _amount(self) -> float:
        amount = self.role.amount * self.amount_factor * exp(self._rng.gauss(0, self._habits.amount_spread))
        step = self._habits.price_step
        return round(max(1, round(amount / step)) * step if step else amount, 2)

    def _owner(self, session: Session) -> str:
        """Return whose data a call is about: mostly the session's, rarely another person's."""
        return session.owner if self._rng.random() < 0.97 else f"c-{self._rng.randrange(3_000)}"

    def _object(self, tool: str) -> str:
        rng = self._rng
        if tool == "secrets.get":
            return rng.choice(self.secrets)
        # A few objects are used all the time, and most of them hardly ever.
        return f"{self.role.name}-{min(int(rng.paretovariate(0.7)), self.role.objects_count)}-{rng.randrange(4)}"

    def _destination(self) -> str:
        rng = self._rng
        if rng.random() < self.role.strangers_share:
            return f"new-{rng.getrandbits(48):x}.example"
        return self.regulars[min(int(rng.paretovariate(0.8)) - 1, len(self.regulars) - 1)]
