"""Define a decision: what the gate concludes about an intent, before it becomes a verdict record."""

from __future__ import annotations

import msgspec

from streams.model.reasons import REASON_TEXTS, Reason
from streams.model.verdict import Outcome
from streams.policy.results import PolicyResult

REFUSALS = frozenset({Outcome.DENY, Outcome.QUARANTINE})
"""Outcomes after which the call never runs."""


class Decision(msgspec.Struct, frozen=True):
    """Holds an outcome with its reason, and the result of the rules if they were evaluated.

    `about` names what the reason is about: a budget and whose it is; empty for other reasons.
    """

    outcome: Outcome
    reason: Reason
    text: str
    policy: PolicyResult | None = None
    about: str = ""

    def refused(self, reason: Reason, detail: str = "", about: str = "") -> Decision:
        """Return a denial that keeps the result of the rules; see `deny`."""
        denial = deny(reason, detail)
        return Decision(denial.outcome, denial.reason, denial.text, self.policy, about)


def deny(reason: Reason, detail: str = "") -> Decision:
    """Return a denial. Its text is the reason's standard text, followed by `detail`."""
    text = REASON_TEXTS[reason]
    return Decision(Outcome.DENY, reason, f"{text}: {detail}" if detail else text)
