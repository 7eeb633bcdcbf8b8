"""What stays is out of the collector's sight, and what was garbage before is gone."""

from __future__ import annotations

import gc
import weakref

from streams.services.gate.heap import settle_heap


class Node:
    me: Node


def test_what_is_there_is_frozen_once_and_garbage_is_taken_away() -> None:
    node = Node()
    node.me = node
    gone = weakref.ref(node)
    try:
        settle_heap()
        frozen = gc.get_freeze_count()
        assert frozen > 1_000
        del node
        gc.collect()
        assert gone() is not None
        settle_heap()
        assert gone() is None
        assert abs(gc.get_freeze_count() - frozen) < frozen // 2
    finally:
        gc.unfreeze()
