"""Canonical JSON (RFC 8785, JCS) and digests of it.

Arguments come from agents, so two parsers that read them differently would be a way around every rule. Text with
duplicate keys, numbers that a double cannot hold, lone surrogates, or too much nesting has no canonical form here and
is refused. An error says what is wrong, and never quotes the text: errors get into records that arguments must not get
into.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import NoReturn

import msgspec
import rfc8785

NESTING_MAX = 64
_INT_MAX = 2**53 - 1

# A float, an exponent or a number of 16 digits or more may need JCS's number form. A match inside a string is harmless:
# it only costs time.
_NUMBER_FORM = bytes(ord("0") if byte in b"0123456789" else ord(".") if byte in b".eE" else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 16
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


class CanonicalError(ValueError):
    """The text has no canonical form."""


def canonical_args(args_json: str) -> tuple[dict[str, object], bytes]:
    """Parse the arguments of a call and return them with their canonical form.

    Args:
        args_json: JSON text of an object.

    Returns:
        The object, and its RFC 8785 form.

    Raises:
        CanonicalError: the text is not JSON, not an object, or has no canonical form.
    """
    try:
        raw = args_json.encode()
    except UnicodeEncodeError as error:
        raise CanonicalError(f"arguments are not valid Unicode: {error.reason}") from None
    if not _needs_care(raw, args_json):
        fast = _already_canonical(raw, args_json)
        if fast is not None:
            return fast, raw
    value = parse_strict(args_json)
    if not isinstance(value, dict):
        raise CanonicalError("arguments must be a JSON object")
    return value, canonical(value)


def canonical(value: object) -> bytes:
    """Return the RFC 8785 form of a JSON value.

    Raises:
        CanonicalError: the value has none (NaN, integers beyond 2^53, lone surrogates, ...).
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # whatever it can't take, it refuses
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise CanonicalError(f"no canonical JSON form: {_fault_of(error)}") from None


def parse_strict(text: str) -> object:
    """Parse JSON, and reject what parsers are known to read differently.

    Raises:
        CanonicalError: not JSON, a duplicate key, NaN or Infinity, an integer beyond 2^53, or nested too deeply.
    """
    if _too_deep(text):
        raise CanonicalError(f"nested deeper than {NESTING_MAX} levels")
    try:
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_int=_exact_int, parse_float=float
        )
    except CanonicalError:
        raise
    except json.JSONDecodeError as error:
        raise CanonicalError(f"not JSON from character {error.pos} on") from None
    except (ValueError, RecursionError):
        raise CanonicalError("not JSON: a number or the nesting is beyond what is read") from None


def sha256(data: bytes) -> bytes:
    """Return the SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def _needs_care(raw: bytes, text: str) -> bool:
    if "\\u" in text or not text.isascii():
        return True
    form = raw.translate(_NUMBER_FORM)
    # `find`, because `in` makes an error, and drops it, for each bytes that it looks for.
    return form.find(b"0.") >= 0 or form.find(_LONG_NUMBER) >= 0


def _already_canonical(raw: bytes, text: str) -> dict[str, object] | None:
    """Return the parsed object, if the plain ASCII text is its own canonical form (the usual case, about 10 times
    faster).

    Encoding it again, sorted and compact, gives the same bytes only if keys are sorted and unique and there are no
    spaces. ASCII keys sort alike by byte and by UTF-16 unit, which is the order of JCS.
    """
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or _encode(value) != raw or _too_deep(text):
        return None
    return value


def _too_deep(text: str) -> bool:
    """Return whether brackets outside of strings nest beyond the limit; few brackets need no count."""
    if text.count("[") + text.count("{") <= NESTING_MAX:
        return False
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += _DEPTH_STEP.get(match.group(), 0)
        if depth > NESTING_MAX:
            return True
    return False


# INVARIANT: a string matches even if it never ends, so that no quote within it is tried again: time stays linear.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)
_DEPTH_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise CanonicalError("an object has the same key twice")
    return result


def unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON, for `object_pairs_hook`. Its error quotes a name, so it is not for arguments.

    Raises:
        CanonicalError: two members have the same name: parsers differ in which of them counts.
    """
    try:
        return _unique_keys(pairs)
    except CanonicalError:
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise CanonicalError(f"an object has the member `{twice[:60]}` twice") from None


def _no_constant(name: str) -> NoReturn:
    raise CanonicalError(f"`{name}` is not JSON")


def _exact_int(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _INT_MAX:
        raise CanonicalError("an integer is beyond 2^53 and would change in other parsers")
    return int(text)


def _fault_of(error: Exception) -> str:
    if isinstance(error, (rfc8785.IntegerDomainError, rfc8785.FloatDomainError)):
        return "a number is beyond what all parsers read alike"
    return "a text is not valid Unicode" if isinstance(error, UnicodeError) else "a value is not one of JSON"
