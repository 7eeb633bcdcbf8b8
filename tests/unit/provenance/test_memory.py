"""Packed values: look-ups, joining of flags, bounds."""

from __future__ import annotations

from streams.provenance.sources.memory import ENTRY_BYTES, Entry, Seen, find, merge

ONE, OTHER, THIRD = b"\x01" * 8, b"\x02" * 8, b"\x03" * 8


def test_a_value_is_found_with_all_places_where_it_was_seen() -> None:
    row, more, complete = merge(None, [Entry(ONE, Seen.TEXT | Seen.PLAIN, 3, 1), Entry(ONE, Seen.USER, 5, 0)], 10)
    assert (len(row), more, complete) == (ENTRY_BYTES, 1, True)
    assert find(row, ONE) == Entry(ONE, Seen.TEXT | Seen.PLAIN | Seen.USER, 3, 1)
    assert find(row, OTHER) is None
    assert find(None, ONE) is None


def test_the_place_that_is_named_is_the_one_that_accuses() -> None:
    row, _, _ = merge(None, [Entry(ONE, Seen.USER, 0, 0)], 10)
    row, more, _ = merge(row, [Entry(ONE, Seen.FIELD, 7, 2)], 10)
    assert more == 0
    assert find(row, ONE) == Entry(ONE, Seen.USER | Seen.FIELD, 7, 2)


def test_bytes_across_two_entries_are_no_value() -> None:
    row, _, _ = merge(None, [Entry(ONE, 0x0304, 5, 6), Entry(OTHER, 0, 0, 0)], 10)
    straddling = row[4:12]
    assert row.find(straddling) == 4
    assert find(row, straddling) is None


def test_without_room_a_value_that_accuses_is_left_out_and_said_to_be() -> None:
    row, _, _ = merge(None, [Entry(ONE, Seen.FIELD)], 1)
    row, more, complete = merge(row, [Entry(OTHER, Seen.TEXT)], 0)
    assert (more, complete) == (0, False)
    assert find(row, OTHER) is None


def test_what_clears_takes_the_place_of_what_only_accuses_and_says_so() -> None:
    row, _, _ = merge(None, [Entry(ONE, Seen.TEXT), Entry(OTHER, Seen.FIELD)], 2)
    row, more, complete = merge(row, [Entry(THIRD, Seen.USER)], 0)
    assert (more, complete) == (0, False)
    assert find(row, ONE) is None
    assert find(row, OTHER) is not None
    assert find(row, THIRD) is not None


def test_what_instructions_call_for_is_joined() -> None:
    row, _, _ = merge(None, [Entry(ONE, Seen.TEXT, 3, 1, 0b01), Entry(OTHER, Seen.TEXT)], 10)
    row, _, _ = merge(row, [Entry(ONE, Seen.TEXT, 5, 0, 0b10)], 10)
    assert find(row, ONE) == Entry(ONE, Seen.TEXT, 3, 1, 0b11)
    assert find(row, OTHER) == Entry(OTHER, Seen.TEXT)
