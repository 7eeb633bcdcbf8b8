"""Checks of what others have put on the record: a clean log has no offence, and whatever is done to one is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random  # noqa: TID251 - it is seeded

import pytest
from msgspec.structs import replace

from simulation.vandal import Log, Vandal, flipped
from streams.audit.merkle import Frontier
from streams.audit.notes import Checkpoint, Note
from streams.audit.seal_keys import KeyState, SealKey, SealKeys
from streams.audit.seals import GATE_LOG, NOTARY_LOG, REPORTED_LEAF, SealedBatch, make_seals, read_leaf
from streams.audit.signatures import SigningKey
from streams.history.recording import place_of
from streams.inmemory.faults import Call
from streams.model.audit import Seal
from streams.model.topics import AUDIT_REPORTED, AUDIT_SEAL, SEAL_KEY
from streams.operations.verify.offences import OffenceKind
from streams.operations.verify.partition import PartitionReport
from streams.operations.verify.reported import ReportedRecords, check_reported
from streams.ports import AbortableTransactionError, Received
from streams.ports.wire import SCHEMA_ID_HEADER
from tests.kit import START_MS, wire
from tests.unit.processors.notary.notary_bench import DEPLOYMENT, NotaryBench
from tests.unit.sdk.seal_hand import CODEC

BATCHES, ALTERATIONS, END = 60, 500, 1_000_000
OLD, NEW = SigningKey.made(), SigningKey.made()
KEYS = SealKeys.of({"old": str(OLD.public), "new": str(NEW.public)}, DEPLOYMENT)
RECORDS, SEALS = AUDIT_REPORTED.name, AUDIT_SEAL.name


@pytest.fixture(scope="module")
def log() -> Log:
    """As real notaries have written it: batches of many sizes, an abort, another key, records that can't be read."""
    bench, rng = NotaryBench(OLD), Random(1)  # noqa: S311 - it guards no secret
    worker = bench.start()
    for number in range(BATCHES):
        if number == BATCHES // 3:
            bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("planned"))
        if number == BATCHES // 2:
            worker.stop()
            bench.signer = NEW
            worker = bench.start("b")
        bench.report(rng.choice((1, 1, 2, 5, 20)))
        if number % 10 == 7:
            bench.write(b"not a record %d" % number)
        bench.settle(worker)
        bench.clock.advance(1_000)
    return {RECORDS: bench.reported(), SEALS: bench.sealed()}


@pytest.fixture(scope="module")
def pairs() -> Log:
    """Sixty records, of which each seal has two."""
    bench = NotaryBench(OLD)
    worker = bench.start()
    for _ in range(30):
        bench.report(2)
        bench.settle(worker)
        bench.clock.advance(1_000)
    found = {RECORDS: bench.reported(), SEALS: bench.sealed()}
    assert [len(each) for each in found.values()] == [60, 30]
    return found


def check(
    log: Log, trusted: SealKeys = KEYS, *, since: Checkpoint | None = None, is_whole: bool = True
) -> PartitionReport:
    recorded = ReportedRecords(0, lambda: iter(log[RECORDS]), lambda: iter(log[SEALS]), END, END)
    return check_reported(recorded, trusted, CODEC, since=since, is_whole=is_whole)


def head_after(log: Log, count: int) -> Checkpoint:
    return Checkpoint.parse(Note.parse(check({**log, SEALS: log[SEALS][:count]}, is_whole=True).head).text)


class TestCleanLogs:
    def test_nothing_is_found(self, log: Log) -> None:
        report = check(log)
        assert (report.offence, report.unknown) == (None, [])
        assert (report.reported, report.seals, report.log) == (len(log[RECORDS]), len(log[SEALS]), NOTARY_LOG)
        assert report.records == sum(map(len, log.values())) > 250

    def test_the_log_goes_on_from_every_head_of_its_own(self, log: Log) -> None:
        for count in (1, 7, len(log[SEALS])):
            assert check(log, since=head_after(log, count)).offence is None

    @pytest.mark.parametrize("cut", [1, 2, 10, 40])
    def test_what_retention_has_deleted_is_unknown_and_no_offence(self, log: Log, cut: int) -> None:
        for records, seals in ((cut, 0), (0, cut), (cut, cut), (4 * cut, cut)):
            shorter = {RECORDS: log[RECORDS][records:], SEALS: log[SEALS][seals:]}
            report = check(shorter, is_whole=False)
            assert report.offence is None, (records, seals, report.offence)
            assert report.unknown
            assert check(shorter).offence is not None

    def test_what_no_notary_has_read_yet_is_unknown(self, log: Log) -> None:
        report = check({**log, SEALS: log[SEALS][:-1]})
        assert report.offence is None
        assert report.unknown[0].endswith("no notary has sealed it yet")
        nothing = check({**log, SEALS: []})
        assert nothing.offence is None
        assert nothing.unknown[0].startswith("what others put on the record from offset 0 on")


class TestABeginningThatIsGone:
    """Retention has deleted the first record, and no seal."""

    def test_changed_records_behind_it_are_an_offence(self, pairs: Log) -> None:
        for count in (1, 2, 30, 59):
            assert_first_changed(pairs, [*altered(pairs, 1, count), *pairs[RECORDS][1 + count :]])

    def test_dropped_records_do_not_hide_changed_ones(self, pairs: Log) -> None:
        changed = altered(pairs, 1, 30)
        assert_first_changed(pairs, [*changed[:10], *pairs[RECORDS][31:]])
        assert_first_changed(pairs, [changed[0], *pairs[RECORDS][31:]])

    def test_records_that_are_dropped_behind_the_first_are_an_offence(self, pairs: Log) -> None:
        offence = check({**pairs, RECORDS: [pairs[RECORDS][1], *pairs[RECORDS][21:]]}, is_whole=False).offence
        assert offence is not None
        assert offence.place == place_of(pairs[RECORDS][21])

    def test_an_invented_record_is_an_offence_at_any_time(self, pairs: Log) -> None:
        (made_up,) = altered(pairs, 1, 1)
        for time_ms in (START_MS, pairs[SEALS][-1].timestamp_ms + 1):
            assert_first_changed(pairs, [made_up._replace(timestamp_ms=time_ms), *pairs[RECORDS][31:]])

    def test_how_many_leaves_were_not_compared_is_told(self, pairs: Log) -> None:
        for count in (1, 2, 31, 60):
            report = check({**pairs, RECORDS: pairs[RECORDS][count:]}, is_whole=False)
            assert (report.offence, report.reported) == (None, 60 - count)
            assert report.unknown[-1] == f"{count} records that are sealed: not compared, since they are deleted"

    def test_new_records_behind_an_emptied_topic_are_unknown(self, pairs: Log) -> None:
        time_ms = pairs[SEALS][-1].timestamp_ms + 1
        new = pairs[RECORDS][-1]._replace(offset=60, value=b"new", timestamp_ms=time_ms)
        report = check({**pairs, RECORDS: [new]}, is_whole=False)
        assert report.offence is None
        assert [text.split(" ")[0] for text in report.unknown] == ["60", "what"]

    def test_retention_of_either_topic_or_both_is_no_offence(self, pairs: Log) -> None:
        for records in range(1, 60, 3):
            for seals in range(0, 30, 4):
                shorter = {RECORDS: pairs[RECORDS][records:], SEALS: pairs[SEALS][seals:]}
                report = check(shorter, is_whole=False)
                assert (report.offence, report.reported) == (None, 60 - max(records, 2 * seals))

    def test_a_record_that_was_read_late_is_not_taken_for_an_unsealed_one(self, pairs: Log) -> None:
        late = [each._replace(timestamp_ms=START_MS) for each in pairs[RECORDS]]
        for records in (1, 31, 59):
            report = check({**pairs, RECORDS: late[records:]}, is_whole=False)
            assert (report.offence, report.reported) == (None, 60 - records)


def altered(log: Log, first: int, count: int) -> list[Received]:
    return [flipped(each, 77) for each in log[RECORDS][first : first + count]]


def assert_first_changed(log: Log, records: list[Received]) -> None:
    offence = check({**log, RECORDS: records}, is_whole=False).offence
    assert offence is not None
    assert (offence.kind, offence.place) == (OffenceKind.CHANGED, place_of(records[0]))


class TestTruncation:
    def test_a_cut_of_both_topics_shows_with_a_head_that_was_kept(self, log: Log) -> None:
        known, seals = head_after(log, 30), log[SEALS][:20]
        shorter = {RECORDS: log[RECORDS][: check({**log, SEALS: seals}).reported], SEALS: seals}
        assert (check(shorter).offence, check(shorter).unknown) == (None, [])
        offence = check(shorter, since=known).offence
        assert offence is not None
        assert offence.kind is OffenceKind.TRUNCATED
        assert str(known.size) in offence.text

    def test_a_head_of_another_log_is_a_fork(self, log: Log) -> None:
        known = head_after(log, 30)
        offence = check(log, since=Checkpoint(known.origin, known.size, bytes(32))).offence
        assert offence is not None
        assert offence.kind is OffenceKind.FORKED


class TestForgeries:
    def test_a_revoked_key_and_one_that_nobody_knows_count_for_nothing(self, log: Log) -> None:
        revoked = SealKeys.of([SealKey("old", OLD.public, KeyState.REVOKED), SealKey("new", NEW.public)], DEPLOYMENT)
        for keys, text in (
            (revoked, "has been revoked"),
            (SealKeys.of({"new": str(NEW.public)}, DEPLOYMENT), "no key"),
        ):
            offence = check(log, keys).offence
            assert offence is not None
            assert (offence.kind, offence.place) == (OffenceKind.UNTRUSTED, place_of(log[SEALS][0]))
            assert text in offence.text

    def test_a_seal_of_a_gates_log_is_none_of_a_notarys(self) -> None:
        offence = check(made(GATE_LOG, bytes((REPORTED_LEAF,)))).offence
        assert offence is not None
        assert offence.kind is OffenceKind.UNTRUSTED
        assert "stoplog.gate/prod/0" in offence.text

    def test_a_leaf_of_another_kind_is_none_of_a_notary(self) -> None:
        assert check(made(NOTARY_LOG, bytes((REPORTED_LEAF,)))).offence is None
        offence = check(made(NOTARY_LOG, b"V")).offence
        assert offence is not None
        assert offence.kind is OffenceKind.CHANGED

    def test_what_a_seal_says_besides_is_signed(self, log: Log) -> None:
        seal = CODEC.decode(SEALS, log[SEALS][5].value, log[SEALS][5].headers)
        assert isinstance(seal, Seal)
        for header in ({"time": seal.header.time - 1}, {"source": "stoplog/gate"}, {"tenant_uid": "acme"}):
            other = replace(seal, header=replace(seal.header, **header))
            assert_changed(log, 5, wire().encode(SEALS, other))
        assert_changed(log, 5, wire().encode(SEALS, replace(seal, continues=True)))

    def test_another_key_or_schema_is_another_record(self, log: Log) -> None:
        for other in ({"key": b"acme|other"}, {"headers": ((SCHEMA_ID_HEADER, bytes(17)),)}):
            altered = log[RECORDS][9]._replace(**other)
            offence = check({**log, RECORDS: [*log[RECORDS][:9], altered, *log[RECORDS][10:]]}).offence
            assert offence is not None
            assert (offence.kind, offence.place) == (OffenceKind.CHANGED, place_of(altered))


def assert_changed(log: Log, at: int, value: bytes) -> None:
    altered = log[SEALS][at]._replace(value=value)
    offence = check({**log, SEALS: [*log[SEALS][:at], altered, *log[SEALS][at + 1 :]]}).offence
    assert offence is not None
    assert (offence.kind, offence.place) == (OffenceKind.CHANGED, place_of(altered))


def made(name: str, kinds: bytes) -> Log:
    """A record, with a seal of a log of this name."""
    record = Received(RECORDS, 0, 0, START_MS, b"acme|s-1", b"value")
    seals, _ = make_seals(
        Frontier(), [read_leaf(record)], kinds, partition=0, deployment=DEPLOYMENT, source="stoplog/notary",
        now_ms=START_MS, signer=OLD, log=name,
    )  # fmt: skip
    value = wire().encode(AUDIT_SEAL.name, seals[0])
    return {RECORDS: [record], SEALS: [Received(SEALS, 0, 0, START_MS, SEAL_KEY, value)]}


ACTS: tuple[Callable[[Vandal], Log], ...] = (Vandal.flip, Vandal.delete, Vandal.swap, Vandal.insert, Vandal.truncate)


def sealed_counts(log: Log) -> Iterator[int]:
    """How many records stand before each seal."""
    for each in log[SEALS]:
        seal = CODEC.decode(SEALS, each.value, each.headers)
        assert isinstance(seal, Seal)
        yield SealedBatch.read(seal).before.size


def test_every_alteration_is_found_and_placed(log: Log) -> None:
    before, unplaced, told = list(sealed_counts(log)), [], 0
    for seed in range(ALTERATIONS):
        act, vandal = ACTS[seed % len(ACTS)], Vandal(log, seed)
        report = check(act(vandal))
        if vandal.topic == SEALS and act in (Vandal.truncate, Vandal.delete) and report.offence is None:
            # The last seals are gone, as if no notary had read the records: the check says of which.
            told += 1
            offset = log[RECORDS][report.reported].offset
            assert report.unknown[-1].startswith(f"what others put on the record from offset {offset} on")
            continue
        at = vandal.at if vandal.topic == SEALS else sum(size <= vandal.at for size in before) - 1
        if report.offence is None or abs(report.seals - at) > 1:
            unplaced.append((seed, act.__name__, vandal.topic, vandal.at, report))
    assert unplaced == []
    assert told < ALTERATIONS // 8
