"""The techniques of MITRE ATLAS that rules and alerts name."""

from __future__ import annotations

from collections.abc import Iterable

from streams.model.alert import Attack

PREFIX = "AML.T"

TECHNIQUES: dict[str, str] = {
    "AML.T0034.002": "Agentic Resource Consumption",
    "AML.T0051.001": "LLM Prompt Injection: Indirect",
    "AML.T0053": "AI Agent Tool Invocation",
    "AML.T0080": "AI Agent Context Poisoning",
    "AML.T0081": "Modify AI Agent Configuration",
    "AML.T0086": "Exfiltration via AI Agent Tool Invocation",
    "AML.T0098": "AI Agent Tool Credential Harvesting",
    "AML.T0101": "Data Destruction via AI Agent Tool Invocation",
    "AML.T0109": "Rug Pull",
    "AML.T0110": "Tool Poisoning",
}
"""Their names, by id."""


def technique(uid: str) -> Attack:
    """Return a technique. One whose name is not known here has its id for a name."""
    return Attack(technique_uid=uid, technique_name=TECHNIQUES.get(uid, uid))


def techniques_in(tags: Iterable[str]) -> tuple[Attack, ...]:
    """Return the techniques among the tags of a rule, in the order of the tags."""
    return tuple(technique(tag) for tag in tags if tag.startswith(PREFIX))


RESOURCE_CONSUMPTION = technique("AML.T0034.002")
CONFIGURATION_CHANGE = technique("AML.T0081")
RUG_PULL = technique("AML.T0109")
TOOL_POISONING = technique("AML.T0110")
