"""Nothing runs before a seal that counts: every line of `docs/explanation/trust.md` about verdicts, tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.merkle import leaf_hash
from streams.audit.receipts import Receipt
from streams.audit.seal_keys import KeyState, SealKey, SealKeys, derived_seal_key
from streams.audit.seals import LEAVES_MAX, REPORT_LEAF, VERDICT_LEAF, SealedBatch, SealError, make_seals, read_leaf
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEvent, Seal
from streams.model.errors import RecordError
from streams.model.proof import report_key_seed, session_secret, session_writer_key
from streams.model.topics import AUDIT, REPORT, VERDICT
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER
from streams.sdk.executor.seal_checks import HELD_MAX, HELD_MS_MAX, PartitionSeals
from streams.sdk.executor.seal_heads import SealedHead
from tests.records import records
from tests.unit.sdk.hands import ROOT_KEY, TENANT, begun_store, key_of, make_verdict
from tests.unit.sdk.seal_hand import CODEC, GATE_KEY, Sealer, on_log, seal_on_log, value_of
from tests.unit.sdk.seal_reader import KEYS, Reader, verdicts


def from_seed(seed: bytes) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))


PRINCIPALS = {
    "an executor, with the report key of its server": from_seed(report_key_seed(ROOT_KEY, "mail")),
    "the token service, with the key derived from the root key": derived_seal_key(ROOT_KEY),
    "an agent, with the key of its session": from_seed(session_secret(ROOT_KEY, TENANT, "s-1")),
    "a writer of session events, with the key of these": from_seed(session_writer_key(ROOT_KEY)),
    "a person, with a key to publish, review, release or sign attributes": SigningKey.made(),
    "a gate of another deployment": SigningKey.made(),
}


class TestBatches:
    def test_a_verdict_waits_for_its_seal(self) -> None:
        first, second = verdicts(2)
        reader = Reader().read(on_log(first, 0), on_log(second, 1))
        assert (reader.ran, len(reader.seals)) == ([], 2)
        reader.read(seal_on_log(Sealer().seal([first, second]), 2))
        assert (reader.ran, reader.refused, len(reader.seals)) == ([0, 1], [], 0)

    @given(records(AuditEvent))
    def test_an_audit_record_is_no_verdict_whatever_kinds_a_seal_states(self, record: AuditEvent) -> None:
        """The kinds of leaves are not signed. An audit record that is written as a verdict can't be read as one."""
        value = CODEC.encode(AUDIT.name, record)
        sealer = Sealer()
        (seal,) = sealer.seals([value], record.header.time)
        placed = Received(VERDICT.name, 0, 0, record.header.time, b"acme|s-1", value)
        reader = Reader().read(placed, seal_on_log(msgspec.structs.replace(seal, kinds=b"VV"), 1))
        assert reader.ran == [0]
        with pytest.raises(RecordError):
            CODEC.decode(VERDICT.name, value, ())

    def test_a_forged_verdict_is_refused_wherever_it_stands(self) -> None:
        real, forged = verdicts(2), verdicts(3)
        sealer = Sealer()
        reader = Reader().read(
            on_log(forged[0], 0),
            on_log(real[0], 1),
            on_log(forged[1], 2),
            seal_on_log(sealer.seal([real[0]]), 3),
            on_log(forged[2], 4),
            on_log(real[1], 5),
            seal_on_log(sealer.seal([real[1]]), 6),
        )
        assert (reader.ran, reader.refused) == ([1, 5], [0, 2, 4])

    @given(st.data())
    def test_no_byte_of_a_verdict_can_change(self, data: st.DataObject) -> None:
        verdict = make_verdict()
        value = value_of(verdict)
        at = data.draw(st.integers(0, len(value) - 1))
        changed = value[:at] + bytes((value[at] ^ data.draw(st.integers(1, 255)),)) + value[at + 1 :]
        reader = Reader().read(on_log(verdict, 0)._replace(value=changed), seal_on_log(Sealer().seal([verdict]), 1))
        assert (reader.ran, reader.refused) == ([], [0])

    def test_an_audit_record_is_no_verdict(self) -> None:
        verdict = make_verdict()
        value = b"audit record of " + value_of(verdict)
        reader = Reader().read(on_log(verdict, 0)._replace(value=value), seal_on_log(Sealer().seal([verdict]), 1))
        assert reader.refused == [0]

    def test_the_bytes_of_a_verdict_that_were_reported_are_no_verdict(self) -> None:
        """Gates seal what is reported, whatever it is, and the kinds of leaves are not signed."""
        forged, real = verdicts(2)
        reported = on_log(forged, 0)._replace(topic=REPORT.name)
        sealer = Sealer()
        (seal,), _ = make_seals(
            sealer.frontier,
            [read_leaf(reported), leaf_hash(value_of(real))],
            bytes((REPORT_LEAF, VERDICT_LEAF)),
            partition=0,
            deployment="",
            source="gate",
            now_ms=real.evaluated_at,
            signer=sealer.key,
        )
        for kinds in (seal.kinds, b"VV"):
            sealed = seal_on_log(msgspec.structs.replace(seal, kinds=kinds), 2)
            reader = Reader().read(on_log(forged, 0), on_log(real, 1), sealed)
            assert (reader.ran, reader.refused) == ([1], [0])

    def test_a_header_may_not_name_the_schema_of_what_was_sealed(self) -> None:
        verdict = make_verdict()
        named = on_log(verdict, 0)._replace(headers=((SCHEMA_ID_HEADER, bytes(17)),))
        reader = Reader().read(named, seal_on_log(Sealer().seal([verdict]), 1))
        assert (reader.ran, reader.refused) == ([], [0])

    def test_a_batch_may_have_several_seals(self) -> None:
        made = verdicts(2)
        filler = [b"%d" % number for number in range(LEAVES_MAX // 2)]
        seals = Sealer().seals([value_of(made[0]), *filler, value_of(made[1])], made[0].evaluated_at)
        assert len(seals) == 2
        forged = make_verdict()
        reader = Reader().read(*(on_log(each, offset) for offset, each in enumerate([*made, forged])))
        reader.read(seal_on_log(seals[0], 9))
        assert (reader.ran, reader.refused) == ([0], [])
        reader.read(seal_on_log(seals[1], 10))
        assert (reader.ran, reader.refused) == ([0, 1], [2])

    def test_it_does_not_matter_where_one_begins_to_read(self) -> None:
        made = verdicts(5)
        sealer = Sealer()
        sealer.seal(verdicts(3))  # what was before, and is not read
        seal = sealer.seal(made)
        for begin in range(5):  # or is not there any more: retention has cut the batch
            records = [on_log(each, offset) for offset, each in enumerate(made)][begin:]
            assert Reader().read(*records, seal_on_log(seal, 7)).ran == list(range(begin, 5))

    def test_a_batch_of_which_the_middle_is_gone_is_still_proven(self) -> None:
        made = verdicts(4)
        records = [on_log(made[0], 0), on_log(made[3], 3)]
        assert Reader().read(*records, seal_on_log(Sealer().seal(made), 5)).ran == [0, 3]

    def test_a_verdict_whose_seal_is_gone_is_refused_by_the_next(self) -> None:
        first, second = verdicts(2)
        sealer = Sealer()
        sealer.seal([first])
        reader = Reader().read(on_log(first, 0), on_log(second, 2), seal_on_log(sealer.seal([second]), 3))
        assert (reader.ran, reader.refused) == ([2], [0])

    def test_without_any_seal_it_is_refused_in_the_end(self) -> None:
        reader = Reader().read(on_log(make_verdict(), 4))
        assert reader.seals.overdue(HELD_MS_MAX) == []
        ((received, why),) = reader.seals.overdue(HELD_MS_MAX + 1)
        assert (received.offset, why) == (4, "no seal that counts has followed it")

    def test_what_waits_is_bounded(self) -> None:
        record = on_log(make_verdict(), 0)
        reader = Reader().read(*(record._replace(offset=number) for number in range(HELD_MAX + 3)))
        assert [received.offset for received, _ in reader.seals.overdue(0)] == [0, 1, 2]

    def test_nothing_that_waits_is_forgotten_by_a_restart_of_the_partition_but_the_wait(self) -> None:
        verdict = make_verdict()
        seal = Sealer().seal([verdict])
        reader = Reader().read(on_log(verdict, 0))
        reader.seals.restart()
        assert reader.read(on_log(verdict, 0), seal_on_log(seal, 1)).ran == [0]


class TestSealsThatDoNotCount:
    def passed_over(self, seal: Seal, because: str, keys: SealKeys = KEYS) -> None:
        """The seal changes nothing, and the real one behind it does."""
        verdict = make_verdict()
        reader = Reader(keys).read(on_log(verdict, 10), seal_on_log(seal, 11))
        assert (reader.ran, reader.refused, len(reader.seals)) == ([], [], 1)
        assert because in reader.seals.fault
        ((_, why),) = reader.seals.overdue(HELD_MS_MAX + 1)
        assert because in why
        reader.read(on_log(verdict, 12), seal_on_log(Sealer().seal([verdict]), 13))
        assert reader.ran == ([12] if keys is KEYS else [])

    def test_one_of_another_partition(self) -> None:
        self.passed_over(Sealer(partition=1).seal(verdicts(1)), "stoplog.gate//1")

    def test_one_of_another_deployment_with_the_same_key(self) -> None:
        self.passed_over(Sealer(deployment="test").seal(verdicts(1)), "stoplog.gate/test/0")

    def test_one_of_another_key(self) -> None:
        self.passed_over(Sealer(key=SigningKey.made()).seal(verdicts(1)), "no key that is trusted here")

    @pytest.mark.parametrize("principal", PRINCIPALS)
    def test_one_that_another_principal_has_signed(self, principal: str) -> None:
        """Whoever has other keys of the deployment, and may write the topic, can sign a seal of a forged verdict."""
        forged = make_verdict()
        sealer = Sealer(key=PRINCIPALS[principal])
        reader = Reader().read(on_log(forged, 10), seal_on_log(sealer.seal([forged]), 11))
        assert (reader.ran, len(reader.seals)) == ([], 1)
        assert "no key that is trusted here" in reader.seals.fault
        receipt = Receipt.of(value_of(forged), key_of(forged), SealedBatch.read(sealer.seal([forged])))
        with pytest.raises(SealError, match="no key that is trusted here"):
            receipt.check(KEYS)

    def test_one_of_a_revoked_key(self) -> None:
        keys = SealKeys.of([SealKey("old", GATE_KEY.public, KeyState.REVOKED)])
        self.passed_over(Sealer().seal(verdicts(1)), "`old`", keys)

    def test_one_that_cannot_be_read(self) -> None:
        reader = Reader().read(on_log(make_verdict(), 0))
        good = seal_on_log(Sealer().seal(verdicts(1)), 1)
        for value in (None, b"", b"garbage", (good.value or b"")[:-1], value_of(make_verdict())):
            reader.read(good._replace(value=value))
        assert (reader.ran, reader.refused, len(reader.seals)) == ([], [], 1)

    def test_the_signature_of_another_seal(self) -> None:
        sealer, verdict = Sealer(), make_verdict()
        other = sealer.seal(verdicts(1))
        forged = msgspec.structs.replace(Sealer().seal([verdict]), signed_head=other.signed_head)
        reader = Reader().read(on_log(verdict, 0), seal_on_log(forged, 1))
        assert (reader.ran, len(reader.seals)) == ([], 1)


class TestOrder:
    def test_a_batch_that_is_written_again_runs_nothing(self) -> None:
        first, second, third = verdicts(3)
        sealer = Sealer()
        seals = [sealer.seal([each]) for each in (first, second, third)]
        reader = Reader().read(on_log(first, 0), seal_on_log(seals[0], 1), on_log(second, 2), seal_on_log(seals[1], 3))
        reader.read(on_log(first, 4), seal_on_log(seals[0], 5))
        assert reader.ran == [0, 2]
        assert "written again, or the log was rolled back" in reader.seals.fault
        reader.read(on_log(third, 6), seal_on_log(seals[2], 7))
        assert (reader.ran, reader.refused) == ([0, 2, 6], [4])

    def test_a_head_that_was_rolled_back_does_not_count(self) -> None:
        made = verdicts(3)
        sealer = Sealer()
        before = sealer.frontier
        reader = Reader().read(on_log(made[0], 0), on_log(made[1], 1), seal_on_log(sealer.seal(made[:2]), 2))
        sealer.frontier = before  # a gate whose state is that of yesterday
        reader.read(on_log(made[2], 3), seal_on_log(sealer.seal(made[2:]), 4))
        assert (reader.ran, len(reader.seals)) == ([0, 1], 1)

    def test_a_fork_does_not_count(self) -> None:
        made = verdicts(3)
        sealer, other = Sealer(), Sealer()
        reader = Reader().read(on_log(made[0], 0), seal_on_log(sealer.seal(made[:1]), 1))
        other.seal(made[1:2])  # of the same length, with the same key
        reader.read(on_log(made[2], 2), seal_on_log(other.seal(made[2:]), 3))
        assert reader.ran == [0]
        assert "forked" in reader.seals.fault

    def test_batches_of_others_in_between_are_not_looked_at(self) -> None:
        made = verdicts(2)
        sealer = Sealer()
        reader = Reader().read(on_log(made[0], 0), seal_on_log(sealer.seal(made[:1]), 1))
        reader.read(seal_on_log(sealer.seal(verdicts(4)), 9))
        reader.read(on_log(made[1], 10), seal_on_log(sealer.seal(made[1:]), 11))
        assert reader.ran == [0, 10]

    def test_what_is_read_again_after_a_rebalance_is_no_rollback(self) -> None:
        made = verdicts(2)
        sealer = Sealer()
        records = [
            on_log(made[0], 0), seal_on_log(sealer.seal(made[:1]), 1),
            on_log(made[1], 2), seal_on_log(sealer.seal(made[1:]), 3),
        ]  # fmt: skip
        reader = Reader().read(*records)
        reader.seals.restart()
        assert reader.read(*records).ran == [0, 2, 0, 2]


class TestHeadsOfAnEarlierRun:
    def test_the_log_must_go_on_from_them(self) -> None:
        sealer = Sealer()
        made = verdicts(3)
        seals = [sealer.seal([each]) for each in made]
        before = PartitionSeals(0, lambda: KEYS, CODEC)
        for offset, (verdict, seal) in enumerate(zip(made[:2], seals[:2], strict=True)):
            before.hold(on_log(verdict, 2 * offset), 0)
            assert len(before.sealed(seal_on_log(seal, 2 * offset + 1)).proven) == 1
        assert before.head is not None
        assert (before.origin, before.head.offset, before.head.size) == (KEYS.origin(0), 3, 4)
        after = PartitionSeals(0, lambda: KEYS, CODEC, {before.origin: before.head})
        after.hold(on_log(made[0], 4), 0)
        assert after.sealed(seal_on_log(seals[0], 5)).proven == []
        assert "it was written again, or the log was rolled back" in after.fault
        after.restart()
        after.hold(on_log(made[2], 6), 0)
        assert len(after.sealed(seal_on_log(seals[2], 7)).proven) == 1

    def test_a_log_that_was_made_anew_is_noticed_once_it_has_more_records(self) -> None:
        head = self.head_of(self.log_of(2))
        assert (head.offset, head.size) == (3, 4)
        anew, made = Sealer(), verdicts(3)
        seals = [anew.seal(made[:2]), anew.seal(made[2:])]
        after = PartitionSeals(0, lambda: KEYS, CODEC, {KEYS.origin(0): head})
        after.hold(on_log(made[0], 0), 0)
        # As many records as the log before had, at an offset before its head: that can be.
        assert len(after.sealed(seal_on_log(seals[0], 1)).proven) == 1
        after.hold(on_log(made[2], 2), 0)
        assert after.sealed(seal_on_log(seals[1], 2)).proven == []
        assert after.fault == (
            "another log was sealed at offsets that were read before: it was rolled back or replaced"
        )
        assert len(after) == 1

    def test_so_is_one_that_was_set_back_and_goes_on_otherwise(self) -> None:
        sealer, made = Sealer(), verdicts(3)
        first = sealer.seal(made[:1])
        before = sealer.frontier
        reader = Reader().read(on_log(made[0], 0), seal_on_log(first, 1))
        reader.read(on_log(made[1], 2), seal_on_log(sealer.seal(made[1:2]), 3))
        assert reader.seals.head is not None
        sealer.frontier = before
        after = PartitionSeals(0, lambda: KEYS, CODEC, {KEYS.origin(0): reader.seals.head})
        after.hold(on_log(made[2], 2), 0)
        assert after.sealed(seal_on_log(sealer.seal(made[2:]), 3)).proven == []
        assert "it was rolled back or replaced" in after.fault

    def test_the_log_that_it_is_of_may_be_read_again_from_its_beginning(self) -> None:
        records = self.log_of(3)
        for kept in (self.head_of(records), self.head_of(records[:4])):
            again = Reader()
            again.seals = PartitionSeals(0, lambda: KEYS, CODEC, {KEYS.origin(0): kept})
            assert again.read(*records).ran == [0, 2, 4]
            again.seals.restart()
            assert again.read(*records).ran == [0, 2, 4, 0, 2, 4]

    @staticmethod
    def log_of(count: int) -> list[Received]:
        """Verdicts, each with a seal of its own."""
        sealer = Sealer()
        return [
            record
            for number, verdict in enumerate(verdicts(count))
            for record in (on_log(verdict, 2 * number), seal_on_log(sealer.seal([verdict]), 2 * number + 1))
        ]

    @staticmethod
    def head_of(records: Sequence[Received]) -> SealedHead:
        head = Reader().read(*records).seals.head
        assert head is not None
        return head

    def test_what_was_read_before_may_be_read_again(self) -> None:
        """Offsets are committed later than heads are kept."""
        sealer, (verdict,) = Sealer(), verdicts(1)
        seal = sealer.seal([verdict])
        kept = PartitionSeals(0, lambda: KEYS, CODEC, {KEYS.origin(0): SealedHead(9, 20, b"r" * 32)})
        kept.hold(on_log(verdict, 0), 0)
        assert len(kept.sealed(seal_on_log(seal, 1)).proven) == 1

    def test_those_of_another_deployment_say_nothing(self) -> None:
        sealer, (verdict,) = Sealer(), verdicts(1)
        seals = PartitionSeals(0, lambda: KEYS, CODEC, {KEYS.origin(1): SealedHead(0, 20, b"r" * 32)})
        seals.hold(on_log(verdict, 4), 0)
        assert len(seals.sealed(seal_on_log(sealer.seal([verdict]), 5)).proven) == 1

    def test_the_store_keeps_the_one_that_is_furthest_ahead(self, tmp_path: Path) -> None:
        old, new = SealedHead(3, 4, b"o" * 32), SealedHead(8, 9, b"n" * 32)
        with begun_store(tmp_path) as store:
            store.keep_heads({"a": old, "b": new})
            store.keep_heads({"a": new, "b": old})
            assert store.heads() == {"a": new, "b": new}
        with begun_store(tmp_path) as store:
            assert store.heads() == {"a": new, "b": new}
