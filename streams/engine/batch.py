"""Decides how many records go into a transaction after an abort, and which record is at fault.

**Idea.** A transaction that was aborted is tried again with half of its records, down to one. So a record that can't be
committed (its outputs are refused, the hook fails on them) ends up alone, and the others are committed without it. If
it is aborted alone `record_aborts_max` times, it is rejected: its dead letter is written instead of what it leads to.

An abort alone doesn't prove the record's fault: the brokers may be the reason. It counts only if the next transaction,
which holds no input, is committed (a probe). While brokers fail, probes fail, and no record is rejected.

**Rejected.** To count the aborts of each record, wherever it was: one bad record would condemn its neighbours.
"""

from __future__ import annotations

from streams.engine.settings import EngineSettings
from streams.ports import Received

Place = tuple[str, int, int]
SUSPECTS_MAX = 1_000


class Batch:
    """The bound on the records of a transaction. One per worker."""

    def __init__(self, settings: EngineSettings) -> None:
        """Create it without a bound."""
        self._aborts_max = settings.record_aborts_max
        self._full_size = settings.commit_records_max
        self._size: int | None = None
        self._suspects: dict[Place, int] = {}
        self._probed: Place | None = None

    @property
    def records_max(self) -> int | None:
        """How many records a transaction may hold; None without such a bound."""
        return self._size

    @property
    def has_suspects(self) -> bool:
        """Whether `is_rejected` may be true of any record."""
        return bool(self._suspects)

    @property
    def needs_probe(self) -> bool:
        """Whether the next transaction must hold no input."""
        return self._probed is not None

    def is_rejected(self, record: Received) -> bool:
        """Return whether the record was aborted alone too often."""
        return self._suspects.get(_place(record), 0) >= self._aborts_max

    def aborted(self, count: int, last: Received | None) -> None:
        """Note an abort.

        Args:
            count: how many records the transaction held; 0 for a probe.
            last: the latest of them.
        """
        self._probed = None
        if count == 0 or last is None:
            return
        self._size = max(1, count // 2)
        if count == 1:
            if len(self._suspects) >= SUSPECTS_MAX:
                self._suspects.clear()
            self._probed = _place(last)

    def probed(self) -> None:
        """Note that a transaction without input was committed: the abort before it counts."""
        if self._probed is not None:
            self._suspects[self._probed] = self._suspects.get(self._probed, 0) + 1
        self._probed = None

    def committed(self, count: int, last: Received | None) -> None:
        """Note a commit: transactions may become larger again once no record is suspected."""
        if count == 0 or self._size is None:
            return
        if last is not None and self._suspects:
            self._suspects.pop(_place(last), None)
        if not self._suspects:
            self._size = 2 * self._size if 2 * self._size < self._full_size else None

    def forget(self) -> None:
        """Forget the suspects: their partitions are somebody else's."""
        self._suspects.clear()
        self._probed = None


def _place(record: Received) -> Place:
    return record.topic, record.partition, record.offset
