"""List the steps of a decision in their order, which is that of docs/explanation/deciding.md.

The cheapest and most certain checks come first. The first check that denies decides. Every check fails closed: it
denies what is missing, stale, unknown or in error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.gate.checks.control import check_control
from streams.processors.gate.checks.delegation import check_delegation
from streams.processors.gate.checks.grant import check_grant
from streams.processors.gate.checks.parties import check_parties
from streams.processors.gate.checks.proof import check_proof
from streams.processors.gate.checks.revocations import check_revocations
from streams.processors.gate.checks.session import check_session
from streams.processors.gate.checks.time import check_time
from streams.processors.gate.checks.tool import check_tool
from streams.processors.gate.decision import Decision
from streams.processors.settings import GateSettings

Check = Callable[[Case, ControlState, GateSettings], Decision | None]
"""Returns a denial, or None to go on; it changes nothing but the part of the case that it establishes."""


class Step(NamedTuple):
    """Describes a step of a decision.

    Attributes:
        title: the step's title in docs/explanation/deciding.md.
        checks: the checks that make up the step, in their order.
        module: the module of `streams.processors.gate` that does the step, if no check does.
    """

    title: str
    checks: tuple[Check, ...] = ()
    module: str = ""


STEPS: tuple[Step, ...] = (
    Step("Too many without a proof?", module="intents"),
    Step("Seen before?", module="intents"),
    Step("Time", (check_time,)),
    Step("Session", (check_session,)),
    Step("Control state", (check_control,)),
    Step("Revocations", (check_revocations,)),
    Step("Parties", (check_parties, check_grant)),
    Step("Proof of possession", (check_proof,)),
    Step("Arguments", (check_arguments,)),
    Step("Grant", (check_delegation,)),
    Step("Catalog", (check_tool,)),
    Step("Rules", module="rules"),
    Step("Budgets", module="budgets"),
)
CHECKS: tuple[Check, ...] = tuple(check for step in STEPS for check in step.checks)


def first_denial(case: Case, control: ControlState, settings: GateSettings) -> Decision | None:
    """Run the checks in their order, and return the first denial; None if all have passed."""
    for check in CHECKS:
        denial = check(case, control, settings)
        if denial is not None:
            return denial
    return None
