"""The calls that a loop over verdicts has under way, and how far each partition is done."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.model.verdict import Verdict
from streams.ports import Outgoing, TopicPartition
from streams.sdk.executor.seal_checks import PartitionSeals
from streams.sdk.executor.types import ToolOutcome
from streams.sdk.executor.uses import Use


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A call. Whoever acquires `begun` first handles it: a worker, or the loop if the call was revoked."""

    place: TopicPartition
    offset: int
    generation: int
    verdict: Verdict
    key: bytes | None
    size_bytes: int
    begun: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of a call: the records to write about it, its use, and its result or the error that ended it.

    Attributes:
        had_turn: whether the next call of its session waits for it.
        left: whether it was left to the next member that reads its partition. Its offset must not be committed.
    """

    job: Job
    records: Sequence[Outgoing] = ()
    use: Use | None = None
    outcome: ToolOutcome | None = None
    error: Exception | None = None
    had_turn: bool = True
    left: bool = False


@dataclass(slots=True)
class Progress:
    """How far an assigned partition has been read and processed; `open` has the offsets of own calls not yet done.

    Attributes:
        reported: the offset below which every own call has been reported, or needs no report.
        seals: own calls that wait for their seals; None if they need none.
    """

    generation: int
    fresh: bool
    committed: int | None
    seen: int | None = None
    reported: int | None = None
    open: set[int] = field(default_factory=set)
    seals: PartitionSeals | None = None

    def done_up_to(self) -> int | None:
        """Return the offset below which everything is done."""
        return min(self.open) if self.open else self.seen
