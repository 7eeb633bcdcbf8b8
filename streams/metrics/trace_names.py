"""The names of OpenTelemetry's conventions for generative AI and MCP, and our own, in spans.

They are constants of our own: the package of the conventions marks these as deprecated.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
EXECUTE_TOOL = "execute_tool"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
AGENT_ID = "gen_ai.agent.id"
CONVERSATION_ID = "gen_ai.conversation.id"
MCP_METHOD = "mcp.method.name"
ERROR_TYPE = "error.type"

FUNCTION = "function"
TOOLS_CALL = "tools/call"

SERVER_ID = "stoplog.server.id"
INTENT_ID = "stoplog.intent.id"
VERDICT_ID = "stoplog.verdict.id"
OUTCOME = "stoplog.outcome"
REASON = "stoplog.reason"
HELD_FOR = "stoplog.held_for"
ENDING = "stoplog.ending"

PROPOSE, DECIDE, REPORT = "propose", "decide", "report"
