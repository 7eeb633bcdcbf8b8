"""Publications whose rules take their time: which one is worked on, and what another gate's being faster means."""

from __future__ import annotations

from simulation.records import ruleset
from streams.audit.publishers import UNSIGNED
from streams.model.reasons import ControlReason
from streams.policy import BundleError, BundleSource, CompiledRuleset
from streams.policy.runtime.ruleset import Tool
from streams.processors.control.publications import BEHIND_MS_MAX, Publications
from tests.kit import BUNDLE, BUNDLE_FILES, compile_published

KEY = b"acme|s-1"
OTHERS = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace('"1"', '"2"')}
THIRD = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace('"1"', '"3"')}


class Hand:
    """Compiles when it is told to."""

    def __init__(self) -> None:
        self.running: list[Held] = []
        self.cancelled: list[Held] = []

    def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Held:
        held = Held(self, source, tools)
        self.running.append(held)
        return held


class Held:
    is_busy = False

    def __init__(self, hand: Hand, source: BundleSource, tools: tuple[Tool, ...]) -> None:
        self.hand, self.source, self.tools = hand, source, tools
        self.done = False

    def advance(self) -> CompiledRuleset | None:
        return self.result() if self.done else None

    def result(self) -> CompiledRuleset:
        self.hand.running.remove(self)
        return compile_published(self.source)

    def cancel(self) -> None:
        self.hand.running.remove(self)
        self.hand.cancelled.append(self)


def started(hand: Hand) -> Publications:
    """With the first rules in force."""
    rules = Publications("default", UNSIGNED, hand)
    rules.offer(ruleset(BUNDLE_FILES, serial=1), 0)
    rules.settle()
    rules.take_events()
    return rules


def serial(rules: Publications) -> int | None:
    found = rules.in_force(KEY)
    return None if found is None else found.serial


def test_the_old_rules_judge_until_the_new_ones_are_ready() -> None:
    hand = Hand()
    rules = started(hand)
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    assert (serial(rules), rules.take_events()) == (1, [])
    hand.running[0].done = True
    rules.advance(1)
    assert serial(rules) == 2
    assert [event.reason for event in rules.take_events()] == [ControlReason.RULES_PUBLISHED]


def test_the_tools_that_are_called_are_to_be_ready() -> None:
    hand = Hand()
    rules = started(hand)
    assert rules.stable is not None
    assert rules.stable.ruleset is not None
    called = {"server_id": "mail", "name": "send", "version": "1"}
    rules.stable.ruleset.evaluate({"tool": called})
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    assert called in hand.running[0].tools


def test_a_newer_publication_is_worked_on_first() -> None:
    hand = Hand()
    rules = started(hand)
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    rules.offer(ruleset(THIRD, serial=3), 2)
    rules.advance(1)
    assert [held.source.files for held in hand.cancelled] == [OTHERS]
    assert [held.source.files for held in hand.running] == [THIRD]
    hand.running[0].done = True
    rules.advance(2)
    assert serial(rules) == 3
    told = {event.bundle.serial: event.reason for event in rules.take_events() if event.bundle is not None}
    assert told == {2: ControlReason.RULES_SUPERSEDED, 3: ControlReason.RULES_PUBLISHED}


def test_going_back_does_not_wait_for_what_is_compiled() -> None:
    hand = Hand()
    rules = started(hand)
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    rules.offer(ruleset(BUNDLE_FILES, serial=3), 2)
    rules.advance(1)
    assert serial(rules) == 3


def test_an_older_one_comes_into_force_if_the_newer_is_bad() -> None:
    hand = Hand()
    rules = started(hand)
    broken = {"bundle.yaml": BUNDLE}
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.offer(ruleset(broken, serial=3), 2)
    for now_ms in range(4):
        rules.advance(now_ms)
        for held in hand.running:
            held.done = True
    assert serial(rules) == 2
    told = {event.bundle.serial: event.error and event.error.reason for event in rules.take_events() if event.bundle}
    assert told == {2: None, 3: "bundle_invalid"}


def test_another_gate_may_be_faster() -> None:
    hand = Hand()
    rules = started(hand)
    fast = started(Hand())
    fast.offer(ruleset(OTHERS, serial=2), 1)
    fast.advance(0)
    fast.compiler.running[0].done = True
    fast.advance(1)
    memory = fast.memory()
    assert memory is not None

    rules.recall(memory)  # the record has not been read yet
    rules.advance(0)
    assert serial(rules) is None
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(1)
    assert serial(rules) == 1  # it is known, and on its way
    rules.advance(10 * BEHIND_MS_MAX)
    assert rules.take_events() == []
    hand.running[0].done = True
    rules.advance(10 * BEHIND_MS_MAX + 1)
    assert serial(rules) == 2
    assert rules.memory() == memory


def test_what_another_gate_has_in_force_and_this_one_can_not_compile_denies() -> None:
    class Refusing(Hand):
        def start(self, source: BundleSource, tools: tuple[Tool, ...]) -> Held:
            if source.files == OTHERS:
                raise BundleError([])
            return super().start(source, tools)

    rules = started(Refusing())
    rules.recall(b"\x92\x02\x02")
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    assert serial(rules) is None
    rules.advance(1)
    rules.advance(BEHIND_MS_MAX + 1)
    assert ControlReason.RULES_TOPIC_BEHIND in [event.reason for event in rules.take_events()]


def test_what_is_remembered_is_one_object_until_it_changes() -> None:
    rules = started(Hand())
    assert rules.memory() is rules.memory()
    before = rules.memory()
    rules.offer(ruleset(OTHERS, serial=2, time_ms=1), 1)
    assert rules.memory() != before


def test_closing_drops_what_is_under_way() -> None:
    hand = Hand()
    rules = started(hand)
    rules.offer(ruleset(OTHERS, serial=2), 1)
    rules.advance(0)
    rules.close()
    assert hand.running == []
    assert len(hand.cancelled) == 1
