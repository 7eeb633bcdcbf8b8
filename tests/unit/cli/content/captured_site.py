"""A recorded log whose gate has captured content: with a key of the content, and an officer who may erase it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from streams.model.keys import partition_for
from streams.model.topics import CONTENT_ORDER, Topic
from streams.model.types import Record
from streams.operations.signing_keys import make_content_key_file, make_key_file
from streams.ports import Outgoing
from tests.unit.cli.recorded_site import Site, configure, make_site

CAPTURED = ["arguments", "request", "prompt", "results", "model_output"]


def configure_content(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Set what a gate, a reader and an officer of this folder have in their settings."""
    configure(patch, folder)
    patch.setenv("STOPLOG_CONTENT__CAPTURE", msgspec.json.encode(CAPTURED).decode())
    patch.setenv("STOPLOG_CONTENT__KEYS", msgspec.json.encode({"*": str(folder / "acme.pem.pub")}).decode())
    public = (folder / "ann.pub").read_text()
    patch.setenv("STOPLOG_CONTENT__OFFICERS", msgspec.json.encode({"ann": public}).decode())


def make_captured_site(folder: Path, make: Callable[[pytest.MonkeyPatch], Site] | None = None) -> Path:
    """Make the keys and the log in a folder, and return it.

    Args:
        make: makes another site. It is given the patch to set variables with: those of any other patch would come back
            when this one is undone.
    """
    make_content_key_file(folder / "acme.pem")
    (folder / "ann.pub").write_text(str(make_key_file(folder / "ann.pem").public))
    with pytest.MonkeyPatch.context() as patch:
        configure_content(patch, folder)
        make_site(folder, Site if make is None else partial(make, patch))
    return folder


def copied(recorded: Path, made: Path) -> Path:
    """Copy a site for a test that changes it, and return the copy."""
    shutil.copytree(recorded, made)
    return made


def reading(folder: Path, session: str = "s-0") -> tuple[str, ...]:
    """The command that opens the content of a session."""
    key = str(folder / "acme.pem")
    return ("audit", "read", session, "--key", key, "--why", "ticket 7", "--as", "ben", "--json")


def erasing(folder: Path, *whose: str) -> tuple[str, ...]:
    """The command by which the officer erases content."""
    key = str(folder / "ann.pem")
    return ("audit", "erase", *whose, "--key", key, "--why", "request of the user", "--as", "ann", "--json")


def write(topic: Topic, key: bytes, record: Record | bytes | None) -> None:
    """Write a record as somebody may who may write the topic."""
    site = Site()
    session_key = key.rpartition(b"/")[0] or key
    partition = 0 if topic is CONTENT_ORDER else partition_for(session_key, site.settings.topics.partitions)
    value = site.codec.encode(topic.name, record) if isinstance(record, Record) else record
    site.publisher.publish(Outgoing(topic.name, partition, key, value))
    site.publisher.flush(60_000)
    site.log.close()
