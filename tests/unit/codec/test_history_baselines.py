"""A history says what is usual for an agent in plain numbers, and the gate of the run judges by it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.names import short_name
from streams.behaviour.profiles import Profile
from streams.behaviour.usual import compared, usual_of
from streams.codec.history import HistoryError, format_line, parse_line
from streams.model.control import Baseline
from streams.operations.scenarios.run import run_scenarios
from streams.processors.control.baselines import Baselines
from streams.processors.watch.behaviour_file import ReadAs
from streams.wiring.codecs import build_offline_codec

USUAL = {
    "calls": 500,
    "days": 21,
    "tools": {"mail.send": 100, "files.read": 400},
    "destinations": {"example.com": 100},
    "hours": [8, 18],
    "amounts": {"pay.refund": 40},
    "busiest": 20,
    "features": {"destination": [{"tools": ["mail.*"], "arg": "/to", "as": "domain"}], "amount": [
        {"tools": ["pay.*"], "arg": "/amount"}]},
}  # fmt: skip
NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS
LINE = {"record": "baseline", "key": "acme|assistant/", "time_ms": NOON_MS, "value": {"usual": USUAL}}


def read(line: object) -> Baseline:
    record = parse_line(json.dumps(line), 1, "h.jsonl").record
    assert isinstance(record, Baseline)
    return record


def test_plain_numbers_become_a_baseline_that_gates_accept_and_compare_with() -> None:
    record = read(LINE)
    assert (record.agent, record.epoch, record.version, record.intents_count) == ("assistant", "", 1, 500)
    held = Baselines()
    held.offer(b"acme|assistant/", record, NOON_MS)
    usual = held.usual_of("acme", "assistant", NOON_MS)
    assert usual is not None
    assert usual.busiest == pytest.approx(20)
    assert usual.reads == (
        ("amount", ("pay.*",), "/amount", "number"), ("destination", ("mail.*",), "/to", "domain"),
    )  # fmt: skip
    found = compared(usual, "pay.refund", "evil.example", 4_000.0, NOON_MS - 12 * HOUR_MS, 45)
    assert msgspec.structs.astuple(found)[:6] == (500, 9, 7, 9, 6, 2)
    assert msgspec.structs.astuple(compared(usual, "mail.send", "example.com", 40.0, NOON_MS, 1))[1:6] == (
        0,
        0,
        1,
        0,
        0,
    )


def test_risks_are_said_in_percent_of_an_alert() -> None:
    said = {"calls": 5, "type": "helpers", "risk": 120, "user_risks": {"alice": 80}}
    held = Baselines()
    held.offer(b"acme|assistant/", read(LINE | {"value": {"usual": said}}), NOON_MS)
    assert held.risks.of("acme", "assistant", "alice", NOON_MS) == (120, 80, 0)
    assert held.risks.of("acme", "assistant", "alice", NOON_MS + HOUR_MS) == (60, 40, 0)


def test_a_long_name_of_a_user_is_held_as_a_watch_publishes_it() -> None:
    held, user = Baselines(), "u" * 600
    said = {"calls": 5, "user_risks": {user: 80}}
    held.offer(b"acme|assistant/", read(LINE | {"value": {"usual": said}}), NOON_MS)
    assert held.risks.of("acme", "assistant", short_name(user), NOON_MS) == (0, 80, 0)


@pytest.mark.parametrize(("hours", "worked"), [([22, 6], {22, 23, 0, 1, 2, 3, 4, 5}), ([0, 24], set(range(24)))])
def test_hours_may_pass_midnight(hours: list[int], worked: set[int]) -> None:
    record = read(LINE | {"value": {"usual": {"calls": 500, "hours": hours}}})
    profile = msgspec.msgpack.decode(record.state, type=Profile)
    assert {hour for hour, count in enumerate(profile.hours) if count} == worked
    assert sum(profile.hours) == usual_of([profile]).calls == 500


def test_a_line_of_the_record_is_the_same_record() -> None:
    record = read(LINE)
    again = parse_line(format_line("agent.baseline.v1", b"acme|assistant/", NOON_MS, record), 2, "h.jsonl")
    assert again.record == record


@pytest.mark.parametrize("read_as", ReadAs)
def test_features_are_read_in_every_way_that_detectors_know(read_as: ReadAs) -> None:
    record = read(LINE | {"value": featured({"tools": ["mail.*"], "arg": "/to", "as": read_as.value})})
    profile = msgspec.msgpack.decode(record.state, type=Profile)
    assert profile.reads == (("destination", ("mail.*",), "/to", read_as.value),)


def featured(declared: dict[str, object]) -> dict[str, object]:
    return {"usual": {"calls": 5, "features": {"destination": [declared]}}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"usual": {}}, "value.usual: Object missing required field `calls`"),
        ({"usual": {"calls": -1}}, "value.usual: Expected `int` >= 0"),
        ({"usual": {"calls": 5, "tool": {}}}, "value.usual: Object contains unknown field `tool`"),
        ({"usual": {"calls": 5, "amounts": {"pay.refund": 4}}}, "value.usual: `amounts` needs `features.amount`"),
        ({"usual": {"calls": 5, "destinations": {"a": 4}}}, "value.usual: `destinations` needs `features.destination`"),
        ({"usual": {"calls": 5, "features": {"destinaton": []}}}, "value.usual: Invalid enum value 'destinaton'"),
        (featured({"tools": ["mail.*"], "arg": "to"}), "value.usual: Expected `str` matching regex '^/'"),
        (featured({"tools": ["mail.*"], "arg": "/to", "as": "domian"}), "value.usual: Invalid enum value 'domian'"),
        ({"usual": {"calls": 5}, "state": "AAEC"}, "value: `usual` and `state` are both given"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(value: dict[str, object], text: str) -> None:
    with pytest.raises(HistoryError) as raised:
        parse_line(json.dumps(LINE | {"value": value}), 12, "h.jsonl")
    assert str(raised.value).startswith(f"h.jsonl:12: {text}")


def test_a_scenario_says_what_is_usual_and_the_rules_see_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "bundle.yaml").write_text('apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [new]\n')
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "new.rules.yaml").write_text(
        "apiVersion: rules/v1\npack: new\nrules:\n"
        '  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}\n'
        '  - {id: N-1, effect: deny, match: {tools: ["*"]}, when: "signal.new_tool >= 9", reason: new}\n'
    )
    (tmp_path / "new" / "new.scenarios.yaml").write_text(
        "tools:\n  files.read: {read_only: true}\n  pay.refund: {}\nsessions:\n  s: {agent: assistant}\nscenarios:\n"
        "  - name: a tool that is new to the agent\n    steps:\n"
        "      - {call: pay.refund, expect: allow}\n"
        f"      - {{record: {{record: baseline, key: 'acme|assistant/', value: {{usual: {json.dumps(USUAL)}}}}}}}\n"
        "      - {call: files.read, expect: allow}\n"
        "      - {call: pay.refund, as: again, expect: {verdict: deny, rules: [N-1, P-1]}}\n"
    )
    report = run_scenarios(tmp_path, build_offline_codec())
    assert [finding.message for finding in report.findings] == []
    assert [problem.differences for result in report.results for problem in result.problems] == []
    assert report.steps_count == 4
