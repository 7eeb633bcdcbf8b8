"""Calls run by a seal or a receipt that counts, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from streams.audit.receipts import Receipt
from streams.audit.seal_key_list import ListedKey, SealKeyList
from streams.audit.seal_keys import RETIRED_RUNS_MS, KeyState, SealKey, SealKeys
from streams.audit.seals import SealedBatch, SealError
from streams.audit.signatures import SigningKey
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.reasons import Refusal
from streams.model.session import SessionEvent
from streams.model.topics import VERDICT
from streams.sdk import (
    UNPROVEN,
    Executor,
    FunctionTool,
    RevocationWatch,
    SealKeyFile,
    SingleUseStore,
    Transport,
    VerdictReader,
)
from streams.sdk.errors import VerdictReadError
from streams.sdk.executor import verdict_reader
from streams.sdk.executor.seal_checks import SealKeySource, Unproven
from streams.sdk.executor.verdict_checks import VERDICT_LIFE_MS_MAX
from tests.unit.sdk.hands import REPORT_KEY, TOOL, begun_store, key_of, make_verdict, write, written
from tests.unit.sdk.loop_hand import Running
from tests.unit.sdk.seal_hand import GATE_KEY, Sealer, SealHand, on_log, seal_on_log, value_of
from tests.unit.sdk.seal_reader import KEYS, PARTITION, Reader, verdicts
from tests.waiting import until


@pytest.fixture
def gate(transport: Transport) -> Iterator[SealHand]:
    made = SealHand(transport)
    yield made
    made.close()


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
            outcome = executor.execute(verdict, key_of(verdict))
            assert (outcome.refusal, calls) == (Refusal.UNPROVEN, [])
            assert "without a receipt" in outcome.text
            reports = written(transport, AuditEvent)
            assert [(each.event_type, each.reason) for each in reports] == [(AuditEventType.REFUSAL, "unproven")]
            assert written(transport, SessionEvent) == []
            receipt = Receipt.of(
                value_of(verdict), key_of(verdict), SealedBatch.read(Sealer(PARTITION).seal([verdict]))
            )
            # The refusal has not used it up.
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
