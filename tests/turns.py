"""Turns of the test processes of one run: side by side, or alone.

A test that bounds how long something takes (marked `timed`) can fail because of what the other processes do in the
meantime. It therefore runs while no other test runs. Running all such tests in one process would not be enough, since
the other processes would go on.

The turns are a lock of readers and writers, made of two locked files. Whoever wants to begin holds the first file until
it has the second: so no further test begins while one waits to be alone, and it can't be kept waiting for ever.
"""

from __future__ import annotations

import fcntl
from pathlib import Path


class Turns:
    """One process's turns. The operating system ends them with the process.

    Not for several threads.
    """

    def __init__(self, folder: Path) -> None:
        """Take part.

        Args:
            folder: the same for all processes of the run; it exists.
        """
        self._door = (folder / "door.lock").open("w")
        self._room = (folder / "room.lock").open("w")
        self._is_alone = False

    def begin(self, *, alone: bool) -> None:
        """Wait for a turn.

        Args:
            alone: whether no other process may have a turn at the same time.
        """
        if self._is_alone and alone:
            return
        fcntl.flock(self._door, fcntl.LOCK_EX)
        fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)
        self._is_alone = alone

    def end(self, *, next_alone: bool) -> None:
        """End the turn.

        Args:
            next_alone: whether this process next wants to be alone. If it is alone now, it stays so: otherwise the
                others would begin a test each in between, and it would wait for the longest of them.
        """
        if self._is_alone and next_alone:
            return
        fcntl.flock(self._room, fcntl.LOCK_UN)
        self._is_alone = False

    def close(self) -> None:
        """Take part no more."""
        self._room.close()
        self._door.close()
