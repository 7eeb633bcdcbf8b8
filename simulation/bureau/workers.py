"""One agent of a bureau: the customers that it corresponds with, and the calls of its procedures."""

from __future__ import annotations

from math import exp
from random import Random  # noqa: TID251 - everything of a bureau is drawn from one seeded source
from typing import NamedTuple

from simulation.bureau.desks import About, Desk, Step
from streams.behaviour.activity import Activity

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = 1_772_409_600_000
"""Monday, 2026-03-02, 00:00 UTC."""


class Sitting(NamedTuple):
    """A session of an agent."""

    id: str
    instance: str
    user: str
    root: str
    depth: int = 1


class Worker:
    """An agent. Customers come back in proportion to how often they came before (a Chinese restaurant process)."""

    def __init__(self, name: str, desk: Desk, rng: Random, partners: list[str]) -> None:
        self.name, self.desk, self.rng = name, desk, rng
        self.version, self.partners = 1, partners
        self.customers = [self.stranger() for _ in range(25)]
        self.pace = rng.lognormvariate(0.0, 0.35)
        self.purse = rng.lognormvariate(0.0, 0.3)
        self.early_hours = rng.randint(-1, 1)
        self._weights = [weight * rng.lognormvariate(0.0, 0.3) for weight, _ in desk.procedures]
        self._count = 0

    def stranger(self) -> str:
        """Return the domain of somebody who has not written before."""
        return f"{self.desk.name[:3]}{self.rng.getrandbits(44):x}.example.org"

    def customer(self) -> str:
        """Return the customer of the next case."""
        if self.rng.random() < self.desk.renewal:
            self.customers.append(self.stranger())
            return self.customers[-1]
        # Whoever wrote lately writes again rather than others.
        recent = self.customers[-12:] if self.rng.random() < 0.4 else self.customers
        self.customers.append(self.rng.choice(recent))
        return self.customers[-1]

    def sitting(self, root: str = "", depth: int = 1) -> Sitting:
        """Return a new session."""
        name = f"t{self.rng.getrandbits(60):x}"
        return Sitting(
            name, f"{self.name}-pod{self.rng.randrange(3)}", f"u{self.rng.randrange(25)}", root or name, depth
        )

    def call(
        self, sitting: Sitting, step: Step, at_ms: int, customer: str = "", *, is_trusted: bool = True
    ) -> Activity:
        """Return a call of a step's tool."""
        rng = self.rng
        self._count += 1
        thing = self._thing(step, customer)
        place = {"customer": customer or self.customer(), "partner": ""}.get(step.goes_to, step.goes_to)
        if step.goes_to == "partner":
            place = rng.choice(self.partners) if rng.random() > self.desk.renewal / 3 else self.stranger()
        amount = round(step.pays * self.purse * rng.lognormvariate(0.0, 0.9), 2) if step.pays else None
        return Activity(
            event_id=f"{self.name}!{self._count}",
            time_ms=at_ms,
            tenant="bureau",
            agent=self.name,
            epoch=f"gen-{self.version}/{self.name}",
            cohort=self.desk.name,
            session=sitting.id,
            instance=sitting.instance,
            user=sitting.user,
            root=sitting.root,
            depth=sitting.depth,
            # Whoever breeds sessions gives the work to copies of itself.
            delegator=self.name if sitting.depth > 1 else "",
            tool=step.tool,
            outcome="ALLOW" if rng.random() > 0.004 else "DENY",
            call=f"{step.tool}|{thing}|{place}|{amount}|{rng.getrandbits(20) if rng.random() < 0.9 else ''}",
            destination=place or None,
            object=thing,
            owner=customer if step.about is About.CASE and customer else None,
            amount=amount,
            size_bytes=int(step.size_bytes * rng.lognormvariate(0.0, 0.7)),
            is_trusted=is_trusted,
        )

    def procedure(self, steps: tuple[Step, ...], at_ms: int, sitting: Sitting | None = None) -> list[Activity]:
        """Return the calls of one procedure."""
        rng, found, is_trusted = self.rng, list[Activity](), True
        sitting, customer = sitting or self.sitting(), self.customer()
        for step in steps:
            if rng.random() > step.chance:
                continue
            # Few steps are repeated often, and most once.
            for _ in range(1 + min(int(rng.expovariate(2.2 / step.most)), step.most - 1)):
                is_trusted = is_trusted and not (step.is_outside and rng.random() < 0.6)
                found.append(self.call(sitting, step, at_ms, customer, is_trusted=is_trusted))
                at_ms += int(1_000 * exp(rng.gauss(1.6, 0.9))) + 400
        return found

    def work(self, at_ms: int) -> list[Activity]:
        """Return the calls of a procedure of everyday work."""
        steps = self.rng.choices([steps for _, steps in self.desk.procedures], self._weights)[0]
        return self.procedure(steps, at_ms)

    def steps(self) -> list[Step]:
        """Return all steps of its procedures."""
        return [step for _, steps in self.desk.procedures for step in steps]

    def release(self) -> None:
        """Become a new version, which prefers its procedures a little differently."""
        self.version += 1
        self._weights = [weight * self.rng.lognormvariate(0.0, 0.3) for weight in self._weights]

    def _thing(self, step: Step, customer: str) -> str | None:
        rng = self.rng
        names = {
            About.CASE: f"{customer}/{rng.randrange(3)}",
            About.PAPER: f"{self.desk.name}/doc{int(rng.betavariate(0.6, 4) * 900)}",
            About.TABLE: f"{self.desk.name}.t{int(rng.betavariate(0.7, 3) * 60)}",
            About.KEY: f"{self.name}/k{rng.randrange(5)}",
        }
        return names.get(step.about)
