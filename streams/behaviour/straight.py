"""Make straight-line functions of some detectors: no loop, no list and no lookup is left for when a decision comes.

**Idea.** Which detectors score a decision, and where their rows are, depends on the kind of decision, and few kinds
occur. So for each kind, the calls of its detectors are written out one after the other, with the places of their rows
as constants, and Python compiles that. Rows are read where they are in their pages, and those that have changed replace
them at once. Whether they may stay is known only when all detectors have scored. Almost always they may; for the other
cases, the rows that there were before are returned (`put_back`).

Source is made of numbers alone. Detectors, thresholds and everything else that has a name are values.

**Rejected.** To write out what the detectors themselves do as well: nobody could read the source of a detector any more
and know what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.declarations import Declaration
from streams.behaviour.pages import Slot
from streams.behaviour.signals import Rows, Scored

Pages = Sequence[list[Any]]
"""The pages of a decision, in the order of the shapes of its layout."""


class Plan(NamedTuple):
    """A detector, and where its rows are.

    Attributes:
        faint: the score from which on it is reported.
        score: how it scores, and `learn` how it learns; None if it does not.
        slots: where they are.
        needs: a bit for each thing that an activity must have.
    """

    declaration: Declaration
    faint: float
    score: Callable[[Rows, Activity], Scored]
    learn: Callable[[Rows, Activity, Any], Rows] | None
    slots: tuple[Slot, ...]
    needs: int


Outcome = tuple[tuple[tuple[Plan, Scored], ...], int, tuple[Any, ...]]
"""What detectors have found, a bit for each page that has changed, and their rows before, one after the other."""


def compiled_scoring(plans: Sequence[Plan], *, is_taught: bool) -> Callable[[Pages, Activity], Outcome]:
    """Return a function of the pages of a decision and the decision, which lets some detectors score.

    It puts their rows into the pages. `put_back` undoes that.

    Args:
        plans: the detectors.
        is_taught: whether they learn from the decision.
    """
    lines, names = [], dict[str, object]()
    before: list[str] = []
    for at, plan in enumerate(plans):
        names |= {f"plan{at}": plan, f"score{at}": plan.score, f"learn{at}": plan.learn, f"faint{at}": plan.faint}
        rows = [f"r{at}_{number}" for number in range(len(plan.slots))]
        old = [f"b{at}_{number}" for number in range(len(plan.slots))]
        places = [f"page{slot.shape}[{slot.number}]" for slot in plan.slots]
        lines += [f"{row} = {place}" for row, place in zip(old, places, strict=True)]
        lines.append(f"scored = score{at}(({_listed(old)}), activity)")
        lines.append(f"if scored.score >= faint{at}: found += ((plan{at}, scored),)")
        learned = f"learn{at}(scored.rows, activity, scored.noted)"
        lines.append(f"{_listed(rows)} = {learned if is_taught and plan.learn is not None else 'scored.rows'}")
        lines += [
            f"if {row} is not {was}: {place} = {row}; changed |= {1 << slot.shape}"
            for row, was, place, slot in zip(rows, old, places, plan.slots, strict=True)
        ]
        before += old
    shapes = sorted({slot.shape for plan in plans for slot in plan.slots})
    pages = [f"page{shape} = pages[{shape}]" for shape in shapes]
    source = ["found, changed = (), 0", *pages, *lines, f"return found, changed, ({_listed(before)})"]
    return _compiled("pages, activity", source, names)


def put_back(pages: Pages, plans: Sequence[Plan], before: tuple[Any, ...]) -> None:
    """Leave the pages of a decision as they were before some detectors have scored.

    Args:
        pages: the pages; changed.
        plans: the detectors.
        before: their rows, as scoring has returned them.
    """
    slots = [slot for plan in plans for slot in plan.slots]
    for slot, row in zip(slots, before, strict=True):
        pages[slot.shape][slot.number] = row


def _listed(names: Sequence[str]) -> str:
    """Return names as the parts of a tuple, also of one or none."""
    return "".join(f"{name}, " for name in names)


def _compiled(signature: str, lines: Sequence[str], names: dict[str, object]) -> Callable[..., Any]:
    body = "\n".join(f"    {line}" for line in lines)
    exec(f"def straight({signature}):\n{body}", names)  # noqa: S102 - our own lines, of numbers alone
    function: Callable[..., Any] = names["straight"]  # type: ignore[assignment]  # it has just been defined
    return function
