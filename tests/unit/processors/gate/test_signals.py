"""Rules see what is unusual about a call in its session: repeats, long runs, two places. Others pay nothing for it."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset
from streams.behaviour.detectors.loops import RING_MAX
from streams.inmemory.disk import DiskStore
from streams.model.approval import ApprovalStatus
from streams.model.catalog import ToolCatalogEntry
from streams.model.topics import APPROVAL_DECISION, RULESET
from streams.model.verdict import Outcome, Verdict
from streams.processors.row_kinds import RowKind
from streams.processors.rows import session_row_key, signals_row_key
from streams.processors.session_row import SessionRow, decode_session, evolve
from streams.processors.state import encode_row
from tests.kit import FILES_READ, HOUR_MS, MAIL_SEND, MINUTE_MS, GateBench

HEAD = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\npacks: [testing]\n'
PERMIT = '  - {id: S-0, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}\n'
LOOP = '  - {id: S-1, effect: deny, match: {tools: ["*"]}, when: "signal.repeats >= 5", reason: a loop}\n'
RUN = '  - {id: S-2, effect: deny, match: {tools: ["*"]}, when: "signal.run > 8", reason: no end}\n'
PLACES = '  - {id: S-3, effect: quarantine, match: {tools: ["*"]}, when: "signal.returns > 0", reason: two places}\n'
ASK = '  - {id: S-4, effect: defer, match: {tools: ["*"]}, when: "signal.repeats == 2", defer: 10s, reason: wait}\n'
APPROVE = (
    '  - {id: S-5, effect: require_approval, match: {tools: ["*"]}, when: "signal.repeats in [2, 3]",'
    " approval: {group: leads, ttl: 10m}, reason: ask}\n"
)


def bench(*rules: str) -> GateBench:
    made = GateBench(with_rules=False)
    text = "apiVersion: rules/v1\npack: testing\nrules:\n" + "".join((PERMIT, *rules))
    made.driver.pipe(RULESET.name, b"default", ruleset({"bundle.yaml": HEAD, "testing/testing.rules.yaml": text}))
    return made


def outcomes(verdicts: list[Verdict]) -> list[Outcome]:
    return [each.outcome for each in verdicts]


def test_the_fifth_equal_call_of_a_session_is_denied_and_the_verdict_tells_why() -> None:
    gate = bench(LOOP)
    found = [gate.judge() for _ in range(6)]
    assert outcomes(found) == [Outcome.ALLOW] * 4 + [Outcome.DENY] * 2
    assert [[signal.name for signal in each.signals] for each in found] == [[], [], *[["repeats"]] * 4]
    assert (found[4].signals[0].score, found[4].reason_text) == (5.0, "a loop")
    assert gate.judge(args={"path": "b.txt"}).outcome is Outcome.ALLOW


def test_a_cycle_of_calls_is_a_loop_too() -> None:
    gate = bench(LOOP)
    paths = ["a.txt", "b.txt", "c.txt"] * 5
    found = [gate.judge(args={"path": path}) for path in paths]
    assert outcomes(found)[:12] == [Outcome.ALLOW] * 12
    assert outcomes(found)[-1] is Outcome.DENY


def test_what_is_asked_every_three_minutes_is_no_loop() -> None:
    """Somebody looks into an incident: four of the calls are within ten minutes, whenever one looks."""
    gate = bench(LOOP)
    for _ in range(12):
        assert gate.judge().outcome is Outcome.ALLOW
        gate.wait(3 * MINUTE_MS)
    for _ in range(6):
        last = gate.judge()
    assert last.outcome is Outcome.DENY
    assert last.signals[0].explain == "the same call, or the same few in turn, 9 times within ten minutes"


@pytest.mark.parametrize(
    ("entry", "pause_ms", "last"),
    [
        (FILES_READ, 15_000, Outcome.ALLOW),
        (FILES_READ, 14_000, Outcome.ALLOW),
        (FILES_READ, 10_000, Outcome.DENY),
        (MAIL_SEND, 15_000, Outcome.DENY),
    ],
)
def test_who_only_asks_slowly_repeats_nothing_as_the_watch_says(
    entry: ToolCatalogEntry, pause_ms: int, last: Outcome
) -> None:
    gate = bench(LOOP.replace(">= 5", ">= 8"))
    for _ in range(20):
        found = gate.judge(entry=entry)
        gate.wait(pause_ms)
    assert found.outcome is last


def test_calls_of_a_row_without_times_count_as_made_now() -> None:
    """Earlier versions have kept no times."""
    gate = bench(LOOP)
    for _ in range(4):
        gate.judge()
    row = session_row(gate)
    (calls, is_spoiled, *_), *others = msgspec.msgpack.decode(row.behaviour.signals)
    earlier = evolve(row, signals=msgspec.msgpack.encode([[calls, is_spoiled], *others]))
    offset = gate.driver.disk.changelog_offset(0)
    assert offset is not None
    DiskStore(gate.driver.disk, 0, gate.driver.disk._tables[0]).apply(
        {session_row_key(gate.session.key): encode_row(earlier)}, offset
    )
    gate.restart()
    assert gate.judge().outcome is Outcome.DENY


def test_what_a_gate_remembers_of_a_session_counts_only_for_the_row_that_there_is() -> None:
    gate = bench(LOOP)
    gate.judge()
    gate.judge()
    after_two = session_row(gate).behaviour.signals
    gate.judge()
    gate.judge()
    offset = gate.driver.disk.changelog_offset(0)
    assert offset is not None
    DiskStore(gate.driver.disk, 0, gate.driver.disk._tables[0]).apply(
        {session_row_key(gate.session.key): encode_row(evolve(session_row(gate), signals=after_two))}, offset
    )
    gate.restart()
    found = gate.judge()
    assert found.outcome is Outcome.ALLOW
    assert [(signal.name, signal.score) for signal in found.signals] == [("repeats", 3.0)]


def test_other_sessions_and_calls_sent_twice_count_nothing() -> None:
    gate = bench(LOOP)
    other = SessionMaker("s-2")
    gate.establish(other)
    for _ in range(4):
        assert gate.judge(session=other).outcome is Outcome.ALLOW
    intent = gate.propose()
    gate.verdict()
    for _ in range(8):
        gate.send(intent)
    gate.verdicts()
    assert outcomes([gate.judge() for _ in range(4)]) == [Outcome.ALLOW] * 3 + [Outcome.DENY]


def test_a_call_that_waits_is_one_call() -> None:
    gate = bench(LOOP, ASK)
    gate.judge()
    assert gate.judge().outcome is Outcome.DEFER
    gate.wait(11_000)
    assert gate.verdict().outcome is Outcome.ALLOW
    found = gate.judge()
    assert found.outcome is Outcome.ALLOW
    assert [signal.score for signal in found.signals] == [3.0]


def test_a_call_that_people_refuse_is_one_call() -> None:
    gate = bench(LOOP, APPROVE)
    gate.judge()
    for _ in range(2):
        intent = gate.propose()
        assert gate.verdict().outcome is Outcome.REQUIRE_APPROVAL
        decision = gate.session.decision(intent, "lena", gate.now_ms, status=ApprovalStatus.DENIED, groups=("leads",))
        gate.driver.pipe(APPROVAL_DECISION.name, gate.session.key, decision)
        refused = gate.verdict()
        assert refused.outcome is Outcome.DENY
    assert [signal.score for signal in refused.signals] == [3.0]
    found = gate.judge()
    assert [signal.score for signal in found.signals] == [4.0]


def test_calls_of_one_tool_in_a_row_are_counted_until_another_one_comes() -> None:
    gate = bench(RUN)
    found = [gate.judge(args={"path": f"{number}.txt"}) for number in range(10)]
    assert outcomes(found) == [Outcome.ALLOW] * 8 + [Outcome.DENY] * 2


def test_a_session_that_comes_back_to_an_instance_is_in_two_places() -> None:
    gate = bench(PLACES)
    act = gate.session.act

    def called_in(instance: str) -> Outcome:
        gate.session.act = msgspec.structs.replace(act, instance_uid=instance)
        return gate.judge(args={"path": f"{gate.now_ms}.txt"}).outcome

    assert [called_in(name) for name in ("one", "one", "two")] == [Outcome.ALLOW] * 3
    gate.wait(MINUTE_MS)
    assert called_in("one") is Outcome.QUARANTINE


def test_a_move_to_another_instance_is_not_a_return() -> None:
    gate = bench(PLACES)
    act = gate.session.act
    for name, wait_ms in (("one", 0), ("two", 0), ("one", 10 * MINUTE_MS)):
        gate.wait(wait_ms)
        gate.session.act = msgspec.structs.replace(act, instance_uid=name)
        assert gate.judge(args={"path": f"{gate.now_ms}.txt"}).outcome is Outcome.ALLOW


def test_counts_outlive_a_restart() -> None:
    gate = bench(LOOP)
    for _ in range(4):
        gate.judge()
    gate.restart()
    assert gate.judge().outcome is Outcome.DENY


@pytest.mark.parametrize(("rules", "is_kept"), [((LOOP,), True), ((), False)], ids=["read", "not read"])
def test_what_a_session_keeps_is_bounded_and_only_kept_if_a_rule_reads_it(
    rules: tuple[str, ...], *, is_kept: bool
) -> None:
    gate = bench(*rules)
    for number in range(RING_MAX + 20):
        gate.judge(FILES_READ, {"path": f"{number}.txt"})
    kept = session_row(gate).behaviour.signals
    assert bool(kept) is is_kept
    assert len(kept) < 16 * RING_MAX
    assert apart(gate) == []
    gate.wait(60 * HOUR_MS)
    assert session_row_key(gate.session.key) not in gate.driver.disk.rows(0)


def test_a_session_of_an_earlier_version_goes_on_with_what_was_kept_in_a_row_of_its_own() -> None:
    gate = bench(LOOP)
    for _ in range(4):
        gate.judge()
    row = session_row(gate)
    offset = gate.driver.disk.changelog_offset(0)
    assert offset is not None
    earlier = {
        session_row_key(gate.session.key): encode_row(evolve(row, signals=b"")),
        signals_row_key(gate.session.key): row.behaviour.signals,
    }
    DiskStore(gate.driver.disk, 0, gate.driver.disk._tables[0]).apply(earlier, offset)
    gate.restart()
    assert session_row(gate).behaviour.signals == b""
    assert gate.judge().outcome is Outcome.DENY
    assert apart(gate) == []
    assert session_row(gate).behaviour.signals


def session_row(gate: GateBench) -> SessionRow:
    return decode_session(gate.driver.disk.rows(0)[session_row_key(gate.session.key)])


def apart(gate: GateBench) -> list[bytes]:
    """Rows of behaviour beside those of sessions."""
    return [key for key in gate.driver.disk.rows(0) if key[:1] == RowKind.SIGNALS.prefix]
