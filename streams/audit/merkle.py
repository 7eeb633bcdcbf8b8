"""Hashes a log into a tree, and makes and checks proofs about it (RFC 9162, section 2.1; RFC 6962 hashes the same way).

**Idea.** The head of a log of any length is one hash. Whoever keeps the head can be shown, with some 20 hashes, that a
record is in the log (inclusion). To append, a writer needs no more than the *frontier*: the roots of the complete
subtrees that the log's size is the sum of, one for each bit of the size that is set. So the memory of a log of 2**64
records is at most 64 hashes. That a later head only adds records to an earlier one needs no proof here: who checks the
log reads all its leaves (ADR 0070).

A *subtree* is what a node covers: leaves `start` to `end`, where `start` is a multiple of the next power of two. Its
proofs are those of draft-ietf-plants-merkle-tree-certs; a tree is the subtree that starts at 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from streams.model.errors import StoplogError

HASH_BYTES = 32
SIZE_BITS = 64
"""The largest log has one leaf less than two to this power, as the size of a head has."""

EMPTY_ROOT = sha256(b"").digest()
"""The head of a log without records."""

_LEAF = b"\x00"
_NODE = b"\x01"


class MerkleError(StoplogError):
    """What is asked for is not in the tree, or a frontier is not one of a log of its size."""


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of a leaf, given the bytes of its record."""
    return sha256(_LEAF + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node, given those of its children."""
    return sha256(_NODE + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree, given the hashes of its leaves."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        above = [sha256(_NODE + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            above.append(level[-1])  # it has no sibling yet, so it moves up as it is
        level = above
    return level[0]


class Frontier(msgspec.Struct, frozen=True, array_like=True):
    """The complete subtrees of a log: all that is needed to append to it, and to know its head.

    Attributes:
        size: how many leaves the log has.
        hashes: the roots of the subtrees, one after the other, the largest first.
    """

    size: int = 0
    hashes: bytes = b""

    def __post_init__(self) -> None:
        """Check that there are as many subtrees as the size needs.

        Raises:
            MerkleError: there are more or fewer, or the size is out of range.
        """
        if not 0 <= self.size < 1 << SIZE_BITS or len(self.hashes) != self.size.bit_count() * HASH_BYTES:
            raise MerkleError(f"{len(self.hashes)} bytes are not the frontier of a log of {self.size} records")

    def appended(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the frontier of the log that has these leaves behind its own, given their hashes."""
        stack, size = self._split(), self.size
        for leaf in leaves:
            made, carry = leaf, size
            while carry & 1:
                made = sha256(_NODE + stack.pop() + made).digest()
                carry >>= 1
            stack.append(made)
            size += 1
        return Frontier(size, b"".join(stack))

    def root(self) -> bytes:
        """Return the head of the log."""
        stack = self._split()
        if not stack:
            return EMPTY_ROOT
        root = stack.pop()
        while stack:
            root = node_hash(stack.pop(), root)
        return root

    def _split(self) -> list[bytes]:
        return [self.hashes[at : at + HASH_BYTES] for at in range(0, len(self.hashes), HASH_BYTES)]


class Tree:
    """A tree whose leaves are all known, which makes proofs. It takes 64 bytes of memory for each leaf."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Hash all complete subtrees.

        Args:
            leaves: the hashes of the leaves.
        """
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            self._levels.append([node_hash(left, right) for left, right in pairs])
        self.size = len(self._levels[0])

    def root(self, size: int | None = None) -> bytes:
        """Return the head of the log when it had `size` leaves; by default, of all of them.

        Raises:
            MerkleError: it never had so many.
        """
        wanted = self.size if size is None else size
        self._check(0, wanted, self.size)
        return self._root(0, wanted)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the proof that a leaf is in the log of `size` leaves, for `is_included`.

        Raises:
            MerkleError: the log has no such leaf, or never had that size.
        """
        start, end = 0, self.size if size is None else size
        self._check(index, end, self.size)
        if index == end:
            raise MerkleError(f"a log of {end} records has no record {index}")
        path = []
        while end - start > 1:
            middle = start + _split_of(end - start)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1]

    def _root(self, start: int, end: int) -> bytes:
        """Return the root of leaves `start` to `end`, which are a subtree."""
        if start == end:
            return EMPTY_ROOT
        root = b""
        # The complete subtrees of it, the smallest first: as of a frontier.
        for level in range((end - start).bit_length()):
            if (end - start) >> level & 1:
                complete = self._levels[level][(end >> level) - 1]
                root = node_hash(complete, root) if root else complete
        return root

    @staticmethod
    def _check(first: int, second: int, third: int) -> None:
        if not 0 <= first <= second <= third:
            raise MerkleError(f"a log of {third} records has no {first} in its first {second}")


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether a proof shows that a leaf is in a log (RFC 9162, section 2.1.3.2).

    Args:
        leaf: the hash of the leaf.
        index: its place in the log, from 0.
        size: how many leaves the log has.
        path: the proof.
        root: the head of the log.
    """
    return is_included_in_subtree(leaf, index, 0, size, path, root)


def is_included_in_subtree(leaf: bytes, index: int, start: int, end: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether a proof shows that a leaf is in a subtree.

    Args:
        leaf: the hash of the leaf.
        index: its place in the log, from 0.
        start: the first leaf of the subtree.
        end: the leaf after its last.
        path: the proof.
        root: the root of the subtree.
    """
    if not (start <= index < end and _is_subtree(start, end) and _are_hashes(leaf, root, *path)):
        return False
    at, last, made = index - start, end - start - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            made = node_hash(sibling, made)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            made = node_hash(made, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and made == root


def _is_subtree(start: int, end: int) -> bool:
    """Return whether leaves `start` to `end` are what some node covers."""
    if not 0 <= start < end < 1 << SIZE_BITS:
        return False
    return start % (1 << (end - start - 1).bit_length()) == 0


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _split_of(size: int) -> int:
    """Return how many of `size` leaves are in the left subtree: the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
