"""Keeps the newest heads that counted, so that an executor goes on from them after a restart.

They lie in the file of used verdicts: it outlives the process, and executors that share it share what they have seen.
Without them, the first seal after a restart could be an old one that somebody has written again. `seal_checks` says
what they show of a log that was set back.

Rejected: to read the newest head from `agent.audit.checkpoint.v1` at the start. Whoever can write an old seal can write
an old head.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

HEADS_TABLE = """CREATE TABLE IF NOT EXISTS heads (
    origin TEXT PRIMARY KEY,
    seal_offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL
) WITHOUT ROWID"""


class SealedHead(NamedTuple):
    """The newest head that counted, of one partition.

    Attributes:
        offset: where its seal lies.
        size: how many records the log had.
        root: its root, 32 bytes.
    """

    offset: int
    size: int
    root: bytes


def read_heads(connection: sqlite3.Connection) -> dict[str, SealedHead]:
    """Return the heads by the origins that they are signed for."""
    rows = connection.execute("SELECT origin, seal_offset, size, root FROM heads")
    return {origin: SealedHead(offset, size, bytes(root)) for origin, offset, size, root in rows}


def write_heads(connection: sqlite3.Connection, heads: Mapping[str, SealedHead]) -> None:
    """Keep heads. One that another executor has put further ahead stays."""
    connection.executemany(
        """INSERT INTO heads (origin, seal_offset, size, root) VALUES (?, ?, ?, ?)
        ON CONFLICT (origin) DO UPDATE
        SET seal_offset = excluded.seal_offset, size = excluded.size, root = excluded.root
        WHERE excluded.seal_offset > seal_offset AND excluded.size > size""",
        [(origin, *head) for origin, head in heads.items()],
    )
