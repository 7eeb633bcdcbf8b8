"""The committed schemas: which id stands for which version of which record, and the content of each version.

`schemas/avro/<record>.v<n>.avsc` is today's schema and is edited by hand. `schemas/history/` keeps every version as it
was published. `schemas/ids.lock.json` assigns subjects (TopicNameStrategy: `<topic>-value`) and ids to them, and pins
their content. `schemas/published.txt` keeps the pins from being changed. `python -m streams.codec.lock` adds a version.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from streams.codec.schema_types import RecordShape, SchemaError, parse_record, short_name
from streams.model.errors import InvariantError, RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import RECORD_CLASSES
from streams.model.types import Record

LOCK_NAME = "ids.lock.json"

LOCK_ID_FIRST = 2_000_000_001
"""The first id of the lock file. It is far above the ids that a registry assigns, so that records from before a
registry was configured stay readable with one."""

_PACKAGE = Path(__file__).resolve().parent.parent


class SchemaVersion(NamedTuple):
    """A version of a subject's schema. Records on the wire name it by `id` or by `guid` (16 bytes)."""

    version: int
    id: int
    guid: bytes
    shape: RecordShape
    text: str


class SchemaSource(Protocol):
    """The source of schema ids: the lock file, or a registry. Its work is bounded, whatever ids records name."""

    def current(self, topic: str) -> SchemaVersion:
        """Return the schema that records of the topic are written and read with: today's, with its id.

        Raises:
            SchemaError: the topic has no schema here.
        """

    def by_id(self, topic: str, schema_id: int) -> SchemaVersion:
        """Return the version of the topic's subject with this id.

        Raises:
            RecordError: with the reason `schema_unknown`, or `schema_mismatch` if the id is another subject's.
        """

    def by_guid(self, topic: str, guid: bytes) -> SchemaVersion:
        """Return the version of the topic's subject with this GUID; see `by_id`."""


class LockedVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version in the lock file: `path` is relative to `schemas/`, `sha256` is the digest of the content without
    docs."""

    version: int
    id: int
    guid: str
    path: str
    sha256: str


class LockedSubject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subject in the lock file; `versions` are ordered from the oldest."""

    record: str
    versions: tuple[LockedVersion, ...]


class LockFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lock file."""

    subjects: dict[str, LockedSubject]


class CommittedSchemas:
    """The committed schemas with the ids of the lock file: the `SchemaSource` of a deployment without a registry."""

    def __init__(self, directory: Path, lock: LockFile) -> None:
        self._directory = directory
        self._lock = lock
        # By id. A version is read when it is needed: most topics have older ones that no record is of any more.
        self._versions: dict[int, SchemaVersion] = {}
        self._subject_of_id = {version.id: name for name, entry in lock.subjects.items() for version in entry.versions}
        self._subject_of_guid = {
            _guid_of(version): name for name, entry in lock.subjects.items() for version in entry.versions
        }

    @classmethod
    def load(cls, directory: Path | None = None) -> CommittedSchemas:
        """Read the lock file; schemas are read when they are first needed.

        Args:
            directory: the folder `schemas/`; by default the one that ships with the package.

        Raises:
            SchemaError: the lock file is missing or broken.
        """
        directory = schema_directory() if directory is None else directory
        return cls(directory, read_lock(directory))

    def versions(self, topic: str) -> tuple[SchemaVersion, ...]:
        """Return all versions of the topic's schema, oldest first.

        Raises:
            SchemaError: there are none, or a file isn't what was locked.
        """
        entry = self._entry(topic)
        return tuple(self._version(entry, locked) for locked in entry.versions)

    def current(self, topic: str) -> SchemaVersion:
        """Return today's version, the newest."""
        entry = self._entry(topic)
        return self._version(entry, entry.versions[-1])

    def by_id(self, topic: str, schema_id: int) -> SchemaVersion:
        """See `SchemaSource.by_id`."""
        self._check_subject(topic, self._subject_of_id.get(schema_id), f"schema id {schema_id}")
        entry = self._entry(topic)
        return self._version(entry, next(locked for locked in entry.versions if locked.id == schema_id))

    def by_guid(self, topic: str, guid: bytes) -> SchemaVersion:
        """See `SchemaSource.by_guid`."""
        self._check_subject(topic, self._subject_of_guid.get(guid), f"schema guid {guid.hex()}")
        entry = self._entry(topic)
        return self._version(entry, next(locked for locked in entry.versions if _guid_of(locked) == guid))

    def _check_subject(self, topic: str, subject: str | None, what: str) -> None:
        if subject is None:
            raise RecordError(DeadLetterReason.SCHEMA_UNKNOWN, f"{what} of topic `{topic}` is not known here")
        if subject != subject_name(topic):
            raise RecordError(
                DeadLetterReason.SCHEMA_MISMATCH, f"{what} belongs to subject `{subject}`, not to topic `{topic}`"
            )

    def _entry(self, topic: str) -> LockedSubject:
        entry = self._lock.subjects.get(subject_name(topic))
        if entry is None or not entry.versions:
            raise SchemaError(f"topic `{topic}` has no schema in `{self._directory / LOCK_NAME}`")
        return entry

    def _version(self, entry: LockedSubject, locked: LockedVersion) -> SchemaVersion:
        found = self._versions.get(locked.id)
        if found is None:
            found = self._versions[locked.id] = self._read_version(entry, locked)
        return found

    def _read_version(self, entry: LockedSubject, locked: LockedVersion) -> SchemaVersion:
        path = self._directory / locked.path
        text = read_schema(path)
        if content_digest(text) != locked.sha256:
            raise SchemaError(f"schema `{path}` is not the one that was locked as version {locked.version}")
        shape = parse_record(text)
        if shape.name != entry.record:
            raise SchemaError(f"schema `{path}` is of record `{shape.name}`, but the lock file says `{entry.record}`")
        return SchemaVersion(locked.version, locked.id, _guid_of(locked), shape, text)


def _guid_of(version: LockedVersion) -> bytes:
    return bytes.fromhex(version.guid.replace("-", ""))


def subject_name(topic: str) -> str:
    """Return the subject of a topic's values (TopicNameStrategy)."""
    return f"{topic}-value"


def record_class(topic: str) -> type[Record]:
    """Return the class of a topic's records.

    Raises:
        InvariantError: the topic isn't declared, or its values aren't records.
    """
    declared = RECORD_CLASSES.get(topic)
    if declared is None:
        raise InvariantError(f"topic `{topic}` has no records in Avro")
    return declared


@cache
def schema_directory() -> Path:
    """Return the folder of the schemas, in the installed package or in the source tree."""
    shipped = _PACKAGE / "_shipped" / "schemas"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "schemas"


def read_lock(directory: Path) -> LockFile:
    """Read the lock file in `schemas/`.

    Raises:
        SchemaError: the lock file is missing or broken.
    """
    path = directory / LOCK_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=LockFile)
    except OSError as error:
        raise SchemaError(f"schema lock file `{path}` cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise SchemaError(f"schema lock file `{path}` is broken: {error}") from None


def read_schema(path: Path) -> str:
    """Read the text of a schema file.

    Raises:
        SchemaError: the file cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SchemaError(f"schema `{path}` cannot be read: {error.strerror}") from None
    except UnicodeError as error:
        raise SchemaError(f"schema `{path}` is not UTF-8: {error}") from None


def content_digest(text: str) -> str:
    """Return the SHA-256, in hex, of a schema's content without its docs and its layout.

    Raises:
        SchemaError: the text isn't JSON.
    """
    try:
        content = _without_docs(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SchemaError(f"schema is not JSON: {error}") from None
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def file_stem(shape: RecordShape) -> str:
    """Return the name of a record's schema files without version and ending: `AuditEvent` -> `audit_event`."""
    name = short_name(shape.name)
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


def _without_docs(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_docs(item) for key, item in value.items() if key != "doc"}
    if isinstance(value, list):
        return [_without_docs(item) for item in value]
    return value
