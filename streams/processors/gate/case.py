"""One intent on its way through the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.delegation.authority import Authority
from streams.model.intent import Intent
from streams.model.labels import Label
from streams.model.reasons import REASON_TEXTS, Reason
from streams.model.verdict import Outcome
from streams.policy.results import PolicyResult
from streams.policy.runtime.memory_updates import Charge, MemoryUpdate
from streams.processors.control.state import CatalogTool
from streams.processors.state import ChargeRow, SessionRow


@dataclass(slots=True)
class Case:
    """What is known of the intent so far; the checks fill it in, in order.

    `proven` tells that the proof of possession held: only then does the intent count for its session. `authority` is
    what its session's grant lets through, `memory_updates` what memories store of it, `if_denied` makes those of a
    denial, `charges` is what it takes of budgets, `charged` what it has taken, `budget_due_ms` how
    long it may wait for them (0: it has not waited yet), `asked_count` how often persons were asked about it before,
    and `decision_ids` which of their decisions have counted.
    """

    intent: Intent
    session_key: bytes
    now_ms: int
    received_ms: int
    session: SessionRow
    secret: bytes = b""
    proven: bool = False
    args: dict[str, Any] = field(default_factory=dict)
    args_json: str = ""
    tool: CatalogTool | None = None
    authority: Authority | None = None
    memory_updates: tuple[MemoryUpdate, ...] = ()
    if_denied: Callable[[], tuple[MemoryUpdate, ...]] | None = None
    charges: tuple[Charge, ...] = ()
    charged: tuple[ChargeRow, ...] = ()
    budget_due_ms: int = 0
    asked_count: int = 0
    decision_ids: tuple[str, ...] = ()
    _label: Label | None = None

    def label(self) -> Label:
        """What the session has read, or may have read, taken together."""
        if self._label is None:
            self._label = self.session.effective_label()
        return self._label


class Judgement(NamedTuple):
    """The outcome of the checks, before it becomes a verdict."""

    outcome: Outcome
    reason: Reason
    text: str
    policy: PolicyResult | None = None


def deny(reason: Reason, detail: str = "") -> Judgement:
    """A denial; `detail` goes behind the reason's standard text."""
    text = REASON_TEXTS[reason]
    return Judgement(Outcome.DENY, reason, f"{text}: {detail}" if detail else text)


def has_odd_amount(args: dict[str, Any]) -> bool:
    """Whether there is an `amount` that can't be summed: a fraction, a text, a number below zero."""
    amount = args.get("amount", 0)
    return not isinstance(amount, int) or isinstance(amount, bool) or amount < 0


def amount_of(args: dict[str, Any]) -> int:
    """What a call spends: its whole `amount`, in minor units; anything else spends nothing that can be summed."""
    amount = args.get("amount")
    return amount if isinstance(amount, int) and not isinstance(amount, bool) and amount > 0 else 0
