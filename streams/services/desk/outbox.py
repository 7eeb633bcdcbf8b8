"""The messages that wait for the sinks of the desk, in the desk's file.

**Bound.** At most `WAITING_MAX` messages wait for one sink. Of what comes beyond them, only the incident is noted that
it is about, and why: the incidents and their alerts are kept anyway, as long as the topic keeps these. Once the sink
has taken some messages, it gets one for each noted incident, as it is by then. So a sink that never answers costs a
small row for each incident, and one that answers again learns of all of them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.desk.messages import Delivery, Kind, Message
from streams.services.desk.errors import DeskError

FAULT_CHARS_MAX = 300
SCANNED_MAX = 200
"""Messages that are read at once where the first one is left out."""
WAITING_MAX = 10_000
"""How many messages wait for one sink, beside those that are set aside and summaries, of which a window has one."""
OWED_MAX = 200
"""About how many of the incidents for whose messages there was no room a sink gets messages at once."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, sink TEXT NOT NULL, kind TEXT NOT NULL,
    made_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT '',
    is_set_aside INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL, UNIQUE (uid, sink)
);
CREATE INDEX IF NOT EXISTS deliveries_sink ON deliveries (sink, is_set_aside, number);
CREATE INDEX IF NOT EXISTS deliveries_load ON deliveries (sink, is_set_aside, made_ms);
CREATE INDEX IF NOT EXISTS deliveries_aside ON deliveries (made_ms) WHERE is_set_aside = 1;
CREATE TABLE IF NOT EXISTS owed (
    sink TEXT NOT NULL, incident TEXT NOT NULL, kinds INTEGER NOT NULL, first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, PRIMARY KEY (sink, incident)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owed_first ON owed (sink, first_ms);
CREATE INDEX IF NOT EXISTS owed_last ON owed (last_ms);
CREATE TABLE IF NOT EXISTS full_sinks (
    sink TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, left_out_count INTEGER NOT NULL,
    is_reported INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""

_BITS = {Kind.NEW: 1, Kind.ESCALATION: 2, Kind.UPDATE: 4, Kind.ACKNOWLEDGED: 8, Kind.RESOLVED: 16}
"""How the file writes the kinds of messages that were left out."""

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
        owed_count: incidents for which it gets messages after it has taken some.
    """

    sink: str
    open_count: int
    set_aside_count: int
    oldest_ms: int | None
    owed_count: int = 0


class Owed(NamedTuple):
    """An incident for whose messages there was no room, because too much waited for the sink.

    Attributes:
        sink: the sink.
        incident: the incident.
        kinds: the kinds of the messages that were left out.
    """

    sink: str
    incident: str
    kinds: frozenset[Kind]


class FullSink(NamedTuple):
    """A sink for which so much waits, or has waited, that messages were left out.

    Attributes:
        sink: the sink.
        since_ms: when the first message was left out.
        left_out_count: how many were.
        is_reported: whether that is on the record.
        is_over: whether messages about all their incidents are there.
    """

    sink: str
    since_ms: int
    left_out_count: int
    is_reported: bool
    is_over: bool


class Outbox:
    """The messages. Thread-safe, but for what only the reader of alerts calls: `add`, `owed`, `tell_owed`, and what is
    reported of full sinks."""

    def __init__(self, reading: sqlite3.Connection, sending: sqlite3.Connection) -> None:
        """Args:
        reading: the connection of who reads alerts.
        sending: that of the sinks' threads.
        """
        self._reading = reading
        self._sending = sending
        self._sending_lock = threading.Lock()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Keep messages that are to be delivered, in a transaction; one that is there already stays as it is.

        Of one for which there is no room, the incident is noted. So is that of all that come while a sink is owed any,
        so that what came first is told first.
        """
        rooms: dict[str, int] = {}
        for each in deliveries:
            if each.sink not in rooms:
                rooms[each.sink] = 0 if self._is_full(each.sink) else self._room(each.sink)
            if rooms[each.sink] > 0 or each.message.kind not in _BITS:
                self._put(each)
                rooms[each.sink] -= 1
            else:
                self._owe(each)

    def owed(self) -> list[Owed]:
        """Return noted incidents of sinks that have room now, a bounded number of each sink."""
        found: list[Owed] = []
        for (sink,) in self._reading.execute("SELECT sink FROM full_sinks").fetchall():
            # Two messages are the most that one takes.
            limit = min(OWED_MAX, max(0, self._room(sink)) // 2)
            rows = self._reading.execute(
                "SELECT incident, kinds FROM owed WHERE sink = ? ORDER BY first_ms, incident LIMIT ?", (sink, limit)
            )
            for incident, kinds in rows.fetchall():
                found.append(Owed(sink, incident, frozenset(kind for kind, bit in _BITS.items() if bit & kinds)))
        return found

    def tell_owed(self, owed: Owed, messages: Iterable[Message]) -> list[Delivery]:
        """Keep the messages about a noted incident, in a transaction, and return them."""
        deliveries = [Delivery(owed.sink, message) for message in messages]
        for each in deliveries:
            self._put(each)
        self._reading.execute("DELETE FROM owed WHERE sink = ? AND incident = ?", (owed.sink, owed.incident))
        return deliveries

    def full_sinks(self) -> list[FullSink]:
        """Return the sinks for which messages were left out, as long as that is not over, or not on the record.

        Raises:
            DeskError: the file can't be read.
        """
        statement = "SELECT *, NOT EXISTS (SELECT 1 FROM owed WHERE owed.sink = full_sinks.sink) FROM full_sinks"
        found = answers(self._reading, statement, ())
        return [
            FullSink(sink, since_ms, left_out_count, bool(is_reported), bool(is_over))
            for sink, since_ms, left_out_count, is_reported, is_over in found
        ]

    def note_reported(self, full: FullSink) -> None:
        """Note that it is on the record that messages for a sink are left out, and, if so, that this is over."""
        if full.is_over:
            self._reading.execute("DELETE FROM full_sinks WHERE sink = ?", (full.sink,))
        else:
            self._reading.execute("UPDATE full_sinks SET is_reported = 1 WHERE sink = ?", (full.sink,))

    def _is_full(self, sink: str) -> bool:
        found = self._reading.execute("SELECT 1 FROM owed WHERE sink = ? LIMIT 1", (sink,))
        return found.fetchone() is not None

    def _room(self, sink: str) -> int:
        statement = "SELECT COUNT(*) FROM deliveries WHERE sink = ? AND is_set_aside = 0"
        ((count,),) = self._reading.execute(statement, (sink,))
        return WAITING_MAX - int(count)

    def _put(self, delivery: Delivery) -> None:
        message = delivery.message
        self._reading.execute(
            "INSERT OR IGNORE INTO deliveries (uid, sink, kind, made_ms, body) VALUES (?, ?, ?, ?, ?)",
            (message.uid, delivery.sink, message.kind.value, message.made_ms, _encode(message)),
        )

    def _owe(self, delivery: Delivery) -> None:
        sink, message = delivery
        self._reading.execute(
            "INSERT INTO owed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET kinds = kinds | excluded.kinds, "
            "last_ms = excluded.last_ms",
            (sink, message.incident, _BITS[message.kind], message.made_ms, message.made_ms),
        )
        self._reading.execute(
            "INSERT INTO full_sinks (sink, since_ms, left_out_count) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET left_out_count = left_out_count + 1",
            (sink, message.made_ms),
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
        for sink, count in self.ask("SELECT sink, COUNT(*) FROM owed GROUP BY sink", ()):
            loads[sink] = loads.get(sink, SinkLoad(sink, 0, 0, None))._replace(owed_count=count)
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
