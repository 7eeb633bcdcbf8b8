"""What texts, instants and arrays of our records may hold, beyond what their Avro types say."""

from __future__ import annotations

from streams.codec.varints import MalformedError

ARRAY_ITEMS_MAX = 10_000

INSTANT_MS_MIN = -62_135_596_800_000
INSTANT_MS_MAX = 253_402_300_799_999
"""Years 1 to 9999: what RFC 3339 can write, so that no reader fails at formatting an instant."""

UUID_BYTES = 36
_HEX_DIGITS = b"0123456789abcdefABCDEF"


def check_uuid(text: bytes) -> None:
    """Refuse what is not a UUID in its text form.

    Raises:
        MalformedError: as said.
    """
    if len(text) != UUID_BYTES or text[8:24:5] != b"----" or text.translate(None, _HEX_DIGITS) != b"----":
        raise MalformedError("is not a uuid")


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its text form."""
    try:
        check_uuid(text.encode("ascii", "replace"))
    except MalformedError:
        return False
    return True


def check_instant(value_ms: int) -> None:
    """Refuse an instant that has no calendar date.

    Raises:
        MalformedError: as said.
    """
    if not INSTANT_MS_MIN <= value_ms <= INSTANT_MS_MAX:
        raise MalformedError("instant is outside of the years 1 to 9999 (milliseconds since 1970)")


def check_items(count: int) -> None:
    """Refuse an array that is longer than any of ours.

    Raises:
        MalformedError: as said.
    """
    if count > ARRAY_ITEMS_MAX:
        raise MalformedError(f"array has more than {ARRAY_ITEMS_MAX} items")
