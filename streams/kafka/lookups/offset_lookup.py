"""Look up first and last offsets of partitions over a separate connection.

A consumer's own connection answers such requests only after its current fetch, which waits for new records. And under
`read_committed` it would not return the true end.

The client is a consumer that reads nothing, not an `AdminClient`: what that does when brokers vanish has ended
processes (see `streams.kafka.groups.questions`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException

from streams.kafka.bounded.deadline import within
from streams.kafka.bounded.retry import persist
from streams.kafka.errors import call_error
from streams.kafka.partitions import from_client, to_client
from streams.kafka.settings import READING_DEFAULTS, Settings, client_settings, connection_settings
from streams.ports import LogError, RetriableLogError, TopicPartition
from streams.ports.open_log import TopicNames

LOOKUP_S_MAX = 5.0
ATTEMPT_S_MAX = 2.0

_NOT_KNOWN_YET = frozenset({KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART})

READER_GROUP = "stoplog-reader"
"""The group of clients that join none: librdkafka requires one, and looks up its coordinator anyway."""


class OffsetLookup:
    """Looks up offsets; connects at the first request."""

    def __init__(self, bootstrap: str, names: TopicNames, extra: Settings, *, stable: bool = False) -> None:
        """Use the brokers, topic names and settings of the client that this belongs to.

        Args:
            stable: whether an end is the last stable offset, before open transactions.
        """
        self._names = names
        fixed: Settings = {
            "group.id": READER_GROUP,
            "enable.auto.commit": False,
            # By default the high watermark is asked for, not the end of what is committed.
            "isolation.level": "read_committed" if stable else "read_uncommitted",
        }
        self._settings = client_settings(
            bootstrap, fixed=fixed, defaults=READING_DEFAULTS, extra=connection_settings(extra)
        )
        self._client: Consumer | None = None
        self._is_closed = False
        self._asking = threading.Lock()

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that still exists, per partition."""
        with self._asking:
            return self._ask(partitions, OFFSET_BEGINNING, "first")

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the end per partition: by default the high watermark, open transactions included."""
        with self._asking:
            return self._ask(partitions, OFFSET_END, "end")

    def known_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return `ends` without the partitions that the brokers don't know, such as those of a deleted topic.

        Raises:
            LogError: they know none, or one of the others' leaders did not answer.
        """
        with self._asking:
            return self._ask(partitions, OFFSET_END, "end", needs_all=False)

    def close(self) -> None:
        """Close the connection, after the answer to a question that is under way. Nothing more is asked."""
        self._is_closed = True
        self._client = None

    def _ask(
        self, partitions: Sequence[TopicPartition], position: int, which: str, *, needs_all: bool = True
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}

        def ask(left_s: float) -> dict[TopicPartition, int]:
            try:
                found, errors = self._attempt(partitions, position, min(left_s, ATTEMPT_S_MAX))
                for error in errors:
                    if needs_all or not found or error.code() not in _NOT_KNOWN_YET:
                        raise KafkaException(error)
                return found
            except KafkaException:
                # A client may keep asking the leaders that it knows, even after they have answered that they no longer
                # lead; a new client finds out who leads.
                self._client = None
                raise

        names = sorted({self._names.on_log(partition.topic) for partition in partitions})
        listed = ", ".join(f"`{name}`" for name in names)
        doing = f"look up the {which} offsets of {listed}"
        return persist(ask, lambda error: _classified(error, doing), within(LOOKUP_S_MAX))

    def _attempt(
        self, partitions: Sequence[TopicPartition], position: int, timeout_s: float
    ) -> tuple[dict[TopicPartition, int], list[KafkaError]]:
        """Return the offsets that are known, and why others aren't."""
        # Who closes it does not wait for a question under way, which must not connect once more.
        client = self._client
        if self._is_closed:
            raise LogError("the client was closed while it asked")
        if client is None:
            client = self._client = Consumer(self._settings)
        client.poll(0)  # serves what librdkafka has logged; nothing else does for this client
        # Where a time goes Kafka's protocol takes the two positions, too, and answers for all partitions at once.
        asked = [to_client(self._names, partition, position) for partition in partitions]
        found: dict[TopicPartition, int] = {}
        errors: list[KafkaError] = []
        for partition in client.offsets_for_times(asked, timeout=timeout_s):
            # INVARIANT: what did not answer in time has an offset below zero here, and maybe no error. It must never
            # pass for an end that has been reached.
            if partition.error is not None:
                errors.append(partition.error)
            elif partition.offset < 0:
                errors.append(KafkaError(KafkaError._TIMED_OUT, "some brokers did not answer"))
            else:
                found[from_client(self._names, partition)] = partition.offset
        return found, errors


class EndsLookup:
    """Asks for ends in a thread of its own, which whoever wants to know them does not wait for. One question at a time.

    While a broker is away, an answer takes up to LOOKUP_S_MAX seconds. A gate that waited for it each time stood still
    for as long, although nothing that it decides needs the answer at once.
    """

    def __init__(self, ends: Callable[[Sequence[TopicPartition]], dict[TopicPartition, int]]) -> None:
        """Ask with `ends`, a method of an `OffsetLookup` that others may use as well."""
        self._ends = ends
        self._answers: queue.SimpleQueue[dict[TopicPartition, int] | Exception] = queue.SimpleQueue()
        self._is_asked = False

    def look(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Return the answer if it has come, and ask if nothing is asked; None while there is no answer.

        Raises:
            LogError: the question has failed; the next call asks again.
            Exception: likewise, by a bug.
        """
        if not self._is_asked:
            threading.Thread(target=self._ask, args=(tuple(partitions),), name="stoplog ends", daemon=True).start()
            self._is_asked = True
            return None
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return None
        self._is_asked = False
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ask(self, partitions: Sequence[TopicPartition]) -> None:
        try:
            self._answers.put(self._ends(partitions))
        except Exception as error:
            # INVARIANT: there is an answer to each question. Without one, nobody would ask again, and a gate would deny
            # everything, because it never knows that it has read all stops.
            self._answers.put(error)


def _classified(error: KafkaError, doing: str) -> LogError:
    """Return what an error means to the caller. A broker that has just started does not know its topics yet."""
    classified = call_error(error, doing)
    return RetriableLogError(str(classified)) if error.code() in _NOT_KNOWN_YET else classified
