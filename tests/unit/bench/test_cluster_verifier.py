"""The verifier of `bench.cluster`: it must find each way in which a gate can be wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from bench.cluster.reading import Arrival, Stored
from bench.cluster.verifier import silences, stored_again, verify


def intent(number: int, offset: int | None = None) -> Stored:
    return Stored(0, number if offset is None else offset, b"", {"intent_id": f"i{number}", "session_id": "s"})


def verdict(number: int, offset: int | None = None, outcome: str = "ALLOW", partition: int = 0) -> Stored:
    fields = {"intent_id": f"i{number}", "session_id": "s", "outcome": outcome, "verdict_id": f"v{number}"}
    return Stored(partition, number if offset is None else offset, f"{outcome} i{number}".encode(), fields)


def audit(of: Stored, **changes: Any) -> Stored:
    fields = {
        "event_type": "VERDICT",
        "intent_id": of.fields["intent_id"],
        "verdict_id": of.fields["verdict_id"],
        "outcome": of.fields["outcome"],
        "verdict_digest": hashlib.sha256(of.value).digest(),
    }
    return Stored(of.partition, of.offset, b"", {**fields, **changes})


INTENTS = [intent(number) for number in range(4)]
VERDICTS = [verdict(number) for number in range(4)]
AUDIT = [audit(each) for each in VERDICTS]


def faults(intents: list[Stored], verdicts: list[Stored], records: list[Stored]) -> set[str]:
    return {finding.fault for finding in verify(intents, verdicts, records)}


def test_it_finds_nothing_in_what_is_right() -> None:
    deferred = verdict(0, offset=-1, outcome="DEFER")
    outcome = audit(VERDICTS[0], event_type="OUTCOME")
    assert faults(INTENTS, [deferred, *VERDICTS], [audit(deferred), *AUDIT, outcome]) == set()


@pytest.mark.parametrize(
    ("intents", "verdicts", "records", "fault"),
    [
        (INTENTS, VERDICTS[1:], AUDIT[1:], "an intent without a final verdict"),
        (
            INTENTS,
            [*VERDICTS, verdict(0, offset=9)],
            AUDIT,
            "an intent with more final verdicts than it was stored",
        ),
        (
            [*INTENTS, intent(0, offset=7)],
            [*VERDICTS, verdict(0, offset=8), verdict(0, offset=9)],
            AUDIT,
            "an intent with more final verdicts than it was stored",
        ),
        (
            [*INTENTS, intent(0, offset=7)],
            [*VERDICTS, verdict(0, offset=9, outcome="DENY")],
            AUDIT,
            "an intent with final verdicts that differ",
        ),
        (INTENTS[1:], VERDICTS, AUDIT, "a final verdict on an intent that is not on the log"),
        (INTENTS, VERDICTS, AUDIT[1:], "a final verdict without an audit record"),
        (INTENTS, VERDICTS, [*AUDIT, AUDIT[0]], "a final verdict with several audit records"),
        (INTENTS[1:], VERDICTS[1:], AUDIT, "an audit record without its verdict"),
        (
            INTENTS,
            VERDICTS,
            [audit(verdict(0, outcome="DENY"), outcome="ALLOW"), *AUDIT[1:]],
            "an audit record that differs from its verdict",
        ),
        (
            INTENTS,
            VERDICTS,
            [AUDIT[0]._replace(partition=1), *AUDIT[1:]],
            "an audit record that differs from its verdict",
        ),
        (
            INTENTS,
            [verdict(0, 1), verdict(1, 0), *VERDICTS[2:]],
            [audit(verdict(0, 1)), audit(verdict(1, 0)), *AUDIT[2:]],
            "a session whose verdicts are out of order",
        ),
    ],
)
def test_it_finds_each_fault(intents: list[Stored], verdicts: list[Stored], records: list[Stored], fault: str) -> None:
    assert faults(intents, verdicts, records) == {fault}


def test_an_intent_that_its_client_stored_again_may_have_its_verdict_again() -> None:
    intents = [*INTENTS, intent(0, offset=7)]
    assert faults(intents, [*VERDICTS, verdict(0, offset=9)], AUDIT) == set()
    assert faults(intents, VERDICTS, AUDIT) == set()
    assert (stored_again(intents), stored_again(INTENTS)) == (1, 0)


def arrivals(*at_ms: float) -> list[Arrival]:
    return [Arrival(at, verdict(number)) for number, at in enumerate(at_ms)]


def test_a_partition_is_silent_only_while_intents_wait() -> None:
    made = {"i0": 0.0, "i1": 900.0, "i2": 2_000.0}
    # 990 ms pass between the first two, but the second intent waits for 100 ms of them.
    assert silences(arrivals(10, 1_000, 7_000), made, 1, 0, 10_000) == [5_000]


def test_an_earlier_intent_that_is_answered_later_waits_all_the_time() -> None:
    made = {"i0": 0.0, "i1": 2_900.0, "i2": 100.0}
    assert silences(arrivals(100, 3_000, 3_500), made, 1, 0, 10_000) == [2_900]


def test_only_the_time_of_the_fault_counts() -> None:
    made = {"i0": 0.0, "i1": 5_000.0, "i2": 9_000.0}
    assert silences(arrivals(4_000, 5_100, 9_900), made, 1, 4_500, 8_000) == [100]
    assert silences([], made, 2, 0, 8_000) == [0, 0]
