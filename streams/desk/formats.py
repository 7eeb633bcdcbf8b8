"""Gives messages the forms that receivers understand.

Names of agents, sessions and documents are chosen by strangers. So every form escapes what has a meaning in it: no name
ends a field, begins a line, or calls everybody in a channel.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from shlex import quote
from typing import Any, NamedTuple

import orjson

from streams.codec.instants import format_instant
from streams.codec.json_lines import json_line
from streams.desk.messages import Kind, Message
from streams.model.alert import Severity, severity_word

TITLE_CHARS_MAX = 1_000
TEXT_CHARS_MAX = 3_000
"""What chat tools show of one message."""
COMMANDS_CHARS_MAX = 1_000
"""What commands take of it, which are whole or left out."""
PART_CHARS_MAX = 600
"""What a description, or the reason of a person, takes of it."""
ABOUT_CHARS_MAX = 300
NAME_CHARS_MAX = 100
SUMMARY_LINE_CHARS_MAX = 250
MORE_CHARS_MAX = 40
"""What the line takes that counts what is left out."""
TITLE_PART_CHARS_MAX = 400
"""What a title takes of a headline, in which agents and counts follow."""
CEF_FIELD_CHARS_MAX = 1_023
NAMED_AGENTS_MAX = 5
FACILITY_LOG_AUDIT = 13
"""The facility of RFC 5424 for audit messages."""


class _Scale(NamedTuple):
    """What a severity is for receivers that have other ones."""

    cef: int
    syslog: int
    pager: str


_SCALES = {
    Severity.UNKNOWN: _Scale(0, 6, "info"),
    Severity.INFORMATIONAL: _Scale(1, 6, "info"),
    Severity.LOW: _Scale(3, 5, "warning"),
    Severity.MEDIUM: _Scale(5, 4, "warning"),
    Severity.HIGH: _Scale(8, 3, "error"),
    Severity.CRITICAL: _Scale(10, 2, "critical"),
    Severity.FATAL: _Scale(10, 2, "critical"),
}
_PAGER_ACTIONS = {Kind.ACKNOWLEDGED: "acknowledge", Kind.RESOLVED: "resolve"}
_PREFIXES = {
    Kind.NEW: "",
    Kind.UPDATE: "again: ",
    Kind.ESCALATION: "nobody has acknowledged: ",
    Kind.ACKNOWLEDGED: "acknowledged: ",
    Kind.RESOLVED: "resolved: ",
    Kind.SUMMARY: "",
    Kind.TEST: "test: ",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_UNFIT_FOR_COMMANDS = re.compile(f"{_CONTROL.pattern}|`")
"""What forms show as something else, or as the end of the command."""
_UNFIT_FOR_CHATS = re.compile(f"{_UNFIT_FOR_COMMANDS.pattern}|[&<>]")
"""Likewise; of what chats read as Slack does, not all decode it in code."""
_INSTEAD_CHARS_MAX = 200
_ROUND_COMMAND_CHARS = len("``\n")
_MARKUP = re.compile(r"[@*~#\[\]]|:(?=/)|_(?!\w)|(?<!\w)_|www(?=\.)", re.IGNORECASE)
"""What begins or ends a mention, a mark, a heading or a link."""
_NO_WIDTH = "\u200b"
_SECOND_MS = 1_000


def headline(message: Message) -> str:
    """Return what a person reads first: severity, how often, what, and by whom. One line."""
    many = f" ({message.count} times, {message.findings_count} findings)" if message.count > 1 else ""
    if message.kind is Kind.SUMMARY:
        many = ""
    named = _agents(message, NAME_CHARS_MAX)
    by = f" by {named}" if named else ""
    severity = _word(message).upper()
    text = f"{severity} {_PREFIXES[message.kind]}{_clipped(message.title, TITLE_PART_CHARS_MAX)}{by}{many}"
    return _clipped(_one_line(text), TITLE_CHARS_MAX)


def as_fields(message: Message) -> dict[str, Any]:
    """Return a message as members of JSON, for webhooks, files and Splunk."""
    fields: dict[str, Any] = {
        "id": message.uid,
        "kind": message.kind.value,
        "incident": message.incident,
        "route": message.route,
        "tenant": message.tenant,
        "owner": message.owner,
        "severity_id": message.severity_id,
        "severity": _word(message),
        "headline": headline(message),
        "title": message.title,
        "desc": message.desc,
        "analytic": message.analytic,
        "tags": list(message.tags),
        "agents": list(message.agents),
        "has_more_agents": message.has_more_agents,
        "count": message.count,
        "findings_count": message.findings_count,
        "first": format_instant(message.first_ms),
        "last": format_instant(message.last_ms),
        "made": format_instant(message.made_ms),
        "responses": _commands(message),
    }
    optional: dict[str, Any] = {
        "finding": message.finding_uid,
        "session": message.session_id,
        "by": message.by,
        "why": message.why,
        "incidents": list(message.lines),
        "left_out_count": message.left_out_count,
        "ocsf": _ocsf(message),
    }
    return fields | {name: value for name, value in optional.items() if value}


def webhook_body(message: Message) -> bytes:
    """Return the body of a webhook, as the questions to people have it: type, timestamp, data."""
    told = {
        "type": f"alert.{message.kind.value}",
        "timestamp": format_instant(message.made_ms),
        "data": as_fields(message),
    }
    return json_line(told).encode()


def file_line(message: Message) -> bytes:
    """Return a message as one line of JSON, with its end."""
    return json_line(as_fields(message)).encode() + b"\n"


def slack_body(message: Message) -> bytes:
    """Return the body of an incoming webhook of Slack, Mattermost or Rocket.Chat: `text` with its markup.

    What strangers have chosen neither links, nor mentions anybody, nor begins code: see `_chat`. Each part has room of
    its own, so that a long name pushes out neither the tags nor a command. Commands stand in code, as they are in the
    alert.
    """
    is_over = message.kind in (Kind.ACKNOWLEDGED, Kind.RESOLVED)
    shown = [] if is_over else _commands(message, COMMANDS_CHARS_MAX, _UNFIT_FOR_CHATS)
    commands = [f"`{each}`" for each in shown]
    lines = [f"*{_chat(headline(message), TITLE_CHARS_MAX)}*"]
    if is_over:
        lines.append(f"by {_chat(message.by, NAME_CHARS_MAX)}: {_chat(message.why, PART_CHARS_MAX)}")
    elif message.kind is not Kind.SUMMARY:
        lines.append(_chat(message.desc, PART_CHARS_MAX))
        named = (("tenant", message.tenant), ("owner", message.owner))
        about = [message.analytic, *message.tags, *(f"{what} {name}" for what, name in named if name)]
        lines.append(_chat(", ".join(_clipped(each, NAME_CHARS_MAX) for each in about if each), ABOUT_CHARS_MAX))
    left_chars = TEXT_CHARS_MAX - MORE_CHARS_MAX - sum(len(each) + 1 for each in (*lines, *commands))
    told = [f"- {_chat(each, SUMMARY_LINE_CHARS_MAX)}" for each in message.lines]
    while told and sum(len(each) + 1 for each in told) > left_chars:
        told.pop()
    left_out_count = message.left_out_count + len(message.lines) - len(told)
    more = [f"and {left_out_count} more"] if left_out_count else []
    return orjson.dumps({"text": "\n".join((*lines, *told, *more, *commands))})


def pagerduty_body(message: Message, routing_key: str, source: str) -> bytes:
    """Return an event of PagerDuty's Events API v2; all events of an incident have its id as `dedup_key`.

    Args:
        message: the message.
        routing_key: of the service, which is a secret.
        source: what the events are from.
    """
    action = _PAGER_ACTIONS.get(message.kind, "trigger")
    event: dict[str, Any] = {"routing_key": routing_key, "event_action": action, "dedup_key": message.incident}
    if action == "trigger":
        fields = as_fields(message)
        fields.pop("ocsf", None)
        event["payload"] = {
            "summary": _clipped(headline(message), TITLE_CHARS_MAX),
            "source": source,
            "severity": _scale(message).pager,
            "timestamp": format_instant(message.first_ms),
            "component": _clipped(_one_line(_agents(message)), TITLE_CHARS_MAX) or "stoplog",
            "group": message.route,
            "class": message.analytic,
            "custom_details": fields,
        }
        event["client"] = "stoplog"
    return json_line(event).encode()


def splunk_body(message: Message, host: str, index: str | None) -> bytes:
    """Return an event for Splunk's HTTP Event Collector.

    Args:
        message: the message.
        host: the name of the machine or deployment.
        index: the index; None for that of the token.
    """
    event: dict[str, Any] = {
        "time": f"{message.made_ms / _SECOND_MS:.3f}",
        "host": host,
        "source": "stoplog:desk",
        "sourcetype": "stoplog:alert",
        "event": as_fields(message),
    }
    if index is not None:
        event["index"] = index
    return json_line(event).encode()


def cef_line(message: Message, version: str) -> str:
    """Return a message in ArcSight's Common Event Format, version 0.

    In the header, backslashes and bars are escaped; in the extension, backslashes, equals signs and line ends.

    Args:
        message: the message.
        version: the version of stoplog.
    """
    header = ("stoplog", "stoplog", version, message.analytic, headline(message))
    extension: tuple[tuple[str, str], ...] = (
        ("externalId", message.uid),
        ("rt", str(message.made_ms)),
        ("start", str(message.first_ms)),
        ("end", str(message.last_ms)),
        ("cnt", str(message.count)),
        # What was done about the call, as readers of CEF take it.
        ("act", message.disposition),
        ("cat", message.kind.value),
        ("suser", _agents(message)),
        ("msg", message.why or "\n".join(message.lines) or message.desc),
        *_custom(
            ("incident", message.incident),
            ("finding", message.finding_uid),
            ("session", message.session_id),
            ("tags", ",".join(message.tags)),
            ("tenant", message.tenant),
            ("response", "\n".join(_commands(message, CEF_FIELD_CHARS_MAX))),
        ),
    )
    told = " ".join(f"{name}={_cef_value(value)}" for name, value in extension if value)
    return f"CEF:0|{'|'.join(_cef_header(each) for each in header)}|{_scale(message).cef}|{told}"


def _custom(*fields: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the custom texts of CEF, each at the number of its place. Without a value, there is no label either."""
    for number, (label, value) in enumerate(fields, start=1):
        if value:
            yield f"cs{number}Label", label
            yield f"cs{number}", value


def syslog_frame(message: Message, version: str, host: str) -> bytes:
    """Return a message as RFC 5424 has it, with CEF as its text, framed by its length (RFC 6587, 3.4.1).

    Args:
        message: the message.
        version: the version of stoplog.
        host: the name of this machine.
    """
    priority = FACILITY_LOG_AUDIT * 8 + _scale(message).syslog
    name = re.sub(r"[^\x21-\x7e]", "-", host)[:255] or "-"
    text = cef_line(message, version)
    line = f"<{priority}>1 {format_instant(message.made_ms)} {name} stoplog - {message.kind.value} - {text}".encode()
    return b"%d %b" % (len(line), line)


def _word(message: Message) -> str:
    return severity_word(message.severity_id, severity_word(Severity.UNKNOWN))


def _scale(message: Message) -> _Scale:
    return _SCALES[Severity(min(max(message.severity_id, Severity.UNKNOWN), Severity.FATAL))]


def _agents(message: Message, chars_max: int = CEF_FIELD_CHARS_MAX) -> str:
    """Return the names of the first agents, each at most of a length."""
    named = [_clipped(each, chars_max) for each in message.agents[:NAMED_AGENTS_MAX]]
    more = message.has_more_agents or len(message.agents) > len(named)
    return ", ".join(named) + (" and more" if more else "")


def _commands(
    message: Message, chars_max: int | None = None, unfit: re.Pattern[str] = _UNFIT_FOR_COMMANDS
) -> list[str]:
    """Return the commands of a message, to show a person who copies them into a shell.

    INVARIANT: each command is what the alert has, to the character. What strangers have chosen is quoted in it, and a
    single character that is replaced or cut off can end the quotes, so that the shell runs what follows. So a command
    with a character that the form can't show is left out, as is one for which there is no room, and the command that
    shows the alert stands in for it.

    Args:
        message: the message.
        chars_max: how many characters there is room for; None for any number.
        unfit: characters that the form can't show as they are.
    """
    instead = f"stoplog alerts show {quote(message.finding_uid)}"
    if not message.finding_uid or len(instead) > _INSTEAD_CHARS_MAX or unfit.search(instead):
        instead = "stoplog alerts list"
    shown: list[str] = []
    left_chars = None if chars_max is None else chars_max - len(instead)
    for response in message.responses:
        if unfit.search(response):
            continue
        if left_chars is not None:
            left_chars -= len(response) + _ROUND_COMMAND_CHARS
            if left_chars < _ROUND_COMMAND_CHARS:
                break
        shown.append(response)
    is_whole = len(shown) == len(message.responses)
    return shown if is_whole or instead in shown else [*shown, instead]


def _ocsf(message: Message) -> object:
    if message.ocsf is None:
        return None
    try:
        return json.loads(message.ocsf)
    except ValueError:
        return None


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _clipped(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[: chars_max - 3]}..."


def _chat(text: str, chars_max: int) -> str:
    """Return text that somebody else has chosen, for a chat: in a line, without a meaning in its markup.

    `&`, `<` and `>` are escaped as Slack demands. Mattermost and Rocket.Chat read Markdown, and link what looks like an
    address: a space without width ends what they would read as a mention, a link or a mark, and stays invisible. A
    backquote would begin code that ends where a command begins.

    Args:
        text: the text.
        chars_max: how long the result may be. What is too long is cut before it is escaped, and so in no escape.
    """
    line = _one_line(text)
    if len(whole := _escaped(line)) <= chars_max:
        return whole
    kept = bisect_right(range(chars_max), chars_max - len("..."), key=lambda chars: len(_escaped(line[:chars])))
    return f"{_escaped(line[: kept - 1])}..."


def _escaped(text: str) -> str:
    plain = _MARKUP.sub(f"\\g<0>{_NO_WIDTH}", text.replace("`", "'"))
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cef_header(text: str) -> str:
    return _clipped(_one_line(text), CEF_FIELD_CHARS_MAX).replace("\\", "\\\\").replace("|", "\\|")


def _cef_value(text: str) -> str:
    lines = [_CONTROL.sub(" ", line) for line in text.split("\n")]
    whole = _clipped("\n".join(lines), CEF_FIELD_CHARS_MAX)
    return whole.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n")


Format = Callable[[Message], bytes]
"""Gives a message the form of a sink."""
