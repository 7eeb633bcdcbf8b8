"""Check the schema files against their history, or lock new versions: `python -m streams.codec.lock [--check]`.

To change a record: edit its class; rename `schemas/avro/<record>.v<n>.avsc` to version n+1 and edit it in the same way;
run this. It rejects what would break FULL_TRANSITIVE; otherwise it adds the new version to the history and gives it an
id.

The lock file alone cannot keep a version from changing: after it was deleted together with the history, other content
can be locked under the same version and id. So `schemas/published.txt` lists everything that was ever published. This
module only appends to it, and rejects schemas that contradict it (docs/adr/0027-schemas-do-not-change.md).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.codec.compatibility import Finding, conventions, full_transitive
from streams.codec.schema_class_check import differences
from streams.codec.schema_types import RecordShape, SchemaError, parse_record
from streams.codec.schemas import (
    LOCK_ID_FIRST,
    LOCK_NAME,
    LockedSubject,
    LockedVersion,
    LockFile,
    content_digest,
    file_stem,
    read_lock,
    read_schema,
    schema_directory,
    subject_name,
)
from streams.model.topics import DECLARED
from streams.model.types import Record

PUBLISHED_NAME = "published.txt"
_WITHDRAWN = "withdrawn"
_FILE_NAME = re.compile(r"(?P<stem>[a-z_]+)\.v(?P<version>[1-9][0-9]{0,3})\.avsc")
_UUID_VERSION_8 = 0x80
_UUID_VARIANT = 0x80


class Published(NamedTuple):
    """A line of `schemas/published.txt`: what a schema id stood for when it was published.

    Attributes:
        sha256: of the schema without docs, in hex.
        withdrawn: whether other content took its place, before versions were promised not to change.
    """

    subject: str
    version: int
    id: int
    sha256: str
    withdrawn: bool = False

    def __str__(self) -> str:
        mark = (_WITHDRAWN,) if self.withdrawn else ()
        return " ".join((self.subject, str(self.version), str(self.id), self.sha256, *mark))


def check(directory: Path) -> list[Finding]:
    """Compare the committed schemas with the record classes, their history, the lock file and what was published.

    Returns:
        What is wrong; empty if nothing is.

    Raises:
        SchemaError: a file cannot be read at all.
    """
    lock, findings = advance(directory)
    if not findings and (lock != read_lock(directory) or _unpublished(directory, lock)):
        findings.append(Finding(LOCK_NAME, "a new version isn't locked yet: run `python -m streams.codec.lock`"))
    return findings


def write(directory: Path) -> list[Finding]:
    """Lock new versions: write them to the history, the lock file and the list of what was published.

    Returns:
        What is wrong; if anything is, nothing is written.

    Raises:
        SchemaError: a file cannot be read at all.
    """
    lock, findings = advance(directory)
    if findings:
        return findings
    with (directory / PUBLISHED_NAME).open("a", encoding="utf-8") as published:
        published.writelines(f"{each}\n" for each in _unpublished(directory, lock))
    for subject in lock.subjects.values():
        newest = subject.versions[-1]
        snapshot = directory / newest.path
        if not snapshot.exists():
            snapshot.parent.mkdir(exist_ok=True)
            snapshot.write_text(read_schema(directory / "avro" / snapshot.name), "utf-8")
    formatted = msgspec.json.format(msgspec.json.encode(lock), indent=2)
    (directory / LOCK_NAME).write_bytes(formatted + b"\n")
    return []


def advance(directory: Path) -> tuple[LockFile, list[Finding]]:
    """Return the lock file as today's schemas make it, and what is wrong with them.

    Raises:
        SchemaError: a file cannot be read at all.
    """
    before = read_lock(directory) if (directory / LOCK_NAME).exists() else LockFile(subjects={})
    used = [version.id for subject in before.subjects.values() for version in subject.versions]
    next_id = max(used, default=LOCK_ID_FIRST - 1) + 1
    subjects: dict[str, LockedSubject] = {}
    findings: list[Finding] = []
    for topic in DECLARED:
        if topic.record is None:
            continue
        name = subject_name(topic.name)
        entry = before.subjects.get(name)
        after, found = _advance_subject(directory, topic.record, entry, next_id)
        findings += [Finding(f"{name}: {finding.at}", finding.text) for finding in found]
        subjects[name] = after
        next_id += after is not entry
    findings += [Finding(name, "no topic has this subject") for name in before.subjects.keys() - subjects.keys()]
    lock = LockFile(subjects=subjects)
    return lock, findings + contradictions(lock, read_published(directory))


def read_published(directory: Path) -> list[Published]:
    """Read `schemas/published.txt`.

    Raises:
        SchemaError: it cannot be read, or a line is malformed.
    """
    lines = read_schema(directory / PUBLISHED_NAME).splitlines()
    return [_read_line(line) for line in lines if line and not line.startswith("#")]


def locked_versions(lock: LockFile) -> list[Published]:
    """Return the versions of a lock file in the form in which they are published."""
    return [
        Published(name, version.version, version.id, version.sha256)
        for name, subject in lock.subjects.items()
        for version in subject.versions
    ]


def contradictions(lock: LockFile, published: Iterable[Published]) -> list[Finding]:
    """Find the published versions that the lock file no longer has as they were."""
    locked = {(each.subject, each.version): each for each in locked_versions(lock)}
    findings = []
    for each in published:
        at, now = f"{each.subject} version {each.version}", locked.get((each.subject, each.version))
        is_the_same = now == each._replace(withdrawn=False)
        if each.withdrawn and is_the_same:
            findings.append(Finding(at, "is what was withdrawn: make it a new version"))
        elif not each.withdrawn and not is_the_same:
            was = f"was published with id {each.id} and digest {each.sha256}"
            is_now = "is missing" if now is None else f"has id {now.id} and digest {now.sha256}"
            findings.append(Finding(at, f"{was}, but {is_now}: restore it, and make a new version"))
    return findings


def _unpublished(directory: Path, lock: LockFile) -> list[Published]:
    """Return the locked versions that are not on the list yet."""
    known = set(read_published(directory))
    return [each for each in locked_versions(lock) if each not in known]


def _read_line(line: str) -> Published:
    match line.split(" "):
        case [subject, version, schema_id, sha256, *mark] if (
            version.isdecimal() and schema_id.isdecimal() and mark in ([], [_WITHDRAWN])
        ):
            return Published(subject, int(version), int(schema_id), sha256, bool(mark))
    raise SchemaError(f"`{PUBLISHED_NAME}` has the malformed line `{line}`")


def _advance_subject(
    directory: Path, record: type[Record], entry: LockedSubject | None, next_id: int
) -> tuple[LockedSubject, list[Finding]]:
    path, version = _todays_file(directory, file_stem(RecordShape(record.__name__, ())))
    text = read_schema(path)
    shape = parse_record(text)
    findings = differences(record, shape) + conventions(shape)
    locked = () if entry is None else entry.versions
    earlier, found = _history(directory, locked)
    findings += found
    digest = content_digest(text)
    if entry is not None and version == len(locked):
        if digest != locked[-1].sha256:
            findings.append(Finding(path.name, f"was edited after it was published: make it version {version + 1}"))
        return entry, findings
    if version != len(locked) + 1:
        findings.append(Finding(path.name, f"is not version {len(locked) + 1}, the one after the last that is locked"))
    findings += full_transitive([*earlier, shape])
    added = LockedVersion(
        version=version, id=next_id, guid=_guid(digest, next_id), path=f"history/{path.name}", sha256=digest
    )
    return LockedSubject(record=shape.name, versions=(*locked, added)), findings


def _history(directory: Path, locked: tuple[LockedVersion, ...]) -> tuple[list[RecordShape], list[Finding]]:
    shapes, findings = [], []
    for number, version in enumerate(locked, start=1):
        text = read_schema(directory / version.path)
        shapes.append(parse_record(text))
        if version.version != number or content_digest(text) != version.sha256:
            findings.append(Finding(version.path, f"is not what was published as version {number}: restore it"))
    return shapes, findings + full_transitive(shapes)


def _todays_file(directory: Path, stem: str) -> tuple[Path, int]:
    found = []
    for path in sorted((directory / "avro").glob(f"{stem}.v*.avsc")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is not None and match["stem"] == stem:
            found.append((path, int(match["version"])))
    if len(found) != 1:
        raise SchemaError(f"`{directory / 'avro'}` has {len(found)} files `{stem}.v<n>.avsc`, not one")
    return found[0]


def _guid(digest: str, schema_id: int) -> str:
    """Return a UUID (version 8) of the content; the id distinguishes it from that of equal content under another id."""
    raw = bytearray(bytes.fromhex(digest)[:12] + schema_id.to_bytes(4, "big"))
    raw[6] = raw[6] & 0x0F | _UUID_VERSION_8
    raw[8] = raw[8] & 0x3F | _UUID_VARIANT
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def main(arguments: list[str]) -> int:
    """Lock or check the schemas of the source tree; findings go to standard error. Returns the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m streams.codec.lock [--check]\n")
        return 2
    run = check if arguments else write
    try:
        findings = run(schema_directory())
    except SchemaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
