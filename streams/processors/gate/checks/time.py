"""Check when the intent was made, and the agent's own deadline."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_time(case: Case, _control: ControlState, settings: GateSettings) -> Decision | None:
    """Deny an intent that claims to be made in the future or too long ago, or whose deadline has passed.

    The time that the intent claims is compared with broker time, the deadline with stream time.
    """
    asked = case.asked
    intent = asked.intent
    made_ms = intent.header.time
    if made_ms > asked.received_ms + settings.skew_ms:
        return deny(Reason.INTENT_FROM_FUTURE, f"{made_ms - asked.received_ms} ms ahead")
    if made_ms < asked.received_ms - settings.intent_age_max_ms:
        return deny(Reason.INTENT_STALE, f"{asked.received_ms - made_ms} ms old")
    deadline = intent.deadline
    if deadline is not None and deadline <= asked.now_ms:
        return deny(Reason.DEADLINE_PASSED)
    return None
