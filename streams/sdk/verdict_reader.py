"""Read single verdicts by their ids, for a host that proposes calls and runs them in one process.

Agents are told outcomes, which say nothing of the call. Whoever runs a call needs its verdict, and an executor's right
to read the verdict topic.
"""

from __future__ import annotations

import time
from typing import Self

from streams.model.errors import RecordError
from streams.model.keys import partition_for
from streams.model.topics import VERDICT
from streams.model.verdict import Verdict
from streams.ports import LogError, TopicPartition
from streams.sdk.errors import VerdictReadError
from streams.sdk.transport import Transport

READ_TIMEOUT_MS = 30_000
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
        deadline_s = time.monotonic() + timeout_ms / 1000
        while verdict_id not in self._found:
            if time.monotonic() >= deadline_s:
                raise VerdictReadError(f"verdict `{verdict_id}` is not on `{VERDICT.name}` after {timeout_ms} ms")
            self._poll()
        return self._found.pop(verdict_id)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _poll(self) -> None:
        try:
            records = self._reader.poll(_POLL_RECORDS_MAX, _POLL_MS)
        except LogError as error:
            raise VerdictReadError(f"verdicts can't be read: {error}") from error
        for received in records:
            if received.key != self._key:
                continue
            try:
                verdict = self._transport.codec.decode(received.topic, received.value, received.headers)
            except RecordError:
                continue  # not a verdict, so not the one that is looked for
            if isinstance(verdict, Verdict):
                self._found[verdict.verdict_id] = verdict
