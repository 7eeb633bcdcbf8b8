"""Nothing runs before a seal that counts: every line of `docs/explanation/trust.md` about verdicts, tried."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.merkle import leaf_hash
from streams.audit.receipts import Receipt
from streams.audit.seal_key_list import ListedKey, SealKeyList
from streams.audit.seal_keys import RETIRED_RUNS_MS, KeyState, SealKey, SealKeys, SealKeysError, derived_seal_key
from streams.audit.seals import LEAVES_MAX, REPORT_LEAF, VERDICT_LEAF, SealedBatch, SealError, make_seals, read_leaf
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEvent, AuditEventType, Seal
from streams.model.errors import RecordError
from streams.model.proof import report_key_seed, session_secret, session_writer_key
from streams.model.reasons import Refusal
from streams.model.session import SessionEvent
from streams.model.topics import AUDIT, REPORT, SEAL_KEY, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Received
from streams.ports.wire import SCHEMA_ID_HEADER
from streams.sdk import (
    UNPROVEN,
    Executor,
    FunctionTool,
    RevocationWatch,
    SealKeyFile,
    SingleUseStore,
    Transport,
    VerdictReader,
    verdict_reader,
)
from streams.sdk.errors import VerdictReadError
from streams.sdk.seal_checks import HELD_MAX, HELD_MS_MAX, PartitionSeals, SealKeySource, Unproven
from streams.sdk.seal_heads import SealedHead
from streams.sdk.seal_key_file import LOOK_EVERY_MS
from streams.sdk.verdict_checks import VERDICT_LIFE_MS_MAX
from tests.records import records
from tests.unit.sdk.hands import (
    REPORT_KEY,
    ROOT_KEY,
    TENANT,
    TOOL,
    begun_store,
    key_of,
    make_verdict,
    partition_of,
    write,
    written,
)
from tests.unit.sdk.seal_hand import CODEC, GATE_KEY, Sealer, SealHand, on_log, seal_on_log, value_of
from tests.unit.sdk.test_verdict_consumer import Running
from tests.waiting import until


def from_seed(seed: bytes) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))


KEYS = SealKeys.of({"gate": str(GATE_KEY.public)})
PRINCIPALS = {
    "an executor, with the report key of its server": from_seed(report_key_seed(ROOT_KEY, "mail")),
    "the token service, with the key derived from the root key": derived_seal_key(ROOT_KEY),
    "an agent, with the key of its session": from_seed(session_secret(ROOT_KEY, TENANT, "s-1")),
    "a writer of session events, with the key of these": from_seed(session_writer_key(ROOT_KEY)),
    "a person, with a key to publish, review, release or sign attributes": SigningKey.made(),
    "a gate of another deployment": SigningKey.made(),
}
PARTITION = partition_of(key_of(make_verdict()))


@pytest.fixture
def gate(transport: Transport) -> Iterator[SealHand]:
    made = SealHand(transport)
    yield made
    made.close()


class Reader:
    """Feeds records to the check of one partition, as a loop does, and notes what comes of each."""

    def __init__(self, keys: SealKeys = KEYS, partition: int = 0) -> None:
        self.seals = PartitionSeals(partition, lambda: keys, CODEC)
        self.ran: list[int] = []
        self.refused: list[int] = []

    def read(self, *records: Received) -> Reader:
        for received in records:
            if received.key != SEAL_KEY:
                self.seals.hold(received, 0)
                continue
            checked = self.seals.sealed(received)
            self.ran += [each.offset for each in checked.proven]
            self.refused += [each.offset for each, _ in checked.unproven]
        return self


def verdicts(count: int) -> list[Verdict]:
    return [make_verdict() for _ in range(count)]


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


class TestReceipts:
    def receipt(self) -> Receipt:
        made = verdicts(7)
        sealer = Sealer(PARTITION)
        sealer.seal(verdicts(3))
        return Receipt.of(value_of(made[4]), key_of(made[4]), SealedBatch.read(sealer.seal(made)))

    def test_a_receipt_proves_its_verdict(self) -> None:
        self.receipt().check(KEYS)

    @pytest.mark.parametrize(
        "changes",
        [
            {"value": b"other"},
            {"partition": PARTITION + 1},
            {"index": 9},
            {"size": 2},
            {"path": ()},
            {"signed_head": "text"},
            {"signed_head": Sealer(PARTITION).seal(verdicts(7)).signed_head},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_one_that_was_changed_proves_nothing(self, changes: Mapping[str, object]) -> None:
        with pytest.raises(SealError):
            msgspec.structs.replace(self.receipt(), **changes).check(KEYS)

    def test_nor_does_one_of_another_key_or_deployment(self) -> None:
        for keys in (
            SealKeys.of({"other": str(SigningKey.made().public)}),
            SealKeys.of({"gate": str(GATE_KEY.public)}, "test"),
            SealKeys.of([SealKey("gate", GATE_KEY.public, KeyState.REVOKED)]),
        ):
            with pytest.raises(SealError):
                self.receipt().check(keys)

    def test_a_verdict_that_is_not_in_the_batch_has_none(self) -> None:
        with pytest.raises(SealError, match="not among those"):
            Receipt.of(value_of(make_verdict()), b"", SealedBatch.read(Sealer().seal(verdicts(2))))


def executor_of(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    function: Callable[[Mapping[str, object]], object],
    keys: SealKeys | SealKeySource | Unproven = KEYS,
) -> Executor:
    tools = {"mail/send": FunctionTool(function, TOOL.definition_digest)}
    return Executor(transport, ["mail"], tools, store, report_keys=REPORT_KEY, seal_keys=keys, revocations=revocations)


class TestRetiredKeys:
    """A seal says itself when it was made, so whoever has a retired key can date one back."""

    @pytest.mark.parametrize(("ago_ms", "runs"), [(60_000, True), (RETIRED_RUNS_MS + 60_000, False)])
    def test_no_call_runs_by_a_seal_that_is_dated_back(
        self, ago_ms: int, runs: bool, transport: Transport, revocations: RevocationWatch, tmp_path: Path
    ) -> None:
        until_ms = transport.now_ms() - ago_ms
        keys = SealKeys.of([SealKey("old", GATE_KEY.public, KeyState.RETIRED, until_ms)])
        verdict, other = verdicts(2)
        made = Sealer().seal([verdict])
        dated_back = msgspec.structs.replace(made, header=msgspec.structs.replace(made.header, time=until_ms - 1))
        reader = Reader(keys).read(on_log(verdict, 0, 0), seal_on_log(dated_back, 1))
        assert reader.ran == ([0] if runs else [])
        assert runs or "was retired too long ago" in reader.seals.fault
        batch = SealedBatch.read(Sealer(PARTITION).seal([other]))
        receipt = msgspec.structs.replace(Receipt.of(value_of(other), key_of(other), batch), sealed_ms=until_ms - 1)
        # Who looks at what was sealed, such as an auditor, is told that it counted.
        receipt.check(keys)
        with begun_store(tmp_path) as store:
            outcome = executor_of(transport, store, revocations, lambda _args: None, keys).execute(receipt)
        assert outcome.refusal is (None if runs else Refusal.UNPROVEN)

    def test_no_verdict_lives_longer_than_a_retired_key_counts(self) -> None:
        assert RETIRED_RUNS_MS >= VERDICT_LIFE_MS_MAX


class TestHandedOver:
    def test_a_verdict_alone_runs_nothing(
        self, transport: Transport, revocations: RevocationWatch, tmp_path: Path
    ) -> None:
        calls: list[object] = []
        verdict = make_verdict()
        with begun_store(tmp_path) as store:
            executor = executor_of(transport, store, revocations, calls.append)
            for outcome in (
                executor.execute(verdict, key_of(verdict)),
                executor.execute_record(on_log(verdict, 0)),
            ):
                assert (outcome.refusal, calls) == (Refusal.UNPROVEN, [])
                assert "without a receipt" in outcome.text
            reports = written(transport, AuditEvent)
            assert [(each.event_type, each.reason) for each in reports] == [(AuditEventType.REFUSAL, "unproven")] * 2
            assert written(transport, SessionEvent) == []
            receipt = Receipt.of(
                value_of(verdict), key_of(verdict), SealedBatch.read(Sealer(PARTITION).seal([verdict]))
            )
            # The refusals have not used it up.
            assert executor.execute(receipt).ran
            assert executor.execute(receipt).refusal is Refusal.ALREADY_USED
            assert len(calls) == 1

    def test_a_false_receipt_runs_nothing(
        self, transport: Transport, revocations: RevocationWatch, tmp_path: Path
    ) -> None:
        calls: list[object] = []
        real, forged = verdicts(2)
        batch = SealedBatch.read(Sealer(PARTITION).seal([real]))
        receipt = Receipt.of(value_of(real), key_of(real), batch)
        with begun_store(tmp_path) as store:
            executor = executor_of(transport, store, revocations, calls.append)
            for false, refusal in (
                (msgspec.structs.replace(receipt, value=value_of(forged)), Refusal.UNPROVEN),
                (msgspec.structs.replace(receipt, value=b"garbage"), Refusal.UNREADABLE),
                (msgspec.structs.replace(receipt, key=b"acme|s-2"), Refusal.KEY_MISMATCH),
            ):
                assert executor.execute(false).refusal is refusal
            assert calls == []

    def test_only_a_loud_setting_does_without(
        self,
        transport: Transport,
        revocations: RevocationWatch,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        calls: list[object] = []
        verdict = make_verdict()
        with begun_store(tmp_path) as store:
            executor = executor_of(transport, store, revocations, calls.append, UNPROVEN)
            assert "runs verdicts that nothing proves" in caplog.text
            assert executor.execute(verdict, key_of(verdict)).ran

    def test_a_host_gets_receipts_from_its_reader(
        self, transport: Transport, revocations: RevocationWatch, gate: SealHand, tmp_path: Path
    ) -> None:
        calls: list[object] = []
        made = verdicts(3)
        with (
            begun_store(tmp_path) as store,
            VerdictReader(transport, key_of(made[0])) as reader,
        ):
            executor = executor_of(transport, store, revocations, calls.append)
            write(transport, make_verdict(), key_of(made[0]))  # forged
            gate.commit(*made)
            assert reader.read(made[1].verdict_id) == made[1]
            assert executor.execute(reader.receipt(made[1].verdict_id)).ran
            assert executor.execute(reader.receipt(made[0].verdict_id)).ran
            assert len(calls) == 2

    def test_a_host_that_asks_for_receipts_alone_keeps_no_verdicts(
        self, transport: Transport, gate: SealHand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verdict_reader, "RECEIPTS_MAX", 3)
        made = verdicts(6)
        with VerdictReader(transport, key_of(made[0])) as reader:
            gate.commit(*made)
            assert reader.receipt(made[-1].verdict_id).value == value_of(made[-1])
            assert [reader.read(each.verdict_id, 0) for each in made[3:]] == made[3:]
            with pytest.raises(VerdictReadError, match="is not on"):
                reader.read(made[0].verdict_id, 0)


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


class TestTheLoop:
    def test_only_what_is_sealed_runs(
        self, transport: Transport, revocations: RevocationWatch, gate: SealHand, tmp_path: Path
    ) -> None:
        calls: list[Mapping[str, object]] = []
        real, forged, aborted, unsealed = verdicts(4), verdicts(3), verdicts(2), verdicts(1)
        with (
            begun_store(tmp_path) as store,
            Running(transport, store, revocations, calls.append, seal_keys=KEYS) as running,
        ):
            write(transport, forged[0], key_of(forged[0]))
            gate.commit(*real[:2])
            gate.abort(*aborted)
            write(transport, forged[1], key_of(forged[1]))
            (seal,) = gate.commit(real[2])
            write(transport, forged[2], key_of(forged[2]))
            gate.write_seal(seal, PARTITION)  # again
            gate.commit(*unsealed, with_seal=False)
            gate.commit(real[3])
            until(lambda: len(running.outcomes) == 4, "all that is sealed has run")
            until(lambda: len(refused(transport)) == 4, "the others are reported")
        assert [verdict.verdict_id for verdict, _ in running.outcomes] == [each.verdict_id for each in real]
        assert refused(transport) == sorted(each.verdict_id for each in (*forged, *unsealed))
        assert running.error is None

    def test_a_forged_verdict_does_not_use_up_the_real_one(
        self, transport: Transport, revocations: RevocationWatch, gate: SealHand, tmp_path: Path
    ) -> None:
        calls: list[Mapping[str, object]] = []
        real = make_verdict()
        forged = msgspec.structs.replace(real, reason_text="another text")
        with (
            begun_store(tmp_path) as store,
            Running(transport, store, revocations, calls.append, seal_keys=KEYS) as running,
        ):
            write(transport, forged, key_of(forged))
            gate.commit(make_verdict())
            gate.commit(real)
            until(lambda: len(running.outcomes) == 2, "the real one has run")
        assert running.outcomes[-1][0] == real

    def test_an_executor_that_starts_in_the_middle_of_a_batch_goes_on(
        self, transport: Transport, revocations: RevocationWatch, gate: SealHand, tmp_path: Path
    ) -> None:
        made = verdicts(6)
        gate.commit(*made)
        ran: list[str] = []
        with begun_store(tmp_path) as store:
            # The first of them is done, and its offset committed, when the executor ends.
            consumer = transport.consumer("executor-mail", "e-0")
            listener = _Middle(consumer)
            consumer.subscribe([VERDICT.name], listener)
            until(lambda: bool(listener.places) or consumer.poll(0, 10) is None, "a member")
            place = next(each for each in listener.places if each.partition == PARTITION)
            consumer.commit({place: 3})
            consumer.close()
            with Running(transport, store, revocations, lambda args: ran.append("call"), seal_keys=KEYS) as running:
                until(lambda: len(running.outcomes) == 3, "the rest has run")
        assert [verdict.verdict_id for verdict, _ in running.outcomes] == [each.verdict_id for each in made[3:]]
        assert refused(transport) == []

    def test_an_old_seal_does_not_count_after_a_restart(
        self, transport: Transport, revocations: RevocationWatch, gate: SealHand, tmp_path: Path
    ) -> None:
        """A verdict that was sealed, and never reached the executor, must not run because its seal is written again."""
        calls: list[Mapping[str, object]] = []
        first, held_back, last, after = verdicts(4)
        with begun_store(tmp_path) as store:
            with Running(transport, store, revocations, calls.append, seal_keys=KEYS) as running:
                gate.commit(first)
                old = gate.sealer(PARTITION).seal([held_back])  # not written to the topic
                gate.commit(last)
                until(lambda: len(running.outcomes) == 2, "what is on the log has run")
            with Running(transport, store, revocations, calls.append, seal_keys=KEYS, instance="e-2") as running:
                write(transport, held_back, key_of(held_back))
                gate.write_seal(old, PARTITION)
                gate.commit(after)
                until(lambda: len(running.outcomes) == 1, "the log goes on")
                until(lambda: len(refused(transport)) == 1, "the other is reported")
        assert running.outcomes[0][0] == after
        assert refused(transport) == [held_back.verdict_id]
        assert len(calls) == 3

    def test_it_is_not_ready_while_seals_do_not_count(
        self, transport: Transport, revocations: RevocationWatch, tmp_path: Path
    ) -> None:
        calls: list[Mapping[str, object]] = []
        gate = SealHand(transport, SigningKey.made())
        with (
            begun_store(tmp_path) as store,
            Running(transport, store, revocations, calls.append, seal_keys=KEYS) as running,
        ):
            until(lambda: not running.loop.health().waits_for, "it is ready")
            gate.commit(make_verdict())
            until(lambda: bool(running.loop.health().waits_for), "it is not")
            (missing,) = running.loop.health().waits_for
            assert missing.startswith("seals that count: no key that is trusted here")
            gate.sealer(PARTITION).key = GATE_KEY
            gate.commit(make_verdict())
            until(lambda: len(running.outcomes) == 1, "what is sealed runs")
            until(lambda: not running.loop.health().waits_for, "it is ready again")
        gate.close()

    def test_keys_come_and_go_while_it_runs(
        self, transport: Transport, revocations: RevocationWatch, tmp_path: Path
    ) -> None:
        old, new, holder = SigningKey.made(), SigningKey.made(), SigningKey.made()
        file = tmp_path / "seal-keys.json"
        listed = SealKeyList(deployment="", serial=1, keys=(ListedKey(name="old", key=str(old.public)),))
        file.write_bytes(listed.signed(holder).format())
        keys = SealKeyFile(file, holders={"ann": str(holder.public)})
        calls: list[Mapping[str, object]] = []
        gate = SealHand(transport, old)
        with (
            begun_store(tmp_path) as store,
            Running(transport, store, revocations, calls.append, seal_keys=keys) as running,
        ):
            gate.commit(make_verdict())
            until(lambda: len(running.outcomes) == 1, "a verdict under the old key")
            both = listed.changed((*listed.keys, ListedKey(name="new", key=str(new.public))))
            file.write_bytes(both.signed(holder).format())
            until(lambda: len(keys().keys) == 2, "the list was read")
            gate.sealer(PARTITION).key = new
            gate.commit(make_verdict())
            until(lambda: len(running.outcomes) == 2, "a verdict under the new key")
            revoked = both.changed((ListedKey(name="old", key=str(old.public), state=KeyState.REVOKED), both.keys[1]))
            file.write_bytes(revoked.signed(holder).format())
            until(lambda: any(key.state is KeyState.REVOKED for key in keys().keys.values()), "the list was read")
            gate.sealer(PARTITION).key = old
            stolen = make_verdict()
            gate.commit(stolen)
            gate.sealer(PARTITION).key = new
            last = make_verdict()
            gate.commit(last)
            until(lambda: len(running.outcomes) == 3, "a verdict under the new key")
        assert running.outcomes[-1][0] == last
        assert refused(transport) == [stolen.verdict_id]
        gate.close()


class TestKeyFile:
    HOLDER = SigningKey.made()
    HOLDERS: Mapping[str, str] = {"ann": str(HOLDER.public)}
    LISTED = SealKeyList(deployment="prod", serial=4, keys=(ListedKey(name="gate", key=str(GATE_KEY.public)),))

    class Clock:
        """Time that a test moves."""

        now = 0

        def monotonic_ms(self) -> int:
            return self.now

    def test_a_signed_list_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(self.LISTED.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS)()
        assert (keys.deployment, [key.name for key in keys.keys.values()]) == ("prod", ["gate"])

    def test_nobody_else_makes_a_list(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        good = self.LISTED.signed(self.HOLDER)
        for text, why in (
            (self.LISTED.format(), "not signed by any"),
            (self.LISTED.signed(SigningKey.made()).format(), "not signed by any"),
            (msgspec.structs.replace(good, serial=9).format(), "is not what `ann` has signed"),
            (msgspec.structs.replace(good, deployment="").format(), "is not what `ann` has signed"),
            (b"{}", "malformed"),
            (b"x" * 70_000, "more than"),
            (json.dumps({**json.loads(good.format()), "signatures": [{"kid": "x", "value": "?"}]}).encode(), "base64"),
        ):
            file.write_bytes(text)
            with pytest.raises(SealKeysError, match=why):
                SealKeyFile(file, holders=self.HOLDERS)
        file.write_bytes(b"{}")
        with pytest.raises(SealKeysError, match=re.escape(str(file))):
            SealKeyFile(file, holders=self.HOLDERS)
        with pytest.raises(SealKeysError, match="can't be read"):
            SealKeyFile(tmp_path / "none", holders=None)

    def test_a_bad_list_or_an_old_one_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        file, clock = tmp_path / "keys.json", self.Clock()
        file.write_bytes(self.LISTED.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS, entropy=clock)
        before = keys()
        older = msgspec.structs.replace(self.LISTED, serial=3, keys=(*self.LISTED.keys, *OTHERS))
        for text, why in ((b"{", "malformed"), (older.signed(self.HOLDER).format(), "older than list 4")):
            file.write_bytes(text)
            clock.now += LOOK_EVERY_MS
            assert keys() is before
            assert why in caplog.text
        file.unlink()
        clock.now += LOOK_EVERY_MS
        assert keys() is before
        newer = self.LISTED.changed((*self.LISTED.keys, *OTHERS))
        file.write_bytes(newer.signed(self.HOLDER).format())
        assert keys() is before
        clock.now += LOOK_EVERY_MS
        assert len(keys().keys) == 2

    def test_of_two_changes_of_one_list_the_second_undoes_no_revocation(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file, clock = tmp_path / "keys.json", self.Clock()
        (key,) = self.LISTED.keys
        revoked = self.LISTED.changed((msgspec.structs.replace(key, state=KeyState.REVOKED), *OTHERS))
        added = self.LISTED.changed((key, *OTHERS))
        file.write_bytes(revoked.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS, entropy=clock)
        before = keys()
        file.write_bytes(added.signed(self.HOLDER).format())
        clock.now += LOOK_EVERY_MS
        assert keys() is before
        assert "list 5 of seal keys was read with other keys" in caplog.text
        # To sign the same list once more changes nothing.
        caplog.clear()
        file.write_bytes(revoked.signed(SigningKey.made()).signed(self.HOLDER).format())
        clock.now += LOOK_EVERY_MS
        assert keys() == before
        assert not caplog.text


OTHERS: Sequence[ListedKey] = (ListedKey(name="other", key=str(SigningKey.made().public)),)


class _Middle:
    """Notes which partitions a member has."""

    def __init__(self, consumer: object) -> None:
        self.places: list[object] = []

    def on_assigned(self, partitions: Sequence[object]) -> None:
        self.places = list(partitions)

    def on_revoked(self, partitions: Sequence[object]) -> None:
        pass

    def on_lost(self, partitions: Sequence[object]) -> None:
        pass


def refused(transport: Transport) -> list[str]:
    """The verdicts that were refused as unproven, as the audit log has it."""
    return sorted(
        str(event.verdict_id)
        for event in written(transport, AuditEvent)
        if event.event_type is AuditEventType.REFUSAL and event.reason == "unproven"
    )
