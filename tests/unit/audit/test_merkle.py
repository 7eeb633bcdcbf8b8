"""The tree: cases of transparency-dev/merkle, and RFC 9162's definitions as a second implementation."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.audit import merkle
from streams.audit.merkle import EMPTY_ROOT, Frontier, MerkleError, Tree, leaf_hash, root_of

_HERE = Path(__file__).parent / "merkle_cases.json"
# All of the test data, where a checkout has it beside it.
_SHARED = Path(os.environ.get("STOPLOG_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "merkle.json.gz"

ALL_CASES = 518
LEAVES = [leaf_hash(b"record %d" % number) for number in range(140)]
SIZES = st.integers(0, len(LEAVES))


def cases() -> list[tuple[str, dict[str, Any]]]:
    """The committed part of the test data, or all of it: the cases of inclusion."""
    if not _SHARED.exists():
        return list(json.loads(_HERE.read_text())["cases"].items())
    found = list(json.loads(gzip.decompress(_SHARED.read_bytes()))["cases"].items())
    assert len(found) == ALL_CASES
    return [(name, case) for name, case in found if name.partition("/")[0].endswith("inclusion")]


def verify(kind: str, case: dict[str, Any]) -> bool:
    path = [base64.b64decode(each) for each in case["proof"] or ()]
    raw = {name: base64.b64decode(case[name]) for name in ("root", "leafHash", "root1", "root2") if name in case}
    match kind:
        case "inclusion":
            return merkle.is_included(raw["leafHash"], case["leafIdx"], case["treeSize"], path, raw["root"])
        case "subtreeinclusion":
            return merkle.is_included_in_subtree(
                raw["leafHash"], case["leafIdx"], case["start"], case["end"], path, raw["root"]
            )
    raise AssertionError(kind)


@pytest.mark.parametrize(("name", "case"), cases(), ids=[name for name, _ in cases()])
def test_agrees_with_the_test_data_of_another_implementation(name: str, case: dict[str, Any]) -> None:
    assert verify(name.partition("/")[0], case) is not case["wantErr"]


# The definitions of RFC 9162, sections 2.1.1 and 2.1.3.1, as they are written there.


def oracle_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + oracle_root(leaves[:k]) + oracle_root(leaves[k:])).digest()


def oracle_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*oracle_path(m, leaves[:k]), oracle_root(leaves[k:])]
    return [*oracle_path(m - k, leaves[k:]), oracle_root(leaves[:k])]


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def test_hashes_as_the_rfc_says() -> None:
    assert leaf_hash(b"abc") == sha256(b"\x00abc").digest()
    assert EMPTY_ROOT == root_of([]) == Frontier().root() == Tree([]).root() == sha256(b"").digest()


@given(SIZES)
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == Tree(LEAVES).root(size) == oracle_root(LEAVES[:size])


@given(st.lists(st.integers(0, 20), max_size=7))
def test_a_frontier_grows_to_the_root_whatever_the_batches_are(batches: list[int]) -> None:
    frontier, size = Frontier(), 0
    for batch in batches:
        frontier = frontier.appended(LEAVES[size : size + batch])
        size += batch
        assert frontier.size == size
        assert frontier.root() == oracle_root(LEAVES[:size])
        assert len(frontier.hashes) == 32 * size.bit_count()


def test_a_frontier_that_is_not_one_is_rejected() -> None:
    for size, hashes in ((1, b""), (0, bytes(32)), (2, bytes(64)), (-1, b""), (1, bytes(31)), (1 << 64, bytes(32))):
        with pytest.raises(MerkleError):
            Frontier(size, hashes)


@given(SIZES.filter(bool), st.data())
def test_inclusion_is_proven_as_in_the_definition(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path, root = Tree(LEAVES).inclusion(index, size), oracle_root(LEAVES[:size])
    assert path == oracle_path(index, LEAVES[:size])
    assert merkle.is_included(LEAVES[index], index, size, path, root)
    other = data.draw(st.integers(0, len(LEAVES) - 1).filter(lambda found: found != index))
    assert not merkle.is_included(LEAVES[other], index, size, path, root)
    assert not merkle.is_included(LEAVES[index], other, size, path, root)
    assert not merkle.is_included(LEAVES[index], index, size, [*path, bytes(32)], root)
    assert not merkle.is_included(LEAVES[index], index, size, path, oracle_root(LEAVES[: size - 1]))
    if path:
        assert not merkle.is_included(LEAVES[index], index, size, path[:-1], root)


def test_there_is_no_proof_of_what_is_not_in_the_log() -> None:
    tree = Tree(LEAVES[:5])
    for wrong in (
        lambda: tree.root(6),
        lambda: tree.inclusion(5),
        lambda: tree.inclusion(3, 3),
        lambda: tree.inclusion(0, 6),
        lambda: tree.inclusion(-1),
    ):
        with pytest.raises(MerkleError):
            wrong()
