"""Constraints on texts, instants and arrays of records, beyond their Avro types."""

from __future__ import annotations

from streams.codec.varints import MalformedError

ARRAY_ITEMS_MAX = 10_000

INSTANT_MS_MIN = -62_135_596_800_000
INSTANT_MS_MAX = 253_402_300_799_999
"""The end of the year 9999: RFC 3339 can write years 1 to 9999, so no reader fails to format an instant."""

UUID_BYTES = 36
_HEX_DIGITS = b"0123456789abcdefABCDEF"


def check_uuid(text: bytes) -> None:
    """Reject a text that is not a UUID.

    Raises:
        MalformedError: the value is rejected.
    """
    if len(text) != UUID_BYTES or text[8:24:5] != b"----" or text.translate(None, _HEX_DIGITS) != b"----":
        raise MalformedError("is not a uuid")


def is_uuid(text: str) -> bool:
    """Return whether the text is a UUID."""
    try:
        check_uuid(text.encode("ascii", "replace"))
    except MalformedError:
        return False
    return True


def check_instant(value_ms: int) -> None:
    """Reject an instant outside of the years 1 to 9999.

    Raises:
        MalformedError: the value is rejected.
    """
    if not INSTANT_MS_MIN <= value_ms <= INSTANT_MS_MAX:
        raise MalformedError("instant is outside of the years 1 to 9999 (milliseconds since 1970)")


def check_items(count: int) -> None:
    """Reject an array that is longer than any valid one.

    Raises:
        MalformedError: the value is rejected.
    """
    if count > ARRAY_ITEMS_MAX:
        raise MalformedError(f"array has more than {ARRAY_ITEMS_MAX} items")
