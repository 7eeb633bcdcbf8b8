"""Decisions that wait are the same ones, in the same order, however the input is cut into transactions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from simulation.fleet.records import verdict_of
from streams.engine.state import PartitionState
from streams.model.behaviour import BehaviourEvent
from streams.processors.row_kinds import RowKind
from streams.processors.watch.features import behaviour_of
from streams.processors.watch.waiting import PACK_BYTES_MAX, PACKED_MIN, Waiting
from streams.stores.memory import MemoryStores
from tests.unit.behaviour.kit import START_MS
from tests.unit.processors.watch.watch_bench import SHIPPED, sent

LATEST = 30
Step = tuple[str, int, int, int]
"""`keep` (when, which, in which form), `many` (when, from which on), `take` (until when, how many), `commit` or
`restart`."""

KEEP, COMMIT = ("keep", 1, 1, 0), ("commit", 0, 0, 0)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.integers(0, LATEST), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("take"), st.integers(0, LATEST), st.integers(1, 40), st.just(0)),
        st.tuples(st.just("many"), st.integers(0, LATEST), st.sampled_from((100, 200)), st.just(0)),
        st.tuples(st.sampled_from(("commit", "restart")), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=40,
)


def decision(number: int, form: int = 0) -> BehaviourEvent:
    """A decision as keying writes it; another form of it has the same id and time, and says something else."""
    event = behaviour_of(SHIPPED.features, verdict_of(sent(START_MS, event_id=f"e-{number}")))
    return replace(event, epoch=f"v{form}")


class Kept:
    """What waits in one partition."""

    def __init__(self) -> None:
        self.state = PartitionState(MemoryStores().open(0))
        self.waiting = Waiting()

    def keep(self, events: Sequence[BehaviourEvent], time_ms: int) -> None:
        for event in events:
            self.waiting.keep(event, time_ms, self.state)
        self.state.keep_record()

    def take(self, until_ms: int, count_max: int = 1_000) -> list[BehaviourEvent]:
        taken = self.waiting.take(self.state, until_ms, count_max)
        self.state.keep_record()
        return taken

    def commit(self) -> dict[bytes, bytes | None]:
        """End the transaction as a worker does, and return the rows that went to the changelog."""
        assert self.waiting.before_commit([], [], self.state, START_MS) == []
        self.state.keep_record()
        changes = dict(self.state.changes())
        self.state.committed(0)
        return changes


def played(steps: Sequence[Step], *, with_commits: bool) -> list[list[str]]:
    """What is taken in each step, and everything that is left at the end."""
    kept, taken = Kept(), []
    for name, at, other, form in steps:
        if name == "keep":
            kept.keep([decision(other, form)], at)
        elif name == "many":
            kept.keep([decision(number) for number in range(other, other + 2 * PACKED_MIN)], at)
        elif name == "take":
            taken.append(kept.take(at, other))
        elif with_commits:
            kept.commit()
            if name == "restart":
                kept.waiting = Waiting()
    taken.append(kept.take(LATEST + 1))
    kept.commit()
    assert not list(kept.state.scan(RowKind.BEHAVIOUR_WAITING.prefix, RowKind.BEHAVIOUR_WAITING.prefix + b"\xff"))
    assert not list(kept.state.scan(RowKind.BEHAVIOUR_PACK.prefix, RowKind.BEHAVIOUR_PACK.prefix + b"\xff"))
    return [[msgspec.json.encode(event).decode() for event in events] for events in taken]


@given(STEPS)
# Two packs begin with the same decision, and go on with others.
@example([KEEP, ("many", 5, 100, 0), COMMIT, KEEP, ("many", 5, 200, 0), COMMIT, ("take", 6, 40, 0)])
# Another form of a decision comes while the first one is packed.
@example([KEEP, ("many", 5, 100, 0), COMMIT, ("keep", 1, 1, 1), ("take", 9, 40, 0)])
# A part of a pack is due, and what is left is packed again.
@example([("many", 5, 100, 0), ("many", 9, 200, 0), COMMIT, ("take", 6, 20, 0), COMMIT, ("take", 9, 40, 0)])
def test_what_waits_does_not_depend_on_commits_and_restarts(steps: list[Step]) -> None:
    assert played(steps, with_commits=True) == played(steps, with_commits=False)


def test_decisions_of_one_transaction_are_few_rows() -> None:
    kept = Kept()
    kept.keep([decision(number) for number in range(300)], 1)
    written = kept.commit()
    assert 0 < len(written) < 10
    assert max(len(row or b"") for row in written.values()) < 1.1 * PACK_BYTES_MAX
    assert len(kept.take(2)) == 300
    gone = kept.commit()
    assert gone.keys() == written.keys()
    assert set(gone.values()) == {None}


def test_what_comes_and_goes_within_a_transaction_leaves_no_row() -> None:
    kept = Kept()
    kept.keep([decision(number) for number in range(100)], 1)
    assert len(kept.take(2)) == 100
    assert kept.commit() == {}


def test_a_few_decisions_stay_rows_of_their_own() -> None:
    kept = Kept()
    kept.keep([decision(number) for number in range(PACKED_MIN - 1)], 1)
    assert {key[:1] for key in kept.commit()} == {RowKind.BEHAVIOUR_WAITING.prefix}


def test_a_decision_that_is_larger_than_a_pack_stays_a_row_of_its_own() -> None:
    kept = Kept()
    large = replace(decision(PACKED_MIN), epoch="x" * (2 * PACK_BYTES_MAX))
    events = [*map(decision, range(PACKED_MIN)), large]
    kept.keep(events, 1)
    sizes = {key[:1]: len(row or b"") for key, row in kept.commit().items()}
    assert sizes[RowKind.BEHAVIOUR_WAITING.prefix] > 2 * PACK_BYTES_MAX
    assert sizes[RowKind.BEHAVIOUR_PACK.prefix] < PACK_BYTES_MAX
    assert {event.header.id for event in kept.take(2)} == {event.header.id for event in events}


def test_a_decision_that_an_earlier_version_has_left_waiting_is_judged() -> None:
    kept, event = Kept(), decision(1)
    key = RowKind.BEHAVIOUR_WAITING.prefix + (1).to_bytes(8, "big") + event.header.id.encode()
    kept.state.put(key, msgspec.msgpack.encode(event))
    kept.state.keep_record()
    kept.commit()
    assert kept.take(1) == []
    assert kept.take(2) == [event]
