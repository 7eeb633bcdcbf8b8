"""Find out whether the user has said the values by which he identifies himself.

Any word of a message could be a name, and any number a postcode: who writes to the shop can register as a customer who
is called "Blue Shoes". So this is stricter than what counts as the user's elsewhere:

- A value has no signs but those of names, addresses and ids: a pattern (`shoes%`) finds whom the user has not named.
- No word stands for two arguments, and a postcode has the shape of one.
- A number is said in digits on its own, or with the name of the argument: not as an amount of money, nor as that of an
  order.
- He has said it in this session: another one of the conversation may serve another guest.
- He has said it for the first time after all that others may have written was read. What he has said before, they can
  have read, or guessed from what they wrote about (an order of blue shoes), and registered as a customer.

**Rejected.** To compare with the names in what others have written: of their texts, not every word is kept, and "look
up the customer named first Blue and last Shoes, with the postcode of the guest" can be written in any number of ways.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from streams.processors.provenance.elsewhere import is_elsewhere
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.values import is_postal
from streams.provenance.atoms.amounts import CURRENCIES
from streams.provenance.atoms.found import REACHES, AtomKind, Found, kind_of_words
from streams.provenance.extraction.arguments import Argument, short_reading, usual_reading
from streams.provenance.sources.memory import LATER_EVENT, Entry, Seen
from streams.provenance.sources.origins import Look
from streams.provenance.words import UNTYPED, listed, short_value, typeset_plainly

_WORD = re.compile(r"\+?[^\W_]+(?:[@.+'_-][^\W_]+)*")
"""A word of names, addresses, phone numbers and ids."""
_SIGNS = re.compile(r"[\W_]+")
_POSTCODE = re.compile(
    r"\d{4,6}|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|[a-z]\d[a-z] ?\d[a-z]\d|\d{4} ?[a-z]{2}", re.IGNORECASE | re.ASCII
)
"""A postcode of most countries, of Britain, of Canada and of the Netherlands."""
_NUMBER_DIGITS_MIN = 4
"""Shorter numbers count only with the name of the argument: "two pairs", "12 pieces"."""
_ID_DIGITS_MIN = 5
"""Numbers of so many digits are ids as well if they are written in digits, and not worked out."""
_THINGS = listed(
    "account amount appointment article booking card case claim contract cost delivery flight invoice item model order "
    "package paid parcel payment policy price product purchase reference refund reservation room seat shipment sum "
    "ticket total tracking transaction transfer"
)
"""What a number names that is not the user's."""
_CURRENCIES = tuple(dict.fromkeys(CURRENCIES.values()))


def are_said(arguments: Sequence[Argument], row: ProvenanceRow, look: Look) -> bool:
    """Return whether the user has introduced himself by some values, each with words of its own.

    Args:
        arguments: the values, as they are read.
        row: what the session has read as a whole.
        look: finds what it has seen.
    """
    taken: set[str] = set()
    for argument in arguments:
        words = _words_of(argument)
        plain = {_SIGNS.sub("", word).casefold() for word in words}
        if not words or not taken.isdisjoint(plain) or not _is_said(argument, words, row, look):
            return False
        taken |= plain
    return True


def _words_of(argument: Argument) -> list[str]:
    """Return the words of a value; none if it has other signs, or if it should be a postcode and can be none."""
    text = unicodedata.normalize("NFC", typeset_plainly(str(argument.value)))
    words = text.split(" ")
    if not all(map(_WORD.fullmatch, words)):
        return []
    return [] if is_postal(argument.pointer) and _POSTCODE.fullmatch(text) is None else words


def _is_said(argument: Argument, words: Sequence[str], row: ProvenanceRow, look: Look) -> bool:
    """Return whether the user has said a value as a whole, or each of its words."""
    if len(words) == 1 and words[0].isdecimal():
        return _is_number_said(argument, words[0], row, look)
    wholes = [each for each in argument.wholes if each.kind is not AtomKind.AMOUNT]
    if _is_users((*wholes, *short_reading(argument, look)), row, look):
        return True
    return len(words) > 1 and all(_is_users(_readings_of(word), row, look) for word in words)


def _is_number_said(argument: Argument, digits: str, row: ProvenanceRow, look: Look) -> bool:
    """Return whether the user has said a number with the name of its argument, or on its own."""
    if reaching := [each for each in argument.wholes if each.kind in REACHES]:
        return _is_users(reaching, row, look)
    named = [each for each in argument.wholes if each.kind is AtomKind.NUMBER]
    if _is_users([each for each in named if not each.value.startswith(f"{UNTYPED}:")], row, look):
        return True
    number = str(int(digits))
    # "Order 17" and "17 EUR" are no postcode, nor is "number 17".
    things = (*_THINGS, UNTYPED) if is_postal(argument.pointer) else _THINGS
    others = [Found(AtomKind.NUMBER, f"{thing}:{number}") for thing in things]
    others += [Found(AtomKind.AMOUNT, f"{number} {currency}") for currency in _CURRENCIES]
    if len(digits) < _NUMBER_DIGITS_MIN or any(look(each.kind, each.value) is not None for each in others):
        return False
    is_on_its_own = _is_users([Found(AtomKind.AMOUNT, number)], row, look)
    return is_on_its_own and (len(number) < _ID_DIGITS_MIN or _is_users([Found(AtomKind.ID, digits)], row, look))


def _readings_of(word: str) -> list[Found]:
    usual = usual_reading(word)
    if usual is not None and usual[1]:
        return [Found(*usual)]
    short = short_value(word)
    return [Found(kind_of_words(short), short)] if short else []


def _is_users(founds: Iterable[Found], row: ProvenanceRow, look: Look) -> bool:
    """Return whether the user has named a value to this session, and not to leave it out."""
    seen = [entry for each in founds if (entry := look(each.kind, each.value)) is not None]
    return any(
        entry.flags & Seen.USER
        and not entry.flags & Seen.EXCLUDED
        and not is_elsewhere(row, entry.digest)
        and _is_after_others(row, entry)
        for entry in seen
    )


def _is_after_others(row: ProvenanceRow, entry: Entry) -> bool:
    """Return whether a value was seen first after all that others may have written, if any of that was read."""
    if not row.has_untrusted:
        return True
    return row.others_events > 0 and row.others_events <= entry.event < LATER_EVENT
