"""Words: the canonical form of texts, short sequences of words, and the thing that a number counts or names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

TEXT_CHARS_MAX = 256
"""The longest text that is a value as a whole."""
LETTERS_MIN = 4
"""Shorter texts occur everywhere: they prove nothing, and accuse nobody."""
DIGITS_MIN = 5
THINGS_CACHED_MAX = 4_096
_THING_CHARS_MAX = 40
_BEFORE_CHARS_MAX = 40


def listed(words: str) -> frozenset[str]:
    """Return the words of a text, which keeps tables of words readable."""
    return frozenset(words.split())


def words_before(text: str, place: int) -> list[str]:
    """Return the words close before a place in a text that are in the same clause."""
    return re.split(r"[.,;!?\n]", text[max(0, place - _BEFORE_CHARS_MAX) : place])[-1].split()


WORD = re.compile(r"\w+(?:'\w+)?")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word of a name in mixed case ends: `orderIds` is `order`, `Ids`."""
WORD_OR_STOP = re.compile(r"[A-Za-z][A-Za-z']*|[0-9]+|[.!?;\n]")
"""A word, a number or a stop of a text, as English is read."""
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
LETTERS = re.compile(r"[^\W\d_]+")
"""A word of letters alone."""
_SHORT_ID = re.compile(r"[a-z]\d{2}\Z")
"""The shortest id: `M-31`."""
_SHORT_CODE = re.compile(
    r"(?<![\w-])(?:(?:[A-Za-z]{1,2}[-_]|[A-Z]{1,2} )\d{1,2}|\d{1,2}(?:[-_][A-Za-z]{1,2}| [A-Z]{1,2}))(?![\w-])"
)
"""An id that is even shorter: `SO-1`. Sequences of words don't find it where its letters are such a word."""
_LETTER = re.compile(r"[^\W\d_]")

STOP_WORDS = listed(
    "a about above after all also am an and any are as at be been before but by can could did do does for from "
    "had has have he her here him his how i if in into is it its just me more my no nor not of off on or our "
    "out over she should so some such than that the their them then there these they this those through to too "
    "under until up us very was we were what when where which while who why will with would you your please hi "
    "hello thanks thank"
)
"""Words at whose ends no sequence of words begins or ends."""
_ID_WORDS = listed(
    "id ids no nos nr number numbers num nums key keys code codes uid uids uuid uuids guid ref refs reference"
)
UNTYPED = "id"
"""The thing of a number that is only called an id."""

_ALIKE = ("email mail message", "event appointment meeting", "file document doc", "booking reservation")
THINGS_ALIKE: dict[str, tuple[str, ...]] = {
    thing: tuple(other for other in things.split() if other != thing) for things in _ALIKE for thing in things.split()
} | {"attachment": ("file", "document", "doc"), "request": ("pr", "mr")}
"""What a thing is called as well: "mail 28" and `email_id` name the same. Only words of which a system hardly has both:
the payments and transactions of a bank can have numbers of their own. What is attached to a mail is a file, but
"attachment 2" does not name a file of a store. Who merges requests calls them "PR 88" and "MR 88"."""


def plain_case(text: str) -> str:
    """Return the text in one case, with composed characters, and marks of typography as ASCII has them."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", typeset_plainly(text)).casefold()


_TYPOGRAPHY = tuple(
    (mark, plain)
    for marks, plain in (
        ("\u2018\u2019\u201a\u201b\u2032", "'"),
        ("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        ("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        ("\u00a0\u2007\u2009\u202f", " "),
        ("\u2026", "..."),
    )
    for mark in marks
)
"""Marks that word processors and web pages set. They are no disguise."""


def typeset_plainly(text: str) -> str:
    """Return the text with the marks of typography as ASCII has them."""
    if not text.isascii():
        # To replace one mark after the other takes a tenth of the time of one look at each character.
        for mark, plain in _TYPOGRAPHY:
            text = text.replace(mark, plain)
    return text


_ONE_DIGIT = bytes(ord("0") if chr(code) in "123456789" else code for code in range(256))


def with_one_digit(text: str) -> str:
    """Return the text with a zero in the place of each digit of ASCII."""
    # Bytes are replaced fifty times as fast as characters, and those of all other characters are above those of ASCII.
    return text.encode("utf-8", "surrogatepass").translate(_ONE_DIGIT).decode("utf-8", "surrogatepass")


def text_value(text: str) -> str:
    """Return the canonical form of a text: its letters and digits in one case. Empty if it proves nothing.

    It has no spaces, so that a text is the same however it is broken into pieces.
    """
    if text.isascii() and "'" not in text:
        joined = text.encode().translate(_LOWER, _BETWEEN_WORDS).decode()
        return joined if len(joined) >= DIGITS_MIN or says_enough(joined) else ""
    joined = "".join(WORD.findall(plain_case(text)))
    return joined if says_enough(joined) else ""


_LOWER = bytes(range(256)).lower()
_BETWEEN_WORDS = bytes(code for code in range(128) if WORD.match(chr(code)) is None)


SHORT_CHARS_MIN = 2
_CODES = listed("eur usd gbp chf nok sek dkk jpy cad aud pln czk am pm utc cet gmt en de fr es")
"""Short words of times, money and languages, which name nobody and no place."""
_HOLDERS = listed(
    "channel group team room space board project repository repo branch folder directory label tag list account "
    "user username login member recipient to from cc sender author owner assignee reviewer contact customer person "
    "participant attendee guest name origin destination airport station stop place location site store city town "
    "state province region country"
)
"""Names of fields whose short values name somebody or some place."""


def short_value(text: str) -> str:
    """Return the canonical form of a short name or id ("Bob", "dev", "SO-1"), which `text_value` has none for.

    It counts only where somebody or something is named: in a sink, in a field that holds such names, in the user's own
    words, and beside an instruction.

    Returns:
        Two or three letters and digits, at least one of them a letter; empty for any other text.
    """
    words = WORD.findall(plain_case(text)) if len(text) <= TEXT_CHARS_MAX else []
    joined = "".join(words)
    if not SHORT_CHARS_MIN <= len(joined) < LETTERS_MIN or joined in _CODES or _LETTER.search(joined) is None:
        return ""
    # The first letters of an id are no word: `SO-1`.
    return joined if not joined.isalpha() or STOP_WORDS.isdisjoint(words) else ""


@lru_cache(maxsize=THINGS_CACHED_MAX)
def holds_names(name: str) -> bool:
    """Return whether a field's name says that it holds the names of people or places: `channel`, `user_name`."""
    parts = _parts_of(name)
    return bool(parts) and (parts[-1] in _HOLDERS or singular(parts[-1]) in _HOLDERS)


def named_shortly(text: str, name: str) -> str:
    """Return the short name or id that a field holds; empty if it holds no such thing.

    Args:
        text: the field.
        name: its name, or that around it. Items of a list without a name are names as well: `["Bo", "Gia"]`.
    """
    return short_value(text) if not name or holds_names(name) or names_an_id(name) else ""


def names_a_country(name: str) -> bool:
    """Return whether a field's name says that it holds a country, whose code the rest of an address implies."""
    return "country" in _parts_of(name)


def says_enough(words: str) -> bool:
    """Return whether a text in canonical form is long enough to say where it comes from."""
    if not words.isascii():
        return sum(1 if char.isascii() else 2 for char in words) >= LETTERS_MIN
    if len(words) >= DIGITS_MIN or _SHORT_ID.match(words):
        return True
    return len(words) == LETTERS_MIN and _LETTER.search(words) is not None


def word_grams(text: str, words_max: int, names_max: int = 0) -> Iterator[str]:
    """Yield the canonical forms of sequences of words that do not begin or end with one of `STOP_WORDS`.

    Short names and ids are among them: where sequences are looked for, somebody says what he wants.

    Args:
        text: the text.
        words_max: how many words a sequence has at most.
        names_max: how many it may have if it begins and ends with a capital or a digit, as names and addresses do.
    """
    plain = typeset_plainly(text)
    for match in _SHORT_CODE.finditer(plain):
        if value := short_value(match[0]):
            yield value
    words = WORD.findall(plain)
    lowered = [plain_case(word) for word in words]
    for first, word in enumerate(lowered):
        if word in STOP_WORDS:
            continue
        gram = ""
        is_name = _begins_name(words[first])
        for place in range(first, min(first + max(words_max, names_max if is_name else 0), len(words))):
            gram += lowered[place]
            if lowered[place] in STOP_WORDS or (place - first >= words_max and not _begins_name(words[place])):
                continue
            if (says_enough(gram) and _LETTER.search(gram)) or short_value(gram):
                yield gram


def _begins_name(word: str) -> bool:
    return word[0].isupper() or word[0].isdigit()


@lru_cache(maxsize=THINGS_CACHED_MAX)
def thing_of(name: str) -> str:
    """Return what a field, an argument or a word names, in the singular: `order` for `order_ids` and for `Orders`.

    Empty if the name has no word besides those for an id; the name of an id alone is `UNTYPED`.
    """
    parts = _parts_of(name)
    named = [part for part in parts if part not in _ID_WORDS]
    if not named:
        return UNTYPED if parts else ""
    return singular(named[-1])


@lru_cache(maxsize=THINGS_CACHED_MAX)
def names_an_id(name: str) -> bool:
    """Return whether a field's name says that it holds an id: `id`, `order_id`, `orderIds`, `invoice_no`."""
    parts = _parts_of(name)
    return bool(parts) and parts[-1] in _ID_WORDS


def _parts_of(name: str) -> list[str]:
    return LETTERS.findall(CAMEL.sub(" ", name[:_THING_CHARS_MAX]).replace("_", " ").lower())


def names_several(name: str) -> bool:
    """Return whether the last word of a name is an English plural, as far as its ending shows it: `bags`."""
    parts = _parts_of(name)
    return bool(parts) and singular(parts[-1]) != parts[-1]


def singular(word: str) -> str:
    """Return the singular of an English noun, as far as its ending shows it."""
    if word.endswith("ies") and len(word) > LETTERS_MIN:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


def words_of_name(name: str) -> list[str]:
    """Split a tool's or an argument's name into lower-case words: `sendEmail`, `send_email` -> `send`, `email`."""
    return [word.lower() for part in _SEPARATORS.split(name) if part for word in CAMEL.split(part) if word]
