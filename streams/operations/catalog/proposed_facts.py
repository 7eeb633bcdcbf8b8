"""Proposes facts about tools that nobody has stated: sinks, roles, owners, the kind of act, the call that undoes it.

Proposals are the worst that a tool's names and schema allow, or say what gates would assume anyway. A reviewer decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from streams.model.catalog import ArgumentRole, ArgumentUse, CompensatingArgument, ToolCatalogEntry
from streams.operations.review.diff import FACT_FIELDS, definition_of
from streams.processors.control.tool_uses import ToolUses
from streams.provenance.acts.kinds import ActKind
from streams.provenance.pointers import Paths, escaped, steps_of
from streams.provenance.tools.kinds import propose_kind
from streams.provenance.tools.places import Place, places_of, words_of
from streams.provenance.tools.uses import propose_kind_arg, propose_output_owners, propose_owner_args, propose_roles
from streams.sdk.mcp.catalog import ToolFacts

_CARRIES_TEXT = frozenset({"string", "array", "object"})
_TARGETS = (ArgumentRole.TARGET, ArgumentRole.DESTINATION)
_JSON = "application/json"
_UNDOING = {
    "create": ("delete", "remove", "cancel"), "add": ("remove", "delete"), "insert": ("delete", "remove"),
    "book": ("cancel",), "reserve": ("cancel", "release"), "schedule": ("cancel", "unschedule"),
    "order": ("cancel",), "grant": ("revoke",), "share": ("unshare", "revoke"), "invite": ("uninvite", "remove"),
    "subscribe": ("unsubscribe",), "follow": ("unfollow",), "enable": ("disable",), "disable": ("enable",),
    "lock": ("unlock",), "unlock": ("lock",), "archive": ("unarchive", "restore"), "delete": ("restore", "undelete"),
    "block": ("unblock",), "pin": ("unpin",), "mute": ("unmute",), "assign": ("unassign",), "star": ("unstar",),
    "close": ("reopen",), "start": ("stop",), "publish": ("unpublish",), "upload": ("delete", "remove"),
    "attach": ("detach",), "mount": ("unmount",), "hold": ("release",), "freeze": ("unfreeze",),
}  # fmt: skip
"""Which verbs undo others."""


ByWords = Mapping[tuple[str, ...], ToolCatalogEntry]
"""Tools of a server, by the words of their names."""


def by_words(entries: Iterable[ToolCatalogEntry]) -> ByWords:
    """Return tools by the words of their names."""
    return {words_of(entry.name): entry for entry in entries}


def with_proposed_facts(
    entry: ToolCatalogEntry, approved: ToolCatalogEntry | None, stated: ToolFacts | None, others: ByWords
) -> ToolCatalogEntry:
    """Return the entry with a proposal for what the operator has not stated.

    A tool that is approved keeps its facts, so that an import that finds nothing new proposes nothing; only arguments
    that are new to it are proposed as sinks, and with their roles.

    Args:
        entry: as it is listed, with the facts that are stated.
        approved: the approved version.
        stated: what the operator states about the tool; None if that is nothing. Safety is then as stated, and so are
            sinks if they are among it. If not, they are proposed, as for a tool about which nothing is stated: an
            operator who states that a tool can be undone has not said that its arguments send nothing anywhere.
        others: what the same server lists.
    """
    if approved is None:
        proposed = _proposals(entry, others)
        if not asks_for_sinks(stated):
            del proposed["sink_args"]
        return _filled(entry, proposed)
    known = {place.path for place in places_of(_schema_of(approved))}
    kept = {name: getattr(approved, name) for name in (FACT_FIELDS if stated is None else _PROPOSED)}
    if asks_for_sinks(stated):
        was = set(possible_sinks(approved))
        kept["sink_args"] = (*approved.sink_args, *(each for each in possible_sinks(entry) if each not in was))
    if kept["arg_roles"]:
        new = [use for use in _role_uses(entry) if use.path not in known]
        kept["arg_roles"] = (*kept["arg_roles"], *new)
    return msgspec.structs.replace(entry, **kept) if stated is None else _filled(entry, kept)


def asks_for_sinks(stated: ToolFacts | None) -> bool:
    """Return whether it is left open which arguments are sinks. A tool that only reads, and not in the open world, has
    none: nothing is acted on, and data goes nowhere.

    Args:
        stated: what the operator states about the tool; None if that is nothing.
    """
    return stated is None or (stated.sink_args is None and not (stated.read_only and not stated.open_world))


_PROPOSED = (
    "kind", "kind_arg", "arg_roles", "owner_args", "output_owners", "content_type", "compensating_tool",
    "compensating_args",
)  # fmt: skip
"""Facts that are proposed one by one where the operator has left them out of his facts."""


def _filled(entry: ToolCatalogEntry, proposed: Mapping[str, Any]) -> ToolCatalogEntry:
    changes = {name: value for name, value in proposed.items() if not getattr(entry, name)}
    if entry.compensating_tool is not None:
        changes.pop("compensating_args", None)
    return msgspec.structs.replace(entry, **changes)


def _proposals(entry: ToolCatalogEntry, others: ByWords) -> dict[str, Any]:
    undoing, undoing_args = _undoing(entry, others)
    kind = _proposed_kind(entry)
    return {
        "sink_args": possible_sinks(entry),
        "kind": kind,
        "kind_arg": propose_kind_arg(_schema_of(entry)),
        "arg_roles": _role_uses(entry),
        "owner_args": propose_owner_args(
            _schema_of(entry), reads=_seems_to_read(entry), kind=kind or "", tool=entry.name
        ),
        "output_owners": propose_output_owners(_output_schema_of(entry)),
        # A schema of results says that they are JSON; a text that says so would be the server's word.
        "content_type": None if _output_schema_of(entry) is None else _JSON,
        "compensating_tool": undoing,
        "compensating_args": undoing_args,
    }


def possible_sinks(entry: ToolCatalogEntry) -> tuple[str, ...]:
    """Return all arguments that can carry text or name a thing. A reviewer decides which of them are sinks."""
    schema = _schema_of(entry)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return ()
    roles = propose_roles(schema, reads=False)
    paths = {f"/{escaped(str(name))}": value for name, value in properties.items()}
    return tuple(path for path, each in paths.items() if _may_carry_text(each) or roles.get(path) in _TARGETS)


def assumed_facts(entry: ToolCatalogEntry) -> dict[str, Any]:
    """Return what gates assume for facts that the entry leaves open, by the fact's name, as JSON values."""
    uses = ToolUses(entry)
    assumed: dict[str, Any] = {}
    if entry.kind is None:
        assumed["kind"] = uses.kind
    if not entry.arg_roles and uses.roles:
        assumed["arg_roles"] = [{"path": path, "role": role.value} for path, role in uses.roles]
    if not entry.owner_args and uses.owner_args.paths:
        assumed["owner_args"] = list(uses.owner_args.paths)
    return assumed


_ABOUT_ARGUMENTS = ("sink_args", "arg_roles", "owner_args", "kind_arg", "identifying_args")


def strays(entry: ToolCatalogEntry, name: str) -> tuple[str, ...]:
    """Return the paths of a fact about arguments that name no argument of the tool's schema.

    Such a path protects nothing: it is most often misspelled. A schema that leaves its members open has no strays.
    """
    schema = _schema_of(entry) if name in _ABOUT_ARGUMENTS else None
    if not isinstance(schema, Mapping) or not isinstance(schema.get("properties"), Mapping):
        return ()
    if schema.get("additionalProperties") or any(word in schema for word in ("anyOf", "oneOf", "allOf", "$ref")):
        return ()
    places = [place.path for place in places_of(schema)]
    stated = getattr(entry, name)
    if name == "identifying_args":
        stated = [path for paths in stated for path in paths]
    paths = [stated] if isinstance(stated, str) else [getattr(each, "path", each) for each in stated or ()]
    return tuple(path for path in paths if path != "/-" and not _reaches(path, places))


def _reaches(path: str, places: Iterable[str]) -> bool:
    """Return whether a path covers a place, or lies within one whose inside the schema leaves open."""
    wanted, covers = steps_of(path), Paths([path])
    for place in places:
        steps = steps_of(place)
        if covers.cover(place):
            return True
        if len(wanted) >= len(steps) and all(a == b or "*" in (a, b) for a, b in zip(steps, wanted, strict=False)):
            return True
    return False


def _role_uses(entry: ToolCatalogEntry) -> tuple[ArgumentUse, ...]:
    roles = propose_roles(_schema_of(entry), reads=_seems_to_read(entry))
    return tuple(ArgumentUse(path=path, role=role) for path, role in roles.items())


def _seems_to_read(entry: ToolCatalogEntry) -> bool:
    return entry.read_only or propose_kind(entry.name, entry.description or "") == ActKind.READ


def _proposed_kind(entry: ToolCatalogEntry) -> str | None:
    """Return the kind of act that the name says; None where `read_only` will decide, or where nothing is known.

    A name that says `read` is not overruled by a description such as "Return the text": whether the tool reads is for
    a reviewer to say, and gates assume what the description says as long as nobody has.
    """
    if entry.read_only or propose_kind(entry.name) == ActKind.READ:
        return None
    kind = propose_kind(entry.name, entry.description or "")
    return None if kind in (ActKind.READ, ActKind.OTHER) else kind


def _undoing(entry: ToolCatalogEntry, others: ByWords) -> tuple[str | None, tuple[CompensatingArgument, ...]]:
    """Return the tool of the same server whose name says that it undoes this one, if its arguments can be had."""
    words = words_of(entry.name)
    for place, word in enumerate(words):
        for opposite in _UNDOING.get(word, ()):
            other = others.get((*words[:place], opposite, *words[place + 1 :]))
            found = None if other is None else _undoing_args(entry, other)
            if other is not None and found is not None:
                return other.name, found
    return None, ()


def _undoing_args(entry: ToolCatalogEntry, undoing: ToolCatalogEntry) -> tuple[CompensatingArgument, ...] | None:
    """Return where the required arguments of an undoing call come from; None if one of them is not known."""
    own = {place.names[0] for place in places_of(_schema_of(entry)) if len(place.names) == 1}
    results = places_of(_output_schema_of(entry))
    made: list[CompensatingArgument] = []
    for needed in places_of(_schema_of(undoing)):
        if not needed.is_required:
            continue
        if len(needed.names) != 1 or needed.path.endswith("*"):
            return None
        name = needed.names[0]
        source = f"/args/{escaped(name)}" if name in own else _result_source(needed, results)
        if source is None:
            return None
        made.append(CompensatingArgument(path=needed.path, source=source))
    return tuple(made) or None


def _result_source(needed: Place, results: Sequence[Place]) -> str | None:
    """Return the field of the result that an argument such as `id` or `event_id` names."""
    words = words_of(needed.names[0])
    if not words or words[-1] not in ("id", "uid", "uuid", "key", "number", "reference"):
        return None
    for place in results:
        if place.names and words_of(place.names[0]) == words:
            return f"/result{place.path}"
    for place in results:
        if place.names and words_of(place.names[0]) == words[-1:]:
            return f"/result{place.path}"
    return None


def _schema_of(entry: ToolCatalogEntry) -> Any:
    return definition_of(entry).get("inputSchema")


def _output_schema_of(entry: ToolCatalogEntry) -> Any:
    return definition_of(entry).get("outputSchema")


def _may_carry_text(schema: object) -> bool:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    if kinds is None:
        return True
    return bool(_CARRIES_TEXT & set(kinds if isinstance(kinds, list) else [kinds]))
