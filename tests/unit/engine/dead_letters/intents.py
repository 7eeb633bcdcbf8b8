"""Intents, and decisions of people about them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.model.approval import ApprovalStatus
from streams.model.reasons import DeadLetterReason
from streams.model.topics import APPROVAL_DECISION, INTENT
from streams.model.types import Actor, SubProfile
from streams.ports import Outgoing
from streams.ports.processor import Output
from streams.processors.dedup.unproven import UNPROVEN_PER_SESSION_MAX
from streams.processors.gate.gate import Gate
from tests.kit import FILES_READ, HOUR_MS, MAIL_SEND, GateBench
from tests.unit.delegation.family import MOTHERS_KEY
from tests.unit.engine.dead_letters.letter import Cases, Letter, an_intent, encoded, registered_in

CASES: Cases = {}
case = registered_in(CASES)


@case(DeadLetterReason.RECORD_INVALID)
def an_intent_whose_names_would_fill_its_verdict() -> Letter:
    bench = GateBench()
    bench.propose(sub="x" * 600_000)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.RECORD_INVALID)
def an_intent_with_a_name_too_long_to_wait() -> Letter:
    bench = GateBench(with_session=False)
    bench.propose(sub="x" * 600_000)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.BROKER_TIME_AHEAD)
def a_record_that_a_broker_stamped_far_ahead() -> Letter:
    bench = GateBench()
    bench.judge(FILES_READ, {"path": "a.txt"})
    stamped_ms = bench.now_ms + 30 * 24 * HOUR_MS
    bench.driver.log.append(Outgoing(INTENT.name, 0, bench.session.key, encoded()), timestamp_ms=stamped_ms)
    bench.driver.settle()
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.EVENT_FROM_FUTURE)
def an_intent_from_beyond_what_is_remembered() -> Letter:
    bench = GateBench()
    bench.propose(time_ms=bench.now_ms + 24 * HOUR_MS + 1)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.INTENT_TOO_OLD)
def an_intent_from_before_what_is_remembered() -> Letter:
    bench = GateBench()
    bench.propose(time_ms=bench.now_ms - 24 * HOUR_MS)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.VERDICT_GIVEN_BEFORE)
def an_intent_that_comes_again_when_the_bytes_of_its_verdict_are_not_kept_any_longer() -> Letter:
    bench = GateBench()
    intent = bench.propose()
    bench.wait(HOUR_MS // 2)
    bench.send(intent)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.TOO_MANY_UNPROVEN)
def an_intent_that_could_be_proven_later_and_is_one_too_many() -> Letter:
    bench = GateBench()
    for _ in range(UNPROVEN_PER_SESSION_MAX + 1):
        bench.propose(key=MOTHERS_KEY)
    return Letter(bench, INTENT.name)


def decided(**changes: object) -> Letter:
    """A decision about an intent that awaits one, changed."""
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "one"})
    made = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",))
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, replace(made, **changes))
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_AWAITED)
def a_decision_about_what_was_never_asked() -> Letter:
    bench = GateBench()
    decision = bench.session.decision(an_intent(), "lena", bench.now_ms)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_AWAITED)
def a_decision_that_comes_too_late() -> Letter:
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "one"})
    bench.wait(HOUR_MS // 4)
    decision = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",))
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_about_other_arguments() -> Letter:
    return decided(args_digest=bytes(32))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_of_another_task() -> Letter:
    return decided(task_id=an_intent().intent_id)


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_somebody_of_another_group() -> Letter:
    return decided(approver_groups=("interns",))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_a_program() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="bot", sub_profile=SubProfile.AI_AGENT))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_the_subject_alone() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="alice", sub_profile=SubProfile.USER))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_the_agent() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="assistant", sub_profile=SubProfile.USER))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_that_decides_nothing() -> Letter:
    return decided(status=ApprovalStatus.PENDING)


@case(DeadLetterReason.PROCESSING_FAILED)
def a_record_that_the_gate_stumbles_over() -> Letter:
    bench = GateBench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gate, "process", _stumble)
        bench.propose()
    return Letter(bench, INTENT.name)


def _stumble(*_args: object) -> list[Output]:
    raise ZeroDivisionError("a bug")
