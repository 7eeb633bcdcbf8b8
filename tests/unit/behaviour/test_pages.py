"""Rows that are kept together: how many a decision needs, what a new declaration changes, and what is remembered."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec
import pytest

from simulation.fleet.fleet import Plan, make_fleet
from streams.behaviour.activity import DAY_MS, Activity
from streams.behaviour.correlations import (
    Correlation,
    CorrelationType,
    FieldTest,
    Seen,
    Selection,
    selects,
)
from streams.behaviour.pages import REMEMBERED_MAX, Layout, OpenRows, Place, RememberedRows
from streams.behaviour.selectors import Selectors
from streams.behaviour.watcher import Declared, Watcher
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from tests.unit.behaviour.kit import START_MS, Rows, activity, declared, names_found, observe_all, office_days

DECLARED = parse_behaviour(load_detector_files(Path(__file__).parents[2] / "golden" / "behaviour")).declared
ROWS_READ_MAX = 13
ROWS_WRITTEN_MAX = 11
SMALL = Plan(agents_count=4, days_count=6, quiet_days_count=2, attacks_each=1)


class CountedRows(Rows):
    """Rows that count how often they are read and written."""

    reads = 0
    writes = 0

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        self.reads += 1
        return super().get(key, default)

    def put(self, key: bytes, row: bytes) -> None:
        self.writes += 1
        super().put(key, row)


def fleet() -> list[Activity]:
    return [planned.activity for planned in make_fleet(3, SMALL)]


def test_a_decision_needs_few_rows() -> None:
    """With a row for each detector there were 35 reads and 26 writes for each decision."""
    rows, watch = CountedRows(), Watcher(DECLARED.by_scope()[0])
    reads, writes = [], []
    for each in fleet():
        before = rows.reads, rows.writes
        watch.observe(rows, each)
        reads.append(rows.reads - before[0])
        writes.append(rows.writes - before[1])
    assert median(reads) <= ROWS_READ_MAX
    assert median(writes) <= ROWS_WRITTEN_MAX


def test_a_step_reads_and_writes_each_row_once() -> None:
    rows, watch = CountedRows(), Watcher(DECLARED)
    open_rows = OpenRows(rows, RememberedRows())
    for at in range(50):
        watch.judge(open_rows, activity(START_MS + at * 1_000, call=f"c-{at}"))
    assert rows.writes == 0
    open_rows.close()
    assert rows.writes == len(rows) < ROWS_READ_MAX
    assert rows.reads <= len(rows) + 3


AMOUNT = declared("arg_mad", 3.9, name="amount", value="call.amount", min_support=30)
SPIKE = declared("rate_nb", 13, name="spike", window_ms=60_000, min_support=30)


def test_another_declaration_leaves_what_was_learned_and_one_that_is_gone_takes_its_rows_along() -> None:
    rows = Rows()
    observe_all(Watcher(Declared((AMOUNT,))), rows, office_days(20, amount=100.0))
    (page,) = [row for key, row in rows.items() if key.startswith(b"agent.id\x00")]
    observe_all(Watcher(Declared((SPIKE, AMOUNT))), rows, office_days(21, amount=100.0))
    outlier = activity(START_MS + 22 * DAY_MS, amount=90_000.0, session="x")
    assert names_found([Watcher(Declared((SPIKE, AMOUNT))).observe(Rows(rows), outlier)]) == ["amount"]
    both = msgspec.msgpack.decode(next(row for key, row in rows.items() if key.startswith(b"agent.id\x00")))
    assert msgspec.msgpack.decode(page).keys() < both.keys() == {"amount", "spike", "spike.peak", "@growth"}
    observe_all(Watcher(Declared((SPIKE,))), rows, [outlier])
    assert msgspec.msgpack.decode(rows[next(key for key in rows if key.startswith(b"agent.id\x00"))]).keys() == {
        "spike",
        "spike.peak",
        "@growth",
    }


def test_what_is_remembered_counts_only_for_the_rows_that_there_are() -> None:
    """After a transaction was aborted, the rows are those before it, and what was remembered is of rows after it."""
    watch, rows, stream = Watcher(DECLARED), Rows(), fleet()[:300]
    for each in stream[:200]:
        watch.observe(rows, each)
    before = Rows(rows)
    first = [watch.observe(rows, each) for each in stream[200:]]
    again = [watch.observe(before, each) for each in stream[200:]]
    assert again == first
    assert before == rows


@pytest.mark.interpreted
def test_a_decision_that_fails_in_a_step_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, rows, stream = Watcher(DECLARED), Rows(), fleet()[:60]
    for each in stream[:50]:
        watch.observe(rows, each)
    before = Rows(rows)
    with monkeypatch.context() as patched:
        # The last of what is done about each decision.
        patched.setattr("streams.behaviour.case.Counted.keep", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watch.observe(rows, stream[50])
    assert rows == before
    fresh = Watcher(DECLARED)
    assert [watch.observe(rows, each) for each in stream[50:]] == [fresh.observe(before, each) for each in stream[50:]]
    assert rows == before


def test_a_page_needs_the_fields_that_a_place_requires_and_takes_others_as_empty() -> None:
    own, peers = Place(("object.owner",), "it"), Place(("object.owner",), "it~", is_required=False)
    layout = Layout([(own, int), (peers, int)])
    required, optional = layout.shapes
    without, empty = activity(START_MS), activity(START_MS, owner="")
    assert required.key(without) is None
    assert optional.key(without) == optional.key(empty) == required.key(empty)
    assert layout.slot(own).number != layout.slot(peers).number


def test_pages_of_two_layouts_with_different_suffixes_are_different_rows() -> None:
    place = Place(("agent.id",), "it")
    keys = {Layout([(place, int)], suffix).shapes[0].key(activity(START_MS)) for suffix in ("", ".root")}
    assert len(keys) == 2


def test_selectors_find_what_each_selection_says() -> None:
    """They look at few rules, and remember what texts alone decide."""
    odd = (
        Selection("all", ()),
        Selection("bytes", (FieldTest("call.bytes", "gte", (2_000.0,)),)),
        Selection("text of a score", (FieldTest("signal.new_dest", "startswith", ("1",)),)),
        Selection(
            "two scores", (FieldTest("signal.new_dest", "gt", (5.0, 9.0)), FieldTest("signal.other", "lt", (2,)))
        ),
        Selection("unless", (FieldTest("tool.name", "", ("mail.*",)),), (FieldTest("signal.other", "gte", (1.0,)),)),
    )
    added = Correlation(
        name="odd", title="", type=CorrelationType.EVENT_COUNT, rules=odd, group_by=("agent.id",), timespan_ms=1_000
    )
    declared = (added, *DECLARED.correlations)
    selectors, found = Selectors(declared), 0
    for number, each in enumerate(fleet()[:300]):
        for scores in ({}, {"signal.new_dest": float(number % 30)}, {"signal.other": 1.0, "signal.new_dest": 12.0}):
            seen = Seen(each, scores)
            wanted = [(it, [at for at, rule in enumerate(it.rules) if selects(rule, seen)]) for it in declared]
            assert selectors.matched(seen) == [(it, matched) for it, matched in wanted if matched]
            found += sum(len(matched) for _, matched in wanted)
    assert found > 1_000


def test_a_page_of_places_that_require_a_field_and_that_do_not_keeps_the_rows_of_both() -> None:
    own, peers = Place(("object.owner",), "it"), Place(("object.owner",), "it~", is_required=False)
    layout = Layout([(own, int), (peers, int)])
    rows, calls = Rows(), activity(START_MS, owner="ann")
    open_rows = OpenRows(rows, RememberedRows())
    shapes = {place: layout.shapes[layout.slot(place).shape] for place in (own, peers)}
    pages = {place: open_rows.page(shape.key(calls) or b"", shape) for place, shape in shapes.items()}
    for place, value in ((own, 7), (peers, 8)):
        # As a case that has read both before it changes the first.
        pages[place][layout.slot(place).number] = value
        open_rows.changed[shapes[place].key(calls) or b""] = shapes[place].page_type
    open_rows.close()
    assert [msgspec.msgpack.decode(row) for row in rows.values()] == [{"it": 7, "it~": 8}]


def test_when_many_rows_are_remembered_the_older_half_is_forgotten() -> None:
    remembered = RememberedRows()
    rows = [b"%06d" % number for number in range(3 * REMEMBERED_MAX)]
    for row in rows:
        remembered.keep(row, row, row)
    known = [row for row in rows if remembered.take(row, row) is not None]
    assert known == rows[REMEMBERED_MAX:]


def test_whoever_says_so_remembers_fewer_rows() -> None:
    remembered = RememberedRows(2)
    rows = [b"%d" % number for number in range(6)]
    for row in rows:
        remembered.keep(row, row, row)
    assert [row for row in rows if remembered.take(row, row) is not None] == rows[2:]
