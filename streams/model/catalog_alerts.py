"""Alerts about tools that differ from what was approved, or can be mistaken for others."""

from __future__ import annotations

import json
from shlex import quote

import msgspec

from streams.model.alert import Alert, clipped
from streams.model.analytics import DEFINITION_CHANGED, LOOKS_ALIKE, SAME_NAME, TEXT_SUSPICIOUS, made_alert
from streams.model.types import Actor, Header


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
        [tool, live.hex()],
        by=by,
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
        sorted([tool, other]),
        by=by,
        response=f"stoplog catalog review {quote(tool)}",
    )


def looks_alike(header: Header, tool: str, other: str, by: str) -> Alert:
    """Return the alert that a tool's name looks like that of another tool."""
    return _alert(
        header,
        LOOKS_ALIKE,
        f"tool name that looks like another: {clipped(tool)}",
        f"it looks like `{other}`",
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
        [tool, digest.hex()],
        by=by,
        response=f"stoplog catalog review {quote(tool)}",
    )


def _alert(header: Header, kind: str, title: str, text: str, about: list[str], *, by: str, response: str) -> Alert:
    dedup_key = json.dumps([kind, *map(clipped, about)])
    alert = made_alert(kind, header, title=title, desc=text, dedup_key=dedup_key, response=(response,))
    return msgspec.structs.replace(alert, act=Actor(iss="", sub=by))
