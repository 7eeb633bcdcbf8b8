"""Check that the gate's control state is current."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_control(_case: Case, control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny every intent while the gate can't tell whether its revocations and rules are current."""
    return deny(Reason.CONTROL_STATE_STALE) if control.stale else None
