"""The messages that wait for the sinks of the desk, in the desk's file.

They are read one by one, so that any number of them takes no memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.desk.messages import Delivery, Message
from streams.services.desk.errors import DeskError

FAULT_CHARS_MAX = 300
SCANNED_MAX = 200
"""Messages that are read at once where the first one is left out."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, sink TEXT NOT NULL, kind TEXT NOT NULL,
    made_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT '',
    is_set_aside INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL, UNIQUE (uid, sink)
);
CREATE INDEX IF NOT EXISTS deliveries_sink ON deliveries (sink, is_set_aside, number);
CREATE INDEX IF NOT EXISTS deliveries_load ON deliveries (sink, is_set_aside, made_ms);
CREATE INDEX IF NOT EXISTS deliveries_aside ON deliveries (made_ms) WHERE is_set_aside = 1;
"""

_encode = msgspec.msgpack.Encoder().encode
_message = msgspec.msgpack.Decoder(Message).decode


class OpenDelivery(NamedTuple):
    """A message that a sink has not accepted yet.

    Attributes:
        number: its place in the order of deliveries.
        uid: the id of the message.
        sink: the sink.
        kind: why it is sent.
        made_ms: when it was made.
        attempts: how often it was tried.
        fault: why the last attempt failed.
        is_set_aside: whether it is not tried any more, because the sink can't take it.
    """

    number: int
    uid: str
    sink: str
    kind: str
    made_ms: int
    attempts: int
    fault: str
    is_set_aside: bool


class NextDelivery(NamedTuple):
    """The message that a sink gets next.

    Attributes:
        number: its place in the order of deliveries.
        attempts: how often it was tried.
        message: the message.
    """

    number: int
    attempts: int
    message: Message


class SinkLoad(NamedTuple):
    """What waits for a sink.

    Attributes:
        sink: its name.
        open_count: messages that are still tried.
        set_aside_count: messages that are not.
        oldest_ms: when the oldest of those that are tried was made; None if there is none.
    """

    sink: str
    open_count: int
    set_aside_count: int
    oldest_ms: int | None


class Outbox:
    """The messages. Thread-safe, but for `add`, which belongs to the transaction of who reads alerts."""

    def __init__(self, reading: sqlite3.Connection, sending: sqlite3.Connection) -> None:
        """Args:
        reading: the connection of who reads alerts.
        sending: that of the sinks' threads.
        """
        self._reading = reading
        self._sending = sending
        self._sending_lock = threading.Lock()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Keep messages that are to be delivered; one that is there already stays as it is."""
        rows = [
            (each.message.uid, each.sink, each.message.kind.value, each.message.made_ms, _encode(each.message))
            for each in deliveries
        ]
        self._reading.executemany(
            "INSERT OR IGNORE INTO deliveries (uid, sink, kind, made_ms, body) VALUES (?, ?, ?, ?, ?)", rows
        )

    def next_delivery(
        self, sink: str, without: Collection[str] = (), attempts_below: int | None = None
    ) -> NextDelivery | None:
        """Return the next message for a sink; None if there is none. What this version can't read is set aside.

        Args:
            sink: the sink.
            without: incidents whose messages are left out.
            attempts_below: leaves out incidents whose next message was tried so often; None leaves out none.

        Raises:
            DeskError: the file can't be used.
        """
        statement = (
            "SELECT number, attempts, body FROM deliveries "
            "WHERE sink = ? AND is_set_aside = 0 AND number > ? ORDER BY number LIMIT ?"
        )
        left_out = set(without)
        # Mostly the first message is the one. Where it is not, an incident may have thousands before the next one.
        last, rows_max = 0, 1
        while found := self.ask(statement, (sink, last, rows_max)):
            for last, attempts, body in found:
                try:
                    message = _message(body)
                except msgspec.DecodeError as error:
                    self.note_fault(last, f"it is of another version of stoplog: {error}", sets_aside=True)
                    continue
                if message.incident in left_out:
                    continue
                if attempts_below is None or attempts < attempts_below:
                    return NextDelivery(last, attempts, message)
                # Its later messages do not overtake it.
                left_out.add(message.incident)
            rows_max = SCANNED_MAX
        return None

    def note_delivered(self, number: int) -> None:
        """Forget a message that its sink has accepted.

        Raises:
            DeskError: the file can't be written.
        """
        self.ask("DELETE FROM deliveries WHERE number = ?", (number,))

    def note_fault(self, number: int, fault: str, *, sets_aside: bool) -> None:
        """Remember why a message was not accepted, and whether to try it again.

        Raises:
            DeskError: the file can't be written.
        """
        self.ask(
            "UPDATE deliveries SET attempts = attempts + 1, fault = ?, is_set_aside = ? WHERE number = ?",
            (fault[:FAULT_CHARS_MAX], int(sets_aside), number),
        )

    def retry(self, sink: str | None) -> int:
        """Try messages again that were set aside. Return how many.

        Args:
            sink: the sink; None for all.

        Raises:
            DeskError: the file can't be written.
        """
        changed = self.ask(
            "UPDATE deliveries SET is_set_aside = 0 WHERE is_set_aside = 1 AND (? IS NULL OR sink = ?) RETURNING 1",
            (sink, sink),
        )
        return len(changed)

    def open_deliveries(self, limit: int) -> list[OpenDelivery]:
        """Return messages that wait, the oldest first.

        Raises:
            DeskError: the file can't be read.
        """
        found = self.ask(
            "SELECT number, uid, sink, kind, made_ms, attempts, fault, is_set_aside FROM deliveries "
            "ORDER BY number LIMIT ?",
            (limit,),
        )
        return [OpenDelivery(*row)._replace(is_set_aside=bool(row[-1])) for row in found]

    def loads(self, names: Iterable[str] = ()) -> list[SinkLoad]:
        """Return what waits for each sink for which something waits, and for the named ones; by their names.

        Args:
            names: sinks for which it may be that nothing waits.

        Raises:
            DeskError: the file can't be read.
        """
        found = self.ask(
            "SELECT sink, SUM(is_set_aside = 0), SUM(is_set_aside), MIN(CASE WHEN is_set_aside = 0 THEN made_ms END) "
            "FROM deliveries GROUP BY sink ORDER BY sink",
            (),
        )
        loads = {name: SinkLoad(name, 0, 0, None) for name in names} | {row[0]: SinkLoad(*row) for row in found}
        return [loads[name] for name in sorted(loads)]

    def close(self) -> None:
        """Wait for the sinks' threads, and release their connection."""
        with self._sending_lock:
            self._sending.close()

    def ask(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Run a statement on the connection of the sinks' threads, and return its rows.

        Raises:
            DeskError: the file can't be used.
        """
        with self._sending_lock:
            return answers(self._sending, statement, values)


def answers(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> list[Any]:
    """Return the rows of a statement.

    Raises:
        DeskError: the file can't be used.
    """
    try:
        return connection.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise DeskError(f"the desk's file can't be used: {error}") from None
