"""Other detectors over weeks of recorded verdicts: which alerts would come and go."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import ALERT_STATUS, AUDIT, VERDICT
from streams.operations.behaviour.backtest import AlertChanges, backtest_behaviour
from streams.operations.behaviour.histories import PARTITIONS, batches_of, run_history
from streams.operations.behaviour.history_calls import START_MS
from streams.operations.behaviour.history_file import History, read_histories
from streams.operations.replay.run import Stretch
from streams.policy.errors import Findings
from streams.policy.language.bundle import load_detector_files
from streams.ports import TopicSpec
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.wiring.codecs import build_offline_codec

RULES = Path(__file__).parents[4] / "rules"
CODEC = build_offline_codec()
ALWAYS = Stretch()


@cache
def shipped() -> BehaviourFiles:
    return parse_behaviour(load_detector_files(RULES))


def history(name: str) -> History:
    findings = Findings()
    return next(each for each in read_histories(RULES, shipped().packs, findings) if each.name == name)


def recorded(each: History) -> MemoryLog:
    """A log on which a history has been recorded, in its own time."""
    log = MemoryLog(ManualClock(START_MS))
    for topic in (VERDICT, AUDIT, ALERT_STATUS):
        log.create(TopicSpec(topic.name, PARTITIONS, topic.config()))
    for batch in batches_of(each, CODEC):
        for time_ms, record in batch:
            log.append(record, timestamp_ms=time_ms)
    return log


def otherwise(*names: str, **changes: object) -> BehaviourFiles:
    """The shipped declarations with some detectors changed."""
    declared = shipped().declared
    detectors = tuple(
        msgspec.structs.replace(each, **changes) if each.name in names else each for each in declared.detectors
    )
    return shipped()._replace(declared=declared._replace(detectors=detectors))


def changes(each: History, present: BehaviourFiles, other: BehaviourFiles, stretch: Stretch = ALWAYS) -> AlertChanges:
    return backtest_behaviour(recorded(each), CODEC, ManualClock(START_MS), present, other, stretch)


LOOP = "an agent asks for the same record again and again"


def test_the_same_detectors_change_nothing_and_find_what_the_history_does() -> None:
    each = history(LOOP)
    found = changes(each, shipped(), shipped())
    assert (found.kept_count, found.changed_count) == (len(run_history(each, shipped(), CODEC).alerts), 0)
    assert found.kept_count == 1
    assert found.records_count > 1_000


def test_a_detector_that_is_deaf_loses_the_alert_and_one_that_is_eager_brings_it() -> None:
    each, deaf = history(LOOP), otherwise("loop", "loop_about", alerts=False)
    lost = changes(each, shipped(), deaf)
    assert [(alert.name, alert.session) for alert in lost.gone] == [("loop_about", "stuck")]
    assert not {"loop", "loop_about"} & {alert.name for alert in lost.new}
    won = changes(each, deaf, shipped())
    assert [(alert.name, alert.session) for alert in won.new] == [("loop_about", "stuck")]
    assert won.gone == lost.new


@pytest.mark.parametrize(("from_day", "to_day", "count"), [(15, 16, 1), (0, 15, 0), (16, 20, 0)])
def test_only_alerts_of_the_stretch_are_compared_but_all_of_the_log_is_learned(
    from_day: int, to_day: int, count: int
) -> None:
    stretch = Stretch(START_MS + from_day * DAY_MS, START_MS + to_day * DAY_MS)
    found = changes(history(LOOP), shipped(), otherwise("loop", "loop_about", alerts=False), stretch)
    assert len(found.gone) == count


def test_an_empty_log_has_no_alerts() -> None:
    log = MemoryLog(ManualClock(START_MS))
    for topic in (VERDICT, AUDIT):
        log.create(TopicSpec(topic.name, PARTITIONS, topic.config()))
    found = backtest_behaviour(log, CODEC, ManualClock(START_MS), shipped(), shipped(), ALWAYS)
    assert found == AlertChanges(0, 0, (), ())
