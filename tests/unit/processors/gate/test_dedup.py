"""What is kept of intents that were decided, and what comes of one that comes again."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker
from streams.engine.state import PartitionState
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.topics import DELEGATION, INTENT, VERDICT
from streams.model.verdict import Outcome
from streams.processors.dedup import segments
from streams.processors.dedup.segments import SEGMENT_BYTES_MAX, SEGMENTS_PER_STEP_MAX, SegmentsRow
from streams.processors.dedup.unproven import UNPROVEN_PER_SESSION_MAX
from streams.processors.dedup.verdicts import _CODES, _OUTCOMES
from streams.processors.row_kinds import RowKind
from streams.processors.rows import (
    UNPROVEN_FLOOD_KEY,
    TimerKind,
    all_rows,
    parse_timer,
    unproven_row_key,
    verdict_row_key,
)
from streams.processors.sessions import retention
from streams.processors.state import VerdictRowV1, encode_row
from streams.stores.memory import MemoryStore
from tests.kit import GATE_SETTINGS, HOUR_MS, MAIL_SEND, MINUTE_MS, GateBench
from tests.unit.delegation.family import MOTHERS_KEY

replace = msgspec.structs.replace
GIVEN_BEFORE = DeadLetterReason.VERDICT_GIVEN_BEFORE
KEY = MOTHERS_KEY
LARGE_BYTES = 260_000
SMALL_BYTES = 150
"""What a decided intent leaves behind is at most so large, its key included."""


def rows(bench: GateBench, kind: RowKind) -> dict[bytes, bytes]:
    return {key: row for key, row in bench.driver.disk.rows(0).items() if key.startswith(kind.prefix)}


def letters(bench: GateBench) -> list[tuple[str, str]]:
    """Reason and text of new dead letters of intents."""
    found = (dict(letter.headers) for letter in bench.driver.read_raw(f"{INTENT.name}.dlq"))
    return [(one["stoplog.reason"].decode(), one["__connect.errors.exception.message"].decode()) for one in found]


class TestProven:
    def test_for_minutes_an_intent_gets_the_same_bytes_again(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        for _ in range(4):
            bench.wait(MINUTE_MS)
            bench.send(intent)
        values = [found.value for found in bench.driver.read_raw(VERDICT.name)]
        assert len(values) == 5
        assert len(set(values)) == 1

    def test_later_its_writer_is_told_which_verdict_it_was_given(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        verdict = bench.verdict()
        bench.wait(10 * MINUTE_MS)
        bench.send(intent)
        assert bench.verdicts() == []
        ((reason, text),) = letters(bench)
        assert reason == GIVEN_BEFORE
        assert verdict.verdict_id in text
        assert f"ALLOW at {verdict.evaluated_at}" in text
        assert Reason.PERMITTED.value in text

    def test_what_is_left_is_small(self) -> None:
        bench = GateBench()
        intents = [bench.propose(), bench.propose(MAIL_SEND, {"to": "attacker@evil.example"})]
        intents.append(bench.propose(session=SessionMaker("s-unknown")))
        bench.wait(10 * MINUTE_MS)
        left = rows(bench, RowKind.VERDICT)
        assert len(left) == len(intents)
        assert all(len(key) + len(row) <= SMALL_BYTES for key, row in left.items())
        assert not rows(bench, RowKind.VERDICT_BYTES)
        assert not rows(bench, RowKind.VERDICT_BYTES_HEAD)

    def test_an_interim_verdict_is_told_of_as_well(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.verdicts()
        bench.wait(6 * MINUTE_MS)
        bench.send(intent)
        assert "REQUIRE_APPROVAL" in letters(bench)[0][1]
        bench.wait(10 * MINUTE_MS)
        assert bench.verdict().reason == Reason.APPROVAL_EXPIRED

    def test_a_partition_keeps_so_many_bytes_and_no_more(self) -> None:
        bench = GateBench(settings=replace(GATE_SETTINGS, verdict_bytes_per_partition_max=100_000))
        intents = []
        for _ in range(200):
            intents.append(bench.propose())
            bench.wait(50)
        kept = rows(bench, RowKind.VERDICT_BYTES)
        assert 100_000 - 2 * SEGMENT_BYTES_MAX < sum(map(len, kept.values())) <= 100_000
        bench.verdicts()
        bench.send(intents[-1])
        bench.send(intents[0])
        assert bench.verdict().intent_id == intents[-1].intent_id
        assert [reason for reason, _ in letters(bench)] == [GIVEN_BEFORE]

    def test_bytes_that_are_not_those_that_were_given_are_not_given(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.verdicts()
        ((key, row),) = rows(bench, RowKind.VERDICT_BYTES).items()
        bench.driver.disk._tables[0].write(key, row[:-1] + bytes((row[-1] ^ 1,)))
        bench.send(intent)
        assert bench.verdicts() == []
        assert [reason for reason, _ in letters(bench)] == [GIVEN_BEFORE]

    def test_an_intent_that_was_denied_before_its_proof_was_asked_for_is_remembered_as_well(self) -> None:
        bench = GateBench(with_session=False)
        intent = bench.propose()
        bench.wait(3_000)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN
        bench.establish(bench.session)
        bench.send(intent)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN
        assert verdict_row_key(bench.session.key, intent.intent_id) in bench.driver.disk.rows(0)


class TestUnproven:
    def forged(self, bench: GateBench, **changes: object) -> Intent:
        return bench.propose(unproven={"proof": None, **changes})

    def test_a_flood_for_one_session_leaves_one_row(self) -> None:
        bench = GateBench()
        before = bench.driver.disk.rows(0).keys()
        sizes = []
        for _ in range(10 * UNPROVEN_PER_SESSION_MAX):
            self.forged(bench)
            kept = bench.driver.disk.rows(0)
            # The partition's count of such intents grows by the digits of a number.
            sizes.append(sum(len(key) + len(row) for key, row in kept.items() if key != UNPROVEN_FLOOD_KEY))
        assert [verdict.reason for verdict in bench.verdicts()] == [Reason.PROOF_MISSING] * len(sizes)
        assert bench.driver.disk.rows(0).keys() - before == {unproven_row_key(bench.session.key), UNPROVEN_FLOOD_KEY}
        assert sizes[-1] == sizes[UNPROVEN_PER_SESSION_MAX]

    def test_one_that_comes_again_is_not_judged_again(self) -> None:
        bench = GateBench()
        intent = self.forged(bench)
        verdict = bench.verdict()
        bench.send(intent)
        assert bench.verdicts() == []
        ((reason, text),) = letters(bench)
        assert reason == GIVEN_BEFORE
        assert verdict.verdict_id in text

    @pytest.mark.parametrize("before", [0, 1, 3])
    @pytest.mark.parametrize("between", [0, 1, 3])
    def test_nor_is_one_among_proven_intents(self, before: int, between: int) -> None:
        bench = GateBench()
        for _ in range(before):
            bench.propose()
        intents = []
        for _ in range(2):
            intents.append(self.forged(bench))
            for _ in range(between):
                bench.propose()
        bench.verdicts()
        for intent in intents:
            bench.send(intent)
        assert bench.verdicts() == []
        assert [reason for reason, _ in letters(bench)] == [GIVEN_BEFORE] * 2

    def test_one_that_was_pushed_out_is_denied_again_under_the_same_id(self) -> None:
        bench = GateBench()
        intent = self.forged(bench)
        first = bench.verdict()
        for _ in range(UNPROVEN_PER_SESSION_MAX):
            self.forged(bench)
        bench.verdicts()
        bench.send(intent)
        again = bench.verdict()
        assert (again.verdict_id, again.outcome) == (first.verdict_id, Outcome.DENY)

    def test_its_id_is_used_up_for_the_session(self) -> None:
        """As it always was: an intent id has one final verdict, whoever used it first."""
        bench = GateBench()
        forged = self.forged(bench)
        bench.verdicts()
        bench.propose(intent_id=forged.intent_id)
        assert bench.verdicts() == []

    def test_a_session_that_nobody_has_opened_is_forgotten(self) -> None:
        bench = GateBench()
        before = bench.driver.disk.rows(0).keys() | {UNPROVEN_FLOOD_KEY}
        for number in range(5):
            bench.propose(session=SessionMaker(f"s-unknown-{number}"), unproven={"proof": None})
        assert len(bench.driver.disk.rows(0).keys() - before) == 5 * 3, "session, list, and timer"
        bench.wait(24 * HOUR_MS)
        assert not [key for key in bench.driver.disk.rows(0) if b"s-unknown" in key]


class TestSignedBeforeTheirGrant:
    """Intents that only a grant can prove: one of them may be allowed later, so none may be judged twice."""

    def bench(self) -> GateBench:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, delegation_uid="g-1")
        return bench

    def denied(self, bench: GateBench, count: int) -> list[Intent]:
        """Intents that have waited for their grant in vain."""
        made: list[Intent] = []
        while len(made) < count:
            made += [bench.propose(delegation_uid="g-1", key=KEY) for _ in range(min(8, count - len(made)))]
            bench.wait(3_000)
        return made

    def test_none_is_judged_a_second_time_when_the_grant_has_come(self) -> None:
        bench = self.bench()
        made = self.denied(bench, UNPROVEN_PER_SESSION_MAX)
        assert [verdict.reason for verdict in bench.verdicts()] == [Reason.DELEGATION_MISSING] * len(made)
        for _ in range(3):
            bench.propose(delegation_uid="g-1", unproven={"proof": None})
            bench.propose(delegation_uid="g-1", key=KEY)
        assert [reason for reason, _ in letters(bench)] == [DeadLetterReason.TOO_MANY_UNPROVEN] * 3
        grant = bench.session.grant("g-1", bench.now_ms, cnf_jkt=KEY.jkt)
        bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
        bench.verdicts()
        for intent in made:
            bench.send(intent)
        assert bench.verdicts() == []
        assert [reason for reason, _ in letters(bench)] == [GIVEN_BEFORE] * len(made)
        assert bench.judge(delegation_uid="g-1", key=KEY).outcome is Outcome.ALLOW

    def test_once_they_are_too_old_they_make_room(self) -> None:
        bench = self.bench()
        made = self.denied(bench, UNPROVEN_PER_SESSION_MAX)
        bench.wait(6 * MINUTE_MS)
        bench.verdicts()
        self.denied(bench, UNPROVEN_PER_SESSION_MAX // 2)
        assert letters(bench) == []
        bench.driver.pipe(DELEGATION.name, bench.session.key, bench.session.grant("g-1", bench.now_ms, cnf_jkt=KEY.jkt))
        bench.verdicts()
        for intent in made:
            bench.send(intent)
        assert {verdict.reason for verdict in bench.verdicts()} == {Reason.INTENT_STALE}

    def test_nothing_is_left_of_them_in_the_end(self) -> None:
        bench = self.bench()
        self.denied(bench, 5)
        bench.wait(72 * HOUR_MS)
        assert not [key for key in bench.driver.disk.rows(0) if bench.session.key in key]


SIZES = st.sampled_from([1, 700, 2_000, 9_000, SEGMENT_BYTES_MAX, 40_000])
STEPS = st.lists(st.tuples(SIZES, st.sampled_from([0, 1, 24, 26, 10_000, 100_000, 301_000])), max_size=60)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, bytes_max=st.sampled_from([1, 30_000, 200_000, 10**9]))
def test_what_is_read_is_what_was_kept_or_nothing(steps: list[tuple[int, int]], bytes_max: int) -> None:
    kept = replace(GATE_SETTINGS, verdict_bytes_per_partition_max=bytes_max)
    state, now_ms = PartitionState(MemoryStore()), 1_000_000
    places: list[tuple[segments.Place, bytes, int]] = []

    def let_pass(until_ms: int) -> int:
        while state.next_due_ms is not None and state.next_due_ms <= until_ms:
            for due_ms, payload in state.due_timers(until_ms, 100):
                assert parse_timer(payload)[0] is TimerKind.VERDICT_BYTES
                state.cancel_timer(due_ms, payload)
                segments.delete_old(state, kept, max(now_ms, due_ms))
        return until_ms

    for number, (size, pause_ms) in enumerate(steps):
        value = number.to_bytes(4, "big") * (size // 4 + 1)
        places.append((segments.append(value, state, kept, now_ms), value, now_ms))
        state.keep_record()
        held = [row for _, row in state.scan(*all_rows(RowKind.VERDICT_BYTES))]
        assert len(held) == 1 or sum(map(len, held)) <= bytes_max
        found = state.get(RowKind.VERDICT_BYTES_HEAD.prefix)
        assert found is not None
        assert msgspec.msgpack.decode(found, type=SegmentsRow).kept_bytes == sum(map(len, held[:-1]))
        now_ms = let_pass(now_ms + pause_ms)
        for place, wanted, kept_ms in places:
            assert segments.read(place, state) in (wanted, None)
            if bytes_max == 10**9 and now_ms - kept_ms < kept.verdict_bytes_retention_ms:
                assert segments.read(place, state) == wanted
            if now_ms - kept_ms > 1.2 * kept.verdict_bytes_retention_ms:
                assert segments.read(place, state) is None
    let_pass(now_ms + 2 * kept.verdict_bytes_retention_ms)
    assert not list(state.scan(*all_rows(RowKind.VERDICT_BYTES)))
    assert not state.get(RowKind.VERDICT_BYTES_HEAD.prefix)


def test_a_step_deletes_a_bounded_number_of_segments() -> None:
    state = PartitionState(MemoryStore())
    for number in range(3 * SEGMENTS_PER_STEP_MAX):
        segments.append(b"x" * 10, state, GATE_SETTINGS, 100 * number)
    later_ms = 10**9
    counts = []
    while state.get(RowKind.VERDICT_BYTES_HEAD.prefix) is not None:
        segments.delete_old(state, GATE_SETTINGS, later_ms)
        counts.append(len(list(state.scan(*all_rows(RowKind.VERDICT_BYTES)))))
        later_ms += 1
    assert counts == [2 * SEGMENTS_PER_STEP_MAX, SEGMENTS_PER_STEP_MAX, 0, 0][: len(counts)]


def test_a_step_deletes_a_bounded_number_of_bytes() -> None:
    state = PartitionState(MemoryStore())
    for number in range(40):
        segments.append(b"x" * LARGE_BYTES, state, GATE_SETTINGS, 100 * number)
    later_ms, left = 10**9, [40]
    while state.get(RowKind.VERDICT_BYTES_HEAD.prefix) is not None:
        segments.delete_old(state, GATE_SETTINGS, later_ms)
        left.append(len(list(state.scan(*all_rows(RowKind.VERDICT_BYTES)))))
        later_ms += 1
    assert left[-1] == 0
    a_step = segments.BYTES_PER_STEP_MAX // LARGE_BYTES + 1
    assert all(before - after <= a_step for before, after in pairwise(left))


def test_housekeeping_reads_a_bounded_number_of_bytes_at_a_time() -> None:
    """Rows of layout 1 hold whole verdicts: thousands of them in one visit were half a gigabyte."""
    state = PartitionState(MemoryStore())
    whole = encode_row(VerdictRowV1(0, True, b"x" * LARGE_BYTES))
    for number in range(40):
        state.put(verdict_row_key(b"acme|s-1", f"i-{number:02}"), whole)
    now_ms, left = 2 * GATE_SETTINGS.dedup_retention_ms, [40]
    retention.keep_house(b"acme|s-1", "", state, GATE_SETTINGS, now_ms)
    while left[-1]:
        left.append(len(list(state.scan(*all_rows(RowKind.VERDICT)))))
        for due_ms, payload in state.due_timers(now_ms + 1, 10):
            state.cancel_timer(due_ms, payload)
            now_ms = due_ms
            retention.keep_house(b"acme|s-1", parse_timer(payload)[2], state, GATE_SETTINGS, now_ms)
    a_visit = retention.BYTES_PER_VISIT_MAX // LARGE_BYTES + 1
    assert all(0 < before - after <= a_visit for before, after in pairwise(left))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_code_of_its_own(outcome: Outcome) -> None:
    assert _OUTCOMES[_CODES[outcome]] is outcome
