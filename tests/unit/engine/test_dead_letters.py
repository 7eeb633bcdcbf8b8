"""Every reason of a dead letter, reached through the driven gate; each letter is on the record, and nothing stops."""

from __future__ import annotations

import pytest

from simulation.records import SessionMaker
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.reasons import DEAD_LETTER_TEXTS, DeadLetterReason, Reason
from streams.model.topics import AUDIT_REPORTED, BUDGET_REQUEST, INTENT
from streams.ports import Outgoing
from tests.kit import FILES_READ, GateBench, wire
from tests.unit.engine.dead_letters import control, intents, sessions, unreadable

# Some cases leave no rules, or not this tool, in force.
WHEN_IT_GOES_ON = (Reason.PERMITTED, Reason.NO_RULESET, Reason.TOOL_UNKNOWN)
CASES = unreadable.CASES | sessions.CASES | intents.CASES | control.CASES


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_reached(name: str) -> None:
    reason, send = CASES[name]
    bench, topic = send()
    letters = bench.driver.read_raw(f"{topic}.dlq")
    assert [dict(letter.headers)["stoplog.reason"].decode() for letter in letters] == [reason.value]
    (audit,) = bench.audits(AuditEventType.DEAD_LETTER)
    headers = dict(letters[0].headers)
    place = "/".join(headers[f"__connect.errors.{part}"].decode() for part in ("topic", "partition", "offset"))
    assert (audit.reason, audit.inputs) == (reason.value, (place,))
    assert audit.reason_text
    _assert_goes_on(bench)


def _assert_goes_on(bench: GateBench) -> None:
    """The partition has not stopped: another session's intent is judged as if nothing had happened."""
    other = SessionMaker("s-after")
    bench.establish(other)
    assert bench.judge(FILES_READ, {"path": "b.txt"}, session=other).reason in WHEN_IT_GOES_ON


def test_an_intent_on_two_partitions_has_one_final_verdict() -> None:
    """A writer may name any partition; the state of another one does not know what was decided before."""
    bench = GateBench(partitions=2)
    intent = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    value = wire().encode(INTENT.name, intent)
    for partition in (0, 1):
        bench.driver.log.append(Outgoing(INTENT.name, partition, bench.session.key, value))
    bench.driver.settle()
    assert [verdict.intent_id for verdict in bench.verdicts()] == [intent.intent_id]
    assert bench.dead_letters(INTENT.name) == [DeadLetterReason.PARTITION_MISMATCH]


def test_what_a_budget_allocator_could_not_process_it_reports_on_a_topic_of_its_own() -> None:
    """The gate that owns the partition is the one writer of its audit records."""
    bench = GateBench()
    bench.driver.pipe(BUDGET_REQUEST.name, b"a budget", b"garbage")
    assert bench.dead_letters(BUDGET_REQUEST.name) == [DeadLetterReason.FRAMING_INVALID.value]
    (reported,) = [read.record for read in bench.driver.read(AUDIT_REPORTED.name)]
    assert isinstance(reported, AuditEvent)
    assert (reported.event_type, reported.reason) == (AuditEventType.DEAD_LETTER, DeadLetterReason.FRAMING_INVALID)
    assert bench.audits(AuditEventType.DEAD_LETTER) == []


def test_no_reason_is_left_out() -> None:
    # Of a status of an alert, the watch makes it: tests/unit/processors/watch/test_feedback.py.
    reached = {reason for reason, _ in CASES.values()} | {DeadLetterReason.ALERT_STATUS_UNPROVEN}
    unreached = sorted(reason.value for reason in set(DeadLetterReason) - reached)
    assert not unreached, f"no case reaches: {', '.join(unreached)}"


def test_every_reason_has_its_text() -> None:
    assert set(DEAD_LETTER_TEXTS) == set(DeadLetterReason)
