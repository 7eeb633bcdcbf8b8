"""Says from the topics alone whether every intent was judged once, recorded once, and in order. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.cluster.reading import Arrival, Stored

FINAL = frozenset({"DENY", "QUARANTINE", "ALLOW"})
NAMED_MAX = 5


class Finding(NamedTuple):
    """Something that must not be, and the intents (or sessions) that it was found with."""

    fault: str
    found: list[str]


def verify(intents: Sequence[Stored], verdicts: Sequence[Stored], audit: Sequence[Stored]) -> list[Finding]:
    """Compare the three topics.

    Args:
        intents: all records of the intent topic, in order by partition.
        verdicts: likewise, committed.
        audit: likewise, committed.

    Returns:
        Nothing where every intent has exactly one final verdict and one audit record of exactly that verdict, and the
        verdicts of each session stand in the order of its intents. An intent that a client has stored several times
        may have its verdict as often, each time in the same bytes.
    """
    stored = Counter(record.fields["intent_id"] for record in intents)
    proposed = stored.keys()
    final = _by_intent(record for record in verdicts if record.fields["outcome"] in FINAL)
    recorded = _by_intent(record for record in audit if _is_of_final_verdict(record.fields))
    checks = {
        "an intent without a final verdict": sorted(proposed - final.keys()),
        "an intent with final verdicts that differ": _differing(final),
        "an intent with more final verdicts than it was stored": sorted(
            intent for intent, records in final.items() if len(records) > max(1, stored[intent])
        ),
        "a final verdict on an intent that is not on the log": sorted(final.keys() - proposed),
        "a final verdict without an audit record": sorted(final.keys() - recorded.keys()),
        "a final verdict with several audit records": _several(recorded),
        "an audit record without its verdict": sorted(recorded.keys() - final.keys()),
        "an audit record that differs from its verdict": _different(final, recorded),
        "a session whose verdicts are out of order": _out_of_order(intents, final),
    }
    return [Finding(fault, found) for fault, found in checks.items() if found]


def silences(
    arrivals: Sequence[Arrival], made_ms: Mapping[str, float], partitions: int, begin_ms: float, end_ms: float
) -> list[float]:
    """Return the longest time in which verdicts were waited for and none came, by partition, in ms.

    A partition without intents is not silent. An intent waits from the moment in which its agent made it, so that what
    an agent can't write to a partition without a leader counts, too.

    Args:
        arrivals: of verdicts.
        made_ms: when intents were made, by id.
        partitions: how many there are.
        begin_ms: only what came after counts.
        end_ms: only what was made before counts.
    """
    longest = [0.0] * partitions
    own: list[list[tuple[float, float]]] = [[] for _ in range(partitions)]
    for at_ms, record in arrivals:
        made = made_ms.get(record.fields["intent_id"])
        if made is not None and at_ms >= begin_ms and made <= end_ms:
            own[record.partition].append((at_ms, made))
    for partition, answers in enumerate(own):
        answers.sort()
        earliest = float("inf")
        # From the end: what is answered later and was made already is what waits.
        for index in range(len(answers) - 1, -1, -1):
            at_ms, made = answers[index]
            earliest = min(earliest, made)
            before_ms = answers[index - 1][0] if index else begin_ms
            longest[partition] = max(longest[partition], at_ms - max(before_ms, earliest))
    return longest


def reasons(arrivals: Iterable[Arrival], begin_ms: float, end_ms: float) -> dict[str, int]:
    """Count final verdicts that came within a time, by outcome and reason."""
    counts = Counter(
        f"{arrival.record.fields['outcome']} {arrival.record.fields['reason']}"
        for arrival in arrivals
        if begin_ms <= arrival.at_ms < end_ms
    )
    return dict(counts.most_common())


def _by_intent(records: Iterable[Stored]) -> dict[str, list[Stored]]:
    found: defaultdict[str, list[Stored]] = defaultdict(list)
    for record in records:
        found[record.fields["intent_id"]].append(record)
    return dict(found)


def _is_of_final_verdict(fields: Mapping[str, Any]) -> bool:
    return fields["event_type"] == "VERDICT" and fields["outcome"] in FINAL


def stored_again(intents: Sequence[Stored]) -> int:
    """Count the records that an agent's client has stored once more.

    It writes idempotently, and yet librdkafka (2.16) sometimes stores a batch a second time when the leader changes
    (https://github.com/confluentinc/librdkafka/issues/4953). Gates don't judge such an intent a second time.
    """
    return len(intents) - len({record.fields["intent_id"] for record in intents})


def _differing(by_intent: Mapping[str, list[Stored]]) -> list[str]:
    return sorted(intent for intent, records in by_intent.items() if len({each.value for each in records}) > 1)


def _several(by_intent: Mapping[str, list[Stored]]) -> list[str]:
    return sorted(intent for intent, records in by_intent.items() if len(records) > 1)


def _different(final: Mapping[str, list[Stored]], recorded: Mapping[str, list[Stored]]) -> list[str]:
    return sorted(
        intent
        for intent, records in recorded.items()
        if intent in final and not _is_record_of(records[0], final[intent][0])
    )


def _is_record_of(record: Stored, verdict: Stored) -> bool:
    """Return whether an audit record reports exactly this verdict, byte by byte, on its partition."""
    told, given = record.fields, verdict.fields
    return (
        told["verdict_digest"] == hashlib.sha256(verdict.value).digest()
        and told["verdict_id"] == given["verdict_id"]
        and told["outcome"] == given["outcome"]
        and record.partition == verdict.partition
    )


def _out_of_order(intents: Sequence[Stored], final: Mapping[str, list[Stored]]) -> list[str]:
    """Return the sessions in which a later intent's verdict was first stored before an earlier one's."""
    last: dict[str, tuple[int, int]] = {}
    wrong: set[str] = set()
    seen: set[str] = set()
    for record in sorted(intents, key=lambda each: (each.partition, each.offset)):
        intent_id = record.fields["intent_id"]
        answers = final.get(intent_id)
        if not answers or intent_id in seen:
            continue
        seen.add(intent_id)
        session, place = record.fields["session_id"], (answers[0].partition, answers[0].offset)
        if session in last and place < last[session]:
            wrong.add(session)
        last[session] = place
    return sorted(wrong)
