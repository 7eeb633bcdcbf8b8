"""Says what a grant of people covers, as gates read it: so it loads what reads rules, which few commands need."""

from __future__ import annotations

from collections.abc import Iterable

from streams.model.approval import ApprovalGrant, PendingCall
from streams.model.canonical import canonical_args
from streams.processors.gate.approval_grants import admits, compiled


def uncovered(grant: ApprovalGrant, calls: Iterable[PendingCall]) -> list[PendingCall]:
    """Return those calls whose like a grant would not approve, as gates read it.

    Raises:
        GrantError: gates would not understand a bound.
    """
    tools = compiled(grant.tools)
    return [call for call in calls if not admits(tools, call.tool, canonical_args(call.args_json)[0])]
