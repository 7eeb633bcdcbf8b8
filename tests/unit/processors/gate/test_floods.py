"""Floods of intents: what costs a writer little costs the gate little."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.engine.state import PartitionState
from streams.model import canonical
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.topics import ALERT, DELEGATION, INTENT, VERDICT
from streams.model.verdict import Outcome
from streams.processors.dedup import flood
from streams.processors.dedup.flood import Admission
from streams.processors.gate.checks import arguments
from streams.processors.gate.intents import REPEATED_FREELY_BYTES_MAX
from streams.processors.rows import UNPROVEN_FLOOD_KEY
from streams.stores.memory import MemoryStores
from tests.kit import FILES_READ, GATE_SETTINGS, HOUR_MS, MAIL_SEND, START_MS, GateBench
from tests.unit.delegation.family import MOTHERS_KEY

replace = msgspec.structs.replace
JUDGED = 5
FEW = replace(GATE_SETTINGS, unproven_per_window_max=JUDGED)
TOO_MANY = DeadLetterReason.TOO_MANY_UNPROVEN.value
GIVEN_BEFORE = DeadLetterReason.VERDICT_GIVEN_BEFORE.value
LARGE_ARGS = {"to": "bob@example.com", "body": "x" * 100_000}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the arguments that were parsed."""
    sizes: list[int] = []

    def noted(text: str) -> tuple[dict[str, object], bytes]:
        sizes.append(len(text))
        return canonical.canonical_args(text)

    monkeypatch.setattr(arguments, "canonical_args", noted)
    return sizes


def forged(bench: GateBench, **changes: object) -> Intent:
    return bench.propose(unproven={"proof": None, **changes})


def altered(bench: GateBench, intent: Intent, **changes: object) -> None:
    bench.send(replace(intent, **changes))


def dead_letter_audits(bench: GateBench) -> list[AuditEvent]:
    return bench.audits(AuditEventType.DEAD_LETTER)


class TestProofFirst:
    def test_arguments_without_a_proof_are_not_parsed(self, parsed: list[int]) -> None:
        bench = GateBench()
        assert bench.judge(MAIL_SEND, LARGE_ARGS, unproven={"tool_call_id": "another"}).reason == Reason.PROOF_INVALID
        assert bench.judge(MAIL_SEND, LARGE_ARGS, unproven={"proof": None}).reason == Reason.PROOF_MISSING
        assert parsed == []
        assert bench.judge(MAIL_SEND, {"to": "bob@example.com"}).outcome is Outcome.ALLOW
        assert len(parsed) == 1

    def test_nor_are_they_before_the_session_is_known(self, parsed: list[int]) -> None:
        bench = GateBench()
        strangers = [SessionMaker(f"s-{number}") for number in range(4)]
        for stranger in strangers:
            bench.propose(MAIL_SEND, LARGE_ARGS, session=stranger, unproven={"proof": None})
            bench.propose(MAIL_SEND, LARGE_ARGS, session=stranger, key=MOTHERS_KEY)
        bench.wait(10_000)
        assert {verdict.outcome for verdict in bench.verdicts()} == {Outcome.DENY}
        assert parsed == []

    def test_other_arguments_than_those_of_the_stated_digest_are_no_proven_intent(self) -> None:
        bench = GateBench()
        assert bench.judge().outcome is Outcome.ALLOW
        before = bench.driver.disk.rows(0)[b"s" + bench.session.key]
        verdict = bench.judge(MAIL_SEND, {"to": "bob@example.com"}, unproven={"args_json": '{"to":"eve@example.com"}'})
        assert verdict.reason == Reason.ARGS_DIGEST_MISMATCH
        assert verdict.args_json == ""
        assert bench.driver.disk.rows(0)[b"s" + bench.session.key] == before


class TestKnownIntent:
    def bench(self) -> tuple[GateBench, Intent, bytes]:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, LARGE_ARGS)
        (given,) = bench.driver.read_raw(VERDICT.name)
        assert given.value is not None
        assert len(given.value) > len(LARGE_ARGS["body"])
        return bench, intent, given.value

    def test_whoever_proves_it_and_sends_it_again_gets_its_verdict_again(self) -> None:
        bench, intent, value = self.bench()
        bench.send(intent)
        assert [found.value for found in bench.driver.read_raw(VERDICT.name)] == [value]

    @pytest.mark.parametrize(
        "changes", [{"proof": None}, {"turn": 77}, {"proof": None, "args_json": ""}, {"turn": 77, "args_json": ""}]
    )
    def test_without_a_proof_it_brings_no_verdict(self, changes: dict[str, object]) -> None:
        bench, intent, _ = self.bench()
        altered(bench, intent, **changes)
        assert bench.verdicts() == []
        assert bench.dead_letters(INTENT.name) == [GIVEN_BEFORE]

    def test_without_its_arguments_it_brings_no_large_verdict(self) -> None:
        bench, intent, _ = self.bench()
        altered(bench, intent, args_json="{}")
        assert bench.verdicts() == []
        assert bench.dead_letters(INTENT.name) == [GIVEN_BEFORE]

    def test_a_small_verdict_needs_the_proof_alone(self) -> None:
        bench = GateBench()
        intent = bench.propose(FILES_READ, {"path": "a.txt"}, unproven={"args_json": "{}"})
        (given,) = bench.driver.read_raw(VERDICT.name)
        assert given.value is not None
        assert len(given.value) <= REPEATED_FREELY_BYTES_MAX
        bench.send(intent)
        assert [found.value for found in bench.driver.read_raw(VERDICT.name)] == [given.value]

    def test_one_that_is_signed_gets_its_verdict_again_as_well(self) -> None:
        bench = GateBench(with_session=False)
        bench.establish(bench.session, delegation_uid="g-1")
        grant = bench.session.grant("g-1", bench.now_ms, cnf_jkt=MOTHERS_KEY.jkt)
        bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
        intent = bench.propose(delegation_uid="g-1", key=MOTHERS_KEY)
        assert bench.verdict().outcome is Outcome.ALLOW
        bench.send(intent)
        assert bench.verdict().outcome is Outcome.ALLOW
        altered(bench, intent, turn=77)
        assert bench.verdicts() == []
        assert bench.dead_letters(INTENT.name) == [GIVEN_BEFORE]


class TestFlood:
    def test_so_many_are_judged_and_the_others_have_one_audit_record(self) -> None:
        bench = GateBench(settings=FEW)
        for number in range(4 * JUDGED):
            forged(bench, turn=number)
        assert [verdict.reason for verdict in bench.verdicts()] == [Reason.PROOF_MISSING] * JUDGED
        assert bench.dead_letters(INTENT.name) == [TOO_MANY] * 3 * JUDGED
        assert [event.reason for event in dead_letter_audits(bench)] == [TOO_MANY]
        alerts = [read.record for read in bench.driver.read(ALERT.name)]
        assert [getattr(alert, "analytic_uid", None) for alert in alerts] == [TOO_MANY]
        bench.wait(FEW.unproven_window_ms)
        (common,) = dead_letter_audits(bench)
        assert common.reason == TOO_MANY
        assert common.reason_text.startswith(f"{3 * JUDGED - 1} intents without a valid proof")
        assert UNPROVEN_FLOOD_KEY not in bench.driver.disk.rows(0)
        bench.wait(FEW.unproven_window_ms)
        assert dead_letter_audits(bench) == []

    def test_an_honest_intent_is_judged_amid_it(self) -> None:
        bench = GateBench(settings=FEW)
        for _ in range(2 * JUDGED):
            forged(bench)
        bench.verdicts()
        assert bench.judge().outcome is Outcome.ALLOW

    def test_new_sessions_for_each_do_not_help_and_leave_nothing(self) -> None:
        bench = GateBench(settings=FEW)
        for number in range(JUDGED):
            bench.propose(session=SessionMaker(f"s-{number}"), unproven={"proof": None})
        kept = bench.driver.disk.rows(0).keys()
        for number in range(JUDGED, 4 * JUDGED):
            bench.propose(session=SessionMaker(f"s-{number}"), unproven={"proof": None})
            bench.propose(session=SessionMaker(f"s-{number}"), key=MOTHERS_KEY)
        assert len(bench.verdicts()) == JUDGED
        assert not [key for key in bench.driver.disk.rows(0).keys() - kept if b"s-" in key]

    def test_those_with_a_known_id_count_as_well(self) -> None:
        bench = GateBench(settings=FEW)
        intent = bench.propose()
        for _ in range(2 * JUDGED):
            altered(bench, intent, proof=None)
        assert bench.dead_letters(INTENT.name) == [GIVEN_BEFORE] * JUDGED + [TOO_MANY] * JUDGED

    def test_the_next_window_begins_anew(self) -> None:
        bench = GateBench(settings=FEW)
        for _ in range(3):
            for _ in range(JUDGED):
                forged(bench)
            bench.wait(FEW.unproven_window_ms)
        assert len(bench.verdicts()) == 3 * JUDGED
        assert bench.dead_letters(INTENT.name) == []

    def test_so_it_does_when_stream_time_was_set_back(self) -> None:
        state = PartitionState(MemoryStores().open(0))
        for now_ms in (START_MS + HOUR_MS, START_MS):
            admitted = [flood.admit(state, FEW, now_ms) for _ in range(JUDGED + 3)]
            assert admitted == [Admission.JUDGED] * JUDGED + [Admission.SET_ASIDE] + [Admission.LEFT_OUT] * 2
        # What was left out before is reported with the rest.
        window = flood.end_window(state)
        assert window is not None
        assert window.left_out == 4

    def test_one_that_its_grants_key_has_signed_is_judged_amid_it(self) -> None:
        bench = GateBench(settings=FEW, with_session=False)
        bench.establish(bench.session, delegation_uid="g-1")
        grant = bench.session.grant("g-1", bench.now_ms, cnf_jkt=MOTHERS_KEY.jkt)
        bench.driver.pipe(DELEGATION.name, bench.session.key, grant)
        for number in range(2 * JUDGED):
            bench.propose(delegation_uid="g-1", key=MOTHERS_KEY, unproven={"turn": number + 100})
        assert [verdict.reason for verdict in bench.verdicts()] == [Reason.PROOF_INVALID] * JUDGED
        assert bench.judge(delegation_uid="g-1", key=MOTHERS_KEY).outcome is Outcome.ALLOW
