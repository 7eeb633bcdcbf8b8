"""Phone numbers with the code of their country, and as they are dialled in it."""

from __future__ import annotations

from streams.provenance.words import listed

COUNTRY_CODES = listed(
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
    "86 90 91 92 93 94 95 98"
)
"""Codes of countries of one or two digits (ITU-T E.164); all others have three."""
NO_COUNTRY_CODES = listed("800 808 870 878 881 882 883 888 979")
"""Codes of three digits that are those of services, some of them dear: nobody is at home there."""
HOME_DIGITS_MIN = 8
FULL_DIGITS_MIN = 10
"""Digits of a phone number without the code of its country and the zero before it."""


def dialled_at_home(digits: str) -> tuple[str, ...]:
    """Return how a phone number is dialled in its country: `0645119032` for `33645119032`.

    Args:
        digits: the number with the code of its country, digits only.

    Returns:
        One or two ways to dial it; none if the number is too short, or its code is that of a service.
    """
    code = next(length for length in (1, 2, 3) if length == 3 or digits[:length] in COUNTRY_CODES)
    home = digits[code:]
    if len(home) < HOME_DIGITS_MIN or digits[:code] in NO_COUNTRY_CODES:
        return ()
    # Where no zero is dialled, only all of a long number: not the last pairs of "06 45 11 90 32".
    return (f"0{home}", home) if len(home) >= FULL_DIGITS_MIN else (f"0{home}",)
