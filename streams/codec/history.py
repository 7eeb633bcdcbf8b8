"""History files: a part of the topics as JSON lines (docs/reference/history-files.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from streams.codec.history_contents import Contents
from streams.codec.history_defaults import SESSION_KEY, Line, complete, fill, key_of
from streams.codec.history_grant_defaults import state_grant
from streams.codec.jsonform import JsonFormError, from_json, instant, is_utf8, to_json, unknown_name
from streams.model.canonical import CanonicalError, unique_members
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import Delegation
from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.session import PROVEN_EVENTS, REPORTS, SessionEvent
from streams.model.topics import (
    ALERT,
    APPROVAL_DECISION,
    APPROVAL_REQUEST,
    ATTRIBUTES,
    AUDIT,
    AUDIT_CHECKPOINT,
    AUDIT_REPORTED,
    BASELINE,
    BUDGET_GRANT,
    BUDGET_REQUEST,
    BY_NAME,
    CATALOG,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    RULESET,
    SESSION,
    VERDICT,
    Spread,
    Topic,
)
from streams.model.types import Record

SECONDS = range(900_000_000, 5_000_000_000)
"""Numbers that are instants of the years 1998 to 2128 in seconds, and of January and February 1970 in milliseconds."""

LINE_BYTES_MAX = 8_388_608
"""The longest line; a record of the largest size fits, however it is spelled."""

KINDS: dict[str, Topic] = {
    "intent": INTENT,
    "session_event": SESSION,
    "report": REPORT,
    "delegation": DELEGATION,
    "revocation": REVOCATION,
    "catalog_entry": CATALOG,
    "ruleset": RULESET,
    "baseline": BASELINE,
    "attributes": ATTRIBUTES,
    "approval_decision": APPROVAL_DECISION,
    "verdict": VERDICT,
    "approval_request": APPROVAL_REQUEST,
    "audit_event": AUDIT,
    "reported_event": AUDIT_REPORTED,
    "checkpoint": AUDIT_CHECKPOINT,
    "alert": ALERT,
    "budget_request": BUDGET_REQUEST,
    "budget_grant": BUDGET_GRANT,
}
"""The values of `record`, and the topic that each stands for."""

_KIND_OF_TOPIC = {topic.name: kind for kind, topic in KINDS.items()}
_PROVEN = PROVEN_EVENTS | REPORTS
_MEMBERS = ("record", "key", "key_hex", "time_ms", "value")
_BOM = b"\xef\xbb\xbf"


class HistoryError(StoplogError):
    """A line that is not a record.

    Attributes:
        file: the name of the file, as given.
        line: counts from 1; 0 for the file as a whole.
        text: what is wrong.
    """

    def __init__(self, file: str, line: int, text: str) -> None:
        super().__init__(f"{file}:{line}: {text}" if line else f"{file}: {text}")
        self.file = file
        self.line = line
        self.text = text


class HistoryLine(NamedTuple):
    """A record of a history: `kind` is one of `KINDS`, `time_ms` is its time on the log."""

    kind: str
    topic: str
    key: bytes
    time_ms: int
    record: Record


def parse_line(
    text: str,
    line_no: int,
    filename: str,
    root_key: bytes | None = None,
    deployment: str = "",
    contents: Contents | None = None,
) -> HistoryLine:
    """Read one line.

    Fields that a person may leave out are filled in as the SDK would, always the same for the same line: the header
    (its id from line number and text, `source` "history", the tenant of the key, `time_ms`), the session of the key,
    digests, the atoms of contents, and the proofs of intents, session events and reports.

    Args:
        text: the line.
        line_no: counts from 1.
        filename: for errors.
        root_key: the key that other keys are derived from, for records without a proof; None leaves them unproven.
        deployment: the name of the deployment that reports are proven for.
        contents: what the lines before it say about sessions and tools; remembers this line, too.

    Raises:
        HistoryError: the line is not a record.
    """
    try:
        if not is_utf8(text):
            raise JsonFormError("has half of a surrogate pair, which is not valid in a text")
        return _parse(text.strip(), line_no, root_key, deployment, contents)
    except JsonFormError as error:
        raise HistoryError(filename, line_no, str(error)) from None
    except RecursionError:
        raise HistoryError(filename, line_no, "is nested too deeply") from None


def format_line(topic: str, key: bytes, time_ms: int, record: Record) -> str:
    """Return a record as a line, without a line end. `parse_line` makes the same record of it.

    Raises:
        KeyError: a history cannot hold records of the topic.
    """
    line: dict[str, object] = {"record": _KIND_OF_TOPIC[topic]}
    try:
        line["key"] = key.decode()
    except UnicodeDecodeError:
        line["key_hex"] = key.hex()
    value = to_json(record)
    # If it were left out, `parse_line` would make one.
    if isinstance(record, Intent) or (isinstance(record, SessionEvent) and record.type in _PROVEN):
        value.setdefault("proof", None)
    elif isinstance(record, Delegation):
        state_grant(value)
    line |= {"time_ms": time_ms, "value": value}
    return msgspec.json.encode(line).decode()


def iter_history(
    path: Path, root_key: bytes | None = None, on_error: Callable[[HistoryError], None] | None = None
) -> Iterator[HistoryLine]:
    """Yield the records of a file, in its order. Blank lines and lines that begin with `#` are skipped.

    Args:
        path: UTF-8, with or without a byte order mark.
        root_key: as in `parse_line`.
        on_error: called for bad lines, which are then skipped; without it the error is raised.

    Raises:
        HistoryError: the file cannot be read, or a line is not a record.
    """
    yield from (line for _, line in iter_numbered(path, root_key, on_error))


def iter_numbered(
    path: Path,
    root_key: bytes | None = None,
    on_error: Callable[[HistoryError], None] | None = None,
    deployment: str = "",
    catalog: Iterable[ToolCatalogEntry] = (),
) -> Iterator[tuple[int, HistoryLine]]:
    """Yield the same as `iter_history`, each record with the number of its line, which counts from 1.

    Args:
        deployment: as in `parse_line`.
        catalog: entries beside the history.
    """
    name = str(path)
    try:
        with path.open("rb") as stream:
            lines = iter(lambda: stream.readline(LINE_BYTES_MAX + 1), b"")
            yield from _iter_lines(lines, name, root_key, on_error, deployment, Contents(catalog))
    except OSError as error:
        raise HistoryError(name, 0, f"can't be read: {error.strerror}") from None


def _iter_lines(
    lines: Iterable[bytes],
    name: str,
    root_key: bytes | None,
    on_error: Callable[[HistoryError], None] | None,
    deployment: str,
    contents: Contents,
) -> Iterator[tuple[int, HistoryLine]]:
    line_no, continued = 1, False
    for raw in lines:
        whole = raw.endswith(b"\n") or len(raw) <= LINE_BYTES_MAX
        try:
            if not continued:
                text = _text(raw.removeprefix(_BOM) if line_no == 1 else raw, line_no, name)
                if text and not text.startswith("#"):
                    line = parse_line(text, line_no, name, root_key, deployment, contents)
                    _check_plausible(line, line_no, name)
                    yield line_no, line
        except HistoryError as error:
            if on_error is None:
                raise
            on_error(error)
        # The rest of a line that is too long comes in pieces.
        continued = not whole
        line_no += whole


def _check_plausible(line: HistoryLine, line_no: int, name: str) -> None:
    """Reject what can be a record, but is far more likely a mistake of whoever wrote the file.

    Raises:
        HistoryError: the time is in seconds, or the key has no tenant.
    """
    if line.time_ms in SECONDS:
        text = f"`time_ms` is {line.time_ms}, which is a time in seconds: write {line.time_ms * 1_000}"
        raise HistoryError(name, line_no, text)
    if BY_NAME[line.topic].spread is Spread.CO_PARTITIONED and BY_NAME[line.topic].key == SESSION_KEY:
        tenant, bar, session = line.key.partition(b"|")
        if not (tenant and bar and session):
            text = f"`key` is `{line.key.decode(errors='replace')[:80]}`, without a tenant: write `TENANT|SESSION`"
            raise HistoryError(name, line_no, text)


def _text(raw: bytes, line_no: int, name: str) -> str:
    if len(raw.rstrip(b"\r\n")) > LINE_BYTES_MAX:
        raise HistoryError(name, line_no, f"is longer than {LINE_BYTES_MAX} bytes")
    try:
        return raw.decode().strip()
    except UnicodeDecodeError as error:
        raise HistoryError(name, line_no, f"is not UTF-8 (byte {error.start + 1} of the line)") from None


def _parse(text: str, line_no: int, root_key: bytes | None, deployment: str, contents: Contents | None) -> HistoryLine:
    line = _load(text)
    if not isinstance(line, dict):
        raise JsonFormError("a line is an object with `record`, `key`, `time_ms` and `value`")
    for member in line:
        if member not in _MEMBERS:
            raise JsonFormError(unknown_name(member, _MEMBERS, "a member of a line"))
    kind, value = line.get("record"), line.get("value")
    if not isinstance(kind, str) or kind not in KINDS:
        raise JsonFormError(f"record: {unknown_name(str(kind), KINDS, 'a kind of record')}")
    if not isinstance(value, dict):
        raise JsonFormError("value: must be the record, as an object")
    if "time_ms" not in line:
        raise JsonFormError("`time_ms` is missing")
    topic = KINDS[kind]
    if topic.record is None:
        raise JsonFormError(f"record: `{kind}` has no fields")
    context = Line(
        topic, line_no, text, instant(line["time_ms"], "time_ms"), _key(line), root_key, deployment, contents
    )
    record = from_json(topic.record, fill(value, context))
    key = key_of(record) if context.key is None else context.key
    record = complete(record, value, context)
    if contents is not None:
        contents.remember(record)
    return HistoryLine(kind, topic.name, key, context.time_ms, record)


def _key(line: dict[str, object]) -> bytes | None:
    """Return the key; None if it is left out, and follows from the record."""
    key, key_hex = line.get("key"), line.get("key_hex")
    if key is not None and key_hex is not None:
        raise JsonFormError("`key` and `key_hex` are both given")
    if isinstance(key, str) and is_utf8(key):
        return key.encode()
    if key is None and key_hex is None:
        return None
    try:
        if isinstance(key_hex, str):
            return bytes.fromhex(key_hex)
    except ValueError:
        pass
    raise JsonFormError("`key` must be text (or `key_hex` bytes in hex)")


def _load(text: str) -> object:
    """Parse JSON, and reject what parsers read differently. Integers are exact, whatever their size."""
    try:
        return json.loads(text, object_pairs_hook=unique_members, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # The error counts lines, too, but here a line is a text of its own, so each is on "line 1".
        raise JsonFormError(f"is not JSON: {error.msg[:1].lower()}{error.msg[1:]} (column {error.colno})") from None
    except CanonicalError as error:
        raise JsonFormError(str(error)) from None
    except ValueError as error:
        raise JsonFormError(f"is not JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise JsonFormError(f"is not JSON: `{name}`")
