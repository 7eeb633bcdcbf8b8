"""Make straight-line functions of some detectors: no loop, no list and no lookup is left for when a decision comes.

**Idea.** Which detectors score a decision, and where their rows are, depends on the kind of decision, and few kinds
occur. So for each kind, the calls of its detectors are written out one after the other, with the places of their rows
as constants, and Python compiles that. Rows are read where they are in their pages. The rows afterwards are returned,
and put back by another such function: whether it may be learned from is known when all have scored.

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

Pages = list[list[Any]]
"""The pages of a decision, in the order of the shapes of its layout."""


class Plan(NamedTuple):
    """A detector, and where its rows are.

    Attributes:
        faint: the score from which on it is reported.
        score: how it scores, and `learn` how it learns; None if it does not.
        slots: where they are.
        shapes: a bit for each shape of its pages.
        needs: a bit for each thing that an activity must have.
    """

    declaration: Declaration
    faint: float
    score: Callable[[Rows, Activity], Scored]
    learn: Callable[[Rows, Activity, Any], Rows] | None
    slots: tuple[Slot, ...]
    shapes: int
    needs: int


Outcome = tuple[tuple[tuple[Plan, Scored], ...], tuple[Any, ...]]
"""What detectors have found, and their rows after an activity, one after the other."""


def compiled_scoring(plans: Sequence[Plan], *, is_taught: bool) -> Callable[[Pages, Activity], Outcome]:
    """Return a function of the pages of a decision and the decision.

    It returns what the detectors have found, as pairs of plan and score, and their rows after the decision, one after
    the other. It changes nothing.

    Args:
        plans: the detectors.
        is_taught: whether they learn from the decision.
    """
    lines, names = [], dict[str, object]()
    after: list[str] = []
    for at, plan in enumerate(plans):
        names |= {f"plan{at}": plan, f"score{at}": plan.score, f"learn{at}": plan.learn, f"faint{at}": plan.faint}
        rows = [f"r{at}_{number}" for number in range(len(plan.slots))]
        lines.append(f"scored = score{at}(({_read(plan.slots)}), activity)")
        lines.append(f"if scored.score >= faint{at}: found += ((plan{at}, scored),)")
        learned = f"learn{at}(scored.rows, activity, scored.noted)"
        lines.append(f"{_listed(rows)} = {learned if is_taught and plan.learn is not None else 'scored.rows'}")
        after += rows
    slots = [slot for plan in plans for slot in plan.slots]
    source = ["found = ()", *_unpacked(slots), *lines, f"return found, ({_listed(after)})"]
    return _compiled("pages, activity", source, names)


def compiled_writing(plans: Sequence[Plan]) -> Callable[[Pages, tuple[Any, ...]], int]:
    """Return a function that puts the rows of some detectors into the pages of a decision.

    It is given the rows as scoring has returned them, and returns a bit for each page that has changed.
    """
    slots = [slot for plan in plans for slot in plan.slots]
    lines = [f"{_listed([f'r{at}' for at in range(len(slots))])} = rows" if slots else "pass"]
    for at, slot in enumerate(slots):
        row = f"page{slot.shape}[{slot.number}]"
        lines.append(f"if r{at} is not {row}: {row} = r{at}; changed |= {1 << slot.shape}")
    return _compiled("pages, rows", ["changed = 0", *_unpacked(slots), *lines, "return changed"], {})


def _read(slots: Sequence[Slot]) -> str:
    return _listed([f"page{slot.shape}[{slot.number}]" for slot in slots])


def _listed(names: Sequence[str]) -> str:
    """Return names as the parts of a tuple, also of one or none."""
    return "".join(f"{name}, " for name in names)


def _unpacked(slots: Sequence[Slot]) -> list[str]:
    """Return the lines that name the pages of some places."""
    return [f"page{shape} = pages[{shape}]" for shape in sorted({slot.shape for slot in slots})]


def _compiled(signature: str, lines: Sequence[str], names: dict[str, object]) -> Callable[..., Any]:
    body = "\n".join(f"    {line}" for line in lines)
    exec(f"def straight({signature}):\n{body}", names)  # noqa: S102 - our own lines, of numbers alone
    function: Callable[..., Any] = names["straight"]  # type: ignore[assignment]  # it has just been defined
    return function
