"""Rows of one kind never stand in the way of rows of another, whatever the names in their keys are."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.audit.publishers import UNSIGNED
from streams.engine import broadcasts
from streams.engine import state as engine_state
from streams.engine.state import PartitionState
from streams.model.labels import CLEAN, WORST
from streams.model.session import SessionEventType
from streams.model.topics import GATE_CHANGELOG, SESSION
from streams.ports import Outgoing
from streams.ports.processor import (
    BROADCAST_KEY_PREFIX,
    FENCE,
    MEMORY_KEY,
    STREAM_TIME_KEY,
    TIMER_KEY_PREFIX,
    V1_MEMORY_KEY,
)
from streams.processors.budgets.leases import LeaseRow, move_from_layout_1
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.layout import LAYOUT, LayoutError, bring_up, bring_up_other
from streams.processors.row_kinds import RowKind
from streams.processors.rows import LAYOUT_KEY, all_rows, grant_row_key, lease_row_key
from streams.processors.session_row import (
    GrantStatus,
    OpenedWith,
    PendingRead,
    SessionRow,
    SessionRowV1,
    SessionStatus,
    Source,
    decode_session,
    evolve,
)
from streams.processors.state import encode_row
from streams.stores.memory import MemoryStore
from tests.keeping import REFUND, CountingBench
from tests.kit import FILES_READ, HOUR_MS, MINUTE_MS, GateBench, compile_published

SHARED = """
budgets:
  refunds: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100, window: 24h}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
VICTIM = "auth0|alice"
STRANGER = SessionMaker('alice"]', tenant='["refunds","sum","user","acme","auth0')
"""Its key, as the one of a session, reads like the key of the victim's budget."""


def test_an_intent_of_a_stranger_does_not_make_the_lease_of_another_tenant_go() -> None:
    bench = CountingBench(SHARED)
    assert STRANGER.key == b'["refunds","sum","user","acme","auth0|alice"]'
    bench.propose(FILES_READ, session=STRANGER, unproven={"proof": None})
    bench.wait(23 * HOUR_MS + 30 * MINUTE_MS)
    session = SessionMaker("s-2", sub=VICTIM)
    bench.establish(session)
    refund = bench.propose(REFUND, {"amount": 100}, session)
    bench.verdicts()
    bench.wait(45 * MINUTE_MS)  # Everything about the stranger's session is forgotten meanwhile.
    event = session.event(SessionEventType.TOOL_NOT_RUN, bench.now_ms, intent_id=refund.intent_id, tool=refund.tool)
    bench.driver.pipe(SESSION.name, session.key, event)
    assert bench.outcome(REFUND, {"amount": 100}, session=session) == "ALLOW"


def test_the_registry_is_complete_and_names_what_is_there() -> None:
    assert len({kind.prefix for kind in RowKind}) == len(RowKind)
    assert all(len(kind.prefix) == 1 for kind in RowKind)
    for kind in RowKind:
        assert all((kind.key, kind.holds, kind.bound))
        import_module(kind.writer)
        if kind.row:
            module, _, name = kind.row.partition(":")
            assert issubclass(getattr(import_module(module), name), msgspec.Struct)


def test_the_engine_keeps_to_the_prefixes_that_are_reserved_for_it() -> None:
    keys = {
        RowKind.STREAM_TIME: [STREAM_TIME_KEY],
        RowKind.TIMER: [TIMER_KEY_PREFIX],
        RowKind.BROADCAST: [BROADCAST_KEY_PREFIX, broadcasts._EVENT_KEY, MEMORY_KEY, V1_MEMORY_KEY],
    }
    assert set(keys) == {kind for kind in RowKind if kind.writer.startswith("streams.engine.")}
    for kind, used in keys.items():
        assert all(key[:1] == kind.prefix for key in used)
    assert all_rows(RowKind.TIMER) == (TIMER_KEY_PREFIX, engine_state._AFTER_TIMERS)


def test_every_row_of_a_run_is_of_a_kind_and_reads_as_its_class() -> None:
    bench = CountingBench(SHARED)
    bench.propose(REFUND, {"amount": 10})
    bench.propose(FILES_READ, session=STRANGER, unproven={"proof": None})
    bench.propose(FILES_READ, session=SessionMaker("s-late"))
    classes = {kind.prefix: kind.row for kind in RowKind}
    found = set()
    for key, value in bench.rows(b""):
        found.add(key[:1])
        module, _, name = classes[key[:1]].partition(":")
        if name:
            made = msgspec.msgpack.decode(value, type=getattr(import_module(module), name))
            assert msgspec.msgpack.encode(made) == value
    assert {b"s", b"v", b"h", b"l", b"L", b"n", b"c", b"t", b"p"} <= found


class TestLayout:
    def test_a_newer_layout_is_refused(self) -> None:
        bench = GateBench()
        newer = msgspec.msgpack.encode(LAYOUT + 1)
        bench.driver.log.append(Outgoing(GATE_CHANGELOG.name, 0, LAYOUT_KEY, newer), timestamp_ms=bench.now_ms)
        with pytest.raises(LayoutError, match=f"layout {LAYOUT + 1}, and this version of stoplog knows"):
            bench.restart()

    @pytest.mark.parametrize("row", [b"", b"\xc1", b"\xa1x", msgspec.msgpack.encode(0)])
    def test_so_is_what_is_no_version(self, row: bytes) -> None:
        state = PartitionState(MemoryStore(), 3)
        state.put(LAYOUT_KEY, row)
        for bring in (partial(bring_up, move=move_from_layout_1), bring_up_other):
            with pytest.raises(LayoutError, match="partition 3"):
                bring(state)

    def test_a_gate_of_layout_1_can_not_read_what_stands_where_its_memory_was(self) -> None:
        state = PartitionState(MemoryStore())
        bring_up(state, move_from_layout_1)
        assert state.get(b"c*") == FENCE
        control = ControlState(Publications("default", UNSIGNED, InlineCompiler(compile_published)))
        with pytest.raises(msgspec.DecodeError):
            # As a gate of layout 1 does it, before it takes in anything.
            control.recall(FENCE)

    def test_what_control_state_remembered_is_not_lost(self) -> None:
        state = PartitionState(MemoryStore())
        state.put(b"c*", b"what was remembered")
        bring_up(state, move_from_layout_1)
        bring_up(state, move_from_layout_1)
        assert state.get(MEMORY_KEY) == b"what was remembered"

    def test_leases_are_moved_and_grants_are_not(self) -> None:
        state = PartitionState(MemoryStore())
        lease = encode_row(LeaseRow("acme", 0, 1, 100, available=7))
        grant = msgspec.msgpack.encode(["digest", ["a", "b"]])
        key = '["refunds","sum","user","acme","auth0|alice"]'
        hostile = '["refunds","sum","user","acme","auth0|bob"]'
        state.put(b"g" + key.encode(), lease)
        state.put(b"g" + hostile.encode(), grant)
        state.put(grant_row_key(b"acme|s-1"), grant)
        bring_up(state, move_from_layout_1)
        assert state.get(lease_row_key(key)) == lease
        assert state.get(grant_row_key(key.encode())) is None
        assert state.get(grant_row_key(hostile.encode())) == grant
        assert state.get(grant_row_key(b"acme|s-1")) == grant

    def test_nothing_is_done_twice(self) -> None:
        state = PartitionState(MemoryStore())
        bring_up(state, move_from_layout_1)
        state.put(b"g" + b'["x"]', encode_row(LeaseRow("acme", 0, 1, 100)))
        before = state.savepoint()
        bring_up(state, move_from_layout_1)
        assert state.savepoint() == before


class TestSessionRow:
    """A session's row in parts, and as layout 1 had it."""

    V1 = SessionRowV1(
        **{
            field.name: value
            for field, value in zip(
                msgspec.structs.fields(SessionRowV1),
                [
                    SessionStatus.FROZEN, 1, 2, "sub", "iss", "act", ("a", "b"), "purpose", ("d-1", "d-2"), WORST,
                    (Source("e-1", CLEAN),), (PendingRead("i-1", WORST, ("mail", "send")),), 3, 4, 5, 6, 7,
                    {"mail.send": 8}, "HIGH", 9, 10, 11, 12, 13, True, 14, 15, 16, 17, True, "session_idle", ("s-0",),
                    OpenedWith(("p", "m", "1"), b"x" * 32, None), ("model",), "d-2", GrantStatus.HELD, "fault",
                    ("mother",), True, ("d-3",),
                ],
                strict=True,
            )
        }
    )  # fmt: skip

    def test_a_row_of_layout_1_says_the_same_in_parts(self) -> None:
        row = decode_session(encode_row(self.V1))
        parts = [getattr(row, field.name) for field in msgspec.structs.fields(SessionRow)]
        found = {name: value for part in parts for name, value in msgspec.structs.asdict(part).items()}
        since_then = {
            "has_no_unproven": False,
            "questions_count": 0,
            "spent_in": {},
            "is_spent_unclear": False,
            "signals": b"",
        }
        assert found == {**msgspec.structs.asdict(self.V1), **since_then}
        assert sum(len(msgspec.structs.fields(type(part))) for part in parts) == len(found), "a field is in two parts"
        assert decode_session(encode_row(row)) == row

    def test_so_does_a_row_that_was_written_before_some_of_its_fields_existed(self) -> None:
        written = msgspec.msgpack.encode(msgspec.msgpack.decode(encode_row(self.V1))[:20])
        row = decode_session(written)
        assert (row.life.frozen_offset, row.counters.calls) == (9, {"mail.send": 8})
        assert row.trust.label_attested is False

    def test_what_is_changed_changes_its_parts_alone(self) -> None:
        row = decode_session(encode_row(self.V1))
        after = evolve(row, active_ms=99, spent_minor=98)
        assert (after.life.active_ms, after.counters.spent_minor) == (99, 98)
        assert evolve(after, active_ms=14 + 1, spent_minor=7) == row
        assert after.identity is row.identity
        assert after.grant is row.grant
        assert after.trust is row.trust
        with pytest.raises(KeyError):
            evolve(row, no_field=1)
