"""Avro's variable-length zig-zag integers, and the errors for values that cannot be read."""

from __future__ import annotations

LONG_BYTES_MAX = 10
_LONG_MIN = -(2**63)
_LONG_END = 2**63

# Instants of today take six bytes, and every record has some of them. These are read and written as one number.
_SIX = 6
_MORE, _ALL_MORE = 0x00_80_80_80_80_80, 0x80_80_80_80_80_80
"""The first bit of a byte says that another one follows: so it is in the first five of six bytes."""
_SIX_MIN, _SIX_END = 1 << 35, 1 << 42

CACHED_MAX = 8_192
"""How many encoded integers are cached: lengths, counters and the instants of a batch recur."""


class TruncatedError(Exception):
    """The value ends before its record does, or after it."""


class MalformedError(Exception):
    """The value is not a record of its schema."""


class LongCache(dict[int, bytes]):
    """Encoded integers, made on first use: `cache[n]`; `prefix` goes before each (the index of a union's branch).

    Empties itself when full, so that its size stays bounded.
    """

    def __init__(self, prefix: bytes = b"") -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, value: int) -> bytes:
        made = self._prefix + write_long(value)
        if len(self) >= CACHED_MAX:
            self.clear()
        self[value] = made
        return made


def write_long(value: int) -> bytes:
    """Return the encoded form of a 64-bit integer.

    Raises:
        MalformedError: the integer has more bits.
    """
    if not _LONG_MIN <= value < _LONG_END:
        raise MalformedError(f"integer `{value}` does not fit into 64 bits")
    left = (value << 1) ^ (value >> 63)
    if _SIX_MIN <= left < _SIX_END:
        spread = (
            left & 0x7F
            | (left & 0x3F80) << 1
            | (left & 0x1F_C000) << 2
            | (left & 0xFE0_0000) << 3
            | (left & 0x7_F000_0000) << 4
            | (left & 0x3F8_0000_0000) << 5
        )
        return (spread | _MORE).to_bytes(_SIX, "little")
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at `at`, and where the next value begins.

    Raises:
        MalformedError: the integer has more than 64 bits.
        IndexError: the data ends within it.
    """
    first = data[at]
    if first < 0x80:
        return (first >> 1) ^ -(first & 1), at + 1
    second = data[at + 1]
    if second < 0x80:
        raw = first & 0x7F | second << 7
        return (raw >> 1) ^ -(raw & 1), at + 2
    six = data[at : at + _SIX]
    spread = int.from_bytes(six, "little")
    if spread & _ALL_MORE == _MORE and len(six) == _SIX:
        raw = (
            spread & 0x7F
            | spread >> 1 & 0x3F80
            | spread >> 2 & 0x1F_C000
            | spread >> 3 & 0xFE0_0000
            | spread >> 4 & 0x7_F000_0000
            | spread >> 5 & 0x3F8_0000_0000
        )
        return (raw >> 1) ^ -(raw & 1), at + _SIX
    raw = 0
    for shift in range(0, 7 * LONG_BYTES_MAX, 7):
        byte = data[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            if raw >> 64:
                break
            return (raw >> 1) ^ -(raw & 1), at
    raise MalformedError("integer has more than 64 bits")


def skip_long(data: bytes, at: int) -> int:
    """Return where the value behind the integer at `at` begins. It raises what `read_long` does."""
    # Most of what is skipped and takes more than a byte is an instant.
    six = data[at : at + _SIX]
    if int.from_bytes(six, "little") & _ALL_MORE == _MORE and len(six) == _SIX:
        return at + _SIX
    return read_long(data, at)[1]


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return a length that the data can contain, and where the value begins.

    Raises:
        MalformedError: the length is negative.
        TruncatedError: the data ends before.
        IndexError: the data ends within the length itself.
    """
    length, at = read_long(data, at)
    if length < 0:
        raise MalformedError("a length is below zero")
    if length > len(data) - at:
        raise TruncatedError("a length goes beyond the end of the value")
    return length, at
