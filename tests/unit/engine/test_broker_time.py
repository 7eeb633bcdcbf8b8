"""One wrong clock, a broker's or the host's, moves no stream time; nothing that came with it vanishes."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.worker import Worker
from streams.model.alert import Alert
from streams.model.audit import AuditEvent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.session import SessionEventType
from streams.model.topics import ALERT, AUDIT, GATE_CHANGELOG, INTENT, SESSION
from streams.ports import Clock, Outgoing, TopicPartition
from streams.ports.processor import STREAM_TIME_KEY
from tests.kit import HOUR_MS, wire
from tests.unit.engine.bench import SETTINGS, WorkerBench

DAY_MS = 24 * HOUR_MS
FAR_MS = 30 * DAY_MS


class HostClock:
    """A clock that can be wrong: the log's has the right time."""

    def __init__(self, right: Clock) -> None:
        self._right = right
        self.wrong_by_ms = 0
        self.slept_ms = 0

    def now_ms(self) -> int:
        return self._right.now_ms() + self.wrong_by_ms

    def monotonic_ms(self) -> int:
        return self._right.monotonic_ms() - self.slept_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self._right.sleep_ms(duration_ms)


def at_work() -> tuple[WorkerBench, HostClock, SessionMaker, Worker]:
    """A gate that has judged an intent."""
    bench, maker = WorkerBench(), SessionMaker()
    bench.host_clock = host = HostClock(bench.clock)
    worker = bench.start()
    bench.establish(maker)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED]
    return bench, host, maker, worker


def stamped_ahead(bench: WorkerBench, topic: str, maker: SessionMaker, value: bytes) -> None:
    bench.log.append(Outgoing(topic, 0, maker.key, value), timestamp_ms=bench.clock.now_ms() + FAR_MS)


def letters(bench: WorkerBench, topic: str) -> list[str]:
    return [dict(letter.headers)["stoplog.reason"].decode() for letter in bench.raw(f"{topic}.dlq")]


def stream_time_ms(bench: WorkerBench) -> int:
    """What the changelog says."""
    rows = [record.value for record in bench.raw(GATE_CHANGELOG.name) if record.key == STREAM_TIME_KEY]
    return int.from_bytes(rows[-1] or b"", "big")


def test_an_intent_that_was_stamped_30_days_ahead_is_set_aside_and_the_next_one_is_judged() -> None:
    bench, _, maker, worker = at_work()
    bench.propose(maker, received_ms=bench.clock.now_ms() + FAR_MS)
    for _ in range(3):
        bench.clock.advance(1_000)
        bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED] * 4
    assert letters(bench, INTENT.name) == [DeadLetterReason.BROKER_TIME_AHEAD]
    found = (wire().decode(AUDIT.name, record.value or b"") for record in bench.raw(AUDIT.name))
    reasons = [event.reason for event in found if isinstance(event, AuditEvent)]
    assert reasons.count(DeadLetterReason.BROKER_TIME_AHEAD) == 1
    assert stream_time_ms(bench) == bench.clock.now_ms()


def test_it_is_set_aside_also_as_the_first_record_of_a_gate_that_has_just_started() -> None:
    bench, maker = WorkerBench(), SessionMaker()
    bench.propose(maker, received_ms=bench.clock.now_ms() + FAR_MS)
    bench.establish(maker)
    bench.propose(maker)
    worker = bench.start()
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED]
    assert letters(bench, INTENT.name) == [DeadLetterReason.BROKER_TIME_AHEAD]


def test_the_end_of_a_session_takes_effect_whatever_its_time() -> None:
    bench, _, maker, worker = at_work()
    ended = maker.proven(maker.event(SessionEventType.SESSION_ENDED, bench.clock.now_ms()))
    stamped_ahead(bench, SESSION.name, maker, wire().encode(SESSION.name, ended))
    bench.settle(worker)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts()[-1] == Reason.SESSION_ENDED
    assert letters(bench, SESSION.name) == []
    assert stream_time_ms(bench) == bench.clock.now_ms()


def test_it_takes_effect_also_as_the_first_record_of_its_partition() -> None:
    bench, maker = WorkerBench(), SessionMaker()
    ended = maker.proven(maker.event(SessionEventType.SESSION_ENDED, bench.clock.now_ms()))
    stamped_ahead(bench, SESSION.name, maker, wire().encode(SESSION.name, ended))
    worker = bench.start()
    bench.settle(worker)
    bench.clock.advance(1_000)
    bench.establish(maker)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.SESSION_ENDED]
    assert letters(bench, SESSION.name) == [DeadLetterReason.SEQUENCE_REPLAYED]
    assert stream_time_ms(bench) == bench.clock.now_ms()


def test_a_new_partition_whose_buffers_fill_up_with_records_ahead_goes_on() -> None:
    settings = msgspec.structs.replace(SETTINGS, input_buffer_records_max=4, poll_records_max=4)
    bench, maker, other = WorkerBench(settings=settings), SessionMaker(), SessionMaker("s-other")
    ended = other.proven(other.event(SessionEventType.SESSION_ENDED, bench.clock.now_ms()))
    for _ in range(20):
        stamped_ahead(bench, SESSION.name, other, wire().encode(SESSION.name, ended))
        bench.propose(maker, received_ms=bench.clock.now_ms() + FAR_MS)
    worker = bench.start()
    bench.settle(worker)
    bench.clock.advance(1_000)
    bench.establish(maker)
    bench.propose(maker)
    bench.establish(other)
    bench.propose(other)
    bench.settle(worker)
    for _ in range(10):
        bench.clock.advance(SETTINGS.punctuate_ms)
        bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED, Reason.SESSION_ENDED]
    assert letters(bench, INTENT.name) == [DeadLetterReason.BROKER_TIME_AHEAD] * 20
    assert stream_time_ms(bench) <= bench.clock.now_ms()


def test_a_session_that_was_opened_ahead_is_not_open() -> None:
    bench, _, _, worker = at_work()
    other = SessionMaker("s-other")
    stamped_ahead(bench, SESSION.name, other, wire().encode(SESSION.name, other.established(bench.clock.now_ms())))
    bench.settle(worker)
    assert letters(bench, SESSION.name) == [DeadLetterReason.BROKER_TIME_AHEAD]


def test_records_from_before_a_long_downtime_are_not_ahead() -> None:
    """Log time runs fast in a backlog, while little time passes."""
    bench, _, maker, worker = at_work()
    worker.stop()
    for _ in range(5):
        bench.clock.advance(HOUR_MS // 10)
        bench.propose(maker)
    bench.clock.advance(DAY_MS)
    worker = bench.start()
    bench.settle(worker)
    assert len(bench.verdicts()) == 6
    assert letters(bench, INTENT.name) == []


def test_a_host_whose_clock_jumps_ahead_does_not_let_sessions_expire() -> None:
    bench, host, maker, worker = at_work()
    host.wrong_by_ms = FAR_MS
    for _ in range(20):
        bench.clock.advance(500)
        worker.step()
    bench.propose(maker)
    bench.settle(worker)
    host.wrong_by_ms = 0
    bench.clock.advance(1_000)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED] * 3
    assert stream_time_ms(bench) <= bench.clock.now_ms()


@pytest.mark.parametrize("wrong_by_ms", [FAR_MS, -FAR_MS])
def test_a_record_ahead_is_set_aside_also_while_the_hosts_clock_is_wrong(wrong_by_ms: int) -> None:
    bench, host, maker, worker = at_work()
    host.wrong_by_ms = wrong_by_ms
    bench.propose(maker, received_ms=bench.clock.now_ms() + FAR_MS)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED] * 2
    assert letters(bench, INTENT.name) == [DeadLetterReason.BROKER_TIME_AHEAD]


def test_a_machine_that_has_slept_sets_nothing_aside() -> None:
    bench, host, maker, worker = at_work()
    bench.clock.advance(HOUR_MS // 2)
    host.slept_ms = HOUR_MS // 2
    bench.propose(maker)
    bench.settle(worker)
    assert letters(bench, INTENT.name) == []
    assert len(bench.verdicts()) == 2


def test_a_gate_whose_host_is_30_days_behind_waits_until_its_clock_is_right() -> None:
    bench, maker = WorkerBench(), SessionMaker()
    bench.host_clock = host = HostClock(bench.clock)
    host.wrong_by_ms = -FAR_MS
    bench.establish(maker)
    bench.propose(maker)
    worker = bench.start()
    for _ in range(50):
        worker.step()
    assert bench.verdicts() == []
    host.wrong_by_ms = 0
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED]
    assert letters(bench, INTENT.name) == letters(bench, SESSION.name) == []


def test_a_gate_whose_host_is_30_days_ahead_from_the_start_lets_nothing_expire() -> None:
    bench, host, maker, worker = at_work()
    worker.stop()
    host.wrong_by_ms = FAR_MS
    worker = bench.start()
    for _ in range(20):
        bench.clock.advance(500)
        worker.step()
    host.wrong_by_ms = 0
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts() == [Reason.PERMITTED] * 2


def far_ahead() -> tuple[WorkerBench, SessionMaker]:
    """A partition whose stream time an earlier version has let go 30 days ahead, and no gate."""
    bench, _, maker, worker = at_work()
    worker.stop()
    time_ms = bench.clock.now_ms() + FAR_MS
    bench.log.append(Outgoing(GATE_CHANGELOG.name, 0, STREAM_TIME_KEY, time_ms.to_bytes(8, "big")))
    return bench, maker


def test_a_stream_time_far_ahead_stays_and_is_closed_without_the_operators_word() -> None:
    bench, maker = far_ahead()
    worker = bench.start()
    bench.propose(maker)
    bench.settle(worker)
    assert Reason.PERMITTED not in bench.verdicts()[1:]


def test_a_stream_time_far_ahead_is_set_back_with_a_record_and_an_alert() -> None:
    bench, maker = far_ahead()
    worker = bench.start(resets_time=True)
    bench.settle(worker)
    bench.propose(maker)
    bench.settle(worker)
    assert bench.verdicts()[-1] == Reason.PERMITTED
    assert abs(stream_time_ms(bench) - bench.clock.now_ms()) < HOUR_MS
    found = (wire().decode(AUDIT.name, record.value or b"") for record in bench.raw(AUDIT.name))
    (event,) = [event for event in found if isinstance(event, AuditEvent) and event.reason == "stream_time_reset"]
    (alert,) = [wire().decode(ALERT.name, record.value or b"") for record in bench.raw(ALERT.name)]
    assert isinstance(alert, Alert)
    assert alert.desc == event.reason_text
    # Its successor is told nothing of it again.
    worker.stop()
    worker = bench.start(resets_time=True)
    bench.settle(worker)
    assert len(bench.raw(ALERT.name)) == 1


def test_a_gate_at_work_writes_nothing_to_hear_the_time() -> None:
    """What is committed anyway tells it."""
    bench, maker = WorkerBench(), SessionMaker()
    bench.establish(maker)
    worker = bench.start()
    bench.settle(worker)
    before = bench.log.partition(TopicPartition(GATE_CHANGELOG.name, 0)).high_watermark
    bench.settle(worker)
    assert bench.log.partition(TopicPartition(GATE_CHANGELOG.name, 0)).high_watermark == before
