"""Single records outside transactions: the adapter of `ports.Publisher`."""

from __future__ import annotations

import threading
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.kafka.errors import call_error, error_of
from streams.kafka.settings import NO_SETTINGS, Settings, client_settings
from streams.ports import LogError, Outgoing, RetriableLogError
from streams.ports.open_log import PLAIN_NAMES, TopicNames

PUBLISH_S_MAX = 30.0
CLOSE_MS_MAX = 10_000
QUEUE_PAUSE_S = 0.02
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
        self._client = Producer({**settings, "on_delivery": self._on_failure})
        self._names = names
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, str]] = {}
        self._unnamed = 0
        self._closed = False

    def publish(self, record: Outgoing) -> None:
        """Queue one record; blocks for up to PUBLISH_S_MAX seconds while the queue is full.

        Raises:
            ValueError: a header's name is not proper Unicode.
            RetriableLogError: the queue stays full.
            FatalLogError: the publisher can no longer be used.
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
                self._client.produce(topic, value, key, partition, headers=list(headers))
                self._client.poll(0)
                return
            except BufferError as error:
                if time.monotonic() > deadline_s:
                    raise RetriableLogError(
                        f"can't publish to `{topic}`: the queue is full for {PUBLISH_S_MAX} s"
                    ) from error
            except KafkaException as exception:
                raise call_error(error_of(exception), f"publish to `{topic}` partition {partition}") from exception
            self._client.poll(QUEUE_PAUSE_S)

    def flush(self, timeout_ms: int) -> None:
        """Wait until everything in the queue is stored, or has failed.

        Raises:
            RetriableLogError: some records are not stored yet.
            LogError: some records were not stored; names their topic. Only the next flush reports it.
        """
        try:
            left = self._client.flush(timeout_ms / 1000)
        except KafkaException as exception:
            raise call_error(error_of(exception), "flush") from exception
        with self._lock:
            failures, self._failures = self._failures, {}
            unnamed, self._unnamed = self._unnamed, 0
        if failures:
            named = [f"{count} to `{topic}` ({reason})" for topic, (count, reason) in failures.items()]
            if unnamed:
                named.append(f"{unnamed} to other topics")
            raise LogError(f"records were not stored: {', '.join(named)}")
        if left:
            raise RetriableLogError(
                f"{left} records are not stored after {timeout_ms} ms: flush again, or check the brokers"
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
            # Not the library's own `close`, which waits for the brokers without limit.
            self._client.purge()
            del self._client

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        topic = message.topic() or "?"
        with self._lock:
            if topic in self._failures or len(self._failures) < TOPICS_NAMED_MAX:
                count, _ = self._failures.get(topic, (0, ""))
                self._failures[topic] = (count + 1, error.str())
            else:
                self._unnamed += 1
