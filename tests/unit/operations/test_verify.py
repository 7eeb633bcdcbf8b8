"""Checks of recorded logs: a clean one has no offence, and whatever is done to one is found and placed."""

from __future__ import annotations

import msgspec
import pytest

from simulation.vandal import ACTS, Vandal, flipped
from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.notes import Checkpoint, Note
from streams.audit.seal_keys import KeyState, SealKeys
from streams.audit.seals import AUDIT_LEAF, VERDICT_LEAF, make_seals
from streams.audit.signatures import SigningKey
from streams.history.recording import place_of
from streams.history.workers import create_topics
from streams.inmemory.admin import MemoryAdmin
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.audit import AuditCheckpoint
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, REPORT, SEAL, SEAL_KEY, SESSION, VERDICT
from streams.operations.verify.offences import MEANINGS, OffenceKind
from streams.operations.verify.partition import Ends
from streams.operations.verify.run import REPORTED, LogSource
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER
from streams.topology import GATE
from tests.kit import START_MS
from tests.unit.operations.recorded_log import KEYS, NEW, TOPICS, Log, check, keys, recorded_log
from tests.unit.sdk.seal_hand import CODEC

ALTERATIONS = 1_000
BATCHES, INTENTS = 60, 20


@pytest.fixture(scope="module")
def log() -> Log:
    return recorded_log(BATCHES, INTENTS)


def head_of(log: Log, number: int) -> Checkpoint:
    seals = [each for each in log[VERDICT.name] if each.key == SEAL_KEY]
    return Checkpoint.parse(Note.parse(check(upto(log, seals[number])).head).text)


def upto(log: Log, seal: Received) -> Log:
    """The log as it was when a seal was the last one: all three topics end there."""
    count = sum(each.key == SEAL_KEY and each.offset <= seal.offset for each in log[VERDICT.name])
    verdicts = [each for each in log[VERDICT.name] if each.offset <= seal.offset]
    heads = log[AUDIT_CHECKPOINT.name][:count]
    report = check({**log, VERDICT.name: verdicts, AUDIT_CHECKPOINT.name: heads})
    done = {VERDICT.name: verdicts, AUDIT.name: log[AUDIT.name][: report.audits], AUDIT_CHECKPOINT.name: heads}
    return {**log, **done}


def test_one_client_finds_out_what_there_is_to_read() -> None:
    class Counting(MemoryLog):
        name = "log in memory"
        admins = 0

        def admin(self) -> MemoryAdmin:
            self.admins += 1
            return super().admin()

    clock = ManualClock(START_MS)
    counting = Counting(clock)
    create_topics(counting, GATE, 1)
    source = LogSource(counting, clock)
    assert counting.admins == 1
    assert {place.topic for place in source.reach.ends} >= {VERDICT.name, AUDIT.name, AUDIT_CHECKPOINT.name}
    # Without the notary's topics, which are optional.
    assert not {place.topic for place in source.reach.ends} & set(REPORTED)


class TestCleanLogs:
    def test_nothing_is_found(self, log: Log) -> None:
        report = check(log)
        assert (report.offence, report.unknown) == (None, [])
        assert report.records == sum(map(len, log.values())) > 3_000
        assert report.verdicts > BATCHES * INTENTS, "some verdicts were given again"

    @pytest.mark.parametrize("topic", [*TOPICS, REPORT.name, SESSION.name])
    def test_offsets_that_an_aborted_transaction_has_used_up_are_no_deletion(self, log: Log, topic: str) -> None:
        moved = [each._replace(offset=each.offset + 2) for each in log[topic]]
        report = check({**log, topic: moved}, is_whole=False)
        assert (report.offence, report.unknown) == (None, [])

    def test_a_key_that_was_retired_after_it_has_signed_still_counts(self, log: Log) -> None:
        assert check(log, keys(KeyState.RETIRED, log[VERDICT.name][-1].timestamp_ms)).offence is None

    def test_the_log_goes_on_from_every_head_of_its_own(self, log: Log) -> None:
        for number in (0, 7, -1):
            assert check(log, since=head_of(log, number)).offence is None

    @pytest.mark.parametrize("cut", range(1, 120, 7))
    def test_what_retention_has_deleted_is_unknown_and_no_offence(self, log: Log, cut: int) -> None:
        for audits in (0, cut // 2, cut, 3 * cut):
            shorter = {**log, VERDICT.name: log[VERDICT.name][cut:], AUDIT.name: log[AUDIT.name][audits:]}
            report = check(shorter, is_whole=False)
            assert report.offence is None, (cut, audits, report.offence)
            assert report.unknown
            assert check(shorter).offence is not None

    def test_a_topic_that_retention_has_emptied_is_unknown(self, log: Log) -> None:
        emptied: Log = {**log, VERDICT.name: []}
        report = check(emptied, is_whole=False)
        assert report.offence is None
        assert "its seals are deleted" in report.unknown[0]
        known = head_of(log, 30)
        assert check(emptied, is_whole=False, since=known).offence is None
        for size, root in ((known.size, bytes(32)), (known.size + 1, known.root)):
            assert check(emptied, is_whole=False, since=Checkpoint(known.origin, size, root)).offence is not None
        assert check(emptied).offence is not None

    def test_what_is_being_written_meanwhile_is_no_part_of_the_check(self, log: Log) -> None:
        seals = [each for each in log[VERDICT.name] if each.key == SEAL_KEY]
        done, later = upto(log, seals[20]), upto(log, seals[21])
        # The records of a transaction are there, and the head, and its seal is not yet.
        writing = {**later, VERDICT.name: [each for each in later[VERDICT.name] if each.offset < seals[21].offset]}
        ends = Ends(*(done[name][-1].offset + 1 for name in TOPICS))
        assert check(writing, ends=ends).offence is None
        assert check(writing).offence is not None


class TestKeys:
    def test_a_revoked_key_is_named_where_it_has_signed_first(self, log: Log) -> None:
        offence = check(log, keys(KeyState.REVOKED)).offence
        assert offence is not None
        assert offence.kind is OffenceKind.UNTRUSTED
        assert offence.offset == next(each.offset for each in log[VERDICT.name] if each.key == SEAL_KEY)
        assert "`old`" in offence.text
        assert "revoked" in offence.text

    def test_an_unknown_key_is_found_where_it_begins(self, log: Log) -> None:
        old = KEYS.keys[next(kid for kid, key in KEYS.keys.items() if key.name == "old")]
        offence = check(log, SealKeys.of([old], "prod")).offence
        assert offence is not None
        assert "no key that is trusted here" in offence.text
        assert offence.offset > log[VERDICT.name][len(log[VERDICT.name]) // 3].offset

    def test_a_log_of_another_deployment_is_untrusted(self, log: Log) -> None:
        other = check(log, SealKeys.of({"k": str(SigningKey.made().public)}, "test")).offence
        assert other is not None
        assert other.kind is OffenceKind.UNTRUSTED


class TestTruncation:
    def test_a_cut_of_all_topics_shows_with_a_head_that_was_kept(self, log: Log) -> None:
        seals = [each for each in log[VERDICT.name] if each.key == SEAL_KEY]
        shorter, known = upto(log, seals[20]), head_of(log, 30)
        assert check(shorter).offence is None
        offence = check(shorter, since=known).offence
        assert offence is not None
        assert offence.kind is OffenceKind.TRUNCATED
        assert str(known.size) in offence.text

    def test_a_head_of_another_log_is_a_fork(self, log: Log) -> None:
        known = head_of(log, 30)
        for size, root in ((known.size, bytes(32)), (known.size - 1, known.root)):
            other = Checkpoint(known.origin, size, root)
            offence = check(log, since=other).offence
            assert offence is not None
            assert offence.kind is OffenceKind.FORKED


class TestWhatGatesHaveRead:
    @pytest.mark.parametrize("topic", [REPORT.name, SESSION.name])
    def test_what_was_changed_or_dropped_is_named(self, log: Log, topic: str) -> None:
        records = log[topic]
        at = len(records) // 2
        changed = check({**log, topic: [*records[:at], flipped(records[at], 77), *records[at + 1 :]]}).offence
        assert changed is not None
        assert (changed.kind, changed.place) == (OffenceKind.CHANGED, place_of(records[at]))
        dropped = check({**log, topic: [*records[:at], *records[at + 1 :]]}).offence
        assert dropped is not None
        assert (dropped.kind, dropped.place) == (OffenceKind.MISSING, place_of(records[at + 1]))
        cut = check({**log, topic: records[:-1]}).offence
        assert cut is not None
        assert cut.kind is OffenceKind.TRUNCATED

    def test_first_reports_that_were_changed_are_not_called_deleted(self, log: Log) -> None:
        changed = [flipped(each, 77) for each in log[REPORT.name]]
        offence = check({**log, REPORT.name: changed}, is_whole=False).offence
        assert offence is not None
        assert offence.text == "the topic of reports has none of the reports of this seal: they were changed or deleted"
        assert MEANINGS[offence.kind] == "a record that was sealed is not there any more"

    def test_another_key_or_schema_is_another_record(self, log: Log) -> None:
        records = log[REPORT.name]
        for changes in ({"key": b"acme|s-2"}, {"headers": (*records[9].headers, (SCHEMA_ID_HEADER, b"x"))}):
            altered = [*records[:9], records[9]._replace(**changes), *records[10:]]
            offence = check({**log, REPORT.name: altered}).offence
            assert offence is not None
            assert offence.place == place_of(records[9])

    def test_what_no_gate_has_read_yet_is_unknown(self, log: Log) -> None:
        newest = log[REPORT.name][-1]
        late = newest._replace(offset=newest.offset + 1, value=b"later")
        report = check({**log, REPORT.name: [*log[REPORT.name], late]})
        assert report.offence is None
        assert report.unknown == [f"the reports from offset {late.offset} on: no gate has sealed them yet"]

    def test_what_gates_of_an_earlier_version_have_read_is_unknown(self, log: Log) -> None:
        first, *others = log[REPORT.name]
        earlier = first._replace(value=b"earlier", timestamp_ms=first.timestamp_ms - 1)
        moved = [each._replace(offset=each.offset + 1) for each in (first, *others)]
        report = check({**log, REPORT.name: [earlier, *moved]}, is_whole=False)
        assert report.offence is None
        assert report.unknown == ["1 reports before the first seal: nothing seals them any more"]

    @pytest.mark.parametrize("cut", [1, 30, 333])
    def test_what_retention_has_deleted_is_unknown(self, log: Log, cut: int) -> None:
        shorter = {**log, REPORT.name: log[REPORT.name][cut:]}
        report = check(shorter, is_whole=False)
        assert report.offence is None
        assert any("they are deleted" in text for text in report.unknown)
        assert check(shorter).offence is not None

    @pytest.mark.parametrize("topic", [REPORT.name, SESSION.name, AUDIT.name])
    def test_changed_ones_behind_a_beginning_that_is_gone_are_an_offence(self, log: Log, topic: str) -> None:
        _, *records = log[topic]
        half = len(records) // 2
        for count in (1, half, len(records)):
            changed = [flipped(each, 77) for each in records[:count]]
            for kept in (changed, changed[: count // 2 + 1]):
                offence = check({**log, topic: [*kept, *records[count:]]}, is_whole=False).offence
                assert offence is not None
                assert (offence.kind, offence.place) == (OffenceKind.CHANGED, place_of(records[0])), (count, len(kept))

    @pytest.mark.parametrize("topic", [REPORT.name, SESSION.name, AUDIT.name])
    def test_retention_of_them_or_of_the_seals_or_both_is_no_offence(self, log: Log, topic: str) -> None:
        for records in (0, 1, len(log[topic]) // 2, len(log[topic])):
            for verdicts in (0, 10, 700):
                shorter = {**log, topic: log[topic][records:], VERDICT.name: log[VERDICT.name][verdicts:]}
                report = check(shorter, is_whole=False)
                assert report.offence is None, (records, verdicts, report.offence)
                if records and not verdicts:
                    assert any(text.startswith(f"{records} ") and "not compared" in text for text in report.unknown)

    def test_a_copy_without_them_says_so(self, log: Log) -> None:
        report = check({name: log[name] for name in TOPICS})
        assert report.offence is None
        assert (report.inputs, report.not_compared) == (0, len(log[REPORT.name]) + len(log[SESSION.name]))


class TestBatches:
    def test_a_verdict_without_a_record_is_found(self, log: Log) -> None:
        values = [each.value or b"" for each in log[VERDICT.name] if each.key != SEAL_KEY][:3]
        offence = check(sealed_by_hand(log, values, [log[AUDIT.name][-1].value or b""])).offence
        assert offence is not None
        assert (offence.kind, offence.offset) == (OffenceKind.UNRECORDED, 0)

    def test_a_batch_of_several_seals_is_whole(self, log: Log) -> None:
        verdicts = [each.value or b"" for each in log[VERDICT.name] if each.key != SEAL_KEY]
        audits = [each.value or b"" for each in log[AUDIT.name]]
        large = sealed_by_hand(log, verdicts * 8, audits)
        report = check(large)
        assert (report.offence, report.seals) == (None, 2)
        cut = {**large, VERDICT.name: large[VERDICT.name][100:]}
        assert check(cut, is_whole=False).offence is None
        del large[VERDICT.name][9_000]
        offence = check(large).offence
        assert offence is not None
        assert (offence.kind, offence.offset) == (OffenceKind.MISSING, 9_001)

    def test_a_record_that_is_gone_is_told_from_one_that_was_changed(self) -> None:
        single = recorded_log(12, 1)
        records = single[AUDIT.name]
        for at in range(1, len(records) - 1):
            gone = check({**single, AUDIT.name: [*records[:at], *records[at + 1 :]]}).offence
            assert gone is not None
            assert (gone.kind, gone.offset) == (OffenceKind.MISSING, records[at + 1].offset)
            other = check({**single, AUDIT.name: [*records[:at], flipped(records[at], 99), *records[at + 1 :]]}).offence
            assert other is not None
            assert (other.kind, other.offset) == (OffenceKind.CHANGED, records[at].offset)


def sealed_by_hand(log: Log, verdicts: list[bytes], audits: list[bytes]) -> Log:
    """A log of one transaction: these verdicts, and then these audit records."""
    written = [*verdicts, *audits]
    kinds = bytes([VERDICT_LEAF] * len(verdicts) + [AUDIT_LEAF] * len(audits))
    seals, after = make_seals(
        Frontier(),
        [leaf_hash(each) for each in written],
        kinds,
        partition=0,
        deployment="prod",
        source="gate",
        now_ms=1,
        signer=NEW,
    )
    head = AuditCheckpoint(
        header=msgspec.structs.replace(seals[-1].header, id=derived_uuid("head", seals[-1].signed_head)),
        partition=0,
        tree_size=after.size,
        root=after.root(),
        first_audit_offset=-1,
        signed_head=seals[-1].signed_head,
    )
    key = next(each.key for each in log[VERDICT.name] if each.key != SEAL_KEY)
    on_verdicts = [(key, each) for each in verdicts] + [(SEAL_KEY, CODEC.encode(SEAL.name, each)) for each in seals]
    return {
        VERDICT.name: [Received(VERDICT.name, 0, at, 1, *each) for at, each in enumerate(on_verdicts)],
        AUDIT.name: [Received(AUDIT.name, 0, at, 1, key, each) for at, each in enumerate(audits)],
        AUDIT_CHECKPOINT.name: [
            Received(AUDIT_CHECKPOINT.name, 0, 0, 1, b"0", CODEC.encode(AUDIT_CHECKPOINT.name, head))
        ],
    }


def seals_before(log: Log, topic: str, at: int) -> int:
    """How many seals are good that cover nothing from a record on."""
    return check({**log, topic: log[topic][:at]}).seals


def test_every_alteration_is_found_and_placed(log: Log) -> None:
    small = recorded_log(20, 8)
    missed: list[object] = []
    misplaced: list[object] = []
    for seed in range(ALTERATIONS):
        vandal = Vandal(small, seed)
        act = ACTS[seed % len(ACTS)]
        altered = act(vandal)
        found = check(altered)
        if found.offence is None:
            missed.append((seed, act.__name__, vandal.topic, vandal.at))
            continue
        flipped_place = place_of(small[vandal.topic][vandal.at]) if act is Vandal.flip else found.offence.place
        is_seal = act is Vandal.flip and small[vandal.topic][vandal.at].key == SEAL_KEY
        if found.offence.place != flipped_place and not is_seal:
            misplaced.append((seed, act.__name__, vandal.topic, vandal.at, found.offence))
        # The batches before it are found to be good, and what was done is in the next one.
        if abs(found.seals - seals_before(small, vandal.topic, vandal.at)) > 1:
            misplaced.append((seed, act.__name__, vandal.topic, vandal.at, found.seals, found.offence))
    assert missed == []
    assert misplaced == []
