"""Alerts about tools that differ from what was approved, or can be mistaken for others."""

from __future__ import annotations

import json
from shlex import quote

from streams.model.alert import (
    ACTION_DENIED,
    ACTION_OBSERVED,
    CONFIDENCE_HIGH,
    CONFIDENCE_MEDIUM,
    DESC_CHARS_MAX,
    DISPOSITION_BLOCKED,
    DISPOSITION_LOGGED,
    RUG_PULL,
    SEVERITY_HIGH,
    SEVERITY_MEDIUM,
    STATUS_NEW,
    Alert,
    Attack,
    clipped,
)
from streams.model.types import Actor, Header

TOOL_POISONING = Attack(technique_uid="AML.T0110", technique_name="Tool Poisoning")
SUPPLY_CHAIN = ("ASI04",)

DEFINITION_CHANGED = "tool_definition_changed"
SAME_NAME = "tool_same_name"
LOOKS_ALIKE = "tool_looks_alike"
TEXT_SUSPICIOUS = "tool_text_suspicious"


def definition_changed(header: Header, tool: str, live: bytes, approved: bytes, what: str, by: str) -> Alert:
    """Return the alert that a server lists another definition than the approved one.

    Args:
        tool: `server/name`.
        live: the digest of the listed definition.
        approved: the digest of the approved definition.
        what: which parts differ.
        by: who reports it.
    """
    text = f"listed is {live.hex()[:16]}, approved was {approved.hex()[:16]}: {what}"
    return _alert(
        header,
        DEFINITION_CHANGED,
        f"tool definition changed after its approval: {clipped(tool)}",
        text,
        RUG_PULL,
        [tool, live.hex()],
        by=by,
        is_blocked=True,
        response=f"stoplog catalog review {quote(tool)}",
    )


def same_name(header: Header, tool: str, other: str, by: str) -> Alert:
    """Return the alert that a tool has the same name as a tool of another server: a person can't see which one a model
    calls."""
    return _alert(
        header,
        SAME_NAME,
        f"tool name on two servers: {clipped(tool)}",
        f"`{other}` has the same name; a model that is shown both may call the wrong one",
        TOOL_POISONING,
        sorted([tool, other]),
        by=by,
        severity_id=SEVERITY_MEDIUM,
        response=f"stoplog catalog review {quote(tool)}",
    )


def looks_alike(header: Header, tool: str, other: str, by: str) -> Alert:
    """Return the alert that a tool's name looks like that of another tool."""
    return _alert(
        header,
        LOOKS_ALIKE,
        f"tool name that looks like another: {clipped(tool)}",
        f"it looks like `{other}`",
        TOOL_POISONING,
        sorted([tool, other]),
        by=by,
        response=f"stoplog catalog review {quote(tool)}",
    )


def text_suspicious(header: Header, tool: str, digest: bytes, what: str, by: str) -> Alert:
    """Return the alert that a tool's texts address the model, or hide something."""
    return _alert(
        header,
        TEXT_SUSPICIOUS,
        f"tool text that speaks to the model: {clipped(tool)}",
        what,
        TOOL_POISONING,
        [tool, digest.hex()],
        by=by,
        is_sure=False,
        response=f"stoplog catalog review {quote(tool)}",
    )


def _alert(
    header: Header,
    kind: str,
    title: str,
    text: str,
    attack: Attack,
    about: list[str],
    *,
    by: str,
    response: str,
    severity_id: int = SEVERITY_HIGH,
    is_blocked: bool = False,
    is_sure: bool = True,
) -> Alert:
    return Alert(
        header=header,
        finding_uid=header.id,
        severity_id=severity_id,
        confidence_id=CONFIDENCE_HIGH if is_sure else CONFIDENCE_MEDIUM,
        status_id=STATUS_NEW,
        title=title,
        desc=text[:DESC_CHARS_MAX],
        analytic_uid=kind,
        analytic_version="1",
        attacks=(attack,),
        types=SUPPLY_CHAIN,
        action_id=ACTION_DENIED if is_blocked else ACTION_OBSERVED,
        disposition_id=DISPOSITION_BLOCKED if is_blocked else DISPOSITION_LOGGED,
        act=Actor(iss="", sub=by),
        first_seen_time=header.time,
        last_seen_time=header.time,
        dedup_key=json.dumps([kind, *map(clipped, about)]),
        suggested_response=(response,),
    )
