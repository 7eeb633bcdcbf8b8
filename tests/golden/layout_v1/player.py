"""Runs a gate with its budget allocator on an embedded log and RocksDB stores, at an instant that the caller sets.

The script that made the fixture and the test that reads it share this file. They run it with different versions of the
package, whose modules have other names, so it imports nothing of the package: the caller hands the parts in.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

IDLE_STEPS = 2
STEPS_MAX = 10_000
PARTITIONS = 2


class Parts(NamedTuple):
    """What the player needs of one version of the package.

    Attributes:
        wire: encodes and decodes records.
        clock: a clock that stands still.
        log: an open embedded log on that clock.
        start_worker: takes a processor's name and returns a started worker.
        partition_for: the partition of a key.
        outputs: topics whose records are compared, by the name that this fixture gives them.
    """

    wire: Any
    clock: Any
    log: Any
    start_worker: Any
    partition_for: Any
    outputs: Mapping[str, str]


class Player:
    """Feeds records to the workers and collects what they answer."""

    def __init__(self, parts: Parts, processors: Iterable[str]) -> None:
        self._parts = parts
        self._workers = {name: parts.start_worker(name) for name in processors}
        self._publisher = parts.log.publisher()
        self._positions = self._ends()
        self.settle()

    def start(self, name: str) -> None:
        """Start one more worker."""
        self._workers[name] = self._parts.start_worker(name)
        self.settle()

    def put(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """Append a record and let the workers take it in."""
        self._publisher.publish(self._outgoing(topic, partition, key, value))
        self._publisher.flush(10_000)
        self.settle()

    def advance(self, duration_ms: int) -> None:
        """Let time pass; each timer fires at its own instant."""
        clock = self._parts.clock
        end_ms = clock.now_ms() + duration_ms
        for _ in range(STEPS_MAX):
            due = [worker.next_due_ms for worker in self._workers.values() if worker.next_due_ms is not None]
            if not due or min(due) > end_ms:
                break
            clock.set_ms(min(due))
            self.settle()
        clock.set_ms(end_ms)
        self.settle()

    def settle(self) -> None:
        """Step the workers until they find nothing to do."""
        idle = 0
        for _ in range(STEPS_MAX):
            count = sum([worker.step() for worker in self._workers.values()])
            busy = any(worker.restoring or worker.following for worker in self._workers.values())
            idle = 0 if count or busy else idle + 1
            if idle == IDLE_STEPS:
                return
        raise RuntimeError("the workers do not settle")

    def answers(self) -> list[dict[str, Any]]:
        """What was written to the compared topics since this was last asked, by topic and partition."""
        reader = self._parts.log.reader()
        try:
            ends = self._ends()
            reader.assign(self._positions)
            records = []
            while any(reader.position(at) < end for at, end in ends.items()):
                records += reader.poll(1_000, 0)
            self._positions = ends
        finally:
            reader.close()
        names = {topic: name for name, topic in self._parts.outputs.items()}
        in_order = sorted(records, key=lambda one: (names[one.topic], one.partition, one.offset))
        return [{"topic": names[one.topic], **self._told(names[one.topic], one)} for one in in_order]

    def close(self) -> None:
        """Stop the workers in good order."""
        for worker in self._workers.values():
            worker.stop()
        self._publisher.close()

    def _told(self, name: str, record: Any) -> dict[str, Any]:
        """The fields that must stay the same."""
        if name.startswith("dlq."):
            return {"reason": dict(record.headers)["stoplog.reason"].decode()}
        made = self._parts.wire.decode(record.topic, record.value, record.headers)
        told: dict[str, Any] = {}
        for field in FIELDS[name]:
            value = getattr(made, field)
            told[field] = value.hex() if isinstance(value, bytes) else getattr(value, "value", value)
        if name == "verdict":
            told["rules"] = sorted(hit.rule_id for hit in made.rules)
            told["influences"] = sorted((each.event_id, each.origin.value) for each in made.influences)
            told["label"] = [made.label.integrity.value, made.label.confidentiality.value]
            told["bytes"] = base64.b64encode(record.value).decode()
        return plain(told)

    def _ends(self) -> dict[Any, int]:
        partitions = []
        admin = self._parts.log.admin()
        try:
            states = admin.describe(list(self._parts.outputs.values()), ())
        finally:
            admin.close()
        reader = self._parts.log.reader()
        try:
            for topic, state in sorted(states.items()):
                partitions += [_at(topic, number) for number in range(state.partitions)]
            return dict(reader.end_offsets(partitions))
        finally:
            reader.close()

    def _outgoing(self, topic: str, partition: int, key: bytes, value: bytes) -> Any:
        from streams.ports import Outgoing

        return Outgoing(topic, partition, key, value)


FIELDS = {
    "verdict": (
        "verdict_id", "intent_id", "session_id", "outcome", "reason", "reason_text", "sub", "delegation_path",
        "ancestor_session_ids", "args_json", "args_digest", "ruleset_digest", "ruleset_offset", "session_sequence",
        "revocation_offset", "approval_id", "evaluated_at", "expires_at", "audience",
    ),
    "approval_request": ("task_id", "verdict_id", "intent_id", "session_id", "history", "quorum", "expires_at"),
    "budget_request": (
        "budget_key", "op", "gate_partition", "serial", "window_start", "window_end", "limit", "need", "want", "amount",
    ),
    "budget_grant": ("budget_key", "gate_partition", "serial", "answer", "amount", "left"),
    "revocation": ("kind", "id", "state", "effective_at", "until", "reason"),
    "alert": ("title", "session_id", "finding_uid"),
}  # fmt: skip
"""What is compared of each kind of record. Audit records are left out: they tell of the same verdicts."""


def plain(value: Any) -> Any:
    """Lists for tuples, as JSON reads them back."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _at(topic: str, number: int) -> Any:
    from streams.ports import TopicPartition

    return TopicPartition(topic, number)
