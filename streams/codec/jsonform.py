"""The JSON form of records: what history files hold (docs/reference/history-files.md).

UUIDs as text, digests in hex, other bytes in base64, instants as integer milliseconds (or RFC 3339, when read), enums
by symbol, absent fields left out. Where a record has JSON as text in `x_json`, the JSON itself may be given as `x`.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import inspect

from streams.codec.instants import parse_instant
from streams.codec.scalars import check_instant, check_items, is_uuid
from streams.codec.varints import MalformedError
from streams.model.canonical import CanonicalError, canonical
from streams.model.errors import StoplogError
from streams.model.proof import derived_uuid
from streams.model.types import Record

_JSON_SUFFIX = "_json"
_DIGEST_CHARS = 64
_LONG_END = 2**63
_SHOWN_CHARS = 60
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_R = TypeVar("_R", bound=Record)
_A = TypeVar("_A")
_B = TypeVar("_B")


class JsonFormError(StoplogError):
    """A value that isn't the JSON form of its record; the message says where in it, and why."""


def to_json(record: Record) -> dict[str, object]:
    """Return the JSON form of a record: None and empty arrays are left out, everything else is there."""
    return _record_to_json(record, _type_info(type(record)))


def from_json(record: type[_R], value: object, at: str = "value") -> _R:
    """Return the record of a JSON form.

    An id that is not a UUID is a name: it stands for the UUID that `named_uuid` derives from it.

    Args:
        record: the class of the record.
        value: the parsed JSON.
        at: what to call the value in errors.

    Raises:
        JsonFormError: the value isn't the JSON form of a record of this class.
    """
    made = _from_json(_type_info(record), value, at)
    if not isinstance(made, record):
        raise JsonFormError(f"{at}: not a record")
    return made


def named_uuid(text: str) -> str:
    """Return the UUID that a name in a history stands for; a UUID stands for itself."""
    return text if is_uuid(text) else derived_uuid("history name", text)


def unknown_name(name: str, known: Iterable[str], what: str) -> str:
    """Return a message such as `` `subjct` is not a field; did you mean `subject`? ``"""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    return f"`{name[:_SHOWN_CHARS]}` is not {what}{hint}"


def is_utf8(text: str) -> bool:
    """Return whether the text has a UTF-8 form (JSON can contain lone surrogates, which have none)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_infos: dict[type, inspect.StructType] = {}


def _type_info(record: type) -> inspect.StructType:
    info = _infos.get(record)
    if info is None:
        found = inspect.type_info(record)
        if not isinstance(found, inspect.StructType):
            raise JsonFormError(f"`{record.__name__}` is not a record")
        info = _infos[record] = found
    return info


def _record_to_json(record: object, info: inspect.StructType) -> dict[str, object]:
    result: dict[str, object] = {}
    for field in info.fields:
        value = getattr(record, field.name)
        # Readers are None for anybody and () for nobody: an empty array that is not the default must be kept.
        if value is not None and (value != () or field.default != ()):
            result[field.name] = _to_json(value, field.type)
    return result


def _to_json(value: object, kind: inspect.Type) -> object:
    kind, meaning = _meaning(_not_none(kind))
    if isinstance(value, tuple) and isinstance(kind, inspect.VarTupleType):
        return [_to_json(item, kind.item_type) for item in value]
    if isinstance(kind, inspect.StructType):
        return _record_to_json(value, kind)
    if isinstance(value, bytes):
        return value.hex() if meaning == "sha256" else base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return next(text for text, known in _FLOATS.items() if repr(known) == repr(value))
    return value


def _from_json(kind: inspect.Type, value: object, at: str) -> object:
    if isinstance(kind, inspect.UnionType):
        if value is None:
            return None
        kind = _not_none(kind)
    kind, meaning = _meaning(kind)
    match kind:
        case inspect.StructType():
            return _struct(kind, value, at)
        case inspect.VarTupleType(item_type=item):
            return _array(item, value, at)
        case inspect.EnumType(cls=cls):
            symbols = [member.value for member in cls]
            if not isinstance(value, str) or value not in symbols:
                what = f"one of {', '.join(symbols)}"
                raise JsonFormError(f"{at}: {unknown_name(str(value), symbols, what)}")
            return cls(value)
        case inspect.StrType():
            return _text(value, meaning, at)
        case inspect.IntType():
            return _integer(value, meaning, at)
        case inspect.FloatType():
            return _number(value, at)
        case inspect.BytesType():
            return _bytes(value, meaning, at)
        case inspect.BoolType() if isinstance(value, bool):
            return value
    raise JsonFormError(f"{at}: {_shown(value)} is not true or false")


def _struct(kind: inspect.StructType, value: object, at: str) -> object:
    if not isinstance(value, dict):
        raise JsonFormError(f"{at}: {_shown(value)} is not an object")
    fields = {field.name: field for field in kind.fields}
    made: dict[str, object] = {}
    for name, given in value.items():
        field = fields.get(name)
        if field is None and f"{name}{_JSON_SUFFIX}" in fields:
            name, given = f"{name}{_JSON_SUFFIX}", _json_text(given, f"{at}.{name}")  # noqa: PLW2901 - the text form of the same field
            field = fields[name]
        if field is None:
            raise JsonFormError(f"{at}: {unknown_name(name, fields, f'a field of {kind.cls.__name__}')}")
        if name in made:
            raise JsonFormError(f"{at}: `{name}` is given twice, as JSON and as text")
        made[name] = _from_json(field.type, given, f"{at}.{name}")
    missing = [field.name for field in kind.fields if field.required and field.name not in made]
    if missing:
        raise JsonFormError(f"{at}: `{missing[0]}` is missing")
    return kind.cls(**made)


def _array(item: inspect.Type, value: object, at: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise JsonFormError(f"{at}: {_shown(value)} is not an array")
    _checked(check_items, len(value), at)
    return tuple(_from_json(item, given, f"{at}[{index}]") for index, given in enumerate(value))


def _text(value: object, meaning: str, at: str) -> str:
    if not isinstance(value, str):
        raise JsonFormError(f"{at}: {_shown(value)} is not a text")
    if not is_utf8(value):
        raise JsonFormError(f"{at}: has half of a surrogate pair, which no text on the wire can have")
    return named_uuid(value) if meaning == "uuid" else value


def _integer(value: object, meaning: str, at: str) -> int:
    if meaning == "instant_ms":
        return instant(value, at)
    if not isinstance(value, int) or isinstance(value, bool) or not -_LONG_END <= value < _LONG_END:
        raise JsonFormError(f"{at}: {_shown(value)} is not an integer of 64 bits")
    return value


def instant(value: object, at: str) -> int:
    """Return the instant of an integer or of an RFC 3339 text, in ms since the epoch.

    Raises:
        JsonFormError: the value is neither.
    """
    if isinstance(value, str):
        return _checked(parse_instant, value, at)
    if not isinstance(value, int) or isinstance(value, bool):
        raise JsonFormError(f"{at}: {_shown(value)} is neither milliseconds since 1970 nor an RFC 3339 date-time")
    _checked(check_instant, value, at)
    return value


def _number(value: object, at: str) -> float:
    if isinstance(value, str) and value in _FLOATS:
        return _FLOATS[value]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise JsonFormError(f"{at}: {_shown(value)} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise JsonFormError(f"{at}: {_shown(value)} is too large for a number") from None


def _bytes(value: object, meaning: str, at: str) -> bytes:
    if not isinstance(value, str):
        raise JsonFormError(f"{at}: {_shown(value)} is not a text")
    if meaning == "sha256":
        try:
            digest = bytes.fromhex(value) if len(value) == _DIGEST_CHARS else b""
        except ValueError:
            digest = b""
        if len(digest) * 2 != _DIGEST_CHARS:
            raise JsonFormError(f"{at}: {_shown(value)} is not a digest of {_DIGEST_CHARS} hex digits")
        return digest
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise JsonFormError(f"{at}: {_shown(value)} is not base64") from None


def _json_text(value: object, at: str) -> str:
    try:
        return canonical(value).decode()
    except CanonicalError as error:
        raise JsonFormError(f"{at}: {error}; give it as text in `{at.rpartition('.')[2]}{_JSON_SUFFIX}`") from None


def _checked(check: Callable[[_A], _B], value: _A, at: str) -> _B:
    try:
        return check(value)
    except MalformedError as error:
        raise JsonFormError(f"{at}: {error}") from None


def _meaning(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Return a type, and the constraints that its class adds to it."""
    if isinstance(kind, inspect.Metadata):
        return kind.type, str((kind.extra or {}).get("kind", ""))
    return kind, ""


def _not_none(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        return next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    return kind


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode() if is_utf8(str(value)) else repr(value)
    return f"`{text[:_SHOWN_CHARS]}`"
