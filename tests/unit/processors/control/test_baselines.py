"""Rules see what is unusual about a call for its agent, by the baseline that a watch has published, if there is one."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset, tool_entry
from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.estimators import Mean, Median, Peak, Tether
from streams.behaviour.profiles import Extraction, Profile, RiskPoint
from streams.model.catalog import ArgumentRole, ArgumentUse
from streams.model.control import Baseline
from streams.model.keys import baseline_key
from streams.model.reasons import DeadLetterReason
from streams.model.topics import BASELINE, RULESET
from streams.model.verdict import Outcome, Verdict
from streams.operations.replay.run import Stretch, replay_log
from streams.policy import bundle_from_files, compile_bundle
from streams.policy.errors import BundleError
from streams.ports import TopicPartition
from streams.processors.call_features import extracted
from streams.processors.control.baselines import AGENTS_MAX, EPOCHS_MAX, STALE_MS, Baselines
from streams.processors.watch.features import Features, behaviour_of
from tests.baselines import AGENT, EPOCH, baseline, baseline_record_key, settled
from tests.kit import MAIL_SEND, START_MS, WEB_FETCH, GateBench
from tests.recorded_run import bundle_files, recorded_by, setup

PERMIT = '  - {id: S-0, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}\n'
NEW_TOOL = '  - {id: S-1, effect: deny, match: {tools: ["*"]}, when: "signal.new_tool >= 8", reason: a new tool}\n'
NEW_PLACE = (
    '  - {id: S-2, effect: quarantine, match: {tools: ["*"]}, when: "signal.new_destination >= 7", reason: new place}\n'
)
REPEATS = '  - {id: S-3, effect: deny, match: {tools: ["*"]}, when: "signal.repeats > 20", reason: a loop}\n'
RATE = '  - {id: S-4, effect: deny, match: {tools: ["*"]}, when: "signal.rate >= 2", reason: too many}\n'
AMOUNT = (("amount", ("*",), "/path", "number"),)
replace = msgspec.structs.replace


def rule_files(*rules: str) -> dict[str, str]:
    return bundle_files("apiVersion: rules/v1\npack: testing\nrules:\n" + "".join(rules))


def bench(*rules: str) -> GateBench:
    made = GateBench(with_rules=False)
    made.driver.pipe(RULESET.name, b"default", ruleset(rule_files(PERMIT, *rules)))
    return made


def publish(gate: GateBench, record: Baseline | None = None, key: bytes | None = None) -> None:
    gate.driver.pipe(BASELINE.name, key or baseline_record_key(), record or baseline(settled()))


def differences(gate: GateBench) -> list[object]:
    """What a replay of everything does not make again byte for byte."""
    report = replay_log(recorded_by(gate.driver), setup(), Stretch())
    return [] if report.is_same else [*report.differences, report.counts]


def test_a_new_tool_is_denied_once_the_baseline_is_there_and_the_verdict_says_why() -> None:
    gate = bench(NEW_TOOL)
    before = gate.judge(WEB_FETCH, {"url": "u"})
    assert (before.outcome, before.signals, before.baseline_version) == (Outcome.ALLOW, (), 1)
    publish(gate)
    assert gate.judge().outcome is Outcome.ALLOW
    denied = gate.judge(WEB_FETCH, {"url": "u"})
    assert (denied.outcome, denied.reason_text, denied.baseline_version) == (Outcome.DENY, "a new tool", 2)
    (signal,) = denied.signals
    assert (signal.name, signal.score) == ("new_tool", 9.0)
    assert signal.explain == "first web.fetch by assistant in 500 calls of 21 days; 9 bits"
    assert differences(gate) == []


def test_arguments_are_read_as_the_watch_has_read_them() -> None:
    gate = bench(NEW_PLACE)
    publish(gate, baseline(settled(tools=(("mail.send", 500),), destinations=(("example.com", 200),))))
    assert gate.judge(MAIL_SEND, {"to": "Ann <ann@EXAMPLE.com>"}).outcome is Outcome.ALLOW
    assert gate.judge(WEB_FETCH, {"url": "https://evil.example/"}).outcome is Outcome.ALLOW
    assert gate.judge(MAIL_SEND, {"to": "x@evil.example"}).outcome is Outcome.QUARANTINE


NAMED = tool_entry("post", "office")
"""A tool whose arguments seem to be for what their names say."""
UNDECIDED = tool_entry("post", "office", arg_roles=(ArgumentUse(path="/mark"), ArgumentUse(path="/link")))
DECIDED = tool_entry(
    "post",
    "office",
    arg_roles=(
        ArgumentUse(path="/mark", role=ArgumentRole.DESTINATION),
        ArgumentUse(path="/link", role=ArgumentRole.CONTENT),
    ),
)
ORIGINS = (
    '  - {id: S-6, effect: deny, match: {tools: ["*"]}, when: "origins.exists(o, o.instructed)", reason: instructed}\n'
)
BY_ROLE = (Extraction("destination", ("*",), "@DESTINATION", "domain"),)
BY_NAME_OR_ROLE = {
    "nothing stated": (NAMED, "docs.example"),
    "nothing decided": (UNDECIDED, "docs.example"),
    "decided": (DECIDED, "drop.example"),
}


@pytest.mark.parametrize("rules", [(ORIGINS, NEW_PLACE), (NEW_PLACE, ORIGINS)], ids=["origins first", "origins last"])
@pytest.mark.parametrize("name", BY_NAME_OR_ROLE)
def test_gate_and_watch_take_the_same_arguments_for_the_destination(name: str, rules: tuple[str, str]) -> None:
    tool, place = BY_NAME_OR_ROLE[name]
    gate = bench(*rules)
    gate.publish(tool)
    known = settled(tools=(("post.office", 500),), destinations=(("known.example", 200),), reads=BY_ROLE)
    publish(gate, baseline(known))
    verdict = gate.judge(tool, {"mark": "drop.example", "link": "https://docs.example"})
    assert verdict.origins
    assert verdict.outcome is Outcome.QUARANTINE
    assert verdict.signals[0].explain.startswith(f"first call of assistant to {place} ")
    assert behaviour_of(Features(extractions=BY_ROLE), verdict).destination == place
    assert differences(gate) == []


def test_roles_that_the_verdict_does_not_state_do_not_count_in_the_gate_either() -> None:
    gate = bench(NEW_PLACE)
    gate.publish(DECIDED)
    known = settled(tools=(("post.office", 500),), destinations=(("docs.example", 200),), reads=BY_ROLE)
    publish(gate, baseline(known))
    verdict = gate.judge(DECIDED, {"mark": "drop.example", "link": "https://docs.example"})
    assert (verdict.outcome, verdict.origins) == (Outcome.ALLOW, ())
    assert behaviour_of(Features(extractions=BY_ROLE), verdict).destination == "docs.example"


def test_a_pointer_to_an_item_that_no_list_has_finds_nothing() -> None:
    for index, found in (("1", {"destination": "b"}), ("2", {}), ("9" * 5_000, {})):
        reads = (Extraction("destination", ("*",), f"/to/{index}", "text"),)
        assert extracted(reads, "mail.send", {"to": ["a", "b"]}) == found


def test_the_calls_of_a_session_in_one_hour_are_counted() -> None:
    gate = bench(RATE)
    publish(gate)
    gate.wait(HOUR_MS // 2)
    late = SessionMaker("s-2")
    gate.establish(late)
    calls = [gate.judge(args={"path": f"{number}.txt"}, session=late).outcome for number in range(25)]
    # The agent makes ten calls in the busiest hour of a day.
    assert calls == [Outcome.ALLOW] * 20 + [Outcome.DENY] * 5
    gate.wait(HOUR_MS // 2)
    assert gate.judge(session=late).outcome is Outcome.ALLOW
    assert differences(gate) == []


def test_rules_that_ask_for_the_session_alone_do_not_look_at_baselines() -> None:
    gate = bench(REPEATS)
    publish(gate)
    assert [gate.judge(WEB_FETCH, {"url": "u"}).baseline_version for _ in range(3)] == [0, 0, 0]


Disturb = Callable[[GateBench], None]


def older(gate: GateBench) -> None:
    publish(gate, replace(baseline(settled(calls=9_999)), header=replace(baseline(settled()).header, time=1)))


def not_a_number(gate: GateBench) -> None:
    profile = settled(amounts=(("bank.pay", Median(float("nan"), 0.2, 60)),))
    publish(gate, baseline(profile, version=2))


def of_somebody_else(gate: GateBench) -> None:
    publish(gate, replace(baseline(settled(), version=2), agent="nobody"), baseline_record_key(agent="nobody"))


def too_large(gate: GateBench) -> None:
    publish(gate, replace(baseline(settled(), version=2), state=bytes(65 * 1024)))


def garbage(gate: GateBench) -> None:
    publish(gate, replace(baseline(settled(), version=2), state=b"\xc1"))


def under_another_key(gate: GateBench) -> None:
    publish(gate, baseline(settled(calls=9_999), version=2), b"acme|clerk/e1")


@pytest.mark.parametrize("disturb", [older, not_a_number, of_somebody_else, too_large, garbage, under_another_key])
def test_a_record_that_no_watch_writes_changes_nothing_and_is_reported(disturb: Disturb) -> None:
    gate = bench(NEW_TOOL)
    publish(gate)
    disturb(gate)
    denied = gate.judge(WEB_FETCH, {"url": "u"})
    assert denied.outcome is Outcome.DENY
    assert "in 500 calls" in denied.signals[0].explain
    (reason,) = gate.dead_letters(BASELINE.name)
    assert reason in {
        DeadLetterReason.SEQUENCE_REPLAYED,
        DeadLetterReason.RECORD_INVALID,
        DeadLetterReason.KEY_MISMATCH,
    }
    assert reason in {each.reason for each in gate.audits()}
    assert differences(gate) == []


def test_a_baseline_that_is_deleted_or_was_not_renewed_says_nothing() -> None:
    gate = bench(NEW_TOOL)
    publish(gate)
    gate.driver.pipe(BASELINE.name, baseline_record_key(), None)
    assert gate.judge(WEB_FETCH, {"url": "u"}).outcome is Outcome.ALLOW
    held = Baselines()
    held.offer(baseline_record_key(), baseline(settled()), START_MS)
    assert held.usual_of("acme", AGENT, START_MS + STALE_MS) is not None
    assert held.usual_of("acme", AGENT, START_MS + STALE_MS + 1) is None
    assert held.usual_of("other", AGENT, START_MS) is None


def test_a_restarted_gate_knows_what_it_knew_and_a_replay_knows_how_far_each_had_read() -> None:
    gate = bench(NEW_TOOL)
    publish(gate)
    first = gate.judge(WEB_FETCH, {"url": "u"})
    publish(gate, baseline(settled(tools=(("web.fetch", 500),)), version=2))
    second = gate.judge(WEB_FETCH, {"url": "u"})
    gate.restart()
    third = gate.judge(WEB_FETCH, {"url": "u"})
    assert [each.outcome for each in (first, second, third)] == [Outcome.DENY, Outcome.ALLOW, Outcome.ALLOW]
    assert [each.baseline_version for each in (first, second, third)] == [2, 3, 3]
    assert differences(gate) == []


def test_a_replay_comes_to_another_verdict_if_the_log_holds_another_baseline() -> None:
    gate = bench(NEW_TOOL)
    publish(gate)
    assert gate.judge(WEB_FETCH, {"url": "u"}).outcome is Outcome.DENY
    partition = gate.driver.log.partition(TopicPartition(BASELINE.name, 0))
    partition.truncate(partition.high_watermark)
    assert differences(gate)


def verdicts_of(gate: GateBench, count: int) -> list[Verdict]:
    return [gate.judge(WEB_FETCH, {"url": f"u{number}"}) for number in range(count)]


def test_a_gate_that_had_read_less_than_was_there_is_replayed_with_what_it_knew() -> None:
    """As after a restart, when calls come before the topic has been read, or while it can't be read."""
    gate = bench(NEW_TOOL)
    worker = gate.driver._workers[0]
    assert worker._broadcasts is not None
    advisory, worker._broadcasts._advisory = worker._broadcasts._advisory, None
    publish(gate)
    blind = verdicts_of(gate, 3)
    worker._broadcasts._advisory = advisory
    seeing = verdicts_of(gate, 3)
    assert [each.outcome for each in blind + seeing] == [Outcome.ALLOW] * 3 + [Outcome.DENY] * 3
    assert [each.baseline_version for each in blind + seeing] == [1] * 3 + [2] * 3
    assert differences(gate) == []


class TestNothingIsLoosened:
    @pytest.mark.parametrize("condition", ["signal.new_tool < 9", "true || signal.learned > 0"])
    def test_a_permit_cannot_read_a_baseline(self, condition: str) -> None:
        rule = f'  - {{id: S-9, effect: permit, match: {{tools: ["*"]}}, when: "{condition}", reason: known}}\n'
        with pytest.raises(BundleError, match="a permit can't read what comes from the agent's baseline"):
            compile_bundle(bundle_from_files(rule_files(rule)))

    def test_a_permit_can_read_the_session(self) -> None:
        rule = '  - {id: S-9, effect: permit, match: {tools: ["*"]}, when: "signal.repeats < 9", reason: known}\n'
        assert compile_bundle(bundle_from_files(rule_files(rule)))

    def test_a_macro_hides_nothing(self) -> None:
        files = rule_files(
            '  - {id: S-9, effect: permit, match: {tools: ["*"]}, when: "macros.usual", reason: known}\n'
        )
        name = "testing/testing.rules.yaml"
        files[name] = files[name].replace("rules:\n", 'macros: {usual: "signal.odd_hour < 3"}\nrules:\n', 1)
        with pytest.raises(BundleError, match="baseline"):
            compile_bundle(bundle_from_files(files))

    def test_a_memory_cannot_carry_it_to_a_permit(self) -> None:
        files = rule_files(PERMIT)
        name = "testing/testing.rules.yaml"
        memory = 'history:\n  odd: {keep: any, on: judged, when: "signal.odd_hour > 3"}\nrules:\n'
        files[name] = files[name].replace("rules:\n", memory, 1)
        with pytest.raises(BundleError, match="memories, budgets and entities can't read"):
            compile_bundle(bundle_from_files(files))

    @pytest.mark.parametrize(
        "forged",
        [
            settled(calls=1 << 50),
            settled(calls=0, hours=(0,) * 24),
            settled(tools=(), destinations=()),
            settled(busiest=Peak(0, 1e300, Mean(1e300, 1e300, 1e300))),
            settled(first_ms=-(1 << 60), last_ms=1 << 60),
            settled(amounts=(("files.read", Median(-1e300, 0.0, 1 << 60)),)),
            settled(reads=(("destination", ("*",), "no pointer", "nothing"), ("amount", ("*",), "/path", "number"))),
            settled(busiest=Peak(0, 1.0, Mean(1.0, 1.0, 20.0, 0, Tether(1.0, 1e6)))),
            settled(reads=AMOUNT, amounts=(("files.read", Median(1.0, 1.0, 100, Tether(1.0, 1e6))),)),
            settled(reads=AMOUNT, amounts=(("files.read", Median(-1.7e308, 0.0, 100)),)),
            settled(risks=(RiskPoint("", 1e308, START_MS, 1_000),)),
            settled(risks=(RiskPoint("", 1.0, -(1 << 63), 1), RiskPoint("x", 1.0, (1 << 63) - 1, 1))),
        ],
    )
    def test_a_forged_baseline_fails_no_call_that_no_rule_denies_by_it(self, forged: Profile) -> None:
        gate = bench('  - {id: S-5, effect: deny, match: {tools: ["*"]}, when: "signal.learned < 0", reason: never}\n')
        publish(gate, baseline(forged))
        assert gate.judge(args={"path": "5"}).outcome is Outcome.ALLOW
        assert differences(gate) == []


class TestWhatIsHeldIsBounded:
    def test_the_oldest_agents_make_room(self) -> None:
        held = Baselines()
        for number in range(AGENTS_MAX + 2):
            name = f"a-{number}"
            profile = settled(agent=name)
            held.offer(baseline_key("acme", name, EPOCH), baseline(profile), START_MS)
        assert held.count == AGENTS_MAX
        assert held.usual_of("acme", "a-1", START_MS) is None
        assert held.usual_of("acme", "a-2", START_MS) is not None
        held.forget(baseline_key("acme", "a-0", EPOCH))
        assert held.count == AGENTS_MAX

    def test_no_tenant_takes_the_room_of_another(self) -> None:
        held = Baselines()

        def offer(tenant_uid: str, agent: str) -> None:
            made = baseline(settled(agent=agent), tenant=tenant_uid)
            held.offer(baseline_key(tenant_uid, agent, EPOCH), made, START_MS)

        offer("quiet", "a-0")
        for number in range(AGENTS_MAX + 1):
            offer("noisy", f"a-{number}")
        assert held.count == AGENTS_MAX
        assert held.usual_of("quiet", "a-0", START_MS) is not None
        assert held.usual_of("noisy", "a-1", START_MS) is None
        assert held.usual_of("noisy", "a-2", START_MS) is not None

    def test_the_oldest_epochs_make_room(self) -> None:
        held = Baselines()
        for number in range(EPOCHS_MAX + 3):
            epoch = f"e{number}"
            held.offer(baseline_key("acme", AGENT, epoch), baseline(settled(epoch=epoch, calls=100), version=number), 1)
        usual = held.usual_of("acme", AGENT, DAY_MS)
        assert usual is not None
        assert usual.calls == EPOCHS_MAX * 100
