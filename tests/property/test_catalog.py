"""Whatever somebody without a key writes to the topic of the catalog, or takes off it: nothing is callable by that.

A reviewer decides now and then. In between anything happens that needs no key, gates start anew from what is left of
the topic and from what partitions remember. A tool that can be called is always as the reviewer decided last.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.records import reviewed, tool_entry
from streams.audit.reviewers import Reviewers
from streams.audit.signatures import SigningKey
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_key
from streams.model.errors import RecordError
from streams.processors.control.catalog import Catalog

replace = msgspec.structs.replace
ANN = SigningKey(Ed25519PrivateKey.from_private_bytes(b"a" * 32))
EVE = SigningKey(Ed25519PrivateKey.from_private_bytes(b"e" * 32))
REVIEWERS = Reviewers.of({"ann": str(ANN.public)}, required=1, allow_unsigned=False)
NAME = ("files", "read")
BASE = tool_entry(*NAME, proposed_by="carol")
STEPS_MAX = 25


class Act(Enum):
    APPROVE = "ann approves"
    BLOCK = "ann blocks"
    RIVAL = "ann blocks under the version of her last decision"
    REPLAY = "an old record is written again"
    STRIP = "one is written again without its signatures"
    ALTER = "one is written again with other facts"
    FORGE = "eve signs an approval"
    STOP = "somebody blocks the tool"
    PROPOSE = "somebody proposes"
    TOMBSTONE = "a record is taken off"
    GARBAGE = "a record that can't be read"
    WRONG_KEY = "a record under the key of another"
    RESTART = "another gate starts"


class World:
    """The topic, what partitions remember, and what the reviewer has decided."""

    def __init__(self) -> None:
        self.log: dict[bytes, ToolCatalogEntry | None] = {}
        self.signed: list[ToolCatalogEntry] = []
        self.written: list[ToolCatalogEntry] = []
        self.gate = Catalog(REVIEWERS)
        self.offset = 0

    def write(self, key: bytes, entry: ToolCatalogEntry | None) -> None:
        """A record, and None for one that can't be read: it stands where it was written last."""
        self.log.pop(key, None)
        self.log[key] = entry
        if entry is not None:
            self.written.append(entry)
        self.read(self.gate, key, entry)

    def take_off(self, key: bytes) -> None:
        self.log.pop(key, None)
        self.gate.forget(key, self.offset)

    def read(self, gate: Catalog, key: bytes, entry: ToolCatalogEntry | None) -> None:
        self.offset += 1
        if entry is None:
            gate.block_named(key)
            return
        try:
            gate.offer(key, entry, self.offset)
        except RecordError:
            gate.block_named(key)

    def restart(self) -> None:
        memory = self.gate.memory()
        started = Catalog(REVIEWERS)
        for key, entry in self.log.items():
            self.read(started, key, entry)
        if memory is not None:
            started.recall(memory)
        self.gate = started

    def decide(self, state: EntryState, *, later: int = 1) -> None:
        version = self.signed[-1].catalog_version + later if self.signed else 1
        note = f"no. {len(self.signed)}"
        entry = reviewed(replace(BASE, catalog_version=version, state=state, review_note=note), ANN)
        self.signed.append(entry)
        self.write(entry_key(entry), entry)

    @property
    def is_callable(self) -> bool:
        tool = self.gate.tools.get(NAME)
        return tool is not None and tool.entry.state in GRANTING_STATES

    def check(self) -> None:
        if self.is_callable:
            assert self.signed, "nobody has decided anything"
            assert self.gate.tools[NAME].entry == self.signed[-1]


def act(world: World, what: Act, number: int) -> None:
    old = world.written[number % len(world.written)] if world.written else BASE
    version = number % 9
    match what:
        case Act.APPROVE | Act.BLOCK:
            world.decide(EntryState.APPROVED if what is Act.APPROVE else EntryState.BLOCKED)
            return
        case Act.RIVAL:
            world.decide(EntryState.BLOCKED, later=0)
            return
        case Act.RESTART:
            world.restart()
            return
        case Act.TOMBSTONE:
            world.take_off(entry_key(old))
            return
        case Act.GARBAGE:
            world.write(entry_key(old), None)
            return
        case Act.WRONG_KEY:
            world.write(b"files/read@1.0011223344556677", old)
            return
    made = {
        Act.REPLAY: old,
        Act.STRIP: replace(old, signatures=()),
        Act.ALTER: replace(old, destructive=False, catalog_version=version, state=EntryState.APPROVED),
        Act.FORGE: reviewed(replace(BASE, catalog_version=version), EVE),
        Act.STOP: replace(BASE, catalog_version=version, state=EntryState.BLOCKED),
        Act.PROPOSE: replace(BASE, catalog_version=version, state=EntryState.PROPOSED, destructive=False),
    }[what]
    world.write(entry_key(made), made)


# What a reviewer does, and what undoes it, more often than the rest.
_OFTEN = (Act.APPROVE, Act.APPROVE, Act.APPROVE, Act.REPLAY, Act.REPLAY, Act.STOP, Act.TOMBSTONE, Act.TOMBSTONE)
Steps = st.lists(
    st.tuples(st.sampled_from((*_OFTEN, *Act)), st.integers(0, 100)), min_size=STEPS_MAX // 2, max_size=STEPS_MAX
)


@settings(max_examples=400, deadline=None)
@given(steps=Steps)
def test_nothing_is_callable_but_what_was_decided_last(steps: list[tuple[Act, int]]) -> None:
    world = World()
    for what, number in steps:
        act(world, what, number)
        world.check()


@settings(max_examples=200, deadline=None)
@given(steps=Steps)
def test_a_reviewer_can_always_end_a_stop(steps: list[tuple[Act, int]]) -> None:
    world = World()
    for what, number in steps:
        act(world, what, number)
    world.decide(EntryState.APPROVED)
    assert world.gate.tools[NAME].entry == world.signed[-1]
    world.restart()
    assert world.gate.tools[NAME].entry == world.signed[-1]


@settings(max_examples=300, deadline=None)
@given(steps=Steps)
def test_nothing_but_an_approval_ends_a_stop(steps: list[tuple[Act, int]]) -> None:
    world = World()
    for what, number in steps:
        was_callable = world.is_callable
        act(world, what, number)
        assert was_callable or what is Act.APPROVE or not world.is_callable
