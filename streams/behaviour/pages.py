"""Keep what is known of one agent, one session or one kind of agents together: one row with a slot for each detector.

**Idea.** A detector says in which places its rows are: fields whose values tell one row from another, and a slot.
Places with the same fields are slots of one row, a *page*. So the page of an agent has its rates, its volumes and its
totals, and a decision needs a dozen pages where it needed three dozen rows. A page is a map from slots to rows: a new
detector adds a slot, and the slot of a detector that is no longer declared goes with the next change of its page. Terms
(destinations, objects, tools) are fields too: each has a page of its own, however many there are of one agent.

Pages are decoded when they are needed first, and encoded once when a step of many decisions is over (`OpenRows`).
Pages of the last steps are remembered decoded, beside the bytes that they were decoded from. What is remembered counts
only for equal bytes, so it changes nothing but the cost.

**Rejected.** One row for each detector: reading, decoding and writing three dozen rows was four fifths of the cost. One
row for everything about an agent, terms included: a new term would cost as much as all terms. Slots by position: a
detector that is added in the middle would give all others a wrong row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from streams.behaviour.activity import ATTRIBUTES, FIELDS, Activity, row_key

KEYS_MADE_MAX = 16_384
"""Keys that a shape remembers."""
REMEMBERED_MAX = 4_096
"""Rows that are remembered decoded; beyond that, all are forgotten."""
ROW_TYPES_MAX = 256
"""Classes of rows whose decoders are kept; there are about 60."""

TIME_PART = "time.part"
PREVIOUS_TOOL = "tool.previous"
BEFORE_TOOL = "tool.before"

PAGE_FIELDS: Mapping[str, Callable[[Activity], str | None]] = MappingProxyType(
    {**FIELDS, PREVIOUS_TOOL: lambda a: a.previous_tool, BEFORE_TOOL: lambda a: a.before_tool}
)
"""What tells pages apart: what declarations may name, and the two calls before."""
_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {**ATTRIBUTES, PREVIOUS_TOOL: "previous_tool", BEFORE_TOOL: "before_tool"}
)

_ALWAYS = frozenset(
    {
        "agent.id",
        "agent.epoch",
        "agent.type",
        "session.id",
        "tenant",
        "tool.name",
        TIME_PART,
        PREVIOUS_TOOL,
        BEFORE_TOOL,
    }
)
"""Fields that every activity has."""

T = TypeVar("T")


class RowView(Protocol):
    """Where rows are kept."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set a row."""


class Place(NamedTuple):
    """Where a detector keeps a row.

    Attributes:
        fields: the fields whose values tell pages apart, besides the tenant.
        slot: the name of the row in its page.
        is_required: whether an activity without one of the fields does not concern the detector; otherwise the field
            counts as empty.
    """

    fields: tuple[str, ...]
    slot: str
    is_required: bool = True


class Slot(NamedTuple):
    """A place in a layout.

    Attributes:
        shape: the index of its shape.
        attribute: the attribute of the page that has the row.
        position: where the row stands when the rows of all pages of an activity stand in one list.
    """

    shape: int
    attribute: str
    position: int


class Shape:
    """Pages with the same fields.

    Attributes:
        fields: the fields.
        name: what the keys of the pages begin with.
        page_type: the class of the pages.
        blank: the rows of a page that there is not, one None for each slot.
    """

    def __init__(self, fields: tuple[str, ...], suffix: str, page_type: type, *, is_required: bool) -> None:
        self.fields, self.name, self.page_type = fields, page_name(fields, suffix), page_type
        self.blank = (None,) * len(msgspec.structs.fields(page_type))
        self._is_required = is_required
        self._values = tuple(PAGE_FIELDS[field] for field in ("tenant", *fields))
        plain = attrgetter(
            *sorted({"tenant", "agent", *(_ATTRIBUTES[field] for field in fields if field != TIME_PART)})
        )
        self._read: Callable[[Activity], Any] = (
            (lambda a: (plain(a), FIELDS[TIME_PART](a))) if TIME_PART in fields else plain
        )
        self._made: dict[Any, bytes | None] = {}

    def key(self, activity: Activity) -> bytes | None:
        """Return the key of the page of an activity; None if a required field has no value.

        Keys that were made before are remembered: to make them costs more than what detectors do with the page.
        """
        read = self._read(activity)
        try:
            return self._made[read]
        except KeyError:
            if len(self._made) >= KEYS_MADE_MAX:
                self._made.clear()
            made = self._made[read] = self.made_key(activity)
            return made

    def made_key(self, activity: Activity) -> bytes | None:
        """Return the key as `key` does, without remembering it."""
        values = [value(activity) for value in self._values]
        if self._is_required and None in values:
            return None
        return row_key(self.name, tuple(value or "" for value in values))


class Layout:
    """The pages that some places need, and where in them each place is.

    Attributes:
        shapes: the kinds of pages.
    """

    def __init__(self, places: Iterable[tuple[Place, type]], suffix: str = "") -> None:
        """Args:
        places: each place with the class of its row; no two have the same fields and slot.
        suffix: ends the names of the pages, where two layouts share a view.
        """
        slots: dict[tuple[str, ...], dict[str, type]] = {}
        asked: dict[tuple[tuple[str, ...], bool], None] = {}
        for place, row_type in places:
            slots.setdefault(place.fields, {})[place.slot] = row_type
            asked[_shape_of(place)] = None
        types = {fields: _page_type(page_name(fields, suffix), rows) for fields, rows in slots.items()}
        self._numbers = {
            (fields, slot): number for fields, rows in slots.items() for number, slot in enumerate(sorted(rows))
        }
        self._indexes = {each: number for number, each in enumerate(asked)}
        self.shapes = tuple(
            Shape(fields, suffix, types[fields], is_required=is_required) for fields, is_required in asked
        )
        self._offsets = (0, *accumulate(len(shape.blank) for shape in self.shapes))

    def slot(self, place: Place) -> Slot:
        """Return where a place is."""
        shape, number = self._indexes[_shape_of(place)], self._numbers[place.fields, place.slot]
        return Slot(shape, f"s{number}", self._offsets[shape] + number)


def _shape_of(place: Place) -> tuple[tuple[str, ...], bool]:
    """Return what tells the shape of a place apart; a field that every activity has needs not be required."""
    return place.fields, place.is_required and not _ALWAYS.issuperset(place.fields)


def page_name(fields: tuple[str, ...], suffix: str) -> str:
    """Return the name of the pages with these fields."""
    return "+".join(fields) + suffix


def _page_type(name: str, rows: Mapping[str, type]) -> type:
    """Return a class with an attribute for each slot. Its encoding is a map of the slots that have a row."""
    named = sorted(rows)
    attributes = [f"s{number}" for number in range(len(named))]
    return msgspec.defstruct(
        f"page of {name}",
        [(attribute, rows[slot] | None, None) for attribute, slot in zip(attributes, named, strict=True)],
        rename=dict(zip(attributes, named, strict=True)),
        omit_defaults=True,
        gc=False,
    )


_encode = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=ROW_TYPES_MAX)
def _decoder(row_type: type) -> Callable[[bytes], Any]:
    return msgspec.msgpack.Decoder(row_type).decode


class RememberedRows:
    """Decoded rows beside the bytes that they were decoded from. To forget one costs time and nothing else."""

    def __init__(self) -> None:
        self._rows: dict[bytes, tuple[bytes, Any]] = {}

    def take(self, key: bytes, row: bytes) -> Any:
        """Return what these bytes were decoded to, and forget it, because whoever takes it may change it; or None."""
        known = self._rows.pop(key, None)
        return known[1] if known is not None and known[0] == row else None

    def keep(self, key: bytes, row: bytes, decoded: Any) -> None:
        """Remember a row; nobody may change it from now on."""
        if len(self._rows) >= REMEMBERED_MAX:
            self._rows.clear()
        self._rows[key] = (row, decoded)


class OpenRows:
    """Rows while some decisions are judged. Each is decoded once, and each that has changed is written by `close`.

    Attributes:
        changed: the keys of the rows that have to be written, in the order in which they were changed.
        created: the keys of the pages that there are not yet.
    """

    def __init__(self, view: RowView, remembered: RememberedRows) -> None:
        """Args:
        view: where the rows are kept.
        remembered: rows of earlier steps.
        """
        self._view = view
        self._remembered = remembered
        self._rows: dict[bytes, Any] = {}
        self._read: dict[bytes, bytes] = {}
        self.changed: dict[bytes, None] = {}
        self.created: set[bytes] = set()

    def load(self, key: bytes, row_type: type[T]) -> T | None:
        """Return a row, decoded; None if there is none."""
        try:
            known: T | None = self._rows[key]
        except KeyError:
            found = self._view.get(key)
            if found is None:
                known = None
            else:
                self._read[key] = found
                known = self._remembered.take(key, found)
                if known is None:
                    wanted: type = row_type
                    known = _decoder(wanted)(found)
            self._rows[key] = known
        return known

    def page(self, key: bytes, page_type: type[T]) -> T:
        """Return a page, an empty one if there is none. Whoever changes it says so in `changed`."""
        page = self._rows.get(key)
        if page is None:
            page = self.load(key, page_type)
            if page is None:
                page = self._rows[key] = page_type()
                self.created.add(key)
        return page

    def forget(self, key: bytes) -> None:
        """Leave a page that there is not yet as it was: empty."""
        self._rows.pop(key, None)

    def store(self, key: bytes, row: object) -> None:
        """Set a row."""
        self._rows[key] = row
        self.changed[key] = None

    def close(self) -> None:
        """Write what has changed. Equal rows are equal bytes: fields stand in order, and sets are sorted tuples."""
        for key in self.changed:
            row = self._rows[key]
            self._read[key] = encoded = _encode(row)
            self._view.put(key, encoded)
        for key, encoded in self._read.items():
            self._remembered.keep(key, encoded, self._rows[key])
