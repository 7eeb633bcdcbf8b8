"""Use up tokens that can be used once, for all token services of a log.

The idea: a service that wants to use up the tokens of a request appends a claim to a topic with one partition, and
reads the topic until it meets its own claim. By then it has read every earlier claim. A claim counts if none of its
names is in an earlier claim that counts and has not expired. All services read the same records in the same order, so
of two claims on one token exactly one counts, and both services know which. Nobody has to be elected, and a service
that was away reads on where it stopped.

A request waits for one write and one read of the log. Requests that claim at the same time share both, and the change
of the file. If the claim does not come back in time, the request is refused. It may still be on the log, so its tokens
may be used up: the client sends new ones.

Rejected (docs/adr/0052-used-tokens-on-the-log.md): a service that owns a token by its partition, transactions, and a
store beside the log. Also rejected: asking for the topic's end and reading up to it before each claim (two services
could both find nothing, and then both write).
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.model.errors import RecordError
from streams.model.token_reasons import TokenReason
from streams.model.token_use import TokenUse, is_whole
from streams.model.topics import TOKEN_USED
from streams.model.types import Header
from streams.ports import FatalLogError, LogError, Outgoing, Publisher, Reader, Received, TopicPartition
from streams.sdk.connection.single_records import outgoing
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy
from streams.services.sts.errors import RefusedError, StsError
from streams.services.sts.store import Claim, Place, StsStore

CLAIM_TIMEOUT_MS = 6_000
"""How long a request waits for its claim: longer than a publisher needs to find out that it must be replaced."""

CLOCKS_APART_MS = 300_000
"""How far the clock of a service may be off the brokers': names count as used for that much longer than they live."""

KEPT_MS = TOKEN_USED.retention_ms or 0
"""A name is forgotten no later than its record, so that a new service knows as much as an old one."""

STALE_AFTER_MS = 5_000
CONFIRM_EVERY_MS = 1_000
POLL_MS = 100
POLL_RECORDS_MAX = 1_000
RETRY_PAUSE_MS = 200
CLOSE_TIMEOUT_S = 30.0

_PLACE = TopicPartition(TOKEN_USED.name, 0)
_log = logging.getLogger(__name__)


class _Waiting:
    """A request that waits for its claim; `won` is set once the claim has been read."""

    __slots__ = ("won",)

    def __init__(self) -> None:
        self.won: bool | None = None


class _Goal(NamedTuple):
    """The end of the topic, and when it was asked for: by the wall clock, and by the one that never goes back."""

    end_offset: int
    asked_ms: int
    monotonic_ms: int


class UsedTokens:
    """What was used, at this service and at all others. Thread-safe; a thread of its own follows the topic."""

    def __init__(
        self,
        transport: Transport,
        store: StsStore,
        *,
        service: str,
        issuer: str,
        tenant_uid: str,
        entropy: Entropy,
        report: Callable[[str], None],
    ) -> None:
        """Prepare, without reading anything.

        Args:
            store: remembers what was read, and how far. No other service has it.
            service: the name of the service in its claims.
            issuer: the source of its records.
            tenant_uid: the tenant of its records.
            report: records that a claim could not be read. It must not block.
        """
        self._transport = transport
        self._store = store
        self._service = service
        self._issuer = issuer
        self._tenant_uid = tenant_uid
        self._entropy = entropy
        self._report = report
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._confirmed_ms: int | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._publisher_lock = threading.Lock()
        self._publisher: Publisher | None = None
        self._flushing = threading.Lock()

    def start(self) -> None:
        """Start to follow the topic. Until everything on it was read, requests wait, and are refused after a time.

        Raises:
            LogError: the topic does not exist, or the log did not answer.
            StsError: the topic has more than one partition, so claims would have no order.
        """
        count = self._transport.partitions(TOKEN_USED.name)
        if count != 1:
            raise StsError(
                f"`{TOKEN_USED.name}` has {count} partitions instead of 1, so claims on tokens have no order: stop the "
                "token services, delete the topic, and run `stoplog topics apply`"
            )
        self._thread = threading.Thread(target=self._run, name="stoplog-used-tokens", daemon=True)
        self._thread.start()

    def is_stale(self) -> bool:
        """Return whether the last confirmation that everything was read is too old."""
        with self._changed:
            return self._is_stale()

    def use_once(self, names: Sequence[bytes], until_ms: int) -> bool:
        """Mark tokens as used, for all services: all of them, or none if one was used before.

        Args:
            names: the digests of the tokens.
            until_ms: until when they can be used.

        Raises:
            RefusedError: it is not known whether they were used before; now they may be.
        """
        deadline_ms = self._entropy.monotonic_ms() + CLAIM_TIMEOUT_MS
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or not self._is_stale(), self._left_s(deadline_ms)):
                raise _unavailable("the tokens that were used are not known")
        claim_id = self._entropy.uuid(self._transport.now_ms())
        waiting = _Waiting()
        with self._changed:
            self._waiting[claim_id] = waiting
        try:
            self._write(claim_id, names, until_ms, deadline_ms)
            with self._changed:
                self._changed.wait_for(lambda: self._closed or waiting.won is not None, self._left_s(deadline_ms))
        finally:
            with self._changed:
                del self._waiting[claim_id]
        if waiting.won is None:
            raise _unavailable("the log has not confirmed in time that these tokens are used for the first time")
        return waiting.won

    def close(self) -> None:
        """Stop following the topic. Requests that wait are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S)
        self._drop_publisher()

    def _is_stale(self) -> bool:
        confirmed_ms = self._confirmed_ms
        return confirmed_ms is None or self._entropy.monotonic_ms() - confirmed_ms > STALE_AFTER_MS

    def _left_s(self, deadline_ms: int) -> float:
        return max(0, deadline_ms - self._entropy.monotonic_ms()) / 1_000

    # -- writing ------------------------------------------------------------------------------------------------------

    def _write(self, claim_id: str, names: Sequence[bytes], until_ms: int, deadline_ms: int) -> None:
        """Append a claim. Whether it is on the log is known once it has been read, and not earlier."""
        header = Header(id=claim_id, source=self._issuer, time=self._transport.now_ms(), tenant_uid=self._tenant_uid)
        claim = TokenUse(header=header, service=self._service, names=tuple(names), until=until_ms + CLOCKS_APART_MS)
        try:
            record = outgoing(self._transport, TOKEN_USED, claim_id.encode(), claim, header)
            self._publish(record, deadline_ms)
        except LogError as error:
            if isinstance(error, FatalLogError):
                self._drop_publisher()
            _log.warning("a claim on tokens was not written: %s", error)
            raise _unavailable("the log can't be written") from None

    def _publish(self, record: Outgoing, deadline_ms: int) -> None:
        with self._publisher_lock:
            if self._publisher is None:
                self._publisher = self._transport.open_publisher()
            publisher = self._publisher
        publisher.publish(record)
        # One thread makes the publisher send at once; what others publish meanwhile goes along.
        if self._flushing.acquire(blocking=False):
            try:
                publisher.flush(int(self._left_s(deadline_ms) * 1_000))
            finally:
                self._flushing.release()

    def _drop_publisher(self) -> None:
        with self._publisher_lock:
            publisher, self._publisher = self._publisher, None
        if publisher is None:
            return
        try:
            publisher.close()
        except LogError as error:
            _log.warning("closing the publisher of claims: %s", error)

    # -- the following thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        reader: Reader | None = None
        while not self._closed:
            try:
                reader = self._transport.reader()
                self._follow(reader)
            except (LogError, RefusedError) as error:
                _log.warning("following `%s` failed, trying again: %s", TOKEN_USED.name, error)
            except Exception:
                # Requests are refused until it works again.
                _log.exception("following `%s` failed, trying again", TOKEN_USED.name)
            finally:
                _close(reader)
                reader = None
            with self._changed:
                self._changed.wait_for(lambda: self._closed, RETRY_PAUSE_MS / 1_000)

    def _follow(self, reader: Reader) -> None:
        """Read on from where the file stops, until this is closed."""
        last = self._store.place()
        reader.assign({_PLACE: 0 if last is None else last.offset})
        goal: _Goal | None = None
        while not self._closed:
            goal = goal or self._next_goal(reader)
            found = reader.poll(POLL_RECORDS_MAX, POLL_MS)
            if last is not None and found and _place_of(found[0]) == last:
                # The record that was read last: the topic is the one that the file knows.
                found, last = found[1:], None
            elif last is not None and (found or (goal is not None and goal.end_offset <= last.offset)):
                _log.info("offset %d of `%s` is gone, so all of it is read", last.offset, TOKEN_USED.name)
                reader.assign({_PLACE: 0})
                last = goal = None
                continue
            if found:
                self._take_in(found)
            if goal is not None and reader.position(_PLACE) >= goal.end_offset:
                self._confirm(goal)
                goal = None

    def _next_goal(self, reader: Reader) -> _Goal | None:
        now_ms, monotonic_ms = self._transport.now_ms(), self._entropy.monotonic_ms()
        if self._confirmed_ms is not None and monotonic_ms - self._confirmed_ms < CONFIRM_EVERY_MS:
            return None
        # What was appended before the question is below the answer: so it counts as of the question.
        return _Goal(reader.end_offsets([_PLACE])[_PLACE], now_ms, monotonic_ms)

    def _confirm(self, goal: _Goal) -> None:
        self._store.read_to(goal.asked_ms)
        with self._changed:
            self._confirmed_ms = goal.monotonic_ms
            self._changed.notify_all()

    def _take_in(self, found: Sequence[Received]) -> None:
        """Apply records, and tell the requests that wait for them."""
        claims = [(claim, received.timestamp_ms) for received in found if (claim := self._read(received)) is not None]
        rows = [
            Claim(claim.names, min(claim.until, appended_ms + KEPT_MS), appended_ms) for claim, appended_ms in claims
        ]
        won = self._store.take_in(rows, _place_of(found[-1]))
        with self._changed:
            for (claim, _), counts in zip(claims, won, strict=True):
                waiting = self._waiting.get(claim.header.id)
                # A record can be stored twice: the first one counts.
                if waiting is not None and waiting.won is None:
                    waiting.won = counts
            self._changed.notify_all()

    def _read(self, received: Received) -> TokenUse | None:
        try:
            record = self._transport.codec.decode(received.topic, received.value, received.headers)
            fault = "it does not claim a digest, or too many"
        except RecordError as error:
            record, fault = None, str(error)
        if isinstance(record, TokenUse) and is_whole(record):
            return record
        text = f"record {received.offset} of {TOKEN_USED.name} is skipped: {fault}"
        _log.warning("%s", text)
        self._report(text)
        return None


def _place_of(received: Received) -> Place:
    return Place(received.offset, hashlib.sha256(received.value or b"").digest())


def _unavailable(text: str) -> RefusedError:
    return RefusedError(TokenReason.LOG_UNAVAILABLE, f"{text}; retry with a new token", retry_after_ms=1_000)


def _close(reader: Reader | None) -> None:
    if reader is None:
        return
    try:
        reader.close()
    except LogError as error:
        _log.warning("a reader of `%s` did not close: %s", TOKEN_USED.name, error)
