"""Errors that arrive among the records of a consumer, and which of them end it."""

from __future__ import annotations

from confluent_kafka import KafkaError

from streams.kafka.errors import FENCED_CODES, UNREADABLE_CODES, is_gone
from streams.kafka.settings import LOGGER
from streams.ports import FatalLogError, FencedError, UnansweredError

# A broker that is down causes one error per connection attempt and partition; this many without a record between
# them are more than a short interruption.
ERRORS_IN_A_ROW_MAX = 1_000


class FaultCounter:
    """Decides which errors among the records end the client. One per consumer."""

    def __init__(self, reader: str, *, static: bool = False) -> None:
        """Start without faults. `reader` names the client in messages; `static` says whether it is a static group
        member."""
        self._reader = reader
        self._static = static
        self._in_a_row = 0

    def clear(self) -> None:
        """Forget earlier errors, because a record came."""
        self._in_a_row = 0

    def take(self, error: KafkaError, topic: str | None = None, partition: int | None = None) -> None:
        """Log an error that may be temporary; raise one that is not.

        Args:
            error: as reported.
            topic: the topic that could not be read; None for an error of the whole client.
            partition: of the topic.

        Raises:
            FencedError: another member has this one's static id.
            FatalLogError: reading on is impossible, or would skip records.
        """
        where = f"`{topic}` partition {partition}" if topic else "the cluster"
        text = f"{self._reader} can't read {where}: {error.str()} ({error.name()})"
        # Only another owner of its static id ends a consumer permanently, and mostly the error says only that it is
        # fatal.
        if error.code() in FENCED_CODES or (self._static and is_gone(error)):
            raise FencedError(text)
        if is_gone(error) or error.code() in UNREADABLE_CODES:
            raise FatalLogError(text)
        self._in_a_row += 1
        if self._in_a_row > ERRORS_IN_A_ROW_MAX:
            raise UnansweredError(f"{text}; {ERRORS_IN_A_ROW_MAX} errors in a row without a record")
        LOGGER.warning("%s", text)
