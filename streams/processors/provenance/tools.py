"""What provenance asks about a tool, beyond what `ToolUses` compiles from the catalog. Made once for each entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.processors.control.catalog_tool import CatalogTool
from streams.provenance.acts.kinds import REVISE, ActKind
from streams.provenance.acts.matters import matters_of_tool
from streams.provenance.acts.words import GENERIC_VERBS, forms_of
from streams.provenance.pointers import escaped, unescaped
from streams.provenance.tools.kinds import possible_kinds, revises_payments
from streams.provenance.tools.things_abroad import THINGS_ABROAD
from streams.provenance.words import (
    LETTERS,
    STOP_WORDS,
    THINGS_ALIKE,
    UNTYPED,
    singular,
    text_value,
    thing_of,
    words_of_name,
)

TOOLS_CACHED_MAX = 10_000
THINGS_MAX = 12
SETTINGS_MAX = 16
"""Arguments of a call for which it is looked up whether the user has mentioned them."""
PLACES_CACHED_MAX = 256
Place = tuple[ArgumentRole, bool]
"""What an argument is for, and whether it is a sink: whether it says where data goes or what is acted on."""
SETTINGS_CACHED_MAX = 64
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[^\W\d_]{3,40}")
_SENTENCE_END = re.compile(r"[.!?\n]")
_SERVED = ("user", "customer", "client")
"""Words for whoever is served, by which nobody speaks of a tool: "I am user 88"."""
_DESCRIPTION_CHARS_MAX = 200


class ToolUse:
    """What provenance asks about a tool.

    Attributes:
        tool: its catalog entry.
        name: its full name as scopes state it: `SERVER/NAME`.
        thing: what an argument that is only called `id` or `number` names.
        things: what it may name as well: the words of the tool's name, and of the beginning of its description.
        own_numbers: what a number begins with in canonical form that is only called `id` or `number`, or by the thing.
        own_words: what the tool does in its own words, as the user would say it: the first words of its name and of its
            description with their forms with `-ing`, in canonical form.
        spoken_of: words by which a user would speak of the tool at all: its own ones, and the things that it names.
        named: words for what the tool's name says that it is about, as a user would say them: `mail`, `mails`; also
            those for the same thing: of `delete_event`, `meeting`, and `réunion`.
        things_alike: those of `named` that are not words for whoever is served.
        matters: which matters the tool changes: the luggage of `add_bags`; none if no table has them.
        places: what `place_of` has returned so far, by pointer.
        states_owners: whether the operator states whose data the tool reads or changes.
        has_owners: whether that is stated or proposed.
        is_read: whether the tool only reads.
        is_outward: whether it reaches beyond the operator's systems.
    """

    __slots__ = (
        "_kinds", "_settings", "has_owners", "is_outward", "is_read", "matters", "name", "named", "own_numbers",
        "own_words", "places", "spoken_of", "states_owners", "thing", "things", "things_alike", "tool",
    )  # fmt: skip

    def __init__(self, tool: CatalogTool) -> None:
        entry = tool.entry
        self.tool = tool
        self.is_read, self.is_outward = entry.read_only, entry.open_world
        self.name = "/".join(tool.full_name)
        self.places: dict[str, Place] = {}
        self._settings: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.thing = thing_of(entry.name)
        self.own_numbers = (f"{self.thing}:", f"{UNTYPED}:")
        description = (entry.description or "")[:_DESCRIPTION_CHARS_MAX]
        begins = _SENTENCE_END.split(description.strip(), maxsplit=1)[0]
        named = words_of_name(entry.name)
        words = [*named, *_WORD.findall(begins.lower())]
        self.things = tuple(dict.fromkeys(singular(word) for word in words if word not in STOP_WORDS))[:THINGS_MAX]
        verbs = [word for word in words[:1] + words[len(named) : len(named) + 1] if word not in STOP_WORDS]
        said = [form for verb in verbs for form in (verb, *forms_of(verb)) if form == verb or form.endswith("ing")]
        self.own_words = tuple(dict.fromkeys(value for form in said if (value := text_value(form))))
        self.spoken_of = tuple(
            dict.fromkeys([*self.own_words, *_spoken(word for word in self.things if word not in _SERVED)])
        )
        about = [thing for word in map(singular, named) for thing in (word, *THINGS_ALIKE.get(word, ()))]
        abroad = [form for thing in about for form in THINGS_ABROAD.get(thing, ())]
        self.named = tuple(word for word in _spoken([*about, *abroad]) if word not in self.own_words)
        served = set(_spoken(_SERVED))
        self.things_alike = tuple(word for word in self.named if word not in served)
        self.matters = frozenset() if self.is_read else matters_of_tool(entry.name, description)
        self.states_owners = bool(entry.owner_args or entry.output_owners)
        kinds = possible_kinds(entry.name, entry.description or "")
        self._kinds = frozenset((entry.kind,)) if entry.kind is not None else kinds | {tool.uses.kind}
        if ActKind.PAY in self._kinds and revises_payments(entry.name, entry.description or ""):
            self._kinds |= {REVISE}
        self.has_owners = self.states_owners or bool(tool.uses.owner_args)

    def words_of_settings(self, args: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the words by which a user would speak of what a call sets: names of arguments that are no sinks."""
        names = tuple(islice(args, SETTINGS_MAX))
        words = self._settings.get(names)
        if words is None:
            if len(self._settings) >= SETTINGS_CACHED_MAX:
                self._settings.clear()
            named = [name for name in names if not self.place_of(f"/{escaped(name)}")[1]]
            words = self._settings[names] = _spoken(singular(word) for name in named for word in words_of_name(name))
        return words

    def kinds_of(self, kind: str) -> frozenset[str]:
        """Return the kinds of act that a call of a kind may be asked for as. One that is stated or chosen is alone."""
        return self._kinds if kind == self.tool.uses.kind else frozenset((kind,))

    def place_of(self, pointer: str) -> Place:
        """Return the role of an argument, and whether it is a sink."""
        place = self.places.get(pointer)
        if place is None:
            if len(self.places) >= PLACES_CACHED_MAX:
                self.places.clear()
            uses = self.tool.uses
            place = self.places[pointer] = (uses.role_of(pointer), uses.sinks.cover(pointer))
        return place


def _spoken(words: Iterable[str]) -> tuple[str, ...]:
    """Return words that say something, in canonical form, also in the plural."""
    told = [word for word in words if word not in STOP_WORDS and word not in GENERIC_VERBS]
    return tuple(dict.fromkeys(value for word in told for form in (word, f"{word}s") if (value := text_value(form))))


class ToolUseCache:
    """Keeps what provenance asks about tools, by the identity of their entries."""

    def __init__(self) -> None:
        self._uses: dict[int, tuple[CatalogTool, ToolUse]] = {}

    def of(self, tool: CatalogTool) -> ToolUse:
        """Return what provenance asks about a tool; the same object for the same entry."""
        kept = self._uses.get(id(tool))
        if kept is not None and kept[0] is tool:
            return kept[1]
        if len(self._uses) >= TOOLS_CACHED_MAX:
            self._uses.clear()
        use = ToolUse(tool)
        self._uses[id(tool)] = (tool, use)
        return use


def has_same_shape(one: str, other: str) -> bool:
    """Return whether two identifiers are built alike: `C-1042` and `C-977`, but not `C-1042` and `noor`."""
    return _shape(one) == _shape(other)


def _shape(text: str) -> str:
    return LETTERS.sub("a", _DIGITS.sub("0", text))


def leaf_at(args: Mapping[str, Any], pointer: str) -> Any:
    """Return the value at a JSON pointer in the arguments; None if there is none."""
    value: Any = args
    for step in pointer.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(unescaped(step))
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
