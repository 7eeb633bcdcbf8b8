"""Compares the verdicts that a replay makes with the recorded ones.

What is compared is final once it is kept, and dropped if the replay goes back.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.history.recording import Expected, RecordedVerdicts
from streams.history.replayed import Made, Replayed
from streams.model.errors import InvariantError
from streams.model.topics import APPROVAL_REQUEST, AUDIT, BUDGET_REQUEST, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Outgoing
from streams.ports.wire import Wire

_VISIBLE = frozenset({VERDICT.name, AUDIT.name, APPROVAL_REQUEST.name, BUDGET_REQUEST.name})
_SCHEMA_BYTES = 5


class Outcomes:
    """The verdicts of one partition, recorded and made again.

    Attributes:
        visible_count: how many records others would have seen. Whoever counts them sets it to 0 before.
        written_ms: when the gate wrote the last verdict that is final; ms since the epoch.
    """

    def __init__(self, recorded: RecordedVerdicts, wire: Wire) -> None:
        self.visible_count = 0
        self.written_ms = 0
        self._recorded = recorded
        self._wire = wire
        self._made: list[Outgoing] = []
        self._results: list[Replayed] = []
        self._done: list[Replayed] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was compared since the last `keep` or `drop`."""
        return not self._results

    def emit(self, outgoing: Outgoing) -> None:
        """Take what the engine writes."""
        if outgoing.topic == VERDICT.name:
            self._made.append(outgoing)
        self.visible_count += outgoing.topic in _VISIBLE

    def match(self, *, strict: bool) -> bool:
        """Compare what was made since the last call. Return False if it is not what was recorded (if `strict`)."""
        for outgoing in self._made:
            head, value = self._recorded.unread(), outgoing.value or b""
            if head is None or head.received.value != value:
                head = self._recorded.head()
            if head is not None and self._is_same(head, outgoing.key, value):
                made = Made(outgoing.key, value, head)  # the same bytes: no need to decode them
                self._results.append(Replayed(self._recorded.take(), made, is_same=True))
                continue
            if strict:
                self._made.clear()
                return False
            made = self._read(outgoing)
            recorded, passed = self._recorded.take_of(made.verdict.intent_id)
            self._results += [Replayed(each, None, is_same=False) for each in passed]
            is_same = recorded is not None and self._is_same(recorded, outgoing.key, value)
            self._results.append(Replayed(recorded, made, is_same=is_same))
        self._made.clear()
        return True

    def pass_over(self) -> None:
        """Take the next recorded verdict as one that nothing leads to."""
        self._done.append(Replayed(self._recorded.take(), None, is_same=False))
        self._recorded.keep()

    def keep(self) -> None:
        """Make what was compared final."""
        self._recorded.keep()
        for each in self._results:
            if each.recorded is not None:
                self.written_ms = each.recorded.received.timestamp_ms
        self._done += self._results
        self._results = []

    def drop(self) -> None:
        """Drop what was made and compared since the last `keep`."""
        self._made.clear()
        self._results = []
        self._recorded.put_back()

    def take_done(self) -> Iterator[Replayed]:
        """Yield what is final, once. What can't be read to its end is not a verdict, like all else on the topic."""
        done, self._done = self._done, []
        for each in done:
            if each.is_same or each.recorded is None or each.recorded.is_readable:
                yield each
            elif each.made is not None:
                yield each._replace(recorded=None)

    def _is_same(self, recorded: Expected, key: bytes | None, value: bytes) -> bool:
        received = recorded.received
        if received.key != key:
            return False
        if received.value == value:
            return True
        # Under an earlier version of the schema: what it says is compared, in the form of today.
        is_other_schema = (received.value or b"")[:_SCHEMA_BYTES] != value[:_SCHEMA_BYTES]
        return is_other_schema and recorded.is_readable and self._wire.encode(VERDICT.name, recorded.verdict) == value

    def _read(self, outgoing: Outgoing) -> Made:
        verdict = self._wire.decode(VERDICT.name, outgoing.value or b"", ())
        if not isinstance(verdict, Verdict):
            raise InvariantError("the gate has written something else than a verdict")
        return Made(outgoing.key, outgoing.value or b"", verdict)
