"""Wait for outcomes: one thread reads the outcome partitions of all agents of this process."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Protocol

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.outcome import IntentOutcome, intent_proof_digest
from streams.model.topics import OUTCOME
from streams.model.types import Record
from streams.model.verdict import FINAL_OUTCOMES
from streams.ports import Headers, LogError, Reader, Received, TopicPartition
from streams.sdk.errors import OutcomeReadError, ProposalError

WAITING_MAX = 10_000
"""Intents of one transport that may wait for their outcomes at once."""

POLL_RECORDS_MAX = 500
POLL_MS = 50
RETRY_PAUSE_MS = 200
FAILURES_MAX = 10
"""Failures in a row, each with a new reader, before agents that wait get an error."""

WATCH_TIMEOUT_MS = 30_000

_log = logging.getLogger(__name__)


class _Decoder(Protocol):
    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record: ...


class Expected:
    """An outcome that somebody waits for.

    Attributes:
        future: completes with the outcome (the final one if that was asked for), or with a OutcomeReadError.
        interim: the newest outcome that did not complete it.
        foreign_count: outcomes that named the intent but answer another one than was sent; not trusted.
    """

    def __init__(self, intent: Intent, *, wait_final: bool) -> None:
        self.intent = intent
        self.future: Future[IntentOutcome] = Future()
        self.interim: IntentOutcome | None = None
        self.foreign_count = 0
        self._wait_final = wait_final

    def offer(self, outcome: IntentOutcome) -> None:
        """Process an outcome that names this intent."""
        if not answers(outcome, self.intent):
            self.foreign_count += 1
            _log.warning("outcome `%s` does not answer the intent `%s` as sent", outcome.verdict_id, outcome.intent_id)
            return
        if self._wait_final and outcome.outcome not in FINAL_OUTCOMES:
            self.interim = outcome
            return
        try:
            self.future.set_result(outcome)
        except InvalidStateError:
            _log.debug("outcome `%s` came again or too late", outcome.verdict_id)

    def fail(self, error: OutcomeReadError) -> None:
        """Stop waiting without an outcome."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            _log.debug("intent `%s` was answered before the failure", self.intent.intent_id)


def answers(outcome: IntentOutcome, intent: Intent) -> bool:
    """Return whether the outcome answers exactly this intent: its proof covers the call, the subject and the actor."""
    return (
        outcome.intent_id == intent.intent_id
        and outcome.header.tenant_uid == intent.header.tenant_uid
        and outcome.session_id == intent.session_id
        and outcome.intent_proof_digest == intent_proof_digest(intent)
    )


class OutcomeInbox:
    """Reads outcome partitions from their end at `watch`, and passes outcomes to the agents that wait. Thread-safe."""

    def __init__(self, open_reader: Callable[[], Reader], codec: _Decoder) -> None:
        self._open_reader = open_reader
        self._codec = codec
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._requests: deque[Future[None]] = deque()
        self._watch_counts: dict[TopicPartition, int] = {}
        self._expected: dict[str, Expected] = {}
        self._keys: dict[bytes, int] = {}
        self._failure: OutcomeReadError | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        # Below this line: of the reading thread only.
        self._reader: Reader | None = None
        self._positions: dict[TopicPartition, int] = {}

    def watch(self, partition: TopicPartition, timeout_ms: int = WATCH_TIMEOUT_MS) -> None:
        """Read the partition from its present end; returns when that end is known. `unwatch` undoes it.

        Raises:
            OutcomeReadError: it could not be done in time.
        """
        done: Future[None] = Future()
        with self._changed:
            self._refuse_unusable()
            self._watch_counts[partition] = self._watch_counts.get(partition, 0) + 1
            self._requests.append(done)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoplog-outcomes", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            done.result(timeout_ms / 1000)
        except TimeoutError:
            self.unwatch(partition)
            text = (
                f"partition {partition.partition} of `{partition.topic}` can't be read after {timeout_ms} ms: is the "
                "log reachable, and may this agent read the topic?"
            )
            raise OutcomeReadError(text) from None
        except OutcomeReadError:
            self.unwatch(partition)
            raise

    def unwatch(self, partition: TopicPartition) -> None:
        """Count one agent less that needs the partition."""
        with self._changed:
            count = self._watch_counts.get(partition, 0) - 1
            if count > 0:
                self._watch_counts[partition] = count
            else:
                self._watch_counts.pop(partition, None)
            self._changed.notify_all()

    def expect(self, intent: Intent, *, wait_final: bool) -> Expected:
        """Start to wait for the outcome of `intent`. Call it before the intent is published; `forget` undoes it.

        Raises:
            ProposalError: too many intents wait already, or this one does.
            OutcomeReadError: outcomes can't be read.
        """
        key = session_key_of(intent.header.tenant_uid, intent.session_id)
        with self._lock:
            self._refuse_unusable()
            if len(self._expected) >= WAITING_MAX:
                raise ProposalError(f"{WAITING_MAX} intents wait for their outcomes already: propose fewer at once")
            if intent.intent_id in self._expected:
                raise ProposalError(f"intent `{intent.intent_id}` is being waited for already")
            expected = Expected(intent, wait_final=wait_final)
            self._expected[intent.intent_id] = expected
            self._keys[key] = self._keys.get(key, 0) + 1
            return expected

    def forget(self, expected: Expected) -> None:
        """Stop waiting."""
        intent = expected.intent
        key = session_key_of(intent.header.tenant_uid, intent.session_id)
        with self._lock:
            if self._expected.pop(intent.intent_id, None) is None:
                return
            count = self._keys.get(key, 0) - 1
            if count > 0:
                self._keys[key] = count
            else:
                self._keys.pop(key, None)

    def close(self) -> None:
        """Stop reading; agents that still wait get an error."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(WATCH_TIMEOUT_MS / 1000)
        self._fail_all(OutcomeReadError("the transport was closed while outcomes were waited for"))

    def _refuse_unusable(self) -> None:
        if self._closed:
            raise OutcomeReadError("the transport is closed: make a new one")
        if self._failure is not None:
            raise self._failure

    # -- the reading thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures_count = 0
        try:
            while self._wait_for_work():
                try:
                    self._read_once()
                    failures_count = 0
                except LogError as error:
                    failures_count += 1
                    _log.warning("reading outcomes failed, trying again: %s", error)
                    if failures_count >= FAILURES_MAX:
                        self._fail_all(_unreadable(error))
                        failures_count = 0
                    self._drop_reader()
                    self._pause()
        except Exception as error:
            # A bug here must not leave agents waiting for nothing.
            _log.exception("the thread that reads outcomes has ended")
            with self._lock:
                self._failure = _unreadable(error)
            self._fail_all(self._failure)
        finally:
            self._drop_reader()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._requests or self._watch_counts or self._positions)
            return not self._closed

    def _read_once(self) -> None:
        self._serve_requests()
        if not self._positions:
            return
        for received in self._reading().poll(POLL_RECORDS_MAX, POLL_MS):
            self._positions[TopicPartition(received.topic, received.partition)] = received.offset + 1
            self._hand_over(received)

    def _reading(self) -> Reader:
        """Return the reader, assigned to all watched partitions."""
        if self._reader is None:
            self._reader = self._open_reader()
            if self._positions:
                self._reader.assign(self._positions)
        return self._reader

    def _serve_requests(self) -> None:
        """Assign the watched partitions to the reader, then notify the agents that asked for them."""
        with self._lock:
            requests_count = len(self._requests)
            wanted = set(self._watch_counts)
        if wanted != set(self._positions):
            reader = self._reading()
            new = sorted(wanted - set(self._positions))
            ends = reader.end_offsets(new) if new else {}
            positions = {place: self._positions[place] for place in wanted & set(self._positions)} | ends
            reader.assign(positions)
            self._positions = positions
        with self._lock:
            for _ in range(min(requests_count, len(self._requests))):
                self._requests.popleft().set_result(None)

    def _hand_over(self, received: Received) -> None:
        with self._lock:
            if received.key not in self._keys:
                return
        try:
            outcome = self._codec.decode(OUTCOME.name, received.value, received.headers)
        except RecordError as error:
            _log.warning("outcome %d of partition %d can't be read: %s", received.offset, received.partition, error)
            return
        if not isinstance(outcome, IntentOutcome):
            return
        with self._lock:
            expected = self._expected.get(outcome.intent_id)
        if expected is None:
            return
        if received.key != session_key_of(expected.intent.header.tenant_uid, expected.intent.session_id):
            _log.warning("outcome of intent `%s` has the key of another session", outcome.intent_id)
            return
        expected.offer(outcome)

    def _drop_reader(self) -> None:
        """Close the reader; its positions are kept, and the next reader continues from them."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        try:
            reader.close()
        except LogError as error:
            _log.warning("a reader of outcomes did not close: %s", error)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, RETRY_PAUSE_MS / 1000)

    def _fail_all(self, failure: OutcomeReadError) -> None:
        with self._lock:
            waiting = list(self._expected.values())
            requests, self._requests = list(self._requests), deque()
        for expected in waiting:
            expected.fail(failure)
        for done in requests:
            done.set_exception(failure)


def _unreadable(error: Exception) -> OutcomeReadError:
    failure = OutcomeReadError(f"outcomes can't be read: {error}")
    failure.__cause__ = error
    return failure
