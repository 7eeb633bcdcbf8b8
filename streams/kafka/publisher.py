"""Single records outside transactions: the adapter of `ports.Publisher`.

**Idea.** A client that stands still is replaced. librdkafka (2.16) can lose all brokers that it knows, for example when
the only broker names none while it shuts down. Such a client never stores anything again, and reports nothing but that
its records time out: of 24 publishers, up to 15 stood still for good after a broker was away for ten seconds. A flush
during which nothing moved therefore drops the client with what it has queued, and raises. A caller whose flush fails
publishes again anyway, so nothing is lost by it if the client was only waiting for a broker.

**Records that time out.** A client can also lose a single partition while it stores to others. And records that time
out leave the queue as stored ones do, so something moves in each flush of a caller that publishes them again and again.
A client of which a record has timed out is therefore replaced as well (ADR 0177).

Rejected: `metadata.recovery.strategy=rebootstrap`, which makes it rarer and does not end it. Rejected: to wait for
`message.timeout.ms` in any case, because an agent has given up by then.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.kafka.errors import call_error, error_of
from streams.kafka.settings import NO_SETTINGS, Settings, client_settings
from streams.model.plurals import many
from streams.ports import FatalLogError, LogError, Outgoing, RetriableLogError
from streams.ports.open_log import PLAIN_NAMES, TopicNames

PUBLISH_S_MAX = 30.0
CLOSE_MS_MAX = 10_000
QUEUE_PAUSE_S = 0.02
STANDSTILL_S = 5.0
"""For how long nothing has moved during a flush until the client is replaced. Brokers that fail over need less."""

DROP_S_MAX = 1.0
"""For how long the failures of the records are collected that a replaced client had queued."""

# Topics named in the error of a flush; further ones are only counted.
TOPICS_NAMED_MAX = 8

DEFAULTS: Settings = {
    # A flush sends at once; without one, records of a moment share a request.
    "linger.ms": 5,
    "retry.backoff.ms": 10,
    # Long enough for a broker to restart, short enough that an agent learns of a failure.
    "message.timeout.ms": 30_000,
    "compression.type": "lz4",
}


class KafkaPublisher:
    """Writes single records idempotently. Thread-safe."""

    def __init__(self, bootstrap: str, *, names: TopicNames = PLAIN_NAMES, extra: Settings = NO_SETTINGS) -> None:
        """Create the client.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            names: how the deployment's topics are called on the cluster.
            extra: further librdkafka settings.

        Raises:
            ValueError: `extra` would change what correctness rests on.
        """
        fixed: Settings = {"enable.idempotence": True, "acks": "all", "delivery.report.only.error": True}
        settings = client_settings(bootstrap, fixed=fixed, defaults=DEFAULTS, extra=extra)
        self._settings: dict[str, Any] = {**settings, "on_delivery": self._on_failure}
        self._client = Producer(self._settings)
        self._names = names
        # Held while a record is queued, so that none goes to a client that has been replaced.
        self._client_lock = threading.Lock()
        self._queued_count = 0
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, str]] = {}
        self._unnamed = 0
        self._were_refused = False
        # Of the present client. Guarded by `_lock`, as the failures are.
        self._has_timed_out = False
        self._replaced_count = 0
        self._closed = False
        self._freed = False

    def publish(self, record: Outgoing) -> None:
        """Queue one record; blocks for up to PUBLISH_S_MAX seconds while the queue is full.

        Raises:
            ValueError: a header's name is not proper Unicode.
            RetriableLogError: the queue stays full.
            FatalLogError: the publisher can no longer be used, or is closed.
            LogError: the record can't be written, for example because it is too large.
        """
        topic, partition = record.topic, record.partition
        key, value, headers = record.key, record.value, record.headers
        topic = self._names.on_log(topic)
        for name, _ in headers:
            # The client library crashes on names that have no UTF-8 form.
            name.encode()
        deadline_s = time.monotonic() + PUBLISH_S_MAX
        while True:
            try:
                with self._client_lock:
                    client = self._present()
                    client.produce(topic, value, key, partition, headers=list(headers))
                    self._queued_count += 1
                client.poll(0)
                return
            except BufferError as error:
                if time.monotonic() > deadline_s:
                    raise RetriableLogError(
                        f"can't publish to `{topic}`: the queue is full for {PUBLISH_S_MAX} s"
                    ) from error
            except KafkaException as exception:
                raise call_error(error_of(exception), f"publish to `{topic}` partition {partition}") from exception
            client.poll(QUEUE_PAUSE_S)

    def flush(self, timeout_ms: int) -> None:
        """Wait until everything in the queue is stored, or has failed. After an error, publish the records again.

        If nothing moved for `STANDSTILL_S` seconds, or a record has timed out, the client is replaced, and what it has
        queued counts as failed.

        Raises:
            RetriableLogError: some records are not stored yet, or not because brokers did not answer in time.
            LogError: some records were not stored; names their topic. Only the next flush reports it.
        """
        with self._client_lock:
            client, replaced_before_count = self._present(), self._replaced_count
        begun_s, done_before_count = time.monotonic(), self._done_count()
        try:
            left = client.flush(timeout_ms / 1000)
        except KafkaException as exception:
            raise call_error(error_of(exception), "flush") from exception
        waited_s = time.monotonic() - begun_s
        has_stood_still = left > 0 and self._done_count() == done_before_count and waited_s >= STANDSTILL_S
        has_timed_out = self._has_timed_out
        # Another flush has dropped what this one waits for, and has taken its failures.
        was_replaced = self._replaced_count != replaced_before_count
        failures, were_refused = self._take_failures()
        if (has_stood_still or has_timed_out) and not was_replaced:
            self._replace(client)
            # Of what was dropped with it. INVARIANT: this flush raises, whatever they say.
            self._take_failures()
        if has_stood_still:
            raise RetriableLogError(
                f"no record was stored for {waited_s:.0f} s, so {left} were dropped: check the brokers"
            )
        if failures:
            raise (LogError if were_refused else RetriableLogError)(f"records were not stored: {failures}")
        if left or has_timed_out or was_replaced:
            raise RetriableLogError(
                f"{many(left, 'record')} not stored after {timeout_ms} ms: flush again, or check the brokers"
            )

    def close(self) -> None:
        """Flush for up to CLOSE_MS_MAX and close.

        Raises:
            LogError: see `flush`; the publisher is closed anyway.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(CLOSE_MS_MAX)
        finally:
            with self._client_lock:
                # Not the library's own `close`, which waits for the brokers without limit.
                self._client.purge()
                self._freed = True
                # Freed at once, or by the thread that still uses it.
                del self._client

    def _present(self) -> Producer:
        if self._freed:
            raise FatalLogError("the publisher is closed: make a new one")
        return self._client

    def _take_failures(self) -> tuple[str, bool]:
        """Return the failures since the last call as a text, which is empty if there were none.

        Returns:
            Also whether one of them was a refusal, which trying again does not help against.
        """
        with self._lock:
            failures, self._failures = self._failures, {}
            unnamed, self._unnamed = self._unnamed, 0
            were_refused, self._were_refused = self._were_refused, False
        named = [f"{count} to `{topic}` ({reason})" for topic, (count, reason) in failures.items()]
        if unnamed:
            named.append(f"{unnamed} to other topics")
        return ", ".join(named), were_refused

    def _done_count(self) -> int:
        """Return how many records were stored or have failed: what was queued and isn't any more."""
        with self._client_lock:
            return 0 if self._freed else self._queued_count - len(self._client)

    def _replace(self, old: Producer) -> None:
        with self._client_lock:
            if self._freed or self._client is not old:
                return
            self._client = Producer(self._settings)
            self._replaced_count += 1
        old.purge()
        old.flush(DROP_S_MAX)
        with self._lock:
            self._has_timed_out = False

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        topic = message.topic() or "?"
        with self._lock:
            self._were_refused |= not isinstance(call_error(error, "store"), RetriableLogError)
            self._has_timed_out |= error.code() == KafkaError._MSG_TIMED_OUT
            if topic in self._failures or len(self._failures) < TOPICS_NAMED_MAX:
                count, _ = self._failures.get(topic, (0, ""))
                self._failures[topic] = (count + 1, error.str())
            else:
                self._unnamed += 1
