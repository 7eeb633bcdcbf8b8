"""What is unusual about a call in its session, and the part of the session's row that tells."""

from __future__ import annotations

import msgspec

from streams.behaviour.detectors.loops import Lately, Stretch
from streams.behaviour.detectors.spread import Places
from streams.behaviour.usual import Unusual
from streams.model.verdict import Signal

REPEAT_WINDOW_MS, _REPEAT_WINDOW = 600_000, "ten minutes"
"""Within which time a call counts as a repeat, and how a verdict names that. Whoever looks into an incident asks the
same for hours, and a loop is a loop by how often it asks in a while: so the watch counts as well."""
TOLD_REPEATS = 3
TOLD_RUN = 30
TOLD_OWNERS = 3
"""From how many repeats, how many calls in a row, and how many further people a verdict names them."""


class SignalsRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of the row of a session: its last calls, the tool that it calls in a row, and where it has run.

    `hour` is the newest hour, counted since the epoch, and `hour_calls` its calls, as far as rules ask for that.
    `owners` are those whose data its calls have been about, as digests, in the order in which they came.
    """

    ring: Lately = Lately()
    stretch: Stretch = Stretch()
    places: Places = Places()
    hour: int = 0
    hour_calls: int = 0
    owners: tuple[int, ...] = ()


class Observed(msgspec.Struct, frozen=True):
    """What is told about a call, and the row of its session after it.

    `unusual` is what the agent's baseline tells, None if no rule asks for that; `told` is what of it a verdict names.
    """

    row: SignalsRow
    repeats: int
    run: int
    returns: int
    unusual: Unusual | None = None
    told: tuple[Signal, ...] = ()

    @property
    def owners(self) -> int:
        """How many people there are beside the first one whose data the session's calls have been about."""
        return max(0, len(self.row.owners) - 1)

    @property
    def facts(self) -> dict[str, int]:
        """Return the fact `signal`."""
        facts = {"repeats": self.repeats, "run": self.run, "returns": self.returns, "owners": self.owners}
        return facts if self.unusual is None else facts | msgspec.structs.asdict(self.unusual)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Return what a verdict names."""
        found = []
        if self.repeats >= TOLD_REPEATS:
            text = f"the same call, or the same few in turn, {self.repeats} times within {_REPEAT_WINDOW}"
            found.append(Signal(name="repeats", score=float(self.repeats), explain=text))
        if self.run >= TOLD_RUN:
            found.append(Signal(name="run", score=float(self.run), explain=f"{self.run} calls of this tool in a row"))
        if self.returns:
            text = f"the session came back to an instance after another one had used it, {self.returns} times"
            found.append(Signal(name="returns", score=float(self.returns), explain=text))
        if len(self.row.owners) > TOLD_OWNERS:
            text = f"the session's calls are about the data of {self.owners} people beside the first one"
            found.append(Signal(name="owners", score=float(self.owners), explain=text))
        return (*found, *self.told)
