"""Seals: what they prove, and every way in which one proves nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.merkle import Frontier, Tree, leaf_hash
from streams.audit.notes import Note, signed_note
from streams.audit.seal_keys import KeyState, SealKey, SealKeys, SealKeysError, derived_seal_key
from streams.audit.seals import AUDIT_LEAF, LEAVES_MAX, VERDICT_LEAF, SealedBatch, SealError, make_seals, origin_of
from streams.audit.signatures import SigningKey
from streams.model.audit import Seal
from tests.frontiers import extends_its_frontier

KEY = SigningKey.made()
NOW_MS = 1_764_061_200_000
LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]


def seals_of(
    leaves: list[bytes],
    before: Frontier | None = None,
    *,
    key: SigningKey = KEY,
    partition: int = 3,
    deployment: str = "prod",
) -> tuple[list[Seal], Frontier]:
    kinds = bytes(VERDICT_LEAF if number % 2 == 0 else AUDIT_LEAF for number in range(len(leaves)))
    return make_seals(
        before or Frontier(),
        leaves,
        kinds,
        partition=partition,
        deployment=deployment,
        source="test",
        now_ms=NOW_MS,
        signer=key,
    )


def seal_of(leaves: list[bytes], before: Frontier | None = None, **changes: object) -> Seal:
    (made,), _ = seals_of(leaves, before, **changes)
    return made


def keys(*listed: SealKey, deployment: str = "prod") -> SealKeys:
    return SealKeys.of(listed or [SealKey("gate", KEY.public)], deployment)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_seals_cover_the_log_one_after_the_other(batches: list[int]) -> None:
    frontier, size = Frontier(), 0
    for count in batches:
        leaves = [leaf_hash(b"%d" % number) for number in range(size, size + count)]
        seal = seal_of(leaves, frontier)
        opened = keys().opened(seal, 3)
        size += count
        assert opened.before == frontier
        assert extends_its_frontier(opened)
        assert opened.head.size == size
        assert opened.head.root == Tree([leaf_hash(b"%d" % number) for number in range(size)]).root()
        assert opened.verdicts() == frozenset(leaves[::2])
        frontier = frontier.appended(leaves)


def test_a_batch_that_is_too_large_for_one_seal_has_several() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(2 * LEAVES_MAX + 1)]
    made, after = seals_of(leaves)
    assert [len(seal.kinds) for seal in made] == [LEAVES_MAX, LEAVES_MAX, 1]
    assert [seal.continues for seal in made] == [True, True, False]
    assert [seal.first for seal in made] == [0, LEAVES_MAX, 2 * LEAVES_MAX]
    assert all(extends_its_frontier(keys().opened(seal, 3)) for seal in made)
    assert after == Frontier().appended(leaves)


@pytest.mark.parametrize(
    ("partition", "deployment", "text"),
    [(4, "prod", "prod/3"), (3, "test", "prod/3"), (3, "", "prod/3"), (3, "prod/3", "prod/3")],
)
def test_a_seal_proves_nothing_elsewhere(partition: int, deployment: str, text: str) -> None:
    with pytest.raises(SealError, match=text):
        keys(deployment=deployment).opened(seal_of(LEAVES), partition)


def test_no_two_deployments_have_one_origin() -> None:
    names = ["", "a", "a/1", "a%2F1", "a 1", "a+1", "A", "ä"]
    origins = {origin_of(name, partition) for name in names for partition in (0, 1, 11)}
    assert len(origins) == len(names) * 3
    assert all(char.isascii() and not char.isspace() and char != "+" for origin in origins for char in origin)


@pytest.mark.parametrize("name", ["leaves", "kinds", "first", "frontier", "signed_head"])
def test_a_seal_that_was_changed_proves_nothing(name: str) -> None:
    seal, other = seal_of(LEAVES[:5]), seal_of(LEAVES[5:12], Frontier().appended(LEAVES[:5]))
    with pytest.raises(SealError):
        keys().opened(msgspec.structs.replace(seal, **{name: getattr(other, name)}), 3)


def test_leaves_may_not_move() -> None:
    seal = seal_of(LEAVES[:5])
    swapped = b"".join([LEAVES[1], LEAVES[0], *LEAVES[2:5]])
    for leaves in (swapped, seal.leaves[:-1], seal.leaves + bytes(32), b""):
        with pytest.raises(SealError):
            keys().opened(msgspec.structs.replace(seal, leaves=leaves), 3)


def test_a_frontier_of_another_log_is_noticed_by_who_checks_the_log() -> None:
    seal = seal_of(LEAVES[5:9], Frontier().appended(LEAVES[:5]))
    forked = msgspec.structs.replace(seal, frontier=Frontier().appended(LEAVES[10:15]).hashes)
    assert not extends_its_frontier(SealedBatch.read(forked))


def test_only_keys_that_count_are_believed() -> None:
    other = SigningKey.made()
    seal = seal_of(LEAVES)
    with pytest.raises(SealError, match="no key that is trusted here"):
        keys(SealKey("other", other.public)).opened(seal, 3)
    with pytest.raises(SealError, match=r"`gate` .* has been revoked"):
        keys(SealKey("gate", KEY.public, KeyState.REVOKED)).opened(seal, 3)
    with pytest.raises(SealError, match="was retired"):
        keys(SealKey("gate", KEY.public, KeyState.RETIRED, NOW_MS)).opened(seal, 3)
    with pytest.raises(SealError, match="was retired"):
        keys(SealKey("gate", KEY.public, KeyState.RETIRED)).opened(seal, 3)
    assert keys(SealKey("gate", KEY.public, KeyState.RETIRED, NOW_MS + 1)).opened(seal, 3)
    assert keys(SealKey("new", other.public), SealKey("gate", KEY.public)).opened(seal, 3)


def test_a_signature_of_another_text_or_name_is_none() -> None:
    seal = seal_of(LEAVES)
    note = Note.parse(seal.signed_head)
    for forged in (
        signed_note(note.text, [("stoplog.gate/prod/4", KEY)]),
        Note(note.text, signed_note("text\n", [(origin_of("prod", 3), KEY)]).signatures),
    ):
        with pytest.raises(SealError, match="no key"):
            keys().opened(msgspec.structs.replace(seal, signed_head=str(forged)), 3)


def test_lists_of_keys_are_checked() -> None:
    for wrong in ({}, {"a": "x"}, {"a": str(KEY.public), "b": str(KEY.public)}, {f"k{n}": "x" for n in range(65)}):
        with pytest.raises(SealKeysError):
            SealKeys.of(wrong)


def test_the_derived_key_depends_on_the_root_key() -> None:
    first, second = bytes(range(32)), bytes(range(1, 33))
    assert derived_seal_key(first).public == derived_seal_key(first).public
    assert derived_seal_key(first).public != derived_seal_key(second).public
    assert SealKeys.derived(first).opened(seal_of(LEAVES, key=derived_seal_key(first), deployment=""), 3)
