"""The verifier of calls of `bench.cluster`: it must find each way in which an executor can be wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bench.cluster.calls import Ran, runs_as_arrivals, verify_calls
from bench.cluster.executor_child import notes_path, read_notes
from bench.cluster.reading import Stored
from bench.harness.workload import TEXTS, credential
from bench.harness.workload import intent as made_intent
from bench.harness.world import ROOT_KEY

ARGS = {"order": "25", "amount": 3}
DIGEST = hashlib.sha256(b'{"amount":3,"order":"25"}').digest()
TOOL = {"server_id": "pay", "name": "lookup"}


def decoded(kind: int, number: int) -> UUID:
    """An id as the decoder reads it."""
    return UUID(int=kind << 64 | number)


def intent_id(number: int) -> str:
    return str(decoded(1, number))


def verdict_id(number: int) -> str:
    return str(decoded(2, number))


def intent(number: int, digest: bytes = DIGEST) -> Stored:
    return Stored(0, number, b"", {"intent_id": decoded(1, number), "args_digest": digest})


def verdict(number: int, outcome: str = "ALLOW", **changes: Any) -> Stored:
    fields = {
        "intent_id": decoded(1, number),
        "verdict_id": decoded(2, number),
        "outcome": outcome,
        "args_digest": DIGEST,
        "tool": TOOL,
    }
    return Stored(number, number, b"", {**fields, **changes})


def report(number: int, kind: str = "TOOL_RESULT", said: str = "") -> Stored:
    fields = {"type": kind, "verdict_id": decoded(2, number), "header": {"id": number, "source": said}}
    return Stored(0, 0, f"{kind} {number} {said}".encode(), fields)


def settled(number: int, reason: str = "done", event_type: str = "OUTCOME") -> Stored:
    return Stored(0, 0, b"", {"event_type": event_type, "verdict_id": decoded(2, number), "reason": reason})


def ran(number: int, executor: str = "e-1", **changes: Any) -> Ran:
    return Ran(executor, 10.0 * number, "pay", "lookup", intent_id(number), ARGS)._replace(**changes)


# 0 ran; 1 ran and was cut off; 2 expired; 3 was cut off before its effect; 4 was denied.
INTENTS = [intent(number) for number in range(5)]
VERDICTS = [*(verdict(number) for number in range(4)), verdict(4, "DENY")]
REPORTS = [report(0), report(1), report(2, "TOOL_NOT_RUN"), report(3)]
SETTLED = [
    settled(0),
    settled(1, "outcome_unknown"),
    settled(2, "verdict_expired", "REFUSAL"),
    settled(3, "outcome_unknown"),
]
RAN = [ran(0), ran(1)]


def faults(
    intents: Sequence[Stored] = INTENTS,
    verdicts: Sequence[Stored] = VERDICTS,
    reports: Sequence[Stored] = REPORTS,
    ends: Sequence[Stored] = SETTLED,
    runs: Sequence[Ran] = RAN,
) -> dict[str, list[str]]:
    return dict(verify_calls(intents, verdicts, reports, ends, runs).findings)


def test_it_finds_nothing_in_what_is_right_and_counts_what_did_not_run() -> None:
    message = Stored(0, 0, b"", {"type": "USER_MESSAGE", "verdict_id": None})
    # Another executor has read the verdict again, and said that it was used; a report was stored again.
    ends = [settled(0, "already_used", "REFUSAL"), settled(3, "already_used", "REFUSAL"), *SETTLED]
    calls = verify_calls(INTENTS, VERDICTS, [message, *REPORTS, report(0)], ends, RAN)
    assert calls.findings == []
    assert calls.counts == {"allowed": 4, "ran": 2, "cut_off": 1, "unknown": 1, "repeated_reports": 1}
    assert calls.not_run == {"verdict_expired": 1, "outcome_unknown": 1}


@pytest.mark.parametrize("executor", ["e-1", "e-2"])
def test_it_finds_a_call_that_ran_twice(executor: str) -> None:
    assert faults(runs=[*RAN, ran(1, executor)]) == {"a call that ran twice": [intent_id(1)]}


def test_it_finds_a_call_without_a_verdict() -> None:
    found = {"a call that ran without having been allowed": [intent_id(9)]}
    assert faults(intents=[*INTENTS, intent(9)], runs=[*RAN, ran(9)]) == found


def test_it_finds_a_call_that_was_denied() -> None:
    assert faults(runs=[*RAN, ran(4)]) == {"a call that ran without having been allowed": [intent_id(4)]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": [ran(0, args={**ARGS, "amount": 4}), ran(1)]},
        {"runs": [ran(0, name="refund"), ran(1)]},
        {"runs": [ran(0, server_id="bank"), ran(1)]},
        {"verdicts": [verdict(0, args_digest=bytes(32)), *VERDICTS[1:]]},
        {"intents": [intent(0, bytes(32)), *INTENTS[1:]]},
        {"intents": INTENTS[1:]},
    ],
)
def test_it_finds_a_call_that_is_not_the_judged_one(wrong: dict[str, Any]) -> None:
    assert faults(**wrong) == {"a call that ran otherwise than it was judged": [intent_id(0)]}


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"reports": REPORTS[1:]}, {"a call that ran and was not reported": [intent_id(0)]}),
        (
            {"reports": [report(0, "TOOL_NOT_RUN"), *REPORTS[1:]]},
            {
                "a call that ran and was not reported": [intent_id(0)],
                "a call that ran and was reported as not run": [intent_id(0)],
            },
        ),
        (
            {"reports": [*REPORTS, report(0, said="otherwise")]},
            {"a call with reports that differ": [f"{verdict_id(0)}: header.source"]},
        ),
        ({"reports": [*REPORTS, report(4)]}, {"a report of a call that was not allowed": [verdict_id(4)]}),
        ({"runs": [ran(1)]}, {"a call that was reported as done and did not run": [intent_id(0)]}),
        (
            {"ends": [*SETTLED[:2], SETTLED[3]]},
            {"an allowed call that did not run, without an explanation": [intent_id(2)]},
        ),
        (
            {"ends": [*SETTLED[:2], settled(2, "already_used", "REFUSAL"), SETTLED[3]]},
            {"an allowed call that did not run, without an explanation": [intent_id(2)]},
        ),
    ],
)
def test_it_finds_what_was_reported_wrongly(wrong: dict[str, Any], fault: dict[str, list[str]]) -> None:
    assert faults(**wrong) == fault


def test_calls_run_at_the_partition_of_their_verdict() -> None:
    arrivals = runs_as_arrivals([*RAN, ran(9)], VERDICTS)
    assert [(each.at_ms, each.record.partition) for each in arrivals] == [(0.0, 0), (10.0, 1)]


def test_notes_are_read_over_all_lives_of_an_executor(tmp_path: Path) -> None:
    path = notes_path(tmp_path, "e-1")
    path.write_text("".join(f"{json.dumps(each)}\n" for each in RAN))
    assert read_notes(path) == RAN


def test_each_call_of_the_load_names_its_intent_in_its_arguments() -> None:
    session = credential(ROOT_KEY, 1)
    for number in range(len(TEXTS)):
        made = made_intent(session, number, marked=True)
        args = json.loads(made.args_json)
        assert args[TEXTS[made.tool.server_id, made.tool.name]].endswith(made.intent_id)
        assert made.intent_id == made_intent(session, number).intent_id
