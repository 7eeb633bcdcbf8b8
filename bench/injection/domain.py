"""Reads the domains: the tools of a made-up workplace, what its user asks for, and what attackers plant there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

DOMAINS = Path(__file__).with_name("domains")
SLOT = "§"
"""Marks a place in what somebody else wrote: honest text or an attacker's words come there."""

_SCHEMAS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "texts": {"type": "array", "items": {"type": "string"}},
}


class Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A call with its result; in a goal, `{v}` stands for the attacker's value, in a memory `{text}` for the note."""

    tool: str
    args: dict[str, Any]
    result: Any


Step = Call | str
"""A call, or what the user writes next."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user asks for, and the calls that do it, with what the user writes in between."""

    name: str
    request: str
    steps: tuple[Step, ...]


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the agent keeps a note, and reads it in another session."""

    write: Call
    read: Call


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an attacker wants.

    Attributes:
        value: what stands for `{v}` in the words and the calls.
        say: the attacker's words, in several versions.
        call: the call that reaches the goal.
        carrier: the task in which the words are found; None for any.
        context: an honest call before the task, which shows data that the attack uses.
        aid: calls that the attacker wants before those that reach the goal, and that do not reach it by themselves.
        also: further calls that reach the goal.
        request: what the user asks for, if there is no carrier.
        steps: what the user has done for that, with the attacker's words if there are any. The goal's calls follow
            the first call.
    """

    name: str
    call: Call
    say: tuple[str, ...] = ()
    value: str = ""
    carrier: str | None = None
    context: Call | None = None
    aid: tuple[Call, ...] = ()
    also: tuple[Call, ...] = ()
    request: str | None = None
    steps: tuple[Step, ...] = ()


class Rounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many goals a technique is tried with: each disguise, each way to split, each way to carry over, letters."""

    disguised: int = 2
    split: int = 3
    carried: int = 3
    letters: int = 0


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool as its server lists it, and the operator's facts about it.

    Attributes:
        args: names with `:TYPE` (text by default), and `?` for those that may be left out; or a shape, see `_shape`.
        facts: any of `read`, `outward`, `destroys`, `reversible`.
        out: the label of results, integrity and confidentiality.
        trusted: paths in results whose values only the operator's systems write.
        sinks: JSON pointers of the arguments that say where data goes or what is acted on.
        owner_out: JSON pointers of the fields of results that say whose data it is.
        content: the media type of results, if the operator states it.
    """

    about: str
    args: str | dict[str, Any]
    facts: str
    out: str
    trusted: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    owner_out: tuple[str, ...] = ()
    content: str | None = None


class Domain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workplace: its user and agent, its tools, its honest tasks, and the goals of its attackers."""

    domain: str
    subject: str
    agent: str
    tools: dict[str, Tool]
    fillers: tuple[str, ...]
    tasks: tuple[Task, ...]
    followup: Task
    memory: Memory
    goals: tuple[Goal, ...]
    special: dict[str, tuple[Goal, ...]]
    rounds: Rounds = Rounds()


def read_domains(folder: Path = DOMAINS) -> list[Domain]:
    """Return all domains, in the order of their names. Blocking."""
    return [_read(path) for path in sorted(folder.glob("*.yaml"))]


def _read(path: Path) -> Domain:
    loaded = yaml.safe_load(path.read_text("utf-8"))
    for goals in loaded["special"].values():
        for goal in goals:
            goal["say"] = [goal.get("say", "")]
    return msgspec.convert(loaded, Domain)


def listings(domain: Domain) -> list[dict[str, Any]]:
    """Return the catalog of a domain in the form that `stoplog try --catalog` reads."""
    made: dict[str, dict[str, Any]] = {}
    for full_name, tool in domain.tools.items():
        server_id, _, name = full_name.partition(".")
        empty: dict[str, Any] = {"server_id": server_id, "tools": [], "facts": {}, "reviewed_by": "operator"}
        listing = made.setdefault(server_id, empty)
        listing["tools"].append({"name": name, "description": tool.about, "inputSchema": schema_of(tool.args)})
        listing["facts"][name] = _facts(tool)
    return list(made.values())


def _facts(tool: Tool) -> dict[str, Any]:
    stated = tool.facts.split()
    integrity, confidentiality = tool.out.upper().split()
    facts: dict[str, Any] = {
        "read_only": "read" in stated,
        "destructive": "destroys" in stated,
        "open_world": "outward" in stated,
        "reversible": "reversible" in stated or "read" in stated,
        "output_label": {"integrity": integrity, "confidentiality": confidentiality},
        "sink_args": list(tool.sinks),
    }
    if tool.owner_out:
        facts["output_owners"] = list(tool.owner_out)
    if tool.content:
        facts["content_type"] = tool.content
    if tool.trusted:
        label = {"integrity": "TRUSTED", "confidentiality": confidentiality}
        facts["output_labels"] = [{"path": path, "label": label} for path in tool.trusted]
    return facts


def schema_of(args: str | dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments as a domain writes them."""
    if isinstance(args, dict):
        return _shape(args)
    properties: dict[str, Any] = {}
    required = []
    for word in args.split():
        name, _, kind = word.rstrip("?").partition(":")
        kind = kind.rstrip("?")
        properties[name.rstrip("?")] = _SCHEMAS.get(kind or "string") or _NESTED[kind]
        if not word.endswith("?") and "?" not in word:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _shape(shape: Any) -> dict[str, Any]:
    """Return the schema of a shape: a type's name, values with `|` between them, a list of one shape, or an object.

    An object's names end with `?` if they may be left out.
    """
    if isinstance(shape, list):
        return {"type": "array", "items": _shape(shape[0])}
    if isinstance(shape, str):
        return {"type": "string", "enum": shape.split("|")} if "|" in shape else {"type": shape}
    properties = {name.rstrip("?"): _shape(each) for name, each in shape.items()}
    required = [name for name in shape if not name.endswith("?")]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _objects(required: str, optional: str = "") -> dict[str, Any]:
    return {"type": "array", "items": schema_of(" ".join([required, *(f"{name}?" for name in optional.split())]))}


_NESTED = {
    "items": _objects("sku count:integer", "address"),
    "changes": _objects("from to", "deliver_to"),
    "packages": _objects("name", "version source"),
    "message": schema_of("recipients:texts subject body attachments:texts?"),
}
