"""A partition's state against a dictionary that does the same, step by step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.engine.state import INSERTS_MAX, PartitionState
from streams.inmemory.disk import Disk

# Keys that stand close together, on both sides of the timers' own range.
KEYS = st.sampled_from([b"a", b"s1", b"s1\x00", b"s1\x00x", b"s2", b"v\xff", b"v\xff\xff", b"w"])
TIMES = st.integers(0, 20)
PAYLOADS = st.sampled_from([b"", b"p", b"p\x00", b"q"])
TIMERS = b"t"
Rows = dict[bytes, bytes]
Timers = set[tuple[int, bytes]]


class StateMachine(RuleBasedStateMachine):
    """Three layers, each a copy of the one below: what is committed, this transaction, this record.

    `newly_set` are the keys that were set since the last commit, whatever became of them.
    """

    @initialize()
    def open(self) -> None:
        self.disk = Disk()
        self.state = PartitionState(self.disk.open(0))
        self.rows: list[Rows] = [{}, {}, {}]
        self.timers: list[Timers] = [set(), set(), set()]
        self.offset = 0
        self.newly_set: list[set[bytes]] = [set(), set(), set()]

    @rule(key=KEYS, value=st.binary(max_size=3))
    def put(self, key: bytes, value: bytes) -> None:
        self.state.put(key, value)
        self.rows[2][key] = value
        self.newly_set[2].add(key)

    @rule(first=st.integers(0, 40))
    def put_many(self, first: int) -> None:
        """More rows than are put into their places one by one."""
        for number in range(first, first + INSERTS_MAX + 10):
            self.put(b"m%03d" % number, b"%d" % first)

    @rule(number=st.integers(0, 110))
    def delete_one_of_many(self, number: int) -> None:
        self.delete(b"m%03d" % number)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.state.delete(key)
        self.rows[2].pop(key, None)

    @rule(due_ms=TIMES, payload=PAYLOADS)
    def set_timer(self, due_ms: int, payload: bytes) -> None:
        self.state.set_timer(due_ms, payload)
        self.timers[2].add((due_ms, payload))

    @rule(due_ms=TIMES, payload=PAYLOADS)
    def cancel_timer(self, due_ms: int, payload: bytes) -> None:
        self.state.cancel_timer(due_ms, payload)
        self.timers[2].discard((due_ms, payload))

    @rule()
    def keep_record(self) -> None:
        self.state.keep_record()
        self._copy(2, 1)

    @rule()
    def drop_record(self) -> None:
        self.state.drop_record()
        self._copy(1, 2)

    @rule()
    def commit(self) -> None:
        self.keep_record()
        changes = self.state.changes()
        # A tombstone of what the store does not have says nothing to anybody who follows the changelog.
        gone = {key for key in self.newly_set[1] if key in changes and changes[key] is None}
        assert gone <= self.rows[0].keys()
        assert {key for key in changes if key.startswith(TIMERS)} >= {
            key for key in self.disk.rows(0) if key.startswith(TIMERS) and self.state.get(key) is None
        }
        self.offset += len(changes)
        self.state.committed(self.offset)
        self.newly_set = [set(), set(), set()]
        self._copy(1, 0)
        assert not self.state.changes()

    @rule()
    def abort(self) -> None:
        self.state.aborted()
        self._copy(0, 1)
        self._copy(0, 2)

    @rule()
    def reopen(self) -> None:
        """A restart: what was not committed is gone."""
        self.state.close()
        self.state = PartitionState(self.disk.open(0))
        self._copy(0, 1)
        self._copy(0, 2)

    @rule(start=KEYS, end=KEYS)
    def scan(self, start: bytes, end: bytes) -> None:
        expected = sorted((key, value) for key, value in self.rows[2].items() if start <= key < end)
        found = [row for row in self.state.scan(start, end) if not row[0].startswith(TIMERS)]
        assert found == expected

    @rule(now_ms=TIMES, limit=st.integers(1, 4))
    def look_at_timers(self, now_ms: int, limit: int) -> None:
        due = sorted(timer for timer in self.timers[2] if timer[0] <= now_ms)
        assert self.state.has_due(now_ms) or not due
        assert self.state.due_timers(now_ms, limit) == due[:limit]

    @invariant()
    def rows_are_alike(self) -> None:
        for key in (b"a", b"s1", b"s1\x00", b"s1\x00x", b"s2", b"v\xff", b"v\xff\xff", b"w"):
            assert self.state.get(key) == self.rows[2].get(key)

    @invariant()
    def nothing_reaches_the_disk_before_the_commit(self) -> None:
        stored = {key: value for key, value in self.disk.rows(0).items() if not key.startswith(TIMERS)}
        assert stored == self.rows[0]
        assert sum(key.startswith(TIMERS) for key in self.disk.rows(0)) == len(self.timers[0])

    def _copy(self, source: int, target: int) -> None:
        self.rows[target] = dict(self.rows[source])
        self.timers[target] = set(self.timers[source])
        self.newly_set[target] = set(self.newly_set[source])


TestPartitionState = StateMachine.TestCase
TestPartitionState.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
