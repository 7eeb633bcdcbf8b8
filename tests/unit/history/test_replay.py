"""Verdicts are made again from the topics alone: those that were given come out, and no others do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from streams.history.recording import Arrival, Recording
from streams.history.replay import PartitionReplay
from streams.history.replayed import Replayed
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.reasons import Reason
from streams.model.session import SessionEvent
from streams.model.topics import CATALOG, INTENT, REPORT, REVOCATION, RULESET, VERDICT
from streams.model.types import Record
from streams.model.verdict import Outcome, Verdict
from streams.operations.replay.run import (
    FieldDifference,
    ReplayKind,
    ReplayReport,
    Stretch,
    differing_fields,
    kind_of,
    replay_log,
)
from streams.ports import Outgoing, Received, TopicPartition
from tests.kit import FILES_READ, GATE_SETTINGS, wire
from tests.recorded_run import RecordedRun, setup

ROOT = Path(__file__).parents[3]
SEEDS = range(6)
ACTS = 400
LATE_MS_MAX = 1_000
Change = Callable[[list[Received]], list[Received]]


@pytest.fixture(scope="module")
def run() -> RecordedRun:
    return RecordedRun(0, ACTS)


def replayed(run: RecordedRun) -> ReplayReport:
    return replay_log(run.recorded(), setup(), Stretch())


def recorded_verdicts(run: RecordedRun) -> list[Verdict]:
    log = run.bench.driver.log
    found = [
        wire().decode(VERDICT.name, received.value or b"", received.headers)
        for number in range(log.partition_count(VERDICT.name))
        for received in log.committed_records(TopicPartition(VERDICT.name, number))
    ]
    return [record for record in found if isinstance(record, Verdict)]


def with_verdicts(
    run: RecordedRun, change: Change, partition: int = 0
) -> list[tuple[ReplayKind, list[FieldDifference]]]:
    """Replay a partition whose recorded verdicts were changed. Return what does not come out as recorded."""
    recorded = run.recorded()
    recording = recorded.recording(partition)
    changed = replace(recording, verdicts=change(list(recording.verdicts)))
    found = PartitionReplay(setup().plan(recorded), changed).run()
    return [(kind_of(each), list(differing_fields(each))) for each in found if not each.is_same]


class TestARunWithEverything:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_comes_out_byte_for_byte(self, seed: int) -> None:
        run = RecordedRun(seed, ACTS)
        report = replayed(run)
        assert report.differences == []
        assert report.counts == {ReplayKind.SAME: len(recorded_verdicts(run))}
        assert report.is_same

    def test_has_everything(self) -> None:
        """A run in which nothing happens proves nothing."""
        runs = [RecordedRun(seed, ACTS) for seed in SEEDS]
        verdicts = [verdict for run in runs for verdict in recorded_verdicts(run)]
        outcomes = Counter(verdict.outcome for verdict in verdicts)
        assert min(outcomes[each] for each in Outcome) > 5, outcomes
        reasons = {verdict.reason for verdict in verdicts}
        assert reasons > {
            Reason.PERMITTED, Reason.RULE_DENIED, Reason.APPROVAL_EXPIRED, Reason.BUDGET_EXHAUSTED,
            Reason.REVOKED_SUBJECT, Reason.REVOKED_TOOL, Reason.SESSION_UNKNOWN, Reason.SESSION_ENDED,
            Reason.SESSION_REVOKED, Reason.TOOL_NOT_APPROVED,
        }, reasons  # fmt: skip
        assert len({verdict.ruleset_offset for verdict in verdicts}) > 3
        assert len({verdict.revocation_offset for verdict in verdicts}) > 10

    def test_a_partition_comes_out_alone_as_among_the_others(self, run: RecordedRun) -> None:
        recorded = run.recorded()
        plan = setup().plan(recorded)
        alone = [list(PartitionReplay(plan, recorded.recording(number)).run()) for number in (2, 0, 1)]
        assert all(each.is_same for found in alone for each in found)
        assert sum(map(len, alone)) == len(recorded_verdicts(run))

    def test_the_short_way_comes_to_the_same_as_the_careful_one(
        self, run: RecordedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        short = [list(map(told, results)) for results in all_results(run)]
        ways: list[bool] = []
        goes_on = PartitionReplay._goes_on
        monkeypatch.setattr(PartitionReplay, "_goes_on", lambda *given: ways.append(goes_on(*given)) or ways[-1])
        all_results(run)
        assert min(ways.count(True), ways.count(False)) > 20
        monkeypatch.setattr(PartitionReplay, "_goes_on", lambda *_: False)
        assert [list(map(told, results)) for results in all_results(run)] == short

    def test_the_short_way_makes_the_bytes_of_verdicts_alone_and_the_same_rows(
        self, run: RecordedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorded, counting, made = run.recorded(), wire(), Counter[str]()
        plan = replace(setup().plan(recorded), wire=counting)
        encode, goes_on, is_short = counting.encode, PartitionReplay._goes_on, [False]
        gone: Counter[type] = Counter()

        def counted(topic: str, record: Record) -> bytes:
            made[topic] += is_short[0]
            return encode(topic, record)

        def noted(replay: PartitionReplay, unit: Sequence[Arrival]) -> bool:
            is_short[0] = True
            went = goes_on(replay, unit)
            is_short[0] = False
            gone[type(unit[0].decoded)] += went
            return went

        def rows() -> list[dict[bytes, bytes]]:
            replays = [PartitionReplay(plan, recorded.recording(number)) for number in range(recorded.partitions)]
            return [(list(each.run()), each.rows())[1] for each in replays]

        monkeypatch.setattr(counting, "encode", counted)
        monkeypatch.setattr(PartitionReplay, "_goes_on", noted)
        short = rows()
        assert made[VERDICT.name] > 100
        assert min(gone[Intent], gone[SessionEvent]) > 20
        assert {topic for topic, count in made.items() if count} == {VERDICT.name}
        monkeypatch.setattr(PartitionReplay, "_goes_on", lambda *_: False)
        assert rows() == short

    def test_comes_out_whatever_the_partitions_and_the_gates(self) -> None:
        for partitions in (1, 5):
            assert replayed(RecordedRun(3, ACTS, partitions)).is_same

    def test_comes_out_whatever_the_hash_seed(self) -> None:
        code = "from tests.unit.history.test_replay import digest; print(digest())"
        digests = set()
        for hash_seed in ("1", "2"):
            environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
            digests.add(done.stdout)
        assert len(digests) == 1
        assert digests == {f"{digest()}\n"}


def all_results(run: RecordedRun) -> list[list[Replayed]]:
    recorded = run.recorded()
    plan = setup().plan(recorded)
    return [list(PartitionReplay(plan, recorded.recording(number)).run()) for number in range(recorded.partitions)]


def told(each: Replayed) -> tuple[object, ...]:
    return (
        None if each.recorded is None else each.recorded.received,
        None if each.made is None else (each.made.key, each.made.value, each.made.verdict),
        each.is_same,
        each.evaluated_at,
    )


def digest() -> str:
    """The digest of all verdicts that a replay makes; they are the recorded ones."""
    recorded = RecordedRun(1, ACTS).recorded()
    plan = setup().plan(recorded)
    made = sha256()
    for number in range(recorded.partitions):
        for each in PartitionReplay(plan, recorded.recording(number)).run():
            assert each.is_same
            made.update(b"" if each.made is None else each.made.value)
    return made.hexdigest()


class TestAnIntentThatCameLate:
    """A broker that is slow to answer lets a gate go on with what others have stamped later."""

    def test_is_placed_where_the_gate_has_read_it(self) -> None:
        placed = 0
        for seed in SEEDS[:3]:
            recorded = RecordedRun(seed, ACTS).recorded()
            for number in range(recorded.partitions):
                for inputs in late_intents(recorded.recording(number)):
                    changed = replace(recorded.recording(number), inputs=inputs)
                    found = list(PartitionReplay(setup().plan(recorded), changed).run())
                    assert [each for each in found if not each.is_same] == []
                    placed += 1
        assert placed > 5


def late_intents(recording: Recording) -> Iterator[dict[str, list[Received]]]:
    """The inputs, each time with an intent that is stamped before the report that its session had read just before.

    They are intents that were sent once, and judged at once.
    """
    inputs = {topic: list(found) for topic, found in recording.inputs.items()}
    intents = inputs[INTENT.name]
    sent = Counter(map(intent_id, intents))
    judged: dict[str, int] = {}
    for verdict in verdicts_in(recording):
        judged.setdefault(verdict.intent_id, verdict.evaluated_at)
    for at in range(1, len(intents)):
        intent, last_ms = intents[at], intents[at - 1].timestamp_ms
        if sent[intent_id(intent)] > 1 or judged.get(intent_id(intent)) != intent.timestamp_ms:
            continue
        read = [
            each.timestamp_ms
            for each in inputs[REPORT.name]
            if each.key == intent.key and last_ms < each.timestamp_ms - 1 and each.timestamp_ms < intent.timestamp_ms
        ]
        # One that is older when it comes is judged as such.
        if read and intent.timestamp_ms - min(read) < LATE_MS_MAX:
            late = intent._replace(timestamp_ms=min(read) - 1)
            yield {**inputs, INTENT.name: [*intents[:at], late, *intents[at + 1 :]]}


def intent_id(received: Received) -> str:
    record = wire().decode(INTENT.name, received.value or b"", received.headers)
    assert isinstance(record, Intent)
    return record.intent_id


def verdicts_in(recording: Recording) -> list[Verdict]:
    records = [wire().decode(VERDICT.name, each.value or b"", each.headers) for each in recording.verdicts]
    return [each for each in records if isinstance(each, Verdict)]


class TestWhatWasChanged:
    def test_a_verdict_that_says_something_else_is_found_with_its_fields(self, run: RecordedRun) -> None:
        def change(verdicts: list[Received]) -> list[Received]:
            at = next(i for i, each in enumerate(verdicts) if decoded(each).reason == Reason.RULE_DENIED)
            forged = msgspec.structs.replace(decoded(verdicts[at]), outcome=Outcome.ALLOW, reason="permitted")
            return [*verdicts[:at], with_value(verdicts[at], forged), *verdicts[at + 1 :]]

        ((kind, fields),) = with_verdicts(run, change)
        assert kind is ReplayKind.DIFFERENT
        assert [(each.name, each.recorded, each.replayed) for each in fields] == [
            ("outcome", "ALLOW", "DENY"),
            ("reason", "permitted", "rule_denied"),
        ]

    def test_a_verdict_that_is_missing_is_found(self, run: RecordedRun) -> None:
        def change(verdicts: list[Received]) -> list[Received]:
            values = [each.value for each in verdicts]
            at = next(i for i, value in enumerate(values) if i > 20 and values.count(value) == 1)
            return [*verdicts[:at], *verdicts[at + 1 :]]

        assert [kind for kind, _ in with_verdicts(run, change)] == [ReplayKind.NOT_RECORDED]

    def test_a_verdict_that_nobody_gave_is_found(self, run: RecordedRun) -> None:
        def change(verdicts: list[Received]) -> list[Received]:
            made = msgspec.structs.replace(decoded(verdicts[10]), intent_id="0b8f5c0e-0000-8000-8000-000000000000")
            return [*verdicts[:11], with_value(verdicts[10], made), *verdicts[11:]]

        assert [kind for kind, _ in with_verdicts(run, change)] == [ReplayKind.NOT_MADE]

    def test_what_can_not_be_read_to_its_end_is_no_verdict(self, run: RecordedRun) -> None:
        def change(verdicts: list[Received]) -> list[Received]:
            values = [each.value for each in verdicts]
            at = next(i for i, value in enumerate(values) if i > 20 and values.count(value) == 1)
            return [*verdicts[:at], verdicts[at]._replace(value=(verdicts[at].value or b"")[:-1]), *verdicts[at + 1 :]]

        assert [kind for kind, _ in with_verdicts(run, change)] == [ReplayKind.NOT_RECORDED]

    def test_a_verdict_under_the_key_of_another_session_is_found(self, run: RecordedRun) -> None:
        def change(verdicts: list[Received]) -> list[Received]:
            return [verdicts[0]._replace(key=b"acme|other"), *verdicts[1:]]

        ((kind, fields),) = with_verdicts(run, change)
        assert kind is ReplayKind.DIFFERENT
        assert fields[0].name == "(key)"

    def test_an_intent_whose_arguments_were_changed_is_found(self, run: RecordedRun) -> None:
        recorded = run.recorded()
        recording = recorded.recording(0)
        intents = list(recording.inputs[INTENT.name])
        at = next(i for i, each in enumerate(intents) if b"a@example.com" in (each.value or b""))
        value = (intents[at].value or b"").replace(b"a@example.com", b"x@example.com")
        intents[at] = intents[at]._replace(value=value)
        changed = replace(recording, inputs={**recording.inputs, INTENT.name: intents})
        found = [each for each in PartitionReplay(setup().plan(recorded), changed).run() if not each.is_same]
        assert found

    def test_other_settings_of_the_gate_are_found(self, run: RecordedRun) -> None:
        other = replace(setup(), gate=msgspec.structs.replace(GATE_SETTINGS, verdict_ttl_ms=1_000))
        report = replay_log(run.recorded(), other, Stretch())
        assert not report.is_same
        assert report.first is not None
        assert [each.name for each in report.first.fields] == ["expires_at"]

    @pytest.mark.parametrize("topic", [REVOCATION.name, RULESET.name, CATALOG.name])
    def test_what_was_broadcast_and_is_gone_is_found(self, run: RecordedRun, topic: str) -> None:
        recorded = run.recorded()
        recorded.tape.records[topic] = []
        recorded.tape._times[topic] = []
        assert not replay_log(recorded, setup(), Stretch()).is_same


class TestAStretchOfTime:
    def test_only_its_verdicts_are_compared(self, run: RecordedRun) -> None:
        times = sorted(verdict.evaluated_at for verdict in recorded_verdicts(run))
        from_ms, to_ms = times[len(times) // 3], times[2 * len(times) // 3]
        report = replay_log(run.recorded(), setup(), Stretch(from_ms, to_ms))
        assert report.is_same
        assert report.counts == {ReplayKind.SAME: sum(from_ms <= time_ms < to_ms for time_ms in times)}

    def test_an_intent_that_no_gate_has_read_yet_is_no_difference(self) -> None:
        run = RecordedRun(2, 60)
        maker = run.sessions[0]
        driver = run.bench.driver
        driver.close()
        driver.clock.advance(1_000)
        intent = maker.intent(FILES_READ, {"path": "a.txt"}, driver.clock.now_ms())
        partition = partition_for(maker.key, driver.log.partition_count(INTENT.name))
        driver.log.append(Outgoing(INTENT.name, partition, maker.key, wire().encode(INTENT.name, intent)))
        report = replayed(run)
        assert report.is_same
        assert report.counts[ReplayKind.NOT_YET] == 1


def decoded(received: Received) -> Verdict:
    record = wire().decode(VERDICT.name, received.value or b"", received.headers)
    assert isinstance(record, Verdict)
    return record


def with_value(received: Received, verdict: Verdict) -> Received:
    return received._replace(value=wire().encode(VERDICT.name, verdict))
