"""Watches for open transactions that hold up a gate's input: logs each, and raises an alert."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import msgspec

from streams.model.alert import Alert
from streams.model.analytics import TRANSACTION_STUCK, made_alert
from streams.model.proof import derived_uuid
from streams.model.types import Header
from streams.operations.alerts import send_alerts
from streams.operations.open_transactions import StableOffsets, Stuck, writer_texts
from streams.ports import Clock, LogError, Reader, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import PublishError
from streams.topology import GATE

_log = logging.getLogger(__name__)

CHECK_MS = 1_000
ANALYTIC = TRANSACTION_STUCK
SOURCE = "stoplog/gate"
_MS_PER_S = 1_000


class TransactionWatch:
    """Asks for the last stable offsets of a gate's input now and then, in a thread of its own."""

    def __init__(self, transport: Transport, clock: Clock, serving: Callable[[], list[int]], prefix: str = "") -> None:
        """Create it.

        Args:
            transport: the log, and how alerts are written.
            clock: how long an offset stands still.
            serving: returns the partitions that the gate serves; thread-safe.
            prefix: the prefix of the deployment's topics, for the advice.
        """
        self._transport = transport
        self._clock = clock
        self._serving = serving
        self._prefix = prefix
        self._offsets = StableOffsets()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stoplog transaction watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread. Blocks."""
        self._stopping.set()
        self._thread.join()

    def check(self, reader: Reader) -> list[Stuck]:
        """Ask once, and report what is stuck.

        Raises:
            LogError: the log did not answer.
        """
        partitions = [TopicPartition(topic.name, 0) for topic in GATE.broadcast]
        partitions += [TopicPartition(topic.name, number) for topic in GATE.inputs for number in self._serving()]
        ends = reader.end_offsets(partitions)
        stable = reader.stable_offsets(partitions)
        now_ms = self._clock.monotonic_ms()
        found = self._offsets.observe(ends, stable, now_ms)
        for stuck, writer in zip(found, writer_texts(reader, found), strict=True):
            text = f"{stuck.text(now_ms)}; {writer}"
            _log.error("%s; %s", text, stuck.advice(self._prefix))
            send_alerts(self._transport, [self._alert(stuck, text, now_ms)])
        return found

    def _run(self) -> None:
        reader: Reader | None = None
        has_failed = False
        while not self._stopping.wait(CHECK_MS / _MS_PER_S):
            try:
                if reader is None:
                    reader = self._transport.reader()
                self.check(reader)
                has_failed = False
            except (LogError, PublishError) as error:
                # The gate itself reports for as long as the log does not answer.
                if not has_failed:
                    _log.warning("open transactions can't be looked for: %s", error)
                has_failed = True
        if reader is not None:
            with closing(reader):
                pass

    def _alert(self, stuck: Stuck, text: str, now_ms: int) -> Alert:
        topic, number = stuck.partition
        wall_ms = self._transport.now_ms()
        alert_id = derived_uuid("stuck", topic, str(number), str(stuck.stable_offset))
        alert = made_alert(
            ANALYTIC,
            Header(id=alert_id, source=SOURCE, time=wall_ms, tenant_uid=""),
            title=f"an open transaction holds up `{topic}` partition {number}",
            desc=text,
            dedup_key=json.dumps([ANALYTIC, topic, number]),
            response=(stuck.advice(self._prefix),),
        )
        return msgspec.structs.replace(alert, first_seen_time=wall_ms - (now_ms - stuck.since_ms))


@contextmanager
def watching_transactions(watch: TransactionWatch) -> Iterator[None]:
    """Run a watch for as long as the context."""
    watch.start()
    try:
        yield
    finally:
        watch.stop()
