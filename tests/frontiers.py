"""Whether a sealed batch follows from the log before it, for tests that don't take the word of `audit verify`."""

from __future__ import annotations

from streams.audit.seals import SealedBatch


def extends_its_frontier(batch: SealedBatch) -> bool:
    """Return whether the head is that of the log before the batch with the batch behind it."""
    return batch.before.appended(batch.leaves).root() == batch.head.root
