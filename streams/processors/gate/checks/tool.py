"""Check the tool against the catalog, and the arguments against the tool's schema."""

from __future__ import annotations

from streams.model.errors import InvariantError
from streams.model.reasons import Reason
from streams.processors.control.state import CALLABLE_STATES, ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings

_NAME_CHARS_MAX = 200


def check_tool(case: Case, control: ControlState, _settings: GateSettings) -> Decision | None:
    """Deny a call of a tool that is not approved, or whose definition is not the approved one; check its arguments.

    Sets `case.tool`.
    """
    wanted = case.asked.intent.tool
    tool = control.tools.get((wanted.server_id, wanted.name))
    if tool is None:
        return deny(Reason.TOOL_UNKNOWN, f"{wanted.server_id}/{wanted.name}"[:_NAME_CHARS_MAX])
    entry = tool.entry
    if entry.state not in CALLABLE_STATES:
        return deny(Reason.TOOL_NOT_APPROVED, entry.state.value)
    if entry.review_expires is not None and entry.review_expires <= case.asked.now_ms:
        return deny(Reason.TOOL_REVIEW_EXPIRED)
    if wanted.definition_digest is None:
        return deny(Reason.TOOL_DEFINITION_UNSTATED)
    if wanted.definition_digest != entry.definition_digest:
        return deny(Reason.TOOL_DEFINITION_CHANGED)
    case.tool = tool
    arguments = case.arguments
    if arguments is None:
        raise InvariantError("the tool is checked before the arguments")
    fault = tool.schema.fault(arguments.values, len(arguments.canonical_json))
    return None if fault is None else deny(Reason.ARGS_INVALID, fault)
