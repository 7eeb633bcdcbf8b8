"""Wait until a gate judges by the rules that were published: it says so in an audit record.

Rejected: proposing a call until a rule decides it, because each of these calls stays on the log with its verdict, and
who reads a kept log finds hundreds of denied calls before the first that means something.
"""

from __future__ import annotations

from typing import Self

from stoplog_demo.errors import DemoError
from streams.model.audit import AuditEvent
from streams.model.control import RulesetBundle
from streams.model.errors import RecordError
from streams.model.reasons import ControlReason
from streams.model.topics import AUDIT
from streams.ports import LogError, Received, TopicPartition
from streams.sdk.connection.transport import Transport

POLL_MS = 100
POLL_RECORDS_MAX = 500


class RulesWatch:
    """Reads the audit topic, from the moment that it is opened. Open it before the rules are published."""

    def __init__(self, transport: Transport) -> None:
        """Open the reader. Blocks until the ends of the topic's partitions are known.

        Raises:
            LogError: the topic can't be read.
        """
        self._transport = transport
        places = [TopicPartition(AUDIT.name, number) for number in range(transport.partitions(AUDIT.name))]
        self._reader = transport.reader()
        try:
            self._reader.assign(self._reader.end_offsets(places))
        except LogError:
            self._reader.close()
            raise

    def wait(self, bundle: RulesetBundle, timeout_ms: int) -> None:
        """Block until a gate reports that the bundle is in force.

        Raises:
            DemoError: no gate reports it in time, or the gate rejects the bundle.
            LogError: the topic can't be read.
        """
        deadline_ms = self._transport.now_ms() + timeout_ms
        while self._transport.now_ms() < deadline_ms:
            for received in self._reader.poll(POLL_RECORDS_MAX, POLL_MS):
                event = self._about(bundle, received)
                if event is None:
                    continue
                if event.reason == ControlReason.RULES_PUBLISHED.value:
                    return
                raise DemoError(f"the gate does not accept the demonstration's rules: {event.reason_text}")
        raise DemoError(f"no gate is ready after {timeout_ms} ms: none reports that the rules are in force")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._reader.close()

    def _about(self, bundle: RulesetBundle, received: Received) -> AuditEvent | None:
        try:
            record = self._transport.codec.decode(received.topic, received.value, received.headers)
        except RecordError:
            return None  # not an audit record, so not the one that is looked for
        if not isinstance(record, AuditEvent) or record.rules_change is None:
            return None
        change = record.rules_change
        return record if (change.name, change.serial) == (bundle.name, bundle.serial) else None
