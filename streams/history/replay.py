"""Makes the verdicts of a partition again from what the topics hold, with the same core, and compares them.

**Idea.** A verdict follows from the records of its partition in the order in which they were read, from stream time,
and from how far broadcast topics had been read. Order and stream time follow from broker times, but for four things
that a log does not say: which of two records of the same millisecond was read first, which one came late because its
broker was slow, when stream time followed the clock of an idle gate, and between which two records something that was
broadcast has been read. What the gate wrote says it: a verdict states its instant and the offsets of stops, rules and
attributes, and the audit records are in the order of decisions. So the replay takes the next recorded verdict as a hint
of what happened before it, lets the real engine go on from there, and compares the bytes. If they differ, it rolls the
partition back and tries the other orders that the log leaves open. A verdict that none of them leads to is different.

**The short way.** Nearly every intent follows the verdict before it, and nothing has happened in between. It is
processed as it is, and what comes is compared with the bytes of the next recorded verdict, which need not be decoded
for that. Nothing else that the gate would write is given bytes (`streams.history.brief_wire`).

**What that proves.** No hint can make a verdict come out: the hints only choose among histories that the log allows.

**Rejected.** A journal of every poll on a topic of its own: it would make the replay simpler, and each transaction
larger. To run gates on a copy of the log: where broadcast records take effect would be left to chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from streams.history.control_tape import PLACED_BY_TIME
from streams.history.recording import (
    FOREVER_MS,
    Arrival,
    Expected,
    Instants,
    Lane,
    Recording,
    interleavings,
    units_of,
)
from streams.history.replay_hints import NO_HINT, PAUSES, Failed, Hint, hints_for
from streams.history.replayed import Replayed, ReplayPlan
from streams.history.rewindable_gate import BEHIND_MS, RewindableGate
from streams.model.budget import BudgetGrant
from streams.model.errors import InvariantError
from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.topology import GATE

ORDERS_MAX = 128
"""How many orders of the records of one instant are tried."""

TRIES_MAX = 64
"""How many guesses are made about what happened between the records of one instant, in their usual order."""

OTHER_TRIES_MAX = 12
"""How many are made for each other order."""

QUIET_TIMERS_MAX = 10_000
"""How many timers in a row can fire while nothing is read."""

CATALOG_NEAR_MS = 10_000
"""How long before or after its own time a catalog entry can have been read by a gate that ran."""


class PartitionReplay:
    """The replay of one partition. Iterate over `run` once."""

    def __init__(self, plan: ReplayPlan, recording: Recording) -> None:
        self._plan = plan
        self._recording = recording
        self._gate = RewindableGate(plan, recording)
        self._task, self._state, self._control = self._gate.task, self._gate.state, self._gate.control
        self._recorded, self._outcomes = self._gate.recorded, self._gate.outcomes
        self._instants = Instants(recording.instants)
        self._failed: Arrival | None = None
        self.inputs_count = 0

    def run(self) -> Iterator[Replayed]:
        """Replay the partition, and yield each verdict, recorded or made, once."""
        self._task.prepare()
        self._gate.commit()
        inputs, decode = self._recording.inputs, self._task.steps.decoded
        lanes = [Lane(inputs.get(topic.name, ()), decode, self._gate.admit) for topic in GATE.inputs]
        for unit_ms, unit in units_of(lanes):
            self.inputs_count += len(unit)
            if not self._goes_on(unit):
                # Records that were held back are of an earlier time than their unit.
                self._idle_until(max(unit_ms, _time_of(unit, self._task.stream_time_ms)))
                self._run_unit(self._answers_last(unit), lanes)
            yield from self._outcomes.take_done()
        self._idle_until(FOREVER_MS)
        while self._recorded.head() is not None:
            self._outcomes.pass_over()
        yield from self._outcomes.take_done()

    def rows(self) -> dict[bytes, bytes]:
        """Return the rows of the partition's state as they are now."""
        return dict(self._state.scan(b"", b"\xff" * 64))

    # A unit: the records of one instant

    def _goes_on(self, unit: Sequence[Arrival]) -> bool:
        """Process a unit as most are: one intent or session event, before which nothing has happened.

        It comes to the same as the careful way, which is three times as long, because that would guess the same first.

        Returns:
            Whether an intent has led to the next recorded verdict, byte for byte, or a session event to none. If not,
            nothing was done.
        """
        record = unit[0].decoded
        if len(unit) > 1 or not self._plan.is_strict or not isinstance(record, Intent | SessionEvent):
            return False
        task, control, engine = self._task, self._control, self._plan.engine
        stream_ms, due_ms = task.stream_time_ms, self._state.next_due_ms
        time_ms = _time_of(unit, stream_ms)
        if (
            not stream_ms
            or control.next_ms <= max(time_ms, self._outcomes.written_ms)
            or control.state.stale
            or not task.has_followed
            or self._instants.next_after(stream_ms) < time_ms
            or (due_ms is not None and due_ms + engine.idle_margin_ms + engine.punctuate_ms < time_ms)
        ):
            return False
        is_event = isinstance(record, SessionEvent)
        if is_event and not self._comes_before(time_ms):
            return False
        received = unit[0].received
        self._gate.wire.be_brief(is_brief=True)
        task.process_next(received, self._gate.fault_of(received) or record)
        self._gate.wire.be_brief(is_brief=False)
        is_same = self._outcomes.match(strict=True) and self._outcomes.is_empty is is_event
        if is_same and isinstance(record, Intent):
            following = self._recorded.unread()
            is_same = following is None or record.intent_id.encode() not in (following.received.value or b"")
        if not is_same:
            self._gate.roll_back()
            return False
        self._gate.commit()
        return True

    def _comes_before(self, time_ms: int) -> bool:
        """Return whether the next verdict is a later one, by a gate that was not behind: so it says nothing of now."""
        head = self._recorded.head()
        if head is None or head.is_repeated:
            return False
        evaluated_ms = head.stated.evaluated_at
        return time_ms < evaluated_ms and head.received.timestamp_ms - evaluated_ms <= BEHIND_MS

    def _run_unit(self, unit: Sequence[Arrival], lanes: Sequence[Lane]) -> None:
        if self._plan.is_strict and self._finds(unit):
            self._gate.commit()
            return
        self._gate.catalog_to = None
        if self._plan.is_strict and (rest := self._without_late(unit, lanes)) is not unit:
            if rest:
                self._run_unit(rest, lanes)
            return
        self._attempt(unit, {}, strict=False)
        self._gate.commit()

    def _without_late(self, unit: Sequence[Arrival], lanes: Sequence[Lane]) -> Sequence[Arrival]:
        """Hold back an intent that came late, with what followed it on its topic, and return the others of the unit.

        The broker that leads its topic was slower to answer than those of others, and the gate did not know that there
        was more to be fetched. So it went on, and has judged the intent at the instant that it had come to by then.
        """
        late, time_ms = self._failed, _time_of(unit, self._task.stream_time_ms)
        if late is None or not isinstance(late.decoded, Intent):
            return unit
        own = self._recorded.next_of(late.decoded.intent_id)
        if own is None or own.is_repeated or own.stated.evaluated_at <= time_ms:
            return unit
        topic, offset, until_ms = late.received.topic, late.received.offset, own.stated.evaluated_at
        lane = next(lane for lane, each in zip(lanes, GATE.inputs, strict=True) if each.name == topic)
        if lane.not_before_ms >= until_ms:
            return unit
        held = [each for each in unit if each.received.topic == topic and each.received.offset >= offset]
        lane.hold_back(held, until_ms)
        self.inputs_count -= len(held)
        return [each for each in unit if each not in held]

    def _answers_last(self, unit: list[Arrival]) -> list[Arrival]:
        """Put answers last that came within the millisecond in which they were asked for."""
        if len(unit) == 1:
            return unit
        asked_ms = self._recording.asked_ms

        def is_answer(arrival: Arrival) -> bool:
            record, time_ms = arrival.decoded, arrival.received.timestamp_ms
            return isinstance(record, BudgetGrant) and asked_ms.get(record.serial, 0) >= time_ms

        return sorted(unit, key=is_answer)

    def _finds(self, unit: Sequence[Arrival]) -> bool:
        """Return whether some order of the records, and of what happened between them, leads to what was recorded."""
        self._gate.catalog_to = self._failed = None
        tries_max = TRIES_MAX
        for order in interleavings(unit, ORDERS_MAX):
            if self._finds_in(order, tries_max):
                return True
            tries_max = OTHER_TRIES_MAX
        for offset in self._other_catalogs(unit):
            self._gate.catalog_to = offset
            if self._finds_in(unit, OTHER_TRIES_MAX):
                return True
        return False

    def _finds_in(self, order: Sequence[Arrival], tries_max: int) -> bool:
        """Process records in an order; where a verdict differs, go back and try what else can have happened there."""
        waiting: list[dict[int, Hint]] = [{}]
        for _ in range(tries_max):
            if not waiting:
                break
            hints = waiting.pop()
            failed = self._attempt(order, hints, strict=True)
            if failed is None:
                return True
            self._failed = self._failed or order[failed.at]
            if failed.at not in hints:
                waiting += [{**hints, failed.at: hint} for hint in reversed(hints_for(failed))]
            self._gate.roll_back()
        return False

    def _other_catalogs(self, unit: Sequence[Arrival]) -> Iterator[int]:
        """Yield up to where the catalog can have been read instead, as entries were written at about that time."""
        tape, topic = self._plan.tape, PLACED_BY_TIME
        if topic not in tape.records:
            return
        time_ms = max(each.received.timestamp_ms for each in unit)
        head = self._recorded.head()
        written_ms = time_ms if head is None else max(time_ms, head.received.timestamp_ms)
        here = tape.offset_at(topic, max(time_ms, self._outcomes.written_ms))
        last = tape.offset_at(topic, written_ms)
        first = tape.offset_at(topic, time_ms - CATALOG_NEAR_MS)
        offset: int | None = here
        while offset is not None and (offset := tape.next_after(topic, offset)) is not None and offset <= last:
            yield offset
        offset = here
        while offset is not None and (offset := tape.before(topic, offset)) is not None and offset >= first:
            yield offset

    def _attempt(self, order: Sequence[Arrival], hints: Mapping[int, Hint], *, strict: bool) -> Failed | None:
        """Process records in an order.

        Returns:
            Where a verdict was not the recorded one (if `strict`); None if there was no such place.
        """
        places: dict[str, int] = {}
        for index, arrival in enumerate(order):
            hint, head = hints.get(index, NO_HINT), self._recorded.head()
            time_ms = max(self._task.stream_time_ms, arrival.received.timestamp_ms)
            lead_ms = hint.lead_ms
            if hint.is_ahead:
                self._task.advance(lead_ms)
            now_ms = max(time_ms, lead_ms)
            expected = None
            if head is not None and not head.is_repeated and not hint.is_loose and head.stated.evaluated_at == now_ms:
                expected = head
            decoded = arrival.decoded
            if isinstance(decoded, Intent):
                places[decoded.intent_id] = index
                own = self._expected_of(decoded, now_ms)
                # A repeated verdict says nothing of now, so it is a hint in any case.
                expected = expected if own is None or (hint.is_loose and not own.is_repeated) else own
            self._gate.place(expected, time_ms, is_behind=hint.is_behind, is_brief=hint.is_brief)
            if lead_ms > time_ms:
                self._task.advance(lead_ms)
            if not self._gate.feed(arrival, strict=strict):
                return Failed(index, time_ms, self._recorded.head())
        head = self._recorded.head()
        if not strict or head is None or head.stated.intent_id not in places or self._is_later(head):
            return None
        # What should have come of these records has not come, unless it came of what was broadcast right after them.
        self._gate.place(head, self._task.stream_time_ms, is_behind=True, is_brief=False)
        if self._outcomes.match(strict=True) and self._recorded.head() is not head:
            return None
        return Failed(places[head.stated.intent_id], self._task.stream_time_ms, head)

    def _is_later(self, head: Expected) -> bool:
        """Return whether a verdict came later: the intent is pending until then, or is sent again."""
        return head.is_repeated or head.stated.evaluated_at > self._task.stream_time_ms

    def _expected_of(self, intent: Intent, time_ms: int) -> Expected | None:
        """Return the recorded verdict of an intent if it can be what follows at once; None if it came later."""
        head = self._recorded.head()
        if head is None or head.stated.intent_id != intent.intent_id:
            return None if self._plan.is_strict else self._recorded.next_of(intent.intent_id)
        is_now = head.is_repeated or head.stated.evaluated_at <= time_ms
        return head if is_now or not self._plan.is_strict else None

    # Between two units

    def _idle_until(self, end_ms: int) -> None:
        """Let happen what has happened before an instant without any input: timers, and what was broadcast."""
        passed_ms = 0
        while True:
            head, stream_ms = self._recorded.head(), self._task.stream_time_ms
            due_ms = FOREVER_MS if head is None or head.is_repeated else head.stated.evaluated_at
            at_ms = min(due_ms, self._instants.next_after(max(stream_ms, passed_ms)))
            if at_ms >= end_ms:
                break
            if at_ms > stream_ms:
                self._let_quiet_timers_fire(min(at_ms, end_ms))
            # Stream time stays where it is if nothing is due: what was written then came of a record.
            passed_ms = at_ms
            before = self._recorded.head()
            self._pass_time(before if due_ms == at_ms else None, max(at_ms, stream_ms))
            if due_ms == at_ms and self._recorded.head() is before and before is not None:
                self._outcomes.pass_over()
        if end_ms < FOREVER_MS:
            self._let_quiet_timers_fire(end_ms)

    def _pass_time(self, expected: Expected | None, time_ms: int) -> None:
        """Let time pass, and what was broadcast take effect before or after that, until a verdict is made."""
        for hint in PAUSES:
            if self._passes(expected, time_ms, hint, strict=True):
                self._gate.commit()
                return
            self._gate.roll_back()
        self._passes(expected, time_ms, NO_HINT, strict=False)
        self._gate.commit()

    def _passes(self, expected: Expected | None, time_ms: int, hint: Hint, *, strict: bool) -> bool:
        if hint.is_ahead:
            self._task.advance(time_ms)
        self._gate.place(expected, time_ms, is_behind=hint.is_behind, is_brief=hint.is_brief)
        if not self._outcomes.match(strict=strict):
            return False
        if time_ms > self._task.stream_time_ms and self._state.has_due(time_ms):
            self._task.advance(time_ms)
            if not self._outcomes.match(strict=strict):
                return False
        return expected is None or self._recorded.head() is not expected

    def _let_quiet_timers_fire(self, end_ms: int) -> None:
        """Fire timers that nobody has seen, as an idle gate does as soon as they are due.

        A timer that writes something is left for the instant that the record says.
        """
        margin_ms = self._plan.engine.idle_margin_ms
        for _ in range(QUIET_TIMERS_MAX):
            due_ms, stream_ms = self._state.next_due_ms, self._task.stream_time_ms
            if due_ms is None or not stream_ms:
                return
            # A gate that was behind had input to read, and was not idle.
            at_ms = max(due_ms, stream_ms, self._outcomes.written_ms - margin_ms)
            if at_ms + margin_ms + self._plan.engine.punctuate_ms >= end_ms:
                return
            self._outcomes.visible_count = 0
            is_due = self._task.advance(at_ms)
            if self._outcomes.visible_count:
                self._gate.roll_back()
                return
            self._gate.commit()
            if not is_due and self._state.next_due_ms == due_ms:
                return
        raise InvariantError(f"timers never end: {QUIET_TIMERS_MAX} were fired before `{end_ms}`")


def _time_of(unit: Sequence[Arrival], stream_time_ms: int) -> int:
    return max(stream_time_ms, *(each.received.timestamp_ms for each in unit))
