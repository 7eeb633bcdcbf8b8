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
from functools import lru_cache, reduce
from operator import attrgetter, itemgetter, or_
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import astuple

from streams.behaviour.activity import ATTRIBUTES, FIELDS, Activity, row_key
from streams.behaviour.presence import BITS

KEYS_MADE_MAX = 16_384
"""For how many activities the keys of a group of shapes are remembered."""
REMEMBERED_MAX = 8_192
"""Rows that are remembered decoded, and as many that were remembered before them; older ones are forgotten."""
ROW_TYPES_MAX = 256
"""Classes of rows whose decoders are kept; there are about 60."""

TIME_PART = "time.part"
PREVIOUS_TOOL = "tool.previous"
BEFORE_TOOL = "tool.before"
DELEGATOR = "delegation.agent"
"""The agent that has given a session its work, if one has, and it is known."""

PAGE_FIELDS: Mapping[str, Callable[[Activity], str | None]] = MappingProxyType(
    {
        **FIELDS,
        PREVIOUS_TOOL: lambda a: a.previous_tool,
        BEFORE_TOOL: lambda a: a.before_tool,
        DELEGATOR: lambda a: a.delegator,
    }
)
"""What tells pages apart: what declarations may name, the two calls before, and who has given the work."""
_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {**ATTRIBUTES, PREVIOUS_TOOL: "previous_tool", BEFORE_TOOL: "before_tool", DELEGATOR: "delegator"}
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
_FEW_VALUES = frozenset({"tenant", "agent.id", "agent.type", "agent.epoch", "tool.name"})
_TOGETHER: Mapping[str, str] = MappingProxyType({BEFORE_TOOL: PREVIOUS_TOOL, "delegation.root": "session.id"})
"""Fields that have few values for each value of another one: the keys of pages of both are made together."""

T = TypeVar("T")


class RowView(Protocol):
    """Where rows are kept."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""

    def put(self, key: bytes, row: bytes) -> None:
        """Set a row."""


def without_tool(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields of a key without the tool: whoever it is, with whichever tool."""
    return tuple(field for field in fields if field != "tool.name")


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
        number: which row of its page it is.
    """

    shape: int
    number: int


class Shape:
    """Pages with the same fields. While a page is open it is a list of its rows, None where there is none.

    Attributes:
        fields: the fields.
        name: what the keys of the pages begin with.
        page_type: the class of the pages as they are written.
        blank: a page that there is not. Nobody changes it.
        needs: bits (`presence`) of what each activity has that concerns one of its rows. Others have no such page.
    """

    def __init__(
        self, fields: tuple[str, ...], suffix: str, page_type: type, needs: int = 0, *, is_required: bool
    ) -> None:
        self.needs = needs
        self.fields, self.name, self.page_type = fields, page_name(fields, suffix), page_type
        self.blank: list[Any] = [None] * len(msgspec.structs.fields(page_type))
        self._is_required = is_required
        self._values = tuple(PAGE_FIELDS[field] for field in ("tenant", *fields))

    def key(self, activity: Activity) -> bytes | None:
        """Return the key of the page of an activity; None if a required field has no value."""
        values = [value(activity) for value in self._values]
        if self._is_required and None in values:
            return None
        return row_key(self.name, tuple([value or "" for value in values]))


class _Keys:
    """The keys of some shapes together.

    Those that were made before are remembered: to make them costs more than what detectors do with the pages.

    Attributes:
        numbers: the numbers of the shapes in the layout.
        read: reads of an activity what the keys are made of.
        made: the keys that were made, by what was read.
    """

    def __init__(self, shapes: Mapping[int, Shape]) -> None:
        """Args:
        shapes: the shapes by their numbers in the layout.
        """
        self.numbers = tuple(shapes)
        self._shapes = tuple(shapes.values())
        fields = {field for shape in self._shapes for field in shape.fields}
        plain = attrgetter(*sorted({"tenant", *(_ATTRIBUTES[field] for field in fields if field != TIME_PART)}))
        self.read: Callable[[Activity], Any] = (
            (lambda a: (plain(a), FIELDS[TIME_PART](a))) if TIME_PART in fields else plain
        )
        self.made: dict[Any, tuple[bytes | None, ...]] = {}

    def make(self, activity: Activity, read: object) -> tuple[bytes | None, ...]:
        """Return the keys of the pages of an activity, in the order of the shapes, and remember them."""
        if len(self.made) >= KEYS_MADE_MAX:
            self.made.clear()
        made = self.made[read] = tuple([shape.key(activity) for shape in self._shapes])
        return made


_Present = tuple[tuple[_Keys, ...], tuple[Shape, ...], Callable[[list[Any]], tuple[Any, ...]]]
"""The pages of activities that have the same: the shapes with a page, in groups whose keys are made together; these
shapes in the order of the groups, of which the first stands for all shapes without a page; and what takes one thing for
each of them, and returns them in the order of the layout's shapes."""


class Layout:
    """The pages that some places need, and where in them each place is.

    Attributes:
        shapes: the kinds of pages. Two of them have the same pages if some places require the fields and some do not.
    """

    def __init__(
        self, places: Iterable[tuple[Place, type]], suffix: str = "", needs: Mapping[Place, int] = MappingProxyType({})
    ) -> None:
        """Args:
        places: each place with the class of its row; no two have the same fields and slot.
        suffix: ends the names of the pages, where two layouts share a view.
        needs: bits (`presence`) of what each activity has that concerns a place, beside the fields that it requires.
        """
        slots: dict[tuple[str, ...], dict[str, type]] = {}
        asked: dict[tuple[tuple[str, ...], bool], int] = {}
        for place, row_type in places:
            slots.setdefault(place.fields, {})[place.slot] = row_type
            its_needs = needs.get(place, 0) | required_by(place)
            asked[_shape_of(place)] = its_needs & asked.get(_shape_of(place), its_needs)
        types = {fields: _page_type(page_name(fields, suffix), rows) for fields, rows in slots.items()}
        self._numbers = {
            (fields, slot): number for fields, rows in slots.items() for number, slot in enumerate(sorted(rows))
        }
        self._indexes = {each: number for number, each in enumerate(asked)}
        self.shapes = tuple(
            Shape(fields, suffix, types[fields], its_needs, is_required=is_required)
            for (fields, is_required), its_needs in asked.items()
        )
        # Whatever is looked up in a page that there is not, there is nothing.
        self._blank: list[Any] = [None] * max([len(shape.blank) for shape in self.shapes], default=0)
        # Many kinds of activities have the same groups.
        self._groups: dict[tuple[int, ...], _Keys] = {}
        self._of_presence: dict[int, _Present] = {}

    def slot(self, place: Place) -> Slot:
        """Return where a place is."""
        return Slot(self._indexes[_shape_of(place)], self._numbers[place.fields, place.slot])

    def keys(self, activity: Activity, presence: int) -> tuple[bytes | None, ...]:
        """Return the keys of the pages of an activity, in the order of the shapes; None for a shape without a page.

        Args:
            activity: the activity.
            presence: what it has (`presence_of`).
        """
        groups, _, in_order = self._of_presence.get(presence) or self._present(presence)
        return in_order(_keys_of(activity, groups))

    def pages(
        self, rows: OpenRows, activity: Activity, presence: int
    ) -> tuple[tuple[bytes | None, ...], tuple[list[Any], ...]]:
        """Return the keys of the pages of an activity, as `keys` does, and the pages. Nobody changes one without a key.

        Args:
            rows: has the pages; those that are not open yet are opened.
            activity: the activity.
            presence: what it has (`presence_of`).
        """
        groups, shapes, in_order = self._of_presence.get(presence) or self._present(presence)
        made, known, blank = _keys_of(activity, groups), rows.rows, self._blank
        pages = [
            known.get(key) or (blank if key is None else rows.opened(key, shape))
            for key, shape in zip(made, shapes, strict=True)
        ]
        return in_order(made), in_order(pages)

    def _present(self, presence: int) -> _Present:
        """Return what there is of activities with these bits, and remember it."""
        present = {number: shape for number, shape in enumerate(self.shapes) if not shape.needs & ~presence}
        groups = []
        for numbers in _grouped(present):
            group = self._groups.get(numbers)
            if group is None:
                group = self._groups[numbers] = _Keys({number: present[number] for number in numbers})
            groups.append(group)
        # The first of the keys is that of all shapes without a page.
        order = [number for group in groups for number in group.numbers]
        places = [order.index(number) + 1 if number in present else 0 for number in range(len(self.shapes))]
        in_order = itemgetter(*places) if len(places) > 1 else lambda made: (made[places[0]],)
        shapes = tuple(present[number] for number in order)
        made = self._of_presence[presence] = (tuple(groups), (self.shapes[0], *shapes), in_order)
        return made


def _keys_of(activity: Activity, groups: tuple[_Keys, ...]) -> list[bytes | None]:
    """Return None and the keys of the pages of an activity, one group after the other."""
    made: list[bytes | None] = [None]
    for group in groups:
        read = group.read(activity)
        made += group.made.get(read) or group.make(activity, read)
    return made


def required_by(place: Place) -> int:
    """Return bits (`presence`) of the fields that an activity must have for a place to concern it."""
    fields = place.fields if place.is_required else ()
    return reduce(or_, [BITS.get(field, 0) for field in fields if field not in _ALWAYS], 0)


def _grouped(shapes: Mapping[int, Shape]) -> list[tuple[int, ...]]:
    """Return the numbers of shapes in groups whose keys are made together.

    Shapes are in a group if they have the same fields apart from those with few values. So there are few groups, and
    few different values of the fields of a group.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for number, shape in shapes.items():
        fields = frozenset(_TOGETHER.get(field, field) for field in shape.fields) - _FEW_VALUES
        groups.setdefault(fields, []).append(number)
    return [tuple(numbers) for numbers in groups.values()]


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

    def __init__(self, rows_max: int = REMEMBERED_MAX) -> None:
        """Args:
        rows_max: from how many on the older ones are forgotten, of which as many are kept.
        """
        self._rows_max = rows_max
        self._rows: dict[bytes, tuple[bytes, Any]] = {}
        self._older: dict[bytes, tuple[bytes, Any]] = {}

    def take(self, key: bytes, row: bytes) -> Any:
        """Return what these bytes were decoded to, and forget it, because whoever takes it may change it; or None."""
        known = self._rows.pop(key, None) or self._older.pop(key, None)
        return known[1] if known is not None and known[0] == row else None

    def keep(self, key: bytes, row: bytes, decoded: Any) -> None:
        """Remember a row; nobody may change it from now on."""
        if len(self._rows) >= self._rows_max:
            # Partitions take turns: to forget all at once would forget what the next one needs.
            self._older, self._rows = self._rows, {}
        self._rows[key] = (row, decoded)

    def keep_all(self, rows: Mapping[bytes, bytes], decoded: Mapping[bytes | None, Any]) -> None:
        """Remember the rows of a step, which are among the decoded ones. Likewise."""
        if len(self._rows) + len(rows) > self._rows_max:
            for key, row in rows.items():
                self.keep(key, row, decoded[key])
        else:
            self._rows.update([(key, (row, decoded[key])) for key, row in rows.items()])


_UNREAD: Any = object()


class OpenRows:
    """Rows while some decisions are judged. Each is decoded once, and each that has changed is written by `close`.

    Attributes:
        changed: the keys of the rows that have to be written, in the order in which they were changed; of pages the
            class that they are written as.
        created: the keys of the pages that there are not yet.
        rows: what has been read and set so far.
    """

    def __init__(self, view: RowView, remembered: RememberedRows) -> None:
        """Args:
        view: where the rows are kept.
        remembered: rows of earlier steps.
        """
        self._view = view
        self._remembered = remembered
        self.rows: dict[bytes | None, Any] = {}
        self._read: dict[bytes, bytes] = {}
        self.changed: dict[bytes, type | None] = {}
        self.created: set[bytes] = set()

    def load(self, key: bytes, row_type: type[T]) -> T | None:
        """Return a row, decoded; None if there is none."""
        known: T | None = self.rows.get(key, _UNREAD)
        if known is _UNREAD:
            known = self.rows[key] = self._fetched(key, row_type)
        return known

    def page(self, key: bytes, shape: Shape) -> list[Any]:
        """Return the rows of a page; those of an empty one if there is none.

        Whoever judges a decision changes them in place, and notes the page in `changed`. They are nobody else's: what
        is remembered is forgotten when it is taken, and a decision that fails takes its step along.
        """
        return self.rows.get(key) or self.opened(key, shape)

    def opened(self, key: bytes, shape: Shape) -> list[Any]:
        """Return the rows of a page that is not open yet. Likewise."""
        # As `_fetched` does, without the call: every decision comes here several times.
        found = self._view.get(key)
        if found is None:
            page = [*shape.blank]
            self.created.add(key)
        else:
            self._read[key] = found
            # What is remembered is a page as it was when it was open.
            page = self._remembered.take(key, found) or [*astuple(_decoder(shape.page_type)(found))]
        self.rows[key] = page
        return page

    def _fetched(self, key: bytes, row_type: type) -> Any:
        """Return a row that is kept, decoded; None if there is none."""
        found = self._view.get(key)
        if found is None:
            return None
        self._read[key] = found
        known = self._remembered.take(key, found)
        return _decoder(row_type)(found) if known is None else known

    def forget(self, key: bytes) -> None:
        """Leave a page that there is not yet as it was: empty. What was changed in it is forgotten."""
        self.rows.pop(key, None)

    def store(self, key: bytes, row: object) -> None:
        """Set a row."""
        self.rows[key] = row
        self.changed[key] = None

    def close(self) -> None:
        """Write what has changed. Equal rows are equal bytes: fields stand in order, and sets are sorted tuples."""
        for key, page_type in self.changed.items():
            row = self.rows[key]
            self._read[key] = encoded = _encode(row if page_type is None else page_type(*row))
            self._view.put(key, encoded)
        self._remembered.keep_all(self._read, self.rows)
