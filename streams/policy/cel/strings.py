"""Functions on texts: the standard functions of CEL and its strings extension."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import re2

from streams.policy.cel.convert import format_double, to_string
from streams.policy.cel.ops import TEXT_SIZE_MAX, no_overload
from streams.policy.cel.pattern_costs import (
    UNFOLDED_FREE_MAX,
    UNITS_PER_INSTRUCTION,
    UNITS_REJECTED,
    search_units,
    unfolded_positions,
)
from streams.policy.cel.required_substrings import required_substrings
from streams.policy.cel.values import LISTS, Duration, Timestamp, TypeValue, UInt, type_of
from streams.policy.cel.work import spend, spend_once
from streams.policy.errors import EvaluationError

PATTERNS_KEPT_MAX = 1_024
PATTERN_CHARS_MAX = 2_000
UNITS_PER_PATTERN_CHAR = 50
UNITS_PER_VALUE = 20
"""The work of writing one value."""

JOINED_CHARS_MAX = 20_000
"""The maximum length of several patterns that are joined for one search."""
PRECISION_MAX = 100
NESTING_MAX = 50

_ANCHORS = re.compile(r"(?<!\[)\^|(?<=\\\[)\^|\$|\\[AzZQ]")
"""Syntax in patterns that may be an anchor; it also occurs where it is not one, but not as the `^` of `[^...]`."""

_SPACE = "\t\n\v\f\r \u0085\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_QUOTES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}
_QUOTES['"'] = '\\"'


def _expect(name: str, args: tuple[Any, ...], *kinds: type) -> None:
    if len(args) != len(kinds):
        raise no_overload(name, *args)
    for arg, kind in zip(args, kinds, strict=True):
        if arg.__class__ is not kind:
            raise no_overload(name, *args)


def _test(name: str, test: Callable[[str, str], bool]) -> Callable[..., bool]:
    def function(*args: Any) -> bool:
        _expect(name, args, str, str)
        return test(args[0], args[1])

    return function


def compile_pattern(pattern: str) -> Any:
    """Compile a pattern with RE2, which matches in linear time.

    Raises:
        EvaluationError: the pattern is too long or not a valid regular expression.
    """
    if len(pattern) > PATTERN_CHARS_MAX:
        raise EvaluationError(f"regular expression has more than {PATTERN_CHARS_MAX} characters")
    spend_once("pattern", pattern, UNITS_PER_PATTERN_CHAR * len(pattern))
    try:
        compiled = _compile_pattern(pattern)
    except EvaluationError:
        spend(UNITS_REJECTED)
        raise
    spend_once("program", pattern, UNITS_PER_INSTRUCTION * compiled.programsize)
    return compiled


@lru_cache(maxsize=PATTERNS_KEPT_MAX)
def _compile_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise EvaluationError("text is not a regular expression") from None


def compile_any_pattern(patterns: Sequence[str]) -> Any | None:
    """Compile patterns to one that matches if any of them does, or return None if they can't be joined.

    Args:
        patterns: valid patterns.
    """
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    if len(joined) > JOINED_CHARS_MAX or r"\Q" in joined:
        return None  # the quote of `\Q` may extend beyond its own pattern
    try:
        return _compile_pattern(joined)
    except EvaluationError:
        return None


def is_free_pattern(text: str) -> bool:
    """Return whether a text is a valid pattern, and every search for it costs no more than to read the text."""
    try:
        compile_pattern(text)
    except EvaluationError:
        return False
    return unfolded_positions(text) <= UNFOLDED_FREE_MAX


def search_in_any(pattern: str) -> Callable[[Sequence[str]], bool]:
    """Return a function that tells whether a pattern is found in any of several texts.

    Usually the pattern is in none of the texts, which one search in the joined texts shows. A match in a text is also a
    match in the joined texts, unless the pattern has anchors. Word boundaries are no problem, since the separator is
    not a word character.

    Raises:
        EvaluationError: the pattern is not valid.
    """
    search, required = compile_pattern(pattern).search, required_substrings(pattern)
    is_anchored = _ANCHORS.search(pattern) is not None

    def found(texts: Sequence[str]) -> bool:
        joined = "\n".join(texts)
        if _lacks_required(required, joined):
            return False
        if not is_anchored and search(joined.encode()) is None:
            return False
        return any(search(text.encode()) is not None for text in texts)

    return found


def search_for(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether a pattern is found in a text.

    Raises:
        EvaluationError: the pattern is not valid.
        UnicodeEncodeError: raised by the function: the text has no UTF-8 form.
    """
    search, required = compile_pattern(pattern).search, required_substrings(pattern)
    return lambda text: not _lacks_required(required, text) and search(text.encode()) is not None


def _lacks_required(required: tuple[str, ...], text: str) -> bool:
    """Return whether a text certainly contains none of the required substrings; False if there are none."""
    # A text that is not ASCII may have no UTF-8 form, which the search must detect.
    if not required or not text.isascii():
        return False
    for part in required:  # noqa: SIM110 - a generator costs more than all of these tests
        if part in text:
            return False
    return True


def matches(*args: Any) -> bool:
    """Implement `text.matches(pattern)`: whether the pattern is found anywhere in the text."""
    _expect("matches", args, str, str)
    text, pattern = args
    try:
        compiled = compile_pattern(pattern)
        units = search_units(pattern, text)
        if units:
            spend(units)
        return compiled.search(text) is not None
    except UnicodeEncodeError:
        raise EvaluationError("text has no utf-8 form") from None


def char_at(*args: Any) -> str:
    """Implement `text.charAt(index)`; empty if the index is the length of the text."""
    _expect("charAt", args, str, int)
    text, index = args
    if not 0 <= index <= len(text):
        raise EvaluationError("index out of range")
    return str(text[index : index + 1])


def index_of(*args: Any) -> int:
    """Implement `text.indexOf(part, from)`; -1 if the part is not found."""
    _expect("indexOf", args, str, str, *((int,) if len(args) == 3 else ()))
    text, part, start = (*args, 0)[:3]
    if not 0 <= start <= len(text):
        raise EvaluationError("index out of range")
    return int(text.find(part, start))


def last_index_of(*args: Any) -> int:
    """Implement `text.lastIndexOf(part, last)`; -1 if the part is not found."""
    _expect("lastIndexOf", args, str, str, *((int,) if len(args) == 3 else ()))
    text, part = args[0], args[1]
    if len(args) == 2:
        return int(text.rfind(part))
    if not 0 <= args[2] <= len(text):
        raise EvaluationError("index out of range")
    return int(text.rfind(part, 0, args[2] + len(part)))


def replace(*args: Any) -> str:
    """Implement `text.replace(old, new, count)`; a negative count replaces all."""
    _expect("replace", args, str, str, str, *((int,) if len(args) == 4 else ()))
    text, old, new, count = (*args, -1)[:4]
    found = text.count(old) if count < 0 else min(count, text.count(old))
    if len(text) + found * (len(new) - len(old)) > TEXT_SIZE_MAX:
        raise EvaluationError(f"text has more than {TEXT_SIZE_MAX} characters")
    return str(text.replace(old, new, count if count >= 0 else -1))


def split(*args: Any) -> list[str]:
    """Implement `text.split(separator, limit)`. A negative limit means no limit; an empty one splits characters."""
    _expect("split", args, str, str, *((int,) if len(args) == 3 else ()))
    text, separator, limit = (*args, -1)[:3]
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if not separator:
        parts = list(text)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return list(text.split(separator, limit - 1 if limit > 0 else -1))


def substring(*args: Any) -> str:
    """Implement `text.substring(start, end)`."""
    _expect("substring", args, str, int, *((int,) if len(args) == 3 else ()))
    text, start = args[0], args[1]
    end = args[2] if len(args) == 3 else len(text)
    if not 0 <= start <= end <= len(text):
        raise EvaluationError("range out of bounds")
    return str(text[start:end])


def _map_text(name: str, change: Callable[[str], str]) -> Callable[..., str]:
    def function(*args: Any) -> str:
        _expect(name, args, str)
        return change(args[0])

    return function


def join(*args: Any) -> str:
    """Implement `list.join(separator)` of texts."""
    if len(args) not in (1, 2) or args[0].__class__ not in LISTS:
        raise no_overload("join", *args)
    separator = args[1] if len(args) == 2 else ""
    if separator.__class__ is not str or any(item.__class__ is not str for item in args[0]):
        raise no_overload("join", *args)
    if sum(map(len, args[0])) + len(separator) * len(args[0]) > TEXT_SIZE_MAX:
        # Checked before joining, because many copies of one long text can exceed the memory.
        raise EvaluationError(f"text has more than {TEXT_SIZE_MAX} characters")
    return str(separator.join(args[0]))


def quote(*args: Any) -> str:
    """Implement `strings.quote(text)`: add double quotes and escape characters that can't be printed."""
    _expect("strings.quote", args, str)
    return '"' + "".join(_QUOTES.get(character, character) for character in args[0]) + '"'


def format_text(*args: Any) -> str:
    """Implement `text.format(values)` with %s %d %f %e %b %o %x %X and %%."""
    if len(args) != 2 or args[0].__class__ is not str or args[1].__class__ not in LISTS:
        raise no_overload("format", *args)
    template, values = args
    parts: list[str] = []
    left = [TEXT_SIZE_MAX]
    at, used = 0, 0
    while at < len(template):
        percent = template.find("%", at)
        if percent < 0:
            _write(template[at:], parts, left)
            break
        _write(template[at:percent], parts, left)
        clause, at = _clause(template, percent + 1)
        if clause == "%":
            _write("%", parts, left)
            continue
        if used >= len(values):
            raise EvaluationError(f"format has no value at index {used}")
        _write(_formatted(clause, values[used]), parts, left)
        used += 1
    return "".join(parts)


def _clause(template: str, at: int) -> tuple[str, int]:
    """Return the clause after a percent sign, such as `.3f`, and where it ends."""
    end = at
    if template[end : end + 1] == ".":
        end += 1
        while template[end : end + 1].isdigit() and template[end].isascii():
            end += 1
    letter = template[end : end + 1]
    if not letter or letter not in "%sdfebxXo" or (letter == "%" and end != at):
        raise EvaluationError("format has an unknown clause")
    return template[at : end + 1], end + 1


def _formatted(clause: str, value: Any) -> str:
    letter, digits = clause[-1], clause[1:-1] if clause[0] == "." else None
    kind = value.__class__
    if letter == "s":
        return format_value(value)
    if letter == "d":
        if kind in (int, UInt):
            return str(int(value))
        if kind is float:
            return _special(value) or format_double(value)
    elif letter in "fe" and kind in (float, int, UInt):
        precision = int(digits or "6")
        if precision > PRECISION_MAX:
            raise EvaluationError(f"format has a precision above {PRECISION_MAX}")
        return _special(float(value)) or f"{float(value):.{precision}{letter}}"
    elif letter == "b" and kind in (int, UInt, bool):
        return _signed(int(value), "b")
    elif letter == "o" and kind in (int, UInt):
        return _signed(int(value), "o")
    elif letter in "xX" and kind in (int, UInt, str, bytes):
        if kind in (str, bytes):
            text: str = (value.encode() if kind is str else value).hex()
            return text.upper() if letter == "X" else text
        return _signed(int(value), letter)
    raise EvaluationError(f"format clause can't take a value of type {type_of(value).name}")


def _signed(value: int, letter: str) -> str:
    return f"{'-' if value < 0 else ''}{abs(value):{letter}}"


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return ""


def format_value(value: Any) -> str:
    """Return the text of a value, as `%s` writes it."""
    parts: list[str] = []
    _format_value(value, 0, parts, [TEXT_SIZE_MAX])
    return "".join(parts)


def _format_value(value: Any, depth: int, parts: list[str], left: list[int]) -> None:
    """Append the text of a value to `parts`; `left` has the number of characters that may still be added."""
    spend(UNITS_PER_VALUE)
    if depth > NESTING_MAX:
        raise EvaluationError(f"value is nested deeper than {NESTING_MAX} levels")
    if value.__class__ in LISTS:
        _write("[", parts, left)
        for index, item in enumerate(value):
            _write(", " if index else "", parts, left)
            _format_value(item, depth + 1, parts, left)
        _write("]", parts, left)
    elif isinstance(value, Mapping):
        # Entries are sorted by the texts of their keys, which are short because keys are scalars.
        _write("{", parts, left)
        for index, (text, key) in enumerate(sorted(((_scalar(key), key) for key in value), key=lambda entry: entry[0])):
            _write(f"{', ' if index else ''}{text}: ", parts, left)
            _format_value(value[key], depth + 1, parts, left)
        _write("}", parts, left)
    else:
        _write(_scalar(value), parts, left)


def _write(text: str, parts: list[str], left: list[int]) -> None:
    left[0] -= len(text)
    if left[0] < 0:
        raise EvaluationError(f"text has more than {TEXT_SIZE_MAX} characters")
    parts.append(text)


def _scalar(value: Any) -> str:
    kind = value.__class__
    if value is None:
        return "null"
    if kind is float:
        return _special(value) or format_double(value)
    if kind in (str, bool, int, UInt, bytes, Timestamp, Duration):
        return to_string(value)
    if kind is TypeValue:
        return str(value.name)
    raise EvaluationError(f"a value of type {type_of(value).name} can't be written")


STRING_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _test("contains", lambda text, part: part in text),
    "startsWith": _test("startsWith", lambda text, part: text.startswith(part)),
    "endsWith": _test("endsWith", lambda text, part: text.endswith(part)),
    "matches": matches,
    "charAt": char_at,
    "indexOf": index_of,
    "lastIndexOf": last_index_of,
    "lowerAscii": _map_text("lowerAscii", lambda text: text.translate(_LOWER)),
    "upperAscii": _map_text("upperAscii", lambda text: text.translate(_UPPER)),
    "trim": _map_text("trim", lambda text: text.strip(_SPACE)),
    "reverse": _map_text("reverse", lambda text: text[::-1]),
    "replace": replace,
    "split": split,
    "substring": substring,
    "join": join,
    "strings.quote": quote,
    "format": format_text,
}
