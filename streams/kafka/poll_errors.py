"""Errors that arrive among the records of a consumer, and where they end."""

from __future__ import annotations

from confluent_kafka import KafkaError

from streams.kafka.errors import FENCED_CODES, UNREADABLE_CODES, is_gone
from streams.kafka.settings import LOGGER
from streams.ports import FatalLogError, FencedError, UnansweredError

# A broker that is away makes one error per connection attempt and partition; this many and not one record between
# them is no hiccup.
ERRORS_IN_A_ROW_MAX = 1_000


class FaultCounter:
    """Decides which errors among the records end the client. One per consumer."""

    def __init__(self, reader: str, *, static: bool = False) -> None:
        """`reader` names the client in messages; `static` says whether it is a static group member."""
        self._reader = reader
        self._static = static
        self._in_a_row = 0

    def clear(self) -> None:
        """A record came: what was wrong before has passed."""
        self._in_a_row = 0

    def take(self, error: KafkaError, topic: str | None = None, partition: int | None = None) -> None:
        """Log an error that may pass, raise one that won't.

        Args:
            error: as reported.
            topic: what could not be read; None for an error of the whole client.
            partition: of the topic.

        Raises:
            FencedError: another member has this one's static id.
            FatalLogError: reading on is impossible, or would leave records out.
        """
        where = f"`{topic}` partition {partition}" if topic else "the cluster"
        text = f"{self._reader} can't read {where}: {error.str()} ({error.name()})"
        # The one thing that ends a consumer for good is another owner of its static id, and mostly the error says no
        # more than that it is the end.
        if error.code() in FENCED_CODES or (self._static and is_gone(error)):
            raise FencedError(text)
        if is_gone(error) or error.code() in UNREADABLE_CODES:
            raise FatalLogError(text)
        self._in_a_row += 1
        if self._in_a_row > ERRORS_IN_A_ROW_MAX:
            raise UnansweredError(f"{text}; {ERRORS_IN_A_ROW_MAX} errors in a row without a record")
        LOGGER.warning("%s", text)
