"""Read single verdicts by their ids, for a host that proposes calls and runs them in one process.

Agents are told outcomes, which say nothing of the call. Whoever runs a call needs its verdict, what proves it, and an
executor's right to read the verdict topic.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from streams.audit.receipts import Receipt
from streams.audit.seals import SealedBatch, SealError
from streams.model.audit import Seal
from streams.model.errors import RecordError
from streams.model.keys import partition_for
from streams.model.topics import VERDICT
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.ports import LogError, Received, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import VerdictReadError
from streams.sdk.executor.seal_checks import is_seal

READ_TIMEOUT_MS = 30_000
RECEIPTS_MAX = 1_000
"""Verdicts of the session that are kept until they, or their receipts, are asked for; the oldest are dropped first."""

_POLL_RECORDS_MAX = 500
_POLL_MS = 50


class VerdictReader:
    """Reads the verdicts of one session, from the moment that it is opened. Not thread-safe."""

    def __init__(self, transport: Transport, key: bytes) -> None:
        """Open the reader. Blocks until the end of the session's verdict partition is known.

        Args:
            transport: the log.
            key: of the session (`Agent.key`).

        Raises:
            VerdictReadError: the topic can't be read.
        """
        self._transport = transport
        self._key = key
        self._found: dict[str, Verdict] = {}
        self._unsealed: dict[str, Received] = {}
        self._receipts: dict[str, Receipt] = {}
        try:
            place = TopicPartition(VERDICT.name, partition_for(key, transport.partitions(VERDICT.name)))
            self._reader = transport.reader()
            self._reader.assign(self._reader.end_offsets([place]))
        except LogError as error:
            raise VerdictReadError(f"verdicts can't be read: {error}") from error

    def read(self, verdict_id: str, timeout_ms: int = READ_TIMEOUT_MS) -> Verdict:
        """Return the verdict of an outcome that the session's agent was told (`IntentOutcome.verdict_id`).

        Raises:
            VerdictReadError: it did not come in time, or the topic can't be read.
        """
        self._wait(lambda: verdict_id in self._found, timeout_ms, f"verdict `{verdict_id}`")
        return self._found.pop(verdict_id)

    def receipt(self, verdict_id: str, timeout_ms: int = READ_TIMEOUT_MS) -> Receipt:
        """Return what proves the verdict to an executor (`Executor.execute`), which checks it.

        Raises:
            VerdictReadError: it did not come in time, or the topic can't be read.
        """
        self._wait(lambda: verdict_id in self._receipts, timeout_ms, f"a seal of verdict `{verdict_id}`")
        return self._receipts.pop(verdict_id)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait(self, is_there: Callable[[], bool], timeout_ms: int, what: str) -> None:
        deadline_s = time.monotonic() + timeout_ms / 1000
        while not is_there():
            if time.monotonic() >= deadline_s:
                raise VerdictReadError(f"{what} is not on `{VERDICT.name}` after {timeout_ms} ms")
            self._poll()

    def _poll(self) -> None:
        try:
            records = self._reader.poll(_POLL_RECORDS_MAX, _POLL_MS)
        except LogError as error:
            raise VerdictReadError(f"verdicts can't be read: {error}") from error
        for received in records:
            if is_seal(received):
                self._take_seal(received)
            elif received.key == self._key:
                verdict = self._decoded(received)
                if isinstance(verdict, Verdict):
                    self._found[verdict.verdict_id] = verdict
                    self._unsealed[verdict.verdict_id] = received
                    # A host that asks for receipts alone never takes them.
                    _drop_oldest(self._found)
                    _drop_oldest(self._unsealed)

    def _take_seal(self, received: Received) -> None:
        """Make the receipts of the verdicts that a seal covers. Whether it counts is the executor's to check."""
        seal = self._decoded(received) if self._unsealed else None
        if not isinstance(seal, Seal):
            return
        try:
            batch = SealedBatch.read(seal)
        except SealError:
            return  # not a gate's
        for verdict_id, found in list(self._unsealed.items()):
            try:
                self._receipts[verdict_id] = Receipt.of(found.value or b"", found.key, batch)
            except SealError:
                continue  # of another batch
            del self._unsealed[verdict_id]
            _drop_oldest(self._receipts)

    def _decoded(self, received: Received) -> Record | None:
        """Return the record; None if it can't be read, so that it is not the one that is looked for."""
        try:
            return self._transport.codec.decode(received.topic, received.value, received.headers)
        except RecordError:
            return None


def _drop_oldest(kept: dict[str, Verdict] | dict[str, Received] | dict[str, Receipt]) -> None:
    while len(kept) > RECEIPTS_MAX:
        del kept[next(iter(kept))]
