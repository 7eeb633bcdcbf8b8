"""Checks everything that a gate needs, and says what to fix. Changes nothing."""

from __future__ import annotations

import errno
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from streams.codec.lock import check as check_schemas
from streams.codec.schema_types import SchemaError
from streams.codec.schemas import schema_directory
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.operations.doctor.installation import Installation
from streams.operations.doctor.log_checks import examine_log
from streams.ports import LogError
from streams.ports.open_log import LogMissingError
from streams.sdk.connection.transport import RecordCodec
from streams.sdk.keys.root_key import RootKeyError, load_root_key
from streams.stores.private_folder import is_open_to_others

FREE_BYTES_LOW = 1 << 30
FREE_BYTES_MIN = 100 << 20
SCHEMA_FINDINGS_SHOWN_MAX = 5


def examine(installation: Installation) -> Iterator[Finding]:
    """Make all checks, each after those that it needs. Blocking, up to a minute if brokers hang."""
    yield fine("settings", f"from {', '.join(installation.sources) or 'the defaults'}")
    yield _root_key(installation.root_key_path)
    yield _schemas()
    codec, finding = _codec(installation)
    yield finding
    yield from _state_folder(installation.state_dir)
    yield _running_gate(installation)
    for check in installation.services:
        yield from check()
    yield from _log(installation, codec)


def _root_key(path: Path) -> Finding:
    try:
        key = load_root_key(path)
    except RootKeyError as error:
        return failed("root key", str(error))
    return fine("root key", f"`{path}`, {len(key)} bytes, readable by its owner only")


def _schemas() -> Finding:
    try:
        findings = check_schemas(schema_directory())
    except SchemaError as error:
        return failed("schemas", str(error), "install stoplog again")
    if findings:
        shown = "; ".join(map(str, findings[:SCHEMA_FINDINGS_SHOWN_MAX]))
        return failed("schemas", f"{len(findings)} findings: {shown}", "see `python -m streams.codec.lock`")
    return fine("schemas", "match the records; all versions are compatible")


def _codec(installation: Installation) -> tuple[RecordCodec | None, Finding]:
    url = installation.schema_registry_url
    try:
        codec = installation.build_codec()
    except SchemaError as error:
        advice = "a gate registers missing schemas when it starts, unless `auto.register.schemas` is false"
        return None, failed("schema ids", str(error), advice)
    if url is None:
        return codec, fine("schema ids", "from the lock file; no registry is set (`schema_registry_url`)")
    return codec, fine("schema ids", f"from the registry `{url}`, which has all schemas")


def _state_folder(folder: Path) -> Iterator[Finding]:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield failed(
            "state folder",
            f"`{folder}` can't be written: {error.strerror}",
            "set `state_dir` to a folder that the gate can write",
        )
        return
    free = shutil.disk_usage(there).free
    text = f"`{folder}`, {free >> 20} MiB free"
    if free < FREE_BYTES_MIN:
        yield failed("state folder", text, "free disk space: the gate will soon be unable to write its state")
    elif free < FREE_BYTES_LOW:
        yield warned("state folder", text, "free disk space")
    elif folder.exists() and is_open_to_others(folder):
        yield warned(
            "state folder", f"{text}, readable by others", f"run `chmod 700 {folder}`: it contains arguments of calls"
        )
    else:
        yield fine("state folder", text)


def _running_gate(installation: Installation) -> Finding:
    """Find out whether a gate of this name has its stores open on this machine.

    RocksDB locks a file in each store (POSIX). Don't call this in a process that has a store open: closing the file
    would release the process's own lock.
    """
    stores = installation.state_dir / "gate" / installation.instance
    opened = sorted(int(path.parent.name) for path in stores.glob("*/LOCK") if _is_locked(path))
    if opened:
        # Which of them it owns, only the gate itself can tell.
        listed = ", ".join(map(str, opened))
        return fine(
            "running gate",
            f"gate `{installation.instance}` runs on this machine, with the state of partitions {listed} (its own, and "
            "its standbys of others'); another gate needs a name of its own",
        )
    return fine("running gate", f"no gate `{installation.instance}` runs on this machine")


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    return False


def _log(installation: Installation, codec: RecordCodec | None) -> Iterator[Finding]:
    try:
        log = installation.open_log()
    except (LogMissingError, LogError) as error:
        yield failed("log", str(error))
        return
    with log:
        yield from examine_log(installation, log, codec)
