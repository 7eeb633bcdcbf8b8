"""Follow the revocation topic, for executors: read it to its end before the first call, then keep reading.

The idea: an executor must not run a call that was revoked, so it must know that it has read everything. A thread reads
the topic and regularly compares its position with the topic's end. The comparison confirms that everything that was
there when the end was asked for is known. If no comparison succeeds for `STALE_AFTER_MS`, the watch counts as stale and
nothing runs: not knowing what was revoked is as bad as a revocation.

Rejected: asking the broker before each call (a round trip for each call, and no calls while the broker restarts), and
trusting a quiet topic (a reader that is cut off also hears nothing).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from streams.model.errors import RecordError
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call, is_key_of, named_by
from streams.model.topics import REVOCATION
from streams.model.types import Record
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import ExecutorError
from streams.sdk.started import Started

STALE_AFTER_MS = 5_000
"""A confirmation that everything was read counts for this long."""

CONFIRM_EVERY_MS = 500
POLL_MS = 100
POLL_RECORDS_MAX = 1_000
START_TIMEOUT_MS = 30_000
CATCH_UP_MS = 1_000
RETRY_PAUSE_MS = 200

STOPS_KEPT_MAX = 1_000
"""How many stops are kept with their latency."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stop:
    """A revocation that arrived while this executor ran.

    Attributes:
        offset: of its record.
        latency_ms: from the record's append (broker's clock) until it was in force here (this machine's clock).
    """

    kind: RevocationKind
    target: str
    offset: int
    latency_ms: int


class RevocationWatch(Started):
    """Follows the revocation topic in a thread of its own. Thread-safe.

    It confirms regularly that it has read to the end. While it cannot, it is stale (`is_stale`), and nothing may run.
    """

    def __init__(
        self, transport: Transport, *, stale_after_ms: int = STALE_AFTER_MS, entropy: Entropy = SYSTEM
    ) -> None:
        self._transport = transport
        self._stale_after_ms = stale_after_ms
        self._entropy = entropy
        self._changed = threading.Condition()
        self._set = RevocationSet(transport.releasers)
        self._position = 0
        self._confirmed_ms: int | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[], None]] = []
        self._stops: deque[Stop] = deque(maxlen=STOPS_KEPT_MAX)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever something more was revoked, in the thread that follows the topic. It must be
        quick."""
        with self._changed:
            self._listeners = [*self._listeners, listener]

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Undo `listen`."""
        with self._changed:
            self._listeners = [other for other in self._listeners if other != listener]

    def stops(self) -> list[Stop]:
        """Return the revocations since `start`, oldest first, at most `STOPS_KEPT_MAX`."""
        with self._changed:
            return list(self._stops)

    def start(self, timeout_ms: int = START_TIMEOUT_MS) -> None:
        """Start to follow the topic, and wait until everything on it was read. Does nothing if it already follows.

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
        """Return whether the last confirmation that everything was read is too old."""
        with self._changed:
            return self._is_stale()

    def confirm(self, timeout_ms: int) -> bool:
        """Wait until everything that was on the topic at the call has been read; return whether that happened in
        time."""
        with self._changed:
            asked_ms = self._entropy.monotonic_ms()
            # Later than the question, not the same millisecond: the answer may have come before the question then.
            return self._changed.wait_for(
                lambda: self._confirmed_ms is not None and self._confirmed_ms > asked_ms, timeout_ms / 1000
            )

    @property
    def position(self) -> int:
        """The next offset of the topic to be read."""
        return self._position

    def caught_up(self, offset: int, timeout_ms: int = CATCH_UP_MS) -> bool:
        """Wait up to `timeout_ms` until everything below `offset` was read; return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._position >= offset, timeout_ms / 1000)

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Return why the call may not run now, or None."""
        with self._changed:
            return self._set.reason_against(call, now_ms)

    def stopped_until(self, kind: RevocationKind, target: str) -> int | None:
        """See `RevocationSet.stopped_until`."""
        with self._changed:
            return self._set.stopped_until(kind, target)

    def close(self) -> None:
        """Stop following the topic."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(START_TIMEOUT_MS / 1000)

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
        """Call the listeners. The log names the slowest of stops that arrived together."""
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
                # Even if a listener fails, nothing that starts from now on runs.
                _log.exception("calls that wait or run could not be stopped early")

    def _take_in(self, received: Received) -> Stop | None:
        """Apply one record; return the stop that it causes, if any."""
        key = received.key or b""
        record = self._read(received)
        if isinstance(record, Revocation):
            is_release = record.state is RevocationState.RELEASED
            if is_release and not is_key_of(key, record):
                _log.warning("release %d is ignored: its key does not belong to what it releases", received.offset)
                return None
            kind, target = record.kind, record.id
        else:
            is_release = received.value is None
            named = named_by(key)
            if named is None:
                # The key says what a revocation stops; a key that names nothing stops nothing.
                _log.warning("revocation %d is ignored: its key `%r` names nothing", received.offset, key[:64])
                return None
            kind, target = named
        try:
            with self._changed:
                self._set.next_offset = received.offset + 1
                self._apply(received, key, record)
        except RecordError as error:
            # The gates report it: with an alert, an audit record and a dead letter.
            _log.warning("revocation %d is ignored: %s", received.offset, error)
            return None
        if is_release or self._confirmed_ms is None:
            # What was there before the start has no latency: nothing runs before it is known.
            return None
        latency_ms = max(0, self._transport.now_ms() - received.timestamp_ms)
        return Stop(kind, target, received.offset, latency_ms)

    def _read(self, received: Received) -> Record | None:
        if received.value is None:
            return None
        try:
            return self._transport.codec.decode(received.topic, received.value, received.headers)
        except RecordError as error:
            _log.warning("revocation %d can't be read: %s", received.offset, error)
            return None

    def _apply(self, received: Received, key: bytes, record: Record | None) -> None:
        """Apply one record to the set.

        Raises:
            RecordError: it would lift a stop, and nobody who is entitled has signed it.
        """
        if isinstance(record, Revocation):
            self._set.apply(record, key, received.timestamp_ms)
        elif received.value is None:
            self._set.forget(key, received.timestamp_ms)
        else:
            self._set.stop(key)

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
