"""The quick paths for integers of one, two and six bytes are held to the definition of Avro's integers."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.codec.varints import LONG_BYTES_MAX, MalformedError, read_long, skip_long, write_long

LONGS = st.integers(-(2**63), 2**63 - 1)
EDGES = tuple(sign * 2**bits + step for bits in range(63) for sign in (1, -1) for step in (-1, 0, 1))
BYTES = st.one_of(st.integers(0, 255), st.sampled_from([0x00, 0x7F, 0x80, 0xFF]))


def written(value: int) -> bytes:
    """Return the encoded form as the specification has it: zig-zag, seven bits a byte, the lowest first."""
    left, out = value * 2 if value >= 0 else -value * 2 - 1, []
    while left >= 128:
        out.append(left % 128 + 128)
        left //= 128
    return bytes([*out, left])


def read(data: bytes) -> tuple[int, int]:
    """Return an integer and where it ends, as the specification has it."""
    end = next((number for number, byte in enumerate(data[:LONG_BYTES_MAX], 1) if byte < 128), None)
    if end is None:
        raise IndexError if len(data) < LONG_BYTES_MAX else MalformedError
    left = sum((byte % 128) * 128**number for number, byte in enumerate(data[:end]))
    if left >= 2**64:
        raise MalformedError
    return (left // 2 if left % 2 == 0 else -(left + 1) // 2), end


@pytest.mark.parametrize("value", EDGES)
def test_each_length_begins_and_ends_where_it_should(value: int) -> None:
    assert write_long(value) == written(value)
    assert read_long(write_long(value) + b"\x80", 0) == (value, len(written(value)))


@given(LONGS, st.binary(max_size=3))
def test_what_is_written_is_read_again(value: int, more: bytes) -> None:
    data = write_long(value)
    assert data == written(value)
    assert read_long(more + data + more, len(more)) == (value, len(more) + len(data))
    assert skip_long(more + data + more, len(more)) == len(more) + len(data)
    for end in range(len(data)):
        for function in (read_long, skip_long):
            with pytest.raises(IndexError):
                function(data[:end], 0)


@given(st.lists(BYTES, max_size=12).map(bytes))
@example(b"\x80\x80\x80\x80\x80\x00")
@example(b"\x80\x80\x80\x80\x80")
@example(b"\xff" * 9 + b"\x02")
def test_any_bytes_are_read_as_the_specification_says(data: bytes) -> None:
    try:
        expected = read(data)
    except (IndexError, MalformedError) as error:
        for function in (read_long, skip_long):
            with pytest.raises(type(error)):
                function(data, 0)
    else:
        assert read_long(data, 0) == expected
        assert skip_long(data, 0) == expected[1]
