"""What the gate promises of duplicates, of intents that wait for their session, and of hostile ones."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker, revocation
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.model.audit import AuditEventType
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, INTENT, REVOCATION, SESSION, VERDICT
from streams.model.verdict import Outcome
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Arguments, Asked, Case
from streams.processors.gate.checks.arguments import check_arguments
from streams.processors.session_row import SessionRow
from streams.processors.settings import GateSettings
from tests.kit import FILES_READ, GATE_SETTINGS, MAIL_SEND, GateBench, compile_published, wire
from tests.unit.processors.gate_hand import outcomes, requests, session_row

replace = msgspec.structs.replace


class TestDuplicates:
    def test_a_redelivered_intent_gets_the_same_bytes_again(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.wait(5_000)
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        assert len(bench.audits(AuditEventType.VERDICT)) == 1

    def test_it_does_so_after_everything_has_changed(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.ALL, "*", time_ms=bench.now_ms))
        bench.driver.pipe(
            SESSION.name, bench.session.key, bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        )
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value

    def test_another_call_under_the_same_id_gets_the_verdict_of_the_first(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        other = bench.session.intent(MAIL_SEND, {"to": "bob@example.com"}, bench.now_ms, intent_id=intent.intent_id)
        bench.send(other)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value

    def test_it_counts_once(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        for _ in range(3):
            bench.send(intent)
        row = session_row(bench)
        assert row is not None
        assert (row.counters.intents_count, row.counters.allowed_count) == (1, 1)

    def test_the_same_id_in_another_session_is_another_intent(self) -> None:
        bench = GateBench()
        intent = bench.propose()
        other = SessionMaker("s-2")
        bench.establish(other)
        bench.propose(session=other, intent_id=intent.intent_id)
        first, second = bench.verdicts()
        assert first.verdict_id != second.verdict_id
        assert outcomes([first, second]) == [("ALLOW", "permitted")] * 2

    def test_while_it_waits_a_redelivered_intent_gets_the_interim_verdict_again(self) -> None:
        bench = GateBench()
        intent = bench.propose(MAIL_SEND, {"ask": "one"})
        bench.send(intent)
        first, again = bench.driver.read_raw(VERDICT.name)
        assert first.value == again.value
        assert len(requests(bench)) == 1


class TestParking:
    def test_an_intent_that_comes_before_its_session_waits_for_it(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        assert bench.verdicts() == []
        bench.wait(1_999)
        bench.establish(bench.session)
        assert bench.verdict().outcome is Outcome.ALLOW

    def test_the_grace_ends(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.wait(1_999)
        assert bench.verdicts() == []
        bench.wait(1)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN
        bench.establish(bench.session)
        assert bench.verdicts() == []
        assert bench.judge().outcome is Outcome.ALLOW

    def test_those_that_wait_are_judged_in_the_order_they_came_in(self) -> None:
        bench = GateBench(with_session=False)
        proposed = [bench.propose(turn=turn).intent_id for turn in range(8)]
        bench.establish(bench.session)
        assert [verdict.intent_id for verdict in bench.verdicts()] == proposed

    def test_what_waits_is_judged_on_the_state_of_then(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.TENANT, "acme", time_ms=bench.now_ms))
        bench.establish(bench.session)
        assert bench.verdict().reason == Reason.REVOKED_TENANT

    def test_a_session_that_ends_before_it_began_lets_nobody_wait(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, ended)
        assert bench.verdict().reason == Reason.SESSION_ENDED

    def test_other_events_do_not_make_a_session(self) -> None:
        bench = GateBench(with_session=False)
        bench.propose()
        bench.driver.pipe(DELEGATION.name, bench.session.key, bench.session.grant("g-1", bench.now_ms))
        said = bench.session.event(SessionEventType.USER_MESSAGE, bench.now_ms)
        bench.driver.pipe(SESSION.name, bench.session.key, said)
        assert bench.verdicts() == []
        bench.wait(2_000)
        assert bench.verdict().reason == Reason.SESSION_UNKNOWN

    def test_a_parked_intent_that_comes_again_waits_once(self) -> None:
        bench = GateBench(with_session=False)
        intent = bench.propose()
        bench.send(intent)
        bench.establish(bench.session)
        assert len(bench.verdicts()) == 1

    @pytest.mark.parametrize("length", [1, 200_000, 520_000])
    @pytest.mark.parametrize("letter", ["x", '"', "\x00", "\u00e9", "\U0001f40d"])
    def test_nothing_that_waits_can_keep_a_session_from_beginning(self, letter: str, length: int) -> None:
        bench = GateBench(with_session=False)
        text = letter * (length // len(letter.encode()) or 1)
        for changes in ({"sub": text}, {"tool_call_id": text}, {"txn": text}, {"unproven": {"args_json": text}}):
            bench.propose(**changes)
        tool = replace(FILES_READ, name=text)
        bench.propose(tool)
        bench.propose(header=replace(bench.session.intent(FILES_READ, {}, bench.now_ms).header, tracestate=text))
        bench.establish(bench.session)
        assert bench.dead_letters(SESSION.name) == []
        assert bench.judge().outcome is Outcome.ALLOW


class TestHostileIntents:
    @pytest.mark.parametrize(
        ("args", "reason"),
        [
            ('{"path": NaN}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": 9223372036854775808}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": -9007199254740993}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "a", "path": "b"}', Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "\\ud800"}', Reason.ARGS_NOT_CANONICALIZABLE),
            ("[" * 10_000 + "]" * 10_000, Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"a":' * 10_000 + "1" + "}" * 10_000, Reason.ARGS_NOT_CANONICALIZABLE),
            ("[]", Reason.ARGS_NOT_CANONICALIZABLE),
            ("null", Reason.ARGS_NOT_CANONICALIZABLE),
            ("", Reason.ARGS_NOT_CANONICALIZABLE),
            ("\x00", Reason.ARGS_NOT_CANONICALIZABLE),
            ('{"path": "a.txt"}', Reason.ARGS_DIGEST_MISMATCH),  # not in canonical form, as the digest says it is
            ('{"path":"' + "x" * 300_000 + '"}', Reason.ARGS_TOO_LARGE),
            ('{"path":"' + "\u20ac" * 100_000 + '"}', Reason.ARGS_TOO_LARGE),
            ('{"path":[' + "1e20," * 50_000 + "1]}", Reason.ARGS_TOO_LARGE),
        ],
    )
    def test_arguments_without_one_meaning_are_denied(self, args: str, reason: Reason) -> None:
        bench = GateBench()
        assert bench.judge(FILES_READ, args).reason == reason
        assert bench.judge().outcome is Outcome.ALLOW

    def test_two_megabytes_of_arguments_do_not_stop_the_partition(self) -> None:
        bench = GateBench()
        bench.driver.log.alter_config(INTENT.name, {"max.message.bytes": "4000000"})
        small = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
        bench.driver.pipe(INTENT.name, bench.session.key, _grown(small, 2_000_000))
        assert bench.dead_letters(INTENT.name) == [DeadLetterReason.RECORD_TOO_LARGE]
        assert bench.judge().outcome is Outcome.ALLOW

    def test_the_largest_records_that_topics_take_do_not_stop_the_partition(self) -> None:
        bench = GateBench()
        small = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
        for size in (900_000, 983_000, 1_048_000):
            bench.driver.pipe(INTENT.name, bench.session.key, _grown(small, size))
        assert len(bench.verdicts()) + len(bench.dead_letters(INTENT.name)) == 3
        assert bench.judge().outcome is Outcome.ALLOW

    def test_an_intent_that_was_not_proven_leaves_no_trace_in_its_session(self) -> None:
        bench = GateBench()
        before = session_row(bench)
        bench.judge(unproven={"proof": None})
        bench.judge(sub="mallory")
        assert session_row(bench) == before

    def test_a_denied_intent_spends_nothing(self) -> None:
        bench = GateBench()
        bench.judge(MAIL_SEND, {"to": "attacker@evil.example", "amount": 50})
        row = session_row(bench)
        assert row is not None
        assert (row.counters.denied_count, row.counters.spent_minor) == (1, 0)


def _grown(intent: Intent, size: int) -> bytes:
    """The intent's bytes with arguments that make it as large, whatever a codec of ours would say."""
    value = wire().encode(INTENT.name, replace(intent, txn="t"))
    text = b"x" * (size - len(value))
    return value.replace(b"\x02\x02t", b"\x02" + _avro_long(len(text)) + text, 1)


def _avro_long(number: int) -> bytes:
    zigzag, out = number << 1, bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*out, zigzag])


class TestOneReading:
    """What the rules saw is what runs."""

    @pytest.mark.parametrize("sent", ['{"n":7.0,"path":"a"}', '{ "path": "a", "n": 7e0 }', '{"n":7,"path":"\\u0061"}'])
    def test_arguments_are_judged_in_the_form_in_which_they_run(self, sent: str) -> None:
        intent = GateBench().session.intent(FILES_READ, {"n": 7, "path": "a"}, 0)
        case = Case(Asked(replace(intent, args_json=sent), b"acme|s-1", 0, 0), SessionRow())
        rules = Publications(GATE_SETTINGS.bundle_name, UNSIGNED, InlineCompiler(compile_published))
        control = ControlState(rules, Catalog(ANYBODY))
        assert check_arguments(case, control, GateSettings(root_key=bytes(32))) is None
        assert case.arguments == Arguments({"n": 7, "path": "a"}, '{"n":7,"path":"a"}')
        assert isinstance(case.arguments.values["n"], int)

    def test_nothing_is_kept_of_arguments_that_were_not_proven(self) -> None:
        bench = GateBench()
        verdict = bench.judge(unproven={"proof": None})
        assert (verdict.reason, verdict.args_json) == (Reason.PROOF_MISSING, "")

    def test_forged_intents_take_no_places_of_a_session_that_is_to_come(self) -> None:
        bench = GateBench(with_session=False)
        for _ in range(100):
            assert bench.judge(unproven={"proof": None}).reason == Reason.PROOF_MISSING
        bench.propose()
        bench.establish(bench.session)
        assert bench.verdicts()[-1].outcome is Outcome.ALLOW
