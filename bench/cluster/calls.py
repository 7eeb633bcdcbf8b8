"""Says from the topics, and from what executors have noted, whether every call ran as it was judged, and once. Pure.

The executors' own record of used verdicts is not asked: it is what is on trial.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.cluster.reading import Arrival, Stored
from bench.cluster.verifier import Finding

# How executors and the gates' audit name things.
DONE, UNKNOWN, ALREADY_USED = "done", "outcome_unknown", "already_used"
RAN_REPORT, NOT_RUN_REPORT = "TOOL_RESULT", "TOOL_NOT_RUN"
SETTLED = frozenset({"OUTCOME", "REFUSAL"})


class Ran(NamedTuple):
    """A call that has run: what the tool itself has noted, at the moment of its effect.

    Attributes:
        executor: which of them.
        at_ms: when, since the epoch.
        args: the arguments that the tool was given.
    """

    executor: str
    at_ms: float
    server_id: str
    name: str
    intent_id: str
    args: Mapping[str, object]


class Calls(NamedTuple):
    """What came of the allowed calls.

    Attributes:
        findings: what must not be.
        counts: `allowed`, `ran` (calls with an effect), `cut_off` (of these, reported as unknown since a kill cut them
            off), `unknown` (without an effect, reported as unknown), and `repeated_reports` (stored again, the same).
        not_run: allowed calls without an effect, by the reason that was reported.
    """

    findings: list[Finding]
    counts: dict[str, int]
    not_run: dict[str, int]


def verify_calls(
    intents: Sequence[Stored],
    verdicts: Sequence[Stored],
    reports: Sequence[Stored],
    settled: Sequence[Stored],
    ran: Sequence[Ran],
) -> Calls:
    """Compare what ran with what was allowed, and with what was reported.

    Args:
        intents: all records of the intent topic.
        verdicts: likewise, committed.
        reports: all records of the topic that executors report to gates on.
        settled: all audit records of executors.
        ran: the calls that ran, of all executors.

    Returns:
        No finding where each call that ran was allowed, with these arguments, and ran once; where it has one report,
        which may have been stored several times; and where each allowed call that did not run has an explanation.
    """
    proposed = {str(each.fields["intent_id"]): each.fields for each in intents}
    allowed = {intent_id: each.fields for intent_id, each in _allowed(verdicts).items()}
    effects: defaultdict[str, list[Ran]] = defaultdict(list)
    for each in ran:
        effects[each.intent_id].append(each)
    told, ends = _by_verdict(reports), _ends(settled)
    ran_ids, verdict_ids = allowed.keys() & effects.keys(), {each["verdict_id"] for each in allowed.values()}
    not_run = {intent_id: ends.get(allowed[intent_id]["verdict_id"]) for intent_id in allowed.keys() - effects.keys()}
    checks: dict[str, Iterable[str]] = {
        "a call that ran twice": (intent_id for intent_id, found in effects.items() if len(found) > 1),
        "a call that ran without having been allowed": effects.keys() - allowed.keys(),
        "a call that ran otherwise than it was judged": (
            intent_id
            for intent_id in ran_ids
            if not all(_is_as_judged(each, proposed.get(intent_id), allowed[intent_id]) for each in effects[intent_id])
        ),
        "a call that ran and was not reported": (
            intent_id for intent_id in ran_ids if not _has(told, allowed[intent_id], RAN_REPORT)
        ),
        "a call that ran and was reported as not run": (
            intent_id for intent_id in ran_ids if _has(told, allowed[intent_id], NOT_RUN_REPORT)
        ),
        "a call that was reported as done and did not run": (
            intent_id for intent_id, reason in not_run.items() if reason == DONE
        ),
        "an allowed call that did not run, without an explanation": (
            intent_id for intent_id, reason in not_run.items() if reason in (None, ALREADY_USED)
        ),
        "a call with reports that differ": (
            f"{verdict_id}: {', '.join(_differing(found))}"
            for verdict_id, found in told.items()
            if len({each.value for each in found}) > 1
        ),
        "a report of a call that was not allowed": map(str, told.keys() - verdict_ids),
    }
    counts = {
        "allowed": len(allowed),
        "ran": len(ran_ids),
        "cut_off": sum(ends.get(allowed[intent_id]["verdict_id"]) == UNKNOWN for intent_id in ran_ids),
        "unknown": sum(reason == UNKNOWN for reason in not_run.values()),
        "repeated_reports": sum(len(found) - 1 for found in told.values()),
    }
    return Calls(
        [Finding(fault, sorted(found)) for fault, made in checks.items() if (found := list(made))],
        counts,
        dict(Counter(reason or "no report" for reason in not_run.values()).most_common()),
    )


def runs_as_arrivals(ran: Sequence[Ran], verdicts: Sequence[Stored]) -> list[Arrival]:
    """Return when each allowed call had its effect, at its verdict's partition."""
    allowed = _allowed(verdicts)
    return [Arrival(each.at_ms, allowed[each.intent_id]) for each in ran if each.intent_id in allowed]


def _allowed(verdicts: Iterable[Stored]) -> dict[str, Stored]:
    """By the intent's id as text; the decoder reads ids as `UUID`."""
    return {str(each.fields["intent_id"]): each for each in verdicts if each.fields["outcome"] == "ALLOW"}


def _by_verdict(reports: Sequence[Stored]) -> dict[str, list[Stored]]:
    """Return the reports of the ends of calls. What else sessions report names no verdict."""
    found: defaultdict[str, list[Stored]] = defaultdict(list)
    for each in reports:
        if each.fields["type"] in (RAN_REPORT, NOT_RUN_REPORT):
            found[each.fields["verdict_id"]].append(each)
    return dict(found)


def _differing(reports: Sequence[Stored]) -> list[str]:
    """Return the fields in which reports of the same call are not the same; those of the header as `header.time`."""
    flat = [_flat(each.fields) for each in reports]
    return sorted(name for name in set().union(*flat) if any(each.get(name) != flat[0].get(name) for each in flat))


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    inner = {f"header.{name}": value for name, value in fields.get("header", {}).items()}
    return {name: value for name, value in {**fields, **inner}.items() if name != "header"}


def _ends(settled: Sequence[Stored]) -> dict[str, str]:
    """Return how each call ended, by verdict. That it was used before says nothing of how."""
    found: dict[str, str] = {}
    for each in settled:
        fields = each.fields
        if fields["event_type"] in SETTLED and found.get(fields["verdict_id"], ALREADY_USED) == ALREADY_USED:
            found[fields["verdict_id"]] = fields["reason"]
    return found


def _has(told: Mapping[str, Sequence[Stored]], verdict: Mapping[str, Any], kind: str) -> bool:
    return any(each.fields["type"] == kind for each in told.get(verdict["verdict_id"], ()))


def _is_as_judged(ran: Ran, proposed: Mapping[str, Any] | None, verdict: Mapping[str, Any]) -> bool:
    """Return whether a call ran with the tool and the arguments that the agent stated and the gate judged."""
    text = json.dumps(ran.args, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).digest()
    return (
        proposed is not None
        and digest == proposed["args_digest"] == verdict["args_digest"]
        and (ran.server_id, ran.name) == (verdict["tool"]["server_id"], verdict["tool"]["name"])
    )
