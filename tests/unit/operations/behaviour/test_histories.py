"""Histories of behaviour: how they are read, what calls they make, and what the watch says about the shipped ones."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from streams.behaviour.activity import DAY_MS
from streams.operations.behaviour.histories import HistoryReport, differences_of, run_histories
from streams.operations.behaviour.history_calls import START_MS, Call, calls_of, count_of
from streams.operations.behaviour.history_file import History, read_histories
from streams.operations.behaviour.watch_run import Raised
from streams.policy.errors import Findings
from streams.policy.language.bundle import BundleReadError, load_bundle
from streams.wiring.codecs import build_offline_codec

RULES = Path(__file__).parents[4] / "rules"
ABUSES = {
    "loops and runaway cost": "loops",
    "exfiltration fast and slow": "exfiltration",
    "credential sweep": "credential_sweep",
    "delegation storm": "delegation",
    "confused deputy": "confused_deputy",
    "creeping and outlying amounts": "amounts",
    "one session in two places": "two_places",
    "bad epoch": "bad_epoch",
    "untrusted read then new destination": "untrusted_egress",
    "after-hours rogue": "after_hours",
    "privilege probing": "probing",
    "mass deletion": "mass_deletion",
    "collusion of two agents": "collusion",
    "poisoned memory": "poisoned_memory",
}
LOOP = """\
apiVersion: behaviour/v1
pack: loops
detectors:
  - {name: loop, detector: loop, key: [session.id], threshold: 10, explain: "{count} times", tags: [ASI08]}
"""
HEAD = """\
apiVersion: histories/v1
pack: loops
calls:
  crm.read: {id: "case-{1..40}"}
histories:
"""
FIRES = """\
  - name: fires
    then:
      - {agents: [bot], days: 0, at: "09:00", session: stuck, tools: [crm.read], count: 32,
         args: {crm.read: {id: same}}}
    alerts: {loop: stuck}
"""
QUIET = """\
  - name: quiet
    then: [{agents: [bot], days: 0, at: "09:00", tools: [crm.read], count: 3}]
    alerts: {}
"""


@pytest.fixture(scope="module")
def shipped() -> HistoryReport:
    return run_histories(RULES, build_offline_codec())


def test_every_shipped_history_raises_exactly_the_expected_alerts(shipped: HistoryReport) -> None:
    assert [(result.history.name, result.differences) for result in shipped.failures] == []
    assert shipped.calls_count > 20_000


def test_every_detector_fires_in_a_history_and_every_pack_has_honest_work(shipped: HistoryReport) -> None:
    assert [str(finding) for finding in shipped.findings] == []


@pytest.mark.parametrize("abuse", ABUSES)
def test_every_abuse_has_a_pack_with_a_history_that_fires_and_one_that_does_not(
    abuse: str, shipped: HistoryReport
) -> None:
    own = [result for result in shipped.results if result.history.pack == ABUSES[abuse]]
    assert {bool(result.alerts) for result in own} == {True, False}


def test_the_alerts_of_an_abuse_name_its_session(shipped: HistoryReport) -> None:
    for result in shipped.results:
        last = result.history.blocks[-1]
        for each in result.alerts:
            # What comes before the last blocks is everyday work, and no alert may be about that.
            before_ms = START_MS + (last.first_day - 7) * DAY_MS
            everyday = {call.verdict.session_id for call in calls_of(result.history) if call.time_ms < before_ms}
            assert each.session not in everyday, result.history.name


def written(folder: Path, text: str, detectors: str = LOOP) -> Path:
    pack = folder / "behaviour"
    pack.mkdir()
    (pack / "loops.detectors.yaml").write_text(detectors)
    (pack / "loops.histories.yaml").write_text(text)
    return folder


def ran(folder: Path, text: str, detectors: str = LOOP) -> HistoryReport:
    return run_histories(written(folder, text, detectors), build_offline_codec())


def test_an_expected_alert_that_does_not_come_is_a_failure(tmp_path: Path) -> None:
    report = ran(tmp_path, HEAD + FIRES + QUIET, LOOP.replace("threshold: 10", "threshold: 30"))
    (failure,) = report.failures
    assert (failure.history.name, failure.differences) == ("fires", ("no alert `loop` about session `stuck`",))


def test_an_alert_about_honest_work_is_a_failure(tmp_path: Path) -> None:
    report = ran(tmp_path, HEAD + FIRES + QUIET, LOOP.replace("threshold: 10", "threshold: 0.1"))
    (failure,) = report.failures
    assert failure.history.name == "quiet"
    assert "an alert `loop` about session `bot-0-0-0`, not expected: " in failure.differences[0]


def test_detectors_that_no_history_makes_fire_and_packs_with_one_side_are_reported(tmp_path: Path) -> None:
    report = ran(tmp_path, HEAD + QUIET)
    assert report.passed
    assert [finding.message for finding in report.findings] == [
        "no history in which `loop` fires",
        "pack `loops` has no history that fires",
    ]


def test_rules_without_detectors_have_no_histories(tmp_path: Path) -> None:
    assert run_histories(tmp_path, build_offline_codec()) == HistoryReport()
    (tmp_path / "x.histories.yaml").write_text(HEAD + QUIET)
    report = run_histories(tmp_path, build_offline_codec())
    assert not report.passed
    assert "there are histories, and no file" in report.findings[0].message


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        ("pack: loops", "pack: lops", ":2:1: error: no file of detectors has the pack `lops` (did you mean"),
        ("histories/v1", "histories/v2", "`apiVersion` must be `histories/v1`"),
        ("tools: [crm.read], count: 3", "tools: [crm.red], count: 3", "`calls` has no tool `crm.red` (did you mean"),
        ('at: "09:00", tools', "at: 9, tools", "`at` must be a time of the day in quotes"),
        ("days: 0, at", "days: [3, 1], at", "`days` must be a day or [FIRST, LAST]"),
        ("alerts: {}", "alerts: {lop: x}", "there is no detector or correlation `lop` (did you mean"),
        ("alerts: {}", "alerts: {loop: [[x]]}", "`loop` must be names of sessions"),
        ("{1..40}", "{40..1}", "`{40..1}` says no value (write {1..40}, "),
        ('"case-{1..40}"', "{between: [0, 4]}", "`between` must be two numbers above 0"),
        ('"case-{1..40}"', "{near: 4}", "has no key `near`"),
        ('"case-{1..40}"', "[1, 2]", "`id` must be a value or a mapping"),
        ("count: 3", "count: 3, outcome: maybe", "`outcome` must be one of allow, deny, quarantine"),
        ("count: 3", "count: 3, drawn: 1", "`drawn` must be true or false"),
        ("name: quiet", "name: fires", "a history of this name is already at"),
        ("count: 3", "count: 10000, sessions: 500", "the history has 5000000 calls: at most 200000 are run"),
        ("alerts: {}", "alarms: {}", "a history needs the key `alerts`"),
    ],
)
def test_errors_name_the_place_and_what_to_do(tmp_path: Path, given: str, wanted: str, message: str) -> None:
    text = HEAD + FIRES + QUIET
    assert given in text
    report = ran(tmp_path, wanted.join(text.rsplit(given, 1)))
    assert (report.passed, report.results) == (False, ())
    assert any(message in str(finding) for finding in report.findings), [str(each) for each in report.findings]


def made(tmp_path: Path, block: str, calls: str = '  crm.read: {id: "case-{1..40}"}\n') -> list[Call]:
    text = f"apiVersion: histories/v1\npack: loops\ncalls:\n{calls}histories:\n"
    text += f"  - {{name: made, then: [{{{block}}}], alerts: {{}}}}\n"
    findings = Findings()
    (history,) = read_histories(written(tmp_path, text), {"loop": "loops"}, findings)
    assert not findings.has_errors, [str(each) for each in findings]
    return checked(history)


def checked(history: History) -> list[Call]:
    calls = calls_of(history)
    assert len(calls) == count_of(history)
    assert calls == calls_of(history), "a history is the same each time"
    assert len({call.verdict.intent_id for call in calls}) == len(calls)
    assert len({call.audit.header.id for call in calls}) == len(calls)
    return calls


def test_a_block_is_every_agent_on_every_working_day(tmp_path: Path) -> None:
    calls = made(
        tmp_path, 'agents: [a, b], days: [4, 7], at: "09:00", until: "11:00", sessions: 3, tools: [crm.read], count: 2'
    )
    assert len(calls) == 2 * 2 * 3 * 2
    days = {(call.time_ms - START_MS) // DAY_MS for call in calls}
    assert days == {4, 7}
    hours = [(call.time_ms - START_MS) % DAY_MS / 3_600_000 for call in calls]
    assert min(hours) >= 9
    assert max(hours) < 11.1
    assert len({call.verdict.session_id for call in calls}) == 12
    assert [call.time_ms for call in calls] == sorted(call.time_ms for call in calls)


def test_two_blocks_of_one_session_are_different_calls(tmp_path: Path) -> None:
    block = '{agents: [a], days: 0, at: "09:00", session: s, tools: [crm.read], count: 2}'
    text = HEAD + f"  - {{name: made, then: [{block}, {block}], alerts: {{}}}}\n"
    (history,) = read_histories(written(tmp_path, text), {"loop": "loops"}, Findings())
    assert {call.verdict.session_id for call in checked(history)} == {"s"}


def args_of(calls: list[Call], name: str) -> list[object]:
    return [json.loads(call.verdict.args_json)[name] for call in calls]


def test_values_are_drawn_for_each_call_or_for_a_session(tmp_path: Path) -> None:
    calls = made(
        tmp_path,
        'agents: [a], days: [0, 4], at: "09:00", until: "10:00", sessions: 2, tools: [crm.read], count: 20',
        '  crm.read: {id: "c-{1..9}", of: "{1..90000 per session}", who: "{x|y}", n: "{agent} {day} {n}",'
        " size: {length: 100}, amount: {between: [10, 40]}, up: {rising: [1, 100]}, flag: true}\n",
    )
    assert {str(each) for each in args_of(calls, "id")} == {f"c-{number}" for number in range(1, 10)}
    assert set(args_of(calls, "who")) == {"x", "y"}
    by_session = {call.verdict.session_id: of for call, of in zip(calls, args_of(calls, "of"), strict=True)}
    assert len(set(args_of(calls, "of"))) == len(by_session) == 10
    amounts = [msgspec.convert(each, float) for each in args_of(calls, "amount")]
    assert 10 <= min(amounts) < 15
    assert 30 < max(amounts) <= 40
    rising = [msgspec.convert(each, float) for each in args_of(calls, "up")]
    assert rising == sorted(rising)
    assert (rising[0], rising[-1]) == (1, 100)
    assert {70 <= len(str(each)) <= 142 for each in args_of(calls, "size")} == {True}
    assert args_of(calls, "n")[0] == "a 0 1"


def test_what_a_block_says_is_in_its_records(tmp_path: Path) -> None:
    calls = made(
        tmp_path,
        'agents: [a], days: 0, at: "09:00", session: s, tools: [crm.read], count: 4, every: 10s, steady: true, '
        "outcome: deny, reason: no_such, instances: [p, q], grant: root, depth: 3, model: m9, version: v2, "
        "untrusted_from: 3",
    )
    verdicts = [call.verdict for call in calls]
    assert [verdict.outcome.value for verdict in verdicts] == ["DENY"] * 4
    assert [verdict.act.instance_uid for verdict in verdicts] == ["p", "q", "p", "q"]
    assert [verdict.label.integrity.value for verdict in verdicts] == ["TRUSTED"] * 2 + ["UNTRUSTED"] * 2
    assert {verdict.delegation_path for verdict in verdicts} == {("root", "root-1", "root-2")}
    assert {verdict.model.name for verdict in verdicts if verdict.model} == {"m9"}
    assert {call.audit.agent_version for call in calls} == {"v2"}
    assert [each.time_ms - calls[0].time_ms for each in calls] == [0, 10_000, 20_000, 30_000]


def test_alerts_are_compared_one_by_one() -> None:
    alerts = (Raised("loop", "s-1", "why"), Raised("loop", "s-2", "why"))
    assert differences_of({"loop": ("s-*", "s-2")}, alerts) == ()
    assert differences_of({"loop": ("s-1",)}, alerts) == ("an alert `loop` about session `s-2`, not expected: why",)
    assert differences_of({"loop": ("s-1", "s-2"), "amount": ("x",)}, alerts) == (
        "no alert `amount` about session `x`",
    )


def test_a_file_of_histories_under_another_name_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "bundle.yaml").write_text("apiVersion: v1\n")
    (tmp_path / "loops.history.yml").write_text(HEAD)
    with pytest.raises(BundleReadError, match=r"`loops\.history\.yml` must be named `loops\.histories\.yaml`"):
        load_bundle(tmp_path)
