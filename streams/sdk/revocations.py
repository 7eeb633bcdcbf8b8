"""What has been taken back, as an executor knows it: read whole before the first call, then followed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from streams.model.errors import RecordError
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import Call, RevocationSet, is_key_of, named_by
from streams.model.topics import REVOCATION
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import ExecutorError
from streams.sdk.transport import Transport

STALE_AFTER_MS = 5_000
"""The age from which the last confirmation that everything was read no longer counts."""

CONFIRM_EVERY_MS = 500
POLL_MS = 100
POLL_RECORDS_MAX = 1_000
START_TIMEOUT_MS = 30_000
CATCH_UP_MS = 1_000
RETRY_PAUSE_MS = 200

STOPS_KEPT_MAX = 1_000
"""Stops of which is remembered how soon they were in force here."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stop:
    """Something was taken back while this executor ran; from `latency_ms` after its record's append on, by the broker's
    clock and this machine's, nothing of it runs here any more."""

    kind: RevocationKind
    target: str
    offset: int
    latency_ms: int


class RevocationWatch:
    """Follows the revocation topic in a thread of its own. Thread-safe.

    It confirms again and again that it has read to the end. When it can't, it says so (`is_stale`), and nothing may
    run: not knowing what was taken back is no better than its having been.
    """

    def __init__(
        self, transport: Transport, *, stale_after_ms: int = STALE_AFTER_MS, entropy: Entropy = SYSTEM
    ) -> None:
        self._transport = transport
        self._stale_after_ms = stale_after_ms
        self._entropy = entropy
        self._changed = threading.Condition()
        self._set = RevocationSet()
        self._position = 0
        self._confirmed_ms: int | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[], None]] = []
        self._stops: deque[Stop] = deque(maxlen=STOPS_KEPT_MAX)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, in the following thread, whenever something more was taken back. It must be quick."""
        with self._changed:
            self._listeners = [*self._listeners, listener]

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Undo `listen`."""
        with self._changed:
            self._listeners = [other for other in self._listeners if other != listener]

    def stops(self) -> list[Stop]:
        """What was taken back since `start`, oldest first, up to `STOPS_KEPT_MAX`."""
        with self._changed:
            return list(self._stops)

    def start(self, timeout_ms: int = START_TIMEOUT_MS) -> None:
        """Begin to follow, and wait until everything that is there has been read. A no-op once it follows.

        Raises:
            ExecutorError: it could not be read to its end in time.
        """
        with self._changed:
            if self._closed:
                raise ExecutorError("the revocation watch is closed: make a new one")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoplog-revocations", daemon=True)
                self._thread.start()
            if not self._changed.wait_for(lambda: self._confirmed_ms is not None, timeout_ms / 1000):
                text = f"`{REVOCATION.name}` could not be read to its end in {timeout_ms} ms: is the log reachable?"
                raise ExecutorError(text)

    def is_stale(self) -> bool:
        """Whether it can't tell that it knows everything."""
        with self._changed:
            return self._is_stale()

    def confirm(self, timeout_ms: int) -> bool:
        """Whether everything that was on the topic when this was called has been read; waits for it."""
        with self._changed:
            asked_ms = self._entropy.monotonic_ms()
            # Later than the question, not the same millisecond: the answer may have come before the question then.
            return self._changed.wait_for(
                lambda: self._confirmed_ms is not None and self._confirmed_ms > asked_ms, timeout_ms / 1000
            )

    def caught_up(self, offset: int, timeout_ms: int = CATCH_UP_MS) -> bool:
        """Whether everything below `offset` has been read; waits for it up to `timeout_ms`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._position >= offset, timeout_ms / 1000)

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Why the call may not run now, or None."""
        with self._changed:
            return self._set.reason_against(call, now_ms)

    def stopped_until(self, kind: RevocationKind, target: str) -> int | None:
        """See `RevocationSet.stopped_until`."""
        with self._changed:
            return self._set.stopped_until(kind, target)

    def close(self) -> None:
        """End the following."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(START_TIMEOUT_MS / 1000)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _is_stale(self) -> bool:
        confirmed_ms = self._confirmed_ms
        return confirmed_ms is None or self._entropy.monotonic_ms() - confirmed_ms > self._stale_after_ms

    # -- the following thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        reader: Reader | None = None
        try:
            while not self._closed:
                try:
                    if reader is None:
                        reader = self._transport.reader()
                        reader.assign({_PLACE: self._position})
                    self._follow(reader)
                except LogError as error:
                    _log.warning("following `%s` failed, trying again: %s", REVOCATION.name, error)
                    _close(reader)
                    reader = None
                    self._pause()
        except Exception:
            # The confirmations end here, so the watch turns stale and nothing runs any more.
            _log.exception("the thread that follows `%s` has ended", REVOCATION.name)
        finally:
            _close(reader)

    def _follow(self, reader: Reader) -> None:
        """Read until the watch is closed."""
        asked_ms: int | None = None
        while not self._closed:
            stops = [stop for received in reader.poll(POLL_RECORDS_MAX, POLL_MS) if (stop := self._take_in(received))]
            if stops:
                self._tell(stops)
            position = reader.position(_PLACE)
            now_ms = self._entropy.monotonic_ms()
            confirmed_ms = None
            if asked_ms is None or self._confirmed_ms is None or now_ms - asked_ms >= CONFIRM_EVERY_MS:
                asked_ms = now_ms
                # What was appended before the question is below the answer: so it counts as of the question.
                if position >= reader.end_offsets([_PLACE])[_PLACE]:
                    confirmed_ms = asked_ms
            with self._changed:
                self._set.forget_past(self._transport.now_ms())
                self._position = position
                self._confirmed_ms = confirmed_ms if confirmed_ms is not None else self._confirmed_ms
                self._changed.notify_all()

    def _tell(self, stops: list[Stop]) -> None:
        """Have what waits and what runs looked at. Of stops that came together the slowest one is logged for all."""
        with self._changed:
            self._stops.extend(stops)
        slowest = max(stops, key=lambda stop: stop.latency_ms)
        fields = {"event": "stop_in_force", "count": len(stops), **asdict(slowest), "kind": slowest.kind.value}
        _log.info(
            "stopped %s `%s`: in force here %d ms after its record (%d stops)",
            slowest.kind.value.lower(),
            slowest.target,
            slowest.latency_ms,
            len(stops),
            extra={"fields": fields},
        )
        for listener in self._listeners:
            try:
                listener()
            except Exception:
                # Whatever it is that can't follow: nothing that begins from now on runs.
                _log.exception("what waits or runs could not be stopped early")

    def _take_in(self, received: Received) -> Stop | None:
        """Take one record in; what it stops, if it does."""
        key = received.key or b""
        if received.value is None:
            with self._changed:
                self._set.forget(key)
            return None
        try:
            record = self._transport.codec.decode(received.topic, received.value, received.headers)
        except RecordError as error:
            _log.warning("revocation %d can't be read: %s", received.offset, error)
            record = None
        if isinstance(record, Revocation):
            if record.state is RevocationState.RELEASED and not is_key_of(key, record):
                _log.warning("release %d is ignored: its key is not the one of what it releases", received.offset)
                return None
            kind, target = record.kind, record.id
        elif (named := named_by(key)) is None:
            # The key says what a revocation takes back; one that names nothing takes nothing back.
            _log.warning("revocation %d is ignored: its key `%r` names nothing", received.offset, key[:64])
            return None
        else:
            kind, target = named
        with self._changed:
            if isinstance(record, Revocation):
                self._set.apply(record, key)
            else:
                self._set.stop(key)
            self._set.next_offset = received.offset + 1
        is_release = isinstance(record, Revocation) and record.state is RevocationState.RELEASED
        if is_release or self._confirmed_ms is None:
            # What stood there before the start is no news: nothing runs before it is known.
            return None
        latency_ms = max(0, self._transport.now_ms() - received.timestamp_ms)
        return Stop(kind, target, received.offset, latency_ms)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, RETRY_PAUSE_MS / 1000)


_PLACE = TopicPartition(REVOCATION.name, 0)


def _close(reader: Reader | None) -> None:
    if reader is None:
        return
    try:
        reader.close()
    except LogError as error:
        _log.warning("a reader of `%s` did not close: %s", REVOCATION.name, error)
